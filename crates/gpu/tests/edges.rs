//! Numbers at their ends: both engines give the same records, or the same error.

mod common;

use std::sync::Arc;

use latent_gpu::{GpuContext, GpuEngine, kernels::Table};
use latent_model::{
    checkpoint::{Matrix, Weights},
    config::ModelConfig,
    engine::{Engine, EngineError, LaneSpec},
    input::{Feed, Input},
    parity::forced_differences,
    program::{LEAST_POSITIVE, MAX_KEPT, Noise, Program, Role, Sampler},
    reference::{Precision, ReferenceEngine},
};
use pollster::block_on;

const TEMPERATURES: [f32; 9] = [
    -0.0,
    0.0,
    LEAST_POSITIVE,
    1e-20,
    1e-6,
    0.05,
    0.6,
    2.0,
    100.0,
];
const TOP_PS: [f32; 5] = [f32::MIN_POSITIVE, 0.05, 0.6, 0.999, 1.0];
const MIN_PS: [f32; 5] = [0.0, LEAST_POSITIVE, 1e-6, 0.45, 0.999];
const TOP_KS: [u32; 3] = [1, 2, MAX_KEPT as u32];
const NOISES: [Noise; 9] = [
    Noise::None,
    Noise::Gumbel { tau: 1e-3 },
    Noise::Gumbel { tau: 0.05 },
    Noise::Gumbel { tau: 5.0 },
    Noise::Gumbel { tau: 1e3 },
    Noise::Dirichlet { alpha: 1e-3 },
    Noise::Dirichlet { alpha: 0.1 },
    Noise::Dirichlet { alpha: 100.0 },
    Noise::Dirichlet { alpha: 1e20 },
];

/// Wide open: nothing is cut, nothing is noised.
const OPEN: Sampler = Sampler {
    temperature: 0.6,
    top_k: MAX_KEPT as u32,
    top_p: 1.0,
    min_p: 0.0,
    max_concepts: MAX_KEPT as u32,
    noise: Noise::None,
    greedy: false,
};

/// One field after the other at its ends, then the ends of all of them together.
fn samplers() -> Vec<Sampler> {
    let mut all = Vec::new();
    all.extend(TEMPERATURES.map(|temperature| Sampler {
        temperature,
        ..OPEN
    }));
    all.extend(TOP_PS.map(|top_p| Sampler { top_p, ..OPEN }));
    all.extend(MIN_PS.map(|min_p| Sampler { min_p, ..OPEN }));
    all.extend(TOP_KS.map(|top_k| Sampler { top_k, ..OPEN }));
    all.extend(TOP_KS.map(|max_concepts| Sampler {
        max_concepts,
        ..OPEN
    }));
    all.extend(NOISES.map(|noise| Sampler { noise, ..OPEN }));
    for noise in NOISES {
        for temperature in [LEAST_POSITIVE, 100.0] {
            let (min_p, top_p) = (LEAST_POSITIVE, 0.999);
            all.push(Sampler {
                temperature,
                min_p,
                top_p,
                noise,
                ..OPEN
            });
        }
    }
    all
}

/// Two steps that feed mixtures or tokens of the sampler, then a token.
fn lane(feed: Feed, sampler: Sampler) -> LaneSpec {
    LaneSpec {
        inputs: Input::tokens(&[0, 0]),
        program: Program {
            start: Vec::new(),
            phases: vec![
                common::phase(Role::Think, feed, sampler, 2),
                common::phase(Role::Answer, Feed::Token, sampler, 1),
            ],
        },
        seed: 5,
        stream: 1,
        decode_thoughts: true,
    }
}

/// A model whose logits are `logits`, whatever it is fed: its layers add nothing, all rows of its
/// table are one direction, and the rows of its head that direction times a logit.
fn model_of(logits: &[f32]) -> (ModelConfig, Arc<Weights>) {
    let vocab_size = logits.len();
    let config = ModelConfig {
        vocab_size,
        ..common::random::config()
    };
    let d = config.hidden_size;
    let mut weights = Weights::clone(&common::random::weights(&config));
    for layer in &mut weights.layers {
        for (_, matrix) in layer.matrices_mut() {
            common::random::edit(matrix, |values| values.fill(0.0));
        }
    }
    let rows_of = |first: &dyn Fn(usize) -> f32| {
        let mut values = vec![0.0; vocab_size * d];
        for (id, row) in values.chunks_exact_mut(d).enumerate() {
            row[0] = first(id);
        }
        Matrix::from_f32(vocab_size, d, &values)
    };
    weights.final_norm.gain.fill(1.0);
    // So long that the norm's epsilon is lost in rounding, and the normed state is (√d, 0, …).
    weights.embedding = rows_of(&|_| 1024.0);
    let norm = (d as f32).sqrt();
    weights.lm_head = Some(rows_of(&|id| logits[id] / norm));
    (config, Arc::new(weights))
}

/// Both engines on a model, the GPU's with one of the tables.
fn engines(
    context: &GpuContext,
    table: Table,
    model: &(ModelConfig, Arc<Weights>),
) -> (GpuEngine, ReferenceEngine) {
    let (config, weights) = model;
    let reference = ReferenceEngine::new(config, weights.clone(), Precision::Oracle);
    (common::engine(&context.with_table(table), model), reference)
}

/// H of softmax(z / T) in nats, with nothing but f64; of T = 0, 0.
fn entropy(logits: &[f32], temperature: f32) -> f32 {
    if temperature == 0.0 {
        return 0.0;
    }
    let z = |&z: &f32| f64::from(z) / f64::from(temperature);
    let largest = logits.iter().map(z).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|l| (z(l) - largest).exp()).sum();
    let plogp = |l: &f32| match (z(l) - largest).exp() / sum {
        0.0 => 0.0,
        p => p * p.ln(),
    };
    -logits.iter().map(plogp).sum::<f64>() as f32
}

/// Both engines can be wrong in the same way, so what entropies are is computed once more.
fn assert_entropies(at: &str, gpu: &mut GpuEngine, logits: &[f32]) {
    let lanes: Vec<LaneSpec> = TEMPERATURES
        .map(|temperature| {
            lane(
                Feed::Token,
                Sampler {
                    temperature,
                    ..OPEN
                },
            )
        })
        .into();
    block_on(gpu.begin(&lanes)).expect("a run");
    let records = block_on(gpu.advance(1)).expect("records");
    for (record, temperature) in records.iter().zip(TEMPERATURES) {
        for (found, temperature) in [(record.entropy, temperature), (record.raw_entropy, 1.0)] {
            let expected = entropy(logits, temperature);
            let near = (found - expected).abs() <= 1e-3 * expected.max(1.0);
            assert!(
                near,
                "{at}, T = {temperature}: {found}, expected {expected}"
            );
        }
    }
}

/// The records of both engines over all samplers, sixty-four lanes a run.
fn assert_same_records(at: &str, gpu: &mut GpuEngine, reference: &mut ReferenceEngine) {
    for feed in [Feed::Token, Feed::Concept] {
        let samplers = samplers();
        for chosen in samplers.chunks(latent_gpu::MAX_LANES) {
            let lanes: Vec<LaneSpec> = chosen.iter().map(|&s| lane(feed, s)).collect();
            let differences = block_on(forced_differences(gpu, reference, &lanes));
            let differences = differences.unwrap_or_else(|error| panic!("{at}, {feed:?}: {error}"));
            for (sampler, difference) in chosen.iter().zip(differences) {
                assert_eq!(difference, None, "{at}, {feed:?}, {sampler:?}");
            }
        }
    }
}

/// Finite logits by their kind: a spread that samplers cut, ties, and as far apart as f32 goes.
fn finite_logits(vocab_size: usize) -> [(&'static str, Vec<f32>); 6] {
    let of = |logit: &dyn Fn(usize) -> f32| (0..vocab_size).map(logit).collect();
    let spread = common::noise(3, vocab_size);
    [
        ("spread", spread.iter().map(|z| 3.0 * z).collect()),
        ("equal", of(&|_| 1.5)),
        (
            "two equal ones",
            of(&|id| f32::from(u8::from(id % 16 == 3))),
        ),
        ("all but one so low that e^z is subnormal", {
            of(&|id| -88.0 * f32::from(u8::from(id != vocab_size / 2)))
        }),
        ("the largest numbers", of(&|id| [3e38, -3e38][id % 2])),
        ("the smallest numbers", of(&|id| [1e-45, 0.0, -0.0][id % 3])),
    ]
}

#[test]
fn samplers_at_their_ends_choose_the_same_at_every_size_of_vocabulary() {
    let Some(context) = common::context() else {
        return;
    };
    for vocab_size in [1, 31, 32, 33, 300] {
        for table in context.tables() {
            for (kind, logits) in finite_logits(vocab_size) {
                let (mut gpu, mut reference) = engines(&context, table, &model_of(&logits));
                let at = format!("V = {vocab_size}, {kind}, kernels {}", table.name());
                assert_same_records(&at, &mut gpu, &mut reference);
                assert_entropies(&at, &mut gpu, &logits);
            }
        }
    }
}

#[test]
fn random_models_of_every_size_of_vocabulary_agree() {
    let Some(context) = common::context() else {
        return;
    };
    for vocab_size in [1, 31, 32, 33] {
        let config = ModelConfig {
            vocab_size,
            ..common::random::config()
        };
        let weights = common::random::weights(&config);
        let model = (config, weights);
        for table in context.tables() {
            let (mut gpu, mut reference) = engines(&context, table, &model);
            let lanes = [
                lane(Feed::Token, Sampler::GREEDY),
                lane(Feed::Concept, OPEN),
                lane(Feed::THOUGHT, OPEN),
                lane(Feed::Pause(0), OPEN),
            ];
            let differences = block_on(forced_differences(&mut gpu, &mut reference, &lanes));
            let at = format!("V = {vocab_size}, kernels {}", table.name());
            assert_eq!(differences.expect("two runs"), vec![None; 4], "{at}");
        }
    }
}

#[test]
fn logits_that_are_no_numbers_end_both_engines_with_the_same_error() {
    let Some(context) = common::context() else {
        return;
    };
    let lanes = [
        lane(Feed::Concept, OPEN),
        lane(Feed::Token, Sampler::GREEDY),
    ];
    for vocab_size in [1, 31, 32, 33] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, vocab_size - 1] {
                let mut logits = vec![0.5; vocab_size];
                logits[place] = bad;
                for table in context.tables() {
                    let (mut gpu, mut reference) = engines(&context, table, &model_of(&logits));
                    block_on(gpu.begin(&lanes)).expect("a run");
                    block_on(reference.begin(&lanes)).expect("a run");
                    let expected = block_on(reference.advance(1));
                    let at = format!("V = {vocab_size}, {bad} at {place}, {}", table.name());
                    let named = matches!(expected, Err(EngineError::NonFinite { .. }));
                    assert!(named, "{at}: {expected:?}");
                    assert_eq!(block_on(gpu.advance(1)), expected, "{at}");
                }
            }
        }
    }
}

#[test]
fn what_no_sampler_may_have_is_the_same_error_on_both_engines() {
    let Some(context) = common::context() else {
        return;
    };
    let (mut gpu, mut reference) = engines(&context, Table::Cpu, &common::plain());
    let noised = |noise| Sampler { noise, ..OPEN };
    let tiny = f32::from_bits(1);
    let nans = [f32::NAN, f32::INFINITY, -1.0];
    let mut refused: Vec<(&str, Sampler)> = Vec::new();
    for found in nans.into_iter().chain([tiny, 1e-31]) {
        let temperature = Sampler {
            temperature: found,
            ..OPEN
        };
        let min_p = Sampler {
            min_p: found,
            ..OPEN
        };
        refused.extend([("temperature", temperature), ("min_p", min_p)]);
    }
    for found in nans.into_iter().chain([tiny, 0.0]) {
        refused.push((
            "top_p",
            Sampler {
                top_p: found,
                ..OPEN
            },
        ));
        refused.push(("tau", noised(Noise::Gumbel { tau: found })));
        refused.push(("alpha", noised(Noise::Dirichlet { alpha: found })));
    }
    for found in [0, MAX_KEPT as u32 + 1, u32::MAX] {
        refused.push((
            "top_k",
            Sampler {
                top_k: found,
                ..OPEN
            },
        ));
        let max_concepts = found;
        refused.push((
            "max_concepts",
            Sampler {
                max_concepts,
                ..OPEN
            },
        ));
    }
    // One number past each end.
    for temperature in [LEAST_POSITIVE.next_down(), 100.0_f32.next_up()] {
        let sampler = Sampler {
            temperature,
            ..OPEN
        };
        refused.push(("temperature", sampler));
    }
    for min_p in [LEAST_POSITIVE.next_down(), 0.999_f32.next_up()] {
        refused.push(("min_p", Sampler { min_p, ..OPEN }));
    }
    let top_p = 1.0_f32.next_up();
    refused.push(("top_p", Sampler { top_p, ..OPEN }));
    for tau in [1e-3_f32.next_down(), 1e3_f32.next_up()] {
        refused.push(("tau", noised(Noise::Gumbel { tau })));
    }
    for alpha in [1e-3_f32.next_down(), 1e20_f32.next_up()] {
        refused.push(("alpha", noised(Noise::Dirichlet { alpha })));
    }
    for (field, sampler) in refused {
        let lanes = [lane(Feed::Concept, sampler)];
        // In words, because a NaN is not equal to itself.
        let words = |error: EngineError| error.to_string();
        let expected = block_on(reference.begin(&lanes)).map_err(words);
        let named = expected.as_ref().is_err_and(|text| text.contains(field));
        assert!(named, "{field}: {expected:?}");
        assert_eq!(block_on(gpu.begin(&lanes)).map_err(words), expected);
    }
}
