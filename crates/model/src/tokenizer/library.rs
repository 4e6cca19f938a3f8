//! Any `tokenizer.json`, through Hugging Face's own crate.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tokenizers::{
    AddedToken, ModelWrapper,
    models::{
        bpe::{BPE, Vocab},
        unigram::Unigram,
    },
};

use super::{
    TokenizerError,
    codec::Codec,
    walk::{ARRAY, OBJECT, Walk},
};
use crate::turns::{Breathe, turn};

/// Entries of a vocabulary that are read between two turns for others.
const ENTRIES_AT_ONCE: usize = 2048;

/// Reads any tokenizer, with turns for others where there are any; what it says of truncation and
/// padding is left behind. BPE, of which a page reads 50,000 tokens and as many merges, is read entry
/// by entry: the crate's own reader copies it four times, and is done after a quarter of a second.
pub(super) async fn read(
    json: &str,
    breathe: Option<Breathe>,
) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let mut read = match Parts::of(json)? {
        None => whole(json)?,
        Some(parts) => {
            turn(breathe).await;
            let mut read = whole(&parts.others.to_string())?;
            let bpe = bpe(parts, breathe).await?;
            read.with_model(bpe.model);
            turn(breathe).await;
            let added = bpe.added.into_iter().map(|added| added.token);
            read.add_tokens(added).map_err(wrong)?;
            read
        }
    };
    read.with_truncation(None).map_err(wrong)?;
    read.with_padding(None);
    Ok(read)
}

fn wrong(error: impl std::fmt::Display) -> TokenizerError {
    TokenizerError::Format(error.to_string())
}

/// Reads any tokenizer in one go.
fn whole(json: &str) -> Result<tokenizers::Tokenizer, TokenizerError> {
    check_readable(json)?;
    let mut read: tokenizers::Tokenizer = json.parse().map_err(wrong)?;
    let model = without_unknown_token(read.get_model().clone());
    read.with_model(model);
    Ok(read)
}

/// A tokenizer whose model is BPE, taken apart.
struct Parts<'a> {
    /// The file, with an empty model and no added tokens.
    others: Value,
    added: &'a str,
    /// The model's fields, but for its tables.
    settings: Map<String, Value>,
    vocabulary: &'a str,
    merges: &'a str,
}

impl<'a> Parts<'a> {
    /// `None` where the model is another one.
    fn of(json: &'a str) -> Result<Option<Self>, TokenizerError> {
        let (mut others, mut model, mut added) = (Map::new(), None, "[]");
        let mut file = Walk::new(json, OBJECT)?;
        while file.advance()? {
            match file.name()? {
                name if name == "model" => model = Some(file.text()?),
                name if name == "added_tokens" => added = file.text()?,
                name => drop(others.insert(name, file.value()?)),
            }
        }
        let Some(model) = model.filter(|model| model.starts_with(OBJECT[0])) else {
            return Ok(None);
        };
        let (mut settings, mut vocabulary, mut merges) = (Map::new(), None, None);
        let mut model = Walk::new(model, OBJECT)?;
        while model.advance()? {
            match model.name()? {
                name if name == "vocab" => vocabulary = Some(model.text()?),
                name if name == "merges" => merges = Some(model.text()?),
                name => drop(settings.insert(name, model.value()?)),
            }
        }
        let is_bpe = settings.get("type").is_some_and(|kind| kind == "BPE");
        let (true, Some(vocabulary), Some(merges)) = (is_bpe, vocabulary, merges) else {
            return Ok(None);
        };
        settings.insert("vocab".into(), Map::new().into());
        settings.insert("merges".into(), Vec::<Value>::new().into());
        others.insert("model".into(), settings.clone().into());
        // Of what has told its type, the crate reads the rest.
        settings.remove("type");
        Ok(Some(Self {
            others: others.into(),
            added,
            settings,
            vocabulary,
            merges,
        }))
    }
}

/// A token beside those of the model, as the crate writes it.
#[derive(serde::Deserialize)]
struct Added {
    #[serde(rename = "id")]
    _id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

/// A model with what stands beside it.
struct Read {
    model: BPE,
    added: Vec<Added>,
}

async fn bpe(parts: Parts<'_>, breathe: Option<Breathe>) -> Result<Read, TokenizerError> {
    let added = serde_json::from_str(parts.added).map_err(wrong)?;
    let settings: BPE = serde_json::from_value(parts.settings.into()).map_err(wrong)?;
    let mut vocabulary = Vocab::default();
    let mut entries = Walk::new(parts.vocabulary, OBJECT)?;
    while entries.advance()? {
        let token = entries.name()?;
        vocabulary.insert(token, entries.value()?);
        if vocabulary.len() % ENTRIES_AT_ONCE == 0 {
            turn(breathe).await;
        }
    }
    let mut merges = Vec::new();
    let mut entries = Walk::new(parts.merges, ARRAY)?;
    while entries.advance()? {
        if merges.len() % ENTRIES_AT_ONCE == 0 {
            turn(breathe).await;
        }
        let entry = entries.text()?;
        if entry.starts_with(ARRAY[0]) {
            merges.push(serde_json::from_str(entry).map_err(wrong)?);
            continue;
        }
        // As files had it at first: a line of merges.txt.
        let line: String = serde_json::from_str(entry).map_err(wrong)?;
        match line.split_once(' ') {
            _ if line.starts_with("#version") => {}
            Some((left, right)) if !right.contains(' ') => merges.push((left.into(), right.into())),
            _ => {
                return Err(wrong(format!(
                    "expected a merge of two tokens, found {line:?}"
                )));
            }
        }
    }
    turn(breathe).await;
    // The prefix is a part of what merges come to; the other settings are for texts.
    let mut builder = BPE::builder().vocab_and_merges(vocabulary, merges);
    if let Some(prefix) = &settings.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix.clone());
    }
    let mut model = builder.build().map_err(wrong)?;
    turn(breathe).await;
    model.unk_token = Some(NOWHERE.into());
    model.dropout = settings.dropout;
    model.end_of_word_suffix = settings.end_of_word_suffix;
    model.fuse_unk = settings.fuse_unk;
    model.byte_fallback = settings.byte_fallback;
    model.ignore_merges = settings.ignore_merges;
    Ok(Read { model, added })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::turns::at_once;

    /// BPE of three letters, with the settings and merges that are given.
    fn file(merges: Value, settings: Value) -> Value {
        let mut file = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [{
                "id": 5, "content": "<eos>", "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false,
            }],
            "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Digits", "individual_digits": true},
            "post_processor": null, "decoder": {"type": "Fuse"},
            "model": {
                "type": "BPE", "merges": merges,
                "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "<eos>": 5, "\u{1F600}\"": 6},
            },
        });
        for (name, value) in settings.as_object().expect("an object") {
            file["model"][name] = value.clone();
        }
        file
    }

    #[test]
    fn bpe_is_read_as_the_crate_reads_it() {
        let pairs = json!([["a", "b"], ["ab", "c"]]);
        let lines = json!(["#version: 0.2", "a b", "ab c"]);
        let all = json!({
            "dropout": 0.5, "unk_token": "c", "end_of_word_suffix": "c", "fuse_unk": true,
            "byte_fallback": true, "ignore_merges": true,
        });
        let prefixed = json!({"continuing_subword_prefix": "b"});
        for file in [
            file(pairs.clone(), json!({})),
            file(lines, json!({"dropout": null})),
            file(pairs, all),
            file(
                json!([["a", "bb"]]),
                json!({"continuing_subword_prefix": "b", "vocab": {"a": 0, "bb": 1, "ab": 2}}),
            ),
            file(json!([]), prefixed),
        ] {
            let json = file.to_string();
            assert!(Parts::of(&json).expect("JSON").is_some(), "{json}");
            let by_crate = whole(&json).expect("a tokenizer").to_string(false);
            let read = at_once(read(&json, None)).expect("a tokenizer");
            assert_eq!(read.to_string(false).ok(), by_crate.ok());
        }
    }

    #[test]
    fn what_is_wrong_with_bpe_is_said() {
        for (merges, told) in [
            (json!([["a", "x"]]), "Token `x` out of vocabulary"),
            (
                json!(["a b c"]),
                "expected a merge of two tokens, found \"a b c\"",
            ),
            (json!([["a"]]), "expected"),
            (json!({}), "expected ["),
        ] {
            let json = file(merges, json!({})).to_string();
            let error = at_once(read(&json, None)).expect_err("wrong").to_string();
            assert!(error.contains(told), "{error}");
        }
        let json = file(json!([]), json!({"vocab": {"a": -1}})).to_string();
        assert!(at_once(read(&json, None)).is_err(), "an id counts from 0");
    }
}
