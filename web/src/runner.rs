//! Runs the lanes: begins, advances chunk by chunk, and writes each lane's signal once a frame.

use std::{rc::Rc, sync::Arc};

use latent_model::{
    engine::{EngineError, LaneSpec},
    tasks::Task,
    trace::{RanLane, RunJson, answer_ids},
};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    browser::{next_frame, now_ms},
    lanes::{Lane, LaneRun, Lanes},
    load::Download,
    notice::{Notice, Notices},
    pace::Chunk,
    page_state::{LaneChoice, Speed},
    question::Question,
    session::{LaneRecord, Session, SessionError},
    startup::Reports,
    stated::Stated,
};

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunStatus {
    /// Nothing has begun.
    #[default]
    Idle,
    /// Steps are being computed.
    Running,
    /// Begun, and waiting for a button.
    Paused,
    /// Every lane is at its end.
    Done,
}

impl RunStatus {
    /// The status in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
        }
    }
}

/// What is being downloaded, if anything.
#[derive(Clone, Copy)]
pub struct Downloading(pub RwSignal<Option<Download>>);

/// Starts, pauses and resets runs. Copied into every component that has a button.
#[derive(Clone, Copy)]
pub struct Runner {
    session: StoredValue<Rc<Session>, LocalStorage>,
    /// What the lanes are asked.
    pub question: Memo<Question>,
    /// The task that it belongs to.
    pub task: RwSignal<Task>,
    /// The lanes.
    pub lanes: Lanes,
    /// Seed of their random draws.
    pub seed: RwSignal<u32>,
    /// How fast the run is shown.
    pub speed: RwSignal<Speed>,
    /// Where the run stands.
    pub status: RwSignal<RunStatus>,
    /// The finished run as `latent run --json` prints it.
    pub trace_json: RwSignal<String>,
    downloading: Downloading,
    reports: Reports,
    notices: Notices,
    /// Counts resets: work that was begun before a reset is dropped when it comes back.
    epoch: StoredValue<u32>,
    /// The epoch whose loop is alive; a loop that only waits takes up a new start by itself.
    driving: StoredValue<Option<u32>>,
}

impl Runner {
    /// A runner on a session.
    pub fn new(
        session: Rc<Session>,
        question: Memo<Question>,
        stated: Stated,
        downloading: Downloading,
        (reports, notices): (Reports, Notices),
    ) -> Self {
        Self {
            session: StoredValue::new_local(session),
            question,
            task: stated.task,
            lanes: stated.lanes,
            seed: stated.seed,
            speed: stated.speed,
            status: RwSignal::new(RunStatus::Idle),
            trace_json: RwSignal::new(String::new()),
            downloading,
            reports,
            notices,
            epoch: StoredValue::new(0),
            driving: StoredValue::new(None),
        }
    }

    /// Begins, or goes on.
    pub fn run(self) {
        if self.status.get_untracked() == RunStatus::Done {
            self.reset();
        }
        self.start(None);
    }

    /// One step, then pause.
    pub fn step(self) {
        if self.status.get_untracked() == RunStatus::Done {
            self.reset();
        }
        self.start(Some(1));
    }

    /// Stops after the chunk that is under way.
    pub fn pause(self) {
        if self.status.get_untracked() == RunStatus::Running {
            self.status.set(RunStatus::Paused);
        }
    }

    /// Forgets the run.
    pub fn reset(self) {
        self.epoch.update_value(|epoch| *epoch += 1);
        self.status.set(RunStatus::Idle);
        self.trace_json.set(String::new());
        self.lanes.clear_runs();
    }

    fn start(self, n_steps: Option<usize>) {
        let status = self.status.get_untracked();
        if status == RunStatus::Running {
            return;
        }
        self.notices.clear();
        let epoch = self.epoch.get_value();
        let is_driven = self.driving.get_value() == Some(epoch);
        if is_driven && n_steps.is_some() {
            // The chunk that is under way when pause and step are pressed at once is the step.
            return;
        }
        self.status.set(RunStatus::Running);
        if is_driven {
            return;
        }
        self.driving.set_value(Some(epoch));
        spawn_local(async move {
            let outcome = self.drive(status == RunStatus::Idle, n_steps, epoch).await;
            if !self.is_current(epoch) {
                return;
            }
            self.driving.set_value(None);
            if let Err(error) = outcome {
                self.status.set(RunStatus::Idle);
                let session = self.session.get_value();
                self.notices.show(notice(&error, session.uses_gpu()));
            }
        });
    }

    async fn drive(
        self,
        is_new: bool,
        n_steps: Option<usize>,
        epoch: u32,
    ) -> Result<(), SessionError> {
        if is_new {
            self.begin(epoch).await?;
        }
        let mut chunk = Chunk::default();
        while self.is_current(epoch) && self.status.get_untracked() == RunStatus::Running {
            let started_ms = now_ms();
            let speed = self.speed.get_untracked();
            let steps = match (n_steps, speed) {
                (Some(n_steps), _) => n_steps,
                (None, Speed::PerSecond(_)) => 1,
                (None, Speed::Max) => chunk.steps(),
            };
            let records = self.session.get_value().advance(steps).await?;
            let took_ms = now_ms() - started_ms;
            if !self.is_current(epoch) {
                return Ok(());
            }
            chunk = chunk.after(took_ms);
            self.show(&records, took_ms / 1000.0);
            if self.is_finished() {
                self.finish();
            } else if n_steps.is_some() {
                self.status.set(RunStatus::Paused);
            }
            let pause_ms = match speed {
                Speed::PerSecond(rate) => 1000.0 / f64::from(rate),
                Speed::Max => 0.0,
            };
            self.wait_until(started_ms + pause_ms, epoch).await;
        }
        Ok(())
    }

    /// Waits frame by frame, at least one, and no longer than the run goes on: a pause or a step
    /// takes effect at once, however slow the speed is.
    async fn wait_until(self, deadline_ms: f64, epoch: u32) {
        loop {
            next_frame().await;
            let goes_on =
                self.is_current(epoch) && self.status.get_untracked() == RunStatus::Running;
            if !goes_on || now_ms() >= deadline_ms {
                return;
            }
        }
    }

    async fn begin(self, epoch: u32) -> Result<(), SessionError> {
        let session = self.session.get_value();
        let choices = self.lanes.choices_untracked();
        for lane in &choices {
            let on_progress = |download| self.downloading.0.set(Some(download));
            session.checkpoint(&lane.model, on_progress).await?;
        }
        self.downloading.0.set(None);
        self.reports.test(&session, &choices, self.notices).await;
        let (text, seed) = self
            .question
            .with_untracked(|q| (q.text.clone(), self.seed.get_untracked()));
        let specs = session.specs(&text, &choices, seed)?;
        // Let the page show that it runs before the prompt is computed.
        next_frame().await;
        let engines = session.begin(&choices, &specs).await?;
        if self.is_current(epoch) {
            self.prepare_lanes(&session, &choices, &specs, &engines);
        }
        Ok(())
    }

    fn prepare_lanes(
        self,
        session: &Session,
        choices: &[LaneChoice],
        specs: &[LaneSpec],
        engines: &[String],
    ) {
        for (index, lane) in self.lanes.get_untracked().iter().enumerate() {
            let Some(checkpoint) = session.loaded(&choices[index].model) else {
                continue;
            };
            lane.run.set(LaneRun {
                program: Some(Arc::new(specs[index].program.clone())),
                words: checkpoint.words.clone(),
                mean_embedding_norm: checkpoint.mean_embedding_norm,
                engine: engines[index].clone(),
                ..LaneRun::default()
            });
        }
    }

    /// Writes each lane's new records, one write a lane.
    fn show(self, records: &[LaneRecord], took_secs: f64) {
        let session = self.session.get_value();
        let task = self.task.get_untracked();
        for (index, lane) in self.lanes.get_untracked().iter().enumerate() {
            let of_lane = records.iter().filter(|(lane, _)| *lane == index);
            let new: Vec<_> = of_lane.map(|(_, record)| *record).collect();
            let checkpoint = session.loaded(&lane.choice.get_untracked().model);
            let (false, Some(checkpoint)) = (new.is_empty(), checkpoint) else {
                continue;
            };
            lane.run.update(|run| {
                run.records.extend(new);
                run.elapsed_secs += took_secs;
                let Some(program) = run.program.clone() else {
                    return;
                };
                let answer = answer_ids(&run.records, &program);
                run.answer = task.render(&checkpoint.model.tokenizer, &answer);
                if run.is_done() {
                    run.verdict = self
                        .question
                        .with_untracked(|question| question.grade(&run.answer));
                }
            });
        }
    }

    fn is_finished(self) -> bool {
        let lanes = self.lanes.get_untracked();
        lanes
            .iter()
            .all(|lane| lane.run.with_untracked(LaneRun::is_done))
    }

    fn finish(self) {
        self.status.set(RunStatus::Done);
        let json = serde_json::to_string(&self.json());
        // Numbers that JSON cannot hold would have ended the run as a non-finite step.
        self.trace_json
            .set(json.unwrap_or_else(|error| format!("\"{error}\"")));
    }

    /// The run as the command line prints it.
    fn json(self) -> RunJson {
        let session = self.session.get_value();
        let lane_json = |lane: &Lane| {
            let choice = lane.choice.get_untracked();
            let run = lane.run.get_untracked();
            let checkpoint = session.loaded(&choice.model)?;
            let ran = RanLane {
                model: &choice.model,
                tokenizer: &checkpoint.model.tokenizer,
                strategy: choice.strategy.name,
                program: run.program.as_deref()?,
                engine: &run.engine,
                records: &run.records,
            };
            Some(ran.json(run.answer.clone(), run.verdict))
        };
        let lanes = self.lanes.get_untracked();
        RunJson {
            prompt: self
                .question
                .with_untracked(|question| question.text.clone()),
            seed: self.seed.get_untracked(),
            lanes: lanes.iter().filter_map(lane_json).collect(),
        }
    }

    fn is_current(self, epoch: u32) -> bool {
        self.epoch.get_value() == epoch
    }
}

/// What went wrong, and what can be done.
fn notice(error: &SessionError, uses_gpu: bool) -> Notice {
    match error {
        SessionError::Gpu(_) | SessionError::Engine(EngineError::Device(_)) if uses_gpu => {
            Notice::gpu_failed(error)
        }
        SessionError::Load(_) => Notice::new("A checkpoint did not load", error)
            .advice("Check the network and press Run again."),
        SessionError::Prompt(_) => Notice::new("The model cannot read this problem", error)
            .advice("Change the word in the problem's text, then press Run."),
        SessionError::Strategy(_) | SessionError::Engine(_) => {
            Notice::new("A lane cannot run", error)
                .advice("Change the lane's settings or remove it, then press Run.")
        }
        SessionError::Gpu(_) | SessionError::NotBegun => {
            Notice::new("The run stopped", error).advice("Press Run to begin again.")
        }
    }
}
