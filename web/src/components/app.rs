//! The whole page: makes the signals, starts the session, and lays out the panels.

use std::rc::Rc;

use latent_model::{address::Language, recording::Recording, tasks};
use leptos::{ev, prelude::*, task::spawn_local};

use super::{
    analysis::AnalysisDrawer,
    arena::ArenaPanel,
    chart::EntropyChart,
    controls::Controls,
    first_steps::FirstSteps,
    header::Header,
    lanes_panel::LanesPanel,
    messages::Messages,
    offline::{Offline, OfflineNote, UpdateOffer},
    open_model::{ForgetModel, OpenModel, OpenModelPanel, ShowModel, Taker, needs_model},
    panel::{Folded, Panel},
    picture::Picture,
    playback::PlayingNote,
    problem::ProblemPanel,
    teacher::{ForAClass, PredictFirst},
    tour::Tour,
};
use crate::{
    address_bar::AddressBar,
    analysis::Analysis,
    arena::Arena,
    brought::{Brought, Opened, Source},
    browser::fill_screen,
    catalogue::{Lists, SiteCatalogue},
    chunk::open_model,
    default_lanes::brought_lanes,
    load::{Downloading, LoadError, fetch_file},
    notice::{Notice, Notices, Topic},
    page_signals::PageSignals,
    page_state::{PageState, ProblemChoice},
    patching::Patching,
    playback::{LeaveRecording, OpenRecording, Playing},
    runner::Runner,
    session::Session,
    speed::Speed,
    startup::{EngineReport, Reports, Startup, UseEngine},
    words::{of_tag, speak, tag, words},
};

/// The page. `failure` is what did not arrive of the lists.
#[component]
pub fn App(lists: Lists, failure: Option<LoadError>) -> impl IntoView {
    let notices = Notices::default();
    let downloading = Downloading::default();
    let known = lists.brought.clone();
    let site = SiteCatalogue::new(lists);
    let brought = Brought::new(known, site, downloading, notices);
    if let Some(error) = failure {
        notices.show(Topic::Lists, Notice::missing_list(&error));
    }
    let (address_bar, state) = AddressBar::open(site, notices);
    let signals = PageSignals::new(state, site);
    let startup = Startup {
        reports: Reports::default(),
        downloading,
        notices,
    };
    let reports = startup.reports;
    let session = site
        .catalogue
        .with_value(|known| Session::new(known, brought));
    let session = Rc::new(session);
    startup.watch(&session);
    let runner = Runner::new(session.clone(), signals, downloading, (reports, notices));

    let arena = Arena::new(session.clone(), signals, startup);
    provide_context(Offline::new(reports));
    provide_context(arena);
    provide_context(Speed::new(session.clone(), startup));
    provide_context(Analysis::new(session.clone(), runner, signals));
    provide_context(Patching::new(session.clone(), runner, signals));
    provide_context(notices);
    provide_context(site);
    provide_context(reports);
    provide_context(downloading);
    provide_context(runner);
    provide_context(signals);
    provide_context(signals.cursor);
    provide_context(signals.focus);
    provide_context(use_engine(
        startup,
        session.clone(),
        (runner, arena),
        signals,
    ));

    let (leave, open) = recordings(startup, session.clone(), runner, signals, site);
    provide_context(leave);
    provide_context(open);
    provide_context(brought);
    bring_models(session.clone(), brought, signals, notices);
    address_bar.keep(signals, runner, leave);
    run_at_once(signals, reports, runner);
    fill_screen_at_first_press(signals);
    begin(startup, session, signals, open);

    let language = language(signals);
    view! {
        // Every text is asked for when it is drawn: another language draws the page anew.
        {move || {
            speak(language.get());
            view! { <Page/> }
        }}
        <TraceJson/>
    }
}

/// The page's language: what the address says, else the visitor's own, which `start.js` has found.
fn language(signals: PageSignals) -> Memo<Language> {
    let root = document().document_element();
    let of_visitor = root.and_then(|root| root.get_attribute("lang"));
    let of_visitor = of_tag(of_visitor.as_deref().unwrap_or_default());
    let language = Memo::new(move |_| signals.language.get().unwrap_or(of_visitor));
    Effect::new(move |_| {
        if let Some(root) = document().document_element() {
            // Setting an attribute with a valid name cannot fail.
            let _ = root.set_attribute("lang", tag(language.get()));
        }
    });
    language
}

/// How models that visitors bring are opened, shown and forgotten.
fn bring_models(session: Rc<Session>, brought: Brought, signals: PageSignals, notices: Notices) {
    let session = StoredValue::new_local(session);
    let show = move |name: String| {
        let task = tasks::free_text::TASK;
        let is_other_task = signals.task.get_untracked() != task;
        let problem = match is_other_task {
            true => ProblemChoice::first(task),
            false => signals.problem.get_untracked(),
        };
        let state = PageState {
            task,
            problem,
            lanes: brought_lanes(&name),
            play: None,
            ..untrack(|| signals.get())
        };
        signals.set(state);
    };
    let open = move |source: Source| {
        spawn_local(async move {
            match open_model(brought, source).await {
                Ok(Opened { model, manifest }) => {
                    session.get_value().take(&manifest.name, model).await;
                    show(manifest.name);
                }
                Err(error) => notices.show(Topic::Brought, Notice::not_opened(&error)),
            }
        });
    };
    let load = move |name: String| {
        let on_site = brought.on_site.get_value();
        let is_known = brought
            .models
            .with_untracked(|models| models.iter().any(|known| known.name == name));
        match on_site
            .into_iter()
            .find(|model| model.name == name && !is_known)
        {
            Some(model) => open(Source::Site(model)),
            None => show(name),
        }
    };
    let forget = move |name: String| {
        spawn_local(async move {
            brought.forget(&name).await;
            session.get_value().forget(&name).await;
        });
    };
    provide_context(OpenModel(Callback::new(open)));
    provide_context(ShowModel(Callback::new(load)));
    provide_context(ForgetModel(Callback::new(forget)));
}

/// Header and panels.
#[component]
fn Page() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    // A recording or a model that is dropped anywhere on the page opens.
    let taker = Taker::of_page();
    let on_drop = move |event: leptos::ev::DragEvent| {
        event.prevent_default();
        taker.take(event.into());
    };
    let needs_model = Memo::new(move |_| needs_model(signals));
    let needs_model = move || needs_model.get();
    view! {
        <Header/>
        <main
            on:dragover=move |event| event.prevent_default()
            on:drop=on_drop
            class:is-embedded=signals.is_embedded
            class:is-bare=signals.hides_controls
            class:covers-answers=move || signals.covers_answers()
        >
            <Controls/>
            <div class="workbench">
                <UpdateOffer/>
                <PlayingNote/>
                <Messages/>
                <FirstSteps/>
                <Tour/>
                <PredictFirst/>
                <Show when=needs_model>
                    <OpenModelPanel/>
                </Show>
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
            <AnalysisDrawer/>
            <Show when=move || !needs_model()>
                <OpenModelPanel/>
            </Show>
            <ForAClass/>
            <ArenaPanel/>
            <Folded
                panel=Panel::TakeAway
                class="take-away panel"
                testid="take-away"
                title=words().take_away
            />
            <Folded
                panel=Panel::Evidence
                class="evidence panel"
                testid="evidence"
                title=words().evidence
            />
            <Folded
                panel=Panel::Speed
                class="panel"
                testid="device-speed"
                title=words().device_speed
            />
            <Folded panel=Panel::Guide class="guide panel" testid="guide" title=words().guide/>
            <OfflineNote/>
        </main>
    }
}

/// Opens the engines, or the recording that the address names.
fn begin(startup: Startup, session: Rc<Session>, signals: PageSignals, open: OpenRecording) {
    let lanes = signals.lanes.choices_untracked();
    let engine = signals.engine.get_untracked();
    let Some(file) = signals.play.get_untracked() else {
        return spawn_local(startup.start(session, lanes, engine));
    };
    spawn_local(async move {
        match fetch_file(&file).await {
            Ok(bytes) => {
                // What is shown is the link's, whatever was shown when the run was recorded.
                let shown = untrack(|| signals.get()).shown;
                startup.play();
                open.0.run(bytes);
                signals.play.set(Some(file));
                signals.show(shown);
            }
            Err(error) => {
                startup
                    .notices
                    .show(Topic::Run, Notice::bad_recording(&error));
                startup.start(session, lanes, engine).await;
            }
        }
    });
}

/// How a recording is opened and left. Whoever leaves one that was opened by the address opens the
/// engines then.
fn recordings(
    startup: Startup,
    session: Rc<Session>,
    runner: Runner,
    signals: PageSignals,
    site: SiteCatalogue,
) -> (LeaveRecording, OpenRecording) {
    let session = StoredValue::new_local(session);
    let leave = move || {
        runner.playing.set(None);
        runner.reset();
        signals.play.set(None);
        if startup.reports.engine.get_untracked() == EngineReport::Playing {
            let lanes = signals.lanes.choices_untracked();
            let engine = signals.engine.get_untracked();
            spawn_local(startup.start(session.get_value(), lanes, engine));
        }
    };
    let open = move |bytes: Vec<u8>| {
        let opened = Recording::from_bytes(&bytes).map_err(|error| error.to_string());
        let opened = opened.and_then(|recording| {
            let address = &recording.header.address;
            let read = |catalogue: &_| PageState::from_hash(address, catalogue);
            let opened = site.catalogue.with_value(read);
            let state = opened.map_err(|error| error.to_string())?.state;
            let n_lanes = recording.header.lanes.len();
            if state.lanes.len() != n_lanes {
                let found = state.lanes.len();
                return Err(format!(
                    "expected {n_lanes} lanes as were recorded, found {found}"
                ));
            }
            signals.set(state);
            let state = untrack(|| signals.get());
            Playing::new(recording, state).map_err(|error| error.to_string())
        });
        match opened {
            Ok(playing) => {
                startup.notices.clear(Topic::Run);
                runner.play(playing);
            }
            Err(error) => {
                // A page whose engines run goes on with what it has.
                if startup.reports.engine.get_untracked() == EngineReport::Playing {
                    leave();
                }
                startup
                    .notices
                    .show(Topic::Run, Notice::bad_recording(&error));
            }
        }
    };
    (
        LeaveRecording(Callback::new(move |()| leave())),
        OpenRecording(Callback::new(open)),
    )
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

/// Fills the screen with the first press on the page, where the address says so: browsers let
/// nobody but a visitor do that.
fn fill_screen_at_first_press(signals: PageSignals) {
    let was_pressed = StoredValue::new(false);
    let press = window_event_listener(ev::click, move |_| {
        if signals.fills_screen.get_untracked() && !was_pressed.get_value() {
            was_pressed.set_value(true);
            fill_screen();
        }
    });
    on_cleanup(move || press.remove());
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
