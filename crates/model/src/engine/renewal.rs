//! An engine that goes on after its device is gone: on a new one, from the inputs that it recorded.

use std::{future::Future, pin::Pin};

use super::{Engine, EngineError, LaneCursor, LaneSpec, Patch, WatchedStep};
use crate::{
    config::ModelConfig,
    input::{Input, InputKind},
    record::StepRecord,
    reference::LayerStates,
};

/// Makes the next engine of the same checkpoint, told why the last one ended; an error of it ends
/// the run, and it must come to one, or to an engine that has no device.
pub type Renew<E> =
    Box<dyn FnMut(EngineError) -> Pin<Box<dyn Future<Output = Result<E, EngineError>>>>>;

/// What was asked of an engine since its run began, in order.
#[derive(Clone, Debug)]
enum Asked {
    /// Steps, each with its records.
    Steps(Vec<Vec<StepRecord>>),
    /// A step with patches.
    Watched(Vec<Patch>, Vec<StepRecord>),
    /// Lanes were put elsewhere.
    Cursors(Vec<LaneCursor>),
}

/// An engine, the run that is under way on it, and how to get another one.
///
/// When the device is lost ([`EngineError::DeviceLost`]), the next engine is given the run's lanes
/// and is taken through it again: every step is computed, and what it feeds is the token or the
/// mixture that was fed before (hidden states are what the new engine makes of them). Then the call
/// that failed is made once more. So whoever calls sees a run that goes on with the same tokens, or
/// an error that says where the new engine would have gone another way.
pub struct Renewable<E> {
    engine: E,
    renew: Renew<E>,
    lanes: Vec<LaneSpec>,
    asked: Vec<Asked>,
}

impl<E: Engine> Renewable<E> {
    /// `engine` for now, and `renew` for when it is lost.
    pub fn new(engine: E, renew: Renew<E>) -> Self {
        Self {
            engine,
            renew,
            lanes: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The engine of now.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// The same, to be asked what is no part of a run.
    pub fn engine_mut(&mut self) -> &mut E {
        &mut self.engine
    }

    /// Another engine in the place of the lost one, where the run stood; the next one where that is
    /// lost, too.
    async fn renewed(&mut self, mut lost: EngineError) -> Result<(), EngineError> {
        loop {
            self.engine = (self.renew)(lost).await?;
            match self.taken_up().await {
                Err(again @ EngineError::DeviceLost(_)) => lost = again,
                other => return other,
            }
        }
    }

    /// Takes the engine through the run.
    async fn taken_up(&mut self) -> Result<(), EngineError> {
        if self.lanes.is_empty() {
            return Ok(());
        }
        self.engine.begin(&self.lanes).await?;
        for asked in &self.asked {
            match asked {
                Asked::Cursors(cursors) => self.engine.set_cursors(cursors)?,
                Asked::Steps(steps) => {
                    for records in steps {
                        let found = self.engine.advance(1).await?;
                        follow(&mut self.engine, found, records).await?;
                    }
                }
                Asked::Watched(patches, records) => {
                    let found = self.engine.advance_watched(patches).await?;
                    follow(&mut self.engine, found.records, records).await?;
                }
            }
        }
        Ok(())
    }
}

/// After a step was computed again, feeds what `recorded` says of it.
async fn follow<E: Engine>(
    engine: &mut E,
    found: Vec<StepRecord>,
    recorded: &[StepRecord],
) -> Result<(), EngineError> {
    if found == recorded {
        return Ok(());
    }
    let mut cursors = engine.cursors().await?;
    for record in recorded {
        let (lane, step) = (record.lane, record.step);
        let twin = found.iter().find(|found| found.lane == lane).map(place_of);
        // Another token is put right; another kind of input, phase or end is another run.
        if twin != Some(place_of(record)) {
            return Err(EngineError::OtherRun { lane, step });
        }
        let cursor = cursors.iter_mut().find(|cursor| cursor.state.lane == lane);
        let Some(cursor) = cursor else { continue };
        match record.input_kind() {
            InputKind::Token => cursor.input = Some(Input::Token(record.token)),
            InputKind::Concept => {
                let mixture = record.kept().map(|kept| (kept.id, kept.weight));
                cursor.input = Some(Input::Mixture(mixture.collect()));
            }
            InputKind::Hidden | InputKind::None => {}
        }
    }
    engine.set_cursors(&cursors)
}

/// Where a step was, and what kind of input came of it.
fn place_of(record: &StepRecord) -> [u32; 5] {
    let StepRecord {
        position,
        phase,
        phase_step,
        input,
        flags,
        ..
    } = *record;
    [position, phase, phase_step, input, flags]
}

/// The steps of records that come ordered by step, then lane.
fn steps_of(records: &[StepRecord]) -> Vec<Vec<StepRecord>> {
    let mut steps: Vec<Vec<StepRecord>> = Vec::new();
    for record in records {
        // A lane comes once a step, whatever its own step is.
        match steps.last_mut() {
            Some(step) if step.last().is_some_and(|last| last.lane < record.lane) => {
                step.push(*record);
            }
            _ => steps.push(vec![*record]),
        }
    }
    steps
}

/// Calls the engine, and again on another one where the device is lost.
macro_rules! lasting {
    ($this:ident, $call:expr) => {
        loop {
            match $call {
                Err(lost @ EngineError::DeviceLost(_)) => $this.renewed(lost).await?,
                other => break other,
            }
        }
    };
}

impl<E: Engine> Engine for Renewable<E> {
    fn config(&self) -> &ModelConfig {
        self.engine.config()
    }

    fn description(&self) -> String {
        self.engine.description()
    }

    async fn begin(&mut self, lanes: &[LaneSpec]) -> Result<(), EngineError> {
        self.lanes.clear();
        self.asked.clear();
        let begun = lasting!(self, self.engine.begin(lanes).await);
        if begun.is_ok() {
            self.lanes = lanes.to_vec();
        }
        begun
    }

    async fn advance(&mut self, n_steps: usize) -> Result<Vec<StepRecord>, EngineError> {
        let records = lasting!(self, self.engine.advance(n_steps).await)?;
        self.asked.push(Asked::Steps(steps_of(&records)));
        Ok(records)
    }

    async fn advance_watched(&mut self, patches: &[Patch]) -> Result<WatchedStep, EngineError> {
        let step = lasting!(self, self.engine.advance_watched(patches).await)?;
        let asked = Asked::Watched(patches.to_vec(), step.records.clone());
        self.asked.push(asked);
        Ok(step)
    }

    fn set_cursors(&mut self, cursors: &[LaneCursor]) -> Result<(), EngineError> {
        self.engine.set_cursors(cursors)?;
        self.asked.push(Asked::Cursors(cursors.to_vec()));
        Ok(())
    }

    async fn cursors(&mut self) -> Result<Vec<LaneCursor>, EngineError> {
        lasting!(self, self.engine.cursors().await)
    }

    async fn peek(&mut self, cursors: &[LaneCursor]) -> Result<LayerStates, EngineError> {
        lasting!(self, self.engine.peek(cursors).await)
    }
}
