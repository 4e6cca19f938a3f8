//! The lanes of one checkpoint as a batch of its engine, with what is done to them on their way.

use super::{intervention::Interventions, treatment::TreatedLane};
use crate::{
    address::LaneChoice,
    engine::{Engine, EngineError, LaneSpec},
    model::Model,
    record::StepRecord,
};

/// The lanes of one checkpoint, which are a batch of its engine.
#[derive(Debug)]
pub struct Group {
    /// The checkpoint.
    pub model: String,
    /// Numbers of the lanes among those of all checkpoints, from 0.
    pub members: Vec<usize>,
    /// What is done to them, where anything is.
    interventions: Option<Interventions>,
    /// Steps of the run so far.
    steps_done: u32,
}

impl Group {
    /// Begins the lanes of one checkpoint on its engine; `treated` are those of all checkpoints.
    ///
    /// # Errors
    /// If the engine refuses them; lanes are counted from 1 there, among those of all checkpoints.
    pub async fn begin<E: Engine>(
        (model, members): (String, Vec<usize>),
        treated: &[TreatedLane],
        of: &Model,
        engine: &mut E,
    ) -> Result<Self, EngineError> {
        let batch: Vec<TreatedLane> = members.iter().map(|&lane| treated[lane].clone()).collect();
        let specs: Vec<LaneSpec> = batch.iter().map(|(spec, _)| spec.clone()).collect();
        let begun = engine.begin(&specs).await;
        begun.map_err(|error| error.with_lane(|lane| members[lane] + 1))?;
        let is_changed = batch.iter().any(|(_, changes)| !changes.is_empty());
        Ok(Self {
            interventions: is_changed.then(|| Interventions::new(&of.config, &of.weights, &batch)),
            steps_done: 0,
            model,
            members,
        })
    }

    /// Up to `n_steps` further, in as many pieces as there are changes on the way: each record
    /// with its lane's number, from 0; none where all lanes are done.
    ///
    /// # Errors
    /// If the engine fails; lanes are counted from 1 there.
    pub async fn advance<E: Engine>(
        &mut self,
        engine: &mut E,
        n_steps: usize,
    ) -> Result<Vec<(usize, StepRecord)>, EngineError> {
        let members = &self.members;
        let of_lane = |error: EngineError| error.with_lane(|lane| members[lane] + 1);
        let mut all = Vec::new();
        let mut left = n_steps;
        while left > 0 {
            let n = match &self.interventions {
                Some(interventions) => interventions.n_steps(self.steps_done, left),
                None => left,
            };
            let records = engine.advance(n).await.map_err(of_lane)?;
            let Some(last) = records.last() else {
                break;
            };
            self.steps_done = last.step + 1;
            if let Some(interventions) = &mut self.interventions {
                interventions
                    .apply(engine, &records)
                    .await
                    .map_err(of_lane)?;
            }
            let numbered = |record: StepRecord| (members[record.lane as usize], record);
            all.extend(records.into_iter().map(numbered));
            left -= n;
        }
        Ok(all)
    }
}

/// Lane numbers by checkpoint, in the order in which checkpoints first appear.
pub fn groups(lanes: &[LaneChoice]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, lane) in lanes.iter().enumerate() {
        match groups.iter_mut().find(|(name, _)| *name == lane.model) {
            Some((_, members)) => members.push(index),
            None => groups.push((lane.model.clone(), vec![index])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::STRATEGIES;

    #[test]
    fn lanes_of_one_checkpoint_are_one_batch() {
        let lane = |model| LaneChoice::new(model, &STRATEGIES[0]);
        let found = groups(&[lane("a"), lane("b"), lane("a")]);
        assert_eq!(found, [("a".into(), vec![0, 2]), ("b".into(), vec![1])]);
    }
}
