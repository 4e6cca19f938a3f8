//! Whole steps of training on models small enough for a test.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use latent_model::model::Model;
use latent_model::tasks::prosqa::VOCABULARY_SIZE;
use latent_model::tasks::{Problem, Task, prontoqa, prosqa};
use latent_train::config::RunConfig;
use latent_train::driver::Run;
use latent_train::evaluation::{Decoding, measure};
use latent_train::example::{Context, LossConfig};
use latent_train::export::model_files;
use latent_train::llama::Llama;
use latent_train::method::{SequenceLayout, Stage};
use latent_train::objective::{BatchLoss, BatchSplit, Objective, soft_sampler};
use latent_train::optimizer::{Optimizer, OptimizerConfig};
use latent_train::parameters::{LlamaConfig, Parameters};
use latent_train::progress::{History, Progress};
use latent_train::random::Random;
use latent_train::source::Source;
use latent_train::state::State;
use latent_train::trainer::{StepError, Trainer};
use pollster::block_on;

const SIZES: LlamaConfig = LlamaConfig {
    hidden_size: 32,
    n_layers: 2,
    n_heads: 2,
    head_dim: 16,
    intermediate_size: 32,
    rope_theta: 1e6,
    rms_norm_eps: 1e-6,
};

const LOSS: LossConfig = LossConfig {
    gamma: 0.6,
    floor: 0.15,
    latent_targets: 1.0,
    ancestors: 0.5,
    ancestors_from_layer: 2,
    markers: 0.5,
};

/// Thoughts, concept tokens or pauses of a question.
const N_SLOTS: usize = 2;

fn problems(n: u64) -> Vec<prosqa::Problem> {
    let difficulty = prosqa::Difficulty {
        nodes: 6..=8,
        hops: 1..=2,
    };
    (0..n)
        .map(|seed| prosqa::Problem::generate(seed, &difficulty))
        .collect()
}

fn contexts(problems: &[prosqa::Problem]) -> Vec<Context> {
    let graphs = problems.iter().map(prosqa::Problem::statement_graph);
    graphs
        .map(|graph| Context::new(&graph.supervised(&mut Random::new(7)), &LOSS))
        .collect()
}

fn loss(
    layout: SequenceLayout,
    stage: Stage,
    parameters: Parameters,
    contexts: &[Context],
) -> BatchLoss {
    let model = Llama {
        config: &SIZES,
        parameters,
        device: Device::flex().autodiff(),
    };
    let objective = Objective {
        config: &LOSS,
        markers: &prosqa::TASK.markers(),
        sampler: soft_sampler(prosqa::TASK).expect("a strategy of the table"),
    };
    let split = BatchSplit {
        layout,
        stage,
        n_examples: 1,
    };
    block_on(objective.loss(&model, contexts, &[split])).expect("the device works")
}

/// Enough for the tiny model to know three problems by heart.
const N_STEPS: usize = 200;

/// Trains on the same few problems and gives the share that the exported model then decodes
/// right, as `latent eval` would.
fn overfitted(layout: SequenceLayout, strategy: &str, set: &str) -> f64 {
    let problems = problems(3);
    let contexts = contexts(&problems);
    let device = Device::flex();
    let mut parameters = Parameters::init(&SIZES, VOCABULARY_SIZE, 3, &device);
    let config = OptimizerConfig {
        muon: true,
        beta_1: 0.9,
        beta_2: 0.98,
        clip_norm: 1.0,
    };
    let mut optimizer = Optimizer::new(&config, &parameters.weights());
    for step in 0..N_STEPS {
        let tracked = parameters.tracked();
        let batch = loss(layout, Stage::wordless(N_SLOTS), tracked.clone(), &contexts);
        let mut gradients = batch.loss.backward();
        let gradients = tracked.weights().into_iter().map(|weight| {
            let gradient = weight.tensor.grad_remove(&mut gradients);
            gradient.unwrap_or_else(|| panic!("{} is unused", weight.name))
        });
        let rate = 0.01 * (1.0 - step as f64 / N_STEPS as f64);
        let update = optimizer.update(&parameters.weights(), gradients.collect(), rate);
        parameters = parameters.replaced(update.tensors);
        optimizer = update.optimizer;
    }
    let mut config = tiny_run();
    config.model = SIZES;
    let files = model_files(&config, &parameters, None);
    let files = block_on(files).expect("the model can be exported");
    let decoding = Decoding {
        strategy: strategy.into(),
        set: (!set.is_empty())
            .then(|| set.to_string())
            .into_iter()
            .collect(),
    };
    let problems: Vec<Problem> = problems.into_iter().map(Problem::from).collect();
    let model = Model::from_files(&files).expect("the export is a model");
    let measured = block_on(measure(&model, &decoding, "train", &problems));
    measured.expect("the model can be decoded").share.value
}

#[test]
fn words_overfit_a_handful_of_problems() {
    assert_eq!(overfitted(SequenceLayout::Cot, "token-cot", ""), 1.0);
}

#[test]
fn answers_at_once_overfit_a_handful_of_problems() {
    assert_eq!(overfitted(SequenceLayout::NoCot, "no-cot", ""), 1.0);
}

#[test]
fn pauses_overfit_a_handful_of_problems() {
    assert_eq!(overfitted(SequenceLayout::Pause, "pause", "pauses=2"), 1.0);
}

#[test]
fn coconut_overfits_a_handful_of_problems() {
    assert_eq!(
        overfitted(SequenceLayout::Coconut, "coconut", "thoughts=2"),
        1.0
    );
}

#[test]
fn concept_tokens_overfit_a_handful_of_problems() {
    assert_eq!(overfitted(SequenceLayout::Soft, "soft", ""), 1.0);
}

/// The gradient through the whole chain of thoughts against central differences of the loss, for
/// each weight along the gradient itself and along two random directions.
#[test]
fn the_gradient_of_coconut_is_that_of_finite_differences() {
    let contexts = contexts(&problems(2));
    let stage = Stage::wordless(N_SLOTS);
    let device = Device::flex();
    let parameters = Parameters::init(&SIZES, VOCABULARY_SIZE, 5, &device);
    let tracked = parameters.tracked();
    let batch = loss(SequenceLayout::Coconut, stage, tracked.clone(), &contexts);
    let mut gradients = batch.loss.backward();
    let value = |parameters: &Parameters| -> f64 {
        let tracked = parameters.tracked();
        let batch = loss(SequenceLayout::Coconut, stage, tracked, &contexts);
        f64::from(batch.loss.inner().into_scalar::<f32>())
    };
    let norm_of = |tensor: &Tensor<2>| {
        let norm = tensor.clone().square().sum().sqrt();
        norm.into_scalar::<f32>()
    };
    let mut random = Random::new(1);
    for (index, weight) in tracked.weights().into_iter().enumerate() {
        let gradient = weight.tensor.grad_remove(&mut gradients);
        let gradient = gradient.expect("every weight is used");
        let shape = gradient.dims();
        let mut normal = || {
            let numbers: Vec<f32> = (0..shape[0] * shape[1])
                .map(|_| random.normal() as f32)
                .collect();
            Tensor::from_data(TensorData::new(numbers, shape), &device)
        };
        // A difference along the gradient is the largest against f32's rounding, but says nothing
        // of what the gradient lacks; a random direction has a share of that, too.
        for direction in [gradient.clone(), normal(), normal()] {
            let unit = direction.clone().div_scalar(norm_of(&direction));
            let expected = f64::from((gradient.clone() * unit.clone()).sum().into_scalar::<f32>());
            let moved = |step: f32| {
                let mut tensors: Vec<Tensor<2>> =
                    parameters.weights().into_iter().map(|w| w.tensor).collect();
                tensors[index] = tensors[index].clone() + unit.clone().mul_scalar(step);
                value(&parameters.clone().replaced(tensors))
            };
            let step = 2e-2_f32;
            let found = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let error = (found - expected).abs();
            let allowed = 0.02 * expected.abs() + 1e-3 * f64::from(norm_of(&gradient));
            assert!(
                error < allowed,
                "{}: gradient {expected}, difference {found}",
                weight.name
            );
        }
    }
}

fn tiny_run() -> RunConfig {
    let text = r#"
        name = "tiny"
        title = "tiny"
        summary = "tiny"
        forms = ["coconut", "cot"]
        seed = 1
        schedule = [[0, 0.0], [2, 1e-2], [8, 1e-3]]
        [model]
        hidden_size = 16
        n_layers = 2
        n_heads = 2
        head_dim = 8
        intermediate_size = 16
        rope_theta = 1e6
        rms_norm_eps = 1e-6
        [batch]
        graphs = 2
        main_questions = 1
        extra_questions = 1
        [loss]
        gamma = 0.6
        floor = 0.15
        latent_targets = 1.0
        ancestors = 1.0
        ancestors_from_layer = 2
        markers = 0.1
        [optimizer]
        muon = true
        beta_1 = 0.9
        beta_2 = 0.98
        clip_norm = 1.0
        [recall]
        sets = 2
        largest_set = 1
        threshold = 0.0
        nodes = [[6, 8], [6, 8]]
        [curriculum]
        threshold = 0.0
        window = 1.0
        review = 0.2
        levels = [
            { nodes = [6, 8], hops = [1, 2], thoughts = 1 },
            { nodes = [6, 9], hops = [1, 3], thoughts = 2 },
        ]
        [evaluation]
        every = 100
        problems = 2
        decodings = [{ strategy = "coconut", set = ["thoughts=2"] }]
    "#;
    toml::from_str(text).expect("the config is whole")
}

/// Adapters of CCOT on [`tiny_run`], two or three steps in each stage.
fn tiny_ccot() -> RunConfig {
    let mut config = tiny_run();
    config.layouts = vec![SequenceLayout::Ccot];
    (config.batch.extra_questions, config.recall) = (0, None);
    let table = r#"
        ratio = 0.5
        layer = 0
        keep = "ranked"
        reuse = 2
        generator = { rank = 2, alpha = 2.0 }
        decoder = { rank = 2, alpha = 2.0 }
        input = "mapped"
        variance = "data"
        first_layer = 0
        stop_gradient = "tap"
        own_inputs_from = 3
        joint_from = 5
        answer_gradient = "above-tap"
        lengths = "own"
        end = 0.3
    "#;
    config.ccot = Some(toml::from_str(table).expect("the table is whole"));
    config
}

/// A fresh folder below the system's temporary one.
fn fresh_folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("latent-train-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn weights(run: &Run) -> Vec<Vec<f32>> {
    let weights = run.trainer().state().parameters.weights().into_iter();
    weights
        .map(|weight| weight.tensor.into_data().try_into_vec().expect("f32"))
        .collect()
}

#[test]
fn a_resumed_run_equals_an_unbroken_one() {
    let device = Device::flex();
    let folder = fresh_folder("resume");
    let started =
        |resume: bool| Run::new(tiny_run(), &folder, &device, resume).expect("the run starts");
    let mut unbroken = started(false);
    for _ in 0..8 {
        unbroken.step().expect("a step");
    }
    let mut broken = started(false);
    for _ in 0..4 {
        broken.step().expect("a step");
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    broken.save().expect("a state");
    let mut resumed = started(true);
    for _ in 4..8 {
        resumed.step().expect("a step");
    }
    let progress = |run: &Run| run.trainer().state().progress.clone();
    assert_eq!(progress(&resumed), progress(&unbroken));
    assert_eq!(weights(&resumed), weights(&unbroken));
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}

/// What a run of CCOT keeps beside its adapters: averages of the optimizer, which begin anew with each
/// stage, the pool of readings and how often each has been learned from.
#[test]
fn a_resumed_run_of_ccot_equals_an_unbroken_one_in_every_stage() {
    let device = Device::flex();
    let folder = fresh_folder("resume-ccot");
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut base = Run::new(tiny_run(), &folder, &device, false).expect("the run starts");
    base.save().expect("a state");
    let mut config = tiny_ccot();
    let state = folder.join("base.safetensors");
    std::fs::rename(folder.join("state.safetensors"), &state).expect("it was saved");
    config.start_from = Some(state.display().to_string());
    let stages = config.ccot.clone().expect("[ccot] is there");
    let started =
        |resume: bool| Run::new(config.clone(), &folder, &device, resume).expect("the run starts");
    let contents = |run: &Run| {
        let state = run.trainer().state();
        let adapters = state.ccot.as_ref().expect("adapters").weights(|_| true);
        let numbers = adapters
            .into_iter()
            .map(|weight| weight.tensor.into_data().try_into_vec().expect("f32"));
        (state.progress.clone(), Vec::<Vec<f32>>::from_iter(numbers))
    };
    let mut unbroken = started(false);
    let reached = Vec::from_iter((0..8).map(|_| {
        unbroken.step().expect("a step");
        contents(&unbroken)
    }));
    // Within a stage and at both of its ends.
    let mut broken = started(false);
    for step in 1..8 {
        broken.step().expect("a step");
        broken.save().expect("a state");
        let mut resumed = started(true);
        assert!(
            contents(&resumed) == reached[step - 1],
            "saved after {step}"
        );
        for (later, expected) in reached.iter().enumerate().skip(step) {
            resumed.step().expect("a step");
            assert!(
                contents(&resumed) == *expected,
                "saved after {step}, step {later} ({:?} before it)",
                stages.stage(later as u64)
            );
        }
    }
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}

#[test]
fn a_finished_run_that_is_resumed_is_evaluated_once_a_step() {
    let device = Device::flex();
    let folder = fresh_folder("finished");
    let evaluated = |resume: bool| {
        let mut run = Run::new(tiny_run(), &folder, &device, resume).expect("the run starts");
        run.train().expect("the run ends");
        let evaluations = &run.history().evaluations;
        evaluations.iter().map(|e| e.step).collect::<Vec<_>>()
    };
    let first = evaluated(false);
    assert_eq!(evaluated(true), first);
    assert!(!first.is_empty());
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}

#[test]
fn weights_of_another_task_keep_the_words_that_both_have() {
    let folder = fresh_folder("start");
    let device = Device::flex();
    let mut source = Run::new(tiny_run(), &folder, &device, false).expect("the run starts");
    std::fs::create_dir_all(&folder).expect("a folder");
    source.save().expect("a state");
    let mut config = tiny_run();
    config.start_from = Some(format!("{}/state.safetensors", folder.display()));
    config.start_task = Some(prosqa::TASK);
    config.task = prontoqa::TASK;
    let started = Run::new(config, &folder, &device, false).expect("the run starts");
    let (theirs, ours) = (weights(&source), weights(&started));
    assert_eq!(ours[1..], theirs[1..], "beyond the embedding all is theirs");
    let row = |weights: &[Vec<f32>], task: Task, word: &str| {
        let known = task.vocabulary();
        let id = known.iter().position(|k| k == word).expect(word);
        weights[0][16 * id..16 * (id + 1)].to_vec()
    };
    for word in ["wumpus", "<think>", "###"] {
        let expected = row(&theirs, prosqa::TASK, word);
        assert_eq!(row(&ours, prontoqa::TASK, word), expected, "{word}");
    }
    let fresh = Parameters::init(
        &tiny_run().model,
        prontoqa::TASK.vocabulary().len(),
        1,
        &device,
    );
    let fresh: Vec<f32> = fresh.embedding.into_data().try_into_vec().expect("f32");
    let expected = row(&[fresh], prontoqa::TASK, "not-red");
    assert_eq!(row(&ours, prontoqa::TASK, "not-red"), expected);
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}

fn trainer(config: RunConfig) -> Trainer {
    let source = Source::new(&config, None).expect("no file is read");
    Trainer::new(config, source, &Device::flex()).expect("the trainer starts")
}

/// Everything that a step changes, as plain numbers.
fn contents(trainer: &Trainer) -> (Progress, u64, Vec<Vec<f32>>) {
    let state = trainer.state();
    let weights = state.parameters.weights().into_iter().map(|w| w.tensor);
    let means = state.optimizer.first.iter().chain(&state.optimizer.second);
    let numbers = weights
        .chain(means.cloned())
        .map(|tensor| tensor.into_data().try_into_vec().expect("f32"));
    (
        state.progress.clone(),
        state.optimizer.n_steps,
        numbers.collect(),
    )
}

/// A config and its seed stand for the same run as when the published weights were trained.
#[test]
fn a_seed_trains_as_it_did() {
    let mut trainer = trainer(tiny_run());
    let losses: Vec<f64> = (0..8)
        .map(|_| block_on(trainer.step()).expect("a step").loss)
        .collect();
    let expected = [
        2.708075, 2.460128, 15.634729, 17.398319, 16.593681, 17.716827, 17.852167, 16.221794,
    ];
    // Other processors sum in another order.
    let close = |(found, expected): (&f64, &f64)| (found / expected - 1.0).abs() < 1e-3;
    assert!(losses.iter().zip(&expected).all(close), "{losses:?}");
}

#[test]
fn a_gradient_that_is_not_finite_is_not_taken() {
    let mut config = tiny_run();
    config.recall = None;
    config.layouts = vec![SequenceLayout::Cot];
    let mut trainer = trainer(config);
    let mut state = trainer.state().clone();
    // States, logits and the loss are of order 10²⁰, and so is the gradient, whose square is no
    // f32.
    let gain = &mut state.parameters.final_norm;
    *gain = gain.full_like(1e20);
    trainer.set_state(state);
    let before = contents(&trainer);
    let error = block_on(trainer.step()).expect_err("the gradient is not a number");
    assert!(
        matches!(error, StepError::NotFinite { quantity, step: 0, .. } if quantity.contains("gradients")),
        "{error}"
    );
    assert!(contents(&trainer) == before, "the step left its marks");
}

#[test]
fn an_update_that_is_not_finite_is_not_taken() {
    let mut config = tiny_run();
    config.schedule = vec![(0, 3e38), (8, 3e38)];
    let mut trainer = trainer(config);
    let before = contents(&trainer);
    let error = block_on(trainer.step()).expect_err("the weights are too large");
    assert!(
        matches!(error, StepError::NotFinite { quantity, .. } if quantity.contains("weights")),
        "{error}"
    );
    assert!(contents(&trainer) == before, "the step left its marks");
}

#[test]
fn a_state_that_is_not_finite_is_neither_written_nor_read() {
    let trainer = trainer(tiny_run());
    let good = trainer.state();
    let mut bad = good.clone();
    bad.optimizer.second[2] = bad.optimizer.second[2].full_like(f32::NAN);
    let error =
        block_on(bad.to_bytes(trainer.config(), &History::default())).expect_err("no such state");
    assert!(
        error.to_string().contains("second.layers.0.qkv[0] is NaN"),
        "{error}"
    );
    // A file that an earlier version wrote.
    let bytes = block_on(good.to_bytes(trainer.config(), &History::default()));
    let mut bytes = bytes.expect("every number is finite");
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let read = State::from_bytes(&bytes, trainer.config(), good, &Device::flex());
    let error = read.err().expect("no such state");
    assert!(
        error
            .to_string()
            .contains("is inf, expected a finite number"),
        "{error}"
    );
}

#[test]
fn a_run_that_diverges_promises_a_saved_state_only_where_there_is_one() {
    let folder = fresh_folder("nan");
    let device = Device::flex();
    let mut diverging = tiny_run();
    diverging.schedule = vec![(0, 1e30), (8, 1e30)];
    let run = |config: RunConfig, resume: bool| Run::new(config, &folder, &device, resume);
    let message = |resume: bool| {
        let mut run = run(diverging.clone(), resume).expect("the run starts");
        run.train().expect_err("such a rate diverges").to_string()
    };
    assert!(
        message(false).contains("nothing had been saved yet"),
        "{}",
        message(false)
    );

    let mut good = run(tiny_run(), false).expect("the run starts");
    for _ in 0..3 {
        good.step().expect("a step");
    }
    good.save().expect("a state");
    let file = folder.join("state.safetensors");
    let saved = std::fs::read(&file).expect("it was saved");
    // The state in the folder is of another run.
    assert!(
        message(false).contains("nothing had been saved yet"),
        "{}",
        message(false)
    );
    assert!(
        message(true).contains("the state saved after 3 steps stands in"),
        "{}",
        message(true)
    );
    assert!(
        std::fs::read(&file).expect("it stands") == saved,
        "the state was replaced"
    );
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}
