//! Lanes of `latent run` as the page's address writes them: changed, forked, and by a link.

mod common;

use std::{fs, path::Path};

use common::{MODELS, failure_of, stdout_of};
use latent_model::{
    address::{ChangeChoice, ChangeKind, LaneChoice},
    analysis::{
        fork::{Continue, continuation, fork},
        intervention::{Change, Intervention, Ran, run_to_end_with},
    },
    checkpoint::WeightFormat,
    engine::{LaneSpec, run_to_end},
    input::Input,
    model::{Model, ModelFiles},
    record::StepRecord,
    reference::{Precision, ReferenceEngine},
    strategy::{Settings, Strategy},
    tasks::{Difficulty, prosqa},
    trace::StepJson,
};
use pollster::block_on;
use serde_json::{Value, json};

/// A problem whose lanes take several steps.
const SEED: u32 = 7;

fn model(name: &str) -> Model {
    let folder = Path::new(MODELS).join(name);
    let text = |file: &str| fs::read_to_string(folder.join(file)).expect("it ships");
    let weights = fs::read(folder.join("model.safetensors")).expect("it ships");
    let files = ModelFiles {
        config: text("config.json"),
        generation_config: None,
        tokenizer: text("tokenizer.json"),
        tokenizer_config: None,
        chat_template: None,
        weights: vec![("model.safetensors".into(), weights.into())],
        contemplation: None,
    };
    let model = Model::from_files(&files).expect("it ships");
    model.with_weights_in(WeightFormat::F32)
}

fn spec(model: &Model, strategy: &str) -> LaneSpec {
    let strategy = Strategy::by_name(strategy).expect("in the table");
    let program = strategy.program(&Settings::default(), &model.tokenizer, model.capabilities());
    let problem = prosqa::TASK.generate(SEED.into(), Difficulty::Class);
    LaneSpec {
        inputs: Input::tokens(&model.prompt(problem.question()).expect("its own words")),
        program: program.expect("its own strategy"),
        seed: SEED,
        stream: 0,
        decode_thoughts: true,
    }
}

fn engine(model: &Model) -> ReferenceEngine {
    ReferenceEngine::new(&model.config, model.weights.clone(), Precision::Fast)
}

fn ran(model: &Model, spec: &LaneSpec, changes: Vec<Intervention>) -> Ran {
    let lanes = [(spec.clone(), changes)];
    let of_model = (&model.config, &model.weights);
    let mut engine = engine(model);
    let ran = run_to_end_with(&mut engine, of_model, &lanes, true);
    block_on(ran).expect("a run").remove(0)
}

/// What `latent run` prints of lanes on the problem, as one JSON object.
fn run(lanes: &[&str]) -> Value {
    run_on(SEED, lanes)
}

fn run_on(seed: u32, lanes: &[&str]) -> Value {
    let seed = seed.to_string();
    let problem = ["run", "--task", "prosqa", "--seed", &seed, "--json"];
    let machine = ["--models", MODELS, "--engine", "reference"];
    let lanes: Vec<&str> = lanes.iter().flat_map(|lane| ["--lane", lane]).collect();
    let text = stdout_of(&[&problem[..], &machine, &lanes].concat());
    serde_json::from_str(&text).expect("one JSON object")
}

/// As the command prints them: numbers of 32 bits, in as few digits as tell them apart.
fn steps(model: &Model, records: &[StepRecord]) -> Value {
    let step = |record| StepJson::new(record, &model.tokenizer);
    let steps: Vec<StepJson> = records.iter().map(step).collect();
    let text = serde_json::to_string(&steps).expect("numbers and texts");
    serde_json::from_str(&text).expect("JSON")
}

fn tokens(steps: &Value) -> Vec<&Value> {
    let steps = steps.as_array().expect("steps");
    steps.iter().map(|step| &step["token"]).collect()
}

/// A change by the command line, by the analysis's own call, and as a run that is given the same
/// inputs from the start, from the step behind the change on.
fn is_as_analysed(name: &str, strategy: &str, step: u32, kind: ChangeKind, change: Change) {
    let model = model(name);
    let spec = spec(&model, strategy);
    let clean = ran(&model, &spec, Vec::new());
    let changed = ran(&model, &spec, vec![Intervention::at(step, change)]);
    assert_ne!(clean.fed[step as usize], changed.fed[step as usize]);

    let mut lane = LaneChoice::new(name, Strategy::by_name(strategy).expect("in the table"));
    let unchanged = lane.to_string();
    lane.changes = vec![ChangeChoice { step, kind }];
    let found = run(&[&lane.to_string()]);
    let lanes = &found["lanes"];
    assert_eq!(lanes[0]["steps"], steps(&model, &changed.records));
    assert_eq!(
        lanes[1]["steps"],
        steps(&model, &clean.records),
        "it runs along"
    );
    let parting = &found["partings"][0];
    assert_eq!(
        (&parting["lane"], &parting["source"]),
        (&1.into(), &2.into())
    );
    assert_eq!(parting["after"], step);
    let [own, of_source] = [0, 1].map(|lane| tokens(&lanes[lane]["steps"]));
    let longest = own.len().max(of_source.len());
    let first = (0..longest).find(|&at| own.get(at) != of_source.get(at));
    let found_first = parting["first_other"]["step"].as_u64();
    assert!(first.is_some(), "they part: {parting}");
    assert_eq!(found_first.map(|step| step as usize), first, "{parting}");
    let both = run(&[&unchanged, &lane.to_string()]);
    assert_eq!(both["lanes"].as_array().map(Vec::len), Some(2));
    assert_eq!(both["partings"][0]["source"], 1);

    let mut rest = continuation(&spec.program, Continue::Thinking);
    rest.phases[0].until.max_steps -= changed.records[step as usize].phase_step + 1;
    let forked = fork(&spec, &changed, step, rest).expect("a step of the run");
    let anew = block_on(run_to_end(&mut engine(&model), &[forked], 8, |_| {})).expect("a run");
    let anew = steps(&model, &anew[0]);
    assert_eq!(
        tokens(&lanes[0]["steps"])[step as usize + 1..],
        tokens(&anew)
    );
}

#[test]
fn a_word_is_forced_as_the_analysis_does() {
    // Not the model's own choice; it goes on elsewhere from there.
    let word = model("prosqa-cot").tokenizer.id("felpus").expect("a word");
    let (kind, change) = (ChangeKind::Force(word), Change::Force(word));
    is_as_analysed("prosqa-cot", "token-cot", 3, kind, change);
}

#[test]
fn a_mixture_with_weights_set_by_hand_is_fed_as_the_analysis_does() {
    let tokenizer = model("prosqa-cot").tokenizer;
    let ids = ["felpus", "yumpus"].map(|word| tokenizer.id(word).expect("a word"));
    let parts = vec![(ids[0], 0.75), (ids[1], 0.25)];
    let change = Change::Replace(Input::Mixture(parts.clone()));
    is_as_analysed("prosqa-cot", "soft", 3, ChangeKind::Mix(parts), change);
}

#[test]
fn a_fork_goes_on_in_another_way_as_the_analysis_does() {
    let after = 2;
    for (name, strategy, other, how) in [
        ("prosqa-cot", "soft", "token-cot", Continue::Thinking),
        ("prosqa-coconut", "coconut", "coconut", Continue::Answering),
    ] {
        let model = model(name);
        let source = spec(&model, strategy);
        let of_source = ran(&model, &source, Vec::new());
        let program = continuation(&spec(&model, other).program, how);
        let forked = fork(&source, &of_source, after, program).expect("a step of the run");
        // A fork is given all its inputs from the start.
        let expected = block_on(run_to_end(&mut engine(&model), &[forked], 8, |_| {}));
        let expected = expected.expect("a run").remove(0);
        let answers = match how {
            Continue::Thinking => "",
            Continue::Answering => "-answer",
        };
        let lane = format!("{name}:{other},from=1-{after}{answers}");
        let found = run(&[&format!("{name}:{strategy}"), &lane]);
        let lanes = &found["lanes"];
        assert_eq!(
            lanes[0]["steps"],
            steps(&model, &of_source.records),
            "{lane}"
        );
        assert_eq!(lanes[1]["steps"], steps(&model, &expected), "{lane}");
        let parting = &found["partings"][0];
        assert_eq!(
            (&parting["source"], &parting["after"]),
            (&1.into(), &after.into())
        );
        let other = &parting["first_other"];
        if let (Some(own), Some(of_source)) =
            (other["step"].as_u64(), other["source_step"].as_u64())
        {
            assert_eq!(of_source, own + u64::from(after) + 1, "{parting}");
        }
    }
}

#[test]
fn a_link_to_the_page_runs_as_the_options_that_it_stands_for() {
    let of_options = run(&[
        "prosqa-unified:token-cot",
        "prosqa-coconut:coconut,thoughts=3",
    ]);
    let link = "https://host/page/#problem=class:7&lanes=prosqa-unified:token-cot;\
                prosqa-coconut:coconut,thoughts=3&seed=7&speed=4&step=2&theme=dark";
    let run = |address: &str| -> Value {
        let machine = ["--models", MODELS, "--engine", "reference", "--json"];
        let text = stdout_of(&[&["run", "--address", address][..], &machine].concat());
        serde_json::from_str(&text).expect("one JSON object")
    };
    assert_eq!(run(link), of_options);
    assert!(
        of_options.get("partings").is_none(),
        "nothing was done to them"
    );
    let typed = of_options["prompt"]
        .as_str()
        .expect("a text")
        .replace(' ', "%20");
    let typed = link.replace("class:7", &format!("text:{typed}"));
    assert_eq!(run(&typed), of_options);
    let example = run("problem=example:0&lanes=prosqa-coconut:coconut");
    assert_eq!(example["seed"], 1, "as a page begins");
    assert!(example["lanes"][0]["verdict"].is_string(), "{example}");
}

#[test]
fn equal_lanes_draw_apart_and_each_is_compared_with_its_own() {
    let gumbel = "prosqa-cot:soft-gumbel,tau=2";
    let zeroed = format!("{gumbel},at=2-zero");
    // A problem on which the model is not sure, so that noise is seen.
    let found = run_on(9, &[gumbel, &zeroed, gumbel, &zeroed]);
    let lanes = &found["lanes"];
    assert_ne!(lanes[0]["steps"], lanes[2]["steps"], "noise of their own");
    let sources: Vec<&Value> = (0..2).map(|i| &found["partings"][i]["source"]).collect();
    assert_eq!(sources, [1, 3]);
    let same = |a: usize, b: usize| lanes[a]["steps"][2] == lanes[b]["steps"][2];
    assert!(same(0, 1) && same(2, 3), "up to the change");
}

#[test]
fn a_change_behind_the_end_is_said_not_to_be_made() {
    let found = run(&["prosqa-coconut:coconut,at=900-zero,at=2-zero"]);
    let parting = &found["partings"][0];
    assert_eq!(
        (&parting["after"], &parting["not_made"]),
        (&2.into(), &json!([900]))
    );
    let found = run(&["prosqa-coconut:coconut,at=900-zero"]);
    assert_eq!(found["partings"][0]["after"], Value::Null);
    assert_eq!(found["lanes"][0]["steps"], found["lanes"][1]["steps"]);
}

#[test]
fn a_lane_that_cannot_be_is_refused_by_what_was_expected_and_found() {
    let coconut = "prosqa-coconut:coconut";
    let long = "prosqa-coconut:coconut,from=1-99";
    for (lanes, expected) in [
        (
            &["prosqa-cot"][..],
            &["checkpoint:strategy", "\"prosqa-cot\""][..],
        ),
        (&["prosqa-cot:coconot"], &["coconot", "coconut-classifier"]),
        (&["prosqa-cot:soft,at=5"], &["STEP-CHANGE", "\"5\""]),
        (
            &["prosqa-cot:soft,at=5-force"],
            &["STEP-CHANGE", "\"5-force\""],
        ),
        (&["prosqa-cot:soft,at=2-force-9999"], &["lane 1", "9999"]),
        (
            &["prosqa-cot:soft,at=2-force-9999,at=2-nearest"],
            &["lane 1", "9999"],
        ),
        (
            &["prosqa-cot:soft,at=2-mix-9999-1,at=2-noise-1-1"],
            &["lane 1", "9999"],
        ),
        (
            &[coconut, "prosqa-coconut:coconut,from=2"],
            &["LANE-STEP", "\"2\""],
        ),
        (
            &["prosqa-coconut:coconut,from=2-1", coconut],
            &["lane 1", "before it"],
        ),
        (
            &["prosqa-cot:soft", "prosqa-coconut:coconut,from=1-1"],
            &["same checkpoint"],
        ),
        (
            &[coconut, long],
            &["a fork begins after a step", "found 99"],
        ),
        (
            &[coconut, "prosqa-coconut:coconut,at=99-swap-1"],
            &["lane 1", "after step 99"],
        ),
        (&["nobody:soft"], &["nobody", "neither a model folder"]),
        (&[";"], &["names no lane", "lanes="]),
    ] {
        let lanes: Vec<&str> = lanes.iter().flat_map(|lane| ["--lane", *lane]).collect();
        let machine = ["run", "--task", "prosqa", "--models", MODELS];
        let engine = ["--engine", "reference"];
        let error = failure_of(&[&machine[..], &engine, &lanes].concat());
        for part in expected {
            assert!(error.contains(part), "{lanes:?}: {error}");
        }
    }
    for (address, expected) in [
        ("problem=class:7", "names no lane"),
        ("problem=class&lanes=prosqa-cot:soft", "class:SEED"),
        (
            "problem=example:999&lanes=prosqa-cot:soft",
            "no example 1000",
        ),
        ("colour=red", "\"colour\""),
    ] {
        let error = failure_of(&["run", "--models", MODELS, "--address", address]);
        assert!(error.contains(expected), "{address}: {error}");
    }
}
