//! The reference engine: its cache against recomputation, its inputs, its errors.

mod common;

use std::{cell::Cell, pin::Pin, sync::Arc};

use latent_model::{
    checkpoint::{EndClassifierWeights, Matrix, WeightFormat, Weights},
    engine::{Engine, EngineError, LaneSpec, run_to_end},
    input::Input,
    program::{
        Adapter, EndClassifier, Feed, MAX_KEPT, Noise, Phase, Program, Role, Sampler, Until,
    },
    record::{InputKind, StepRecord, flag},
    reference::{Forward, KvCache, Precision, ReferenceEngine, layer_states},
    turns::NUMBERS_AT_ONCE,
};
use pollster::block_on;

const BOT: u32 = 30;
const EOT: u32 = 31;
const PROMPT: [u32; 5] = [3, 14, 15, 9, 26];

fn engine(precision: Precision) -> ReferenceEngine {
    let config = common::config();
    ReferenceEngine::new(&config, common::weights(&config), precision)
}

fn phase(role: Role, feed: Feed, sampler: Sampler, max_steps: u32) -> Phase {
    let then_force = Vec::from_iter((role == Role::Think).then_some(EOT));
    let until = Until::steps(max_steps);
    Phase {
        role,
        feed,
        sampler,
        until,
        then_force,
        adapter: Adapter::Base,
    }
}

fn lane(think: Feed, sampler: Sampler) -> LaneSpec {
    let phases = vec![
        phase(Role::Think, think, sampler, 4),
        phase(Role::Answer, Feed::Token, Sampler::GREEDY, 3),
    ];
    let program = Program {
        start: vec![BOT],
        phases,
    };
    LaneSpec {
        inputs: Input::tokens(&PROMPT),
        program,
        seed: 5,
        stream: 0,
        decode_thoughts: true,
    }
}

fn soft(noise: Noise) -> Sampler {
    Sampler {
        max_concepts: MAX_KEPT as u32,
        greedy: false,
        noise,
        ..Sampler::GREEDY
    }
}

fn run(lanes: &[LaneSpec], chunk: usize) -> Vec<Vec<StepRecord>> {
    block_on(run_to_end(
        &mut engine(Precision::Fast),
        lanes,
        chunk,
        |_| {},
    ))
    .expect("a good run")
}

#[test]
fn cached_greedy_decoding_equals_recomputing_the_whole_text() {
    let (config, trace) = (
        common::config(),
        run(&[lane(Feed::Token, Sampler::GREEDY)], 4),
    );
    let weights = common::weights(&config);
    let mut text = PROMPT.to_vec();
    for record in &trace[0] {
        let states = layer_states(&config, (&weights, Adapter::Base), &text);
        let logits = states.logits.last().expect("a prompt");
        assert_eq!(record.position as usize + 1, text.len());
        if record.n_kept > 0 {
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            assert_eq!(Some(record.ids[0] as usize), best, "step {}", record.step);
        }
        text.push(record.token);
    }
    assert_eq!(&text[PROMPT.len()..][..1], [BOT]);
    assert_eq!(text[PROMPT.len() + 5], EOT);
}

#[test]
fn a_thought_is_fed_raw_and_a_concept_is_the_weighted_sum_of_its_embeddings() {
    let config = common::config();
    let weights = common::weights(&config);
    let forward = Forward::new(&config, Precision::Fast);
    let hidden: Vec<f32> = (0..config.hidden_size).map(|i| i as f32 - 3.5).collect();
    let thought = Input::Vector(hidden.clone());
    assert_eq!(forward.embed(&weights, &thought, 0), hidden);
    let mixture = Input::Mixture(vec![(7, 0.75), (2, 0.25)]);
    let (e7, e2) = (weights.embedding.row(7), weights.embedding.row(2));
    for (i, found) in forward.embed(&weights, &mixture, 0).into_iter().enumerate() {
        assert!((found - (0.75 * e7[i] + 0.25 * e2[i])).abs() < 1e-6);
    }
}

/// Feeds the inputs that a trace tells of, by hand, and compares every record's distribution.
#[test]
fn every_kind_of_input_is_fed_as_its_record_says() {
    let config = common::config();
    let weights = common::weights(&config);
    for think in [
        lane(Feed::THOUGHT, Sampler::GREEDY),
        lane(Feed::Concept, soft(Noise::None)),
        lane(Feed::Concept, soft(Noise::Gumbel { tau: 0.5 })),
    ] {
        let forward = Forward::new(&config, Precision::Oracle);
        let mut cache = KvCache::new(config.n_layers);
        let mut feed = |position: usize, input: Input| {
            let x = forward.embed(&weights, &input, position);
            let under = (&*weights, Adapter::Base);
            let hidden = forward.position(&config, under, &mut cache, position, x, |_, _| {});
            (
                forward
                    .logits(&weights, std::slice::from_ref(&hidden))
                    .remove(0),
                hidden,
            )
        };
        for (position, token) in PROMPT.into_iter().take(4).enumerate() {
            feed(position, Input::Token(token));
        }
        let mut input = Input::Token(PROMPT[4]);
        for record in &run(&[think], 4)[0] {
            let (logits, hidden) = feed(record.position as usize, input);
            let sum: f64 = logits.iter().map(|z| f64::from(*z).exp()).sum();
            for kept in record.kept() {
                let expected = f64::from(logits[kept.id as usize]).exp() / sum;
                assert!((f64::from(kept.prob) - expected).abs() < 1e-5, "{record:?}");
            }
            input = match record.input_kind() {
                InputKind::Concept => {
                    Input::Mixture(record.kept().map(|kept| (kept.id, kept.weight)).collect())
                }
                InputKind::Hidden => Input::Vector(hidden),
                InputKind::Token | InputKind::None => Input::Token(record.token),
            };
        }
    }
}

#[test]
fn lanes_do_not_see_each_other_and_chunks_do_not_matter() {
    let lanes = [
        lane(Feed::Token, Sampler::GREEDY),
        lane(Feed::Concept, soft(Noise::Gumbel { tau: 0.5 })),
        lane(Feed::THOUGHT, Sampler::GREEDY),
    ];
    let together = run(&lanes, 1);
    assert_eq!(together, run(&lanes, 16));
    for (index, spec) in lanes.iter().enumerate() {
        let mut alone = run(std::slice::from_ref(spec), 16).remove(0);
        alone
            .iter_mut()
            .for_each(|record| record.lane = index as u32);
        assert_eq!(alone, together[index]);
    }
}

#[test]
fn fast_and_oracle_sums_agree() {
    let lanes = [lane(Feed::THOUGHT, Sampler::GREEDY)];
    let oracle = block_on(run_to_end(
        &mut engine(Precision::Oracle),
        &lanes,
        4,
        |_| {},
    ));
    for (fast, oracle) in run(&lanes, 4)[0]
        .iter()
        .zip(&oracle.expect("a good run")[0])
    {
        assert_eq!(fast.token, oracle.token);
        assert!((fast.entropy - oracle.entropy).abs() < 1e-4);
    }
}

#[test]
fn a_run_that_cannot_fit_is_refused_with_both_numbers() {
    let mut long = lane(Feed::Token, Sampler::GREEDY);
    long.inputs = vec![Input::Token(1); 45];
    let error = block_on(engine(Precision::Fast).begin(&[long])).expect_err("9 more than 3 left");
    assert_eq!(
        error,
        EngineError::ContextTooShort {
            lane: 0,
            given: 45,
            continuation: 9,
            context: 48
        }
    );
}

#[test]
fn bad_lanes_are_named() {
    let begin = |lanes: &[LaneSpec]| {
        block_on(engine(Precision::Fast).begin(lanes))
            .expect_err("a bad lane")
            .to_string()
    };
    assert!(begin(&[]).contains("found 0"));
    let mut unknown = lane(Feed::Token, Sampler::GREEDY);
    unknown.inputs.push(Input::Token(40));
    assert!(begin(&[unknown]).contains("token 40"));
    let mut empty = lane(Feed::Token, Sampler::GREEDY);
    empty.inputs.clear();
    assert!(begin(&[empty]).contains("empty"));
    let mut hot = lane(Feed::Concept, soft(Noise::None));
    hot.program.phases[0].sampler.top_k = 33;
    assert!(begin(&[hot]).contains("top_k"));
    let error = block_on(engine(Precision::Fast).advance(1));
    assert_eq!(error, Err(EngineError::NotBegun));
}

#[test]
fn nan_weights_end_the_run_with_an_error() {
    let config = common::config();
    let mut weights = (*common::weights(&config)).clone();
    common::edit(&mut weights.layers[1].up.weight, |values| {
        values[3] = f32::NAN
    });
    let mut engine = ReferenceEngine::new(&config, Arc::new(weights), Precision::Fast);
    let lanes = [lane(Feed::Token, Sampler::GREEDY)];
    let error = block_on(run_to_end(&mut engine, &lanes, 4, |_| {}));
    assert_eq!(error, Err(EngineError::NonFinite { lane: 0, step: 0 }));
}

/// A lane of at most four thoughts that the classifier may end.
fn classified_lane() -> LaneSpec {
    let mut lane = lane(Feed::THOUGHT, Sampler::GREEDY);
    lane.program.phases[0].until.end_classifier = Some(EndClassifier { threshold: 0.5 });
    lane
}

/// The trace of [`classified_lane`] with a classifier of one's own.
fn classified_run(weight: Vec<f32>, bias: f32) -> Vec<StepRecord> {
    let config = common::config();
    let weights = Weights {
        end_classifier: Some(EndClassifierWeights { weight, bias }),
        ..(*common::weights(&config)).clone()
    };
    let mut engine = ReferenceEngine::new(&config, Arc::new(weights), Precision::Fast);
    let lanes = [classified_lane()];
    block_on(run_to_end(&mut engine, &lanes, 4, |_| {}))
        .expect("a good run")
        .remove(0)
}

fn thoughts(trace: &[StepRecord]) -> usize {
    let is_thought = |record: &&StepRecord| record.input_kind() == InputKind::Hidden;
    trace.iter().filter(is_thought).count()
}

#[test]
fn a_classifier_that_always_says_yes_leaves_one_thought_and_one_that_never_does_all() {
    let nothing = vec![0.0; common::config().hidden_size];
    let at_once = classified_run(nothing.clone(), 10.0);
    assert_eq!(thoughts(&at_once), 1);
    // The prompt's last token, <bot>, the thought; then what follows it ends the phase.
    let tested: Vec<_> = at_once
        .iter()
        .map(StepRecord::end_probability)
        .take(4)
        .collect();
    assert!(tested[2].is_some_and(|p| p > 0.9999), "{tested:?}");
    assert_eq!([tested[0], tested[1], tested[3]], [None; 3]);
    let end = &at_once[2];
    assert_eq!(end.token, EOT);
    assert_eq!(
        end.flags,
        flag::FORCED | flag::END_CLASSIFIER | flag::END_TESTED
    );
    assert_eq!((end.phase, end.phase_step), (0, 1));
    assert_eq!(at_once[3].phase, 1);

    let never = classified_run(nothing, -10.0);
    assert_eq!(thoughts(&never), 4);
    assert_eq!(never[5].flags, flag::FORCED | flag::CAP | flag::END_TESTED);
    let tested = never.iter().filter_map(StepRecord::end_probability);
    assert!(tested.clone().all(|p| p < 1e-4));
    assert_eq!(
        tested.count(),
        4,
        "after every thought, the last one included"
    );
}

#[test]
fn the_classifier_looks_at_the_state_that_would_be_the_next_thought() {
    let config = common::config();
    let weights = common::weights(&config);
    let forward = Forward::new(&config, Precision::Oracle);
    let mut cache = KvCache::new(config.n_layers);
    let mut hidden = Vec::new();
    // states[k] is the hidden state after k thoughts; states[0] is <bot>'s, the first thought.
    let mut states = Vec::new();
    let text = PROMPT.into_iter().chain([BOT]).map(Some);
    let inputs = text.chain([None; 4]);
    for (position, token) in inputs.enumerate() {
        let x = match token {
            Some(token) => forward.embed(&weights, &Input::Token(token), position),
            None => hidden,
        };
        hidden = forward.position(
            &config,
            (&weights, Adapter::Base),
            &mut cache,
            position,
            x,
            |_, _| {},
        );
        states.push(hidden.clone());
    }
    let states = &states[PROMPT.len()..];
    let dot = |a: &[f32], b: &[f32]| Precision::Oracle.dot(a, b);
    for wanted in 1..=4 {
        // Along one state, and halfway between it and the nearest of the earlier ones.
        let weight = states[wanted].clone();
        let own = dot(&weight, &weight);
        let nearest = states[1..wanted]
            .iter()
            .map(|state| dot(&weight, state))
            .fold(-own, f32::max);
        assert!(
            nearest < 0.9 * own,
            "states too much alike: {nearest}, {own}"
        );
        let trace = classified_run(weight, -(own + nearest) / 2.0);
        assert_eq!(thoughts(&trace), wanted);
        let end = trace.iter().find(|record| record.has(flag::END_CLASSIFIER));
        let p = end.and_then(StepRecord::end_probability).expect("an end");
        let expected = 1.0 / (1.0 + (-(own - nearest) / 2.0).exp());
        assert!((p - expected).abs() < 1e-4, "{p}, expected {expected}");
    }
}

#[test]
fn a_checkpoint_without_a_classifier_refuses_a_program_that_asks_it() {
    let config = common::config();
    let weights = Weights {
        end_classifier: None,
        ..(*common::weights(&config)).clone()
    };
    let mut engine = ReferenceEngine::new(&config, Arc::new(weights), Precision::Fast);
    let lanes = [lane(Feed::THOUGHT, Sampler::GREEDY), classified_lane()];
    let error = block_on(engine.begin(&lanes)).expect_err("no classifier");
    assert_eq!(error, EngineError::NoEndClassifier { lane: 1, phase: 0 });
    assert!(
        error.to_string().contains("end_classifier.weight"),
        "{error}"
    );
    assert_eq!(block_on(engine.begin(&lanes[..1])), Ok(()));
}

#[test]
fn an_end_classifier_that_cannot_be_asked_is_refused() {
    let begin = |spec: LaneSpec| {
        block_on(engine(Precision::Fast).begin(&[spec]))
            .expect_err("a bad program")
            .to_string()
    };
    for threshold in [-0.1, 1.1, f32::NAN] {
        let mut bad = classified_lane();
        bad.program.phases[0].until.end_classifier = Some(EndClassifier { threshold });
        assert!(begin(bad).contains("phase 0: end_classifier.threshold"));
    }
    let mut answer = classified_lane();
    answer.program.phases[1].until.end_classifier = Some(EndClassifier { threshold: 0.5 });
    assert!(begin(answer).contains("phase 1: the end classifier"));
}

#[test]
fn an_engine_that_gives_others_their_turn_computes_the_same() {
    thread_local! {
        static TURNS: Cell<usize> = const { Cell::new(0) };
    }
    fn turn() -> Pin<Box<dyn Future<Output = ()>>> {
        TURNS.set(TURNS.get() + 1);
        Box::pin(async {})
    }
    let lanes = [lane(Feed::Concept, soft(Noise::Gumbel { tau: 0.5 }))];
    let mut patient = engine(Precision::Fast).with_breaks(turn);
    let traces = block_on(run_to_end(&mut patient, &lanes, 3, |_| {})).expect("a good run");
    assert_eq!(traces, run(&lanes, 3));
    // After every matrix of every layer, of each position.
    let (n_positions, n_layers) = (traces[0].len(), common::config().n_layers);
    assert!(TURNS.get() > 7 * n_positions * n_layers, "{}", TURNS.get());
}

/// As many rows as a pretrained model's table of words has would keep a page for long.
#[test]
fn a_large_matrix_is_converted_and_multiplied_in_parts() {
    thread_local! {
        static TURNS: Cell<usize> = const { Cell::new(0) };
    }
    fn turn() -> Pin<Box<dyn Future<Output = ()>>> {
        TURNS.set(TURNS.get() + 1);
        Box::pin(async {})
    }
    let config = common::config();
    let (rows, cols) = (
        3 * NUMBERS_AT_ONCE / config.hidden_size + 1,
        config.hidden_size,
    );
    let values: Vec<f32> = (0..rows * cols).map(|i| (i % 7) as f32 - 3.0).collect();
    let matrix = Matrix::from_f32(rows, cols, &values);
    let converted = matrix.converted(WeightFormat::F16);
    let in_turns = matrix.converted_in_turns(WeightFormat::F16, Some(turn));
    assert_eq!(block_on(in_turns), converted);
    assert_eq!(TURNS.replace(0), 4, "one for each part");
    let weights = Weights {
        lm_head: Some(matrix),
        ..(*common::weights(&config)).clone()
    };
    let hidden = vec![vec![0.5; cols], vec![-1.0; cols]];
    let forward = Forward::new(&config, Precision::Fast);
    let whole = forward.logits(&weights, &hidden);
    let forward = forward.with_breaks(Some(turn));
    assert_eq!(block_on(forward.logits_in_turns(&weights, &hidden)), whole);
    assert_eq!(TURNS.get(), 7, "two rows take twice as many");
}
