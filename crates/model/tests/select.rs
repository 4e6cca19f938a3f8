//! The select stage on hand-made logits: order of operations, phase changes, noise.

use latent_model::{
    engine::LaneSpec,
    input::{Input, NextInput, Tap},
    program::{
        Adapter, ColdStop, EndClassifier, Feed, MAX_STOP_TOKENS, Noise, Phase, Program, Role,
        Sampler, Until,
    },
    record::{InputKind, StepRecord, flag},
    rng::DrawKey,
    select::{LaneState, StepOutput, noised_mixture, select},
};
use proptest::prelude::*;

const THINK: u32 = 5;
const END: u32 = 6;
const EOS: u32 = 7;
/// Softmax is (4, 3, 2, 1, 0.2, …) / 10.2 with three markers far below.
const LOGITS: [f32; 8] = [
    1.386_294_4,
    1.098_612_3,
    std::f32::consts::LN_2,
    0.0,
    -1.609_438,
    -30.0,
    -30.0,
    -30.0,
];

fn sampler() -> Sampler {
    Sampler {
        max_concepts: 32,
        greedy: false,
        ..Sampler::GREEDY
    }
}

fn thinking(feed: Feed, sampler: Sampler, max_steps: u32) -> Phase {
    let speaks = feed.needs_logits();
    Phase {
        role: Role::Think,
        feed,
        sampler,
        until: Until {
            stop_tokens: speaks.then_some(END).into_iter().collect(),
            ..Until::steps(max_steps)
        },
        then_force: vec![END],
        adapter: Adapter::Base,
    }
}

fn answer(max_steps: u32) -> Phase {
    Phase {
        role: Role::Answer,
        feed: Feed::Token,
        sampler: Sampler::GREEDY,
        until: Until {
            stop_tokens: vec![EOS],
            ..Until::steps(max_steps)
        },
        then_force: Vec::new(),
        adapter: Adapter::Base,
    }
}

/// A lane whose prompt ends at position 10.
fn lane(program: &Program, seed: u32) -> LaneSpec {
    let program = program.clone();
    LaneSpec {
        inputs: vec![Input::Token(0); 11],
        program,
        seed,
        stream: 0,
        decode_thoughts: false,
    }
}

fn program(think: Phase) -> Program {
    Program {
        start: Vec::new(),
        phases: vec![think, answer(2)],
    }
}

fn output(logits: &[f32]) -> StepOutput<'_> {
    StepOutput {
        logits: Some(logits),
        hidden_norm: 1.0,
        end_probability: None,
    }
}

/// Runs a lane on the same logits at every step until it is done.
fn walk(program: &Program, logits: &[f32]) -> Vec<(StepRecord, NextInput)> {
    let mut state = LaneState::new(0, &lane(program, 1));
    let mut steps = Vec::new();
    while !state.done {
        steps.push(select(&mut state, program, output(logits)));
        assert!(steps.len() < 100, "the program never ends");
    }
    steps
}

fn one_step(think: Phase, seed: u32) -> (StepRecord, NextInput) {
    let program = program(think);
    let mut state = LaneState::new(0, &lane(&program, seed));
    select(&mut state, &program, output(&LOGITS))
}

fn concept(sampler: Sampler, seed: u32) -> Vec<(u32, f32)> {
    match one_step(thinking(Feed::Concept, sampler, 9), seed).1 {
        NextInput::Mixture(mixture) => mixture,
        other => panic!("expected a concept token, found {other:?}"),
    }
}

fn assert_weights(mixture: &[(u32, f32)], expected: &[(u32, f32)]) {
    assert_eq!(mixture.len(), expected.len(), "{mixture:?}");
    for ((id, weight), (expected_id, expected_weight)) in mixture.iter().zip(expected) {
        assert_eq!(id, expected_id, "{mixture:?}");
        assert!(
            (weight - expected_weight).abs() < 1e-5,
            "{mixture:?} against {expected:?}"
        );
    }
}

#[test]
fn coconut_feeds_k_thoughts_then_the_marker_then_answers() {
    let mut coconut = program(thinking(Feed::THOUGHT, Sampler::GREEDY, 2));
    coconut.start = vec![THINK];
    let steps = walk(&coconut, &LOGITS);
    let inputs: Vec<&NextInput> = steps.iter().map(|(_, next)| next).collect();
    assert_eq!(
        inputs,
        [
            &NextInput::Token(THINK),
            &NextInput::Hidden(Tap::FinalNorm),
            &NextInput::Hidden(Tap::FinalNorm),
            &NextInput::Token(END),
            &NextInput::Token(0),
            &NextInput::None,
        ]
    );
    assert!(steps[0].0.has(flag::FORCED));
    assert!(steps[3].0.has(flag::FORCED | flag::CAP));
    assert_eq!(
        steps.last().map(|(record, _)| record.flags),
        Some(flag::CAP | flag::DONE)
    );
    let positions: Vec<u32> = steps.iter().map(|(record, _)| record.position).collect();
    assert_eq!(positions, [10, 11, 12, 13, 14, 15]);
}

#[test]
fn no_thoughts_at_all_goes_straight_to_the_marker() {
    let steps = walk(
        &program(thinking(Feed::THOUGHT, Sampler::GREEDY, 0)),
        &LOGITS,
    );
    assert_eq!(steps[0].1, NextInput::Token(END));
    assert_eq!(steps[1].0.phase, 1);
}

#[test]
fn pauses_hand_their_last_position_to_the_answer() {
    let mut think = thinking(Feed::Pause(THINK), Sampler::GREEDY, 2);
    think.then_force = Vec::new();
    let steps = walk(&program(think), &LOGITS);
    let tokens: Vec<u32> = steps.iter().map(|(record, _)| record.token).collect();
    assert_eq!(tokens, [THINK, THINK, 0, 0]);
    let phases: Vec<u32> = steps.iter().map(|(record, _)| record.phase).collect();
    assert_eq!(phases, [0, 0, 1, 1]);
}

#[test]
fn the_stop_token_ends_the_phase_and_is_fed_one_hot() {
    let mut logits = LOGITS;
    logits[END as usize] = 3.0;
    let steps = walk(&program(thinking(Feed::Concept, sampler(), 9)), &logits);
    assert_eq!(steps[0].1, NextInput::Token(END));
    assert!(steps[0].0.has(flag::STOP));
    assert!(!steps[0].0.has(flag::FORCED));
    assert_eq!(steps[0].0.weights[0], 1.0);
    assert_eq!(steps[1].0.phase, 1);
}

#[test]
fn cold_stop_counts_consecutive_cold_steps_and_forces_the_marker() {
    let mut think = thinking(Feed::Concept, sampler(), 9);
    think.until.cold_stop = Some(ColdStop {
        entropy: 0.5,
        patience: 2,
    });
    let program = program(think);
    let mut sure = LOGITS;
    sure[0] = 20.0;
    let mut state = LaneState::new(0, &lane(&program, 1));
    let mut counts = Vec::new();
    for logits in [&sure, &LOGITS, &sure] {
        counts.push(select(&mut state, &program, output(logits)).0.cold_count);
    }
    assert_eq!(counts, [1, 0, 1]);
    let (record, next) = select(&mut state, &program, output(&sure));
    assert!(record.has(flag::COLD_STOP | flag::FORCED));
    assert_eq!(
        (record.cold_count, record.token, next),
        (2, END, NextInput::Token(END))
    );
    assert_eq!((state.phase, state.cold_count), (1, 0));
}

/// Runs a lane whose end classifier says `probabilities`, one a step; the records.
fn walk_classified(program: &Program, probabilities: &[f32]) -> Vec<StepRecord> {
    let mut state = LaneState::new(0, &lane(program, 1));
    let step = |&probability: &f32| {
        let output = StepOutput {
            logits: state.needs_logits(program).then_some(&LOGITS),
            hidden_norm: 1.0,
            end_probability: Some(probability),
        };
        select(&mut state, program, output).0
    };
    probabilities.iter().map(step).collect()
}

fn classified(feed: Feed, then_force: Option<u32>) -> Program {
    let mut think = thinking(feed, Sampler::GREEDY, 3);
    think.until.end_classifier = Some(EndClassifier { threshold: 0.5 });
    think.then_force = then_force.into_iter().collect();
    program(think)
}

#[test]
fn the_end_classifier_is_asked_after_every_input_and_never_before_the_first() {
    let program = classified(Feed::THOUGHT, Some(END));
    let records = walk_classified(&program, &[0.9, 0.4, 0.5]);
    let tested: Vec<_> = records.iter().map(StepRecord::end_probability).collect();
    assert_eq!(tested, [None, Some(0.4), Some(0.5)]);
    assert_eq!(records[1].input_kind(), InputKind::Hidden);
    let end = records[2];
    assert!(end.has(flag::END_CLASSIFIER | flag::FORCED) && !end.has(flag::CAP));
    assert_eq!((end.token, end.phase, end.phase_step), (END, 0, 2));

    let records = walk_classified(&program, &[0.0, 0.1, 0.2, 0.3, 0.9]);
    assert!(records[3].has(flag::CAP | flag::FORCED | flag::END_TESTED));
    assert_eq!(records[4].end_probability(), None, "the answer asks nobody");
}

#[test]
fn at_the_cap_the_end_classifier_goes_first() {
    let program = classified(Feed::THOUGHT, Some(END));
    let records = walk_classified(&program, &[0.0, 0.0, 0.0, 0.9]);
    assert!(records[3].has(flag::END_CLASSIFIER) && !records[3].has(flag::CAP));
}

#[test]
fn where_no_marker_is_forced_the_end_classifier_hands_the_step_to_the_answer() {
    for feed in [Feed::THOUGHT, Feed::Pause(THINK)] {
        let program = classified(feed, None);
        let records = walk_classified(&program, &[0.0, 0.2, 0.8, 0.0]);
        let phases: Vec<u32> = records.iter().map(|record| record.phase).collect();
        assert_eq!(phases, [0, 0, 1, 1], "{feed:?}");
        assert_eq!(records[2].token, 0, "the most probable one");
        assert_eq!(records[2].end_probability(), Some(0.8));
        assert!(records[3].has(flag::DONE));
    }
}

#[test]
fn words_and_mixtures_can_be_ended_by_the_classifier_too() {
    for feed in [Feed::Token, Feed::Concept] {
        let records = walk_classified(&classified(feed, Some(END)), &[0.9, 0.8, 0.0]);
        assert!(
            records[1].has(flag::END_CLASSIFIER | flag::FORCED),
            "{feed:?}"
        );
        assert_eq!((records[1].token, records[1].n_kept), (END, 8));
        assert_eq!(records[2].phase, 1);
    }
}

#[test]
fn the_answer_ends_with_its_stop_token() {
    let mut logits = LOGITS;
    logits[EOS as usize] = 9.0;
    let steps = walk(
        &Program {
            start: Vec::new(),
            phases: vec![answer(5)],
        },
        &logits,
    );
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].0.flags, flag::STOP | flag::DONE);
    assert_eq!(steps[0].0.input_kind(), InputKind::None);
}

#[test]
fn the_answer_ends_with_any_of_its_stop_tokens() {
    for stop in 0..MAX_STOP_TOKENS as u32 {
        let mut logits = LOGITS;
        logits[stop as usize] = 9.0;
        let mut phase = answer(5);
        phase.until.stop_tokens = (0..MAX_STOP_TOKENS as u32).rev().collect();
        let program = Program {
            start: Vec::new(),
            phases: vec![phase],
        };
        assert_eq!(program.validate(LOGITS.len()), Ok(()));
        let steps = walk(&program, &logits);
        assert_eq!(steps.len(), 1, "token {stop}");
        assert_eq!(steps[0].0.flags, flag::STOP | flag::DONE);
    }
}

#[test]
fn more_stop_tokens_than_there_is_room_for_and_unknown_ones_are_refused() {
    let refused = |stop_tokens: Vec<u32>| {
        let mut program = program(thinking(Feed::Token, sampler(), 9));
        program.phases[1].until.stop_tokens = stop_tokens;
        program
            .validate(LOGITS.len())
            .expect_err("no program")
            .to_string()
    };
    assert_eq!(
        refused(vec![EOS; MAX_STOP_TOKENS + 1]),
        "phase 1: the number of stop tokens must be in 0 ..= 8, found 9"
    );
    assert_eq!(
        refused(vec![EOS, 8]),
        "phase 1: token 8 is outside of the vocabulary of 8 tokens"
    );
}

#[test]
fn entropy_is_of_the_full_distribution_before_truncation() {
    let narrow = Sampler {
        top_k: 1,
        ..sampler()
    };
    let p = [4.0, 3.0, 2.0, 1.0, 0.2].map(|w: f64| w / 10.2);
    let expected: f64 = -p.iter().map(|p| p * p.ln()).sum::<f64>();
    let (record, _) = one_step(thinking(Feed::Concept, narrow, 9), 1);
    assert!(
        (f64::from(record.entropy) - expected).abs() < 1e-5,
        "{}",
        record.entropy
    );
}

#[test]
fn entropy_is_taken_after_temperature() {
    let cold = Sampler {
        temperature: 0.5,
        ..sampler()
    };
    let total: f64 = [4.0, 3.0, 2.0, 1.0, 0.2].map(|w: f64| w * w).iter().sum();
    let p = [4.0, 3.0, 2.0, 1.0, 0.2].map(|w: f64| w * w / total);
    let expected: f64 = -p.iter().map(|p| p * p.ln()).sum::<f64>();
    let (record, _) = one_step(thinking(Feed::Concept, cold, 9), 1);
    assert!(
        (f64::from(record.entropy) - expected).abs() < 1e-5,
        "{}",
        record.entropy
    );
}

#[test]
fn top_k_then_top_p_then_min_p_each_on_the_result_of_the_last() {
    // top-k 4 leaves (4, 3, 2, 1) / 10. The smallest prefix with 0.69 is the first two: 0.4 + 0.3.
    // On the full distribution those two have only 7 / 10.2 = 0.686, and three would be kept.
    let nucleus = Sampler {
        top_k: 4,
        top_p: 0.69,
        ..sampler()
    };
    assert_weights(&concept(nucleus, 1), &[(0, 4.0 / 7.0), (1, 3.0 / 7.0)]);
    let floor = Sampler {
        top_k: 4,
        min_p: 0.45,
        ..sampler()
    };
    assert_weights(
        &concept(floor, 1),
        &[(0, 4.0 / 9.0), (1, 3.0 / 9.0), (2, 2.0 / 9.0)],
    );
}

#[test]
fn a_nucleus_of_one_keeps_even_what_rounding_would_cut() {
    let mut logits = [-16.0; 8];
    logits[0] = 4.0;
    let program = program(thinking(Feed::Concept, sampler(), 9));
    let mut state = LaneState::new(0, &lane(&program, 1));
    let (record, _) = select(&mut state, &program, output(&logits));
    assert_eq!(record.n_kept, 8, "{record:?}");
}

#[test]
fn max_concepts_keeps_the_heaviest_and_renormalises() {
    let two = Sampler {
        max_concepts: 2,
        ..sampler()
    };
    assert_weights(&concept(two, 1), &[(0, 4.0 / 7.0), (1, 3.0 / 7.0)]);
}

#[test]
fn temperature_zero_is_one_hot() {
    let greedy = Sampler {
        temperature: 0.0,
        ..sampler()
    };
    assert_weights(&concept(greedy, 1), &[(0, 1.0)]);
}

#[test]
fn the_largest_gumbel_weight_is_a_fair_draw() {
    // The Gumbel-max trick: argmax(ln w + g) is a draw from w, whatever tau is.
    let noisy = Sampler {
        max_concepts: 4,
        noise: Noise::Gumbel { tau: 0.5 },
        ..sampler()
    };
    let n = 4000;
    let mut counts = [0; 4];
    for seed in 0..n {
        let mixture = concept(noisy, seed);
        assert!(
            mixture.windows(2).all(|pair| pair[0].1 >= pair[1].1),
            "sorted: {mixture:?}"
        );
        counts[mixture[0].0 as usize] += 1;
    }
    assert_close_frequencies(&counts.map(f64::from), n, &[0.4, 0.3, 0.2, 0.1]);
}

#[test]
fn dirichlet_weights_have_the_probabilities_as_their_mean() {
    let noisy = Sampler {
        top_k: 4,
        noise: Noise::Dirichlet { alpha: 4.0 },
        ..sampler()
    };
    let n = 4000;
    let mut sums = [0.0; 4];
    for seed in 0..n {
        for (id, weight) in concept(noisy, seed) {
            sums[id as usize] += f64::from(weight);
        }
    }
    assert_close_frequencies(&sums, n, &[0.4, 0.3, 0.2, 0.1]);
}

#[test]
fn sampled_tokens_follow_the_truncated_distribution() {
    let sampled = Sampler {
        top_k: 4,
        ..sampler()
    };
    let n = 4000;
    let mut counts = [0; 4];
    for seed in 0..n {
        counts[one_step(thinking(Feed::Token, sampled, 9), seed).0.token as usize] += 1;
    }
    assert_close_frequencies(&counts.map(f64::from), n, &[0.4, 0.3, 0.2, 0.1]);
}

/// Four standard errors of a frequency, which also bounds the narrower Dirichlet mean.
fn assert_close_frequencies(counts: &[f64; 4], n: u32, expected: &[f64; 4]) {
    for (count, p) in counts.iter().zip(expected) {
        let frequency = count / f64::from(n);
        let tolerance = 4.0 * (p * (1.0 - p) / f64::from(n)).sqrt();
        assert!(
            (frequency - p).abs() < tolerance,
            "{counts:?} against {expected:?}"
        );
    }
}

#[test]
fn a_nan_logit_ends_the_lane_and_says_so() {
    let mut logits = LOGITS;
    logits[3] = f32::NAN;
    let steps = walk(&program(thinking(Feed::Token, sampler(), 9)), &logits);
    assert_eq!(steps.len(), 1);
    assert!(steps[0].0.has(flag::NON_FINITE | flag::DONE));
}

proptest! {
    #[test]
    fn mixtures_are_sorted_distinct_and_sum_to_one(
        logits in prop::collection::vec(-20.0_f32..20.0, 8..100),
        temperature in 0.05_f32..3.0,
        top_k in 1_u32..=32,
        top_p in 0.05_f32..=1.0,
        min_p in 0.0_f32..0.5,
        max_concepts in 1_u32..=32,
        noise in prop_oneof![
            Just(Noise::None),
            (0.05_f32..3.0).prop_map(|tau| Noise::Gumbel { tau }),
            (0.1_f32..50.0).prop_map(|alpha| Noise::Dirichlet { alpha }),
        ],
        seed: u32,
    ) {
        let sampler = Sampler { temperature, top_k, top_p, min_p, max_concepts, noise, greedy: false };
        let mut think = thinking(Feed::Concept, sampler, 9);
        think.until.stop_tokens.clear();
        let program = program(think);
        let spec = lane(&program, seed);
        let mut state = LaneState::new(3, &spec);
        let (record, next) = select(&mut state, &program, output(&logits));
        let NextInput::Mixture(mixture) = next else {
            return Err(TestCaseError::fail(format!("expected a concept token, found {next:?}")));
        };
        let key = DrawKey { seed, stream: spec.stream, step: record.step };
        prop_assert_eq!(&noised_mixture(&logits, &sampler, key), &mixture);
        let sum: f32 = mixture.iter().map(|(_, weight)| weight).sum();
        prop_assert!((sum - 1.0).abs() < 1e-4, "{mixture:?}");
        prop_assert!(mixture.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        prop_assert!(mixture.len() <= top_k.min(max_concepts) as usize);
        let mut ids: Vec<u32> = mixture.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), mixture.len());
        prop_assert_eq!(record.token, mixture[0].0);
    }
}
