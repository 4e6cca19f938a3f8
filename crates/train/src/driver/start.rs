//! The weights that a run begins with where it does not begin with random ones: those of another
//! run's state, or of a published model.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use latent_model::config::{Architecture, ModelConfig, Rope};
use latent_model::tokenizer::Tokenizer;
use safetensors::tensor::{Dtype, SafeTensors};

use crate::config::RunConfig;
use crate::hub_tensors::hub_tensors;
use crate::parameters::{EMBEDDING, Kind, Parameters, Weight};
use crate::tensor_ops::check_finite;

/// Says where to get what a config starts from, if it is not there.
///
/// # Errors
/// If it is not there.
pub fn check_start(config: &RunConfig, config_path: &Path) -> anyhow::Result<()> {
    let Some(start) = config.start_from.as_deref().map(Path::new) else {
        return Ok(());
    };
    if start.exists() {
        return Ok(());
    }
    // `runs/NAME/state.safetensors` is what the config NAME.toml makes.
    let folder = start.parent().unwrap_or(Path::new(""));
    let mut ways = Vec::new();
    if let (Some(name), Some(runs)) = (folder.file_name(), folder.parent())
        && runs.file_name().is_some_and(|runs| runs == "runs")
    {
        let maker = config_path
            .with_file_name(name)
            .with_added_extension("toml");
        if maker.exists() {
            ways.push(format!("`latent train {}` makes it", maker.display()));
        }
        let published = runs.with_file_name("public").join("models").join(name);
        if published.exists() {
            let path = published.display();
            ways.push(format!(
                "`start_from = \"{path}\"` begins with the published weights"
            ));
        }
    }
    if ways.is_empty() {
        ways.push("expected the state of a run, or the folder of a model".into());
    }
    bail!(
        "{} starts from {}, which is not there; {}",
        config_path.display(),
        start.display(),
        ways.join(", and ")
    );
}

/// Weights to begin with, and the words of their vocabulary.
struct Start {
    path: PathBuf,
    file: Vec<u8>,
    /// Whether the tensors have Hugging Face's names instead of ours.
    is_model: bool,
    words: Vec<String>,
}

impl Start {
    fn read(path: &Path, config: &RunConfig) -> anyhow::Result<Start> {
        if path.is_dir() {
            let text = |name: &str| {
                let path = path.join(name);
                std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))
            };
            check_maths(&ModelConfig::from_json(&text("config.json")?)?, config)?;
            let tokenizer = Tokenizer::from_json(&text("tokenizer.json")?)?;
            let ids = 0..tokenizer.vocab_size() as u32;
            let path = path.join("model.safetensors");
            return Ok(Start {
                file: read(&path)?,
                path,
                is_model: true,
                words: ids.map(|id| tokenizer.token(id)).collect(),
            });
        }
        Ok(Start {
            file: read(path)?,
            path: path.to_path_buf(),
            is_model: false,
            words: config.start_task.unwrap_or(config.task).vocabulary(),
        })
    }

    /// The tensors that one of our weights holds below one another, each with its shape.
    fn parts(&self, weight: &str, kind: Kind, shape: [usize; 2]) -> Vec<(String, Vec<usize>)> {
        if self.is_model {
            hub_tensors(weight, kind, shape)
        } else {
            vec![(format!("weight.{weight}"), shape.to_vec())]
        }
    }

    fn n_layers(&self, tensors: &SafeTensors) -> usize {
        let has = |layer: &usize| {
            let parts = self.parts(&format!("layers.{layer}.o"), Kind::Matrices(1), [0, 0]);
            parts.iter().all(|(name, _)| tensors.tensor(name).is_ok())
        };
        (0..).take_while(has).count()
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What shapes do not tell, but what the weights were trained with.
fn check_maths(theirs: &ModelConfig, config: &RunConfig) -> anyhow::Result<()> {
    let ours = &config.model;
    let trained = Architecture::llama(Rope::unscaled(ours.rope_theta as f32));
    ensure!(
        theirs.architecture == trained,
        "the model and its rope_theta must be those of the weights to start from, {:?}, found \
         {trained:?}",
        theirs.architecture
    );
    let (theirs_eps, ours_eps) = (theirs.norm_eps, ours.rms_norm_eps as f32);
    ensure!(
        theirs_eps == ours_eps,
        "rms_norm_eps must be that of the weights to start from, {theirs_eps}, found {ours_eps}"
    );
    ensure!(
        theirs.tie_word_embeddings,
        "the weights to start from must have their embedding as head (tie_word_embeddings)"
    );
    Ok(())
}

/// The weights at `path`, a state file or a model's folder, for a model of the sizes of `like`.
/// Layers that are missing become copies of the last, and words that are missing keep the
/// embeddings of `like`.
///
/// # Errors
/// If a file cannot be read, its tensors have other shapes, or a number is not finite.
pub fn load_start(
    path: &Path,
    config: &RunConfig,
    like: Parameters,
    device: &Device,
) -> anyhow::Result<Parameters> {
    let start = Start::read(path, config)?;
    let in_file = || format!("in {}", start.path.display());
    let tensors = SafeTensors::deserialize(&start.file).with_context(in_file)?;
    let n_layers = start.n_layers(&tensors);
    ensure!(
        n_layers > 0,
        "{} holds no layers; expected the state of a run, or the folder of a model",
        start.path.display()
    );
    let ours = config.task.vocabulary();
    let mut read = Vec::new();
    for Weight { name, kind, tensor } in like.weights() {
        let mut shape = tensor.dims();
        let name = match name
            .strip_prefix("layers.")
            .and_then(|rest| rest.split_once('.'))
        {
            Some((layer, part)) => {
                let layer = layer.parse::<usize>()?.min(n_layers - 1);
                format!("layers.{layer}.{part}")
            }
            None => name,
        };
        let is_other_words = name == EMBEDDING && start.words != ours;
        if is_other_words {
            shape[0] = start.words.len();
        }
        let mut values = Vec::new();
        for (name, shape) in start.parts(&name, kind, shape) {
            values.extend(read_tensor(&tensors, &name, &shape).with_context(in_file)?);
        }
        let saved = Tensor::<2>::from_data(TensorData::new(values, shape), device);
        read.push(if is_other_words {
            embedding_by_word((saved, &start.words), (tensor, &ours))
        } else {
            saved
        });
    }
    Ok(like.replaced(read))
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

/// The numbers of a tensor, widened to f32.
fn read_tensor(tensors: &SafeTensors, name: &str, shape: &[usize]) -> anyhow::Result<Vec<f32>> {
    let view = tensors.tensor(name)?;
    ensure!(
        view.shape() == shape,
        "{name} is {:?}, but the config asks for {shape:?}",
        view.shape()
    );
    let bytes = view.data();
    let (halves, _) = bytes.as_chunks::<2>();
    let numbers: Vec<f32> = match view.dtype() {
        Dtype::F32 => {
            let (words, _) = bytes.as_chunks::<4>();
            words.iter().map(|word| f32::from_le_bytes(*word)).collect()
        }
        Dtype::F16 => halves
            .iter()
            .map(|h| f16::from_le_bytes(*h).to_f32())
            .collect(),
        Dtype::BF16 => halves
            .iter()
            .map(|h| bf16::from_le_bytes(*h).to_f32())
            .collect(),
        other => bail!("{name} is of {other:?}, expected F32, F16 or BF16"),
    };
    check_finite(name, &numbers)?;
    Ok(numbers)
}
