//! Activation patching: the state of one run put into another, and what becomes of that.
//!
//! At one step and after one layer the residual stream of a run is replaced by that of another run
//! (Meng et al., arXiv 2202.05262; Zhang & Nanda, arXiv 2309.16042). What changes lies in a cone:
//! the layers above, the steps after, which attend to them, and, where the state after the last
//! layer is the next input, all layers of the next thought. A reading of a state says what could
//! be known of it; a patch says what the model does with it.

use std::sync::Arc;

use super::{
    divergence::distribution,
    intervention::{Intervention, Interventions},
    lens::Lens,
};
use crate::{
    checkpoint::Weights,
    config::ModelConfig,
    engine::{Engine, EngineError, LaneSpec, Patch},
    program::{Program, Role},
    record::StepRecord,
    reference::MAX_LANES,
    trace::{StepKind, step_kind},
};

/// A step of a run and a layer, counted from 0, after which a state stands.
pub type Place = (u32, usize);

/// A state for one place of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StepPatch {
    /// Where it is put.
    pub place: Place,
    /// (d)
    pub state: Vec<f32>,
}

/// A lane whose states are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedLane {
    /// The lane.
    pub spec: LaneSpec,
    /// What is changed of what it is fed.
    pub interventions: Vec<Intervention>,
    /// What is put into its residual stream.
    pub patches: Vec<StepPatch>,
}

impl WatchedLane {
    /// A lane that nothing is done to.
    pub fn new(spec: LaneSpec) -> Self {
        Self {
            spec,
            interventions: Vec::new(),
            patches: Vec::new(),
        }
    }
}

/// A run, and the states of its residual stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchedRun {
    /// Its records, as those of a run of one lane.
    pub records: Vec<StepRecord>,
    /// Per step, per layer: the residual stream after the layer, (d).
    pub states: Vec<Vec<Vec<f32>>>,
}

impl WatchedRun {
    /// The state at a place, as a patch for the same place of another run; `None` where the run was
    /// over by then.
    pub fn patch(&self, place: Place) -> Option<StepPatch> {
        let (step, layer) = place;
        let state = self.states.get(step as usize)?.get(layer)?.clone();
        Some(StepPatch { place, state })
    }
}

/// Runs lanes to their end, each with patches of its own, and keeps their states.
///
/// # Errors
/// If the engine fails, or a patch does not fit the model.
pub async fn run_watched<E: Engine>(
    engine: &mut E,
    (config, weights): (&ModelConfig, &Arc<Weights>),
    lanes: &[WatchedLane],
) -> Result<Vec<WatchedRun>, EngineError> {
    let mut runs = Vec::new();
    for lanes in lanes.chunks(MAX_LANES) {
        let changed: Vec<_> = lanes
            .iter()
            .map(|lane| (lane.spec.clone(), lane.interventions.clone()))
            .collect();
        let mut changes = Interventions::new(config, weights, &changed);
        let specs: Vec<LaneSpec> = changed.into_iter().map(|(spec, _)| spec).collect();
        engine.begin(&specs).await?;
        let mut of_lanes = vec![WatchedRun::default(); lanes.len()];
        for step in 0.. {
            let watched = engine.advance_watched(&due(lanes, step)).await?;
            if watched.records.is_empty() {
                break;
            }
            changes.apply(engine, &watched.records).await?;
            for (record, states) in watched.records.into_iter().zip(watched.states) {
                let run = &mut of_lanes[record.lane as usize];
                run.records.push(StepRecord { lane: 0, ..record });
                run.states.push(states);
            }
        }
        runs.append(&mut of_lanes);
    }
    Ok(runs)
}

/// The patches of a step of lanes that began together.
fn due(lanes: &[WatchedLane], step: u32) -> Vec<Patch> {
    let of_lane = |(lane, watched): (usize, &WatchedLane)| {
        let due = watched.patches.iter();
        let due = due.filter(|patch| patch.place.0 == step);
        let patch = |patch: &StepPatch| Patch {
            lane,
            layer: patch.place.1,
            state: patch.state.clone(),
        };
        due.map(patch).collect::<Vec<Patch>>()
    };
    lanes.iter().enumerate().flat_map(of_lane).collect()
}

/// A run with one patch.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchedRun {
    /// Where it was put.
    pub place: Place,
    /// What became of the run.
    pub run: WatchedRun,
}

/// Runs a lane once for each of these places, with the state that another run, `source`, had there;
/// a place that the source did not reach is left out.
///
/// # Errors
/// If the engine fails, or the source is of another model.
pub async fn patched_runs<E: Engine>(
    engine: &mut E,
    model: (&ModelConfig, &Arc<Weights>),
    target: &WatchedLane,
    source: &WatchedRun,
    places: &[Place],
) -> Result<Vec<PatchedRun>, EngineError> {
    let patches = places.iter().filter_map(|&place| source.patch(place));
    let lanes: Vec<WatchedLane> = patches
        .map(|patch| WatchedLane {
            patches: vec![patch],
            ..target.clone()
        })
        .collect();
    let runs = run_watched(engine, model, &lanes).await?;
    let runs = lanes.iter().zip(runs).map(|(lane, run)| PatchedRun {
        place: lane.patches[0].place,
        run,
    });
    Ok(runs.collect())
}

/// The answers of two runs of one model, and how a third run stands between them.
///
/// What a patch does is read off the tokens of the answers at temperature 1, whatever the sampler
/// makes of them.
#[derive(Clone, Debug)]
pub struct Contrast<'a> {
    lens: Lens<'a>,
    program: Program,
    /// The tokens of the answer of the run that is patched, its end among them.
    own: Vec<u32>,
    /// Those of the run that the patch is of.
    source: Vec<u32>,
    /// z(own) − z(source), the logits of the first two tokens at which the answers part, in the two
    /// runs; `None` where they are the same.
    differences: Option<[f64; 2]>,
}

/// How a run stands between two answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Probability of the answer that the run gives without a patch: the product over its tokens, as
    /// far as this run gives the same ones and at the first that it does not.
    pub own: f64,
    /// The same of the source's answer.
    pub source: f64,
    /// How much of the difference of logits has moved to the source's answer (Zhang & Nanda,
    /// arXiv 2309.16042): 0 as in the run itself, 1 as in the source. `None` where the answers are the
    /// same, or this run parts from both of them before they part.
    pub moved: Option<f64>,
}

impl<'a> Contrast<'a> {
    /// Between the answer of `clean`, a run of `program`, and that of `source`, a run of
    /// `source_program`.
    pub fn new(
        lens: Lens<'a>,
        (program, clean): (&Program, &WatchedRun),
        (source_program, source): (&Program, &WatchedRun),
    ) -> Self {
        let said = |program: &Program, run: &WatchedRun| -> Vec<u32> {
            let said = answered(program, run);
            said.into_iter().map(|(_, token)| token).collect()
        };
        let mut contrast = Self {
            lens,
            program: program.clone(),
            own: said(program, clean),
            source: said(source_program, source),
            differences: None,
        };
        let own = contrast.difference(program, clean);
        let other = contrast.difference(source_program, source);
        contrast.differences = own.zip(other).map(|(own, other)| [own, other]);
        contrast
    }

    /// Where the answers part, by number of their tokens.
    fn parting(&self) -> Option<usize> {
        let pairs = self.own.iter().zip(&self.source);
        let n_common = pairs.take_while(|(own, source)| own == source).count();
        let both = n_common < self.own.len() && n_common < self.source.len();
        both.then_some(n_common)
    }

    /// z(own) − z(source) where the answers part, in a run that goes along with them up to there.
    fn difference(&self, program: &Program, run: &WatchedRun) -> Option<f64> {
        let at = self.parting()?;
        let said = answered(program, run);
        let &(step, _) = said.get(at)?;
        let goes_along = said[..at]
            .iter()
            .zip(&self.own)
            .all(|(said, own)| said.1 == *own);
        let logits = goes_along.then(|| self.logits(run, step))??;
        let z = |token: u32| f64::from(logits[token as usize]);
        Some(z(self.own[at]) - z(self.source[at]))
    }

    /// The logits, (V), of a step.
    fn logits(&self, run: &WatchedRun, step: usize) -> Option<Vec<f32>> {
        Some(self.lens.logits(run.states.get(step)?.last()?))
    }

    /// Probability of `answer` as far as a run goes along with it.
    fn probability(&self, run: &WatchedRun, answer: &[u32]) -> f64 {
        let mut product = 1.0;
        for ((step, said), &token) in answered(&self.program, run).into_iter().zip(answer) {
            let logits = self.logits(run, step).unwrap_or_default();
            let of_token = distribution(&logits, 1.0).get(token as usize).copied();
            product *= of_token.unwrap_or(0.0);
            if said != token {
                break;
            }
        }
        product
    }

    /// How a run of the patched program stands.
    pub fn standing(&self, run: &WatchedRun) -> Standing {
        let found = self.difference(&self.program, run);
        let moved = |([own, source], found): ([f64; 2], f64)| (own - found) / (own - source);
        Standing {
            own: self.probability(run, &self.own),
            source: self.probability(run, &self.source),
            moved: self.differences.zip(found).map(moved),
        }
    }
}

/// The tokens of a run's answer and its end, each with the step that chose it.
fn answered(program: &Program, run: &WatchedRun) -> Vec<(usize, u32)> {
    let answers = |record: &StepRecord| {
        let is_chosen = step_kind(record, program) != StepKind::Marker;
        is_chosen && program.phases[record.phase as usize].role == Role::Answer
    };
    let records = run.records.iter().enumerate();
    let chosen = records.filter(|(_, record)| answers(record));
    chosen.map(|(step, record)| (step, record.token)).collect()
}

/// How far a run has moved from another, per step that both have and per layer: ‖x′ − x‖ / ‖x‖ of
/// the residual streams. 0 is no change, √2 that of an unrelated state as long.
pub fn cone(clean: &WatchedRun, patched: &WatchedRun) -> Vec<Vec<f64>> {
    let of_step = |(clean, patched): (&Vec<Vec<f32>>, &Vec<Vec<f32>>)| {
        let layers = clean.iter().zip(patched);
        layers.map(|(x, moved)| distance(x, moved)).collect()
    };
    clean
        .states
        .iter()
        .zip(&patched.states)
        .map(of_step)
        .collect()
}

fn distance(x: &[f32], moved: &[f32]) -> f64 {
    let pairs = x.iter().zip(moved);
    let (moved, length) = pairs.fold((0.0, 0.0), |(moved, length), (&x, &m)| {
        let (x, m) = (f64::from(x), f64::from(m));
        (moved + (m - x).powi(2), length + x.powi(2))
    });
    (moved / length.max(f64::MIN_POSITIVE)).sqrt()
}
