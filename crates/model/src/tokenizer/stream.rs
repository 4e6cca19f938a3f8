//! Text that grows token by token, by whole characters.

use super::Tokenizer;

/// Text that grows as tokens come, never by half a character.
///
/// A character of several bytes may be several tokens; it comes with the last of them. What a
/// decoder drops at the beginning of a text, such as a space, is not dropped in its middle.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    /// The tokens that may change what the next one reads as.
    ids: Vec<u32>,
    /// How many of them have come as text.
    n_told: usize,
}

impl TextStream {
    /// What a token adds to the text; nothing while a character is not whole.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        self.ids.push(id);
        let before = tokenizer.decode(&self.ids[..self.n_told]);
        let text = tokenizer.decode(&self.ids);
        let waits = text.ends_with(char::REPLACEMENT_CHARACTER) && self.waiting() < MAX_CHARACTER;
        let Some(added) = text.strip_prefix(&before).filter(|_| !waits) else {
            return String::new();
        };
        let added = added.to_string();
        self.ids.drain(..self.n_told);
        self.n_told = self.ids.len();
        added
    }

    /// Tokens that have come as no text yet.
    fn waiting(&self) -> usize {
        self.ids.len() - self.n_told
    }
}

/// Bytes, and so tokens, of a character at most: more that are none together never will be.
const MAX_CHARACTER: usize = 4;
