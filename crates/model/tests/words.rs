//! The reader of words gives what Hugging Face's own crate gives, for every tokenizer that ships and
//! every task's.

use std::{cell::Cell, collections::BTreeSet, fs};

use latent_model::{
    model::{Model, ModelFiles},
    tasks::{NAMED, TASKS},
    tokenizer::Tokenizer,
};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};

#[path = "common/shipped.rs"]
mod shipped;

use shipped::{public, shipped_files};

/// Texts that each tokenizer is given.
const N_TEXTS: u32 = 2000;

/// Each once, under what names it.
fn all() -> Vec<(String, String)> {
    let folders = fs::read_dir(public().join("models")).expect("checkpoints ship");
    let shipped = folders.filter_map(|folder| {
        let file = folder.expect("a folder").path().join("tokenizer.json");
        Some((file.display().to_string(), fs::read_to_string(&file).ok()?))
    });
    let of_task = |task: &latent_model::tasks::Task| {
        (task.name().to_string(), task.tokenizer_json().to_string())
    };
    let mut known = BTreeSet::new();
    let each = shipped.chain(NAMED.iter().map(of_task));
    each.filter(|(_, json)| known.insert(json.clone()))
        .collect()
}

/// What texts are made of: the words of a vocabulary in other letters and forms, what rules look
/// for, and what nobody knows.
fn pieces(json: &str) -> Vec<String> {
    let fixed = [
        " ",
        " ",
        " ",
        "\n",
        "\t",
        "\u{a0}",
        ".",
        "?",
        "Is",
        "is",
        "Every",
        "every",
        "a",
        "an",
        "or",
        "Each",
        "are",
        "not",
        "not ",
        "True or false:",
        "True or false",
        "es",
        "B",
        "pus",
        "puses",
        "Bpus",
        "Lempuses",
        "###",
        "##",
        "<<",
        ">>",
        "=",
        "+",
        "-",
        "*",
        "/",
        "(",
        ")",
        "0",
        "17",
        "42",
        "_",
        "é",
        "½",
        "\u{301}",
        "ß",
        "漢",
        "<bot",
        "<bot>",
        "</think>",
        "<eos>",
        "<unk>",
        "",
    ];
    let tokenizer: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let vocabulary = tokenizer["model"]["vocab"].as_object().expect("words");
    let words = vocabulary.keys().flat_map(|word| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        [
            word.clone(),
            first.to_uppercase() + rest,
            format!("{word}es"),
        ]
    });
    words.chain(fixed.map(String::from)).collect()
}

#[test]
fn words_have_the_ids_and_texts_that_the_crate_gives_them() {
    let all = all();
    assert!(all.len() >= TASKS.len(), "{} tokenizers", all.len());
    for (name, json) in all {
        let words = Tokenizer::of_words(&json).unwrap_or_else(|| panic!("{name} is of words"));
        let library: tokenizers::Tokenizer = json.parse().expect("a tokenizer");
        assert_eq!(words.vocab_size(), library.get_vocab_size(true), "{name}");
        for id in 0..words.vocab_size() as u32 {
            let token = library.id_to_token(id).expect("no gap");
            assert_eq!(words.token(id), token, "{name}");
            assert_eq!(words.id(&token), library.token_to_id(&token), "{name}");
        }
        let between = select(vec![" ", " ", " ", ". ", ""]);
        let text = prop::collection::vec((select(pieces(&json)), between), 0..8);
        let n_read = Cell::new(0);
        let mut runner = TestRunner::new(ProptestConfig::with_cases(N_TEXTS));
        let same = runner.run(&text, |pieces| {
            let text: String = pieces
                .iter()
                .flat_map(|(piece, after)| [piece.as_str(), after])
                .collect();
            let expected = library.encode(text.as_str(), false).ok();
            let expected = expected.map(|encoding| encoding.get_ids().to_vec());
            let found = words.encode(&text).ok();
            prop_assert_eq!(&found, &expected, "{:?}", text);
            prop_assert_eq!(&words.encode_prompt(&text).ok(), &expected);
            if let Some(ids) = found {
                n_read.set(n_read.get() + 1);
                let decoded = library.decode(&ids, false).expect("known ids");
                prop_assert_eq!(words.decode(&ids), decoded);
            }
            Ok(())
        });
        same.unwrap_or_else(|error| panic!("{name}: {error}"));
        let n_read = n_read.get();
        assert!(
            n_read > N_TEXTS / 10,
            "{name}: {n_read} of {N_TEXTS} texts had ids"
        );
    }
}

#[test]
fn a_file_that_asks_for_more_is_left_to_the_crate() {
    let json = TASKS[0].tokenizer_json();
    assert!(Tokenizer::of_words(&json.to_string()).is_some());
    for (place, value) in [
        ("/decoder", serde_json::json!({"type": "Fuse"})),
        ("/post_processor", serde_json::json!({"type": "ByteLevel"})),
        ("/pre_tokenizer", serde_json::json!({"type": "Whitespace"})),
        ("/normalizer", serde_json::json!({"type": "NFC"})),
        ("/model/type", serde_json::json!("WordPiece")),
        ("/added_tokens/0/lstrip", serde_json::json!(true)),
        ("/added_tokens/0/content", serde_json::json!("<other>")),
        (
            "/normalizer/normalizers/0/pattern/Regex",
            serde_json::json!(r"\w+"),
        ),
    ] {
        let mut other = json.clone();
        *other.pointer_mut(place).expect(place) = value;
        assert!(Tokenizer::of_words(&other.to_string()).is_none(), "{place}");
    }
}

#[test]
fn a_shipped_folder_is_read_and_one_that_chats_is_left_to_the_other_reader() {
    let files = shipped_files("prosqa-cot");
    let read = Model::of_words(&files).expect("of words").expect("a model");
    let other = Model::from_files(&files).expect("a model");
    assert_eq!(read.weights, other.weights);
    assert_eq!(read.tokenizer.end_tokens(), other.tokenizer.end_tokens());
    let chats = ModelFiles {
        chat_template: Some("{{ messages }}".into()),
        ..files.clone()
    };
    assert!(Model::of_words(&chats).is_none());
    let gguf = ModelFiles {
        weights: vec![("a.gguf".into(), b"GGUF".to_vec().into())],
        ..files
    };
    assert!(Model::of_words(&gguf).is_none());
}
