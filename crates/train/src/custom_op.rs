//! Operations whose forward and backward pass are Rust on the CPU backend's numbers.
//!
//! burn's primitives would allocate and pass over memory five to ten times for each of these
//! small steps; at the sizes trained here that is most of the time that is not matrix products.

use std::fmt;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};

/// Numbers of one operand, kept alive for the backward pass without a copy.
#[derive(Clone, Debug)]
pub struct Operand(FlexTensor);

impl Operand {
    /// The numbers in row-major order.
    pub fn numbers(&self) -> &[f32] {
        self.0
            .as_slice()
            .expect("operands are made contiguous before they get here")
    }
}

/// Turns the output's gradient into the gradients of the operands, in their order.
type Gradient<const N: usize> = Arc<dyn Fn(&[f32]) -> [Vec<f32>; N] + Send + Sync>;

/// What the backward pass keeps.
#[derive(Clone)]
struct Kept<const N: usize> {
    gradient: Gradient<N>,
    shapes: [Vec<usize>; N],
}

impl<const N: usize> fmt::Debug for Kept<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("shapes", &self.shapes)
            .finish()
    }
}

#[derive(Debug)]
struct CustomOp<const N: usize>;

impl<const N: usize> Backward<Flex, N> for CustomOp<N> {
    type State = Kept<N>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let of_output = Operand(gradients.consume::<Flex>(&ops.node).to_contiguous());
        let of_operands = (ops.state.gradient)(of_output.numbers());
        let operands = ops
            .parents
            .into_iter()
            .zip(ops.state.shapes)
            .zip(of_operands);
        for ((parent, shape), values) in operands {
            if let Some(parent) = parent {
                let gradient = FlexTensor::from_data(TensorData::new(values, shape));
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Whether tensors on this device can be operands: burn's `flex`, with or without autodiff.
pub fn is_supported<const D: usize>(tensor: &Tensor<D>) -> bool {
    let plain = tensor.clone().try_into_primitive::<Flex>();
    plain.is_ok()
        || tensor
            .clone()
            .try_into_primitive::<Autodiff<Flex>>()
            .is_ok()
}

/// Applies `forward` to the operands' numbers.
///
/// `forward` gives the output, `[D]`-shaped by `shape`, and the function that turns the output's
/// gradient into the operands' gradients. All operands are on `flex`, all with or all without
/// autodiff.
pub fn apply<const N: usize, const D: usize>(
    operands: [Tensor<D>; N],
    shape: [usize; D],
    forward: impl FnOnce([Operand; N]) -> (Vec<f32>, Gradient<N>),
) -> Tensor<D> {
    let output = |values: Vec<f32>| FlexTensor::from_data(TensorData::new(values, shape));
    let shapes = operands.each_ref().map(|operand| operand.dims().to_vec());
    let tracked = operands.each_ref().map(|operand| operand.is_autodiff());
    if !tracked.contains(&true) {
        let operands = operands.map(|operand| {
            let primitive = operand.try_into_primitive::<Flex>();
            Operand(primitive.expect("is_supported was asked").to_contiguous())
        });
        return Tensor::from_primitive::<Flex>(output(forward(operands).0));
    }
    let primitives = operands.map(|operand| {
        let primitive = operand.try_into_primitive::<Autodiff<Flex>>();
        primitive.expect("operands all have autodiff, or none has")
    });
    let nodes = primitives.each_ref().map(|primitive| primitive.node());
    let operands = primitives.map(|p| Operand(p.into_primitive().to_contiguous()));
    let (values, gradient) = forward(operands);
    let prepared = CustomOp::<N>
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound();
    let result = match prepared.stateful() {
        OpsKind::Tracked(tracked) => tracked.finish(Kept { gradient, shapes }, output(values)),
        OpsKind::UnTracked(untracked) => untracked.finish(output(values)),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(result)
}
