//! The tour: a chapter's set-up, the prediction that the visitor commits to, and what came true.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;

use super::panel::{Inside, Panel};
use crate::{
    browser::speak_of,
    catalogue::SiteCatalogue,
    chapters::{CHAPTERS, Chapter, chapter},
    page_signals::PageSignals,
    page_state::PageState,
    run_state::RunStatus,
    runner::Runner,
    words::{fill, words},
};

/// What the visitor has done with a chapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Prediction {
    /// Nothing yet.
    #[default]
    Open,
    /// Predicted an option, and the run goes on.
    Made(usize),
    /// Gone on without one.
    Skipped,
}

/// Opens chapters, and closes the tour.
#[derive(Clone, Copy)]
pub struct Guide {
    signals: PageSignals,
    site: SiteCatalogue,
}

impl Guide {
    /// Of this page.
    pub fn of_page() -> Self {
        Self {
            signals: expect_context(),
            site: expect_context(),
        }
    }

    /// Puts a chapter's set-up in place of the page's; beyond the last one, the tour is over.
    pub fn open(self, number: usize) {
        let Some(chapter) = chapter(number) else {
            return self.signals.chapter.set(None);
        };
        let open = |catalogue: &_| PageState::from_hash(chapter.address, catalogue);
        // A test opens every chapter's address.
        if let Ok(opened) = self.site.catalogue.with_value(open) {
            let mut state = opened.state;
            state.shown.chapter = Some(number);
            state.shown.is_large = self.signals.is_large.get_untracked();
            state.shown.is_dark = self.signals.is_dark.get_untracked();
            self.signals.set(state);
        }
    }
}

/// The chapter that is open, above the panels that it speaks of.
#[component]
pub fn Tour() -> impl IntoView {
    let number = expect_context::<PageSignals>().chapter;
    let is_open = Signal::derive(move || number.with(Option::is_some));
    view! { <Inside panel=Panel::Chapter is_open/> }
}

/// It, once its code has come.
#[component]
pub fn OpenChapter() -> impl IntoView {
    let number = expect_context::<PageSignals>().chapter;
    let number = Memo::new(move |_| number.get());
    move || {
        let number = number.get()?;
        let chapter = chapter(number)?;
        Some(view! { <Opened number chapter/> })
    }
}

#[component]
fn Opened(number: usize, chapter: &'static Chapter) -> impl IntoView {
    let guide = Guide::of_page();
    let text = chapter.text();
    let runner = expect_context::<Runner>();
    let prediction = RwSignal::new(Prediction::Open);
    let is_done = move || runner.status.get() == RunStatus::Done;
    let go = move |made: Prediction| {
        prediction.set(made);
        runner.run_when_changed();
    };
    // Space continues, unless something that has the keyboard needs it.
    let keys = window_event_listener(ev::keydown, move |event| {
        let target = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let tag = target.map(|target| target.tag_name()).unwrap_or_default();
        let is_taken = ["INPUT", "SELECT", "TEXTAREA", "BUTTON", "SUMMARY", "A"].contains(&&*tag);
        if event.key() != " " || is_taken {
            return;
        }
        event.prevent_default();
        let is_done = runner.status.get_untracked() == RunStatus::Done;
        match prediction.get_untracked() {
            Prediction::Open => go(Prediction::Skipped),
            _ if is_done => guide.open(number + 1),
            _ => {}
        }
    });
    speak_of(Some(chapter.speaks_of));
    on_cleanup(move || {
        keys.remove();
        speak_of(None);
    });
    let option = move |(index, option): (usize, &&'static str)| {
        let is_right = index == chapter.right;
        let mark = move || match prediction.get() {
            Prediction::Made(made) if made == index && is_done() => match is_right {
                true => "✓ ",
                false => "✗ ",
            },
            _ if is_done() && is_right && prediction.get() != Prediction::Open => "✓ ",
            _ => "",
        };
        view! {
            <button
                data-testid=format!("predict-{index}")
                aria-pressed=move || (prediction.get() == Prediction::Made(index)).to_string()
                disabled=move || prediction.get() != Prediction::Open
                on:click=move |_| go(Prediction::Made(index))
            >
                {mark}
                {*option}
            </button>
        }
    };
    let options = text.options.iter().enumerate().map(option).collect_view();
    let said = move || match (prediction.get(), is_done()) {
        (Prediction::Open, _) => words().chapter_commit.to_string(),
        (_, false) => words().chapter_runs.to_string(),
        (Prediction::Made(made), true) if made == chapter.right => {
            fill(words().chapter_as_predicted, &[("reveal", text.reveal)])
        }
        (Prediction::Made(made), true) => {
            let option = text.options[made];
            fill(
                words().chapter_otherwise,
                &[("option", option), ("reveal", text.reveal)],
            )
        }
        (Prediction::Skipped, true) => text.reveal.to_string(),
    };
    let is_last = number == CHAPTERS.len();
    let head = fill(
        words().chapter_head,
        &[
            ("n", &number.to_string()),
            ("total", &CHAPTERS.len().to_string()),
            ("title", text.title),
        ],
    );
    view! {
        <section class="panel tour" data-testid="tour" aria-label=words().tour>
            <div class="panel-head">
                <h2 data-testid="chapter">
                    {head}
                </h2>
                <button
                    class="quiet"
                    data-testid="chapter-before"
                    disabled=number == 1
                    on:click=move |_| guide.open(number - 1)
                >
                    {words().before}
                </button>
                <button class="primary" data-testid="chapter-after" on:click=move |_| guide.open(number + 1)>
                    {if is_last { words().end_of_tour } else { words().next_chapter }}
                </button>
                <button
                    class="quiet"
                    data-testid="leave-tour"
                    aria-label=words().leave_tour
                    title=words().leave_tour_title
                    on:click=move |_| guide.open(0)
                >
                    "✕"
                </button>
            </div>
            <p>{text.sentences[0]} " " {text.sentences[1]}</p>
            <p class="asks"><b>{text.asks}</b></p>
            <div class="options" role="group" aria-label=words().your_answer>{options}</div>
            <p class="said" data-testid="chapter-says" role="status">{said}</p>
        </section>
    }
}
