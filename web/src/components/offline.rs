//! Whether the page works without a network, and the offer of a newer version.

use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen::closure::Closure;

use crate::{
    offline::{KEPT, keep_offline, use_update},
    startup::Reports,
    words::{fill, words},
};

/// What the service worker has told; it is registered once it is settled which engine runs, so
/// that nothing is loaded beside what the visitor waits for.
#[derive(Clone, Copy)]
pub struct Offline {
    state: RwSignal<Option<String>>,
    has_update: RwSignal<bool>,
}

impl Offline {
    /// Begins to keep the page as soon as nothing is tried any more.
    pub fn new(reports: Reports) -> Self {
        let offline = Self {
            state: RwSignal::new(None),
            has_update: RwSignal::new(false),
        };
        let has_begun = StoredValue::new(false);
        Effect::new(move |_| {
            if reports.is_settled() && !has_begun.get_value() {
                has_begun.set_value(true);
                spawn_local(offline.keep());
            }
        });
        offline
    }

    async fn keep(self) {
        let on_state = Closure::new(move |state: String| {
            let _ = self.state.try_set(Some(state));
        });
        let on_update = Closure::new(move || {
            let _ = self.has_update.try_set(true);
        });
        keep_offline(&on_state, &on_update).await;
        // The worker speaks for as long as the page is open.
        on_state.forget();
        on_update.forget();
    }
}

/// Offers the version that waits.
#[component]
pub fn UpdateOffer() -> impl IntoView {
    let offline = expect_context::<Offline>();
    view! {
        <Show when=move || offline.has_update.get()>
            <div class="message note" role="status" data-testid="update">
                <span>{words().update_waits}</span>
                <button class="primary" data-testid="use-update" on:click=move |_| use_update()>
                    {words().update_load}
                </button>
            </div>
        </Show>
    }
}

/// Whether the page is kept.
#[component]
pub fn OfflineNote() -> impl IntoView {
    let offline = expect_context::<Offline>();
    let text = move || {
        offline.state.get().map(|state| match state.as_str() {
            KEPT => words().offline_kept.to_string(),
            reason => fill(words().offline_not_kept, &[("reason", reason)]),
        })
    };
    view! { <p class="hint" data-testid="offline">{text}</p> }
}
