//! Text to token ids and back, through a Hugging Face `tokenizer.json`.

use std::{collections::BTreeSet, sync::Arc};

pub use self::stream::TextStream;
use self::{codec::Codec, words::Words};
use crate::{
    chat::ChatTemplate,
    text,
    turns::{Breathe, at_once, turn},
};

mod codec;
mod library;
mod pattern;
mod stream;
mod walk;
mod words;

/// The markers that switch a model between words, thoughts and answers.
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
    #[error(
        "the model does not know the word {word:?}. It knows {}",
        vocabulary_text(known)
    )]
    UnknownWord {
        /// The word.
        word: String,
        /// Every word of the vocabulary, sorted, markers left out.
        known: Vec<String>,
    },
}

/// The most words that an error lists one by one.
const MAX_LISTED: usize = 200;

fn vocabulary_text(known: &[String]) -> String {
    match known.len() {
        0..=MAX_LISTED => known.join(", "),
        n => format!("{n} words and pieces of words"),
    }
}

/// A tokenizer and its vocabulary.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    codec: Arc<dyn Codec>,
    /// Added tokens: markers, not words.
    added: BTreeSet<u32>,
    /// What ends an answer, in the order of the model's files; empty where they name nothing.
    end_tokens: Vec<u32>,
    /// Whether the model's chat template writes `<think>` and `</think>`.
    has_marker_texts: bool,
}

/// Between what a model thinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Between two tokens of the vocabulary, `<think>` and `</think>`.
    Markers {
        /// `<think>`
        start: u32,
        /// `</think>`
        end: u32,
    },
    /// Between the same two as texts: the model was taught them, and they are several tokens.
    MarkerTexts {
        /// `<think>`
        start: Vec<u32>,
        /// `</think>`
        end: Vec<u32>,
    },
    /// From where it begins to speak to where it is made to answer.
    Answer {
        /// The text that makes it answer.
        end: Vec<u32>,
    },
}

/// What makes a model answer that was taught no marker for it.
pub const ANSWER_TEXT: &str = "\nThe answer is";

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// What the file says of truncation and padding is left behind: it is what the last caller of
    /// `save_pretrained` happened to use, and a prompt is never cut or padded here.
    ///
    /// # Errors
    /// If the text is not a tokenizer.
    pub fn from_json(json: &str) -> Result<Self, TokenizerError> {
        at_once(Self::from_json_in_turns(json, None))
    }

    /// The same, with turns for others where there are any.
    ///
    /// # Errors
    /// As [`Tokenizer::from_json`].
    pub async fn from_json_in_turns(
        json: &str,
        breathe: Option<Breathe>,
    ) -> Result<Self, TokenizerError> {
        if let Some(read) = Self::of_words(json) {
            return Ok(read);
        }
        let codec = library::read(&text::clean(json), breathe).await?;
        turn(breathe).await;
        // The regular expressions that split texts are compiled for the first one, which is this
        // one and not a run's prompt; it may well have no tokens.
        let _ = codec.encode(" ", false);
        turn(breathe).await;
        Ok(Self::new(Arc::new(codec)))
    }

    /// Reads a `tokenizer.json` of words between spaces, as every task has one, by a reader of its
    /// own; `None` where the file asks for more. It gives the ids that the crate gives which
    /// [`Self::from_json`] takes for all others, and the page starts without that crate.
    pub fn of_words(json: &str) -> Option<Self> {
        let codec = Words::read(&text::clean(json))?;
        Some(Self::new(Arc::new(codec)))
    }

    fn new(codec: Arc<dyn Codec>) -> Self {
        Self {
            added: codec.added(),
            end_tokens: codec.id(Marker::Eos.text()).into_iter().collect(),
            codec,
            has_marker_texts: false,
        }
    }

    /// The same tokenizer of a model that is spoken to by this template.
    pub fn with_chat_template(mut self, template: Option<&ChatTemplate>) -> Self {
        let markers = [Marker::ThinkStart, Marker::ThinkEnd].map(Marker::text);
        self.has_marker_texts =
            template.is_some_and(|template| markers.iter().all(|text| template.mentions(text)));
        self
    }

    /// Between what the model thinks: markers of the vocabulary, or those that its chat template
    /// writes, or two texts.
    ///
    /// # Errors
    /// If it has no markers and cannot write the texts either.
    pub fn thinking(&self) -> Result<Thinking, TokenizerError> {
        let markers = [Marker::ThinkStart, Marker::ThinkEnd].map(Marker::text);
        if let [Some(start), Some(end)] = markers.map(|text| self.id(text)) {
            return Ok(Thinking::Markers { start, end });
        }
        let text = |text| {
            let tokens = self.encode(text).ok().filter(|tokens| !tokens.is_empty());
            let missing = markers.into_iter().find(|text| self.id(text).is_none());
            tokens.ok_or(TokenizerError::MissingMarker(missing.unwrap_or(markers[0])))
        };
        Ok(match self.has_marker_texts {
            true => Thinking::MarkerTexts {
                start: text(markers[0])?,
                end: text(markers[1])?,
            },
            false => Thinking::Answer {
                end: text(ANSWER_TEXT)?,
            },
        })
    }

    /// The same tokenizer, whose answers end at one of these tokens. None leaves it as it was: at
    /// `<eos>`, where there is one.
    pub fn with_end_tokens(mut self, ids: Vec<u32>) -> Self {
        if !ids.is_empty() {
            self.end_tokens = ids;
        }
        self
    }

    /// The tokens that end an answer; the first is the one that [`Marker::Eos`] stands for.
    pub fn end_tokens(&self) -> &[u32] {
        &self.end_tokens
    }

    /// Token ids of a text; no special tokens are added.
    ///
    /// # Errors
    /// If a part of the text is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoded = self.codec.encode(text, false);
        encoded.map_err(|reason| self.unknown_word(text, &reason))
    }

    /// Token ids of a text with what the tokenizer puts around a prompt, such as a token for its
    /// beginning.
    ///
    /// # Errors
    /// If a part of the text is not in the vocabulary.
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoded = self.codec.encode(text, true);
        encoded.map_err(|reason| self.unknown_word(text, &reason))
    }

    /// The text of a sequence of tokens, markers included; `⟨id⟩` where the vocabulary has none.
    pub fn decode(&self, ids: &[u32]) -> String {
        let is_known = |id: &u32| self.codec.token(*id).is_some();
        let texts = ids.chunk_by(|a, b| is_known(a) && is_known(b)).map(|run| {
            match run {
                [id] if !is_known(id) => format!("⟨{id}⟩"),
                // What cannot be written stands as it is.
                _ => self.codec.decode(run).unwrap_or_else(|| {
                    run.iter()
                        .map(|&id| self.token(id))
                        .collect::<Vec<_>>()
                        .join(" ")
                }),
            }
        });
        texts.collect::<Vec<_>>().join(self.codec.separator())
    }

    /// One token as people read it: decoded, with spaces and line ends that stand alone made
    /// visible, and bytes that are no character by themselves in hexadecimal.
    pub fn shown(&self, id: u32) -> String {
        let text = self.decode(&[id]);
        if text.contains(char::REPLACEMENT_CHARACTER) {
            let token = self.token(id);
            return match byte_level_bytes(&token) {
                // Llama's vocabularies spell a byte out: <0xE2>.
                Some(bytes) if !token.starts_with("<0x") => {
                    let digits = bytes.iter().map(|byte| format!("{byte:02X}"));
                    format!("⟨{}⟩", digits.collect::<Vec<_>>().join(" "))
                }
                _ => token,
            };
        }
        let text = text.replace('\n', "⏎").replace('\t', "⇥");
        match text.trim().is_empty() {
            // Decoders of whole sentences drop a space in front.
            true if text.is_empty() => self.token(id).replace(['▁', 'Ġ'], "␣"),
            true => text.replace(' ', "␣"),
            false => text,
        }
    }

    /// The token as it stands in the vocabulary, or `⟨id⟩` where there is none.
    pub fn token(&self, id: u32) -> String {
        self.codec.token(id).unwrap_or_else(|| format!("⟨{id}⟩"))
    }

    /// The id of a token, as it stands in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.codec.id(token)
    }

    /// The id of a marker; that of [`Marker::Eos`] is the first of [`Self::end_tokens`].
    ///
    /// # Errors
    /// If the vocabulary has none.
    pub fn marker(&self, marker: Marker) -> Result<u32, TokenizerError> {
        let found = match marker {
            Marker::Eos => self.end_tokens.first().copied(),
            _ => self.id(marker.text()),
        };
        found.ok_or(TokenizerError::MissingMarker(marker.text()))
    }

    /// One more than the largest id, added tokens included: the rows that an embedding must have.
    pub fn vocab_size(&self) -> usize {
        let ids = self.codec.ids().into_iter();
        ids.max().map_or(0, |last| last as usize + 1)
    }

    /// Every word of the vocabulary as people read it, sorted, without added tokens.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self
            .codec
            .ids()
            .into_iter()
            .filter(|id| !self.added.contains(id))
            .map(|id| self.shown(id))
            .collect();
        words.sort();
        words
    }

    /// Finds the word that made encoding fail: each piece between spaces is tried by itself.
    fn unknown_word(&self, text: &str, reason: &str) -> TokenizerError {
        let fails = |piece: &&str| self.codec.encode(piece, false).is_err();
        match text.split_whitespace().find(fails) {
            Some(piece) => {
                let word = piece.trim_matches(|c: char| c.is_ascii_punctuation());
                TokenizerError::UnknownWord {
                    word: if word.is_empty() { piece } else { word }.into(),
                    known: self.words(),
                }
            }
            None => TokenizerError::Format(reason.into()),
        }
    }
}

/// The bytes of a token of a byte-level vocabulary, in which every byte is a printable character
/// (GPT-2, Radford et al. 2019, `bytes_to_unicode`); `None` where it has others.
fn byte_level_bytes(token: &str) -> Option<Vec<u8>> {
    let is_printable = |byte: u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let hidden: Vec<u8> = (0..=255).filter(|byte| !is_printable(*byte)).collect();
    token
        .chars()
        .map(|char| match u32::from(char) {
            code @ 0..256 => is_printable(code as u8).then_some(code as u8),
            code => hidden.get(code as usize - 256).copied(),
        })
        .collect()
}
