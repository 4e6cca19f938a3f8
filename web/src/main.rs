//! Fetches the lists of what ships, then mounts the page.

use latent_web::{
    catalogue::Lists,
    components::App,
    words::{of_tag, speak, words},
};
use leptos::prelude::*;

fn main() {
    console_error_panic_hook::set_once();
    wasm_bindgen_futures::spawn_local(async {
        if let Some(note) = document().get_element_by_id("arriving") {
            let language = note.get_attribute("lang").unwrap_or_default();
            speak(of_tag(&language));
            note.set_text_content(Some(words().loading_lists));
        }
        let (lists, failure) = Lists::fetch().await;
        // The note that index.html shows until this program and its lists have arrived.
        if let Some(note) = document().get_element_by_id("arriving") {
            note.remove();
        }
        leptos::mount::mount_to_body(move || view! { <App lists failure/> });
    });
}
