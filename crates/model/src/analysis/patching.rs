//! Activation patching: the state of one run put into another, and what becomes of that.
//!
//! At one step and after one layer the residual stream of a run is replaced by that of another run
//! (Meng et al., arXiv 2202.05262; Zhang & Nanda, arXiv 2309.16042). What changes lies in a cone:
//! the layers above, the steps after, which attend to them, and, where the state after the last
//! layer is the next input, all layers of the next thought. A reading of a state says what could
//! be known of it; a patch says what the model does with it.

use std::ops::Range;

use crate::{
    engine::{Engine, EngineError, LaneSpec},
    record::StepRecord,
    reference::{MAX_LANES, Patch, ReferenceEngine},
};

/// Steps per submit.
const CHUNK: usize = 16;

/// A run, and the states of its residual stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchedRun {
    /// Its records, as those of a run of one lane.
    pub records: Vec<StepRecord>,
    /// Per step, per layer: the residual stream after the layer, (d).
    pub states: Vec<Vec<Vec<f32>>>,
}

impl WatchedRun {
    /// The state at a step after a layer, as a patch for the same place of another run; `None`
    /// where the run was over by then.
    pub fn patch(&self, step: u32, layer: usize) -> Option<Patch> {
        let state = self.states.get(step as usize)?.get(layer)?.clone();
        Some(Patch { step, layer, state })
    }
}

/// Runs lanes to their end, each with patches of its own, and keeps their states.
///
/// # Errors
/// If the engine fails, or a patch does not fit the model.
pub async fn run_watched(
    engine: &mut ReferenceEngine,
    lanes: &[(LaneSpec, Vec<Patch>)],
) -> Result<Vec<WatchedRun>, EngineError> {
    let mut runs = Vec::new();
    for lanes in lanes.chunks(MAX_LANES) {
        let specs: Vec<LaneSpec> = lanes.iter().map(|(spec, _)| spec.clone()).collect();
        engine.begin(&specs).await?;
        for (lane, (_, patches)) in lanes.iter().enumerate() {
            engine.watch(lane, patches.clone())?;
        }
        let mut of_lanes = vec![WatchedRun::default(); lanes.len()];
        loop {
            let records = engine.advance(CHUNK).await?;
            if records.is_empty() {
                break;
            }
            for record in records {
                let alone = StepRecord { lane: 0, ..record };
                of_lanes[record.lane as usize].records.push(alone);
            }
        }
        for (lane, run) in of_lanes.iter_mut().enumerate() {
            run.states = engine.watched(lane).to_vec();
        }
        runs.append(&mut of_lanes);
    }
    Ok(runs)
}

/// A run with one patch.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchedRun {
    /// The step.
    pub step: u32,
    /// The layer, counted from 0.
    pub layer: usize,
    /// What became of the run.
    pub run: WatchedRun,
}

/// Runs a lane once for each of its `steps` and each layer, with the state that another run,
/// `source`, had there; a step that the source did not reach is left out.
///
/// # Errors
/// If the engine fails, or the source is of another model.
pub async fn patched_runs(
    engine: &mut ReferenceEngine,
    target: &LaneSpec,
    source: &WatchedRun,
    steps: Range<u32>,
) -> Result<Vec<PatchedRun>, EngineError> {
    let n_layers = engine.config().n_layers;
    let places = steps.flat_map(|step| (0..n_layers).map(move |layer| (step, layer)));
    let patches: Vec<Patch> = places
        .filter_map(|(step, layer)| source.patch(step, layer))
        .collect();
    let lanes: Vec<(LaneSpec, Vec<Patch>)> = patches
        .iter()
        .map(|patch| (target.clone(), vec![patch.clone()]))
        .collect();
    let runs = run_watched(engine, &lanes).await?;
    let runs = patches.iter().zip(runs);
    Ok(runs
        .map(|(patch, run)| PatchedRun {
            step: patch.step,
            layer: patch.layer,
            run,
        })
        .collect())
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
