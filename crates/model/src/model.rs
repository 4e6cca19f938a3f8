//! A model folder, read from bytes: config, weights, tokenizer and how it was trained.

use std::sync::Arc;

use crate::{
    checkpoint::{CheckpointError, Weights},
    config::{ConfigError, ModelConfig},
    tokenizer::{Tokenizer, TokenizerError},
};

/// The files of a model folder; whoever does the I/O fills this in.
#[derive(Clone, Debug)]
pub struct ModelFiles<B> {
    /// `config.json`
    pub config: String,
    /// `tokenizer.json`
    pub tokenizer: String,
    /// `model.safetensors`, or every shard: (file name, bytes).
    pub weights: Vec<(String, B)>,
    /// `training.json`, where there is one.
    pub training: Option<String>,
}

/// A model, ready for an engine.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its shape.
    pub config: ModelConfig,
    /// Its weights, shared with the engines that run on the CPU.
    pub weights: Arc<Weights>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// How it was made, as `training.json` tells; free-form.
    pub training: Option<serde_json::Value>,
}

/// A model folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// `config.json`
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `model.safetensors`
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// `tokenizer.json`
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The two disagree.
    #[error(
        "tokenizer.json has {tokenizer} tokens, more than config.json's vocab_size of {config}"
    )]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokenizer: usize,
        /// Rows of the embedding.
        config: usize,
    },
    /// `training.json`
    #[error("training.json: {0}")]
    Training(#[from] serde_json::Error),
}

impl Model {
    /// Reads and checks a whole model folder.
    pub fn from_files<B: AsRef<[u8]>>(files: &ModelFiles<B>) -> Result<Self, ModelError> {
        let config = ModelConfig::from_json(&files.config)?;
        let tokenizer = Tokenizer::from_json(&files.tokenizer)?;
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(ModelError::Vocabulary {
                tokenizer: tokenizer.vocab_size(),
                config: config.vocab_size,
            });
        }
        let weights = Arc::new(Weights::from_safetensors(&config, &files.weights)?);
        let training = files
            .training
            .as_deref()
            .map(serde_json::from_str)
            .transpose()?;
        Ok(Self {
            config,
            weights,
            tokenizer,
            training,
        })
    }
}
