//! Patching, problem by problem: the states of the problem before, put in one by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use anyhow::Result;
use latent_gpu::AnyEngine;
use latent_model::{
    analysis::{
        patching::{Place as Patched, WatchedLane, WatchedRun, patched_runs, run_watched},
        report::InterventionResult,
    },
    engine::LaneSpec,
    model::Model,
    program::Program,
    record::StepRecord,
    trace::{StepKind, step_kind},
};

use super::{
    Kind,
    measure::{Answered, result},
};

/// An input of thinking, counted from 1 (0 is what is fed before the first), and a layer.
type Place = (u32, usize);

/// What came of the patches so far.
#[derive(Default)]
pub struct Patching {
    /// The run of the problem before.
    donor: WatchedRun,
    /// Of each problem: the answer after a patch, at every place that both runs came to.
    answers: Vec<BTreeMap<Place, Answered>>,
}

impl Patching {
    /// Takes the first problem's donor.
    pub async fn begin(
        &mut self,
        engine: &mut AnyEngine,
        model: &Model,
        spec: &LaneSpec,
    ) -> Result<()> {
        self.donor = watch(engine, model, spec).await?;
        Ok(())
    }

    /// Patches a problem's run at all its places, one at a time.
    pub async fn measure(
        &mut self,
        engine: &mut AnyEngine,
        model: &Model,
        spec: &LaneSpec,
        answer: impl Fn(&[StepRecord]) -> Answered,
    ) -> Result<()> {
        let run = watch(engine, model, spec).await?;
        let [steps, of_donor] = [&run, &self.donor].map(|run| thinking(run, &spec.program));
        let first = steps.start;
        let steps = first..steps.end.min(of_donor.end);
        let layers = 0..model.config.n_layers;
        let places = steps.flat_map(|step| layers.clone().map(move |layer| (step, layer)));
        let places: Vec<Patched> = places.collect();
        let of_model = (&model.config, &model.weights);
        let target = WatchedLane::new(spec.clone());
        let patched = patched_runs(engine, of_model, &target, &self.donor, &places).await?;
        let answers = patched.iter().map(|patched| {
            let (step, layer) = patched.place;
            ((step - first, layer), answer(&patched.run.records))
        });
        self.answers.push(answers.collect());
        self.donor = run;
        Ok(())
    }

    /// What a patch does at each place, over all problems. One that a problem does not come to
    /// changes nothing there. `clean` are the answers without patches.
    pub fn results(&self, clean: &[Answered]) -> Vec<InterventionResult> {
        let places: BTreeSet<Place> = self
            .answers
            .iter()
            .flat_map(|a| a.keys().copied())
            .collect();
        let of = |place: Place| {
            let problems = self.answers.iter().zip(clean);
            let answers = problems.map(|(known, clean)| known.get(&place).unwrap_or(clean).clone());
            let (input, layer) = place;
            let answers: Vec<Answered> = answers.collect();
            result(
                (Kind::Patch, Some(vec![input]), Some(layer)),
                clean,
                &answers,
            )
        };
        places.into_iter().filter_map(of).collect()
    }
}

async fn watch(engine: &mut AnyEngine, model: &Model, spec: &LaneSpec) -> Result<WatchedRun> {
    let lane = [WatchedLane::new(spec.clone())];
    let mut runs = run_watched(engine, (&model.config, &model.weights), &lane).await?;
    Ok(runs.remove(0))
}

/// The steps that compute what thinking is fed, and the one before them.
fn thinking(run: &WatchedRun, program: &Program) -> Range<u32> {
    let thinks = |record: &&StepRecord| step_kind(record, program) == StepKind::Think;
    let n_inputs = run.records.iter().filter(thinks).count() as u32;
    let first = program.start.len() as u32;
    first..first + n_inputs + 1
}
