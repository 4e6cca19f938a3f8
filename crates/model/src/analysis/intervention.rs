//! Interventions: the input that follows a step is changed before it is fed.
//!
//! Readings of thoughts have been fooled: frontiers that look like a breadth-first search are also
//! found in controls without recurrence (arXiv 2606.12689). What a thought is for is told by
//! taking it away.

use std::sync::Arc;

use crate::{
    checkpoint::Weights,
    config::ModelConfig,
    engine::{Engine, EngineError, LaneCursor, LaneSpec, checks::check_input},
    input::{Input, InputKind},
    program::Program,
    record::{StepRecord, flag},
    reference::{Forward, Precision},
    rng::{normal, pcg4d},
    trace::{StepKind, step_kind},
};

/// Third and fourth word of the keys of noise and of shuffles, so that neither repeats the other.
const NOISE: u32 = 1;
const SHUFFLE: u32 = 2;

/// What becomes of an input. A token or a mixture is taken as the vector that it stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A vector of zeros.
    Zero,
    /// x + `relative` · rms(x) · g with g ~ N(0, I): noise of `relative` times the input's norm.
    Noise {
        /// Size of the noise in units of the input's own.
        relative: f32,
        /// Seed of g, which also depends on the step.
        seed: u32,
    },
    /// The same numbers in another order: norm and values stay, the direction is lost.
    Shuffle {
        /// Seed of the order, which also depends on the step.
        seed: u32,
    },
    /// What was fed before, once more; at a lane's first step, the last of what it is given.
    Freeze,
    /// The token of the row of the embedding table at the smallest angle to the input.
    Nearest,
    /// Another input: another run's at its step, or a mixture with weights set by hand.
    Replace(Input),
    /// A word in place of what was chosen. A word at which the phase stops ends it, unless it is
    /// the last one; where the model had chosen to stop, any other word undoes that.
    Force(u32),
}

/// A change of what is fed after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervention {
    /// The step of the [`StepRecord`] whose next input is changed.
    pub step: u32,
    /// What becomes of it.
    pub change: Change,
    /// Whether it is left out where that input is none of thinking: a marker, the answer.
    pub while_thinking: bool,
}

impl Intervention {
    /// A change of whatever follows a step.
    pub fn at(step: u32, change: Change) -> Self {
        Self {
            step,
            change,
            while_thinking: false,
        }
    }

    /// A change of what follows a step, as long as the lane thinks by then.
    pub fn while_thinking(step: u32, change: Change) -> Self {
        Self {
            while_thinking: true,
            ..Self::at(step, change)
        }
    }
}

/// A change that took place.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The lane's index.
    pub lane: usize,
    /// The step before.
    pub step: u32,
    /// What would have been fed.
    pub was: Input,
    /// What is fed.
    pub now: Input,
}

/// The step of the record after which the first phase's input number `index`, from 0, is fed: the
/// first thought, concept token or word is that of index 0.
pub fn thinking_step(program: &Program, index: u32) -> u32 {
    index + program.start.len() as u32
}

/// All interventions of a run, and how far they have come.
///
/// Whoever drives the engine asks [`Interventions::n_steps`] how far it may advance, and calls
/// [`Interventions::apply`] with the records that came, until the run ends.
#[derive(Clone, Debug)]
pub struct Interventions {
    config: ModelConfig,
    weights: Arc<Weights>,
    forward: Forward,
    lanes: Vec<Lane>,
}

#[derive(Clone, Debug)]
struct Lane {
    program: Program,
    /// By rising step.
    interventions: Vec<Intervention>,
    /// What was fed last, as far as it is known.
    before: Option<Input>,
}

impl Lane {
    fn at(&self, step: u32) -> impl Iterator<Item = &Intervention> {
        let interventions = self.interventions.iter();
        interventions.filter(move |known| known.step == step)
    }

    /// What is to be done to the input after a record.
    fn due(&self, record: &StepRecord) -> impl Iterator<Item = &Change> {
        let thinks = step_kind(record, &self.program) == StepKind::Think;
        let due = self
            .at(record.step)
            .filter(move |known| thinks || !known.while_thinking);
        due.map(|known| &known.change)
    }

    /// Whether the input after `step` must be known: it is changed, or repeated afterwards.
    fn stops_at(&self, step: u32) -> bool {
        let freezes = |known: &Intervention| known.change == Change::Freeze;
        self.at(step).next().is_some() || self.at(step + 1).any(freezes)
    }
}

impl Interventions {
    /// Interventions on the lanes of a run of this model; several of one step follow each other.
    pub fn new(
        config: &ModelConfig,
        weights: &Arc<Weights>,
        lanes: &[(LaneSpec, Vec<Intervention>)],
    ) -> Self {
        let lane = |(spec, interventions): &(LaneSpec, Vec<Intervention>)| {
            let mut interventions = interventions.clone();
            interventions.sort_by_key(|known| known.step);
            Lane {
                program: spec.program.clone(),
                interventions,
                before: spec.inputs.last().cloned(),
            }
        };
        Self {
            config: config.clone(),
            weights: weights.clone(),
            forward: Forward::new(config, Precision::Fast),
            lanes: lanes.iter().map(lane).collect(),
        }
    }

    /// How many steps, `most` or fewer and at least one, may run before [`Interventions::apply`]
    /// is due. `steps_done` are the run's so far.
    pub fn n_steps(&self, steps_done: u32, most: usize) -> usize {
        let stops = |step: u32| self.lanes.iter().any(|lane| lane.stops_at(step));
        let most = most.max(1);
        let mut until = (steps_done..).zip(1..=most);
        until
            .find(|&(step, _)| stops(step))
            .map_or(most, |(_, n_steps)| n_steps)
    }

    /// Changes what is fed next on every lane whose newest record, among `records`, is that of a
    /// step with an intervention. A lane that is done is left alone.
    ///
    /// # Errors
    /// If the engine fails, or an input cannot be fed.
    pub async fn apply<E: Engine>(
        &mut self,
        engine: &mut E,
        records: &[StepRecord],
    ) -> Result<Vec<Applied>, EngineError> {
        let newest: Vec<Option<StepRecord>> = (0..self.lanes.len() as u32)
            .map(|lane| records.iter().rfind(|record| record.lane == lane).copied())
            .collect();
        let stops = |(lane, record): (&Lane, &Option<StepRecord>)| {
            record.is_some_and(|record| lane.stops_at(record.step) && !record.has(flag::DONE))
        };
        if !self.lanes.iter().zip(&newest).any(stops) {
            return Ok(Vec::new());
        }
        let mut moved = Vec::new();
        let mut applied = Vec::new();
        for cursor in engine.cursors().await? {
            let index = cursor.state.lane as usize;
            let (Some(record), Some(was)) = (&newest[index], &cursor.input) else {
                continue;
            };
            let changed = self.changed(&cursor, was, record)?;
            let lane = &mut self.lanes[index];
            if let Some(cursor) = &changed {
                applied.extend(cursor.input.clone().map(|now| Applied {
                    lane: index,
                    step: record.step,
                    was: was.clone(),
                    now,
                }));
            }
            lane.before = changed.as_ref().unwrap_or(&cursor).input.clone();
            moved.extend(changed);
        }
        engine.set_cursors(&moved)?;
        Ok(applied)
    }

    /// Where a lane goes on from, if that is changed after `record`. What one change makes of the
    /// input is checked before the next one computes with it.
    fn changed(
        &self,
        cursor: &LaneCursor,
        was: &Input,
        record: &StepRecord,
    ) -> Result<Option<LaneCursor>, EngineError> {
        let index = record.lane as usize;
        let lane = &self.lanes[index];
        let mut changed = cursor.clone();
        let mut now = None;
        for change in lane.due(record) {
            if let Change::Force(token) = change {
                force(&mut changed, &lane.program, record, *token);
            }
            let before = now.take().unwrap_or_else(|| was.clone());
            let made = self.input(change, before, lane.before.as_ref(), record.step);
            check_input(index, 0, &made, &self.config)?;
            now = Some(made);
        }
        let is_changed = now.is_some();
        changed.input = now;
        Ok(is_changed.then_some(changed))
    }

    /// What a change makes of an input.
    fn input(&self, change: &Change, was: Input, before: Option<&Input>, step: u32) -> Input {
        let embed = |input: &Input| self.forward.vector(&self.weights, input);
        match change {
            Change::Zero => Input::Vector(vec![0.0; self.weights.embedding.cols]),
            Change::Noise { relative, seed } => {
                Input::Vector(noised(embed(&was), *relative, [*seed, step]))
            }
            Change::Shuffle { seed } => Input::Vector(shuffled(embed(&was), [*seed, step])),
            Change::Freeze => before.cloned().unwrap_or(was),
            Change::Nearest => Input::Token(nearest(&self.forward, &self.weights, &embed(&was))),
            Change::Replace(input) => input.clone(),
            Change::Force(token) => Input::Token(*token),
        }
    }
}

/// Puts a lane into the phase in which `token` would have left it, had the model chosen it.
fn force(cursor: &mut LaneCursor, program: &Program, record: &StepRecord, token: u32) {
    let state = &mut cursor.state;
    let phase = record.phase as usize;
    let stops = |phase: usize| program.phases[phase].until.stop_tokens.contains(&token);
    // A marker that was forced belongs to no phase's choice.
    let chosen = !record.has(flag::FORCED);
    if chosen && stops(phase) && phase + 1 < program.phases.len() {
        (state.phase, state.phase_step) = (record.phase + 1, 0);
        state.cold_count = 0;
    } else if chosen {
        (state.phase, state.phase_step) = (record.phase, record.phase_step + 1);
        state.cold_count = record.cold_count;
    }
    state.adapter = program.phases[state.phase as usize].adapter;
}

fn noised(mut x: Vec<f32>, relative: f32, [seed, step]: [u32; 2]) -> Vec<f32> {
    let mean_square = x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32;
    let size = relative * mean_square.sqrt();
    for (x, index) in x.iter_mut().zip(0..) {
        let [a, b, ..] = pcg4d([seed, step, index, NOISE]);
        *x += size * normal(a, b);
    }
    x
}

/// Fisher and Yates's shuffle.
fn shuffled(mut x: Vec<f32>, [seed, step]: [u32; 2]) -> Vec<f32> {
    for last in (1..x.len() as u32).rev() {
        let [bits, ..] = pcg4d([seed, step, last, SHUFFLE]);
        x.swap(last as usize, (bits % (last + 1)) as usize);
    }
    x
}

/// The token whose embedding has the largest cosine with `x`; of equal ones the first.
fn nearest(forward: &Forward, weights: &Weights, x: &[f32]) -> u32 {
    let cosine = |id: u32| {
        let row = forward.vector(weights, &Input::Token(id));
        let precision = Precision::Fast;
        precision.dot(x, &row) / precision.dot(&row, &row).sqrt().max(f32::MIN_POSITIVE)
    };
    let ids = 0..weights.embedding.rows as u32;
    let cosines = ids.map(|id| (id, cosine(id)));
    let largest = cosines.reduce(|best, next| if next.1 > best.1 { next } else { best });
    largest.map_or(0, |(id, _)| id)
}

/// A lane that has run to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// Its records.
    pub records: Vec<StepRecord>,
    /// What was fed after each of them but the last; empty where that was not asked for.
    pub fed: Vec<Input>,
}

impl Ran {
    /// What it was fed as the first phase's input number `index`, from 0; `None` where the phase
    /// was over by then or inputs were not kept.
    pub fn thinking_input(&self, program: &Program, index: u32) -> Option<&Input> {
        let step = thinking_step(program, index) as usize;
        let record = self.records.get(step)?;
        let thinks = step_kind(record, program) == StepKind::Think && record.phase_step == index;
        self.fed.get(step).filter(|_| thinks)
    }
}

/// Runs lanes to their end with interventions. With `keeps_inputs`, what they are fed is kept,
/// which waits for the engine at every step that feeds a hidden state.
pub async fn run_to_end_with<E: Engine>(
    engine: &mut E,
    model: (&ModelConfig, &Arc<Weights>),
    lanes: &[(LaneSpec, Vec<Intervention>)],
    keeps_inputs: bool,
) -> Result<Vec<Ran>, EngineError> {
    /// Steps per submit where nothing is kept.
    const CHUNK: usize = 16;
    let mut interventions = Interventions::new(model.0, model.1, lanes);
    let specs: Vec<LaneSpec> = lanes.iter().map(|(spec, _)| spec.clone()).collect();
    let (records, fed) = (Vec::new(), Vec::new());
    let mut ran = vec![Ran { records, fed }; lanes.len()];
    engine.begin(&specs).await?;
    let most = if keeps_inputs { 1 } else { CHUNK };
    let mut steps_done = 0;
    loop {
        let n_steps = interventions.n_steps(steps_done, most);
        let records = engine.advance(n_steps).await?;
        let Some(last) = records.last() else {
            return Ok(ran);
        };
        steps_done = last.step + 1;
        let applied = interventions.apply(engine, &records).await?;
        if keeps_inputs {
            keep_inputs(engine, &records, &applied, &mut ran).await?;
        }
        for record in records {
            ran[record.lane as usize].records.push(record);
        }
    }
}

/// Appends what follows each of one step's records.
async fn keep_inputs<E: Engine>(
    engine: &mut E,
    records: &[StepRecord],
    applied: &[Applied],
    ran: &mut [Ran],
) -> Result<(), EngineError> {
    let is_hidden = |record: &StepRecord| record.input_kind() == InputKind::Hidden;
    let cursors = match records.iter().any(is_hidden) {
        true => engine.cursors().await?,
        false => Vec::new(),
    };
    for record in records {
        let lane = record.lane as usize;
        let changed = applied.iter().find(|applied| applied.lane == lane);
        let changed = changed.map(|applied| applied.now.clone());
        let fed = changed.or_else(|| match record.input_kind() {
            InputKind::None => None,
            InputKind::Token => Some(Input::Token(record.token)),
            InputKind::Concept => {
                let mixed = record.kept().map(|kept| (kept.id, kept.weight));
                Some(Input::Mixture(mixed.collect()))
            }
            InputKind::Hidden => cursors[lane].input.clone(),
        });
        ran[lane].fed.extend(fed);
    }
    Ok(())
}
