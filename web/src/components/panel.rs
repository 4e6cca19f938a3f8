//! Panels that nobody sees at first: their code comes when somebody opens them.

use leptos::{prelude::*, task::spawn_local};

use super::{
    analysis::AnalysisParts,
    arena::ArenaParts,
    evidence::Measurements,
    guide::Meanings,
    intervene::{StepActions, event_target_open},
    lane_settings::LaneSettings,
    speed::SpeedParts,
    take_away::TakeAwayParts,
    tour::OpenChapter,
};
use crate::{
    chunk::{self, Draw, MissingChunk},
    lanes::Lane,
    notice::{Notice, Notices, Topic},
    words::words,
};

/// One of them.
#[derive(Clone, Copy, Debug)]
pub enum Panel {
    /// What the lanes thought.
    Analysis,
    /// Many problems a lane.
    Arena,
    /// Files of the run.
    TakeAway,
    /// What was measured.
    Evidence,
    /// How fast the device is.
    Speed,
    /// What is what.
    Guide,
    /// The tour's.
    Chapter,
    /// What a lane is set up with.
    LaneSettings(Lane),
    /// What can be done at a lane's step; the lane with its place on the page.
    StepActions(Lane, Memo<usize>),
}

/// Draws a panel; called in a chunk alone.
pub fn draw(panel: Panel) -> AnyView {
    match panel {
        Panel::Analysis => view! { <AnalysisParts/> }.into_any(),
        Panel::Arena => view! { <ArenaParts/> }.into_any(),
        Panel::TakeAway => view! { <TakeAwayParts/> }.into_any(),
        Panel::Evidence => view! { <Measurements/> }.into_any(),
        Panel::Speed => view! { <SpeedParts/> }.into_any(),
        Panel::Guide => view! { <Meanings/> }.into_any(),
        Panel::Chapter => view! { <OpenChapter/> }.into_any(),
        Panel::LaneSettings(lane) => view! { <LaneSettings lane/> }.into_any(),
        Panel::StepActions(lane, index) => view! { <StepActions lane index/> }.into_any(),
    }
}

/// What is in a panel, once it `is_open` and has come.
#[component]
pub fn Inside(panel: Panel, #[prop(into)] is_open: Signal<bool>) -> impl IntoView {
    let notices = expect_context::<Notices>();
    let come = RwSignal::new(None::<Result<Draw, MissingChunk>>);
    let fetch = move || {
        come.set(None);
        notices.clear(Topic::Panel);
        spawn_local(async move {
            let found = chunk::draw().await;
            if let Err(error) = &found {
                notices.show(Topic::Panel, Notice::missing_panel(error));
            }
            // The page may have been drawn anew meanwhile.
            let _ = come.try_set(Some(found));
        });
    };
    let is_wanted = Memo::new(move |_| is_open.get());
    Effect::new(move |_| {
        if is_wanted.get() && come.with_untracked(Option::is_none) {
            fetch();
        }
    });
    move || {
        match come.get() {
        None => is_wanted
            .get()
            .then(|| view! { <p class="hint" role="status" data-testid="panel-comes">{words().panel_comes}</p> })
            .into_any(),
        Some(Ok(draw)) => draw(panel),
        Some(Err(error)) => view! {
            <p role="alert">{error.to_string()} ". "</p>
            <button data-testid="fetch-again" on:click=move |_| fetch()>{words().fetch_again}</button>
        }
        .into_any(),
    }
    }
}

/// A panel that opens and closes by itself.
#[component]
pub fn Folded(
    panel: Panel,
    class: &'static str,
    testid: &'static str,
    title: &'static str,
) -> impl IntoView {
    let is_open = RwSignal::new(false);
    view! {
        <details
            class=class
            data-testid=testid
            on:toggle=move |event| is_open.set(event_target_open(&event))
        >
            <summary>{title}</summary>
            <Inside panel is_open/>
        </details>
    }
}
