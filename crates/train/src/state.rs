//! What a run goes on from: progress, weights and optimizer, as the bytes of one safetensors file.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::ccot::CcotWeights;
use crate::config::RunConfig;
use crate::optimizer::Optimizer;
use crate::parameters::{Parameters, Weight};
use crate::progress::{History, Progress, Record};
use crate::tensor_ops::{check_finite, flat, read};

/// Everything that a step changes.
#[derive(Clone)]
pub struct State {
    /// How far the run is.
    pub progress: Progress,
    /// The model's weights.
    pub parameters: Parameters,
    /// What is learned beside them, while they stay as they are.
    pub ccot: Option<CcotWeights>,
    /// The optimizer with its running means.
    pub optimizer: Optimizer,
}

impl State {
    /// Random weights, or `parameters` where they are given, and an optimizer that has seen nothing.
    pub fn new(config: &RunConfig, parameters: Parameters, device: &Device) -> State {
        let adapters = config.ccot.as_ref();
        let ccot = adapters.map(|ccot| CcotWeights::init(ccot, &config.model, config.seed, device));
        let mut state = State {
            progress: Progress::default(),
            parameters,
            ccot,
            optimizer: Optimizer::new(&config.optimizer, &[]),
        };
        state.optimizer = Optimizer::new(&config.optimizer, &state.learned(config));
        state
    }

    /// The weights that the run's present step learns, in a fixed order.
    pub fn learned(&self, config: &RunConfig) -> Vec<Weight> {
        match (&self.ccot, &config.ccot) {
            (Some(weights), Some(ccot)) => {
                let stage = ccot.stage(self.progress.step);
                weights.weights(|part| ccot.learns(part, stage))
            }
            _ => self.parameters.weights(),
        }
    }

    /// Puts tensors, in the order of [`State::learned`], in the place of those weights.
    pub fn replace_learned(&mut self, config: &RunConfig, tensors: Vec<Tensor<2>>) {
        match (&mut self.ccot, &config.ccot) {
            (Some(weights), Some(ccot)) => {
                let stage = ccot.stage(self.progress.step);
                let learned = |part| ccot.learns(part, stage);
                *weights = weights.clone().replaced(learned, tensors);
            }
            _ => self.parameters = self.parameters.clone().replaced(tensors),
        }
    }

    /// Everything on the autodiff device, with the learned weights as leaves of a new graph.
    pub fn tracked(&self, config: &RunConfig) -> (Parameters, Option<CcotWeights>) {
        match (&self.ccot, &config.ccot) {
            (Some(weights), Some(ccot)) => {
                let stage = ccot.stage(self.progress.step);
                let weights = weights.clone().tracked(|part| ccot.learns(part, stage));
                (self.parameters.clone().map(Tensor::autodiff), Some(weights))
            }
            _ => (self.parameters.tracked(), None),
        }
    }

    /// Every weight, learned or not.
    fn weights(&self) -> Vec<Weight> {
        let adapters = self.ccot.iter().flat_map(|ccot| ccot.weights(|_| true));
        self.parameters
            .weights()
            .into_iter()
            .chain(adapters)
            .collect()
    }

    /// The state and what was measured on the way, as a safetensors file: for each weight `NAME`
    /// the tensors `weight.NAME`, for each that is learned `first.NAME` and `second.NAME` too, and the
    /// rest as metadata. What
    /// is read back goes on bit for bit.
    ///
    /// # Errors
    /// If a number is not finite: such a state is good for nothing, and must not take the place of
    /// one that is. If the device failed.
    pub async fn to_bytes(&self, config: &RunConfig, history: &History) -> anyhow::Result<Vec<u8>> {
        let mut names = Vec::new();
        let mut tensors = Vec::new();
        let mut add = |prefix: &str, name: &str, tensor: &Tensor<2>| {
            names.push((format!("{prefix}.{name}"), tensor.dims()));
            tensors.push(flat(tensor.clone()));
        };
        let [weight, first, second] = PREFIXES;
        for Weight { name, tensor, .. } in self.weights() {
            add(weight, &name, &tensor);
        }
        for (index, Weight { name, .. }) in self.learned(config).into_iter().enumerate() {
            add(first, &name, &self.optimizer.first[index]);
            add(second, &name, &self.optimizer.second[index]);
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
        config: &RunConfig,
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
        let read = |prefix: &str, weights: &[Weight]| -> anyhow::Result<Vec<Tensor<2>>> {
            let tensors = weights.iter().map(|weight| {
                let name = format!("{prefix}.{}", weight.name);
                read_tensor(&tensors, &name, weight.tensor.dims(), device)
            });
            tensors.collect()
        };
        let [weight, first, second] = PREFIXES;
        let mut state = like.clone();
        state.progress = record.progress;
        let parameters = read(weight, &like.parameters.weights())?;
        state.parameters = state.parameters.replaced(parameters);
        if let Some(ccot) = &mut state.ccot {
            let tensors = read(weight, &ccot.weights(|_| true))?;
            *ccot = ccot.clone().replaced(|_| true, tensors);
        }
        let learned = state.learned(config);
        state.optimizer.n_steps = text(OPTIMIZER_STEPS)?.parse()?;
        state.optimizer.first = read(first, &learned)?;
        state.optimizer.second = read(second, &learned)?;
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
