//! `latent check --text`: both engines read a text that is given to them, go on in words, and think
//! softly from the same inputs.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use latent_gpu::GpuEngine;
use latent_model::{
    engine::{LaneSpec, run_to_end},
    input::{Feed, Input},
    model::Model,
    parity::forced_differences,
    program::{Adapter, Phase, Program, Role, Sampler, Until},
    record::StepRecord,
    reference::{Precision, ReferenceEngine, layer_states},
};
use serde::Serialize;

/// Tokens of the text that are read.
const N_READ: usize = 256;
/// Tokens that greedy words and soft steps go on from.
const N_PROMPT: usize = 32;
/// Words that are chosen greedily.
const N_WORDS: u32 = 128;
/// Steps of Soft Thinking.
const N_SOFT: u32 = 64;
/// Steps per submit of a free run.
const CHUNK: usize = 16;

/// What `latent check --text --json` prints, for `crates/train/check_top_tokens.py`.
#[derive(Debug, Serialize)]
pub struct Agreement {
    model: String,
    engine: String,
    /// How matrices are kept.
    weights: &'static str,
    /// The tokens that were read.
    ids: Vec<u32>,
    /// Per engine, what it would say after each of them.
    gpu: Vec<Top>,
    reference: Vec<Top>,
    /// Share of positions at which the two would say the same.
    same_top: f64,
    /// Tokens of the text after which greedy words and soft steps go on.
    n_prompt: usize,
    greedy_gpu: Vec<u32>,
    greedy_reference: Vec<u32>,
    /// Greedy words up to which the two are the same.
    greedy_same: usize,
    /// Steps of Soft Thinking, each from the reference's inputs.
    soft_steps: u32,
    /// The first of them that differs, in words.
    soft_difference: Option<String>,
}

/// The most probable token, and its logit above that of the next.
#[derive(Clone, Copy, Debug, Serialize)]
struct Top {
    id: u32,
    margin: f32,
}

impl Agreement {
    /// Reads the first tokens of the text in `file` on both engines.
    pub async fn measure(
        name: String,
        model: &Model,
        engine: &mut GpuEngine,
        file: &Path,
    ) -> Result<Self> {
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        let mut ids = model.tokenizer.encode(&text)?;
        let n = N_READ.min(model.config.max_position_embeddings);
        ensure!(
            ids.len() >= n,
            "{} must have at least {n} tokens, found {}",
            file.display(),
            ids.len()
        );
        ids.truncate(n);
        let found = engine.layer_states(Adapter::Base, &ids).await?;
        let expected = layer_states(&model.config, (&model.weights, Adapter::Base), &ids);
        let tops = |logits: &[Vec<f32>]| logits.iter().map(|row| top(row)).collect::<Vec<Top>>();
        let (gpu, reference) = (tops(&found.logits), tops(&expected.logits));
        let n_same = gpu
            .iter()
            .zip(&reference)
            .filter(|(a, b)| a.id == b.id)
            .count();

        let prompt = &ids[..N_PROMPT.min(n / 2)];
        let lane = |feed, sampler, n_steps| continued(prompt, feed, sampler, n_steps);
        let words = [lane(Feed::Token, Sampler::GREEDY, N_WORDS)];
        let weights = model.weights.clone();
        let mut oracle = ReferenceEngine::new(&model.config, weights, Precision::Oracle);
        let tokens = |records: &[StepRecord]| records.iter().map(|record| record.token).collect();
        let greedy_gpu: Vec<u32> = tokens(&run_to_end(engine, &words, CHUNK, |_| {}).await?[0]);
        let greedy_reference: Vec<u32> =
            tokens(&run_to_end(&mut oracle, &words, CHUNK, |_| {}).await?[0]);
        let pairs = greedy_gpu.iter().zip(&greedy_reference);
        let soft = [lane(Feed::Concept, SOFT, N_SOFT)];
        let soft = forced_differences(engine, &mut oracle, &soft).await?;
        Ok(Self {
            model: name,
            engine: latent_model::engine::Engine::description(engine),
            weights: model.weights.format.name(),
            same_top: n_same as f64 / n as f64,
            n_prompt: prompt.len(),
            greedy_same: pairs.take_while(|(a, b)| a == b).count(),
            ids,
            gpu,
            reference,
            greedy_gpu,
            greedy_reference,
            soft_steps: N_SOFT,
            soft_difference: soft.into_iter().flatten().next(),
        })
    }

    /// Tells people.
    pub fn print(&self) {
        println!(
            "{} in {}, {} tokens read: {:.4} of the top tokens are the same",
            self.model,
            self.weights,
            self.ids.len(),
            self.same_top
        );
        for (position, (gpu, reference)) in self.gpu.iter().zip(&self.reference).enumerate() {
            if gpu.id != reference.id {
                println!(
                    "  position {position}: {} by {:.4}, the reference {} by {:.4}",
                    gpu.id, gpu.margin, reference.id, reference.margin
                );
            }
        }
        println!(
            "greedy words: {} of {} the same",
            self.greedy_same,
            self.greedy_reference.len()
        );
        let soft = self.soft_difference.as_deref();
        println!(
            "{} soft steps from the same inputs: {}",
            self.soft_steps,
            soft.unwrap_or("all agree")
        );
    }
}

/// Soft Thinking (arXiv 2505.15778) as its released code runs it.
const SOFT: Sampler = Sampler {
    temperature: 0.6,
    top_k: 30,
    top_p: 0.95,
    max_concepts: 10,
    greedy: false,
    ..Sampler::GREEDY
};

/// One phase of `n_steps` steps after a prompt.
fn continued(prompt: &[u32], feed: Feed, sampler: Sampler, n_steps: u32) -> LaneSpec {
    let phase = |role, feed, sampler, n_steps| Phase {
        role,
        feed,
        sampler,
        until: Until::steps(n_steps),
        then_force: Vec::new(),
        adapter: Adapter::Base,
    };
    let phases = match feed {
        Feed::Token => vec![phase(Role::Answer, feed, sampler, n_steps)],
        // A program ends in words.
        _ => vec![
            phase(Role::Think, feed, sampler, n_steps - 1),
            phase(Role::Answer, Feed::Token, Sampler::GREEDY, 1),
        ],
    };
    LaneSpec {
        inputs: Input::tokens(prompt),
        program: Program {
            start: Vec::new(),
            phases,
        },
        seed: 0,
        stream: 0,
        decode_thoughts: true,
    }
}

fn top(logits: &[f32]) -> Top {
    let (mut first, mut second, mut id) = (f32::NEG_INFINITY, f32::NEG_INFINITY, 0);
    for (index, &logit) in logits.iter().enumerate() {
        if logit > first {
            (first, second, id) = (logit, first, index as u32);
        } else if logit > second {
            second = logit;
        }
    }
    Top {
        id,
        margin: first - second,
    }
}
