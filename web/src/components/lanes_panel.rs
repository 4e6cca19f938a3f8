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
    let numbered = move || lanes.get().into_iter().enumerate().collect::<Vec<_>>();
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
            <For each=numbered key=|(index, lane): &(usize, Lane)| (*index, lane.id) let((index, lane))>
                <LaneCard index lane/>
            </For>
            <Show when=can_add>
                <button class="add-lane" data-testid="add-lane" title="Add a lane beside these" on:click=add>
                    "+ lane"
                </button>
            </Show>
        </section>
    }
}
