//! A model folder, read from bytes: config, weights and tokenizer.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    checkpoint::{CheckpointError, WeightFormat, Weights},
    config::{ConfigError, ModelConfig, end_tokens},
    contemplation::{Contemplation, ContemplationError, ContemplationFiles},
    engine::ModelCapabilities,
    tokenizer::{Tokenizer, TokenizerError},
};

/// The files of a model folder; whoever does the I/O fills this in.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// `config.json`
    pub config: String,
    /// `generation_config.json`, where there is one.
    pub generation_config: Option<String>,
    /// `tokenizer.json`
    pub tokenizer: String,
    /// `model.safetensors`, or every shard: (file name, bytes).
    pub weights: Vec<(String, Bytes)>,
    /// A folder of CCOT's adapters, where there is one and it is asked for.
    pub contemplation: Option<ContemplationFiles>,
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
    /// CCOT's folder.
    #[error(transparent)]
    Contemplation(#[from] ContemplationError),
    /// `tokenizer.json`
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The two disagree.
    #[error(
        "tokenizer.json has tokens up to id {}, more than config.json's vocab_size of {config}",
        tokenizer - 1
    )]
    Vocabulary {
        /// Rows that the tokenizer's ids ask for.
        tokenizer: usize,
        /// Rows of the embedding.
        config: usize,
    },
}

impl Model {
    /// Reads and checks a whole model folder. The weights' files stay in memory as long as the
    /// weights.
    ///
    /// # Errors
    /// If a file is not what its name says, or two of them disagree.
    pub fn from_files(files: &ModelFiles) -> Result<Self, ModelError> {
        let config = ModelConfig::from_json(&files.config)?;
        let generation_config = files.generation_config.as_deref();
        let tokenizer = Tokenizer::from_json(&files.tokenizer)?
            .with_end_tokens(end_tokens(&files.config, generation_config)?);
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(ModelError::Vocabulary {
                tokenizer: tokenizer.vocab_size(),
                config: config.vocab_size,
            });
        }
        let mut weights = Weights::from_safetensors(&config, &files.weights)?;
        let contemplation = files.contemplation.as_ref();
        weights.contemplation = contemplation
            .map(|files| Contemplation::from_files(&config, &weights, files))
            .transpose()?;
        Ok(Self {
            config,
            weights: Arc::new(weights),
            tokenizer,
        })
    }

    /// The same model with its matrices kept in a format by whatever engine opens it. With f32 they
    /// stay in memory as their file has them, and engines widen what they need.
    pub fn with_weights_in(self, format: WeightFormat) -> Self {
        if format == self.weights.format {
            return self;
        }
        let weights = Arc::new(self.weights.converted(format));
        Self { weights, ..self }
    }

    /// What the checkpoint brings beside its language model.
    pub fn capabilities(&self) -> ModelCapabilities {
        self.weights.capabilities()
    }
}
