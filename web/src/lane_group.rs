//! The lanes of one checkpoint as a batch of its engine, with what is done to them on their way.

use latent_gpu::AnyEngine;
use latent_model::{
    address::LaneChoice,
    analysis::intervention::Interventions,
    engine::{Engine, EngineError, Renewable},
    record::StepRecord,
};

use crate::run_state::LaneRecord;

/// The lanes of one checkpoint, which are a batch of its engine.
#[derive(Debug)]
pub struct Group {
    /// The checkpoint.
    pub model: String,
    /// Numbers of the lanes, as the page counts them.
    pub members: Vec<usize>,
    /// What is done to them, where anything is.
    pub interventions: Option<Interventions>,
    /// Steps of the run so far.
    pub steps_done: u32,
}

impl Group {
    /// Up to `n_steps` further, in as many pieces as there are changes on the way.
    pub async fn advance(
        &mut self,
        engine: &mut Renewable<AnyEngine>,
        n_steps: usize,
    ) -> Result<Vec<LaneRecord>, EngineError> {
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
    use latent_model::strategy::STRATEGIES;

    use super::*;

    #[test]
    fn lanes_of_one_checkpoint_are_one_batch() {
        let lane = |model| LaneChoice::new(model, &STRATEGIES[0]);
        let found = groups(&[lane("a"), lane("b"), lane("a")]);
        assert_eq!(found, [("a".into(), vec![0, 2]), ("b".into(), vec![1])]);
    }
}
