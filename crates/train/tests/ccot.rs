//! CCOT on models small enough for a test: what a batch's loss is made of, what learns from what,
//! and that a handful of problems is learned.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use latent_model::engine::{LaneSpec, run_to_end};
use latent_model::input;
use latent_model::model::Model;
use latent_model::reference::{Precision, ReferenceEngine};
use latent_model::strategy::{Settings, Strategy};
use latent_model::tasks::prosqa::{self, MARKER};
use latent_model::trace::{answer_ids, summary};
use latent_train::ccot::{
    AnswerGradient, Ccot, CcotConfig, CcotWeights, Input, Keep, Lengths, Lesson, LoraConfig, Part,
    Pool, Reading, Stage, StopGradient, Variance, contemplation_files,
};
use latent_train::driver::load_config;
use latent_train::example::{Context, LossConfig};
use latent_train::export::model_files;
use latent_train::llama::Llama;
use latent_train::objective::{BatchLoss, Objective, soft_sampler};
use latent_train::optimizer::{Optimizer, OptimizerConfig};
use latent_train::parameters::{LlamaConfig, Parameters};
use latent_train::random::Random;
use latent_train::tensor_ops::{flat, read};
use pollster::block_on;

const SIZES: LlamaConfig = LlamaConfig {
    hidden_size: 32,
    n_layers: 3,
    n_heads: 2,
    head_dim: 16,
    intermediate_size: 32,
    rope_theta: 1e6,
    rms_norm_eps: 1e-6,
};

const LOSS: LossConfig = LossConfig {
    gamma: 0.6,
    floor: 0.15,
    latent_targets: 0.0,
    ancestors: 0.0,
    ancestors_from_layer: 2,
    markers: 0.5,
};

const LORA: LoraConfig = LoraConfig {
    rank: 16,
    alpha: 16.0,
};

fn config() -> CcotConfig {
    CcotConfig {
        ratio: 0.5,
        layer: 1,
        keep: Keep::Ranked,
        scorer: None,
        reuse: 1,
        generator: LORA,
        decoder: LORA,
        input: Input::Mapped,
        variance: Variance::Vector,
        first_layer: 0,
        stop_gradient: StopGradient::Tap,
        own_inputs_from: None,
        joint_from: 100,
        answer_gradient: AnswerGradient::AboveTap,
        lengths: Lengths::Given,
        end: 0.0,
    }
}

fn objective() -> Objective<'static> {
    Objective {
        config: &LOSS,
        markers: &MARKER,
        sampler: soft_sampler(prosqa::TASK).expect("a strategy of the table"),
    }
}

/// Problems whose chains have two to eight tokens, one question each.
fn contexts(n: u64) -> Vec<Context> {
    let difficulty = prosqa::Difficulty {
        nodes: 8..=12,
        hops: 1..=4,
    };
    let mut random = Random::new(7);
    let context = |seed| {
        let graph = prosqa::Problem::generate(seed, &difficulty).statement_graph();
        Context::new(&graph.supervised(&mut random), &LOSS)
    };
    (0..n).map(context).collect()
}

/// The problems of [`contexts`] as the base reads them.
fn readings(config: &CcotConfig, base: &Parameters, n: u64) -> Vec<Reading> {
    let mut random = Random::new(8);
    let lesson = |context| Lesson::new(config, prosqa::TASK, context, &mut random);
    let lessons: Vec<Lesson> = contexts(n).into_iter().map(lesson).collect();
    let kept: Vec<usize> = lessons.iter().map(Lesson::n_kept).collect();
    assert!(kept.iter().any(|&k| k != kept[0]), "all alike: {kept:?}");
    let theta = Llama {
        config: &SIZES,
        parameters: base.clone(),
        device: Device::flex(),
    };
    block_on(Reading::read(
        config.layer,
        &objective(),
        &theta,
        lessons,
        None,
    ))
    .expect("the device works")
}

fn base(device: &Device) -> Parameters {
    Parameters::init(&SIZES, prosqa::VOCABULARY_SIZE, 3, device)
}

/// Adapters that make a difference, where those of the beginning make none.
fn stirred(config: &CcotConfig, device: &Device) -> CcotWeights {
    let weights = CcotWeights::init(config, &SIZES, 1, device);
    let mut random = Random::new(2);
    let tensors = weights.weights(|_| true).into_iter().map(|weight| {
        let shape = weight.tensor.dims();
        let noise = (0..shape[0] * shape[1]).map(|_| 0.05 * random.normal() as f32);
        let noise = burn::tensor::TensorData::new(noise.collect::<Vec<f32>>(), shape);
        weight.tensor + Tensor::from_data(noise, device)
    });
    let tensors = tensors.collect();
    weights.replaced(|_| true, tensors)
}

fn loss(
    config: &CcotConfig,
    base: &Parameters,
    tracked: &CcotWeights,
    readings: &[Reading],
    stage: Stage,
) -> BatchLoss {
    let ccot = Ccot {
        config,
        objective: &objective(),
        sizes: &SIZES,
        base: &base.clone().map(Tensor::autodiff),
        weights: tracked,
        device: &Device::flex().autodiff(),
    };
    let readings: Vec<&Reading> = readings.iter().collect();
    block_on(ccot.loss(&readings, stage)).expect("the device works")
}

fn number(tensor: Tensor<1>) -> f64 {
    let numbers = block_on(read(vec![flat(tensor)])).expect("the device works");
    f64::from(numbers[0][0])
}

/// Chains of different lengths share a batch: padding neither sees nor is seen.
#[test]
fn a_batch_loses_what_its_problems_lose_one_by_one() {
    let device = Device::flex();
    let base = base(&device);
    for answer_gradient in [AnswerGradient::AboveTap, AnswerGradient::All] {
        let config = CcotConfig {
            answer_gradient,
            lengths: Lengths::Varied,
            ..config()
        };
        let readings = readings(&config, &base, 6);
        let weights = stirred(&config, &device).tracked(|_| false);
        let of = |readings: &[Reading]| {
            let batch = loss(&config, &base, &weights, readings, Stage::Joint);
            number(batch.loss.inner())
        };
        let alone: Vec<f64> = readings.chunks(1).map(of).collect();
        let mean = alone.iter().sum::<f64>() / alone.len() as f64;
        let together = of(&readings);
        assert!((together - mean).abs() < 1e-5, "{together} {mean}");
    }
}

/// Whether the answer's gradient reaches a part.
type IsReached = fn(Part) -> bool;

/// What learns from the answer gets a gradient and nothing else does: of φ the layers above the
/// tap, and there what makes keys and values of what the answer reads.
#[test]
fn the_answer_reaches_the_generator_above_the_tap_only() {
    let device = Device::flex();
    let base = base(&device);
    let cases: [(AnswerGradient, IsReached); 3] = [
        (AnswerGradient::None, |part| part == Part::Decoder),
        (AnswerGradient::AboveTap, |part| match part {
            Part::Generator { layer } => layer > 1,
            part => part == Part::Decoder,
        }),
        (AnswerGradient::All, |part| part != Part::End),
    ];
    for (answer_gradient, is_reached) in cases {
        let config = CcotConfig {
            answer_gradient,
            ..config()
        };
        let readings = readings(&config, &base, 3);
        let tracked = stirred(&config, &device);
        let tracked = tracked.tracked(|part| config.learns(part, Stage::Joint));
        let batch = loss(&config, &base, &tracked, &readings, Stage::Joint);
        let mut gradients = batch.loss.backward();
        let mut of = |is_meant: &dyn Fn(Part) -> bool| -> Vec<(String, f64)> {
            let weights = tracked.weights(is_meant).into_iter();
            let norm = |gradient: Tensor<2>| number(gradient.square().sum());
            weights
                .map(|weight| {
                    let gradient = weight.tensor.grad_remove(&mut gradients);
                    (weight.name, gradient.map_or(0.0, norm))
                })
                .collect()
        };
        let reached = of(&|part| is_reached(part));
        assert!(!reached.is_empty());
        for (name, norm) in reached {
            // Nothing but a key and a value is read of the last layer's contemplation tokens.
            let is_unread = name.starts_with("generator.layers.2")
                && ["q", "o", "gate", "up", "down"]
                    .iter()
                    .any(|module| name.contains(&format!(".{module}.")));
            assert_eq!(norm > 0.0, !is_unread, "{answer_gradient:?}: {name} {norm}");
        }
        let others = of(&|part| !is_reached(part) && part != Part::End);
        for (name, norm) in others {
            assert_eq!(norm, 0.0, "{answer_gradient:?}: {name}");
        }
    }
}

/// With the paper's gradient, a layer's states teach that layer alone.
#[test]
fn a_layer_learns_from_its_own_states() {
    let device = Device::flex();
    let base = base(&device);
    let config = CcotConfig {
        stop_gradient: StopGradient::EveryLayer,
        first_layer: 1,
        ..config()
    };
    let tracked = stirred(&config, &device).tracked(|_| true);
    let stage = Stage::Generator { own_inputs: false };
    let batch = loss(
        &config,
        &base,
        &tracked,
        &readings(&config, &base, 3),
        stage,
    );
    let mut gradients = batch.loss.backward();
    for layer in 0..SIZES.n_layers {
        let weights = tracked.weights(|part| part == Part::Generator { layer });
        for weight in weights {
            let gradient = weight.tensor.grad_remove(&mut gradients);
            let learns = gradient.is_some_and(|g| number(g.square().sum()) > 0.0);
            // Nothing is asked of layer 0, and nothing comes down to it.
            assert_eq!(learns, layer >= 1, "{}", weight.name);
        }
    }
}

/// Both stages by heart: φ makes the kept states, then ψ answers from what φ makes and END stops,
/// in the trainer and in the engine that reads what it wrote.
#[test]
fn a_handful_of_problems_is_learned_and_answered_by_the_engine() {
    let device = Device::flex();
    let base = base(&device);
    let config = CcotConfig {
        lengths: Lengths::Own,
        end: 1.0,
        ..config()
    };
    let readings = readings(&config, &base, 4);
    let mut weights = CcotWeights::init(&config, &SIZES, 1, &device);
    let adam = OptimizerConfig {
        muon: false,
        beta_1: 0.9,
        beta_2: 0.98,
        clip_norm: 1.0,
    };
    let mut accuracies = Vec::new();
    for (stage, n_steps) in [
        (Stage::Generator { own_inputs: false }, 150),
        (Stage::Joint, 150),
    ] {
        let learned = |part| config.learns(part, stage);
        let mut optimizer = Optimizer::new(&adam, &weights.weights(learned));
        let mut last = (0.0, 0.0);
        for step in 0..n_steps {
            let tracked = weights.clone().tracked(learned);
            let mut batch = loss(&config, &base, &tracked, &readings, stage);
            let mut gradients = batch.loss.backward();
            let gradients = tracked.weights(learned).into_iter().map(|weight| {
                let gradient = weight.tensor.grad_remove(&mut gradients);
                gradient.unwrap_or_else(|| weight.tensor.inner().zeros_like())
            });
            let rate = 0.01 * (1.0 - step as f64 / f64::from(n_steps));
            let update = optimizer.update(&weights.weights(learned), gradients.collect(), rate);
            weights = weights.replaced(learned, update.tensors);
            optimizer = update.optimizer;
            let graded = batch.ungraded.remove(0);
            let logits = block_on(read(vec![flat(graded.logits)])).expect("the device works");
            let stops = batch
                .parts
                .into_iter()
                .find(|(name, _)| name == "stops right");
            last = (
                (graded.accuracy)(&logits[0]),
                stops.map_or(1.0, |(_, share)| number(share)),
            );
        }
        accuracies.push(last);
    }
    assert_eq!(accuracies, [(1.0, 1.0), (1.0, 1.0)]);
    let mut random = Random::new(8);
    let expected: Vec<(usize, Vec<u32>)> = contexts(4)
        .into_iter()
        .map(|context| {
            let answer = context.examples[0].answer.clone();
            let lesson = Lesson::new(&config, prosqa::TASK, context, &mut random);
            (lesson.n_kept(), answer)
        })
        .collect();
    assert_eq!(answered(&config, &base, &weights), expected);
}

/// What the reference engine makes of the four problems with the exported weights: contemplation
/// tokens, and the answer behind `###`.
fn answered(
    config: &CcotConfig,
    base: &Parameters,
    weights: &CcotWeights,
) -> Vec<(usize, Vec<u32>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/prosqa-cot.toml");
    let mut run = load_config(Path::new(path)).expect("it ships");
    run.model = SIZES;
    let mut files = block_on(model_files(&run, base, None)).expect("weights");
    let adapters = contemplation_files(config, weights, "base");
    files.contemplation = Some(block_on(adapters).expect("adapters"));
    let model = Model::from_files(&files).expect("the trainer wrote it");
    let strategy = Strategy::by_name("ccot").expect("a strategy of the table");
    let program = strategy.program(&Settings::default(), &model.tokenizer, model.capabilities());
    let program = program.expect("it has adapters");
    let mut engine = ReferenceEngine::new(&model.config, model.weights.clone(), Precision::Fast);
    let lanes: Vec<LaneSpec> = contexts(4)
        .iter()
        .map(|context| LaneSpec {
            inputs: input::Input::tokens(
                &[&context.tokens[..], &context.examples[0].question].concat(),
            ),
            program: program.clone(),
            seed: 0,
            stream: 0,
            decode_thoughts: false,
        })
        .collect();
    let traces = block_on(run_to_end(&mut engine, &lanes, 8, |_| {})).expect("it runs");
    traces
        .iter()
        .map(|records| {
            let answer = answer_ids(records, &program);
            let behind = answer.iter().skip(1).copied().collect();
            (summary(records, &program).think_steps, behind)
        })
        .collect()
}

/// A run that is resumed learns from the same readings.
#[test]
fn a_pool_holds_the_readings_of_the_newest_steps() {
    let config = config();
    let base = base(&Device::flex());
    let mut asked = Vec::new();
    let mut pool = Pool::default();
    for step in 0..70 {
        let read = async |step| {
            asked.push(step);
            Ok(Vec::new())
        };
        block_on(pool.advance(step, read)).expect("reading does not fail");
    }
    assert_eq!(asked, (0..70).collect::<Vec<u64>>());
    let mut resumed = Pool::default();
    let mut asked = Vec::new();
    let read = async |step| {
        asked.push(step);
        Ok(readings(&config, &base, 2))
    };
    block_on(resumed.advance(69, read)).expect("reading does not fail");
    assert_eq!(asked, (6..70).collect::<Vec<u64>>());
    assert_eq!(resumed.draw(5, &mut Random::new(1)).len(), 5);
}
