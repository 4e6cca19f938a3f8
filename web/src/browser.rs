//! The browser's clock, frames and address bar: the page's only door to them.

use std::{cell::Cell, pin::pin};

use futures::{channel::oneshot, future::select};
use gloo::{render, timers::callback::Timeout};
use latent_model::turns::Breathe;
use leptos::prelude::{document, request_animation_frame, window};
use wasm_bindgen::{
    JsCast, JsValue,
    prelude::{Closure, wasm_bindgen},
};
use wasm_bindgen_futures::JsFuture;

use crate::words::words;

/// How long work goes on before the browser gets a turn: with what it then does, and a part that
/// began just before, well below the 50 ms from which on a page is felt to hang.
const LONGEST_BREATH_MS: f64 = 6.0;

/// A frame that takes longer is none: the page is hidden, or has too much to do to be painted.
const LONGEST_FRAME_MS: f64 = 1000.0;

/// Milliseconds since the page was opened.
pub fn now_ms() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

/// The same in seconds; a browser may round its clock to a tenth of a millisecond or more.
pub fn now_seconds() -> f64 {
    now_ms() / 1e3
}

/// Waits for the browser to paint; without it, a long run would freeze the page. A page that nobody
/// sees is not painted, and goes on without.
pub async fn next_frame() {
    if document().hidden() {
        return breathe_js().await;
    }
    let (painted, frame) = oneshot::channel();
    let handle = render::request_animation_frame(move |_| {
        // The receiver is gone only if the run was dropped.
        let _ = painted.send(());
    });
    // It may be hidden meanwhile.
    select(frame, pin!(sleep_ms(LONGEST_FRAME_MS))).await;
    drop(handle);
}

/// Waits until the clock says so, or a little longer, and at least until the browser has painted.
pub async fn sleep_until(deadline_ms: f64) {
    next_frame().await;
    while now_ms() < deadline_ms {
        match document().hidden() {
            true => sleep_ms(deadline_ms - now_ms()).await,
            false => next_frame().await,
        }
    }
}

#[wasm_bindgen(module = "/src/brought.js")]
extern "C" {
    #[wasm_bindgen(js_name = breathe)]
    async fn breathe_js();
}

/// Lets the browser do what waits, and paint, if this page has had the thread for a while: work
/// that asks after every part of it keeps no task longer than a part.
pub async fn breathe() {
    thread_local! {
        static LAST_MS: Cell<f64> = const { Cell::new(0.0) };
    }
    if now_ms() - LAST_MS.get() > LONGEST_BREATH_MS {
        breathe_js().await;
        LAST_MS.set(now_ms());
    }
}

/// The same for engines on the CPU.
pub const BREATHE: Breathe = || Box::pin(breathe());

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
        (false, false) => Some(words().webgpu_needs_https),
        (false, true) => Some(words().no_webgpu),
    }
}

/// Calls back in the next frame, unless what calls now is gone by then: leptos cancels it with its
/// owner.
pub fn in_next_frame(callback: impl FnOnce() + 'static) {
    // A window that is open has frames.
    let _ = request_animation_frame(callback);
}

/// Calls back in the next frame, whatever becomes of what calls now.
pub fn in_next_frame_of_page(callback: impl FnOnce() + 'static) {
    let callback = Closure::once_into_js(callback);
    let _ = window().request_animation_frame(callback.unchecked_ref());
}

/// Gives the keyboard to the last of these elements, named by their `data-testid`s, that there is.
pub fn focus_test_id(testids: &[&str]) {
    let find = |testid: &&str| {
        let selector = format!("[data-testid=\"{testid}\"]");
        let found = document().query_selector(&selector).ok()??;
        found.dyn_into::<web_sys::HtmlElement>().ok()
    };
    if let Some(element) = testids.iter().rev().find_map(find) {
        // An element that cannot have it leaves it where it is.
        let _ = element.focus();
    }
}

/// Marks the part of the page with this `data-testid` as spoken of, and no other.
pub fn speak_of(testid: Option<&'static str>) {
    // It may be drawn in this very frame.
    in_next_frame_of_page(move || {
        let marked = document().query_selector("[data-spoken]").ok().flatten();
        if let Some(marked) = marked {
            // Neither can fail with a valid name.
            let _ = marked.remove_attribute("data-spoken");
        }
        let selector = testid.map(|testid| format!("[data-testid=\"{testid}\"]"));
        let found = selector.and_then(|selector| document().query_selector(&selector).ok()?);
        if let Some(element) = found {
            let _ = element.set_attribute("data-spoken", "");
        }
    });
}

/// Fills the screen with the page; while a press of the visitor's is told, or the browser refuses.
pub fn fill_screen() {
    let root = document().document_element();
    // A frame may forbid it; the page works without.
    drop(root.map(|root| root.request_fullscreen()));
}

/// Fills the screen with the page, or leaves that.
pub fn full_screen() {
    let page = document();
    match page.fullscreen_element() {
        Some(_) => page.exit_fullscreen(),
        None => fill_screen(),
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

/// Goes on to another hash; the browser's Back leads to the one before.
pub fn push_hash(hash: &str) {
    let pushed = window().history().and_then(|history| {
        history.push_state_with_url(&JsValue::NULL, "", Some(&format!("#{hash}")))
    });
    // As above.
    drop(pushed);
}

/// Puts the page's address on the clipboard; false where the browser does not allow it.
pub async fn copy_address() -> bool {
    match window().location().href() {
        Ok(address) => copy_text(&address).await,
        Err(_) => false,
    }
}

/// Puts a text on the clipboard; false where the browser does not allow it.
pub async fn copy_text(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    // Browsers offer no clipboard to pages that came over plain HTTP.
    if clipboard.is_undefined() {
        return false;
    }
    JsFuture::from(clipboard.write_text(text)).await.is_ok()
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
