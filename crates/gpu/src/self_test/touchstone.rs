//! A model that no one trained, made so that what an adapter gets wrong shows in what comes of it.

use std::sync::Arc;

use latent_model::{
    checkpoint::{
        EndClassifierWeights, LayerWeights, Linear, Matrix, NormWeights, WeightFormat, Weights,
    },
    config::{Architecture, ModelConfig, Rope},
    engine::LaneSpec,
    input::{Feed, Input, Tap},
    program::{Adapter, EndClassifier, MAX_KEPT, Noise, Phase, Program, Role, Sampler, Until},
    rng::{pcg4d, uniform},
};

/// Positions that are decoded, every one from the inputs that the reference fed.
pub const N_STEPS: u32 = 64;

/// Rows of the head: all of them twice, a multiple of four apart, so that one instruction stream
/// makes both of a pair, and the smaller id must be taken of two that are equal to the bit.
const N_ROWS: usize = 544;

/// A vocabulary that several threads and two workgroups share, heads of more threads than a CPU
/// adapter runs in step, heads that share their keys, an ε that is felt, biases.
pub fn config() -> ModelConfig {
    ModelConfig {
        vocab_size: 2 * N_ROWS,
        hidden_size: 128,
        intermediate_size: 192,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 64,
        max_position_embeddings: 128,
        norm_eps: 0.01,
        tie_word_embeddings: false,
        architecture: Architecture {
            qkv_bias: true,
            ..Architecture::llama(Rope::unscaled(1e4))
        },
    }
}

/// Numbers of mean 0 for every part of a model.
struct Draws(u32);

impl Draws {
    fn values(&mut self, n: usize, deviation: f32) -> Vec<f32> {
        self.0 += 1;
        // Of a uniform number between −√3 and √3, the deviation is 1.
        let value = |i: u32| uniform(pcg4d([self.0, i, 0, 20])[0]) * 2.0 - 1.0;
        let scale = 3.0_f32.sqrt() * deviation;
        (0..n as u32).map(|i| scale * value(i)).collect()
    }

    fn matrix(&mut self, rows: usize, cols: usize, deviation: f32) -> Matrix {
        let deviation = deviation / (cols as f32).sqrt();
        Matrix::from_f32(rows, cols, &self.values(rows * cols, deviation))
    }

    fn linear(&mut self, rows: usize, cols: usize) -> Linear {
        Linear {
            weight: self.matrix(rows, cols, 1.0),
            bias: None,
        }
    }

    fn norm(&mut self, d: usize) -> NormWeights {
        let gain = self.values(d, 0.3);
        NormWeights {
            gain: gain.iter().map(|g| 1.0 + g).collect(),
            bias: None,
        }
    }
}

/// The bias of queries and keys: none but in the pair of every head that turns least, where it
/// adds about 120 to every score. eˢ is then no f32, so a softmax needs its largest score.
fn lifting(config: &ModelConfig, n_heads: usize) -> Vec<f32> {
    let of_head = (120.0 * (config.head_dim as f32).sqrt()).sqrt();
    let mut bias = vec![0.0; n_heads * config.head_dim];
    for head in bias.chunks_exact_mut(config.head_dim) {
        head[config.head_dim / 2 - 1] = of_head;
    }
    bias
}

/// Its weights.
pub fn weights() -> Arc<Weights> {
    let (config, mut draws) = (config(), Draws(0));
    let (d, ff) = (config.hidden_size, config.intermediate_size);
    let (q, kv) = (config.q_width(), config.kv_width());
    let layer = |draws: &mut Draws| LayerWeights {
        attention_norm: draws.norm(d),
        q: Linear {
            bias: Some(lifting(&config, config.n_heads)),
            ..draws.linear(q, d)
        },
        k: Linear {
            bias: Some(lifting(&config, config.n_kv_heads)),
            ..draws.linear(kv, d)
        },
        v: Linear {
            bias: Some(draws.values(kv, 0.3)),
            ..draws.linear(kv, d)
        },
        qk_norm: None,
        o: draws.linear(d, q),
        mlp_norm: draws.norm(d),
        gate: Some(draws.linear(ff, d)),
        up: draws.linear(ff, d),
        down: draws.linear(d, ff),
    };
    let layers = (0..config.n_layers).map(|_| layer(&mut draws)).collect();
    // Small beside the norm's ε.
    let embedding = Matrix::from_f32(
        config.vocab_size,
        d,
        &draws.values(config.vocab_size * d, 0.2),
    );
    let head = draws.matrix(N_ROWS, d, 3.0).to_f32().into_owned();
    Arc::new(Weights {
        format: WeightFormat::F32,
        embedding,
        positions: None,
        layers,
        final_norm: draws.norm(d),
        lm_head: Some(Matrix::from_f32(config.vocab_size, d, &head.repeat(2))),
        end_classifier: Some(EndClassifierWeights {
            weight: draws.values(d, 0.1),
            bias: 0.25,
        }),
        contemplation: None,
    })
}

/// A lane for every kind of input and of choice, each of as many steps and none that ends before;
/// together they are a tile of the largest kind.
pub fn lanes() -> Vec<(&'static str, LaneSpec)> {
    let open = Sampler {
        temperature: 0.8,
        top_p: 0.95,
        max_concepts: MAX_KEPT as u32,
        greedy: false,
        ..Sampler::GREEDY
    };
    let noisy = |noise| Sampler { noise, ..open };
    let never = EndClassifier { threshold: 1.0 };
    let asked = |phase: Phase| Phase {
        until: Until {
            end_classifier: Some(never),
            ..phase.until
        },
        ..phase
    };
    let few = Sampler {
        top_k: 5,
        top_p: 1.0,
        min_p: 0.05,
        max_concepts: 3,
        ..open
    };
    let rows = [
        ("words", thinking(Feed::Token, Sampler::GREEDY)),
        ("drawn words", thinking(Feed::Token, open)),
        ("mixtures", thinking(Feed::Concept, open)),
        ("mixtures of three", thinking(Feed::Concept, few)),
        (
            "Gumbel noise",
            thinking(Feed::Concept, noisy(Noise::Gumbel { tau: 0.5 })),
        ),
        (
            "Dirichlet noise",
            thinking(Feed::Concept, noisy(Noise::Dirichlet { alpha: 4.0 })),
        ),
        ("thoughts", asked(thinking(Feed::THOUGHT, Sampler::GREEDY))),
        (
            "states of a layer",
            thinking(Feed::Hidden { tap: Tap::Layer(0) }, Sampler::GREEDY),
        ),
    ];
    let lane = |(place, (name, phase)): (u32, (&'static str, Phase))| {
        let prompt = (0..6 + place).map(|i| (97 * i + 31 * place) % (2 * N_ROWS as u32));
        let answer = Phase {
            role: Role::Answer,
            feed: Feed::Token,
            until: Until::steps(1),
            ..phase.clone()
        };
        let spec = LaneSpec {
            inputs: Input::tokens(&prompt.collect::<Vec<u32>>()),
            program: Program {
                start: Vec::new(),
                phases: vec![phase, answer],
            },
            seed: 3,
            stream: place,
            decode_thoughts: true,
        };
        (name, spec)
    };
    (0..).zip(rows).map(lane).collect()
}

fn thinking(feed: Feed, sampler: Sampler) -> Phase {
    Phase {
        role: Role::Think,
        feed,
        sampler,
        until: Until::steps(N_STEPS - 1),
        then_force: Vec::new(),
        adapter: Adapter::Base,
    }
}
