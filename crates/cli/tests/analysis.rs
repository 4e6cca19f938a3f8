//! `latent analyze` and `latent intervene`, on a few problems of checkpoints that ship.

mod common;

use std::fs;

use common::{Folder, MODELS, failure_of, latent, stdout_of};
use serde_json::Value;

/// What `latent analyze` prints of three problems as one JSON object.
fn analyzed(folder: &Folder, strategy: &str) -> Value {
    let model = format!("{MODELS}/prosqa-cot");
    let cache = folder.arg("cache");
    let problems = ["--task", "prosqa", "--n", "3", "--seed", "1"];
    let run = [
        "analyze",
        "--model",
        &model,
        "--strategy",
        strategy,
        "--json",
    ];
    let text = stdout_of(&[&run[..], &problems, &["--cache", &cache]].concat());
    serde_json::from_str(&text).expect("one JSON object")
}

#[test]
fn analyze_tells_the_divergences_and_goes_on_where_it_was_cut_off() {
    let folder = Folder::new("analyze");
    let study = analyzed(&folder, "soft");
    for name in ["top1", "top2"] {
        let mean = &study["js"][name];
        let number = |key: &str| mean[key].as_f64().expect("a number");
        assert!(number("ci_low") <= number("mean") && number("mean") <= number("ci_high"));
        assert!(number("n") >= 1.0 && number("ci_high") <= std::f64::consts::LN_2);
    }
    assert!(study["js"]["top1"]["n"].as_u64() > study["js"]["top2"]["n"].as_u64());
    let greedy = &study["rows"][0]["methods"][0];
    assert_eq!(greedy["rouge_l"]["mean"], 1.0);
    assert_eq!(greedy["samples"], 1);
    let method = &study["rows"][0]["methods"][1];
    let layers = method["overlap"]["top1"]["5"].as_array().expect("layers");
    assert_eq!(layers.len(), 6);

    // A run that was killed within its second line goes on from there.
    let mut kept = fs::read_dir(folder.path("cache")).expect("kept");
    let path = kept.next().expect("a file").expect("a file").path();
    let text = fs::read_to_string(&path).expect("lines");
    assert_eq!(text.lines().count(), 3);
    let second = text.find('\n').expect("a line") + 40;
    fs::write(&path, &text[..second]).expect("it can be written");
    assert_eq!(analyzed(&folder, "soft"), study);
    assert_eq!(fs::read_to_string(&path).expect("lines"), text);
    // What is there is used: a changed number shows.
    let right = "\"rouge_l\":[1.0]";
    assert!(text.contains(right));
    fs::write(&path, text.replacen(right, "\"rouge_l\":[0.0]", 1)).expect("written");
    assert_ne!(analyzed(&folder, "soft"), study);
}

#[test]
fn analyze_of_a_prompt_leaves_its_files_and_report_draws_them() {
    let folder = Folder::new("analyze-prompt");
    let (model, out, cache) = (
        format!("{MODELS}/prosqa-cot"),
        folder.arg("out"),
        folder.arg("cache"),
    );
    let prompt = "Every gerpus is a terpus. Tom is a gerpus. Is Tom a terpus or a lempus?";
    let run = ["analyze", "--model", &model, "--prompt", prompt];
    stdout_of(&[&run[..], &["--out", &out, "--cache", &cache]].concat());
    let read = |name: &str| fs::read(folder.path("out").join(name)).expect(name);
    let json: Value = serde_json::from_slice(&read("analysis.json")).expect("JSON");
    assert!(json["js"]["top1"]["mean"].is_number());
    assert!(
        json["rows"][0]["methods"][1]["accuracy"].is_null(),
        "nobody can tell"
    );
    let lens: Value = serde_json::from_slice(&read("lens.json")).expect("JSON");
    assert_eq!(lens["meta"]["version"], 2);
    let n_positions = lens["input"].as_array().map(Vec::len);
    assert_eq!(lens["topk"][5].as_array().map(Vec::len), n_positions);
    assert!(read("states.safetensors").len() > 1000);
    let csv = String::from_utf8(read("steps.csv")).expect("text");
    assert!(
        csv.starts_with("problem,method,step,metric,layer,value\n0,soft,"),
        "{csv}"
    );
    let drawn = read("analysis.svg");
    fs::remove_file(folder.path("out").join("analysis.svg")).expect("removed");
    stdout_of(&["report", &out]);
    assert_eq!(read("analysis.svg"), drawn);
    let svg = String::from_utf8(drawn).expect("text");
    roxmltree::Document::parse(&svg).expect("it is XML");
    // Without a step that mixes, there is nothing to draw.
    let hard = [
        "--strategy",
        "token-cot-sampled",
        "--out",
        &out,
        "--cache",
        &cache,
    ];
    let error = failure_of(&[&run[..], &hard].concat());
    assert!(error.contains("no step of the study mixes"), "{error}");
}

#[test]
fn intervene_changes_what_it_is_told_to() {
    let of = |model: &str, strategy: &str, more: &[&str]| -> Value {
        let model = format!("{MODELS}/{model}");
        let run = ["intervene", "--model", &model, "--strategy", strategy];
        let problems = ["--task", "prosqa", "--n", "6", "--json"];
        let text = stdout_of(&[&run[..], &problems, more].concat());
        serde_json::from_str(&text).expect("one JSON object")
    };
    let changed = |study: &Value, index: usize| {
        let condition = &study["rows"][0]["conditions"][index];
        condition["answers_changed"].as_f64().expect("a share")
    };
    let kinds = ["--kind", "zero,noise,shuffle,swap,freeze,nearest"];
    let thoughts = of("prosqa-coconut", "coconut", &kinds);
    assert_eq!(thoughts["rows"][0]["conditions"][3]["kind"], "swap");
    assert_eq!(thoughts["rows"][0]["clean"]["n"], 6);
    assert!(
        changed(&thoughts, 2) > 0.0,
        "shuffled thoughts lead elsewhere: {thoughts}"
    );
    // Pauses are one token: another problem's, the one before and the nearest are the same.
    let pauses = of("prosqa-pause-as-thought", "pause", &kinds);
    for unchanged in 3..6 {
        assert_eq!(changed(&pauses, unchanged), 0.0, "{pauses}");
    }
    let no_noise = ["--kind", "noise,freeze", "--noise", "0", "--steps", "1"];
    let still = of("prosqa-coconut", "coconut", &no_noise);
    assert_eq!((changed(&still, 0), changed(&still, 1)), (0.0, 0.0));

    let model = format!("{MODELS}/prosqa-no-cot");
    let run = ["intervene", "--model", &model, "--strategy", "no-cot"];
    let error = failure_of(&[&run[..], &["--task", "prosqa", "--n", "2"]].concat());
    assert!(error.contains("no-cot does not think"), "{error}");
    let steps = latent(&["intervene", "--model", &model, "--steps", "0"]).output();
    let steps = steps.expect("latent starts");
    assert!(String::from_utf8_lossy(&steps.stderr).contains("numbers from 1 on"));
}
