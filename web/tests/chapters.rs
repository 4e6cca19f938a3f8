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
    record::{InputKind, StepRecord, flag},
    reference::{Precision, ReferenceEngine},
    tasks::{Grade, Graph, Problem, TASKS, sketch::twin},
    trace::{StepKind, answer_ids, step_kind},
};
use latent_web::{
    chapters::{CHAPTERS, Chapter},
    page_state::{PageState, streams},
    question::{AllExamples, Question},
    view::{
        reach::Oracle,
        shares::{LEAST_SHADED, shares},
        steps::ONE_WORD,
    },
};
use pollster::block_on;

#[path = "../../crates/model/tests/common/shipped.rs"]
mod shipped;

use shipped::{public, shipped_files};

/// A lane of a set-up after its run.
struct Ran {
    program: Program,
    records: Vec<StepRecord>,
    /// The words of its thinking.
    words: Vec<String>,
    answer: String,
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
        let mut ran = Ran {
            grade: question.grade(&answer),
            words: Vec::new(),
            program,
            records,
            answer,
        };
        let word = |record: &StepRecord| model.tokenizer.shown(record.token);
        ran.words = ran.thinking().map(word).collect();
        all.push(ran);
    }
    (question, all)
}

/// What a chapter's run comes to, which is one of its options: in English and in German.
type Outcome = [String; 2];

/// Looks at a chapter's run, and whether all else that the chapter says of it is so.
type Check = fn(&Chapter, &Question, &[Ran]) -> Outcome;

/// The check of every chapter, by its English title.
const CHECKS: &[(&str, Check)] = &[
    ("Words must choose", words_must_choose),
    (
        "Soft Thinking is nearly greedy",
        soft_thinking_is_nearly_greedy,
    ),
    (
        "Noise is a lottery at the fork",
        noise_is_a_lottery_at_the_fork,
    ),
    ("A thought holds the frontier", a_thought_holds_the_frontier),
    ("How many thoughts are enough", two_thoughts_are_enough),
    ("When the wave leaks", the_wave_leaks),
    (
        "Where words win",
        words_win_where_every_step_is_a_computation,
    ),
    (
        "Does a thought cause the answer?",
        a_thought_causes_the_answer_and_a_pause_does_not,
    ),
];

/// Numbers as the chapters write them.
const NUMBERS: [[&str; 2]; 6] = [
    ["none", "keine"],
    ["one", "eine"],
    ["two", "zwei"],
    ["three", "drei"],
    ["four", "vier"],
    ["five", "fünf"],
];

fn number(n: usize) -> Outcome {
    NUMBERS[n].map(str::to_string)
}

/// The chapter says so, in both languages.
fn says(chapter: &Chapter, english: &str, german: &str) {
    for (text, said) in [(&chapter.english, english), (&chapter.german, german)] {
        let all = [&text.sentences[..], &[text.asks, text.reveal]].concat();
        let is_said = all.iter().any(|part| part.contains(said));
        assert!(is_said, "{}: expected {said:?} in {all:?}", text.title);
    }
}

#[test]
fn what_a_chapter_calls_right_is_what_its_run_comes_to() {
    let titles = CHAPTERS.iter().map(|chapter| chapter.english.title);
    let checked = CHECKS.iter().map(|(title, _)| *title);
    assert_eq!(titles.collect::<Vec<_>>(), checked.collect::<Vec<_>>());
    for (chapter, (title, check)) in CHAPTERS.iter().zip(CHECKS) {
        let (question, ran) = run(chapter.address);
        let verdicts: Vec<String> = ran
            .iter()
            .map(|lane| lane.grade.expect("a problem").to_string())
            .collect();
        assert_eq!(verdicts, chapter.verdicts, "{title}");
        let outcome = check(chapter, &question, &ran);
        let right = [&chapter.english, &chapter.german].map(|text| text.options[chapter.right]);
        assert_eq!(outcome, right, "{title}");
    }
}

fn n_right(ran: &[Ran]) -> usize {
    let right = |lane: &&Ran| lane.grade == Some(Grade::Right);
    ran.iter().filter(right).count()
}

fn graph_of(question: &Question) -> &Graph {
    question.graph().expect("a graph")
}

fn named(graph: &Graph, word: &str) -> usize {
    let found = graph.nodes.iter().position(|node| node.word == word);
    found.expect("a word of the problem")
}

fn words_must_choose(chapter: &Chapter, question: &Question, ran: &[Ran]) -> Outcome {
    let graph = graph_of(question);
    let shortest = &graph.ways[0];
    says(
        chapter,
        &format!("The shortest way has {} statements", shortest.len() - 1),
        &format!("Der kürzeste Weg hat {} Aussagen", shortest.len() - 1),
    );
    // Every statement is two words.
    let n_said = ran[0].thinking().count() / 2;
    let [english, german] = number(n_said);
    assert!(chapter.english.reveal.to_lowercase().starts_with(&english));
    assert!(chapter.german.reveal.to_lowercase().starts_with(&german));
    // Each statement leads on from the one before: its second word is a step of the way.
    let way = |lane: &Ran| -> Vec<usize> {
        let objects = lane.words.chunks(2).filter_map(|pair| pair.get(1));
        objects.map(|word| named(graph, word)).collect()
    };
    let successors = graph.successors();
    let mut shortest = shortest.iter().copied();
    let fork = shortest
        .find(|&node| successors.of(node).len() > 1)
        .expect("a fork");
    let best = shortest.next().expect("the way goes on");
    let said = way(&ran[0]);
    let at_first = said.iter().position(|&node| node == fork);
    let second_fork = said[at_first.map_or(0, |place| place + 1)];
    assert_ne!(second_fork, best, "the likeliest word is not on the way");
    assert!(successors.of(second_fork).len() > 1, "a fork, too");
    let last = ran.last().expect("four lanes");
    let said = way(last);
    let at_second = said.iter().position(|&node| node == second_fork);
    let drawn = said[at_second.expect("it goes there") + 1];
    assert_eq!(graph.nodes[drawn].word, "fompus");
    let end = *way(last).last().expect("it thinks");
    assert!(successors.of(end).is_empty(), "a dead end");
    let is_option = |node: &usize| last.answer.contains(&graph.nodes[*node].word);
    assert!(!graph.options.iter().any(is_option), "{}", last.answer);
    [n_said.to_string(), n_said.to_string()]
}

fn soft_thinking_is_nearly_greedy(chapter: &Chapter, _: &Question, ran: &[Ran]) -> Outcome {
    let mixed = |lane: &Ran| {
        let mixed = |record: &&StepRecord| record.weights[0] < ONE_WORD;
        (
            lane.thinking().filter(mixed).count(),
            lane.thinking().count(),
        )
    };
    let share = format!("{:.1}", 100.0 * ONE_WORD);
    says(
        chapter,
        &format!("less than {share} % of one word"),
        &format!("weniger als {} % eines Worts", share.replace('.', ",")),
    );
    says(chapter, "ten thinking steps", "zehn Denkschritte");
    let (n_mixed, n_steps) = mixed(&ran[1]);
    assert_eq!(n_steps, 10);
    assert_eq!(ran[0].words, ran[1].words, "the same way");
    let (n_of_third, n_steps) = mixed(&ran[2]);
    assert!(2 * n_of_third > n_steps, "{n_of_third} of {n_steps}");
    number(n_mixed)
}

fn noise_is_a_lottery_at_the_fork(chapter: &Chapter, _: &Question, ran: &[Ran]) -> Outcome {
    says(
        chapter,
        "five lanes draw five times",
        "fünf Bahnen ziehen fünfmal",
    );
    let (plain, noisy) = ran.split_first().expect("six lanes");
    assert_eq!(noisy.len(), 5);
    assert_eq!(plain.grade, Some(Grade::Wrong));
    let blends = |record: &StepRecord| record.weights[1] > 0.4;
    assert!(plain.thinking().any(blends), "both ways at once");
    let [english, german] = number(n_right(noisy));
    assert!(chapter.english.reveal.to_lowercase().starts_with(&english));
    assert!(chapter.german.reveal.to_lowercase().starts_with(&german));
    [english, german]
}

fn a_thought_holds_the_frontier(chapter: &Chapter, question: &Question, ran: &[Ran]) -> Outcome {
    let graph = graph_of(question);
    let distances = graph.successors().distances(graph.root);
    let second = ran[0].thoughts().nth(1).expect("six thoughts");
    let shares = shares(second);
    let is_shaded = |node: usize| {
        let share = shares.get(&graph.nodes[node].token);
        share.is_some_and(|share| *share >= LEAST_SHADED)
    };
    let shaded: Vec<usize> = (0..graph.n_nodes())
        .filter(|node| is_shaded(*node))
        .collect();
    let those = |is: fn(usize) -> bool| -> Vec<usize> {
        let is = |node: &usize| distances[*node].is_some_and(is);
        (0..graph.n_nodes()).filter(is).collect()
    };
    let option = match &shaded {
        shaded if shaded.len() == 1 => 0,
        shaded if *shaded == those(|steps| steps == 2) => 1,
        shaded if *shaded == those(|steps| steps <= 2) => 2,
        _ => panic!("none of the options: {shaded:?} are shaded"),
    };
    [&chapter.english, &chapter.german].map(|text| text.options[option].to_string())
}

fn two_thoughts_are_enough(chapter: &Chapter, question: &Question, ran: &[Ran]) -> Outcome {
    let graph = graph_of(question);
    let distances = graph.successors().distances(graph.root);
    says(chapter, "four arrows away", "vier Pfeile entfernt");
    assert_eq!(distances[graph.target], Some(4));
    says(chapter, "takes eight steps", "braucht acht Schritte");
    let (words, thoughtful) = ran.split_last().expect("six lanes");
    assert_eq!(words.thinking().count(), 8);
    says(chapter, "0 to 4 thoughts", "0 bis 4 Gedanken");
    let n_thoughts: Vec<usize> = thoughtful
        .iter()
        .map(|lane| lane.thoughts().count())
        .collect();
    assert_eq!(n_thoughts, [0, 1, 2, 3, 4]);
    let fewest = thoughtful
        .iter()
        .position(|lane| lane.grade == Some(Grade::Right));
    let fewest = fewest.expect("a lane that is right");
    let answer = graph.nodes[graph.target].token;
    for record in thoughtful[fewest].thoughts() {
        let share = shares(record).get(&answer).copied().unwrap_or(0.0);
        assert!(
            share < LEAST_SHADED,
            "the answer is in neither thought: {share}"
        );
    }
    let [english, german] = number(fewest);
    // "Mit einem Gedanken".
    [english, german.replace("eine", "einem")]
}

fn the_wave_leaks(chapter: &Chapter, question: &Question, ran: &[Ran]) -> Outcome {
    let graph = graph_of(question);
    says(
        chapter,
        "fompus, is two arrows away",
        "fompus, ist zwei Pfeile entfernt",
    );
    assert_eq!(graph.nodes[graph.target].word, "fompus");
    let distances = graph.successors().distances(graph.root);
    assert_eq!(distances[graph.target], Some(2));
    let oracle = Oracle::of(graph);
    let outside = |lane: &Ran| -> Vec<f32> {
        let numbered = lane.thoughts().zip(1..);
        let outside = |(record, n)| oracle.mass(&shares(record), Some(n)).outside;
        numbered.map(outside).collect()
    };
    let first = outside(&ran[0]);
    says(
        chapter,
        "from the third thought on",
        "vom dritten Gedanken an",
    );
    assert!(first[..2].iter().all(|share| *share < 0.05), "{first:?}");
    assert!(first[2..].iter().all(|share| *share > 0.1), "{first:?}");
    says(chapter, "up to half", "bis zur Hälfte");
    let most = first.iter().copied().fold(0.0, f32::max);
    assert!((0.4..=0.5).contains(&most), "{first:?}");
    let second = outside(&ran[1]);
    assert!(
        second.iter().any(|share| *share > 0.05),
        "the second leaks too"
    );
    let failing: Vec<usize> = (0..ran.len())
        .filter(|lane| ran[*lane].grade != Some(Grade::Right))
        .collect();
    let [failing] = failing[..] else {
        panic!("expected one lane that fails, found {failing:?}");
    };
    let ordinals = [
        ["the first", "die erste"],
        ["the second", "die zweite"],
        ["the third", "die dritte"],
    ];
    ordinals[failing].map(str::to_string)
}

fn words_win_where_every_step_is_a_computation(
    chapter: &Chapter,
    _: &Question,
    ran: &[Ran],
) -> Outcome {
    says(chapter, "Six lanes", "Sechs Bahnen");
    assert_eq!(ran.len(), 6);
    let stopped = |lane: &Ran| {
        lane.records
            .iter()
            .any(|record| record.has(flag::COLD_STOP))
    };
    let stopped: Vec<bool> = ran.iter().map(stopped).collect();
    assert_eq!(stopped, [false, true, false, false, false, false]);
    number(ran.len() - n_right(ran))
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

fn a_thought_causes_the_answer_and_a_pause_does_not(
    chapter: &Chapter,
    question: &Question,
    ran: &[Ran],
) -> Outcome {
    let problem = question.problem.as_ref().expect("drawn");
    let thoughts = moved(&model("prosqa-coconut"), &ran[0], problem);
    let most = thoughts.iter().max_by(|a, b| a.1.total_cmp(b.1));
    let (&(step, layer), share) = most.expect("six thoughts");
    let second = ran[0].thoughts().nth(1).expect("six thoughts").step + 1;
    assert_eq!((step, layer), (second, 3), "{thoughts:?}");
    let percent = format!("{:.0} %", 100.0 * share);
    says(
        chapter,
        &format!("moves the answer {percent} of the way"),
        &format!("die Antwort zu {percent} zur anderen hin"),
    );
    let third = thoughts[&(second + 1, 2)];
    assert!(third > 0.1, "and through the third thought: {third}");
    let pauses = moved(&model("prosqa-pause-as-thought"), &ran[1], problem);
    assert_eq!(pauses.len(), 6 * 6);
    says(chapter, "moves it by a hundredth", "um ein Hundertstel");
    assert!(
        pauses.values().all(|share| share.abs() < 0.01),
        "{pauses:?}"
    );
    says(chapter, "by a tenth or more", "um ein Zehntel oder mehr");
    let moves = |lane: &&BTreeMap<Place, f64>| lane.values().any(|share| *share >= 0.1);
    let n = [&thoughts, &pauses].into_iter().filter(moves).count();
    let outcomes = [
        ["in neither", "in keiner"],
        ["in one", "in einer"],
        ["in both", "in beiden"],
    ];
    outcomes[n].map(str::to_string)
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
