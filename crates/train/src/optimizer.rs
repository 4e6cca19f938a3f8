//! AdamW for tables and gains, Muon or AdamW for matrices, with state that can be saved.
//!
//! Written out rather than taken from burn-optim, because the state (two tensors a weight) is
//! saved beside the weights in one safetensors file, and a resumed run must equal an unbroken one.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::parameters::{Kind, Weight};

/// The optimizer's settings; the learning rate comes from the schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Whether matrices are updated by Muon instead of AdamW.
    pub muon: bool,
    /// Decay of AdamW's mean of gradients.
    pub beta_1: f32,
    /// Decay of AdamW's mean of squared gradients.
    pub beta_2: f32,
    /// Gradients are scaled down to this norm (over all weights) where it is larger.
    pub clip_norm: f32,
}

/// Decay of Muon's momentum.
const MUON_MOMENTUM: f32 = 0.95;
/// Coefficients of Muon's quintic Newton–Schulz step (Jordan, "Muon", 2024).
const NEWTON_SCHULZ: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Newton–Schulz steps.
const NEWTON_SCHULZ_STEPS: usize = 5;
/// Keeps AdamW's division finite.
const EPSILON: f32 = 1e-9;

/// Running means for every weight of a list.
///
/// It knows nothing of the model: an objective that learns other weights than the whole model's
/// (adapters on a frozen base, say) hands those to it instead.
#[derive(Clone)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// Steps taken.
    pub n_steps: u64,
    /// Mean of gradients (AdamW) or momentum (Muon), one for each weight.
    pub first: Vec<Tensor<2>>,
    /// Mean of squared gradients (AdamW); stays 0 under Muon.
    pub second: Vec<Tensor<2>>,
}

/// An update that has been computed (or put in the device's queue) and not taken yet.
pub struct Update {
    /// The new weights, in the order of the old ones.
    pub tensors: Vec<Tensor<2>>,
    /// The optimizer after the step.
    pub optimizer: Optimizer,
    /// The Euclidean norm of all gradients together before they were clipped, `[1]`.
    pub gradient_norm: Tensor<1>,
}

impl Optimizer {
    /// An optimizer that has seen nothing yet.
    pub fn new(config: &OptimizerConfig, weights: &[Weight]) -> Optimizer {
        let zeros = || weights.iter().map(|w| w.tensor.zeros_like()).collect();
        Optimizer {
            config: config.clone(),
            n_steps: 0,
            first: zeros(),
            second: zeros(),
        }
    }

    /// The update of `weights` by `gradients`, which are in their order. Nothing waits for the
    /// device, and `self` stays as it is, so that a caller can look at the gradients' norm before
    /// it takes the update.
    ///
    /// # Panics
    /// If there is not one gradient for each weight.
    pub fn update(
        &self,
        weights: &[Weight],
        gradients: Vec<Tensor<2>>,
        learning_rate: f64,
    ) -> Update {
        assert_eq!(
            weights.len(),
            gradients.len(),
            "one gradient for each weight"
        );
        let mut optimizer = self.clone();
        optimizer.n_steps += 1;
        let gradient_norm = global_norm(&gradients);
        let largest = gradient_norm.full_like(self.config.clip_norm);
        let clip = largest / gradient_norm.clone().clamp_min(1e-12);
        let clip = clip.clamp_max(1.0).reshape([1, 1]);
        let pairs = weights.iter().zip(gradients).enumerate();
        let tensors = pairs.map(|(index, (weight, gradient))| {
            let gradient = gradient * clip.clone();
            let update = match weight.kind {
                Kind::Matrices(count) if self.config.muon => optimizer.muon(index, gradient, count),
                _ => optimizer.adam(index, gradient),
            };
            weight.tensor.clone() - update.mul_scalar(learning_rate as f32)
        });
        Update {
            tensors: tensors.collect(),
            optimizer,
            gradient_norm,
        }
    }

    /// AdamW without weight decay (Loshchilov & Hutter, arXiv 1711.05101).
    fn adam(&mut self, index: usize, gradient: Tensor<2>) -> Tensor<2> {
        let (beta_1, beta_2) = (self.config.beta_1, self.config.beta_2);
        let steps = self.n_steps as i32;
        let first = self.first[index].clone().mul_scalar(beta_1)
            + gradient.clone().mul_scalar(1.0 - beta_1);
        let second = self.second[index].clone().mul_scalar(beta_2)
            + gradient.square().mul_scalar(1.0 - beta_2);
        self.first[index] = first.clone();
        self.second[index] = second.clone();
        let mean = first.div_scalar(1.0 - beta_1.powi(steps));
        let root = second.div_scalar(1.0 - beta_2.powi(steps)).sqrt();
        mean / root.add_scalar(EPSILON)
    }

    /// Muon with Nesterov momentum, scaled to AdamW's update size (Liu et al., arXiv 2502.16982).
    fn muon(&mut self, index: usize, gradient: Tensor<2>, count: usize) -> Tensor<2> {
        let momentum = self.first[index].clone().mul_scalar(MUON_MOMENTUM) + gradient.clone();
        self.first[index] = momentum.clone();
        let direction = gradient + momentum.mul_scalar(MUON_MOMENTUM);
        let [rows, columns] = direction.dims();
        let stacked = direction.reshape([count, rows / count, columns]);
        let longer = (rows / count).max(columns) as f32;
        orthogonalized(stacked)
            .reshape([rows, columns])
            .mul_scalar(0.2 * longer.sqrt())
    }
}

/// The nearest matrices with orthonormal rows or columns, roughly: `[count, rows, columns]`.
fn orthogonalized(matrices: Tensor<3>) -> Tensor<3> {
    let [count, rows, columns] = matrices.dims();
    let tall = rows > columns;
    let mut x = if tall {
        matrices.swap_dims(1, 2)
    } else {
        matrices
    };
    let norms = x
        .clone()
        .square()
        .reshape([count, 1, rows * columns])
        .sum_dim(2)
        .sqrt();
    x = x / norms.add_scalar(1e-12);
    let [a, b, c] = NEWTON_SCHULZ;
    for _ in 0..NEWTON_SCHULZ_STEPS {
        let gram = x.clone().matmul(x.clone().swap_dims(1, 2));
        let polynomial = gram.clone().mul_scalar(b) + gram.clone().matmul(gram).mul_scalar(c);
        x = x.clone().mul_scalar(a) + polynomial.matmul(x);
    }
    if tall { x.swap_dims(1, 2) } else { x }
}

/// The Euclidean norm of all tensors together, `[1]`.
///
/// # Panics
/// If there is no tensor.
pub fn global_norm(tensors: &[Tensor<2>]) -> Tensor<1> {
    let squares = tensors.iter().map(|tensor| tensor.clone().square().sum());
    let total = squares.reduce(|a, b| a + b);
    total.expect("there is at least one tensor").sqrt()
}
