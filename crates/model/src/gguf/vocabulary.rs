//! The tokenizer of a GGUF file as a `tokenizer.json`.

use std::{collections::HashSet, fmt::Write};

use serde_json::{Value, json};

use super::{
    GgufFault,
    metadata::{Metadata, Value as Metadatum, needed},
};
use crate::turns::{Breathe, turn};

/// Who asks for metadata here.
const ASKED_BY: &str = "its tokenizer";
const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TOKEN_TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";

/// `tokenizer.ggml.token_type` of the token for what is none.
const UNKNOWN: u64 = 2;
/// The same of a token that is no text, such as `<|im_end|>`.
const CONTROL: u64 = 3;
/// The same of a token that somebody added and that is text.
const USER_DEFINED: u64 = 4;

/// Tokens that are read between two turns for others.
const TOKENS_AT_ONCE: usize = 2048;

/// How text is split before its bytes are merged, by `tokenizer.ggml.pre`.
struct Splitting {
    names: &'static [&'static str],
    /// A regular expression whose matches are the pieces; without one, GPT-2's own.
    pattern: Option<&'static str>,
    /// Whether each digit is a piece.
    single_digits: bool,
    /// Whether a piece that is a token as a whole is not built by merges.
    ignores_merges: bool,
    /// Whether text is put into Unicode's form NFC first.
    nfc: bool,
    /// Whether a prompt begins with a token of its own where the file does not say.
    adds_bos: bool,
}

const BY_GPT2: Splitting = Splitting {
    names: &["gpt-2"],
    pattern: None,
    single_digits: false,
    ignores_merges: false,
    nfc: false,
    adds_bos: false,
};

const QWEN2_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The splittings that are known, as the models' own `tokenizer.json` write them.
const SPLITTINGS: [Splitting; 5] = [
    BY_GPT2,
    Splitting {
        names: &["smollm"],
        single_digits: true,
        ..BY_GPT2
    },
    Splitting {
        names: &["llama-bpe", "llama3", "llama-v3"],
        pattern: Some(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        ignores_merges: true,
        adds_bos: true,
        ..BY_GPT2
    },
    Splitting {
        names: &["qwen2"],
        pattern: Some(QWEN2_PATTERN),
        nfc: true,
        ..BY_GPT2
    },
    Splitting {
        names: &["deepseek-r1-qwen"],
        pattern: Some(QWEN2_PATTERN),
        ..BY_GPT2
    },
];

/// The file's tokenizer as a text that Hugging Face's library reads: BPE on bytes, as GPT-2 has it, or
/// on characters, as SentencePiece has it.
pub(super) async fn tokenizer(
    metadata: &Metadata<'_>,
    breathe: Option<Breathe>,
) -> Result<String, GgufFault> {
    let model = needed(metadata.text(MODEL)?, MODEL, ASKED_BY)?;
    match model {
        "gpt2" => on_bytes(metadata, breathe).await,
        "llama" => on_characters(metadata, breathe).await,
        _ => {
            let expected = "\"gpt2\" (BPE on bytes) or \"llama\" (SentencePiece)".into();
            Err(unsupported(MODEL, expected, model))
        }
    }
}

fn unsupported(what: &'static str, expected: String, found: &str) -> GgufFault {
    GgufFault::Unsupported {
        what,
        expected,
        found: format!("{found:?}"),
    }
}

async fn on_bytes(metadata: &Metadata<'_>, breathe: Option<Breathe>) -> Result<String, GgufFault> {
    let pre = metadata.text(PRE)?.unwrap_or("gpt-2");
    let known = SPLITTINGS.iter().find(|known| known.names.contains(&pre));
    let Some(splitting) = known else {
        let names = SPLITTINGS.iter().flat_map(|known| known.names);
        let expected = names.map(|name| format!("{name:?}")).collect::<Vec<_>>();
        let expected = format!("one of {}", expected.join(", "));
        return Err(unsupported(PRE, expected, pre));
    };
    let merges = needed(metadata.texts(MERGES)?, MERGES, ASKED_BY)?;
    let pairs = merges.iter().map(|merge| {
        let pair = merge.split_once(' ').ok_or_else(|| GgufFault::Value {
            key: MERGES.into(),
            expected: "pairs of tokens with a space between them".into(),
            found: format!("{merge:?}"),
        });
        pair.map(|(left, right)| [left, right])
    });
    let pairs: Vec<[&str; 2]> = pairs.collect::<Result<_, _>>()?;
    turn(breathe).await;
    let vocabulary = Vocabulary::read(metadata, breathe).await?;
    let others = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added(),
        "normalizer": if splitting.nfc { json!({"type": "NFC"}) } else { Value::Null },
        "pre_tokenizer": splitting.pre_tokenizer(),
        "post_processor": post_processor(metadata, splitting.adds_bos)?,
        "decoder": byte_level(true),
    });
    let model = vocabulary.bpe(&pairs, None, splitting.ignores_merges, breathe);
    Ok(with_member(&others, "model", &model.await))
}

/// SentencePiece's BPE joins the pair whose whole has the best score: the merges are all pairs of
/// tokens that make a token, by falling score of it.
async fn on_characters(
    metadata: &Metadata<'_>,
    breathe: Option<Breathe>,
) -> Result<String, GgufFault> {
    let vocabulary = Vocabulary::read(metadata, breathe).await?;
    let scores = metadata.list(SCORES, "a list of numbers", |value| value.as_number())?;
    let scores = needed(scores, SCORES, ASKED_BY)?;
    let tokens = &vocabulary.tokens;
    if scores.len() != tokens.len() {
        return Err(GgufFault::Value {
            key: SCORES.into(),
            expected: format!("as many values as {TOKENS:?}, {}", tokens.len()),
            found: scores.len().to_string(),
        });
    }
    let mut by_score: Vec<usize> = (0..tokens.len()).collect();
    by_score.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut pairs = Vec::new();
    for (place, id) in by_score.into_iter().enumerate() {
        if place % TOKENS_AT_ONCE == 0 {
            turn(breathe).await;
        }
        let whole = tokens[id];
        let splits = whole.char_indices().skip(1);
        let splits = splits.map(|(at, _)| whole.split_at(at));
        let is_token = |part| vocabulary.known.contains(part);
        let known = splits.filter(|(left, right)| is_token(*left) && is_token(*right));
        pairs.extend(known.map(|(left, right)| [left, right]));
    }
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let mut normalizers = vec![replace(" ", "\u{2581}")];
    if metadata
        .flag("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(true)
    {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": "\u{2581}"}));
    }
    let unknown = vocabulary.of_type(UNKNOWN).next();
    let others = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added(),
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null,
        "post_processor": post_processor(metadata, true)?,
        "decoder": {"type": "Sequence", "decoders": [
            replace("\u{2581}", " "),
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
    });
    let model = vocabulary.bpe(&pairs, unknown, false, breathe);
    Ok(with_member(&others, "model", &model.await))
}

/// A file's tokens.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    /// One each, or none at all.
    types: Vec<u64>,
    /// The same, to be looked up.
    known: HashSet<&'a str>,
}

impl<'a> Vocabulary<'a> {
    async fn read(metadata: &Metadata<'a>, breathe: Option<Breathe>) -> Result<Self, GgufFault> {
        let tokens = needed(metadata.texts(TOKENS)?, TOKENS, ASKED_BY)?;
        let of_type = |value: Metadatum<'_>| value.as_count();
        let types = metadata.list(TOKEN_TYPES, "a list of whole numbers", of_type)?;
        let types = types.unwrap_or_default();
        if !types.is_empty() && types.len() != tokens.len() {
            return Err(GgufFault::Value {
                key: TOKEN_TYPES.into(),
                expected: format!("as many values as {TOKENS:?}, {}", tokens.len()),
                found: types.len().to_string(),
            });
        }
        let mut known = HashSet::new();
        for (id, token) in tokens.iter().enumerate() {
            if id % TOKENS_AT_ONCE == 0 {
                turn(breathe).await;
            }
            if !known.insert(*token) {
                return Err(GgufFault::Duplicate {
                    what: "tokens",
                    name: (*token).into(),
                });
            }
        }
        Ok(Self {
            tokens,
            types,
            known,
        })
    }

    /// The tokens of a type.
    fn of_type(&self, of: u64) -> impl Iterator<Item = &'a str> {
        let types = self.types.iter().zip(&self.tokens);
        types.filter_map(move |(&kind, token)| (kind == of).then_some(*token))
    }

    fn added(&self) -> Vec<Value> {
        let added = |(id, &kind): (usize, &u64)| {
            let is_added = [UNKNOWN, CONTROL, USER_DEFINED].contains(&kind);
            is_added.then(|| {
                json!({
                    "id": id, "content": self.tokens[id], "special": kind != USER_DEFINED,
                    "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                })
            })
        };
        self.types.iter().enumerate().filter_map(added).collect()
    }

    /// The model, as text. `unknown` is the token for what is none, of a vocabulary that spells bytes
    /// out.
    async fn bpe(
        &self,
        merges: &[[&str; 2]],
        unknown: Option<&str>,
        ignores_merges: bool,
        breathe: Option<Breathe>,
    ) -> String {
        let settings = json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": unknown.is_some(),
            "byte_fallback": unknown.is_some(),
            "ignore_merges": ignores_merges,
        });
        // Values of these would take many times the memory, and a page much time to build and drop.
        let (mut ids, mut pairs) = (String::from("{"), String::from("["));
        for (id, token) in self.tokens.iter().enumerate() {
            if id % TOKENS_AT_ONCE == 0 {
                turn(breathe).await;
            }
            append(&mut ids, format_args!("{}:{id}", Value::from(*token)));
        }
        for (place, [left, right]) in merges.iter().enumerate() {
            if place % TOKENS_AT_ONCE == 0 {
                turn(breathe).await;
            }
            let pair = [left, right].map(|token| Value::from(*token));
            append(&mut pairs, format_args!("[{},{}]", pair[0], pair[1]));
        }
        let with_ids = with_member(&settings, "vocab", &(ids + "}"));
        turn(breathe).await;
        with_text(with_ids, "merges", &(pairs + "]"))
    }
}

/// Appends an entry to an object or an array that is open.
fn append(text: &mut String, entry: std::fmt::Arguments<'_>) {
    if text.len() > 1 {
        text.push(',');
    }
    // Writing to a text cannot fail.
    let _ = text.write_fmt(entry);
}

/// The text of an object with one more member, whose value is a text already.
fn with_member(object: &Value, name: &str, value: &str) -> String {
    with_text(object.to_string(), name, value)
}

fn with_text(mut object: String, name: &str, value: &str) -> String {
    object.truncate(object.len() - 1);
    object.reserve_exact(name.len() + value.len() + 5);
    append(&mut object, format_args!("\"{name}\":{value}}}"));
    object
}

/// The file's chat template and the tokens that it names, as a `tokenizer_config.json`.
pub(super) fn tokenizer_config(metadata: &Metadata<'_>) -> Result<Value, GgufFault> {
    let tokens = metadata.texts(TOKENS)?.unwrap_or_default();
    let token = |key: &str| -> Result<Option<&str>, GgufFault> {
        let id = metadata.count(&format!("tokenizer.ggml.{key}_token_id"))?;
        Ok(id.and_then(|id| tokens.get(id as usize).copied()))
    };
    Ok(json!({
        "chat_template": metadata.text("tokenizer.chat_template")?,
        "bos_token": token("bos")?,
        "eos_token": token("eos")?,
    }))
}

/// What the tokenizer puts in front of a prompt, as a `post_processor`; `null` where nothing.
fn post_processor(metadata: &Metadata<'_>, adds_bos: bool) -> Result<Value, GgufFault> {
    let adds = metadata.flag("tokenizer.ggml.add_bos_token")?;
    let id = metadata.count("tokenizer.ggml.bos_token_id")?;
    let tokens = metadata.texts(TOKENS)?.unwrap_or_default();
    let token = id.and_then(|id| tokens.get(id as usize).copied());
    let (true, Some(id), Some(token)) = (adds.unwrap_or(adds_bos), id, token) else {
        return Ok(Value::Null);
    };
    Ok(json!({
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": token, "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [
            {"Sequence": {"id": "A", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 1}},
        ],
        "special_tokens": {(token): {"id": token, "ids": [id], "tokens": [token]}},
    }))
}

/// The tokens that end a text, as a `generation_config.json`.
pub(super) fn generation_config(metadata: &Metadata<'_>) -> Result<Value, GgufFault> {
    let mut ids = Vec::new();
    for key in ["eos", "eot", "eom"] {
        let id = metadata.count(&format!("tokenizer.ggml.{key}_token_id"))?;
        ids.extend(id.filter(|id| !ids.contains(id)));
    }
    Ok(match ids.is_empty() {
        true => json!({}),
        false => json!({"eos_token_id": ids}),
    })
}

impl Splitting {
    fn pre_tokenizer(&self) -> Value {
        let mut steps = Vec::new();
        if self.single_digits {
            steps.push(json!({"type": "Digits", "individual_digits": true}));
        }
        if let Some(pattern) = self.pattern {
            steps.push(json!({
                "type": "Split", "pattern": {"Regex": pattern},
                "behavior": "Isolated", "invert": false,
            }));
        }
        steps.push(byte_level(self.pattern.is_none()));
        json!({"type": "Sequence", "pretokenizers": steps})
    }
}

fn byte_level(use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel", "add_prefix_space": false,
        "trim_offsets": true, "use_regex": use_regex,
    })
}
