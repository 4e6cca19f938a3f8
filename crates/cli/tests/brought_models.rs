//! Models that people bring: a GGUF file in place of a folder, free text, a chat, and results that
//! are kept, gone on with and shown again.

mod common;
#[path = "../../model/tests/gguf_file/mod.rs"]
mod gguf_file;
#[path = "../../model/tests/gguf_file/of_bytes.rs"]
mod of_bytes;

use std::fs;

use common::{Folder, MODELS, failure_of, latent, stderr, stdout_of};
use of_bytes::of_bytes;
use serde_json::Value;

/// A random Llama of 32 tokens (`crates/model/tests/fixtures/make_gguf.py`).
const GGUF: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../model/tests/fixtures/gguf/tiny-llama.gguf"
);

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&stdout_of(args)).expect("one JSON object")
}

#[test]
fn a_gguf_file_goes_on_with_a_text_and_answers_in_a_chat() {
    let run = |more: &[&str]| {
        let args = [
            "run",
            "--model",
            GGUF,
            "--strategy",
            "no-cot",
            "--engine",
            "reference",
            "--json",
        ];
        json(&[&args[..], more].concat())
    };
    let plain = run(&["--prompt", "the a"]);
    assert_eq!(plain["prompt"], "the a");
    assert_eq!(plain["lanes"][0]["model"], "tiny-llama");
    assert_eq!(plain["lanes"][0]["verdict"], Value::Null);
    let steps = plain["lanes"][0]["steps"].as_array().expect("steps").len();
    assert!((1..=8).contains(&steps), "{steps}");
    let chat = run(&["--prompt", "the a", "--chat"]);
    let expected = "<|im_start|>user\nthe a<|im_end|><|im_start|>";
    assert_eq!(chat["prompt"], expected, "its template, in its metadata");
    let error = failure_of(&[
        "run",
        "--model",
        GGUF,
        "--strategy",
        "no-cot",
        "--prompt",
        "ZZ",
        "--engine",
        "reference",
    ]);
    assert!(error.contains("does not know the word \"ZZ\""), "{error}");
}

#[test]
fn what_is_no_model_is_refused_by_name() {
    let folder = Folder::new("no-model");
    folder.write("text.gguf", "GGML");
    let whole = fs::read(GGUF).expect("the fixture");
    folder.write("cut.gguf", &whole[..whole.len() - 100]);
    for (file, expected) in [
        ("text.gguf", "not a GGUF file"),
        ("cut.gguf", "is the file cut off?"),
        ("absent", "neither a model folder nor a GGUF file"),
    ] {
        let path = folder.arg(file);
        let error = failure_of(&[
            "run",
            "--model",
            &path,
            "--strategy",
            "no-cot",
            "--prompt",
            "a",
        ]);
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.matches(file).count(), 1, "{error}");
    }
}

#[test]
fn a_model_that_lies_there_is_checked_and_not_fetched_again() {
    let folder = Folder::new("fetch");
    folder.write("smollm2.gguf", "GGUF");
    let into = folder.arg("");
    let error = failure_of(&["fetch", "smollm2", "--into", &into]);
    assert!(
        error.contains("smollm2.gguf: expected SHA-256 b179c952"),
        "{error}"
    );
    let output = latent(&["fetch", "gpt5", "--into", &into]).output();
    let error = stderr(&output.expect("latent starts"));
    assert!(
        error.contains("there is no \"gpt5\"; there are: smollm2"),
        "{error}"
    );
}

/// The runs of a file of results, without the line that says what was measured.
fn runs(path: &std::path::Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a file");
    let lines = text.lines().skip(1);
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn results_are_kept_gone_on_with_and_shown_again() {
    let folder = Folder::new("results");
    let model = format!("{MODELS}/prosqa-cot");
    let (out, limited) = (folder.path("out.jsonl"), folder.path("limited.jsonl"));
    let eval = |out: &std::path::Path, limit: &str| {
        let out = out.display().to_string();
        json(&[
            "eval",
            "--model",
            &model,
            "--strategy",
            "token-cot-sampled",
            "--task",
            "prosqa",
            "--n",
            "12",
            "--limit",
            limit,
            "--samples",
            "2",
            "--engine",
            "reference",
            "--json",
            "--out",
            &out,
        ])
    };
    let whole = eval(&out, "12");
    assert_eq!(runs(&out).len(), 24);
    // Cut off after some runs, in the middle of a line.
    eval(&limited, "4");
    let text = fs::read_to_string(&limited).expect("a file");
    fs::write(&limited, &text[..text.len() - 20]).expect("it can be written");
    let again = eval(&limited, "12");
    let mut found = runs(&limited);
    found.sort_by_key(|run| (run["problem"].as_u64(), run["sample"].as_u64()));
    assert_eq!(found, runs(&out));
    for key in ["value", "malformed", "mean_think_steps", "mean_entropy"] {
        assert_eq!(again[key], whole[key], "{key}");
    }
    // One of them is run again as it was counted.
    for counted in runs(&out).iter().take(6) {
        let (problem, sample) = (
            counted["problem"].to_string(),
            counted["sample"].to_string(),
        );
        let shown = json(&[
            "run",
            "--model",
            &model,
            "--from",
            &out.display().to_string(),
            "--problem",
            &problem,
            "--sample",
            &sample,
            "--engine",
            "reference",
            "--json",
        ]);
        let lane = &shown["lanes"][0];
        assert_eq!(lane["answer"], counted["answer"]);
        assert_eq!(lane["verdict"], counted["grade"]);
        assert_eq!(lane["think_steps"], counted["think_steps"]);
    }
    // Another measurement is not mixed in, nor another model shown.
    let path = out.display().to_string();
    let other = failure_of(&[
        "eval",
        "--model",
        &model,
        "--strategy",
        "token-cot",
        "--task",
        "prosqa",
        "--n",
        "12",
        "--engine",
        "reference",
        "--out",
        &path,
    ]);
    assert!(other.contains("holds another measurement"), "{other}");
    let other = format!("{MODELS}/prosqa-no-cot");
    let other = failure_of(&[
        "run",
        "--model",
        &other,
        "--from",
        &path,
        "--engine",
        "reference",
    ]);
    assert!(other.contains("was measured on prosqa-cot"), "{other}");
}

#[test]
fn problems_of_a_file_are_said_in_the_chat_after_worked_ones_and_shown_again() {
    let folder = Folder::new("chat");
    let mut file = of_bytes(4096);
    file.set_text(
        "tokenizer.chat_template",
        b"{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}",
    );
    fs::write(folder.path("bytes.gguf"), file.bytes()).expect("it can be written");
    let line = |n: u32| {
        format!(
            "{{\"question\": \"What is {n} + 1?\", \"answer\": \"It is one more.\\n#### {}\"}}\n",
            n + 1
        )
    };
    folder.write("four.jsonl", [0, 1, 2, 3].map(line).concat());
    let (model, data, out) = (
        folder.arg("bytes.gguf"),
        folder.arg("four.jsonl"),
        folder.arg("out.jsonl"),
    );
    let on = |command: &str, more: &[&str]| {
        let args = [
            command,
            "--model",
            &model,
            "--engine",
            "reference",
            "--json",
        ];
        json(&[&args[..], more].concat())
    };
    let asked = |more: &[&str]| {
        let args = [
            "--strategy",
            "token-cot",
            "--chat",
            "--data",
            &data,
            "--out",
            &out,
        ];
        let capped = ["--set", "max_think=24", "--set", "max_answer=8"];
        on("eval", &[&args[..], &capped, more].concat())
    };
    let measured = asked(&["--shots", "2"]);
    assert_eq!(measured["n"], 2, "two of four are shown: {measured}");
    let counted = runs(&folder.path("out.jsonl"));
    assert_eq!(counted.len(), 2);
    for run in &counted {
        let problem = run["problem"].to_string();
        let shown = on("run", &["--from", &out, "--problem", &problem]);
        let lane = &shown["lanes"][0];
        assert_eq!(lane["answer"], run["answer"]);
        assert_eq!(lane["verdict"], run["grade"]);
        let prompt = shown["prompt"].as_str().expect("text");
        let turns: Vec<&str> = prompt
            .matches("[user:")
            .chain(prompt.matches("[assistant:"))
            .collect();
        assert_eq!(
            turns.len(),
            5,
            "two worked problems and one to solve: {prompt}"
        );
        assert!(prompt.contains("It is one more."), "{prompt}");
    }
    // Without the chat, or with fewer worked problems, it is another measurement.
    let other = failure_of(&[
        "eval",
        "--model",
        &model,
        "--engine",
        "reference",
        "--strategy",
        "token-cot",
        "--data",
        &data,
        "--shots",
        "2",
        "--set",
        "max_think=24",
        "--set",
        "max_answer=8",
        "--out",
        &out,
    ]);
    assert!(other.contains("holds another measurement"), "{other}");
}

#[test]
fn worked_problems_are_shown_and_not_counted() {
    let folder = Folder::new("shots");
    let line = |a: u32| {
        format!("{{\"question\": \"the {a}\", \"answer\": \"a\\n#### {a}\"}}\n")
            .replace(['0', '1', '2'], "a")
    };
    folder.write("three.jsonl", [0, 1, 2].map(line).concat());
    let data = folder.arg("three.jsonl");
    let error = failure_of(&[
        "eval",
        "--model",
        GGUF,
        "--strategy",
        "no-cot",
        "--data",
        &data,
        "--shots",
        "3",
        "--engine",
        "reference",
    ]);
    assert!(error.contains("--shots must be below 3"), "{error}");
    let error = failure_of(&[
        "eval",
        "--model",
        GGUF,
        "--strategy",
        "no-cot",
        "--task",
        "prosqa",
        "--shots",
        "1",
        "--engine",
        "reference",
    ]);
    assert!(
        error.contains("--shots is for the task free-text"),
        "{error}"
    );
}
