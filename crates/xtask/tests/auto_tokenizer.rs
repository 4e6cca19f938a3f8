//! The model folders that ship, in the real `transformers`: `AutoTokenizer`, padding, and a folder
//! that it saved again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use latent_model::config::{ModelConfig, end_tokens};
use latent_model::tasks::{Difficulty, Task};
use latent_model::tokenizer::Tokenizer;
use serde_json::{Value, json};
use xtask::python::{RELEASES, python_with};
use xtask::workspace;

/// Questions of different lengths for each model that ships, by its name.
fn questions() -> BTreeMap<String, Vec<String>> {
    let index = fs::read_to_string(models().join("index.json")).expect("it ships");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let entries = index["models"].as_array().expect("a list");
    let of_entry = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().expect("a text").to_string();
        let task: Task = text("task").parse().expect("a task");
        let sizes = [Difficulty::Class, Difficulty::Official];
        let questions = sizes.map(|size| task.generate(3, size).question().to_string());
        (text("name"), questions.to_vec())
    };
    entries.iter().map(of_entry).collect()
}

fn models() -> PathBuf {
    workspace::root().join("public/models")
}

/// What `auto_tokenizer.py` saw in a release of `transformers`.
fn seen_by(release: &str, saved: &Path, questions: &BTreeMap<String, Vec<String>>) -> Value {
    let python = python_with(release).expect("a home folder");
    let mut child = Command::new(&python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/auto_tokenizer.py"
        ))
        .args([&models(), saved])
        // Nothing is looked for on the network.
        .env("HF_HUB_OFFLINE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask setup`", python.display()));
    let input = child.stdin.take().expect("a pipe");
    serde_json::to_writer(input, questions).expect("the script reads");
    let output = child.wait_with_output().expect("the script ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "transformers {release}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn auto_tokenizer_padding_and_a_folder_saved_again_work_in_transformers_4_and_5() {
    if std::env::var("LATENT_SKIP_TRANSFORMERS").is_ok_and(|value| value == "1") {
        eprintln!("SKIPPED: LATENT_SKIP_TRANSFORMERS=1");
        return;
    }
    let questions = questions();
    assert!(!questions.is_empty(), "nothing ships");
    for (release, _) in RELEASES {
        let name = format!("latent-transformers-{release}-{}", std::process::id());
        let saved = std::env::temp_dir().join(name);
        let seen = seen_by(release, &saved, &questions);
        for (model, texts) in &questions {
            let at = format!("{model} in transformers {release}");
            let read = |folder: &Path, file: &str| {
                let path = folder.join(model).join(file);
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            };
            let config_json = read(&models(), "config.json");
            let config: Value = serde_json::from_str(&config_json).expect("JSON");
            let tokenizer = Tokenizer::from_json(&read(&models(), "tokenizer.json"));
            let tokenizer = tokenizer.expect("it ships");
            let encode = |text: &String| tokenizer.encode(text).expect("all words are known");
            let ids: Vec<Vec<u32>> = texts.iter().map(encode).collect();
            let longest = ids.iter().map(Vec::len).max().expect("two texts");
            let pad = config["pad_token_id"].as_u64().expect("an id") as u32;
            for folder in ["shipped", "saved"] {
                let found = &seen[model][folder];
                let at = format!("{at}, {folder}");
                // Not one token outside of the embedding.
                assert_eq!(found["n_tokens"], config["vocab_size"], "{at}");
                assert_eq!(
                    found["eos"],
                    json!(["<eos>", config["eos_token_id"]]),
                    "{at}"
                );
                assert_eq!(found["pad"], json!(["<pad>", pad]), "{at}");
                assert_eq!(found["special"], json!(["eos_token", "pad_token"]), "{at}");
                assert_eq!(found["ids"], json!(ids), "{at}");
                let padded =
                    |ids: &Vec<u32>| [vec![pad; longest - ids.len()], ids.clone()].concat();
                let padded: Vec<Vec<u32>> = ids.iter().map(padded).collect();
                assert_eq!(found["padded"]["input_ids"], json!(padded), "{at}");
                let keys = found["padded"].as_object().expect("a batch").keys();
                assert_eq!(
                    keys.collect::<Vec<_>>(),
                    ["attention_mask", "input_ids"],
                    "{at}"
                );
                let decoded: Vec<String> = ids.iter().map(|ids| tokenizer.decode(ids)).collect();
                assert_eq!(found["decoded"], json!(decoded), "{at}");
            }
            // What it saved is for us what ships, although it holds truncation and padding.
            let saved_tokenizer = read(&saved, "tokenizer.json");
            assert!(saved_tokenizer.contains("\"max_length\": 12"), "{at}");
            let saved_tokenizer = Tokenizer::from_json(&saved_tokenizer).expect("a tokenizer");
            for (text, ids) in texts.iter().zip(&ids) {
                assert_eq!(
                    saved_tokenizer.encode(text).as_ref().ok(),
                    Some(ids),
                    "{at}"
                );
            }
            let saved_config = read(&saved, "config.json");
            let shape = |json: &str| ModelConfig::from_json(json).expect("a config");
            assert_eq!(shape(&saved_config), shape(&config_json), "{at}");
            let generation = read(&saved, "generation_config.json");
            let end = end_tokens(&saved_config, Some(&generation)).expect("an end token");
            assert_eq!(json!(end), json!([config["eos_token_id"]]), "{at}");
        }
        fs::remove_dir_all(saved).expect("it was made here");
    }
}
