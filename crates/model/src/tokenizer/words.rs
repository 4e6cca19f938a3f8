//! A `tokenizer.json` of words between spaces, as every task has one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{codec::Codec, pattern::Pattern};

/// Words between spaces, after some replacements, and markers that stand by themselves wherever
/// they are in a text.
#[derive(Debug)]
pub(super) struct Words {
    /// Longest first: of two that begin at a place, that one is meant.
    markers: Vec<(String, u32)>,
    /// What is replaced between markers, in this order, and by what.
    rules: Vec<(Pattern, String)>,
    ids: BTreeMap<String, u32>,
    words: BTreeMap<u32, String>,
}

impl Words {
    /// Reads a file; `None` where it asks for anything else. What it says of truncation and padding
    /// is left behind, and a word that it does not know is never its unknown token.
    pub(super) fn read(json: &str) -> Option<Self> {
        // Large files are of other kinds, and need not be read twice.
        if !json.contains("\"WordLevel\"") {
            return None;
        }
        let file: Value = serde_json::from_str(json).ok()?;
        let known = [
            "version",
            "truncation",
            "padding",
            "added_tokens",
            "normalizer",
            "pre_tokenizer",
            "post_processor",
            "decoder",
            "model",
        ];
        has_no_more_than(&file, &known)?;
        let splits_at_spaces = file["pre_tokenizer"] == json!({"type": "WhitespaceSplit"});
        let (after, decoder) = (&file["post_processor"], &file["decoder"]);
        if !splits_at_spaces || !after.is_null() || !decoder.is_null() {
            return None;
        }
        let ids = vocabulary(&file["model"])?;
        let words: BTreeMap<u32, String> =
            ids.iter().map(|(word, &id)| (id, word.clone())).collect();
        let marker = |token: &Value| marker(token, &ids);
        let markers = file["added_tokens"].as_array()?.iter().map(marker);
        let mut markers: Vec<(String, u32)> = markers.collect::<Option<_>>()?;
        markers.sort_by_key(|(content, _)| std::cmp::Reverse(content.len()));
        let rules = rules(&file["normalizer"])?;
        // Of two words with one id, which is meant is the other reader's business.
        (words.len() == ids.len()).then_some(Self {
            markers,
            rules,
            ids,
            words,
        })
    }

    /// What stands before the first marker, the marker's id, and the rest.
    fn next_marker<'a>(&self, text: &'a str) -> Option<(&'a str, u32, &'a str)> {
        text.char_indices().find_map(|(at, _)| {
            let (before, from) = text.split_at(at);
            self.markers.iter().find_map(|(content, id)| {
                let rest = from.strip_prefix(content.as_str())?;
                Some((before, *id, rest))
            })
        })
    }

    /// Appends the ids of a text without markers.
    fn encode_words(&self, text: &str, encoded: &mut Vec<u32>) -> Result<(), String> {
        let replaced =
            |text: String, (pattern, content): &(Pattern, String)| pattern.replace(&text, content);
        let text = self.rules.iter().fold(text.to_string(), replaced);
        for word in text.split_whitespace() {
            let id = self.id(word);
            encoded.push(id.ok_or_else(|| format!("the vocabulary has no {word:?}"))?);
        }
        Ok(())
    }
}

/// Something if an object has no other fields than these.
fn has_no_more_than(object: &Value, fields: &[&str]) -> Option<()> {
    let mut found = object.as_object()?.keys();
    found
        .all(|field| fields.contains(&field.as_str()))
        .then_some(())
}

/// The ids of a model of words.
fn vocabulary(model: &Value) -> Option<BTreeMap<String, u32>> {
    has_no_more_than(model, &["type", "vocab", "unk_token"])?;
    let ids = model["vocab"].as_object()?.iter();
    let id = |(word, id): (&String, &Value)| Some((word.clone(), id.as_u64()?.try_into().ok()?));
    let ids = ids.map(id).collect::<Option<_>>()?;
    (model["type"] == "WordLevel" && model["unk_token"].is_string()).then_some(ids)
}

/// A marker that is looked for in the text as it comes, and that the vocabulary has already.
fn marker(token: &Value, ids: &BTreeMap<String, u32>) -> Option<(String, u32)> {
    let loose = ["single_word", "lstrip", "rstrip", "normalized"];
    has_no_more_than(token, &[&loose[..], &["id", "content", "special"]].concat())?;
    let (content, id) = (token["content"].as_str()?, token["id"].as_u64()?);
    let is_strict = loose.iter().all(|way| token[way] == false);
    let known = ids.get(content).filter(|known| u64::from(**known) == id)?;
    (is_strict && !content.is_empty()).then(|| (content.into(), *known))
}

/// What a normalizer replaces, and by what.
fn rules(normalizer: &Value) -> Option<Vec<(Pattern, String)>> {
    if normalizer.is_null() {
        return Some(Vec::new());
    }
    has_no_more_than(normalizer, &["type", "normalizers"])?;
    let rule = |rule: &Value| {
        has_no_more_than(rule, &["type", "pattern", "content"])?;
        has_no_more_than(&rule["pattern"], &["Regex"])?;
        let pattern = Pattern::read(rule["pattern"]["Regex"].as_str()?)?;
        let content = rule["content"].as_str()?.to_string();
        (rule["type"] == "Replace").then_some((pattern, content))
    };
    let rules = normalizer["normalizers"].as_array()?.iter().map(rule);
    let rules = rules.collect::<Option<_>>()?;
    (normalizer["type"] == "Sequence").then_some(rules)
}

impl Codec for Words {
    fn encode(&self, text: &str, _as_prompt: bool) -> Result<Vec<u32>, String> {
        let mut encoded = Vec::new();
        let mut rest = text;
        while let Some((before, marker, after)) = self.next_marker(rest) {
            self.encode_words(before, &mut encoded)?;
            encoded.push(marker);
            rest = after;
        }
        self.encode_words(rest, &mut encoded)?;
        Ok(encoded)
    }

    fn decode(&self, ids: &[u32]) -> Option<String> {
        let words: Option<Vec<String>> = ids.iter().map(|&id| self.token(id)).collect();
        Some(words?.join(self.separator()))
    }

    fn separator(&self) -> &'static str {
        " "
    }

    fn token(&self, id: u32) -> Option<String> {
        self.words.get(&id).cloned()
    }

    fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    fn added(&self) -> BTreeSet<u32> {
        self.markers.iter().map(|&(_, id)| id).collect()
    }

    fn ids(&self) -> Vec<u32> {
        self.words.keys().copied().collect()
    }
}
