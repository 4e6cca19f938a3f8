//! What the tour promises is what its set-ups come to, on the reference engine.

use std::{collections::BTreeMap, fs, sync::Arc};

use latent_model::{
    analysis::{
        lens::Lens,
        patching::{Contrast, Place, WatchedLane, patched_runs, run_watched},
    },
    engine::{LaneSpec, run_to_end},
    input::Input,
    model::Model,
    program::Program,
    record::{InputKind, StepRecord},
    reference::{Precision, ReferenceEngine},
    tasks::{Grade, Problem, TASKS, sketch::twin},
    trace::{StepKind, answer_ids, step_kind},
};
use latent_web::{
    chapters::{CHAPTERS, Chapter},
    page_state::{PageState, streams},
    question::{AllExamples, Question},
    view::{reach::Oracle, shares::shares, steps::ONE_WORD},
};
use pollster::block_on;

#[path = "../../crates/model/tests/common/shipped.rs"]
mod shipped;

use shipped::{public, shipped_files};

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

// No chapter and no default lane needs adapters.
fn model(name: &str) -> Model {
    Model::from_files(&shipped_files(name)).expect("it ships")
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

/// How far each state of a lane's thinking moves its answer to that of the problem's twin: by step,
/// by layer. `model` is the lane's.
fn moved(model: &Model, lane: &Ran, problem: &Problem) -> BTreeMap<Place, f64> {
    let twin = twin(problem).expect("it has a graph");
    let watched = |problem: &Problem| {
        WatchedLane::new(LaneSpec {
            inputs: Input::tokens(problem.encode().expect("its own words")),
            program: lane.program.clone(),
            seed: 8,
            stream: 0,
            decode_thoughts: true,
        })
    };
    let lanes = [watched(problem), watched(&twin)];
    let of_model = (&model.config, &model.weights);
    let weights = Arc::clone(&model.weights);
    let mut engine = ReferenceEngine::new(&model.config, weights, Precision::Fast);
    let runs = block_on(run_watched(&mut engine, of_model, &lanes)).expect("it runs");
    let lens = Lens::new(&model.config, &model.weights, Precision::Fast);
    let program = &lane.program;
    let contrast = Contrast::new(lens, (program, &runs[0]), (program, &runs[1]));
    // What is fed after a step of thinking is read at the next.
    let fed = lane.thinking().map(|record| record.step + 1);
    let layers = 0..model.config.n_layers;
    let places: Vec<Place> = fed
        .flat_map(|step| layers.clone().map(move |layer| (step, layer)))
        .collect();
    let found = patched_runs(&mut engine, of_model, &lanes[0], &runs[1], &places);
    let found = block_on(found).expect("it runs").into_iter();
    let moved = |run| contrast.standing(&run).moved.expect("two answers");
    found.map(|found| (found.place, moved(found.run))).collect()
}

#[test]
fn a_thought_causes_the_answer_and_a_pause_does_not() {
    let (question, ran) = check_verdicts("Does a thought cause the answer?");
    let problem = question.problem.expect("drawn");
    let thoughts = moved(&model("prosqa-coconut"), &ran[0], &problem);
    let most = thoughts.iter().max_by(|a, b| a.1.total_cmp(b.1));
    let (&(step, layer), share) = most.expect("six thoughts");
    let second = ran[0].thoughts().nth(1).expect("six thoughts").step + 1;
    assert_eq!((step, layer), (second, 3), "{thoughts:?}");
    assert_eq!((100.0 * share).round(), 77.0);
    let third = thoughts[&(second + 1, 2)];
    assert!(third > 0.1, "and through the third thought: {third}");
    let pauses = moved(&model("prosqa-pause-as-thought"), &ran[1], &problem);
    assert_eq!(pauses.len(), 6 * 6);
    assert!(
        pauses.values().all(|share| share.abs() < 0.01),
        "{pauses:?}"
    );
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
