//! Both engines at the vocabularies of real models: tokens, mixtures, noise and thoughts.

mod common;

use std::sync::Arc;

use latent_gpu::{GpuContext, GpuEngine};
use latent_model::{
    checkpoint::{Matrix, Weights},
    config::{Architecture, ModelConfig, Rope},
    engine::LaneSpec,
    input::{Feed, Input},
    parity::forced_differences,
    program::{MAX_KEPT, Noise, Program, Role, Sampler},
    reference::{Precision, ReferenceEngine},
    rng::{pcg4d, uniform},
};
use pollster::block_on;

fn config(vocab_size: usize, d: usize) -> ModelConfig {
    ModelConfig {
        vocab_size,
        hidden_size: d,
        intermediate_size: 2 * d,
        n_layers: 1,
        n_heads: d / 64,
        n_kv_heads: 1,
        head_dim: 64,
        max_position_embeddings: 64,
        norm_eps: 1e-5,
        tie_word_embeddings: true,
        architecture: Architecture::llama(Rope::unscaled(1e4)),
    }
}

/// Greedy words, vanilla, Gumbel and Dirichlet mixtures, and thoughts that are decoded.
fn lanes() -> Vec<LaneSpec> {
    let soft = |noise| Sampler {
        temperature: 0.6,
        top_k: 30,
        top_p: 0.95,
        max_concepts: MAX_KEPT as u32,
        greedy: false,
        noise,
        ..Sampler::GREEDY
    };
    let lane = |feed, sampler| {
        let phases = vec![
            common::phase(Role::Think, feed, sampler, 3),
            common::phase(Role::Answer, Feed::Token, Sampler::GREEDY, 1),
        ];
        LaneSpec {
            inputs: Input::tokens(&[3, 14, 15]),
            program: Program {
                start: Vec::new(),
                phases,
            },
            seed: 2,
            stream: 0,
            decode_thoughts: true,
        }
    };
    vec![
        lane(Feed::Token, Sampler::GREEDY),
        lane(Feed::Concept, soft(Noise::None)),
        lane(Feed::Concept, soft(Noise::Gumbel { tau: 0.5 })),
        lane(Feed::Concept, soft(Noise::Dirichlet { alpha: 4.0 })),
        lane(Feed::THOUGHT, Sampler::GREEDY),
    ]
}

/// Random weights; the table's are uniform, four from a draw, because there are many.
fn weights(config: &ModelConfig) -> Arc<Weights> {
    let (rows, cols) = (config.vocab_size, config.hidden_size);
    let scale = 3.0 / (cols as f32).sqrt();
    let draws = (0..(rows * cols / 4) as u32).flat_map(|i| pcg4d([i, 1, 2, 3]));
    let small = common::random::weights(&ModelConfig {
        vocab_size: 4,
        ..config.clone()
    });
    let mut weights = Weights::clone(&small);
    let values: Vec<f32> = draws.map(|bits| scale * (uniform(bits) - 0.5)).collect();
    weights.embedding = Matrix::from_f32(rows, cols, &values);
    Arc::new(weights)
}

fn check(context: &GpuContext, vocab_size: usize, d: usize) {
    let config = config(vocab_size, d);
    let weights = weights(&config);
    let mut engine = block_on(GpuEngine::new(&config, &weights, context)).expect("an engine");
    let mut oracle = ReferenceEngine::new(&config, weights, Precision::Oracle);
    let differences = block_on(forced_differences(&mut engine, &mut oracle, &lanes()));
    let differences = differences.expect("two runs");
    assert_eq!(differences, vec![None; 5], "V = {vocab_size}, d = {d}");
}

/// The last one's table is larger than a binding may be, and comes in shards.
#[test]
fn both_engines_agree_at_real_vocabularies() {
    let Some(context) = common::context() else {
        return;
    };
    for vocab_size in [64, 600, 49_152, 151_936] {
        for d in [128, 576] {
            check(&context, vocab_size, d);
        }
    }
}
