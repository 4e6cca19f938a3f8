//! The one-pass operations against burn's own primitives: values and gradients.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use latent_train::fused::{apply_rope, causal_softmax, rms_norm, shared_softmax, swiglu};
use latent_train::random::Random;
use latent_train::reference_ops::{self, AngleTable, Visible};

/// f32 sums of up to a hundred terms in another order differ by a few units in the last place.
const TOLERANCE: f32 = 2e-5;

fn leaf<const D: usize>(random: &mut Random, shape: [usize; D], scale: f64) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| (random.normal() * scale) as f32)
        .collect();
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values, shape), &device).require_grad()
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

fn assert_close(name: &str, ours: &[f32], expected: &[f32]) {
    assert_eq!(ours.len(), expected.len(), "{name}");
    for (index, (a, b)) in ours.iter().zip(expected).enumerate() {
        let close = (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
        assert!(close, "{name}[{index}]: {a}, expected {b}");
    }
}

/// Compares `ours` with `expected` and both gradients of `Σ output · probe`.
fn check<const N: usize, const D: usize>(
    name: &str,
    leaves: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<D>,
    expected: impl Fn([Tensor<D>; N]) -> Tensor<D>,
) {
    let run = |f: &dyn Fn([Tensor<D>; N]) -> Tensor<D>| {
        let output = f(leaves.clone());
        // A probe that is not constant, so that no gradient cancels.
        let mut random = Random::new(99);
        let probe = leaf(&mut random, output.dims(), 1.0).detach();
        let gradients = (output.clone() * probe).sum().backward();
        let of_leaves = leaves
            .each_ref()
            .map(|leaf| numbers(leaf.grad(&gradients).expect("every leaf has a gradient")));
        (numbers(output.inner()), of_leaves)
    };
    let (value, gradients) = run(&ours);
    let (expected_value, expected_gradients) = run(&expected);
    assert_close(name, &value, &expected_value);
    for (index, (ours, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
        assert_close(&format!("{name}, gradient {index}"), ours, expected);
    }
}

#[test]
fn rms_norm_equals_the_reference() {
    let mut random = Random::new(1);
    let leaves = [
        leaf(&mut random, [5, 12], 2.0),
        leaf(&mut random, [1, 12], 1.0),
    ];
    check(
        "rms_norm",
        leaves,
        |[x, gain]| rms_norm(x, gain, 1e-6),
        |[x, gain]| reference_ops::rms_norm(x, gain, 1e-6),
    );
}

#[test]
fn swiglu_equals_the_reference() {
    let mut random = Random::new(2);
    check(
        "swiglu",
        [leaf(&mut random, [7, 16], 3.0)],
        |[both]| swiglu(both),
        |[both]| reference_ops::swiglu(both),
    );
}

#[test]
fn apply_rope_equals_the_reference() {
    let mut random = Random::new(3);
    let (n_rows, n_heads, half) = (3, 2, 4);
    let angles: Vec<f32> = (0..n_rows * half).map(|i| i as f32 * 0.37).collect();
    let table = Arc::new(AngleTable {
        cos: angles.iter().map(|a| a.cos()).collect(),
        sin: angles.iter().map(|a| a.sin()).collect(),
    });
    check(
        "apply_rope",
        [leaf(&mut random, [n_rows, n_heads * 2 * half], 1.0)],
        |[rows]| apply_rope(rows, table.clone(), 2 * half, 0.5),
        |[rows]| reference_ops::apply_rope(rows, &table, 2 * half, 0.5),
    );
}

#[test]
fn shared_softmax_equals_the_reference() {
    let mut random = Random::new(4);
    // Two graphs of 3 and 5 positions, three questions of two new positions that have four, of
    // which they may not see some.
    for hidden in [None, Some(Arc::new(vec![0..2, 1..1]))] {
        let visible = Visible {
            lengths: Arc::new(vec![3, 5]),
            n_new: 2,
            hidden,
        };
        check(
            "shared_softmax",
            [
                leaf(&mut random, [2, 2, 6, 5], 3.0),
                leaf(&mut random, [2, 2, 6, 4], 3.0),
            ],
            |[graph, own]| shared_softmax(graph, own, visible.clone()),
            |[graph, own]| reference_ops::shared_softmax(graph, own, &visible),
        );
    }
}

#[test]
fn causal_softmax_equals_the_reference() {
    let mut random = Random::new(5);
    check(
        "causal_softmax",
        [leaf(&mut random, [2, 3, 6, 6], 3.0)],
        |[scores]| causal_softmax(scores),
        |[scores]| reference_ops::causal_softmax(scores),
    );
}
