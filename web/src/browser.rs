//! The browser's clock, frames and address bar: the page's only door to them.

use futures::channel::oneshot;
use gloo::{render, timers::callback::Timeout};
use leptos::prelude::{on_cleanup, request_animation_frame_with_handle, window};
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

/// Why the browser gives this page no WebGPU at all, where that can be told without asking a GPU.
pub fn webgpu_obstacle() -> Option<&'static str> {
    let navigator = window().navigator();
    let gpu = js_sys::Reflect::get(&navigator, &JsValue::from_str("gpu"));
    let has_webgpu = gpu.is_ok_and(|gpu| gpu.is_truthy());
    obstacle(window().is_secure_context(), has_webgpu)
}

fn obstacle(is_secure: bool, has_webgpu: bool) -> Option<&'static str> {
    match (has_webgpu, is_secure) {
        (true, _) => None,
        (false, false) => {
            Some("WebGPU needs https or localhost, and this page came over plain http")
        }
        (false, true) => Some("this browser has no WebGPU"),
    }
}

/// Calls back in the next frame, unless what calls now is gone by then.
pub fn in_next_frame(callback: impl FnOnce() + 'static) {
    if let Ok(frame) = request_animation_frame_with_handle(callback) {
        on_cleanup(move || frame.cancel());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_over_plain_http_is_told_what_webgpu_needs() {
        assert_eq!(obstacle(true, true), None);
        assert!(obstacle(false, false).is_some_and(|why| why.contains("https or localhost")));
        assert_eq!(obstacle(true, false), Some("this browser has no WebGPU"));
    }
}
