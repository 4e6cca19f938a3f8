//! The whole page: makes the signals, starts the session, and lays out the panels.

use std::rc::Rc;

use leptos::{prelude::*, task::spawn_local};

use super::{
    arena::ArenaPanel, chart::EntropyChart, controls::Controls, evidence::Evidence, first_steps::FirstSteps,
    guide::Guide, header::Header, lanes_panel::LanesPanel, messages::Messages,
    offline::{Offline, OfflineNote, UpdateOffer}, picture::Picture,
    problem::ProblemPanel, take_away::TakeAway,
    teacher::{ForAClass, PredictFirst}, tour::Tour,
};
use crate::{
    arena::Arena,
    address_bar::AddressBar,
    catalogue::{Lists, SiteCatalogue},
    load::{Downloading, LoadError},
    notice::{Notice, Notices, Topic},
    page_signals::PageSignals,
    runner::Runner,
    session::Session,
    startup::{Reports, Startup, UseEngine},
};

/// The page. `failure` is what did not arrive of the lists.
#[component]
pub fn App(lists: Lists, failure: Option<LoadError>) -> impl IntoView {
    let notices = Notices::default();
    let site = SiteCatalogue::new(lists);
    if let Some(error) = failure {
        notices.show(Topic::Lists, Notice::missing_list(&error));
    }
    let (address_bar, state) = AddressBar::open(site, notices);
    let signals = PageSignals::new(state, site);
    let startup = Startup {
        reports: Reports::default(),
        downloading: Downloading::default(),
        notices,
    };
    let Startup {
        reports,
        downloading,
        ..
    } = startup;
    let session = Rc::new(site.catalogue.with_value(Session::new));
    let runner = Runner::new(session.clone(), signals, downloading, (reports, notices));

    let arena = Arena::new(session.clone(), signals, downloading);
    provide_context(Offline::new(reports));
    provide_context(arena);
    provide_context(notices);
    provide_context(site);
    provide_context(reports);
    provide_context(downloading);
    provide_context(runner);
    provide_context(signals);
    provide_context(signals.cursor);
    provide_context(signals.focus);
    provide_context(use_engine(startup, session.clone(), (runner, arena), signals));

    address_bar.keep(signals, runner);
    run_at_once(signals, reports, runner);
    let lanes = signals.lanes.choices_untracked();
    spawn_local(startup.start(session, lanes, signals.engine.get_untracked()));

    view! {
        <Header/>
        <main
            class:is-embedded=signals.is_embedded
            class:is-bare=signals.hides_controls
            class:covers-answers=move || signals.covers_answers()
        >
            <Controls/>
            <div class="workbench">
                <UpdateOffer/>
                <Messages/>
                <FirstSteps/>
                <Tour/>
                <PredictFirst/>
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
            <ForAClass/>
            <ArenaPanel/>
            <TakeAway/>
            <Evidence/>
            <Guide/>
            <OfflineNote/>
        </main>
        <TraceJson/>
    }
}

/// Begins the run by itself, once, where the address says so.
fn run_at_once(signals: PageSignals, reports: Reports, runner: Runner) {
    let has_begun = StoredValue::new(false);
    Effect::new(move |_| {
        let may_run = reports.is_ready() && !signals.waits_for_prediction();
        if signals.runs_at_once.get() && may_run && !has_begun.get_value() {
            has_begun.set_value(true);
            runner.run_when_changed();
        }
    });
}

/// The finished run, for programs that read the page.
#[component]
fn TraceJson() -> impl IntoView {
    let runner = expect_context::<Runner>();
    view! {
        <script type="application/json" data-testid="trace-json" inner_html=runner.trace_json></script>
    }
}

/// Forgets the run, and goes on with another engine.
fn use_engine(
    startup: Startup,
    session: Rc<Session>,
    (runner, arena): (Runner, Arena),
    signals: PageSignals,
) -> UseEngine {
    let session = StoredValue::new_local(session);
    UseEngine(Callback::new(move |choice| {
        runner.reset();
        arena.stop();
        signals.engine.set(choice);
        let lanes = signals.lanes.choices_untracked();
        spawn_local(startup.change_engine(session.get_value(), lanes, choice));
    }))
}
