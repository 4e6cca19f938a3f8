//! Does what a run's state machine says: computes, waits and writes each lane's signal.

use std::{cell::OnceCell, collections::BTreeMap, rc::Rc, sync::Arc};

use latent_model::{
    address::LaneChoice,
    catalogue::folder_and_adapters,
    model::Model,
    program::Program,
    recording::{Header, RecordedLane, Recording},
    tasks::Picture,
    tokenizer::{TextStream, Tokenizer},
    trace::{LaneJson, RanLane, RunJson},
};
use leptos::{
    prelude::*,
    task::{spawn_local, tick},
};

use crate::{
    browser::{next_frame, now_ms, sleep_until},
    lanes::{Lane, LaneRun},
    load::Downloading,
    notice::{Notice, Notices, Topic},
    page_signals::PageSignals,
    page_state::PageState,
    playback::Playing,
    question::Question,
    run_state::{Command, Event, LaneRecord, RunNumber, RunState, RunStatus},
    session::{Begun, Checkpoint, Session, SessionError},
    startup::Reports,
    take_away::file_digest,
};

/// Starts, pauses and resets runs. Copied into every component that has a button.
#[derive(Clone, Copy)]
pub struct Runner {
    /// Where the run stands.
    pub status: RwSignal<RunStatus>,
    /// The finished run as `latent run --json` prints it.
    pub trace_json: RwSignal<String>,
    /// The recording that plays in place of an engine.
    pub playing: RwSignal<Option<Playing>>,
    state: StoredValue<RunState>,
    /// What the run is of, as it was when it began.
    plan: StoredValue<Option<Rc<Plan>>, LocalStorage>,
    signals: PageSignals,
    session: StoredValue<Rc<Session>, LocalStorage>,
    downloading: Downloading,
    reports: Reports,
    notices: Notices,
}

/// What a run is of, whatever the page is changed to meanwhile.
struct Plan {
    question: Question,
    seed: u32,
    lanes: Vec<Lane>,
    choices: Vec<LaneChoice>,
    /// Each lane's, once they are loaded.
    voices: OnceCell<Vec<Voice>>,
}

/// What a lane's answer is rendered with.
enum Voice {
    /// The checkpoint that runs.
    Checkpoint(Arc<Checkpoint>),
    /// The tokenizer of what was recorded.
    Recorded(Arc<Tokenizer>),
}

impl Voice {
    fn tokenizer(&self) -> &Tokenizer {
        match self {
            Self::Checkpoint(checkpoint) => &checkpoint.model.tokenizer,
            Self::Recorded(tokenizer) => tokenizer,
        }
    }
}

impl Runner {
    /// A runner on a session.
    pub fn new(
        session: Rc<Session>,
        signals: PageSignals,
        downloading: Downloading,
        (reports, notices): (Reports, Notices),
    ) -> Self {
        let runner = Self {
            status: RwSignal::new(RunStatus::Idle),
            trace_json: RwSignal::new(String::new()),
            playing: RwSignal::new(None),
            state: StoredValue::new(RunState::new(signals.speed.get_untracked())),
            plan: StoredValue::new_local(None),
            signals,
            session: StoredValue::new_local(session),
            downloading,
            reports,
            notices,
        };
        Effect::new(move |_| runner.on(Event::Speed(signals.speed.get())));
        runner
    }

    /// Begins, or goes on, or begins again.
    pub fn run(self) {
        self.on(Event::Run);
    }

    /// Begins once the page has taken up what was just changed, which forgets the run before.
    pub fn run_when_changed(self) {
        spawn_local(async move {
            tick().await;
            self.run();
        });
    }

    /// One step, then pause.
    pub fn step(self) {
        self.on(Event::Step);
    }

    /// Stops after the chunk that is under way.
    pub fn pause(self) {
        self.on(Event::Pause);
    }

    /// Forgets the run.
    pub fn reset(self) {
        self.on(Event::Reset);
    }

    /// Puts a recording in place of an engine.
    pub fn play(self, playing: Playing) {
        self.reset();
        self.playing.set(Some(playing));
    }

    /// The finished run as a file; nothing before a run is done. Computes the digests of the
    /// weights' files, which the browser has at hand.
    pub async fn recording(self) -> Option<Vec<u8>> {
        let plan = self.plan.get_value()?;
        let mut lanes = Vec::new();
        let mut records = Vec::new();
        // Lanes of one model share its digest: the file may be large.
        let mut digests: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for (lane, choice) in plan.lanes.iter().zip(&plan.choices) {
            let run = lane.run.get_untracked();
            if !run.is_done() {
                return None;
            }
            let recorded = match self.playing.get_untracked() {
                Some(playing) => playing.recording.header.lanes.get(lanes.len())?.clone(),
                None => {
                    let of_lane = plan.voices.get()?.get(lanes.len())?;
                    let tokenizer = of_lane.tokenizer();
                    let is_text = plan.question.task.picture() == Picture::Text;
                    let model = choice.model.as_str();
                    let digest = match digests.get(model) {
                        Some(known) => known.clone(),
                        None => self.digest(model, is_text).await,
                    };
                    digests.insert(model, digest.clone());
                    RecordedLane {
                        texts: if is_text {
                            texts(&run, tokenizer)
                        } else {
                            Vec::new()
                        },
                        ..recorded_lane(&run, &choice.model, digest)?
                    }
                }
            };
            lanes.push(recorded);
            records.push(run.records);
        }
        let state = PageState {
            play: None,
            ..untrack(|| self.signals.get())
        };
        let header = Header {
            version: env!("CARGO_PKG_VERSION").into(),
            address: state.hash(),
            prompt: plan.question.text.clone(),
            lanes,
        };
        Recording { header, records }.to_bytes().ok()
    }

    /// SHA-256 of a checkpoint's weights: of what a visitor brought, or of the site's.
    async fn digest(self, model: &str, is_brought: bool) -> Option<String> {
        if is_brought {
            return self.session.get_value().brought().digest(model).await;
        }
        let (folder, _) = folder_and_adapters(model);
        file_digest(&format!("models/{folder}/model.safetensors")).await
    }

    /// Steps of the recording that plays, and how long they took; `None` where none does.
    fn played(self, n_steps: usize) -> Option<(Vec<LaneRecord>, f64)> {
        let playing = self.playing.get_untracked()?;
        let plan = self.plan.get_value()?;
        let next = |lane: &Lane| lane.run.with_untracked(LaneRun::last_step);
        let last = plan.lanes.iter().filter_map(next).max();
        let records = playing.records(last.map_or(0, |step| step + 1), n_steps);
        let n_steps = n_steps.min(records.len());
        Some((records, 1e3 * playing.seconds_a_step() * n_steps as f64))
    }

    fn on(self, event: Event) {
        let on_event = |state: &mut RunState| (state.on(event), state.status());
        // A page that is closing has no state any more.
        let Some((commands, status)) = self.state.try_update_value(on_event) else {
            return;
        };
        for command in commands {
            self.obey(command);
        }
        if self.status.get_untracked() != status {
            self.status.set(status);
        }
    }

    fn obey(self, command: Command) {
        match command {
            Command::Begin(run) => {
                let plan = Rc::new(Plan::new(self.signals));
                self.plan.set_value(Some(plan.clone()));
                spawn_local(async move {
                    let begun = self.begin(run, &plan).await;
                    self.on(match begun {
                        Ok(lanes) => Event::Begun { run, lanes },
                        Err(error) => self.failed(run, &error),
                    });
                });
            }
            Command::Advance { run, n_steps } => spawn_local(async move {
                if let Some((records, took_ms)) = self.played(n_steps) {
                    return self.on(Event::Advanced {
                        run,
                        records,
                        took_ms,
                    });
                }
                let started_ms = now_ms();
                let advanced = self.session.get_value().advance(n_steps).await;
                let took_ms = now_ms() - started_ms;
                self.on(match advanced {
                    Ok(records) => Event::Advanced {
                        run,
                        records,
                        took_ms,
                    },
                    Err(error) => self.failed(run, &error),
                });
            }),
            Command::Sleep { nap, duration_ms } => spawn_local(async move {
                sleep_until(now_ms() + duration_ms).await;
                self.on(Event::Woken(nap));
            }),
            Command::Clear => {
                self.trace_json.set(String::new());
                self.signals.is_revealed.set(false);
                self.signals.lanes.clear_runs();
                if let Some(plan) = self.plan.get_value() {
                    plan.show(vec![LaneRun::default(); plan.lanes.len()]);
                }
                self.plan.set_value(None);
            }
            Command::ClearNotice => self.notices.clear(Topic::Run),
            Command::Show(notice) => self.notices.show(Topic::Run, notice),
            Command::Prepare(lanes) => {
                if let Some(plan) = self.plan.get_value() {
                    plan.show(lanes);
                }
            }
            Command::Append { records, took_secs } => {
                if let Some(plan) = self.plan.get_value() {
                    plan.append(&records, took_secs);
                }
            }
            Command::Finish => {
                let run = self.plan.get_value().map(|plan| plan.json());
                // Numbers that JSON cannot hold would have ended the run as a non-finite step.
                let json = run.map(|run| serde_json::to_string(&run));
                let text = json.map(|json| json.unwrap_or_else(|error| format!("\"{error}\"")));
                self.trace_json.set(text.unwrap_or_default());
            }
        }
    }

    fn failed(self, run: RunNumber, error: &SessionError) -> Event {
        let uses_gpu = self.session.get_value().uses_gpu();
        let notice = Notice::run_failed(error, uses_gpu);
        Event::Failed { run, notice }
    }

    async fn begin(self, run: RunNumber, plan: &Plan) -> Result<Vec<LaneRun>, SessionError> {
        if let Some(playing) = self.playing.get_untracked() {
            let voice = || Voice::Recorded(playing.tokenizer.clone());
            let _ = plan
                .voices
                .set(plan.lanes.iter().map(|_| voice()).collect());
            return Ok(playing.lanes(run));
        }
        let session = self.session.get_value();
        session.retain(&plan.choices).await;
        let mut checkpoints = Vec::new();
        for lane in &plan.choices {
            if !self.state.with_value(|state| state.is_current(run)) {
                // Nobody waits for it any more, and there may be much to download.
                return Err(SessionError::NotBegun);
            }
            checkpoints.push(session.checkpoint(&lane.model, self.downloading).await?);
        }
        let Plan { choices, .. } = plan;
        let names: Vec<&str> = choices.iter().map(|lane| &*lane.model).collect();
        self.reports.test(&session, &names, self.notices).await;
        // Let the page show that it runs before the prompt is computed.
        next_frame().await;
        let begun = session.begin(&plan.question, choices, plan.seed).await?;
        let lanes = begun.into_iter().zip(&checkpoints);
        let lanes = lanes.map(|(Begun { program, engine }, checkpoint)| LaneRun {
            run,
            stands_for: stands_for(&program, &checkpoint.model, &plan.question),
            program: Some(Arc::new(program)),
            words: checkpoint.words.clone(),
            mean_embedding_norm: checkpoint.mean_embedding_norm,
            engine,
            ..LaneRun::default()
        });
        let lanes = lanes.collect();
        // A plan begins once.
        let voices = checkpoints.into_iter().map(Voice::Checkpoint);
        let _ = plan.voices.set(voices.collect());
        Ok(lanes)
    }
}

/// A lane as its recording's header tells of it; `None` for one that has not begun.
fn recorded_lane(run: &LaneRun, model: &str, digest: Option<String>) -> Option<RecordedLane> {
    let tokens = RecordedLane::tokens(&run.records).chain(run.stands_for.iter().copied());
    Some(RecordedLane {
        model: model.into(),
        model_sha256: digest,
        program: run.program.as_deref()?.clone(),
        engine: run.engine.clone(),
        seconds: run.elapsed_secs,
        mean_embedding_norm: run.mean_embedding_norm,
        stands_for: run.stands_for.to_vec(),
        words: tokens.map(|id| (id, run.word(id))).collect(),
        texts: Vec::new(),
        answer: run.answer.clone(),
        n_records: run.records.len(),
    })
}

/// What each record of a run adds to its text.
fn texts(run: &LaneRun, tokenizer: &Tokenizer) -> Vec<String> {
    let mut stream = TextStream::default();
    let records = run.records.iter();
    records
        .map(
            |record| match tokenizer.end_tokens().contains(&record.token) {
                true => String::new(),
                false => stream.push(tokenizer, record.token),
            },
        )
        .collect()
}

/// What the contemplation tokens of a program stand for in a question's solution.
fn stands_for(program: &Program, model: &Model, question: &Question) -> Arc<[u32]> {
    let contemplates = program.contemplation_phase().is_some();
    let spec = model.capabilities().contemplation.filter(|_| contemplates);
    match (spec, &question.problem) {
        (Some(spec), Ok(problem)) => spec.kept_tokens(problem).into(),
        _ => Arc::default(),
    }
}

impl Plan {
    fn new(signals: PageSignals) -> Self {
        Self {
            question: signals.question.get_untracked(),
            seed: signals.seed.get_untracked(),
            lanes: signals.lanes.get_untracked(),
            choices: signals.lanes.choices_untracked(),
            voices: OnceCell::new(),
        }
    }

    fn show(&self, runs: Vec<LaneRun>) {
        for (lane, run) in self.lanes.iter().zip(runs) {
            lane.run.set(run);
        }
    }

    /// Writes each lane's new records, one write a lane.
    fn append(&self, records: &[LaneRecord], took_secs: f64) {
        let voices = self.voices.get().into_iter().flatten();
        for (index, (lane, voice)) in self.lanes.iter().zip(voices).enumerate() {
            let of_lane = records.iter().filter(|(lane, _)| *lane == index);
            let new: Vec<_> = of_lane.map(|(_, record)| *record).collect();
            if !new.is_empty() {
                let tokenizer = voice.tokenizer();
                lane.run
                    .update(|run| run.append(&new, took_secs, &self.question, tokenizer));
            }
        }
    }

    /// The run as the command line prints it.
    fn json(&self) -> RunJson {
        let voices = self.voices.get().into_iter().flatten();
        let lanes = self.lanes.iter().zip(&self.choices).zip(voices);
        let lanes = lanes.filter_map(|((lane, choice), voice)| {
            lane.run
                .with_untracked(|run| lane_json(run, choice, voice.tokenizer()))
        });
        RunJson {
            prompt: self.question.text.clone(),
            seed: self.seed,
            lanes: lanes.collect(),
        }
    }
}

/// `None` for a lane that has not begun.
fn lane_json(run: &LaneRun, choice: &LaneChoice, tokenizer: &Tokenizer) -> Option<LaneJson> {
    let ran = RanLane {
        model: &choice.model,
        tokenizer,
        strategy: choice.strategy.name,
        program: run.program.as_deref()?,
        engine: &run.engine,
        records: &run.records,
    };
    Some(ran.json(run.answer.clone(), run.verdict))
}
