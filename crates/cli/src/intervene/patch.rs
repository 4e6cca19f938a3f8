//! Patching, problem by problem: the states of the problem before, put in one by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use anyhow::Result;
use latent_model::{
    analysis::{
        patching::{WatchedRun, patched_runs, run_watched},
        report::InterventionResult,
    },
    engine::LaneSpec,
    model::Model,
    program::Program,
    record::StepRecord,
    reference::{Precision, ReferenceEngine},
    trace::{StepKind, step_kind},
};

use super::{
    Kind,
    measure::{Answered, result},
};

/// An input of thinking, counted from 1 (0 is what is fed before the first), and a layer.
type Place = (u32, usize);

/// The engine that lets a patch in, and what came of the patches so far.
pub struct Patching {
    engine: ReferenceEngine,
    /// The run of the problem before.
    donor: WatchedRun,
    /// Of each problem: the answer after a patch, at every place that both runs came to.
    answers: Vec<BTreeMap<Place, Answered>>,
}

impl Patching {
    pub fn new(model: &Model) -> Self {
        let weights = model.weights.clone();
        Self {
            engine: ReferenceEngine::new(&model.config, weights, Precision::Fast),
            donor: WatchedRun::default(),
            answers: Vec::new(),
        }
    }

    /// Takes the first problem's donor.
    pub async fn begin(&mut self, spec: &LaneSpec) -> Result<()> {
        self.donor = self.watch(spec).await?;
        Ok(())
    }

    async fn watch(&mut self, spec: &LaneSpec) -> Result<WatchedRun> {
        let mut runs = run_watched(&mut self.engine, &[(spec.clone(), Vec::new())]).await?;
        Ok(runs.remove(0))
    }

    /// Patches a problem's run at all its places, one at a time.
    pub async fn measure(
        &mut self,
        spec: &LaneSpec,
        answer: impl Fn(&[StepRecord]) -> Answered,
    ) -> Result<()> {
        let run = self.watch(spec).await?;
        let [steps, of_donor] = [&run, &self.donor].map(|run| thinking(run, &spec.program));
        let first = steps.start;
        let steps = first..steps.end.min(of_donor.end);
        let patched = patched_runs(&mut self.engine, spec, &self.donor, steps).await?;
        let answers = patched.iter().map(|patched| {
            let place = (patched.step - first, patched.layer);
            (place, answer(&patched.run.records))
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

/// The steps that compute what thinking is fed, and the one before them.
fn thinking(run: &WatchedRun, program: &Program) -> Range<u32> {
    let thinks = |record: &&StepRecord| step_kind(record, program) == StepKind::Think;
    let n_inputs = run.records.iter().filter(thinks).count() as u32;
    let first = program.start.len() as u32;
    first..first + n_inputs + 1
}
