//! `latent check` sees one altered weight of a shipped checkpoint.

mod common;

use std::{fs, process::Output};

use common::{Folder, MODELS, latent, skips_gpu, stderr, stdout_of};
use serde_json::Value;

/// The checkpoint that is checked.
const MODEL: &str = "prosqa-coconut";

/// `latent check` on the shipped checkpoint, the reference reading `origin`.
fn check_against(origin: &str) -> Output {
    let model = format!("{MODELS}/{MODEL}");
    let args = ["check", "--model", &model, "--prompt", "Every jompus is a"];
    let output = latent(&[&args[..], &["--against", origin]].concat()).output();
    output.expect("latent starts")
}

/// Makes the first weight of a tensor 0.5, which no trained weight is.
fn alter_weight(safetensors: &mut [u8], tensor: &str) {
    let length = safetensors[..8].try_into().expect("eight bytes");
    let after_header = 8 + u64::from_le_bytes(length) as usize;
    let header: Value = serde_json::from_slice(&safetensors[8..after_header]).expect("a header");
    assert_eq!(header[tensor]["dtype"], "F16", "{tensor}");
    let offset = header[tensor]["data_offsets"][0].as_u64();
    let at = after_header + offset.expect("an offset") as usize;
    safetensors[at..at + 2].copy_from_slice(&0x3800_u16.to_le_bytes());
}

#[test]
fn one_altered_weight_is_found_in_its_layer() {
    if skips_gpu() {
        return;
    }
    let output = check_against(&format!("{MODELS}/{MODEL}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{output:?}");
    assert!(text.contains("the engines agree"), "{text}");

    let folder = Folder::new("weight");
    let weights = folder.copy_model(MODEL, "model").join("model.safetensors");
    let mut bytes = fs::read(&weights).expect("the copy");
    alter_weight(&mut bytes, "model.layers.2.mlp.up_proj.weight");
    fs::write(weights, bytes).expect("the altered copy");
    let output = check_against(&folder.arg("model"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}{output:?}");
    assert!(text.contains("first divergence: layer 2"), "{text}");
    assert!(text.contains("THE ENGINES DIFFER"), "{text}");
}

#[test]
fn another_shape_is_not_compared() {
    let folder = Folder::new("shape");
    let config = folder.copy_model(MODEL, "model").join("config.json");
    let text = fs::read_to_string(&config).expect("the copy");
    fs::write(config, text.replace("1000000.0", "10000.0")).expect("the altered copy");
    let output = check_against(&folder.arg("model"));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("--against must have the model's shape"),
        "{text}"
    );
}

#[test]
fn a_checkpoint_that_no_strategy_can_run_gets_its_layers_compared_and_a_sentence() {
    if skips_gpu() {
        return;
    }
    let folder = Folder::new("markers");
    let model = folder.copy_model(MODEL, "model");
    for (file, name, other) in [
        ("tokenizer.json", "<eos>", "<nothing>"),
        ("config.json", "\"eos_token_id\"", "\"nothing\""),
        ("generation_config.json", "\"eos_token_id\"", "\"nothing\""),
    ] {
        let text = fs::read_to_string(model.join(file)).expect("the copy");
        assert!(text.contains(name), "{file}");
        fs::write(model.join(file), text.replace(name, other)).expect("the altered copy");
    }
    let text = stdout_of(&["check", "--model", &folder.arg("model")]);
    assert!(text.contains("final norm"), "{text}");
    assert!(text.contains("no strategy can run"), "{text}");
    assert!(text.contains("the engines agree"), "{text}");
}

#[test]
fn int8_weights_are_compared_on_the_same_numbers_and_what_they_need_is_told() {
    if skips_gpu() {
        return;
    }
    let model = format!("{MODELS}/{MODEL}");
    let text = stdout_of(&["check", "--model", &model, "--weights", "int8"]);
    assert!(text.contains("the engines agree"), "{text}");
    assert!(text.contains("MB, this adapter allows"), "{text}");
    let refused = latent(&["check", "--model", &model, "--weights", "q4"]).output();
    let refused = stderr(&refused.expect("latent starts"));
    assert!(
        refused.contains("one of f32, f16, int8, found"),
        "{refused}"
    );
}

#[test]
fn both_engines_read_a_text_and_go_on_alike() {
    if skips_gpu() {
        return;
    }
    let (folder, model) = (Folder::new("text"), format!("{MODELS}/{MODEL}"));
    let text = "Every jompus is a zumpus. Alex is a jompus. ".repeat(70);
    fs::write(folder.path("text.txt"), text).expect("the text");
    let file = folder.arg("text.txt");
    let found = stdout_of(&["check", "--model", &model, "--text", &file, "--json"]);
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["ids"].as_array().map(Vec::len), Some(256));
    assert_eq!(found["same_top"], 1.0);
    assert_eq!(found["greedy_same"], 128);
    assert_eq!(found["soft_difference"], Value::Null);

    fs::write(folder.path("short.txt"), "Every jompus").expect("the text");
    let error = latent(&[
        "check",
        "--model",
        &model,
        "--text",
        &folder.arg("short.txt"),
    ])
    .output();
    let error = stderr(&error.expect("latent starts"));
    assert!(error.contains("at least 256 tokens, found 1"), "{error}");
}
