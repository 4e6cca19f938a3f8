//! Any `tokenizer.json`, through Hugging Face's own crate.

use std::collections::BTreeSet;

use serde_json::Value;
use tokenizers::{ModelWrapper, models::unigram::Unigram};

use super::{TokenizerError, codec::Codec};

/// Reads any tokenizer; what it says of truncation and padding is left behind.
pub(super) fn read(json: &str) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let wrong = |error: tokenizers::Error| TokenizerError::Format(error.to_string());
    check_readable(json)?;
    let mut read: tokenizers::Tokenizer = json.parse().map_err(wrong)?;
    read.with_truncation(None).map_err(wrong)?;
    read.with_padding(None);
    let model = without_unknown_token(read.get_model().clone());
    read.with_model(model);
    Ok(read)
}

impl Codec for tokenizers::Tokenizer {
    fn encode(&self, text: &str, as_prompt: bool) -> Result<Vec<u32>, String> {
        let encoding = (**self).encode(text, as_prompt);
        let encoding = encoding.map_err(|error| error.to_string())?;
        Ok(encoding.get_ids().to_vec())
    }

    fn decode(&self, ids: &[u32]) -> Option<String> {
        // Decoders rewrite text and refuse none.
        (**self).decode(ids, false).ok()
    }

    fn separator(&self) -> &'static str {
        match self.get_decoder() {
            None => " ",
            Some(_) => "",
        }
    }

    fn token(&self, id: u32) -> Option<String> {
        self.id_to_token(id)
    }

    fn id(&self, token: &str) -> Option<u32> {
        self.token_to_id(token)
    }

    fn added(&self) -> BTreeSet<u32> {
        self.get_added_tokens_decoder().into_keys().collect()
    }

    fn ids(&self) -> Vec<u32> {
        self.get_vocab(true).into_values().collect()
    }
}

/// No vocabulary holds this.
const NOWHERE: &str = "\u{0}unknown";

/// The model without its token for what it does not know, whatever that is called: a text with an
/// unknown part then fails to encode, instead of reaching the model as something else.
fn without_unknown_token(model: ModelWrapper) -> ModelWrapper {
    match model {
        ModelWrapper::WordLevel(mut model) => {
            model.unk_token = NOWHERE.into();
            model.into()
        }
        ModelWrapper::WordPiece(mut model) => {
            model.unk_token = NOWHERE.into();
            model.into()
        }
        // Without any, it would leave unknown characters out.
        ModelWrapper::BPE(mut model) => {
            model.unk_token = Some(NOWHERE.into());
            model.into()
        }
        // With bytes to fall back on nothing is unknown to it.
        ModelWrapper::Unigram(model) if model.byte_fallback() => model.into(),
        ModelWrapper::Unigram(model) => {
            let vocabulary = model.iter().cloned().collect();
            match Unigram::from(vocabulary, None, false) {
                Ok(strict) => strict.into(),
                Err(_) => model.into(),
            }
        }
    }
}

/// Refuses what the crate that reads the file would not answer with an error: it panics where a
/// decoder is no JSON, and it trusts the sizes in a `Precompiled` normalizer (SentencePiece's, which
/// no model that is run here has).
fn check_readable(json: &str) -> Result<(), TokenizerError> {
    #[derive(serde::Deserialize)]
    struct Parts {
        #[serde(default)]
        normalizer: Value,
        // Read as the crate reads it first.
        #[serde(default, rename = "decoder")]
        _decoder: Value,
    }
    let wrong = |error: serde_json::Error| TokenizerError::Format(error.to_string());
    let parts: Parts = serde_json::from_str(json).map_err(wrong)?;
    match is_precompiled(&parts.normalizer) {
        true => Err(TokenizerError::Format(
            "expected a normalizer that is written out, found one that is \"Precompiled\"".into(),
        )),
        false => Ok(()),
    }
}

/// Whether a normalizer is a `Precompiled` one, or has one in it.
fn is_precompiled(normalizer: &Value) -> bool {
    match normalizer {
        Value::Object(fields) => {
            fields.contains_key("precompiled_charsmap")
                || fields.get("type").is_some_and(|kind| kind == "Precompiled")
                || fields.values().any(is_precompiled)
        }
        Value::Array(all) => all.iter().any(is_precompiled),
        _ => false,
    }
}
