//! What turns text into ids and back, behind a pointer: whoever reads a `tokenizer.json` decides which
//! code that is, and the page starts without the larger one.

use std::{collections::BTreeSet, fmt::Debug};

/// Text into ids and back.
pub(super) trait Codec: Debug + Send + Sync {
    /// Ids of a text, with what stands around a prompt or without; else why not.
    fn encode(&self, text: &str, as_prompt: bool) -> Result<Vec<u32>, String>;

    /// The text of ids that are all known; `None` where it cannot be written.
    fn decode(&self, ids: &[u32]) -> Option<String>;

    /// What stands between tokens that are decoded by themselves.
    fn separator(&self) -> &'static str;

    /// The token of an id.
    fn token(&self, id: u32) -> Option<String>;

    /// The id of a token.
    fn id(&self, token: &str) -> Option<u32>;

    /// The ids of tokens that are markers, not words.
    fn added(&self) -> BTreeSet<u32>;

    /// Every id, that of markers included.
    fn ids(&self) -> Vec<u32>;
}
