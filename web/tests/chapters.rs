//! What the tour promises is what its set-ups come to, on the reference engine.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use latent_model::{
    engine::{LaneSpec, run_to_end},
    input::Input,
    model::{Model, ModelFiles},
    program::Program,
    record::{InputKind, StepRecord},
    reference::{Precision, ReferenceEngine},
    tasks::{Grade, TASKS},
    trace::{StepKind, answer_ids, step_kind},
};
use latent_web::{
    chapters::{CHAPTERS, Chapter},
    page_state::{PageState, streams},
    question::{AllExamples, Question},
    view::{reach::Oracle, shares::shares, steps::ONE_WORD},
};
use pollster::block_on;

/// A lane of a set-up after its run.
struct Ran {
    program: Program,
    records: Vec<StepRecord>,
    grade: Option<Grade>,
}

impl Ran {
    fn thinking(&self) -> impl Iterator<Item = &StepRecord> {
        let thinks = |record: &&StepRecord| step_kind(record, &self.program) == StepKind::Think;
        self.records.iter().filter(thinks)
    }

    fn thoughts(&self) -> impl Iterator<Item = &StepRecord> {
        self.thinking()
            .filter(|record| record.input_kind() == InputKind::Hidden)
    }
}

fn public() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../public")
}

fn model(name: &str) -> Model {
    let folder = public().join("models").join(name);
    let text = |file: &str| fs::read_to_string(folder.join(file)).expect(file);
    let weights = fs::read(folder.join("model.safetensors")).expect("weights");
    let files = ModelFiles {
        config: text("config.json"),
        generation_config: Some(text("generation_config.json")),
        tokenizer: text("tokenizer.json"),
        tokenizer_config: None,
        chat_template: None,
        weights: vec![("model.safetensors".into(), weights.into())],
        // No chapter and no default lane needs adapters.
        contemplation: None,
    };
    Model::from_files(&files).expect("it ships")
}

/// The page behind a hash, run to its end as the page runs it.
fn run(hash: &str) -> (Question, Vec<Ran>) {
    let catalogue = fs::read_to_string(public().join("models/index.json")).expect("the catalogue");
    let catalogue = serde_json::from_str(&catalogue).expect("well-formed");
    let state = PageState::from_hash(hash, &catalogue)
        .expect("an address")
        .state;
    let question = Question::new(state.task, &state.problem, &AllExamples::default());
    let mut models: BTreeMap<&str, Model> = BTreeMap::new();
    let mut all = Vec::new();
    for (lane, stream) in state.lanes.iter().zip(streams(&state.lanes)) {
        let model = models
            .entry(&lane.model)
            .or_insert_with(|| model(&lane.model));
        let program = lane.program(&model.tokenizer, model.capabilities());
        let program = program.expect("it is offered");
        let spec = LaneSpec {
            inputs: Input::tokens(
                &model
                    .tokenizer
                    .encode(&question.text)
                    .expect("its own words"),
            ),
            program: program.clone(),
            seed: state.seed,
            stream,
            decode_thoughts: true,
        };
        let weights = Arc::clone(&model.weights);
        let mut engine = ReferenceEngine::new(&model.config, weights, Precision::Fast);
        let traces = block_on(run_to_end(&mut engine, &[spec], 16, |_| {}));
        let records = traces.expect("it runs").remove(0);
        let answer = state
            .task
            .render(&model.tokenizer, &answer_ids(&records, &program));
        all.push(Ran {
            grade: question.grade(&answer),
            program,
            records,
        });
    }
    (question, all)
}

fn chapter(title: &str) -> &'static Chapter {
    let found = CHAPTERS
        .iter()
        .find(|chapter| chapter.english.title == title);
    found.expect("a chapter of the tour")
}

fn check_verdicts(title: &str) -> (Question, Vec<Ran>) {
    let chapter = chapter(title);
    let (question, ran) = run(chapter.address);
    let verdicts: Vec<String> = ran
        .iter()
        .map(|lane| lane.grade.expect("a problem").to_string())
        .collect();
    assert_eq!(verdicts, chapter.verdicts, "{title}");
    (question, ran)
}

#[test]
fn words_must_choose() {
    let (question, ran) = check_verdicts("Words must choose");
    let problem = question.problem.expect("drawn");
    assert_eq!(problem.steps().len(), 3);
    // Every statement is two words.
    assert_eq!(ran[0].thinking().count(), 2 * 5);
}

#[test]
fn soft_thinking_is_nearly_greedy() {
    let (_, ran) = check_verdicts("Soft Thinking is nearly greedy");
    let mixed = |lane: &Ran| {
        let mixed = |record: &&StepRecord| record.weights[0] < ONE_WORD;
        (
            lane.thinking().filter(mixed).count(),
            lane.thinking().count(),
        )
    };
    assert_eq!(mixed(&ran[1]), (2, 10));
    let words = |lane: &Ran| {
        lane.thinking()
            .map(|record| record.token)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&ran[0]), words(&ran[1]), "the same way");
    let (n_mixed, n_steps) = mixed(&ran[2]);
    assert!(2 * n_mixed > n_steps, "{n_mixed} of {n_steps}");
}

#[test]
fn noise_is_a_lottery_at_the_fork() {
    let (_, ran) = check_verdicts("Noise is a lottery at the fork");
    let right = |lane: &&Ran| lane.grade == Some(Grade::Right);
    assert_eq!(ran[1..].iter().filter(right).count(), 3);
}

#[test]
fn a_thought_holds_the_frontier() {
    let (question, ran) = check_verdicts("A thought holds the frontier");
    let problem = question.problem.expect("drawn");
    let graph = problem.graph().expect("a graph");
    let distances = graph.successors().distances(graph.root);
    let second = ran[0].thoughts().nth(1).expect("six thoughts");
    let shares = shares(second);
    for (node, distance) in graph.nodes.iter().zip(distances) {
        let share = shares.get(&node.token).copied().unwrap_or(0.0);
        let is_within = distance.is_some_and(|steps| steps <= 2);
        assert_eq!(share >= 0.015, is_within, "{}: {share}", node.name);
    }
}

#[test]
fn two_thoughts_are_enough() {
    check_verdicts("How many thoughts are enough");
}

#[test]
fn the_wave_leaks() {
    let (question, ran) = check_verdicts("When the wave leaks");
    let problem = question.problem.expect("drawn");
    let oracle = Oracle::of(problem.graph().expect("a graph"));
    let outside = |lane: &Ran, thought: usize| {
        let record = lane.thoughts().nth(thought - 1).expect("six thoughts");
        oracle.mass(&shares(record), Some(thought)).outside
    };
    for thought in 3..=6 {
        assert!(
            outside(&ran[0], thought) > 0.1,
            "thought {thought} of the first"
        );
    }
    assert!(outside(&ran[0], 1) < 0.05);
    assert!(
        (3..=6).any(|thought| outside(&ran[1], thought) > 0.05),
        "the second leaks too"
    );
}

#[test]
fn words_win_where_every_step_is_a_computation() {
    check_verdicts("Where words win");
}

/// The page that opens without an address shows what the guide says: a search that stays inside of
/// what can be reached, with every lane right.
#[test]
fn the_default_problem_shows_the_search_cleanly() {
    let (question, ran) = run("");
    let problem = question.problem.expect("drawn");
    let oracle = Oracle::of(problem.graph().expect("a graph"));
    all_right(&ran);
    let coconut = ran.last().expect("four lanes");
    for (record, thought) in coconut.thoughts().zip(1..) {
        let mass = oracle.mass(&shares(record), Some(thought));
        assert!(
            mass.outside < 0.03,
            "thought {thought}: {}",
            mass.sentence()
        );
    }
    assert_eq!(coconut.thoughts().count(), 6);
}

#[test]
fn the_default_lanes_of_every_task_solve_the_problem_that_it_begins_with() {
    for task in TASKS {
        let (_, ran) = run(&format!("task={}", task.name()));
        assert!(!ran.is_empty(), "{}", task.name());
        all_right(&ran);
    }
}

fn all_right(ran: &[Ran]) {
    let grades: Vec<_> = ran.iter().map(|lane| lane.grade).collect();
    assert!(
        grades.iter().all(|grade| *grade == Some(Grade::Right)),
        "{grades:?}"
    );
}
