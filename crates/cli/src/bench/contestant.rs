//! Who decodes in a round of the benchmark, and for how long.

use std::{sync::OnceLock, time::Instant};

use anyhow::Result;
use latent_gpu::AnyEngine;
use latent_model::engine::pace::{self, Job};
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
    /// Seconds from the long prompt to the first token, of every round.
    pub first_tokens: Vec<f64>,
}

impl Contestant {
    pub fn new(name: &str, decoder: Decoder, jobs: Vec<Job>) -> Self {
        Self {
            name: name.into(),
            decoder,
            seconds: vec![Vec::new(); jobs.len()],
            tokens: vec![Vec::new(); jobs.len()],
            first_tokens: Vec::new(),
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

/// What a job took, and the tokens that its first lane chose.
pub struct Round {
    /// Seconds a step.
    pub seconds: f64,
    /// Of the first lane.
    pub tokens: Vec<u32>,
}

impl Decoder {
    /// Runs a job once; beginning and the first step are not in its time.
    pub async fn round(&mut self, job: Job, prompt: &[u32]) -> Result<Round> {
        match self {
            Self::Engine(engine) => {
                let pace::Round {
                    seconds, tokens, ..
                } = job.run(engine, prompt, clock).await?;
                Ok(Round { seconds, tokens })
            }
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
            Self::Process(process) => Ok(process.round(job, prompt)?.0),
        }
    }

    /// Seconds from a prompt to its first token; `None` of the decoder in burn, which reads a prompt
    /// token by token.
    pub async fn first_token(&mut self, prompt: &[u32]) -> Result<Option<f64>> {
        let job = Job::tokens(1, 1, 1);
        match self {
            Self::Engine(engine) => Ok(Some(job.run(engine, prompt, clock).await?.first_token)),
            Self::Burn { .. } => Ok(None),
            Self::Process(process) => Ok(Some(process.round(job, prompt)?.1)),
        }
    }
}

/// Seconds since the benchmark looked at the clock first.
pub fn clock() -> f64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_secs_f64()
}
