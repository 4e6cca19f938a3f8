//! Text to token ids and back, through a Hugging Face `tokenizer.json`.

use std::collections::BTreeSet;

/// The markers that switch a model between words, thoughts and answers (DESIGN.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// `<think>`: reasoning in tokens or concept tokens begins.
    ThinkStart,
    /// `</think>`: it ends.
    ThinkEnd,
    /// `<bot>`: continuous thoughts begin.
    Bot,
    /// `<eot>`: they end.
    Eot,
    /// `<pause>`: a token that carries nothing but time.
    Pause,
    /// `<eos>`: the answer ends.
    Eos,
}

impl Marker {
    /// Every marker.
    pub const ALL: [Self; 6] = [
        Self::ThinkStart,
        Self::ThinkEnd,
        Self::Bot,
        Self::Eot,
        Self::Pause,
        Self::Eos,
    ];

    /// The marker as it stands in `tokenizer.json`.
    pub fn text(self) -> &'static str {
        match self {
            Self::ThinkStart => "<think>",
            Self::ThinkEnd => "</think>",
            Self::Bot => "<bot>",
            Self::Eot => "<eot>",
            Self::Pause => "<pause>",
            Self::Eos => "<eos>",
        }
    }
}

/// Text that cannot be turned into tokens, or a tokenizer that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// Not a tokenizer.
    #[error("tokenizer.json: {0}")]
    Format(String),
    /// A strategy needs a marker that this tokenizer lacks.
    #[error("the tokenizer has no marker {0:?}, which this strategy needs")]
    MissingMarker(&'static str),
    /// A word outside of the vocabulary.
    #[error("the model does not know the word {word:?}. It knows: {}", known.join(", "))]
    UnknownWord {
        /// The word.
        word: String,
        /// Every word of the vocabulary, sorted, markers left out.
        known: Vec<String>,
    },
}

/// A tokenizer and its vocabulary.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: BTreeSet<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn from_json(json: &str) -> Result<Self, TokenizerError> {
        let inner: tokenizers::Tokenizer = json
            .parse()
            .map_err(|error: tokenizers::Error| TokenizerError::Format(error.to_string()))?;
        let special = inner.get_added_tokens_decoder().into_keys().collect();
        Ok(Self { inner, special })
    }

    /// Token ids of a text; no special tokens are added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoded = self.inner.encode(text, false);
        match encoded {
            Ok(encoding) if !self.has_unknown(encoding.get_tokens()) => {
                Ok(encoding.get_ids().to_vec())
            }
            Ok(_) => Err(self.unknown_word(text, "unknown token")),
            Err(error) => Err(self.unknown_word(text, &error.to_string())),
        }
    }

    /// The token as it stands in the vocabulary, or `⟨id⟩` where there is none.
    pub fn token(&self, id: u32) -> String {
        self.inner
            .id_to_token(id)
            .unwrap_or_else(|| format!("⟨{id}⟩"))
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether the token is a marker or another added token.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.contains(&id)
    }

    /// The id of a marker.
    pub fn marker(&self, marker: Marker) -> Result<u32, TokenizerError> {
        self.id(marker.text())
            .ok_or(TokenizerError::MissingMarker(marker.text()))
    }

    /// Number of tokens, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Every word of the vocabulary, sorted, without added tokens.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self
            .inner
            .get_vocab(false)
            .into_iter()
            .filter(|(_, id)| !self.special.contains(id))
            .map(|(word, _)| word)
            .collect();
        words.sort();
        words
    }

    fn has_unknown(&self, tokens: &[String]) -> bool {
        tokens
            .iter()
            .any(|token| token == "<unk>" || token == "[UNK]")
    }

    /// Finds the word that made encoding fail: each piece between spaces is tried by itself.
    fn unknown_word(&self, text: &str, reason: &str) -> TokenizerError {
        let fails = |piece: &&str| match self.inner.encode(*piece, false) {
            Ok(encoding) => self.has_unknown(encoding.get_tokens()),
            Err(_) => true,
        };
        match text.split_whitespace().find(fails) {
            Some(piece) => {
                let word = piece.trim_matches(|c: char| c.is_ascii_punctuation());
                TokenizerError::UnknownWord {
                    word: word.into(),
                    known: self.words(),
                }
            }
            None => TokenizerError::Format(reason.into()),
        }
    }
}
