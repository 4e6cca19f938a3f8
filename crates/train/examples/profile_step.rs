//! Times training steps of Coconut at official size, part by part; sizes from the environment
//! (D, L, H, F, G, X, STEPS, MUON).
use std::time::Instant;

use burn::tensor::Device;
use latent_model::tasks::prosqa;
use latent_model::tasks::supervision::BatchSize;
use latent_train::config::Level;
use latent_train::lesson::{LossConfig, Passage};
use latent_train::llama::Llama;
use latent_train::method::{SequenceLayout, Stage};
use latent_train::objective::{BatchSplit, Objective, soft_sampler};
use latent_train::optimizer::{Optimizer, OptimizerConfig};
use latent_train::parameters::{LlamaConfig, Parameters};
use latent_train::random::Random;
use pollster::block_on;

fn main() {
    let env = |name: &str, default: usize| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
    };
    let config = LlamaConfig {
        hidden_size: env("D", 128),
        n_layers: env("L", 4),
        n_heads: env("H", 4),
        head_dim: 64,
        intermediate_size: env("F", 256),
        rope_theta: 1e6,
        rms_norm_eps: 1e-6,
    };
    let device = Device::flex();
    let mut parameters = Parameters::init(&config, 64, 1, &device);
    println!("{} parameters", parameters.count());
    let mut optimizer = Optimizer::new(
        &OptimizerConfig {
            muon: env("MUON", 1) == 1,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
        },
        &parameters.weights(),
    );
    let loss_config = LossConfig {
        gamma: 0.6,
        floor: 0.15,
        reach: 2.0,
        ancestors: 1.0,
        ancestors_from_layer: 2,
        markers: 0.1,
    };
    let objective = Objective {
        config: &loss_config,
        markers: &prosqa::TASK.markers(),
        sampler: soft_sampler(prosqa::TASK).expect("a strategy of the table"),
    };
    let level = Level {
        nodes: [19, 27],
        hops: [3, 6],
        dead_ends: false,
        thoughts: 6,
    };
    let size = BatchSize {
        texts: env("G", 16),
        main_questions: 4,
        extra_questions: env("X", 2),
    };
    for step in 0..env("STEPS", 8) as u64 {
        let t0 = Instant::now();
        let mut random = Random::of_step(1, step);
        let texts = prosqa::TASK.draw_texts(&mut random, &level.extent(), &size, &|_| false);
        let t1 = Instant::now();
        let model = Llama {
            config: &config,
            parameters: parameters.tracked(),
            device: device.clone().autodiff(),
        };
        let passages: Vec<Passage> = texts
            .iter()
            .map(|text| Passage::new(text, &loss_config))
            .collect();
        let split = BatchSplit {
            layout: SequenceLayout::Coconut,
            stage: Stage::wordless(6),
            n_lessons: 4 + env("X", 2),
        };
        let batch = block_on(objective.loss(&model, &passages, &[split]));
        let batch = batch.expect("the device works");
        let loss = batch.loss.clone().inner().into_scalar::<f32>();
        let t2 = Instant::now();
        let mut grads = batch.loss.backward();
        let gradients = model
            .parameters
            .weights()
            .into_iter()
            .map(|w| {
                w.tensor
                    .grad_remove(&mut grads)
                    .expect("every weight is used")
            })
            .collect();
        let t3 = Instant::now();
        let update = optimizer.update(&parameters.weights(), gradients, 1e-3);
        parameters = parameters.replaced(update.tensors);
        optimizer = update.optimizer;
        let t4 = Instant::now();
        println!(
            "loss {loss:.3} questions {} positions {} | draw {:.1} forward {:.1} backward {:.1} update {:.1} ms",
            batch.n_questions,
            batch.n_positions,
            (t1 - t0).as_secs_f64() * 1e3,
            (t2 - t1).as_secs_f64() * 1e3,
            (t3 - t2).as_secs_f64() * 1e3,
            (t4 - t3).as_secs_f64() * 1e3,
        );
    }
}
