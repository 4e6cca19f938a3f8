//! The page without a network: what its service worker keeps, and the version that waits.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/offline.js")]
extern "C" {
    /// Registers the service worker and has it keep what the page has loaded. `on_state` hears
    /// [`KEPT`], or why nothing is kept; `on_update` that another version waits.
    #[wasm_bindgen(js_name = keepOffline)]
    pub async fn keep_offline(
        on_state: &Closure<dyn FnMut(String)>,
        on_update: &Closure<dyn FnMut()>,
    );

    /// Puts the version that waits in place of this one, and loads it.
    #[wasm_bindgen(js_name = useUpdate)]
    pub fn use_update();
}

/// What is told once all that was loaded is kept.
pub const KEPT: &str = "kept";
