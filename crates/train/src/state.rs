//! What a run goes on from: progress, weights and optimizer, as the bytes of one safetensors file.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::optimizer::Optimizer;
use crate::parameters::{Parameters, Weight};
use crate::progress::{History, Progress, Record};
use crate::tensor_ops::{flat, read};

/// Everything that a step changes.
#[derive(Clone)]
pub struct State {
    /// How far the run is.
    pub progress: Progress,
    /// The weights.
    pub parameters: Parameters,
    /// The optimizer with its running means.
    pub optimizer: Optimizer,
}

impl State {
    /// The state and what was measured on the way, as a safetensors file: for each weight `NAME`
    /// the tensors `weight.NAME`, `first.NAME` and `second.NAME`, and the rest as metadata. What
    /// is read back goes on bit for bit.
    ///
    /// # Errors
    /// If a number is not finite: such a state is good for nothing, and must not take the place of
    /// one that is. If the device failed.
    pub async fn to_bytes(&self, history: &History) -> anyhow::Result<Vec<u8>> {
        let mut names = Vec::new();
        let mut tensors = Vec::new();
        for (index, Weight { name, tensor, .. }) in
            self.parameters.weights().into_iter().enumerate()
        {
            let [first, second] =
                [&self.optimizer.first, &self.optimizer.second].map(|means| means[index].clone());
            for (prefix, tensor) in PREFIXES.into_iter().zip([tensor, first, second]) {
                names.push((format!("{prefix}.{name}"), tensor.dims()));
                tensors.push(flat(tensor));
            }
        }
        let numbers = read(tensors).await?;
        let mut bytes = Vec::new();
        for ((name, _), numbers) in names.iter().zip(&numbers) {
            check_finite(name, numbers)?;
            bytes.push(numbers.iter().flat_map(|v| v.to_le_bytes()).collect());
        }
        let views: Vec<(&str, TensorView)> = names
            .iter()
            .zip(&bytes)
            .map(|((name, shape), bytes): (_, &Vec<u8>)| {
                let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes)?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<_, safetensors::SafeTensorError>>()?;
        let record = Record {
            progress: self.progress.clone(),
            history: history.clone(),
        };
        let metadata = HashMap::from([
            (PROGRESS.to_string(), serde_json::to_string(&record)?),
            (
                OPTIMIZER_STEPS.to_string(),
                self.optimizer.n_steps.to_string(),
            ),
        ]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// Reads back what [`State::to_bytes`] wrote; `like` is a fresh state of the same config.
    ///
    /// # Errors
    /// If the bytes are no such file, hold other tensors than a model of these sizes has, or a
    /// number that is not finite.
    pub fn from_bytes(
        bytes: &[u8],
        like: &State,
        device: &Device,
    ) -> anyhow::Result<(State, History)> {
        let tensors = SafeTensors::deserialize(bytes)?;
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let metadata = header.metadata().as_ref();
        let text = |key: &str| {
            let value = metadata.and_then(|metadata| metadata.get(key));
            value.with_context(|| format!("the state has no {key:?} in its metadata"))
        };
        let record: Record = serde_json::from_str(text(PROGRESS)?)?;
        let weights = like.parameters.weights();
        let read = |prefix: &str| -> anyhow::Result<Vec<Tensor<2>>> {
            let tensors = weights.iter().map(|weight| {
                let name = format!("{prefix}.{}", weight.name);
                read_tensor(&tensors, &name, weight.tensor.dims(), device)
            });
            tensors.collect()
        };
        let [weight, first, second] = PREFIXES;
        let mut optimizer = like.optimizer.clone();
        optimizer.n_steps = text(OPTIMIZER_STEPS)?.parse()?;
        optimizer.first = read(first)?;
        optimizer.second = read(second)?;
        let state = State {
            progress: record.progress,
            parameters: like.parameters.clone().replaced(read(weight)?),
            optimizer,
        };
        Ok((state, record.history))
    }
}

/// What stands before a weight's name: its numbers, and the optimizer's two means.
const PREFIXES: [&str; 3] = ["weight", "first", "second"];
/// The metadata's key of the [`Record`].
const PROGRESS: &str = "progress";
/// The metadata's key of the optimizer's step count.
const OPTIMIZER_STEPS: &str = "optimizer_steps";

fn read_tensor(
    tensors: &SafeTensors,
    name: &str,
    shape: [usize; 2],
    device: &Device,
) -> anyhow::Result<Tensor<2>> {
    let view = tensors.tensor(name)?;
    ensure!(
        view.shape() == shape && view.dtype() == Dtype::F32,
        "the saved {name} is {:?} of {:?}, but the config asks for {shape:?} of F32",
        view.shape(),
        view.dtype()
    );
    let (chunks, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = chunks
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    check_finite(name, &values)?;
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}

/// Fails at the first number that is not finite.
pub fn check_finite(name: &str, numbers: &[f32]) -> anyhow::Result<()> {
    if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
        anyhow::bail!("{name}[{at}] is {}, expected a finite number", numbers[at]);
    }
    Ok(())
}
