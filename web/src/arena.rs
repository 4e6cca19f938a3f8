//! The arena: every lane on many problems, a batch at a time, on engines of its own.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use futures::lock::Mutex;
use latent_gpu::AnyEngine;
use latent_model::{
    engine::{Engine, Renewable},
    evaluation::{BATCH, Evaluator, Trials, generated_problems},
};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    browser::{now_ms, sleep_ms},
    page_signals::PageSignals,
    session::{Checkpoint, Session, SessionError},
    startup::Startup,
    view::score::{Row, Trial, entrants},
};

/// Runs of a batch on the page's own thread: more of them would hold it up for too long.
const CPU_BATCH: usize = 2;

/// Most thoughts of a sweep.
pub const MOST_THOUGHTS: u32 = 8;

/// Where the arena stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArenaStatus {
    /// Nothing has begun.
    #[default]
    Idle,
    /// Runs are being computed.
    Running,
    /// Begun, and waiting for a button.
    Stopped,
    /// All runs are done.
    Done,
}

/// Starts, stops and goes on with the arena. Copied into every component that has a button.
#[derive(Clone, Copy)]
pub struct Arena {
    /// Where it stands.
    pub status: RwSignal<ArenaStatus>,
    /// What has been counted so far, and of what.
    pub rows: RwSignal<Vec<Row>>,
    /// What all rows have in common; `None` before it was ever started.
    pub trial: RwSignal<Option<Trial>>,
    /// Why it stopped by itself.
    pub failure: RwSignal<Option<String>>,
    /// Tells turns apart: whoever finds another one than its own goes no further.
    turn: StoredValue<u32>,
    work: StoredValue<Rc<Mutex<Work>>, LocalStorage>,
    session: StoredValue<Rc<Session>, LocalStorage>,
    signals: PageSignals,
    startup: Startup,
}

/// What is computed with.
#[derive(Default)]
struct Work {
    contests: Vec<Contest>,
    /// By checkpoint.
    engines: BTreeMap<String, Renewable<AnyEngine>>,
}

/// One row's evaluation, with its checkpoint.
struct Contest {
    evaluator: Evaluator,
    checkpoint: Arc<Checkpoint>,
    model: String,
}

impl Arena {
    /// An arena on the page's session.
    pub fn new(session: Rc<Session>, signals: PageSignals, startup: Startup) -> Self {
        Self {
            status: RwSignal::new(ArenaStatus::Idle),
            rows: RwSignal::new(Vec::new()),
            trial: RwSignal::new(None),
            failure: RwSignal::new(None),
            turn: StoredValue::new(0),
            work: StoredValue::new_local(Rc::default()),
            session: StoredValue::new_local(session),
            signals,
            startup,
        }
    }

    /// Begins anew with the page's lanes as they are now.
    pub fn start(self, trial: Trial, sweeps: bool) {
        let lanes = self.signals.lanes.get_untracked();
        let mut rows = Vec::new();
        for (lane, number) in lanes.iter().zip(1..) {
            let choice = lane.choice.get_untracked();
            let choices = entrants(&choice, sweeps.then_some(MOST_THOUGHTS));
            rows.extend(choices.into_iter().map(|choice| Row {
                lane: number,
                colour: lane.colour,
                choice,
                engine: String::new(),
                is_on_gpu: false,
                n_runs: trial.n * trial.samples,
                n_done: 0,
                n_right: 0,
                evaluation: None,
                seconds: 0.0,
            }));
        }
        self.trial.set(Some(trial));
        self.rows.set(rows.clone());
        let turn = self.begin_turn();
        spawn_local(async move {
            let prepared = self.prepare(turn, trial, &rows).await;
            match prepared {
                Ok(contests) => {
                    let work = self.work.get_value();
                    work.lock().await.contests = contests;
                    self.go_on(turn).await;
                }
                Err(error) => self.fail(turn, &error),
            }
        });
    }

    /// No further batch; the one under way still counts.
    pub fn stop(self) {
        if self.status.get_untracked() == ArenaStatus::Running {
            self.turn.update_value(|turn| *turn += 1);
            self.status.set(ArenaStatus::Stopped);
        }
    }

    /// Goes on where it stopped.
    pub fn resume(self) {
        let turn = self.begin_turn();
        spawn_local(self.go_on(turn));
    }

    fn begin_turn(self) -> u32 {
        self.turn.update_value(|turn| *turn += 1);
        self.status.set(ArenaStatus::Running);
        self.failure.set(None);
        self.turn.get_value()
    }

    fn is_turn(self, turn: u32) -> bool {
        self.turn.try_get_value() == Some(turn)
    }

    fn fail(self, turn: u32, error: &SessionError) {
        if self.is_turn(turn) {
            self.failure.set(Some(error.to_string()));
            self.status.set(ArenaStatus::Stopped);
        }
    }

    async fn prepare(
        self,
        turn: u32,
        trial: Trial,
        rows: &[Row],
    ) -> Result<Vec<Contest>, SessionError> {
        let session = self.session.get_value();
        let Trial {
            task,
            difficulty,
            n,
            samples,
            seed,
        } = trial;
        let problems = generated_problems(task, difficulty, seed.into(), n);
        let mut contests = Vec::new();
        for row in rows {
            if !self.is_turn(turn) {
                break;
            }
            let choice = &row.choice;
            let model = choice.model.clone();
            let downloading = self.startup.downloading;
            let checkpoint = session.checkpoint(&model, downloading).await?;
            // Nothing is counted of a GPU that was not tested.
            self.startup.test(&session, &model).await;
            let (tokenizer, parts) = (&checkpoint.model.tokenizer, checkpoint.model.capabilities());
            let program = choice.program(tokenizer, parts)?;
            let trials = Trials {
                program: &program,
                problems: &problems,
                samples,
                seed,
            };
            contests.push(Contest {
                evaluator: Evaluator::new(tokenizer, trials)?,
                checkpoint,
                model,
            });
        }
        Ok(contests)
    }

    async fn go_on(self, turn: u32) {
        while self.is_turn(turn) {
            let shared = self.work.get_value();
            let mut work = shared.lock().await;
            if !self.is_turn(turn) {
                return;
            }
            let session = self.session.get_value();
            match work.next() {
                None => {
                    work.engines.clear();
                    self.status.set(ArenaStatus::Done);
                    return;
                }
                Some(index) => match work.advance(index, &session).await {
                    Ok(batch) => self.count(index, &work.contests[index].evaluator, batch),
                    Err(error) => return self.fail(turn, &error),
                },
            }
            drop(work);
            // The page has the thread between two batches, and a hidden page goes on.
            sleep_ms(0.0).await;
        }
    }

    fn count(self, index: usize, evaluator: &Evaluator, batch: Batch) {
        let _ = self.rows.try_update(|rows| {
            // Another start may have put other rows there.
            if let Some(row) = rows
                .get_mut(index)
                .filter(|row| row.n_runs == evaluator.n_runs())
            {
                row.n_done = evaluator.n_done();
                row.n_right = evaluator.n_right();
                row.evaluation = evaluator.evaluation();
                row.seconds += batch.seconds;
                row.engine = batch.engine;
                row.is_on_gpu = batch.is_on_gpu;
            }
        });
    }
}

/// Of a batch that has run.
struct Batch {
    seconds: f64,
    engine: String,
    is_on_gpu: bool,
}

impl Work {
    /// The contest that is least far, unless all are done.
    fn next(&self) -> Option<usize> {
        let open = self.contests.iter().enumerate();
        let open = open.filter(|(_, c)| c.evaluator.n_done() < c.evaluator.n_runs());
        open.min_by_key(|(_, contest)| contest.evaluator.n_done())
            .map(|(index, _)| index)
    }

    async fn advance(&mut self, index: usize, session: &Session) -> Result<Batch, SessionError> {
        let Self { contests, engines } = self;
        let Contest {
            evaluator,
            checkpoint,
            model,
        } = &mut contests[index];
        // The visitor may have chosen another engine meanwhile.
        let uses_gpu = session.uses_gpu();
        engines.retain(|_, engine| matches!(engine.engine(), AnyEngine::Gpu(_)) == uses_gpu);
        if !engines.contains_key(model) {
            let engine = session.open_engine(checkpoint).await?;
            engines.insert(model.clone(), engine);
        }
        let engine = engines.get_mut(model).ok_or(SessionError::NotBegun)?;
        let is_on_gpu = matches!(engine.engine(), AnyEngine::Gpu(_));
        let n_runs = if is_on_gpu { BATCH } else { CPU_BATCH };
        let started_ms = now_ms();
        evaluator
            .advance(engine, &checkpoint.model.tokenizer, n_runs)
            .await?;
        Ok(Batch {
            seconds: (now_ms() - started_ms) / 1e3,
            engine: engine.description(),
            is_on_gpu,
        })
    }
}
