//! Interventions and forks on the reference engine: what is fed is what the change says, and a
//! changed lane goes on as one that was given the same inputs from the start.

mod common;

use latent_model::{
    analysis::{
        fork::{Continue, ForkError, continuation, fork},
        intervention::{Change, Intervention, Ran, run_to_end_with, thinking_step},
    },
    engine::{LaneSpec, run_to_end, shared_prefixes},
    input::Input,
    program::{Adapter, Feed, Phase, Program, Role, Sampler, Until},
    record::{StepRecord, flag},
};
use pollster::block_on;

use common::{engine, model};

const BOT: u32 = 30;
const EOT: u32 = 31;
const THINK_STEPS: u32 = 5;

fn phase(role: Role, feed: Feed, max_steps: u32) -> Phase {
    Phase {
        role,
        feed,
        sampler: Sampler {
            max_concepts: 4,
            ..Sampler::GREEDY
        },
        until: Until::steps(max_steps),
        then_force: if role == Role::Think {
            vec![EOT]
        } else {
            Vec::new()
        },
        adapter: Adapter::Base,
    }
}

fn lane(feed: Feed) -> LaneSpec {
    LaneSpec {
        inputs: Input::tokens(&[3, 14, 15, 9, 26]),
        program: Program {
            start: vec![BOT],
            phases: vec![
                phase(Role::Think, feed, THINK_STEPS),
                phase(Role::Answer, Feed::Token, 3),
            ],
        },
        seed: 5,
        stream: 0,
        decode_thoughts: true,
    }
}

fn at(step: u32, change: Change) -> Vec<Intervention> {
    vec![Intervention::at(step, change)]
}

fn run(lanes: &[(LaneSpec, Vec<Intervention>)]) -> Vec<Ran> {
    let (config, weights) = model();
    let mut engine = engine();
    block_on(run_to_end_with(
        &mut engine,
        (&config, &weights),
        lanes,
        true,
    ))
    .expect("a run")
}

/// Everything of a record but where it stands in its run.
fn content(record: &StepRecord) -> StepRecord {
    StepRecord {
        lane: 0,
        step: 0,
        phase_step: 0,
        cold_count: 0,
        ..*record
    }
}

const FEEDS: [Feed; 4] = [Feed::Token, Feed::Concept, Feed::THOUGHT, Feed::Pause(7)];

fn changes() -> Vec<Change> {
    vec![
        Change::Zero,
        Change::Noise {
            relative: 1.0,
            seed: 3,
        },
        Change::Shuffle { seed: 3 },
        Change::Freeze,
        Change::Nearest,
        Change::Replace(Input::Mixture(vec![(4, 0.75), (9, 0.25)])),
        Change::Force(12),
    ]
}

#[test]
fn a_changed_lane_goes_on_as_one_that_was_given_the_same_inputs() {
    for feed in FEEDS {
        for change in changes() {
            let step = thinking_step(&lane(feed).program, 2);
            let spec = lane(feed);
            let changed = run(&[(spec.clone(), at(step, change.clone()))]).remove(0);
            let mut rest = continuation(&spec.program, Continue::Thinking);
            rest.phases[0].until.max_steps -= 3;
            let forked = fork(&spec, &changed, step, rest).expect("a step of the run");
            assert_eq!(forked.inputs.len(), spec.inputs.len() + step as usize + 1);
            let forked = block_on(run_to_end(&mut engine(), &[forked], 9, |_| {})).expect("a run");
            let later = &changed.records[step as usize + 1..];
            let expected: Vec<StepRecord> = later.iter().map(content).collect();
            let found: Vec<StepRecord> = forked[0].iter().map(content).collect();
            assert_eq!(found, expected, "{feed:?} {change:?}");
        }
    }
}

#[test]
fn a_run_and_its_forks_side_by_side_are_what_each_is_alone() {
    for feed in FEEDS {
        let source = lane(feed);
        let ran = run(&[(source.clone(), Vec::new())]).remove(0);
        let forked = |step: u32, how: Continue| {
            let rest = continuation(&source.program, how);
            fork(&source, &ran, step, rest).expect("a step of the run")
        };
        let (late, early) = (
            forked(4, Continue::Answering),
            forked(1, Continue::Thinking),
        );
        // One that goes its own way behind what it has in common with the others.
        let mut own = early.clone();
        let other = Input::Mixture(vec![(8, 0.5), (2, 0.5)]);
        own.inputs.extend([other, Input::Token(2)]);
        let all = [source.clone(), late, early, own];
        let shared: Vec<(usize, usize)> = shared_prefixes(&all)
            .iter()
            .map(|prefix| (prefix.owner, prefix.n))
            .collect();
        let n = source.inputs.len();
        assert_eq!(shared, [(1, n - 1), (1, n + 4), (1, n + 1), (1, n + 2)]);
        let beside = block_on(run_to_end(&mut engine(), &all, 9, |_| {})).expect("a run");
        for (spec, beside) in all.into_iter().zip(beside) {
            let alone = block_on(run_to_end(&mut engine(), &[spec], 9, |_| {})).expect("a run");
            let of_lane = |record: &StepRecord| StepRecord { lane: 0, ..*record };
            let beside: Vec<StepRecord> = beside.iter().map(of_lane).collect();
            assert_eq!(beside, alone[0], "{feed:?}");
        }
    }
}

#[test]
fn an_intervention_changes_its_own_lane_from_its_step_on_and_nothing_else() {
    let clean: Vec<LaneSpec> = FEEDS.map(lane).to_vec();
    let expected = block_on(run_to_end(&mut engine(), &clean, 4, |_| {})).expect("a run");
    let mut lanes: Vec<_> = clean.into_iter().map(|spec| (spec, Vec::new())).collect();
    lanes[2].1 = at(3, Change::Zero);
    for (index, (ran, expected)) in run(&lanes).iter().zip(&expected).enumerate() {
        let n_same = if index == 2 { 4 } else { expected.len() };
        assert_eq!(ran.records[..n_same], expected[..n_same], "lane {index}");
        assert_eq!(ran.records == *expected, index != 2, "lane {index}");
    }
}

#[test]
fn each_change_makes_of_an_input_what_it_says() {
    let clean = run(&[(lane(Feed::THOUGHT), Vec::new())]).remove(0);
    let vector = |input: &Input| match input {
        Input::Vector(vector) => vector.clone(),
        other => panic!("expected a vector, found {other:?}"),
    };
    let norm = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
    let fed = |change: Change| {
        run(&[(lane(Feed::THOUGHT), at(3, change))])
            .remove(0)
            .fed
            .swap_remove(3)
    };
    let was = vector(&clean.fed[3]);
    assert_eq!(vector(&fed(Change::Zero)), vec![0.0; was.len()]);
    let mut sorted = vector(&fed(Change::Shuffle { seed: 1 }));
    let mut expected = was.clone();
    assert_ne!(sorted, expected);
    sorted.sort_by(f32::total_cmp);
    expected.sort_by(f32::total_cmp);
    assert_eq!(sorted, expected);
    for relative in [0.0, 0.5] {
        // χ² with 16 degrees of freedom: its root is near 4, within ±2 for this seed.
        let noised = vector(&fed(Change::Noise { relative, seed: 1 }));
        let difference: Vec<f32> = noised.iter().zip(&was).map(|(a, b)| a - b).collect();
        let size = norm(&difference) / norm(&was);
        assert!((size - relative).abs() <= 0.5 * relative, "{size}");
    }
    assert_eq!(fed(Change::Freeze), clean.fed[2]);
    // Frozen at every step, all of them are the first.
    let frozen: Vec<Intervention> = (2..6).flat_map(|step| at(step, Change::Freeze)).collect();
    let frozen = run(&[(lane(Feed::THOUGHT), frozen)]).remove(0).fed;
    assert!((2..6).all(|step| frozen[step] == clean.fed[1]));
    // A token's own embedding is nearest to itself.
    let (_, weights) = model();
    let row = weights.embedding.row(17).iter().map(|x| 3.0 * x).collect();
    let mut to_nearest = at(3, Change::Replace(Input::Vector(row)));
    to_nearest.extend(at(3, Change::Nearest));
    let ran = run(&[(lane(Feed::THOUGHT), to_nearest)]).remove(0);
    assert_eq!(ran.fed[3], Input::Token(17));
    let program = lane(Feed::THOUGHT).program;
    assert_eq!(ran.thinking_input(&program, 2), Some(&Input::Token(17)));
    assert_eq!(ran.thinking_input(&program, THINK_STEPS), None);
}

#[test]
fn a_forced_word_ends_a_phase_or_undoes_its_end() {
    let words = |ran: &Ran| -> Vec<(u32, u32)> {
        let of = |record: &StepRecord| (record.phase, record.phase_step);
        ran.records.iter().map(of).collect()
    };
    let clean = run(&[(lane(Feed::Token), Vec::new())]).remove(0);
    let mut stopping = lane(Feed::Token);
    // What is chosen third ends the phase.
    stopping.program.phases[0].until.stop_tokens = vec![clean.records[3].token];
    let stopped = run(&[(stopping.clone(), Vec::new())]).remove(0);
    assert!(stopped.records[3].has(flag::STOP));
    assert_eq!(words(&stopped)[4..], [(1, 0), (1, 1), (1, 2)]);
    let goes_on = run(&[(stopping.clone(), at(3, Change::Force(1)))]).remove(0);
    assert_eq!(words(&goes_on)[4], (0, 3));
    let word = clean.records[3].token;
    let ended = run(&[(stopping, at(1, Change::Force(word)))]).remove(0);
    assert_eq!(words(&ended)[2..], [(1, 0), (1, 1), (1, 2)]);
    assert_eq!(ended.fed[1], Input::Token(word));
}

#[test]
fn a_fork_that_answers_feeds_the_marker_first_and_one_that_cannot_be_is_refused() {
    let spec = lane(Feed::THOUGHT);
    let ran = run(&[(spec.clone(), Vec::new())]).remove(0);
    let answers = continuation(&spec.program, Continue::Answering);
    assert_eq!((&answers.start[..], answers.phases.len()), (&[EOT][..], 1));
    let forked = fork(&spec, &ran, 2, answers.clone()).expect("a step of the run");
    let forked = block_on(run_to_end(&mut engine(), &[forked], 9, |_| {})).expect("a run");
    assert_eq!(forked[0][0].token, EOT);
    assert_eq!(forked[0].len(), 4);
    let n = ran.fed.len();
    let refused = fork(&spec, &ran, n as u32, answers.clone());
    assert_eq!(refused, Err(ForkError::NoStep { step: n as u32, n }));
    let unknown = Ran {
        fed: Vec::new(),
        ..ran.clone()
    };
    assert_eq!(
        fork(&spec, &unknown, 2, answers.clone()),
        Err(ForkError::NoInputs)
    );
    let mut adapted = spec;
    adapted.program.phases[0].adapter = Adapter::Generator;
    let refused = fork(&adapted, &ran, 2, answers);
    assert!(matches!(refused, Err(ForkError::Adapted { phase: 0, .. })));
}

#[test]
fn a_change_of_thinking_leaves_markers_and_answers_alone() {
    let spec = lane(Feed::THOUGHT);
    let clean = run(&[(spec.clone(), Vec::new())]).remove(0);
    let everywhere: Vec<Intervention> = (0..20)
        .map(|step| Intervention::while_thinking(step, Change::Zero))
        .collect();
    let ran = run(&[(spec.clone(), everywhere)]).remove(0);
    let zero = Input::Vector(vec![0.0; 16]);
    let changed: Vec<usize> = (0..ran.fed.len())
        .filter(|&step| ran.fed[step] == zero)
        .collect();
    let first = thinking_step(&spec.program, 0) as usize;
    assert_eq!(
        changed,
        (first..first + THINK_STEPS as usize).collect::<Vec<_>>()
    );
    assert_eq!(ran.records.len(), clean.records.len());
}
