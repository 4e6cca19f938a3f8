//! Whole steps of training on models small enough for a test.

use std::path::PathBuf;

use burn::tensor::Device;
use latent_model::model::Model;
use latent_model::tasks::prosqa::VOCABULARY_SIZE;
use latent_model::tasks::{Problem, Task, prontoqa, prosqa};
use latent_train::config::RunConfig;
use latent_train::evaluation::{Decoding, measure};
use latent_train::export::model_files;
use latent_train::lesson::Passage;
use latent_train::llama::{Llama, LlamaConfig};
use latent_train::method::{Form, Stage};
use latent_train::objective::{LossConfig, Objective, Outcome, Share, soft_sampler};
use latent_train::optimizer::{Optimizer, OptimizerConfig};
use latent_train::parameters::Parameters;
use latent_train::progress::Progress;
use latent_train::random::Random;
use latent_train::run::Run;

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
    reach: 1.0,
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

fn passages(problems: &[prosqa::Problem]) -> Vec<Passage> {
    let graphs = problems.iter().map(prosqa::Problem::statement_graph);
    graphs
        .map(|graph| Passage::new(&graph.supervised(&mut Random::new(7)), &LOSS))
        .collect()
}

fn loss(form: Form, stage: Stage, parameters: Parameters, passages: &[Passage]) -> Outcome {
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
    let share = Share {
        form,
        stage,
        n_lessons: 1,
    };
    objective.loss(&model, passages, &[share])
}

/// Enough for the tiny model to know three problems by heart.
const N_STEPS: usize = 200;

/// Trains on the same few problems and gives the share that the exported model then decodes
/// right, as `latent eval` would.
fn overfitted(form: Form, strategy: &str, set: &str) -> f64 {
    let problems = problems(3);
    let passages = passages(&problems);
    let device = Device::flex();
    let mut parameters = Parameters::init(&SIZES, VOCABULARY_SIZE, 3, &device);
    let config = OptimizerConfig {
        muon: true,
        beta_1: 0.9,
        beta_2: 0.98,
        clip_norm: 1.0,
    };
    let mut optimizer = Optimizer::new(&config, &parameters);
    for step in 0..N_STEPS {
        let tracked = parameters.tracked();
        let outcome = loss(form, Stage::wordless(N_SLOTS), tracked.clone(), &passages);
        let mut gradients = outcome.loss.backward();
        let gradients = tracked
            .named()
            .into_iter()
            .map(|(name, _, weight)| {
                weight
                    .grad_remove(&mut gradients)
                    .unwrap_or_else(|| panic!("{name} is unused"))
            })
            .collect();
        parameters = optimizer.step(
            parameters,
            gradients,
            0.01 * (1.0 - step as f64 / N_STEPS as f64),
        );
    }
    let mut config = tiny_run();
    config.model = SIZES;
    let files = model_files(&config, &parameters, None).expect("the model can be exported");
    let decoding = Decoding {
        strategy: strategy.into(),
        set: (!set.is_empty())
            .then(|| set.to_string())
            .into_iter()
            .collect(),
    };
    let problems: Vec<Problem> = problems.into_iter().map(Problem::from).collect();
    let model = Model::from_files(&files).expect("the export is a model");
    let measured = measure(&model, &decoding, "train", &problems);
    measured.expect("the model can be decoded").share.value
}

#[test]
fn words_overfit_a_handful_of_problems() {
    assert_eq!(overfitted(Form::Cot, "token-cot", ""), 1.0);
}

#[test]
fn answers_at_once_overfit_a_handful_of_problems() {
    assert_eq!(overfitted(Form::NoCot, "no-cot", ""), 1.0);
}

#[test]
fn pauses_overfit_a_handful_of_problems() {
    assert_eq!(overfitted(Form::Pause, "pause", "pauses=2"), 1.0);
}

#[test]
fn coconut_overfits_a_handful_of_problems() {
    assert_eq!(overfitted(Form::Coconut, "coconut", "thoughts=2"), 1.0);
}

#[test]
fn concept_tokens_overfit_a_handful_of_problems() {
    assert_eq!(overfitted(Form::Soft, "soft", ""), 1.0);
}

/// The gradient through the whole chain of thoughts against central differences of the loss.
#[test]
fn the_gradient_of_coconut_is_that_of_finite_differences() {
    let passages = passages(&problems(2));
    let stage = Stage::wordless(N_SLOTS);
    let device = Device::flex();
    let parameters = Parameters::init(&SIZES, VOCABULARY_SIZE, 5, &device);
    let tracked = parameters.tracked();
    let mut gradients = loss(Form::Coconut, stage, tracked.clone(), &passages)
        .loss
        .backward();
    let value = |parameters: &Parameters| -> f64 {
        let outcome = loss(Form::Coconut, stage, parameters.tracked(), &passages);
        f64::from(outcome.loss.inner().into_scalar::<f32>())
    };
    for (index, (name, _, weight)) in tracked.named().into_iter().enumerate() {
        let gradient = weight
            .grad_remove(&mut gradients)
            .expect("every weight is used");
        // Along the gradient itself the difference is largest against f32's rounding.
        let norm = gradient.clone().square().sum().sqrt().into_scalar::<f32>();
        let direction = gradient.div_scalar(norm);
        let step = 2e-2_f32;
        let moved = |sign: f32| {
            let mut position = 0;
            let moved = parameters.clone().map(|weight| {
                let here = position == index;
                position += 1;
                if here {
                    weight + direction.clone().mul_scalar(sign * step)
                } else {
                    weight
                }
            });
            value(&moved)
        };
        let difference = (moved(1.0) - moved(-1.0)) / f64::from(2.0 * step);
        let error = (difference - f64::from(norm)).abs() / f64::from(norm);
        assert!(
            error < 0.02,
            "{name}: gradient {norm}, difference {difference}"
        );
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
        reach = 1.0
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

/// A fresh folder below the system's temporary one.
fn fresh_folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("latent-train-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn weights(run: &Run) -> Vec<Vec<f32>> {
    let named = run.parameters().named().into_iter();
    named
        .map(|(_, _, weight)| weight.into_data().try_into_vec().expect("f32"))
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
    // The time that it took is not a result.
    let result = |run: &Run| Progress {
        cpu_seconds: 0.0,
        ..run.progress().clone()
    };
    assert_eq!(result(&resumed), result(&unbroken));
    assert_eq!(weights(&resumed), weights(&unbroken));
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}

#[test]
fn a_finished_run_that_is_resumed_is_evaluated_once_a_step() {
    let device = Device::flex();
    let folder = fresh_folder("finished");
    let evaluated = |resume: bool| {
        let mut run = Run::new(tiny_run(), &folder, &device, resume).expect("the run starts");
        run.train().expect("the run ends");
        let evaluations = &run.progress().evaluations;
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
    let source = Run::new(tiny_run(), &folder, &device, false).expect("the run starts");
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

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_state() {
    let folder = fresh_folder("nan");
    let mut config = tiny_run();
    config.schedule = vec![(0, 1e30), (8, 1e30)];
    let mut run = Run::new(config, &folder, &Device::flex(), false).expect("the run starts");
    let error = run.train().expect_err("such a rate diverges");
    assert!(
        error
            .to_string()
            .contains("the state saved before it still stands"),
        "{error}"
    );
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}
