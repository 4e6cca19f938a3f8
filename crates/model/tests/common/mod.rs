//! A small random model for tests.

use std::sync::Arc;

use latent_model::{
    checkpoint::{
        EndClassifierWeights, LayerWeights, Linear, Matrix, NormWeights, WeightFormat, Weights,
    },
    config::{Architecture, Mlp, ModelConfig, Norm, Positions, Rope},
    contemplation::{Contemplation, ContemplationSpec, InputMap, root_mean_square},
    reference::{Precision, ReferenceEngine},
    rng::{normal, pcg4d},
};

/// Grouped-query attention, an untied head, and a head width that is not d / n_heads.
pub fn config() -> ModelConfig {
    ModelConfig {
        vocab_size: 40,
        hidden_size: 16,
        intermediate_size: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 8,
        max_position_embeddings: 48,
        norm_eps: 1e-5,
        tie_word_embeddings: false,
        architecture: Architecture::llama(Rope::unscaled(500.0)),
    }
}

/// [`config`] with [`weights`].
#[allow(dead_code)] // Not every test does.
pub fn model() -> (ModelConfig, Arc<Weights>) {
    let config = config();
    let weights = weights(&config);
    (config, weights)
}

/// The reference engine on [`model`].
#[allow(dead_code)] // Not every test does.
pub fn engine() -> ReferenceEngine {
    let (config, weights) = model();
    ReferenceEngine::new(&config, weights, Precision::Fast)
}

/// Weights large enough that attention and SwiGLU leave their linear ranges, with an end
/// classifier that says now yes, now no.
pub fn weights(config: &ModelConfig) -> Arc<Weights> {
    let mut tensor = 0;
    let mut values = |n: usize, mean: f32, deviation: f32| -> Vec<f32> {
        tensor += 1;
        let draw = |i: u32| pcg4d([7, tensor, i, 0]);
        (0..n as u32)
            .map(|i| mean + deviation * normal(draw(i)[0], draw(i)[1]))
            .collect()
    };
    let mut matrix = |rows: usize, cols: usize| {
        let deviation = 1.5 / (cols as f32).sqrt();
        Matrix::from_f32(rows, cols, &values(rows * cols, 0.0, deviation))
    };
    let (d, ff, v) = (
        config.hidden_size,
        config.intermediate_size,
        config.vocab_size,
    );
    let (q, kv) = (config.q_width(), config.kv_width());
    let made_of = config.architecture;
    let vector = |row: Matrix| row.to_f32().into_owned();
    let gain = |row: Matrix| row.to_f32().iter().map(|g| 1.0 + 0.3 * g).collect();
    let mut layers = Vec::new();
    for _ in 0..config.n_layers {
        let plain = |weight| Linear { weight, bias: None };
        let attention_norm = NormWeights {
            gain: gain(matrix(1, d)),
            bias: None,
        };
        let mut layer = LayerWeights {
            attention_norm: attention_norm.clone(),
            q: plain(matrix(q, d)),
            k: plain(matrix(kv, d)),
            v: plain(matrix(kv, d)),
            qk_norm: None,
            o: plain(matrix(d, q)),
            mlp_norm: NormWeights {
                gain: gain(matrix(1, d)),
                ..attention_norm
            },
            gate: (made_of.mlp == Mlp::SwiGlu).then(|| plain(matrix(ff, d))),
            up: plain(matrix(ff, d)),
            down: plain(matrix(d, ff)),
        };
        // Drawn last, so that models without them stay the same.
        let qkv = [&mut layer.q, &mut layer.k, &mut layer.v].map(|l| (l, made_of.qkv_bias));
        let of_mlp = layer
            .gate
            .iter_mut()
            .chain([&mut layer.up, &mut layer.down]);
        let linears = qkv.into_iter().chain([(&mut layer.o, made_of.output_bias)]);
        for (linear, has_bias) in linears.chain(of_mlp.map(|l| (l, made_of.mlp_bias))) {
            let rows = linear.weight.rows;
            linear.bias = has_bias.then(|| vector(matrix(1, rows)));
        }
        if made_of.norm == Norm::LayerNorm {
            layer.attention_norm.bias = Some(vector(matrix(1, d)));
            layer.mlp_norm.bias = Some(vector(matrix(1, d)));
        }
        if made_of.qk_norm {
            layer.qk_norm = Some([0, 1].map(|_| gain(matrix(1, config.head_dim))));
        }
        layers.push(layer);
    }
    let is_layer_norm = made_of.norm == Norm::LayerNorm;
    let is_learned = made_of.positions == Positions::Learned;
    Arc::new(Weights {
        format: WeightFormat::F32,
        embedding: matrix(v, d),
        layers,
        final_norm: NormWeights {
            gain: gain(matrix(1, d)),
            bias: is_layer_norm.then(|| vector(matrix(1, d))),
        },
        positions: is_learned.then(|| matrix(config.max_position_embeddings, d)),
        lm_head: (!config.tie_word_embeddings).then(|| matrix(v, d)),
        end_classifier: Some(EndClassifierWeights {
            weight: matrix(1, d).to_f32().into_owned(),
            bias: 0.25,
        }),
        contemplation: None,
    })
}

#[allow(dead_code)] // Not every test does.
/// The same weights with random adapters on every matrix, which contemplate in the states after
/// the first layer.
pub fn contemplating(config: &ModelConfig, weights: &Weights) -> Weights {
    let d = config.hidden_size;
    let values = |tensor: u32, n: usize, deviation: f32| -> Vec<f32> {
        let draw = |i: u32| pcg4d([11, tensor, i, 0]);
        (0..n as u32)
            .map(|i| deviation * normal(draw(i)[0], draw(i)[1]))
            .collect()
    };
    let adapted = |set: u32| {
        let mut layers = weights.layers.clone();
        for (index, layer) in (0..).zip(&mut layers) {
            for (place, matrix) in layer.matrices_mut() {
                let place = place as u32;
                let deviation = 0.5 / (matrix.cols as f32).sqrt();
                let change = values(100 * set + 10 * index + place, matrix.n_values(), deviation);
                edit(matrix, |w| {
                    w.iter_mut().zip(change).for_each(|(w, c)| *w += c)
                });
            }
        }
        layers
    };
    let deviation = 1.5 / (d as f32).sqrt();
    let contemplation = Contemplation {
        spec: ContemplationSpec {
            layer: 0,
            ratio: 0.1,
        },
        input_map: Some(InputMap {
            weight: Matrix::from_f32(d, d, &values(1, d * d, deviation)),
            bias: values(2, d, 0.3),
            scale: root_mean_square(&weights.embedding),
        }),
        end_classifier: EndClassifierWeights {
            weight: values(3, d, deviation),
            bias: -0.5,
        },
        generator: adapted(1),
        decoder: adapted(2),
    };
    Weights {
        contemplation: Some(contemplation),
        ..weights.clone()
    }
}

/// Changes a matrix's values.
#[allow(dead_code)] // Not every test does.
pub fn edit(matrix: &mut Matrix, change: impl FnOnce(&mut [f32])) {
    let mut values = matrix.to_f32().into_owned();
    change(&mut values);
    *matrix = Matrix::from_f32(matrix.rows, matrix.cols, &values);
}
