//! The lanes side by side, the button that adds one, and the chips that choose one.

use leptos::prelude::*;

use super::{
    lane::LaneCard,
    roving::{tabindex, walk_lanes},
};
use crate::{
    catalogue::SiteCatalogue, default_lanes::default_lanes, focus::Focus, lanes::Lane,
    page_signals::PageSignals, page_state::MAX_LANES, words::words,
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
        <section
            class="lanes"
            aria-label=words().lanes
            data-testid="lanes"
            style:--n-lanes=move || lanes.get().len().to_string()
        >
            // A small screen has room for one lane: the style sheet shows these there.
            <div class="lane-switch" role="group" aria-label=words().lane_shown data-testid="lane-switch">
                <LaneChips testid="show-lane"/>
            </div>
            <For each=move || lanes.get() key=|lane: &Lane| lane.id let(lane)>
                <LaneCard lane/>
            </For>
            <Show when=can_add>
                <button class="add-lane" data-testid="add-lane" title=words().add_lane_title on:click=add>
                    {words().add_lane}
                </button>
            </Show>
        </section>
    }
}

/// A button for each lane, which puts the lane into focus: it shades the graph, and stands alone
/// where there is no room for all. They are one stop of the Tab key; arrows choose another lane.
#[component]
pub fn LaneChips(
    /// Before the lane's place, counted from 0, in each button's `data-testid`.
    testid: &'static str,
) -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let focus = expect_context::<Focus>();
    move || {
        let focused = focus.chosen(lanes);
        let button = |(index, lane): (usize, Lane)| {
            let is_focused = focused == Some(lane);
            let label = move || lanes.name(lane).text();
            let walk = move |event| walk_lanes(&event, index, testid, (lanes, focus));
            view! {
                <button
                    class="lane-chip"
                    class:is-focused=is_focused
                    data-lane-colour=lane.colour
                    data-testid=format!("{testid}-{index}")
                    aria-pressed=is_focused.to_string()
                    tabindex=tabindex(is_focused)
                    on:keydown=walk
                    title=label
                    on:click=move |_| focus.choose(lane.id)
                >
                    {label}
                </button>
            }
        };
        lanes
            .get()
            .into_iter()
            .enumerate()
            .map(button)
            .collect_view()
    }
}
