//! The whole page: makes the signals, starts the session, and lays out the panels.

use std::rc::Rc;

use gloo::events::EventListener;
use latent_model::catalogue::Catalogue;
use leptos::{prelude::*, task::spawn_local};

use super::{
    chart::EntropyChart, controls::Controls, evidence::Evidence, guide::Guide, header::Header,
    lanes_panel::LanesPanel, messages::Messages, picture::Picture, problem::ProblemPanel,
};
use crate::{
    browser::{hash, replace_hash},
    focus::{Cursor, Focus},
    load::LoadError,
    notice::{Notice, Notices},
    page_state::{EngineChoice, PageState},
    question::Question,
    runner::{Downloading, Runner},
    session::Session,
    shipped::{Lists, Shipped},
    startup::{Reports, Startup},
    stated::Stated,
    url_state::{DEFAULT_TASK, UrlError, hash_from_state, state_from_hash},
};

/// What to do when the visitor gives up on the GPU.
#[derive(Clone, Copy)]
pub struct UseReference(pub Callback<()>);

/// The page. `failure` is what did not arrive of the lists.
#[component]
pub fn App(lists: Lists, failure: Option<LoadError>) -> impl IntoView {
    let notices = Notices::new();
    let shipped = Shipped::new(lists);
    let stated = Stated::new(state_at_start(shipped, notices));
    if let Some(error) = failure {
        notices.show(Notice::missing_file(&error));
    }
    let reports = Reports {
        engine: RwSignal::default(),
        self_test: RwSignal::default(),
    };
    let downloading = Downloading(RwSignal::new(None));
    let session = Rc::new(Session::default());
    let question = Memo::new(move |_| {
        let task = stated.task.get();
        stated.problem.with(|choice| {
            shipped
                .examples
                .with_value(|known| Question::new(task, choice, known))
        })
    });
    let runner = Runner::new(
        session.clone(),
        question,
        stated,
        downloading,
        (reports, notices),
    );
    let startup = Startup {
        reports,
        downloading,
        notices,
    };

    provide_context(notices);
    provide_context(shipped);
    provide_context(reports);
    provide_context(downloading);
    provide_context(runner);
    provide_context(stated);
    provide_context(Cursor(RwSignal::new(None)));
    provide_context(Focus(RwSignal::new(None)));
    provide_context(use_reference(
        startup,
        session.clone(),
        runner,
        stated.engine,
    ));

    keep_address(stated, runner, shipped, notices);
    let (lanes, engine) = (
        stated.lanes.choices_untracked(),
        stated.engine.get_untracked(),
    );
    spawn_local(startup.start(session, lanes, engine));

    view! {
        <Header/>
        <main>
            <Controls/>
            <div class="workbench">
                <Messages/>
                <div class="stage">
                    <div class="panel problem-panel" data-testid="problem-panel">
                        <ProblemPanel/>
                        <Picture/>
                    </div>
                    <div class="panel chart-panel" data-testid="chart-panel">
                        <EntropyChart/>
                    </div>
                </div>
                <LanesPanel/>
            </div>
            <Evidence/>
            <Guide/>
        </main>
        <TraceJson/>
    }
}

/// The finished run, for programs that read the page.
#[component]
fn TraceJson() -> impl IntoView {
    let runner = expect_context::<Runner>();
    view! {
        <script type="application/json" data-testid="trace-json" inner_html=runner.trace_json></script>
    }
}

/// The state that the address stands for, with a notice of what the page cannot have of it.
fn read_address(catalogue: &Catalogue, notices: Notices) -> Result<PageState, UrlError> {
    let mut state = state_from_hash(&hash(), catalogue)?;
    let foreign = state.take_foreign_lanes(catalogue);
    let known = catalogue.tasks();
    if state.lanes.is_empty() && !known.is_empty() && !known.contains(&state.task) {
        notices.show(Notice::no_checkpoint(state.task, &known));
    } else if !foreign.is_empty() {
        notices.show(Notice::foreign_lanes(&foreign, state.task));
    }
    Ok(state)
}

fn state_at_start(shipped: Shipped, notices: Notices) -> PageState {
    shipped.catalogue.with_value(|catalogue| {
        read_address(catalogue, notices).unwrap_or_else(|error| {
            notices.show(
                Notice::new("The address was not understood", &error)
                    .advice("The page opened with its default lanes instead."),
            );
            PageState::of_task(DEFAULT_TASK, catalogue)
        })
    })
}

/// Keeps the address equal to the state in both directions; a change of what defines a run
/// forgets the run.
fn keep_address(stated: Stated, runner: Runner, shipped: Shipped, notices: Notices) {
    let state = Memo::new(move |_| stated.get());
    Effect::new(move |before: Option<PageState>| {
        let now = state.get();
        replace_hash(&hash_from_state(&now));
        let is_new_run = before.is_some_and(|before| {
            PageState {
                speed: now.speed,
                engine: now.engine,
                ..before
            } != now
        });
        if is_new_run {
            runner.reset();
        }
        now
    });
    let listener = EventListener::new(&window(), "hashchange", move |_| {
        let read = |catalogue: &Catalogue| read_address(catalogue, notices);
        match shipped.catalogue.with_value(read) {
            Ok(new) if new != state.get_untracked() => stated.set(new),
            Ok(_) => {}
            Err(error) => notices.show(
                Notice::new("The address was not understood", &error)
                    .advice("Nothing was changed."),
            ),
        }
    });
    // The page listens for as long as it is open.
    listener.forget();
}

fn use_reference(
    startup: Startup,
    session: Rc<Session>,
    runner: Runner,
    engine: RwSignal<EngineChoice>,
) -> UseReference {
    let session = StoredValue::new_local(session);
    UseReference(Callback::new(move |()| {
        runner.reset();
        startup.notices.clear();
        engine.set(EngineChoice::Reference);
        spawn_local(async move {
            startup
                .fall_back(session.get_value(), "chosen on this page")
                .await;
        });
    }))
}
