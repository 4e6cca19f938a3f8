//! A model folder, read from bytes: config, weights and tokenizer.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    chat::{ChatError, ChatRole, ChatTemplate, Message},
    checkpoint::{CheckpointError, WeightFormat, Weights},
    config::{ConfigError, ModelConfig, end_tokens},
    contemplation::{Contemplation, ContemplationError, ContemplationFiles},
    engine::ModelCapabilities,
    gguf,
    tokenizer::{Marker, Tokenizer, TokenizerError},
    turns::{Breathe, at_once, turn},
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
    /// `tokenizer_config.json`, where there is one.
    pub tokenizer_config: Option<String>,
    /// `chat_template.jinja`, where there is one.
    pub chat_template: Option<String>,
    /// `model.safetensors`, or every shard, or a GGUF file: (file name, bytes).
    pub weights: Vec<(String, Bytes)>,
    /// A folder of CCOT's adapters, where there is one and it is asked for.
    pub contemplation: Option<ContemplationFiles>,
}

impl ModelFiles {
    /// The weights' files alone.
    fn into_weights(self) -> Vec<Bytes> {
        self.weights.into_iter().map(|(_, bytes)| bytes).collect()
    }
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
    /// How it is spoken to, where it was taught to chat.
    pub chat_template: Option<ChatTemplate>,
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
    /// `tokenizer_config.json`
    #[error(transparent)]
    Chat(#[from] ChatError),
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
        at_once(Self::from_files_in_turns(files, None))
    }

    /// The same, with turns for others where there are any.
    ///
    /// # Errors
    /// As [`Model::from_files`].
    pub async fn from_files_in_turns(
        files: &ModelFiles,
        breathe: Option<Breathe>,
    ) -> Result<Self, ModelError> {
        let config = ModelConfig::from_json(&files.config)?;
        let chat_template = ChatTemplate::from_files(
            files.tokenizer_config.as_deref(),
            files.chat_template.as_deref(),
        )?;
        turn(breathe).await;
        let tokenizer = Tokenizer::from_json_in_turns(&files.tokenizer, breathe).await?;
        turn(breathe).await;
        let tokenizer = fitting(tokenizer, &config, chat_template.as_ref(), files)?;
        turn(breathe).await;
        let weights = Weights::from_files_in_turns(&config, &files.weights, breathe).await?;
        Self::with_adapters(config, weights, tokenizer, files).map(|model| Self {
            chat_template,
            ..model
        })
    }

    /// Reads and checks a folder of a model that has a task's words and no chat, as the ones that
    /// ship are; `None` where the files ask for more. The page starts with the code of this alone.
    pub fn of_words(files: &ModelFiles) -> Option<Result<Self, ModelError>> {
        let chats = files.tokenizer_config.is_some() || files.chat_template.is_some();
        let is_gguf = files.weights.iter().any(|(_, bytes)| gguf::is_gguf(bytes));
        let tokenizer = Tokenizer::of_words(&files.tokenizer).filter(|_| !chats && !is_gguf)?;
        let read = || {
            let config = ModelConfig::from_json(&files.config)?;
            let tokenizer = fitting(tokenizer, &config, None, files)?;
            let weights = Weights::from_safetensors(&config, &files.weights)?;
            Self::with_adapters(config, weights, tokenizer, files)
        };
        Some(read())
    }

    fn with_adapters(
        config: ModelConfig,
        mut weights: Weights,
        tokenizer: Tokenizer,
        files: &ModelFiles,
    ) -> Result<Self, ModelError> {
        let contemplation = files.contemplation.as_ref();
        weights.contemplation = contemplation
            .map(|files| Contemplation::from_files(&config, &weights, files))
            .transpose()?;
        Ok(Self {
            config,
            weights: Arc::new(weights),
            tokenizer,
            chat_template: None,
        })
    }

    /// The tokens of a text that the model shall go on with.
    ///
    /// # Errors
    /// If a part of the text is not in the vocabulary.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.tokenizer.encode_prompt(text)
    }

    /// A chat as text, up to where the model's own turn begins. Where the template itself opens
    /// the thinking, that is left to the strategy, which forces its own start.
    ///
    /// # Errors
    /// If there is no template, or it cannot render these messages.
    pub fn chat(&self, messages: &[Message]) -> Result<String, ChatError> {
        let template = self.chat_template.as_ref().ok_or(ChatError::NoTemplate)?;
        let text = template.render(messages)?;
        let opened = text.trim_end().strip_suffix(Marker::ThinkStart.text());
        Ok(opened.map_or(text.clone(), str::to_string))
    }

    /// The tokens of a user's message in a chat.
    ///
    /// # Errors
    /// If there is no template, or it cannot render the message, or a part of it is not in the
    /// vocabulary.
    pub fn chat_prompt(&self, message: &str) -> Result<Vec<u32>, ModelError> {
        let content = message.into();
        let role = ChatRole::User;
        let text = self.chat(&[Message { role, content }])?;
        Ok(self.tokenizer.encode(&text)?)
    }

    /// The same model with its matrices kept in a format by whatever engine opens it. With f32 they
    /// stay in memory as their file has them, and engines widen what they need.
    pub fn with_weights_in(self, format: WeightFormat) -> Self {
        at_once(self.in_format(format, Vec::new(), None))
    }

    /// The same of a model that nobody else has, with turns for others where there are any; `files`
    /// are those that it was read from, which are given up as what is in them is converted.
    pub async fn with_weights_out_of(
        self,
        files: ModelFiles,
        format: WeightFormat,
        breathe: Option<Breathe>,
    ) -> Self {
        self.in_format(format, files.into_weights(), breathe).await
    }

    async fn in_format(
        self,
        format: WeightFormat,
        files: Vec<Bytes>,
        breathe: Option<Breathe>,
    ) -> Self {
        if format == self.weights.format {
            return self;
        }
        let weights = Arc::unwrap_or_clone(self.weights);
        let weights = Arc::new(weights.into_format(format, files, breathe).await);
        Self { weights, ..self }
    }

    /// What the checkpoint brings beside its language model.
    pub fn capabilities(&self) -> ModelCapabilities {
        self.weights.capabilities()
    }
}

/// A tokenizer as the files that stand beside it want it.
fn fitting(
    tokenizer: Tokenizer,
    config: &ModelConfig,
    chat_template: Option<&ChatTemplate>,
    files: &ModelFiles,
) -> Result<Tokenizer, ModelError> {
    let end_tokens = end_tokens(&files.config, files.generation_config.as_deref())?;
    let tokenizer = tokenizer
        .with_end_tokens(end_tokens)
        .with_chat_template(chat_template);
    match tokenizer.vocab_size() > config.vocab_size {
        true => Err(ModelError::Vocabulary {
            tokenizer: tokenizer.vocab_size(),
            config: config.vocab_size,
        }),
        false => Ok(tokenizer),
    }
}
