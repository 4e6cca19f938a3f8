//! Mounts the page.

use leptos::prelude::document;

fn main() {
    console_error_panic_hook::set_once();
    // The note that index.html shows until this program has arrived.
    if let Some(note) = document().get_element_by_id("arriving") {
        note.remove();
    }
    leptos::mount::mount_to_body(latent_web::components::App);
}
