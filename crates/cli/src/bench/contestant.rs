//! Who decodes in a round of the benchmark, and for how long.

use std::time::Instant;

use anyhow::{Result, ensure};
use latent_gpu::AnyEngine;
use latent_model::{
    engine::{Engine, LaneSpec},
    input::{Feed, Input},
    program::{Adapter, Phase, Program, Role, Sampler, Until},
    record::StepRecord,
};
use latent_train::peer::{BurnDecoder, Cache};

use super::process::Process;

/// What takes part, each with a name and the jobs that it does.
pub struct Contestant {
    pub name: String,
    pub decoder: Decoder,
    pub jobs: Vec<Job>,
    /// Seconds a step, of every job and round.
    pub seconds: Vec<Vec<f64>>,
    /// What the first lane of every job chose.
    pub tokens: Vec<Vec<u32>>,
}

impl Contestant {
    pub fn new(name: &str, decoder: Decoder, jobs: Vec<Job>) -> Self {
        Self {
            name: name.into(),
            decoder,
            seconds: vec![Vec::new(); jobs.len()],
            tokens: vec![Vec::new(); jobs.len()],
            jobs,
        }
    }

    /// Seconds a step of the job that is wanted.
    pub fn seconds(&self, wanted: Job) -> &[f64] {
        let place = self.jobs.iter().position(|job| *job == wanted);
        &self.seconds[place.expect("a job that was done")]
    }
}

/// Something that decodes.
pub enum Decoder {
    /// An engine of this project.
    Engine(AnyEngine),
    /// A decoder written in burn.
    Burn {
        decoder: Box<BurnDecoder>,
        /// Where every number of lanes stands after the prompt, as far as it was asked for.
        begun: Vec<(usize, Cache)>,
    },
    /// Another program.
    Process(Process),
}

/// What is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// What every step feeds.
    pub feed: Feed,
    /// Lanes.
    pub n_lanes: usize,
    /// Steps of every lane, in steps that count.
    pub n_steps: usize,
    /// Steps between two waits for the device.
    pub steps_per_submit: usize,
}

/// Tokens of a mixture, as many as a record can hold.
const N_MIXED: u32 = latent_model::program::MAX_KEPT as u32;

/// What a job took, and the tokens that its first lane chose.
pub struct Round {
    /// Seconds a step.
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

    /// Lanes on one prompt that nothing ends before their last step.
    pub fn lanes(&self, prompt: &[u32]) -> Vec<LaneSpec> {
        let mixes = self.feed == Feed::Concept;
        let phase = |role, feed, max_steps| Phase {
            role,
            feed,
            sampler: Sampler {
                max_concepts: if mixes { N_MIXED } else { 1 },
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
}

impl Decoder {
    /// Runs a job once; beginning and the first step are not in its time.
    pub async fn round(&mut self, job: Job, prompt: &[u32]) -> Result<Round> {
        match self {
            Self::Engine(engine) => run_engine(engine, job, prompt).await,
            Self::Burn { decoder, begun } => {
                if !begun.iter().any(|(n_lanes, _)| *n_lanes == job.n_lanes) {
                    begun.push((job.n_lanes, decoder.begin(prompt, job.n_lanes)));
                }
                let known = begun.iter().find(|(n_lanes, _)| *n_lanes == job.n_lanes);
                let mut cache = known.expect("it was begun").1.clone();
                let first = decoder.decode(&mut cache, 1).await?;
                let started = Instant::now();
                let rest = decoder.decode(&mut cache, job.n_steps).await?;
                let seconds = started.elapsed().as_secs_f64() / job.n_steps as f64;
                let tokens = [&first[0][..], &rest[0]].concat();
                Ok(Round { seconds, tokens })
            }
            Self::Process(process) => process.round(job, prompt),
        }
    }
}

async fn run_engine(engine: &mut AnyEngine, job: Job, prompt: &[u32]) -> Result<Round> {
    engine.begin(&job.lanes(prompt)).await?;
    let mut records = engine.advance(1).await?;
    let started = Instant::now();
    for done in (0..job.n_steps).step_by(job.steps_per_submit) {
        let n_steps = job.steps_per_submit.min(job.n_steps - done);
        records.extend(engine.advance(n_steps).await?);
    }
    let seconds = started.elapsed().as_secs_f64() / job.n_steps as f64;
    let expected = job.n_lanes * (job.n_steps + 1);
    ensure!(
        records.len() == expected,
        "{} gave {} records, expected {expected}",
        engine.description(),
        records.len()
    );
    let first_lane = records.iter().filter(|record| record.lane == 0);
    let token = |record: &StepRecord| record.token;
    Ok(Round {
        seconds,
        tokens: first_lane.map(token).collect(),
    })
}
