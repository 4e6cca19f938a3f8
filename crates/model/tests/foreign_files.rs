//! Model files as other programs and other systems write them.

use latent_model::{
    config::{ModelConfig, end_tokens},
    engine::ModelCapabilities,
    strategy::{Settings, Strategy},
    tasks::{Difficulty, prosqa},
    tokenizer::{Marker, Tokenizer, TokenizerError},
};
use serde_json::{Value, json};

fn shipped(file: &str) -> String {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../public/models/prosqa-cot/"
    );
    std::fs::read_to_string(folder.to_string() + file).expect("it ships")
}

/// A word-level tokenizer whose words are `cat`, `dog` and `unknown`.
fn word_level(unknown: &str) -> String {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"cat": 0, "dog": 1, unknown: 2},
            "unk_token": unknown},
    })
    .to_string()
}

/// The printable character that stands for a byte in a byte-level vocabulary.
fn byte_char(byte: u8) -> char {
    let is_printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let n_hidden = (0..byte).filter(|b| !is_printable(*b)).count() as u32;
    let code = if is_printable(byte) {
        u32::from(byte)
    } else {
        256 + n_hidden
    };
    char::from_u32(code).expect("below 512")
}

/// A byte-level BPE in the manner of GPT-2's: every byte, some merges, and an end token of its own.
fn byte_level() -> Value {
    let mut vocab: Vec<String> = (0..=255).map(|byte| byte_char(byte).into()).collect();
    let merges = [["Ġ", "i"], ["Ġi", "s"], ["l", "e"], ["le", "m"]];
    vocab.extend(merges.map(|pair| pair.concat()));
    let vocab: serde_json::Map<String, Value> =
        vocab.into_iter().zip((0..).map(Value::from)).collect();
    let end = vocab.len();
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": end, "content": "<|im_end|>", "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": true},
        "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": true,
            "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges},
    })
}

#[test]
fn a_prompt_stays_whole_whatever_truncation_and_padding_a_tokenizer_was_saved_with() {
    let plain = shipped("tokenizer.json");
    let mut saved: Value = serde_json::from_str(&plain).expect("JSON");
    // As `save_pretrained` writes them after a padded and a truncated batch.
    saved["truncation"] = json!({"direction": "Right", "max_length": 12,
        "strategy": "LongestFirst", "stride": 0});
    saved["padding"] = json!({"strategy": {"Fixed": 200}, "direction": "Left",
        "pad_to_multiple_of": null, "pad_id": 63, "pad_type_id": 0, "pad_token": "<pad>"});
    let [plain, saved] =
        [plain, saved.to_string()].map(|json| Tokenizer::from_json(&json).expect("a tokenizer"));
    let problem = prosqa::TASK.generate(5, Difficulty::Class);
    let question = problem.question();
    let ids = saved.encode(question).expect("all words are known");
    assert!(ids.len() > 12 && ids.len() < 200, "{} tokens", ids.len());
    assert_eq!(ids, plain.encode(question).expect("all words are known"));
}

#[test]
fn byte_level_text_is_shown_and_graded_as_people_read_it() {
    let tokenizer = Tokenizer::from_json(&byte_level().to_string()).expect("a tokenizer");
    let text = "Tom is a lempus – é\n";
    let ids = tokenizer.encode(text).expect("every byte is known");
    assert_eq!(tokenizer.decode(&ids), text);
    let shown: Vec<String> = ids.iter().map(|&id| tokenizer.shown(id)).collect();
    assert!(shown.iter().all(|text| !text.contains('Ġ')), "{shown:?}");
    assert_eq!(shown[3], " is");
    let id_of = |token: &str| tokenizer.id(token).expect("a token");
    assert_eq!(tokenizer.shown(id_of("Ġ")), "␣");
    assert_eq!(tokenizer.shown(id_of("Ċ")), "⏎");
    // A byte that is no character by itself.
    assert_eq!(tokenizer.shown(id_of("Ã")), "⟨C3⟩");
    assert_eq!(tokenizer.shown(9999), "⟨9999⟩");

    let problem = prosqa::TASK.generate(5, Difficulty::Class);
    let answer = tokenizer
        .encode(problem.answer())
        .expect("every byte is known");
    let rendered = prosqa::TASK.render(&tokenizer, &answer);
    assert_eq!(
        problem.grade(&format!("### {rendered}")).to_string(),
        "right",
        "{rendered}"
    );
}

#[test]
fn words_of_a_shipped_vocabulary_read_as_they_stand() {
    let tokenizer = Tokenizer::from_json(&shipped("tokenizer.json")).expect("a tokenizer");
    for id in 0..tokenizer.vocab_size() as u32 {
        assert_eq!(tokenizer.shown(id), tokenizer.token(id));
    }
    let ids = tokenizer
        .encode("Tom is a lempus.")
        .expect("all words are known");
    let tokens: Vec<String> = ids.iter().map(|&id| tokenizer.token(id)).collect();
    assert_eq!(tokenizer.decode(&ids), tokens.join(" "));
}

#[test]
fn the_end_token_is_the_one_that_the_models_files_name() {
    let config = |eos: &str| {
        shipped("config.json").replace("\"eos_token_id\": 62", &format!("\"eos_token_id\": {eos}"))
    };
    let find = |eos: &str, generation: Option<&str>| {
        end_tokens(&config(eos), generation).map_err(|error| error.to_string())
    };
    assert_eq!(find("7", None), Ok(vec![7]));
    assert_eq!(find("[7, 9]", None), Ok(vec![7, 9]));
    assert_eq!(
        find("7", Some(r#"{"eos_token_id": [8, 7]}"#)),
        Ok(vec![8, 7])
    );
    assert_eq!(find("7", Some("\u{feff}{\r\n}\r\n")), Ok(vec![7]));
    assert_eq!(find("null", Some("{}")), Ok(vec![]));
    let error = find("64", None).expect_err("outside of the vocabulary");
    assert!(
        error.contains("eos_token_id") && error.contains("64"),
        "{error}"
    );
    let error = find("\"</s>\"", None).expect_err("a text");
    assert!(
        error.contains("config.json") && error.contains("eos_token_id"),
        "{error}"
    );
    let error = find("7", Some("<html>")).expect_err("no JSON");
    assert!(error.contains("generation_config.json"), "{error}");

    let tokenizer = Tokenizer::from_json(&byte_level().to_string()).expect("a tokenizer");
    let end = tokenizer.id("<|im_end|>").expect("added");
    assert!(
        tokenizer.marker(Marker::Eos).is_err(),
        "no <eos>, and nothing named"
    );
    let tokenizer = tokenizer.with_end_tokens(vec![end, 5]);
    assert_eq!(tokenizer.marker(Marker::Eos).expect("named"), end);
    assert_eq!(tokenizer.end_tokens(), [end, 5]);
    // The answer ends at either.
    let strategy = Strategy::by_name("no-cot").expect("a strategy");
    let program = strategy.program(
        &Settings::default(),
        &tokenizer,
        ModelCapabilities::default(),
    );
    let answer = program.expect("it needs no other marker").phases.remove(0);
    assert_eq!(answer.until.stop_tokens, [end, 5]);
}

#[test]
fn an_unknown_word_is_named_whatever_the_unknown_token_is_called() {
    for unknown in ["<unk>", "[UNK]", "<|unknown|>", "oov"] {
        let tokenizer = Tokenizer::from_json(&word_level(unknown)).expect("a tokenizer");
        assert_eq!(tokenizer.encode("dog cat").expect("known"), [1, 0]);
        let error = tokenizer
            .encode("dog cow, cat")
            .expect_err("cow is unknown");
        let TokenizerError::UnknownWord { word, .. } = &error else {
            panic!("{unknown}: {error}");
        };
        assert_eq!(word, "cow", "{unknown}");
    }
    // A BPE without a token for what it does not know leaves it out in silence.
    let mut partial = byte_level();
    let vocab = partial["model"]["vocab"]
        .as_object_mut()
        .expect("a vocabulary");
    vocab.remove("q");
    let tokenizer = Tokenizer::from_json(&partial.to_string()).expect("a tokenizer");
    let error = tokenizer
        .encode("Tom is a quimpus")
        .expect_err("q is unknown");
    let text = error.to_string();
    assert!(text.contains("\"quimpus\""), "{text}");
    assert!(text.len() < 300, "260 pieces are not listed: {text}");
}

#[test]
fn files_with_a_byte_order_mark_and_windows_line_ends_are_read() {
    let windows = |file: &str| format!("\u{feff}{}", shipped(file).replace('\n', "\r\n"));
    let config = ModelConfig::from_json(&windows("config.json")).expect("a config");
    assert_eq!(
        Ok(config),
        ModelConfig::from_json(&shipped("config.json")).map_err(|_| ())
    );
    let tokenizer = Tokenizer::from_json(&windows("tokenizer.json")).expect("a tokenizer");
    assert_eq!(tokenizer.vocab_size(), 64);
    assert_eq!(
        end_tokens(&windows("config.json"), None).expect("a token"),
        [62]
    );
}
