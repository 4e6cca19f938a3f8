//! AdamW and Muon against PyTorch: `fixtures/optimizers.json`, which `fixtures/optimizers.py` made.

use burn::tensor::{Device, Tensor, TensorData};
use latent_train::optimizer::{Optimizer, OptimizerConfig};
use latent_train::parameters::{Kind, Weight};
use serde::Deserialize;

/// PyTorch computed in f64, we in f32: numbers of order 1 after four steps. PyTorch also adds 1e-6
/// to the norm by which it clips.
const TOLERANCE: f32 = 1e-5;

type Rows = Vec<Vec<f32>>;

#[derive(Deserialize)]
struct Fixture {
    betas: [f32; 2],
    clip_norm: f32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    muon: bool,
    weights: Vec<Named>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    matrices: usize,
    start: Rows,
}

#[derive(Deserialize)]
struct Step {
    rate: f64,
    gradients: Vec<Rows>,
    weights: Vec<Rows>,
}

fn tensor(rows: &Rows) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), &Device::flex())
}

/// Takes the fixture's steps and compares after each.
fn check(case: &Case, config: &OptimizerConfig) {
    let weight = |named: &Named| Weight {
        name: named.name.clone(),
        kind: match (named.name.as_str(), named.matrices) {
            ("embedding", _) => Kind::Embedding,
            (_, 0) => Kind::Norm,
            (_, count) => Kind::Matrices(count),
        },
        tensor: tensor(&named.start),
    };
    let mut weights: Vec<Weight> = case.weights.iter().map(weight).collect();
    let mut optimizer = Optimizer::new(config, &weights);
    for (index, step) in case.steps.iter().enumerate() {
        let gradients = step.gradients.iter().map(tensor).collect();
        let update = optimizer.update(&weights, gradients, step.rate);
        optimizer = update.optimizer;
        let pairs = weights.iter_mut().zip(update.tensors);
        for ((weight, updated), expected) in pairs.zip(&step.weights) {
            weight.tensor = updated;
            let found: Vec<f32> = weight.tensor.to_data().try_into_vec().expect("f32");
            for (at, (found, expected)) in found.iter().zip(expected.concat()).enumerate() {
                assert!(
                    (found - expected).abs() < TOLERANCE,
                    "step {index}, {}[{at}]: {found}, PyTorch has {expected}",
                    weight.name
                );
            }
        }
    }
}

fn check_case(muon: bool) {
    let fixture: Fixture =
        serde_json::from_str(include_str!("fixtures/optimizers.json")).expect("a fixture");
    let [beta_1, beta_2] = fixture.betas;
    let config = OptimizerConfig {
        muon,
        beta_1,
        beta_2,
        clip_norm: fixture.clip_norm,
    };
    let case = fixture.cases.iter().find(|case| case.muon == muon);
    check(case.expect("the fixture has both"), &config);
}

#[test]
fn adamw_takes_the_steps_of_pytorch() {
    check_case(false);
}

#[test]
fn muon_takes_the_steps_of_pytorch() {
    check_case(true);
}
