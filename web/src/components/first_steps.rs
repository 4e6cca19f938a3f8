//! The first minute: what is asked, what the boxes are, what to press.

use gloo::storage::{LocalStorage, Storage};
use latent_model::tasks::Picture;
use leptos::{prelude::*, task::spawn_local};

use super::tour::Guide;
use crate::{
    chunk::open_chapter,
    notice::{Notice, Notices, Topic},
    page_signals::PageSignals,
    run_state::RunStatus,
    runner::Runner,
    words::words,
};

/// Where the browser keeps that this visitor knows it.
const KNOWN_KEY: &str = "latent-playground.knows-first-steps";

/// Three lines above the problem, until a run has begun or they are dismissed.
#[component]
pub fn FirstSteps() -> impl IntoView {
    let PageSignals {
        question, chapter, ..
    } = expect_context();
    let runner = expect_context::<Runner>();
    let guide = Guide::of_page();
    let notices = expect_context::<Notices>();
    let is_known = RwSignal::new(LocalStorage::get(KNOWN_KEY).unwrap_or(false));
    let know = move || {
        is_known.set(true);
        // A browser that keeps nothing shows them again; that is all.
        let _ = LocalStorage::set(KNOWN_KEY, true);
    };
    Effect::new(move |_| {
        if runner.status.get() == RunStatus::Running && !is_known.get_untracked() {
            know();
        }
    });
    let start = move |_| {
        spawn_local(async move {
            notices.clear(Topic::Panel);
            if let Err(error) = open_chapter(guide, 1).await {
                notices.show(Topic::Panel, Notice::missing_panel(&error));
            }
        });
    };
    let boxes = move || match question.with(|question| question.task.picture()) {
        Picture::Graph => words().boxes_graph,
        Picture::Story => words().boxes_story,
        Picture::Text => words().boxes_text,
    };
    view! {
        <Show when=move || !is_known.get() && chapter.get().is_none()>
            <div class="panel first-steps" data-testid="first-steps">
                <ol>
                    <li>{words().first_one}</li>
                    <li>{boxes}</li>
                    <li>{words().first_three}</li>
                </ol>
                <button class="primary" data-testid="start-tour" on:click=start>
                    {words().start_tour}
                </button>
                <button class="quiet" aria-label=words().dismiss_lines data-testid="know" on:click=move |_| know()>
                    "✕"
                </button>
            </div>
        </Show>
    }
}
