//! The browser's clock, frames and address bar: the page's only door to them.

use futures::channel::oneshot;
use gloo::{render, timers::callback::Timeout};
use leptos::prelude::window;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// Milliseconds since the page was opened.
pub fn now_ms() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

/// Waits for the browser to paint; without it, a long run would freeze the page.
pub async fn next_frame() {
    let (painted, frame) = oneshot::channel();
    let handle = render::request_animation_frame(move |_| {
        // The receiver is gone only if the run was dropped.
        let _ = painted.send(());
    });
    let _ = frame.await;
    drop(handle);
}

/// Waits some milliseconds.
pub async fn sleep_ms(duration_ms: f64) {
    let (elapsed, wait) = oneshot::channel();
    let timeout = Timeout::new(duration_ms.max(0.0) as u32, move || {
        let _ = elapsed.send(());
    });
    let _ = wait.await;
    drop(timeout);
}

/// The hash of the page's address, with its `#`.
pub fn hash() -> String {
    window().location().hash().unwrap_or_default()
}

/// Replaces the hash without a new entry in the browser's history.
pub fn replace_hash(hash: &str) {
    let history = window().history();
    let replaced = history.and_then(|history| {
        history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("#{hash}")))
    });
    // A sandboxed frame may forbid it; the page works without.
    drop(replaced);
}

/// Puts the page's address on the clipboard; false where the browser does not allow it.
pub async fn copy_address() -> bool {
    let Ok(address) = window().location().href() else {
        return false;
    };
    let clipboard = window().navigator().clipboard();
    // Browsers offer no clipboard to pages that came over plain HTTP.
    if clipboard.is_undefined() {
        return false;
    }
    JsFuture::from(clipboard.write_text(&address)).await.is_ok()
}
