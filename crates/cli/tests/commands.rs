//! Every command that needs no GPU is run once, on a small input.

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use common::{Folder, MODELS, failure_of, latent, stderr, stdout_of};
use serde_json::Value;

#[test]
fn models_lists_every_folder_with_its_accuracy_and_a_bad_one_with_its_reason() {
    let folder = Folder::new("models");
    folder.copy_model("prosqa-cot", "a");
    folder.copy_model("prosqa-cot", "b");
    folder.copy_model("prosqa-no-cot", "c");
    folder.write("b/tokenizer.json", "{");
    let output = latent(&["models", "--dir", &folder.arg("")]).output();
    let output = output.expect("latent starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let line_of = |name: &str| {
        let at = folder.arg(name);
        let found = lines.iter().position(|line| line.starts_with(&at));
        found.unwrap_or_else(|| panic!("{name} is not listed: {text}"))
    };
    assert!(lines[line_of("a")].contains("6 layers, d 128"), "{text}");
    let sentence = "    class: 96.0 % right (n 300, 95 % interval 93.1–97.7 %)";
    assert_eq!(lines[line_of("a") + 1], sentence);
    let bad = lines[line_of("b")];
    assert!(
        bad.contains("cannot be used") && bad.contains("tokenizer.json"),
        "{bad}"
    );
    assert!(
        lines[line_of("c") + 1].contains("class, no-cot: "),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}

#[test]
fn models_ends_quietly_when_nobody_reads_any_more() {
    let mut child = latent(&["models", "--dir", MODELS])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("latent starts");
    // As `| head` does, but before the first line.
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("latent ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output), "");
}

/// What `latent COMMAND` prints of the smallest checkpoint under the quickest strategy.
fn answered_at_once(command: &str, more: &[&str]) -> String {
    let model = format!("{MODELS}/prosqa-no-cot");
    let engine = [command, "--engine", "reference", "--task", "prosqa"];
    let lane = ["--model", &model, "--strategy", "no-cot"];
    stdout_of(&[&engine[..], &lane, more].concat())
}

#[test]
fn run_prints_each_step_and_the_verdict() {
    let text = answered_at_once("run", &["--seed", "7"]);
    assert!(text.contains("[Reference engine on the CPU]"), "{text}");
    assert!(
        text.lines()
            .last()
            .is_some_and(|line| line.starts_with("no-cot: ")),
        "{text}"
    );
    let json = answered_at_once("run", &["--seed", "7", "--json"]);
    let run: Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!(run["lanes"][0]["model"], "prosqa-no-cot");
    let steps = run["lanes"][0]["steps"].as_array().expect("steps");
    // One more is the stop token.
    assert_eq!(steps.len() as u64 - 1, run["lanes"][0]["answer_tokens"]);
}

/// The number of threads that a product is shared out to changes nothing. Four lanes make the products
/// of this checkpoint large enough to be shared.
#[cfg(target_os = "linux")]
#[test]
fn a_run_is_the_same_on_one_processor_and_on_all() {
    let model = format!("{MODELS}/prosqa-unified");
    let args = [
        ["run", "--json"],
        ["--model", &model],
        ["--engine", "reference"],
        ["--task", "prosqa"],
        ["--strategy", "token-cot"],
        ["--strategy", "soft"],
        ["--strategy", "soft-gumbel"],
        ["--strategy", "coconut"],
    ];
    let args = args.as_flattened();
    let status = fs::read_to_string("/proc/self/status").expect("what Linux says of this process");
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("the processors of this process");
    let first = allowed.trim().split([',', '-']).next().expect("one");
    let output = Command::new("taskset")
        .args(["-c", first, env!("CARGO_BIN_EXE_latent")])
        .args(args)
        .output()
        .expect("taskset, of every Debian's util-linux");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout_of(args));
}

#[test]
fn eval_counts_the_same_for_people_and_for_programs() {
    let problems = ["--n", "3", "--seed", "1"];
    let json = answered_at_once("eval", &[&problems[..], &["--json"]].concat());
    let found: Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!(found["n"], 3);
    let accuracy = found["accuracy"].as_f64().expect("a share");
    let [low, high] = ["ci_low", "ci_high"].map(|end| found[end].as_f64().expect("a share"));
    assert!(low <= accuracy && accuracy <= high && low < high, "{json}");
    let text = answered_at_once("eval", &problems);
    let percent = format!("accuracy {:.1} %", 100.0 * accuracy);
    assert!(text.contains(&percent) && text.contains("n 3"), "{text}");
}

#[test]
fn eval_refuses_a_file_without_problems() {
    let folder = Folder::new("eval");
    folder.write("empty.json", "[]");
    let (model, data) = (format!("{MODELS}/prosqa-no-cot"), folder.arg("empty.json"));
    let lane = ["--model", &model, "--strategy", "no-cot"];
    let error = failure_of(&[&["eval", "--data", &data], &lane[..]].concat());
    assert!(error.contains("holds no problems"), "{error}");
}

#[test]
fn report_draws_a_checkpoint_that_ships() {
    let folder = Folder::new("report");
    let out = folder.arg("curve.svg");
    let text = stdout_of(&["report", &format!("{MODELS}/prosqa-coconut"), "--out", &out]);
    assert_eq!(text, format!("wrote {out}\n"));
    let svg = fs::read_to_string(&out).expect("it was written");
    let xml = roxmltree::Document::parse(&svg).expect("it is XML");
    let circles = xml.descendants().filter(|n| n.has_tag_name("circle"));
    assert!(circles.count() > 10, "every evaluation is a point");
    let error = failure_of(&["report", &folder.arg(".")]);
    assert!(error.contains("there is no training.json"), "{error}");
}

#[test]
fn ship_copies_a_run_and_lists_it_as_the_catalogue_that_ships_does() {
    let folder = Folder::new("ship");
    folder.copy_model("prosqa-unified", "run/model");
    fs::create_dir_all(folder.path("models")).expect("a folder");
    let index = folder.path("models/index.json");
    folder.write("models/index.json", "\u{feff}{\"models\": []}\r\n");
    let text = stdout_of(&[
        "ship",
        &folder.arg("run"),
        "--models",
        &folder.arg("models"),
    ]);
    assert!(text.starts_with("prosqa-unified: token-cot, "), "{text}");
    let entry_of = |index: &Path| -> Value {
        let text = fs::read_to_string(index).expect("an index");
        let index: Value = serde_json::from_str(&text).expect("JSON");
        let models = index["models"].as_array().expect("a list").clone();
        let mut of_name = models
            .into_iter()
            .filter(|entry| entry["name"] == "prosqa-unified");
        of_name.next().expect("it is listed")
    };
    assert_eq!(
        entry_of(&index),
        entry_of(&Path::new(MODELS).join("index.json"))
    );
    let mut shipped = 0;
    for entry in fs::read_dir(Path::new(MODELS).join("prosqa-unified")).expect("it ships") {
        let path = entry.expect("the folder can be listed").path();
        let copy = folder
            .path("models/prosqa-unified")
            .join(path.file_name().expect("a file"));
        assert_eq!(
            fs::read(&path).expect("a file"),
            fs::read(&copy).expect("a copy")
        );
        shipped += 1;
    }
    assert_eq!(
        shipped, 6,
        "config, generation, weights, tokenizer twice, training"
    );
}

/// One method measured, one not trained, one curve of two points, one way of thinking.
const SUITE: &str = r#"
title = "A small table"
introduction = "Beside it are the paper's figures."
[[row]]
method = "No-CoT"
[row.prosqa]
model = "prosqa-no-cot"
strategy = "no-cot"
paper = { accuracy = 76.7, spread = 1.0, tokens = 8.2 }
[[row]]
method = "Absent"
[row.prosqa]
model = "prosqa-absent"
strategy = "no-cot"
[thoughts]
most = 1
[[thoughts.curve]]
label = "Coconut"
task = "prosqa"
model = "prosqa-coconut"
[[thinking]]
task = "prosqa"
model = "prosqa-soft"
strategy = "soft-gumbel"
samples = 2
[[claim]]
tasks = ["prosqa"]
claim = "A claim"
better = "No-CoT"
worse = "Absent"
"#;

/// Two problems in the format of the official file.
const OFFICIAL: &str = r#"[
    {"question": "Tom is a terpus. Every terpus is a brimpus. Bob is a gerpus. Is Tom a brimpus or gerpus?",
     "answer": "Tom is a brimpus.", "steps": ["Tom is a terpus.", "Every terpus is a brimpus."],
     "idx_to_symbol": ["Tom", "terpus", "brimpus", "Bob", "gerpus"],
     "edges": [[0, 1], [1, 2], [3, 4]], "root": 0, "target": 2, "neg_target": 4},
    {"question": "Bob is a gerpus. Every gerpus is a lempus. Tom is a rempus. Is Bob a rempus or lempus?",
     "answer": "Bob is a lempus.", "steps": ["Bob is a gerpus.", "Every gerpus is a lempus."],
     "idx_to_symbol": ["Bob", "gerpus", "lempus", "Tom", "rempus"],
     "edges": [[0, 1], [1, 2], [3, 4]], "root": 0, "target": 2, "neg_target": 4}]"#;

#[test]
fn table_writes_the_same_files_twice_and_the_results_for_people() {
    let folder = Folder::new("table");
    let windows = SUITE.replace('\n', "\r\n");
    folder.write("suite.toml", format!("\u{feff}{windows}"));
    folder.write("prosqa_valid.json", OFFICIAL);
    let path = |name: &str| folder.arg(name);
    let run = |out: &str, more: &[&str]| {
        let (suite, data, out, cache) = (path("suite.toml"), path("."), path(out), path("cache"));
        let args = [
            "table", "--suite", &suite, "--data", &data, "--models", MODELS, "--n", "2",
        ];
        let paths = ["--out", &out, "--cache", &cache];
        stdout_of(&[&args[..], &paths, more].concat())
    };
    let printed = run("first", &["--no-cache"]);
    assert!(
        printed.contains("| No-CoT | 76.7 ±1.0 | 8.2 | "),
        "{printed}"
    );
    assert!(
        printed.contains("| Absent | – | – | not trained | – |"),
        "{printed}"
    );
    assert!(
        printed.contains("prosqa: A claim: not measured yet."),
        "{printed}"
    );
    run("second", &[]);
    // From what the second kept.
    run("third", &[]);
    for name in [
        "table.json",
        "thoughts.json",
        "thoughts.svg",
        "thinking.json",
    ] {
        let read = |out: &str| {
            let path = folder.path(out).join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{out}/{name}: {error}"))
        };
        assert_eq!(read("first"), read("second"), "{name}");
        assert_eq!(read("second"), read("third"), "{name}");
    }
    assert!(
        printed.contains("| thoughts | `prosqa-coconut`, official, n 2, %"),
        "{printed}"
    );
}
