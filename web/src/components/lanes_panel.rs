//! The lanes side by side, and the button that adds one.

use leptos::prelude::*;

use super::lane::LaneCard;
use crate::{
    lanes::{Lane, MAX_LANES},
    page_state::PageState,
    runner::Runner,
};

/// All lanes.
#[component]
pub fn LanesPanel() -> impl IntoView {
    let lanes = expect_context::<Runner>().lanes;
    let can_add = move || lanes.get().len() < MAX_LANES;
    let add = move |_| {
        let last = lanes.choices_untracked().pop();
        let new = last.or_else(|| PageState::default().lanes.into_iter().next());
        if let Some(choice) = new {
            lanes.add(choice);
        }
    };
    view! {
        <section class="lanes" aria-label="Lanes" style:--n-lanes=move || lanes.get().len().to_string()>
            <For each=move || lanes.get() key=|lane: &Lane| lane.id let(lane)>
                <LaneCard lane/>
            </For>
            <Show when=can_add>
                <button class="add-lane" data-testid="add-lane" title="Add a lane beside these" on:click=add>
                    "+ lane"
                </button>
            </Show>
        </section>
    }
}
