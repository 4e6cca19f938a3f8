//! The lanes side by side, and the button that adds one.

use leptos::prelude::*;

use super::lane::LaneCard;
use crate::{
    catalogue::SiteCatalogue, default_lanes::default_lanes, lanes::Lane, page_signals::PageSignals,
    page_state::MAX_LANES,
};

/// All lanes.
#[component]
pub fn LanesPanel() -> impl IntoView {
    let PageSignals { lanes, task, .. } = expect_context();
    let catalogue = expect_context::<SiteCatalogue>().catalogue;
    let can_add = move || lanes.get().len() < MAX_LANES;
    let add = move |_| {
        let first = || {
            let lanes = catalogue.with_value(|known| default_lanes(task.get_untracked(), known));
            lanes.into_iter().next()
        };
        let new = lanes.choices_untracked().pop().or_else(first);
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
