//! The analysis of a finished run: what would follow other inputs, and what every layer says.
//!
//! A lane is run once more from its start, on an engine of its own, step by step as `latent
//! analyze` does it, and asked at every step. The run on the page is never touched.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use latent_model::{
    analysis::{
        intervention::Interventions,
        lens::{Lens, LensCell, LensMap},
        observe::{ObservedStep, Observer},
    },
    engine::Engine,
    program::Program,
    record::StepRecord,
    reference::Precision,
};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    browser::sleep_ms,
    chunk,
    lanes::{Lane, LaneId},
    page_signals::PageSignals,
    run_state::{RunNumber, RunStatus},
    runner::Runner,
    session::{Checkpoint, Session, SessionError},
    view::looks::position_name,
    words::{fill, words},
};

/// Most tokens that a cell of the lens tells of.
pub const N_TOP: usize = 5;
/// Multiplications of the lens after which the page has the thread again.
const SLICE: usize = 20_000_000;

/// What is fed after a record, as people call it.
pub fn fed_name(record: &StepRecord, program: &Program, word: impl Fn(u32) -> String) -> String {
    let thought = |n: usize| fill(words().position_thought, &[("n", &n.to_string())]);
    position_name(record, program, word, thought)
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AnalysisStatus {
    /// Nobody has asked, or there is no finished run.
    #[default]
    Waiting,
    /// A recording plays: there is no model to ask.
    NotPossible,
    /// Lanes are being asked.
    Looking,
    /// All has been asked that is shown.
    Done,
    /// Why it ended by itself.
    Failed(String),
}

/// What a lane was asked.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The run that it is of.
    pub run: RunNumber,
    /// The logits that the first record was made of, (V).
    pub first: Arc<[f32]>,
    /// One entry for each record but the last.
    pub steps: Vec<Arc<ObservedStep>>,
    /// Whether all steps have been asked about.
    pub is_whole: bool,
    /// The lens over the first of these steps; all of them where somebody looks.
    pub lens: LensMap,
}

impl Looked {
    /// The logits that the record of a step was made of, (V), where they are known.
    pub fn logits(&self, step: u32) -> Option<&[f32]> {
        match step.checked_sub(1) {
            None => Some(&self.first),
            Some(before) => Some(&self.steps.get(before as usize)?.probed.logits),
        }
    }
}

/// Asks about the lanes of the page. Copied into every component that shows something of it.
#[derive(Clone, Copy)]
pub struct Analysis {
    /// How far it is.
    pub status: RwSignal<AnalysisStatus>,
    /// What has been asked so far.
    pub looked: RwSignal<BTreeMap<LaneId, Looked>>,
    /// Tells turns apart: whoever finds another one than its own goes no further.
    turn: StoredValue<u32>,
    session: StoredValue<Rc<Session>, LocalStorage>,
    signals: PageSignals,
}

impl Analysis {
    /// Of the page's lanes; begins when the drawer is open and a run is done, and begins anew with
    /// every other run.
    pub fn new(session: Rc<Session>, runner: Runner, signals: PageSignals) -> Self {
        let analysis = Self {
            status: RwSignal::new(AnalysisStatus::Waiting),
            looked: RwSignal::new(BTreeMap::new()),
            turn: StoredValue::new(0),
            session: StoredValue::new_local(session),
            signals,
        };
        let chosen = Memo::new(move |_| signals.focus.chosen(signals.lanes).map(|lane| lane.id));
        Effect::new(move |_| {
            let is_asked = signals.analysis.get() && runner.status.get() == RunStatus::Done;
            // The lens follows the lane that is looked at.
            chosen.track();
            let is_played = runner.playing.with(Option::is_some);
            untrack(|| analysis.change(is_asked, is_played));
        });
        analysis
    }

    fn change(self, is_asked: bool, is_played: bool) {
        self.turn.update_value(|turn| *turn += 1);
        let turn = self.turn.get_value();
        self.forget_other_runs();
        match (is_asked, is_played) {
            (false, _) => self.status.set(AnalysisStatus::Waiting),
            (true, true) => self.status.set(AnalysisStatus::NotPossible),
            (true, false) => {
                self.status.set(AnalysisStatus::Looking);
                spawn_local(async move {
                    let ended = chunk::look(self, turn).await;
                    if self.is_turn(turn) {
                        self.status.set(match ended {
                            Ok(()) => AnalysisStatus::Done,
                            Err(error) => AnalysisStatus::Failed(error.to_string()),
                        });
                    }
                });
            }
        }
    }

    /// Drops what was asked of lanes that have run again, or are gone.
    fn forget_other_runs(self) {
        let runs: BTreeMap<LaneId, RunNumber> = self
            .signals
            .lanes
            .get_untracked()
            .iter()
            .map(|lane| (lane.id, lane.run.with_untracked(|run| run.run)))
            .collect();
        let is_current =
            |id: &LaneId, looked: &mut Looked| runs.get(id).is_some_and(|run| *run == looked.run);
        self.looked.update(|looked| looked.retain(is_current));
    }

    fn is_turn(self, turn: u32) -> bool {
        self.turn.try_get_value() == Some(turn)
    }

    /// Asks about the lanes of a run, in a turn.
    ///
    /// # Errors
    /// If a lane cannot be run once more.
    pub async fn look(self, turn: u32) -> Result<(), SessionError> {
        let lanes = self.signals.lanes.get_untracked();
        for (index, lane) in lanes.iter().enumerate() {
            let is_whole = |looked: &BTreeMap<LaneId, Looked>| {
                looked.get(&lane.id).is_some_and(|looked| looked.is_whole)
            };
            if self.is_turn(turn) && !self.looked.with_untracked(is_whole) {
                self.ask(turn, index, *lane).await?;
            }
        }
        let chosen = untrack(|| self.signals.focus.chosen(self.signals.lanes));
        if let Some(lane) = chosen {
            self.read_layers(turn, lane).await?;
        }
        Ok(())
    }

    /// Runs a lane once more and asks about each of its steps.
    async fn ask(self, turn: u32, index: usize, lane: Lane) -> Result<(), SessionError> {
        let session = self.session.get_value();
        let treated = session.treated_lane(index).ok_or(SessionError::NotBegun)?;
        let checkpoint = self.checkpoint(lane)?;
        let model = &checkpoint.model;
        let mut engine = session.open_engine(&checkpoint).await?;
        let one = std::slice::from_ref(&treated);
        let mut changes = Interventions::new(&model.config, &model.weights, one);
        let specs = std::slice::from_ref(&treated.0);
        let mut observer = Observer::begin(&mut engine, specs, &[0]).await?;
        let first = observer.next(0).map(|probed| probed.logits.clone());
        let looked = Looked {
            run: lane.run.with_untracked(|run| run.run),
            first: first.unwrap_or_default().into(),
            steps: Vec::new(),
            is_whole: false,
            lens: LensMap::new(model.config.n_layers),
        };
        if !self.is_turn(turn) {
            return Ok(());
        }
        self.looked.update(|all| {
            all.insert(lane.id, looked);
        });
        loop {
            let records = engine.advance(1).await?;
            changes.apply(&mut engine, &records).await?;
            let steps = observer.ask(&mut engine, &records, None).await?;
            if !self.is_turn(turn) {
                return Ok(());
            }
            let is_over = records.is_empty();
            self.update(lane.id, |looked| {
                let steps = steps.into_iter().map(|(_, step)| Arc::new(step));
                looked.steps.extend(steps);
                looked.is_whole = is_over;
            });
            if is_over {
                return Ok(());
            }
            sleep_ms(0.0).await;
        }
    }

    /// What every layer says at each step of a lane that was asked, a few layers at a time.
    async fn read_layers(self, turn: u32, lane: Lane) -> Result<(), SessionError> {
        let checkpoint = self.checkpoint(lane)?;
        let model = &checkpoint.model;
        let lens = Lens::new(&model.config, &model.weights, Precision::Fast);
        let of_layer = model.config.vocab_size * model.config.hidden_size;
        let mut since_pause = 0;
        loop {
            let next = |all: &BTreeMap<LaneId, Looked>| {
                let looked = all.get(&lane.id)?;
                looked.steps.get(looked.lens.positions.len()).cloned()
            };
            let Some(step) = self.looked.with_untracked(next) else {
                return Ok(());
            };
            let mut by_layer = Vec::new();
            for state in &step.probed.layers {
                by_layer.push(lens.logits(state));
                since_pause += of_layer;
                if since_pause > SLICE {
                    since_pause = 0;
                    sleep_ms(0.0).await;
                }
            }
            if !self.is_turn(turn) {
                return Ok(());
            }
            let name = self.position_name(lane, step.step);
            self.update(lane.id, |looked| looked.lens.push(&name, &by_layer, N_TOP));
        }
    }

    fn position_name(self, lane: Lane, step: u32) -> String {
        lane.run.with_untracked(|run| {
            let program = run.program.as_ref();
            let record = run.records.get(step as usize);
            let named = program.zip(record);
            let named = named.map(|(program, record)| fed_name(record, program, |id| run.word(id)));
            named.unwrap_or_default()
        })
    }

    /// A token's probability after every layer at a position of a lane, T = 1; `None` where that
    /// has not been asked.
    pub fn trajectory(self, lane: Lane, position: usize, id: u32) -> Option<Vec<f64>> {
        let checkpoint = self.checkpoint(lane).ok()?;
        let model = &checkpoint.model;
        let lens = Lens::new(&model.config, &model.weights, Precision::Fast);
        self.looked.with(|all| {
            let looked = all.get(&lane.id)?;
            let states = &looked.steps.get(position)?.probed.layers;
            let at = |(state, cells): (&Vec<f32>, &Vec<LensCell>)| {
                let first = cells.get(position)?.top.first()?;
                Some(lens.probability(state, *first, id))
            };
            states.iter().zip(&looked.lens.cells).map(at).collect()
        })
    }

    fn update(self, id: LaneId, change: impl FnOnce(&mut Looked)) {
        self.looked.update(|all| {
            if let Some(looked) = all.get_mut(&id) {
                change(looked);
            }
        });
    }

    fn checkpoint(self, lane: Lane) -> Result<Arc<Checkpoint>, SessionError> {
        let session = self.session.get_value();
        let name = lane.choice.with_untracked(|choice| choice.model.clone());
        session.loaded(&name).ok_or(SessionError::NotBegun)
    }
}
