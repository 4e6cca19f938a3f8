//! How fast an engine decodes: a job, and its time by the caller's clock.

use super::{Engine, EngineError, LaneSpec};
use crate::{
    input::{Feed, Input},
    program::{Adapter, MAX_KEPT, Phase, Program, Role, Sampler, Until},
    record::StepRecord,
};

/// What is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// What every step feeds: tokens, or mixtures of as many as a record can hold.
    pub feed: Feed,
    /// Lanes.
    pub n_lanes: usize,
    /// Steps of every lane that count.
    pub n_steps: usize,
    /// Steps between two waits for the device.
    pub steps_per_submit: usize,
}

/// What a job took, and the tokens that its first lane chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// From the prompt to the first token, in seconds.
    pub first_token: f64,
    /// Seconds a step, without the first.
    pub seconds: f64,
    /// Of the first lane.
    pub tokens: Vec<u32>,
}

impl Job {
    /// Lanes that choose and are fed tokens.
    pub fn tokens(n_lanes: usize, n_steps: usize, steps_per_submit: usize) -> Self {
        Self {
            feed: Feed::Token,
            n_lanes,
            n_steps,
            steps_per_submit,
        }
    }

    /// Lanes that are fed mixtures.
    pub fn mixtures(n_lanes: usize, n_steps: usize, steps_per_submit: usize) -> Self {
        Self {
            feed: Feed::Concept,
            ..Self::tokens(n_lanes, n_steps, steps_per_submit)
        }
    }

    /// Lanes on one prompt that nothing ends before their last step; every checkpoint can run them.
    pub fn lanes(&self, prompt: &[u32]) -> Vec<LaneSpec> {
        let mixes = self.feed == Feed::Concept;
        let phase = |role, feed, max_steps| Phase {
            role,
            feed,
            sampler: Sampler {
                max_concepts: if mixes { MAX_KEPT as u32 } else { 1 },
                ..Sampler::GREEDY
            },
            until: Until::steps(max_steps),
            then_force: Vec::new(),
            adapter: Adapter::Base,
        };
        // One more for the first token, which is not counted, and one so that no lane ends in what is.
        let steps = self.n_steps as u32 + 2;
        let phases = match mixes {
            true => vec![
                phase(Role::Think, self.feed, steps),
                phase(Role::Answer, Feed::Token, 1),
            ],
            false => vec![phase(Role::Answer, self.feed, steps)],
        };
        let lane = |seed| LaneSpec {
            inputs: Input::tokens(prompt),
            program: Program {
                start: Vec::new(),
                phases: phases.clone(),
            },
            seed,
            stream: 0,
            decode_thoughts: false,
        };
        (0..self.n_lanes as u32).map(lane).collect()
    }

    /// Runs it once; `clock` tells seconds. A run that was under way is dropped.
    ///
    /// # Errors
    /// What the engine reports, and a number of records that is not a lane's for each step.
    pub async fn run<E: Engine>(
        &self,
        engine: &mut E,
        prompt: &[u32],
        clock: impl Fn() -> f64,
    ) -> Result<Round, EngineError> {
        let begun = clock();
        engine.begin(&self.lanes(prompt)).await?;
        let mut records = engine.advance(1).await?;
        let started = clock();
        for done in (0..self.n_steps).step_by(self.steps_per_submit) {
            let n_steps = self.steps_per_submit.min(self.n_steps - done);
            records.extend(engine.advance(n_steps).await?);
        }
        let seconds = (clock() - started) / self.n_steps as f64;
        let expected = self.n_lanes * (self.n_steps + 1);
        if records.len() != expected {
            let found = records.len();
            return Err(EngineError::Device(format!(
                "{} gave {found} records, expected {expected}",
                engine.description()
            )));
        }
        let first_lane = records.iter().filter(|record| record.lane == 0);
        let token = |record: &StepRecord| record.token;
        Ok(Round {
            first_token: started - begun,
            seconds,
            tokens: first_lane.map(token).collect(),
        })
    }
}
