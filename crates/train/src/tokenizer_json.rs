//! The `tokenizer.json` that turns official English into two ids a statement.

use latent_model::tasks::prosqa::vocabulary::MARKERS;
use latent_model::tasks::prosqa::{marker, vocabulary};
use serde_json::{Value, json};

/// Tokens that are words to the tokenizer although they are markers to the model.
const WORD_MARKERS: [&str; 2] = ["?", "###"];

/// Builds the tokenizer in the format of Hugging Face's `tokenizers`, Rust and Python.
///
/// The normalizer drops what carries nothing ("Every", "is", "a", "or", full stops) and turns
/// `Is R a A or B?` into `? R A B`; what is left are words between spaces. There is no token for
/// an unknown word, so encoding one fails instead of guessing.
pub fn tokenizer_json() -> Value {
    let vocab: serde_json::Map<String, Value> = vocabulary()
        .enumerate()
        .map(|(id, token)| (token.to_string(), json!(id)))
        .collect();
    let added: Vec<Value> = (marker::QUESTION..)
        .zip(MARKERS)
        .filter(|(_, token)| !WORD_MARKERS.contains(token))
        .map(|(id, token)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let replace = |pattern: &str, content: &str| json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": content});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            // The question's verb is its only capital "Is".
            replace(r"\bIs\b", " ? "),
            replace(r"(?<=[A-Za-z])\?", " "),
            replace("###", " ### "),
            replace(r"\b(?:Every|every|is|a|or)\b", " "),
            replace(r"[.\s]+", " "),
        ]},
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    })
}
