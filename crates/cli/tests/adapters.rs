//! Checkpoints with CCOT's adapters on the command line.

mod common;

use std::{fs, path::Path};

use common::{Folder, latent, skips_gpu, stderr, stdout_of};
use latent_model::contemplation::FILES;
use serde_json::{Value, json};

const D: usize = 128;
const N_LAYERS: usize = 4;
const RANK: usize = 2;

/// A safetensors file of (name, shape, values).
fn file(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let first = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [first, data.len()]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &data].concat()
}

fn values(seed: usize, n: usize, scale: f32) -> Vec<f32> {
    (0..n)
        .map(|i| scale * (((i * 7 + seed * 5) % 11) as f32 / 5.0 - 1.0))
        .collect()
}

/// Adapters on the output projections of `arithmetic-cot`, under a classifier that never says that
/// it is enough.
fn write_adapters(folder: &Path, ratio: f64) {
    let config = json!({"peft_type": "LORA", "r": RANK, "lora_alpha": 4,
        "target_modules": ["o_proj"], "bias": "none"});
    let adapter = |seed: usize| {
        let tensors = (0..N_LAYERS).flat_map(|layer| {
            let name = |part: &str| {
                format!("base_model.model.model.layers.{layer}.self_attn.o_proj.lora_{part}.weight")
            };
            let a = values(seed + layer, RANK * 256, 0.05);
            let b = values(seed + layer + 1, RANK * D, 0.05);
            [
                (name("A"), vec![RANK, 256], a),
                (name("B"), vec![D, RANK], b),
            ]
        });
        file(&tensors.collect::<Vec<_>>())
    };
    let eye = (0..D * D).map(|i| f32::from(u8::from(i % (D + 1) == 0)));
    let own = file(&[
        ("input_map.weight".into(), vec![D, D], eye.collect()),
        ("input_map.bias".into(), vec![D], vec![0.0; D]),
        ("end_classifier.weight".into(), vec![D], vec![0.0; D]),
        ("end_classifier.bias".into(), vec![1], vec![-9.0]),
    ]);
    let spec = json!({"layer": 1, "ratio": ratio}).to_string();
    let config = config.to_string();
    let contents = [
        spec.into_bytes(),
        own,
        config.clone().into_bytes(),
        adapter(1),
        config.into_bytes(),
        adapter(50),
    ];
    for (name, contents) in FILES.iter().zip(contents) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, contents).expect("it can be written");
    }
}

/// A checkpoint with two sets of adapters.
fn adapted(name: &str) -> (Folder, String) {
    let folder = Folder::new(name);
    let model = folder.copy_model("arithmetic-cot", "arithmetic-ccot");
    write_adapters(&model.join("ccot"), 0.1);
    write_adapters(&model.join("ccot-r0.05"), 0.05);
    let path = model.display().to_string();
    (folder, path)
}

#[test]
fn every_command_runs_ccot_with_the_adapters_that_are_named() {
    let (folder, model) = adapted("adapters");
    let problem = ["--task", "arithmetic", "--engine", "reference", "--json"];
    let run = |more: &[&str]| -> Value {
        let args = [
            &["run", "--model", &model, "--strategy", "ccot"],
            more,
            &problem,
        ]
        .concat();
        serde_json::from_str(&stdout_of(&args)).expect("JSON")
    };
    // Cut at r times 72, because the classifier is never sure.
    let lane = |run: Value| run["lanes"][0].clone();
    let by_default = lane(run(&[]));
    assert_eq!(by_default["think_steps"], 8);
    assert_eq!(by_default["model"], "arithmetic-ccot");
    let named = lane(run(&["--adapters", "ccot-r0.05"]));
    assert_eq!(named["think_steps"], 4);
    assert_eq!(named["model"], "arithmetic-ccot/ccot-r0.05");
    let shorter = lane(run(&["--set", "max_chain=20"]));
    assert_eq!(shorter["think_steps"], 2);

    let args = ["eval", "--model", &model, "--strategy", "ccot-fixed"];
    let more = ["--set", "contemplation_tokens=3", "--n", "2"];
    let text = stdout_of(&[&args[..], &more, &problem].concat());
    let evaluation: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(evaluation["mean_think_steps"], 3.0);

    let listed = stdout_of(&["models", "--dir", &folder.0.display().to_string()]);
    assert!(
        listed.contains("ccot: contemplates in the states of layer 1, 0.1 steps"),
        "{listed}"
    );
    assert!(listed.contains("ccot-r0.05: contemplates"), "{listed}");
}

const SUITE: &str = r#"
title = "CCOT"
introduction = "Two sets of adapters."
[[row]]
method = "r = 0.1"
arithmetic = { model = "arithmetic-ccot", strategy = "ccot" }
[[row]]
method = "r = 0.05"
arithmetic = { model = "arithmetic-ccot", adapters = "ccot-r0.05", strategy = "ccot" }
[[row]]
method = "r = 9"
arithmetic = { model = "arithmetic-ccot", adapters = "ccot-r9", strategy = "ccot" }
"#;

#[test]
fn a_row_of_the_table_is_measured_with_its_own_adapters() {
    let (folder, _model) = adapted("table-adapters");
    fs::write(folder.path("suite.toml"), SUITE).expect("it can be written");
    let [suite, models, out] = ["suite.toml", ".", "out"].map(|name| folder.arg(name));
    let args = [
        "table", "--suite", &suite, "--models", &models, "--out", &out, "--n", "2",
    ];
    let text = stdout_of(&[&args[..], &["--no-cache"]].concat());
    assert!(
        !folder.path("out/thoughts.json").exists(),
        "nobody asked for it"
    );
    let read = |name: &str| fs::read_to_string(folder.path("out").join(name)).expect("written");
    let table: Value = serde_json::from_str(&read("table.json")).expect("JSON");
    let row = |index: usize| &table["rows"][index];
    assert_eq!(row(0).get("adapters"), None);
    assert_eq!(row(1)["adapters"], "ccot-r0.05");
    let think_steps = |index: usize| row(index)["results"][0]["think_steps"].as_f64();
    assert_eq!([think_steps(0), think_steps(1)], [Some(8.0), Some(4.0)]);
    assert_ne!(row(0)["weights_sha256"], row(1)["weights_sha256"]);
    assert_eq!(row(2)["state"], "not-trained");
    assert!(
        text.contains("`arithmetic-ccot/ccot-r0.05` | `ccot` |"),
        "{text}"
    );
}

#[test]
fn a_row_whose_checkpoint_is_gone_stays_as_it_was_measured() {
    let (folder, model) = adapted("table-keep");
    fs::write(folder.path("suite.toml"), SUITE).expect("it can be written");
    let [suite, models, out] = ["suite.toml", ".", "out"].map(|name| folder.arg(name));
    let args = |n: &'static str| {
        [
            "table",
            "--suite",
            &suite,
            "--models",
            &models,
            "--out",
            &out,
            "--no-cache",
            "--n",
            n,
        ]
        .map(str::to_owned)
    };
    let run = |n: &'static str, more: &[&str]| {
        let args = args(n);
        let args = Vec::from_iter(args.iter().map(String::as_str).chain(more.iter().copied()));
        latent(&args).output().expect("latent starts")
    };
    let table = || fs::read_to_string(folder.path("out/table.json")).expect("written");
    assert!(
        !run("2", &["--keep"]).status.success(),
        "there is no table yet"
    );
    assert!(run("2", &[]).status.success());
    let before = table();
    // Neither row is measured: one of them because nobody asks for it.
    fs::rename(&model, folder.path("gone")).expect("it was there");
    for more in [&["--keep"][..], &["--keep", "--only", "r = 0.1"]] {
        assert!(run("2", more).status.success());
        assert_eq!(table(), before, "{more:?}");
    }
    let output = run("3", &["--keep"]);
    let text = stderr(&output);
    assert!(text.contains("was measured on other problems"), "{text}");
    assert_eq!(table(), before);
    assert!(run("2", &[]).status.success());
    assert!(!table().contains("\"measured\""), "nothing is kept unasked");
}

#[test]
fn adapters_that_are_not_there_are_named_with_those_that_are() {
    let (_folder, model) = adapted("no-adapters");
    let complaint = |args: &[&str]| {
        let output = latent(args).output().expect("latent starts");
        assert!(!output.status.success(), "{args:?}");
        stderr(&output)
    };
    let run = [
        "run",
        "--strategy",
        "ccot",
        "--task",
        "arithmetic",
        "--engine",
        "reference",
    ];
    let with = |more: &[&str]| complaint(&[&run[..], more].concat());
    let text = with(&["--model", &model, "--adapters", "ccot-r9"]);
    assert!(
        text.contains("\"ccot-r9\"; it has: ccot, ccot-r0.05"),
        "{text}"
    );
    let plain = Path::new(common::MODELS).join("arithmetic-cot");
    let plain = plain.display().to_string();
    let text = with(&["--model", &plain, "--adapters", "ccot"]);
    assert!(text.contains("no adapters of CCOT"), "{text}");
    let text = with(&["--model", &plain]);
    assert!(
        text.contains("arithmetic-ccot with its ccot/ccot.json, found none"),
        "{text}"
    );
    fs::remove_file(Path::new(&model).join("ccot").join(FILES[3])).expect("it was there");
    let text = with(&["--model", &model]);
    assert!(
        text.contains("ccot/generator/adapter_model.safetensors"),
        "{text}"
    );
}

#[test]
fn check_compares_every_set_of_weights_and_sees_an_altered_adapter() {
    if skips_gpu() {
        return;
    }
    let (_folder, model) = adapted("check-adapters");
    let text = stdout_of(&["check", "--model", &model]);
    for part in [
        "under the generator:",
        "under the decoder:",
        "ccot ",
        "ccot-fixed ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("the engines agree"), "{text}");
    let (folder, other) = adapted("check-altered");
    let decoder = Path::new(&other).join("ccot").join(FILES[5]);
    let mut bytes = fs::read(&decoder).expect("it was written");
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&3.0_f32.to_le_bytes());
    fs::write(&decoder, bytes).expect("it can be written");
    let output = latent(&["check", "--model", &model, "--against", &other]).output();
    let output = output.expect("latent starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let of_decoder = text
        .split("under the decoder:")
        .nth(1)
        .expect("it is compared");
    assert!(of_decoder.contains("DIFFERS"), "{text}");
    let before = text.split("under the decoder:").next().expect("the others");
    assert!(!before.contains("DIFFERS"), "{text}");
    drop(folder);
}

#[test]
fn ship_lays_adapters_beside_those_of_a_checkpoint_with_the_same_base() {
    let folder = Folder::new("ship-beside");
    folder.copy_model("arithmetic-ccot", "models/arithmetic-ccot");
    folder.write("models/index.json", "{\"models\": []}");
    let run = folder.copy_model("arithmetic-ccot", "run/model");
    for other in adapter_folders(&run) {
        if other != "ccot" {
            fs::remove_dir_all(run.join(other)).expect("it was copied");
        }
    }
    let record = run.join("training.json");
    let text = fs::read_to_string(&record).expect("it ships");
    let renamed = text.replace("\"arithmetic-ccot\"", "\"arithmetic-ccot-r0.3\"");
    assert_ne!(renamed, text);
    fs::write(&record, &renamed).expect("it can be written");
    fs::write(run.join("ccot/ccot.json"), r#"{"layer": 2, "ratio": 0.3}"#).expect("written");
    let [models, run_folder] = ["models", "run"].map(|name| folder.arg(name));
    let args = ["ship", &run_folder, "--models", &models, "--beside"];
    let text = stdout_of(&[&args[..], &["arithmetic-ccot"]].concat());
    assert!(text.starts_with("arithmetic-ccot: "), "{text}");
    let to = folder.path("models/arithmetic-ccot/ccot-r0.3");
    for name in FILES {
        let copied = fs::read(to.join(name)).expect("it was copied");
        assert_eq!(
            copied,
            fs::read(run.join("ccot").join(name)).expect("a file")
        );
    }
    let copied = fs::read_to_string(to.join("training.json")).expect("it was copied");
    assert_eq!(copied, renamed);
    let index = fs::read_to_string(folder.path("models/index.json")).expect("it is there");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let listed = index["models"][0]["adapters"].as_array().expect("a list");
    assert!(
        listed
            .iter()
            .any(|adapters| adapters["folder"] == "ccot-r0.3" && adapters["ratio"] == 0.3),
        "{listed:?}"
    );
    folder.copy_model("arithmetic-coconut", "models/arithmetic-coconut");
    let error = common::failure_of(&[&args[..], &["arithmetic-coconut"]].concat());
    assert!(error.contains("has another base"), "{error}");
    assert!(!folder.path("models/arithmetic-coconut/ccot-r0.3").exists());
}

fn adapter_folders(model: &Path) -> Vec<String> {
    let entries = fs::read_dir(model).expect("a folder").map(|entry| {
        let entry = entry.expect("the folder can be listed");
        entry.file_name().to_string_lossy().into_owned()
    });
    let is_adapters = |name: &String| model.join(name).join(FILES[0]).exists();
    entries.filter(is_adapters).collect()
}

#[test]
fn contemplation_counts_where_end_stops_beside_k() {
    let (folder, never) = adapted("contemplation");
    let measure = |model: &str| -> Value {
        let out = folder.arg("out");
        let args = ["contemplation", "--n", "6", "--timed", "2", "--out", &out];
        let text = stdout_of(&[&args[..], &["--model", model]].concat());
        assert!(text.contains("| adapters | ≤ −3 |"), "{text}");
        serde_json::from_str(
            &fs::read_to_string(folder.path("out/contemplation.json")).expect("written"),
        )
        .expect("JSON")
    };
    let count = |row: &Value, keep: &dyn Fn(u64, u64) -> bool| -> u64 {
        let lengths = row["lengths"].as_array().expect("a list").iter();
        let number = |count: &Value, key: &str| count[key].as_u64().expect("a number");
        let kept = lengths.filter(|count| keep(number(count, "k"), number(count, "own")));
        kept.map(|count| number(count, "n")).sum()
    };

    // The classifier is never sure, so that the cap ends it: 8 of 72 tokens at r = 0.1.
    let document = measure(&never);
    let row = &document["rows"][0];
    assert_eq!(row["adapters"], "ccot");
    assert_eq!(count(row, &|k, own| own == 8 && k < 8), 6, "{row}");
    assert_eq!(row["precision"], Value::Null);
    assert_eq!(row["recall"]["accuracy"], 0.0);

    let shipped = format!("{}/arithmetic-ccot", common::MODELS);
    let document = measure(&shipped);
    let rows = document["rows"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["adapters"] == "ccot");
    let row = row.expect("it ships");
    let exact = count(row, &|k, own| own == k);
    assert!((3..=6).contains(&exact), "{row}");
    let share = |name: &str, n: u64| {
        let found = row[name]["accuracy"].as_f64().expect("a share");
        assert!((found - exact as f64 / n as f64).abs() < 1e-12, "{row}");
    };
    share("precision", count(row, &|k, own| own <= k));
    share("recall", count(row, &|k, own| own >= k));
    let args = ["eval", "--model", &shipped, "--strategy", "ccot", "--task"];
    let more = ["--difficulty", "official", "--n", "6", "--seed", "1"];
    let engine = ["arithmetic", "--engine", "reference", "--json"];
    let text = stdout_of(&[&args[..], &engine, &more].concat());
    let evaluation: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(evaluation["accuracy"], row["own"]["accuracy"]);
}
