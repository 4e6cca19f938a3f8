//! What a run has reached, saved with weights and optimizer in one file.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use latent_model::tasks::Task;
use latent_model::training_record::{Accuracy, CurvePoint, Evaluation};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::optimizer::Optimizer;
use crate::parameters::{EMBEDDING, Parameters};

/// How far a run is and what was measured on the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Stages of the recall warm-up that are behind the run.
    pub recall_stage: usize,
    /// Level of the curriculum.
    pub level: usize,
    /// Running accuracy at this level or stage.
    pub accuracy: f64,
    /// Steps that the running accuracy has seen.
    pub accuracy_steps: f64,
    /// Running loss.
    pub loss: f64,
    /// Questions answered in training, recall sets not counted.
    pub n_questions: u64,
    /// Seconds of CPU time of the training thread.
    pub cpu_seconds: f64,
    /// A point every so many steps.
    pub curve: Vec<CurvePoint>,
    /// Every evaluation so far.
    pub evaluations: Vec<Evaluation>,
}

impl Progress {
    /// Folds one step's accuracy and loss into the running means.
    pub fn observe(&mut self, accuracy: f64, loss: f64, window: f64) {
        self.accuracy_steps = (self.accuracy_steps + 1.0).min(window);
        self.accuracy += (accuracy - self.accuracy) / self.accuracy_steps;
        let rate = if self.loss == 0.0 { 1.0 } else { 1.0 / window };
        self.loss += (loss - self.loss) * rate;
    }

    /// The newest accuracy on the last set of problems that is evaluated on.
    pub fn held_out(&self) -> Option<&Accuracy> {
        self.evaluations.last()?.accuracies.last()
    }

    /// Starts the running accuracy afresh, for a new level.
    pub fn forget_accuracy(&mut self) {
        self.accuracy = 0.0;
        self.accuracy_steps = 0.0;
    }
}

/// Writes progress, weights and optimizer to one file, replacing it at once.
///
/// # Errors
/// If the file cannot be written; the former state then still stands.
pub fn save(
    path: &Path,
    progress: &Progress,
    parameters: &Parameters,
    optimizer: &Optimizer,
) -> anyhow::Result<()> {
    let mut tensors: Vec<(String, [usize; 2], Vec<u8>)> = Vec::new();
    let mut add = |name: String, tensor: Tensor<2>| {
        let shape = tensor.dims();
        tensors.push((name, shape, bytes(tensor)));
    };
    for (index, (name, _, weight)) in parameters.named().into_iter().enumerate() {
        add(format!("weight.{name}"), weight);
        add(format!("first.{name}"), optimizer.first[index].clone());
        add(format!("second.{name}"), optimizer.second[index].clone());
    }
    let views: Vec<(&str, TensorView)> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes)?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<_, safetensors::SafeTensorError>>()?;
    let mut metadata = HashMap::new();
    metadata.insert("progress".to_string(), serde_json::to_string(progress)?);
    metadata.insert("optimizer_steps".to_string(), optimizer.n_steps.to_string());
    let file = safetensors::serialize(views, Some(metadata))?;
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, file).with_context(|| format!("cannot write {}", fresh.display()))?;
    std::fs::rename(&fresh, path).with_context(|| format!("cannot replace {}", path.display()))?;
    Ok(())
}

/// Reads a state back into `optimizer` and gives progress and weights.
///
/// # Errors
/// If the file cannot be read, or holds other tensors than a model of these sizes has.
pub fn load(
    path: &Path,
    like: Parameters,
    optimizer: &mut Optimizer,
    device: &Device,
) -> anyhow::Result<(Progress, Parameters)> {
    let file = std::fs::read(path)
        .with_context(|| format!("there is no saved state at {}", path.display()))?;
    let tensors = SafeTensors::deserialize(&file)?;
    let (_, header) = SafeTensors::read_metadata(&file)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let text = |key: &str| {
        metadata
            .get(key)
            .with_context(|| format!("{} has no {key:?}", path.display()))
    };
    let progress: Progress = serde_json::from_str(text("progress")?)?;
    optimizer.n_steps = text("optimizer_steps")?.parse()?;
    let names: Vec<String> = like.named().into_iter().map(|(name, _, _)| name).collect();
    let mut index = 0;
    let parameters = like.try_map(|expected| {
        let name = &names[index];
        let shape = expected.dims();
        let read = |prefix: &str| read_tensor(&tensors, &format!("{prefix}.{name}"), shape, device);
        optimizer.first[index] = read("first")?;
        optimizer.second[index] = read("second")?;
        index += 1;
        read("weight")
    })?;
    Ok((progress, parameters))
}

/// Reads only the weights of another run's state; layers that it lacks become copies of its last,
/// and words that the vocabulary of its task lacks keep the embeddings of `like`.
///
/// # Errors
/// If the file cannot be read or its tensors have other shapes.
pub fn load_weights(
    path: &Path,
    like: Parameters,
    (theirs, ours): (Task, Task),
    device: &Device,
) -> anyhow::Result<Parameters> {
    let file = std::fs::read(path)
        .with_context(|| format!("there is no state to start from at {}", path.display()))?;
    let tensors = SafeTensors::deserialize(&file)?;
    let n_saved = (0..)
        .take_while(|layer| {
            tensors
                .tensor(&format!("weight.layers.{layer}.qkv"))
                .is_ok()
        })
        .count();
    ensure!(n_saved > 0, "{} holds no layers", path.display());
    let mut names = like.named().into_iter().map(|(name, _, _)| name);
    like.try_map(|expected| {
        let name = names.next().context("every weight has a name")?;
        if name == EMBEDDING && theirs != ours {
            let their_words = theirs.vocabulary();
            let shape = [their_words.len(), expected.dims()[1]];
            let saved = read_tensor(&tensors, &format!("weight.{name}"), shape, device)?;
            return Ok(embedding_by_word(
                (saved, &their_words),
                (expected, &ours.vocabulary()),
            ));
        }
        let name = match name
            .strip_prefix("layers.")
            .and_then(|rest| rest.split_once('.'))
        {
            Some((layer, part)) => {
                let layer = layer.parse::<usize>()?.min(n_saved - 1);
                format!("layers.{layer}.{part}")
            }
            None => name,
        };
        read_tensor(&tensors, &format!("weight.{name}"), expected.dims(), device)
    })
}

/// Our embedding with the rows of the words that their vocabulary has, too.
fn embedding_by_word(
    (theirs, their_words): (Tensor<2>, &[String]),
    (ours, our_words): (Tensor<2>, &[String]),
) -> Tensor<2> {
    let rows = our_words.iter().enumerate().map(|(id, word)| {
        match their_words.iter().position(|known| known == word) {
            Some(their_id) => theirs.clone().narrow(0, their_id, 1),
            None => ours.clone().narrow(0, id, 1),
        }
    });
    Tensor::cat(rows.collect(), 0)
}

fn read_tensor(
    tensors: &SafeTensors,
    name: &str,
    shape: [usize; 2],
    device: &Device,
) -> anyhow::Result<Tensor<2>> {
    let view = tensors.tensor(name)?;
    ensure!(
        view.shape() == shape,
        "the saved {name} is {:?}, but the config asks for {shape:?}",
        view.shape()
    );
    let values: Vec<f32> = view
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}

fn bytes(tensor: Tensor<2>) -> Vec<u8> {
    let values = crate::objective::numbers(tensor);
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}
