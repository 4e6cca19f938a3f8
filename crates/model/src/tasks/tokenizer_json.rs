//! The `tokenizer.json` that turns a task's English into its ids.

use serde_json::{Map, Value, json};

use super::{
    Task,
    markers::{MARKERS, WORD_MARKERS},
};

impl Task {
    /// The tokenizer in the format of Hugging Face's `tokenizers`, Rust and Python.
    ///
    /// After [`TaskSpec::normalizer`](super::TaskSpec::normalizer) what is left are words between spaces. There is no token for an
    /// unknown word, so encoding one fails instead of guessing.
    pub fn tokenizer_json(self) -> Value {
        let vocabulary = self.vocabulary();
        let vocab: Map<String, Value> = vocabulary
            .into_iter()
            .enumerate()
            .map(|(id, token)| (token, json!(id)))
            .collect();
        let added: Vec<Value> = (self.markers().question..)
            .zip(MARKERS)
            .filter(|(_, token)| !WORD_MARKERS.contains(token))
            .map(|(id, token)| {
                json!({
                    "id": id, "content": token, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true,
                })
            })
            .collect();
        let normalizers: Vec<Value> = self
            .normalizer()
            .into_iter()
            .map(|(pattern, content)| {
                json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": content})
            })
            .collect();
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": {"type": "Sequence", "normalizers": normalizers},
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": null,
            "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
        })
    }
}
