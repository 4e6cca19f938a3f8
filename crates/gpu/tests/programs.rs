//! Every strategy on both engines: same prompt, same seed, same tokens and weights.

mod common;

use std::sync::Arc;

use common::program;
use latent_gpu::GpuEngine;
use latent_model::{
    checkpoint::Weights,
    compare::first_record_difference,
    engine::{Engine, EngineError, LaneCursor, LaneSpec, run_to_end},
    input::{Feed, Input, Tap},
    parity::forced_differences,
    program::{Adapter, MAX_STOP_TOKENS, Program, Role},
    record::{InputKind, StepRecord, flag},
    reference::{Precision, ReferenceEngine},
    strategy::{STRATEGIES, Strategy},
};
use pollster::block_on;

fn lane(program: Program, prompt: &[u32], seed: u32) -> LaneSpec {
    LaneSpec {
        inputs: Input::tokens(prompt),
        program,
        seed,
        stream: 3,
        decode_thoughts: true,
    }
}

fn reference(lanes: &[LaneSpec]) -> Vec<Vec<StepRecord>> {
    let (config, weights) = common::small();
    let mut engine = ReferenceEngine::new(&config, weights, Precision::Oracle);
    block_on(run_to_end(&mut engine, lanes, 5, |_| {})).expect("a reference run")
}

fn gpu(engine: &mut GpuEngine, lanes: &[LaneSpec], chunk: usize) -> Vec<Vec<StepRecord>> {
    block_on(run_to_end(engine, lanes, chunk, |_| {})).expect("a GPU run")
}

/// An engine on the small model, or `None` where GPU tests are skipped.
fn engine() -> Option<GpuEngine> {
    common::context().map(|context| common::engine(&context, &common::small()))
}

fn assert_same(name: &str, found: &[StepRecord], expected: &[StepRecord]) {
    assert_eq!(first_record_difference(found, expected), None, "{name}");
}

#[test]
fn every_strategy_gives_what_the_reference_gives_with_either_table_of_kernels() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, _) = common::small();
    let programs: Vec<Program> = STRATEGIES
        .iter()
        .map(|strategy| program(strategy, &config))
        .collect();
    let lanes: Vec<LaneSpec> = programs
        .into_iter()
        .map(|program| lane(program, &[3, 14, 15, 9, 26], 5))
        .collect();
    let expected = reference(&lanes);
    for table in context.tables() {
        let context = context.with_table(table);
        let mut engine = common::engine(&context, &common::small());
        let found = gpu(&mut engine, &lanes, 16);
        for ((strategy, found), expected) in STRATEGIES.iter().zip(&found).zip(&expected) {
            let name = format!("{}, kernels {}", strategy.name, table.name());
            assert_same(&name, found, expected);
            assert!(!found.is_empty(), "{name}");
        }
    }
}

#[test]
fn the_end_classifier_ends_thinking_where_the_reference_does() {
    let Some(mut engine) = engine() else {
        return;
    };
    let (config, _) = common::small();
    let strategy = Strategy::by_name("coconut-classifier").expect("a strategy");
    let lanes: Vec<LaneSpec> = (0..8)
        .map(|word| lane(program(strategy, &config), &[word, 3], 1))
        .collect();
    let (found, expected) = (gpu(&mut engine, &lanes, 16), reference(&lanes));
    for (found, expected) in found.iter().zip(&expected) {
        assert_same("coconut-classifier", found, expected);
    }
    let records = || found.iter().flatten();
    assert!(records().any(|record| record.has(flag::END_CLASSIFIER | flag::FORCED)));
    assert!(records().any(|record| record.has(flag::CAP | flag::END_TESTED)));
}

#[test]
fn a_run_ends_at_any_of_its_end_tokens() {
    let Some(mut engine) = engine() else {
        return;
    };
    let (config, _) = common::small();
    let sampled = Strategy::by_name("token-cot-sampled").expect("a strategy");
    let with_end_tokens = |end_tokens: Vec<u32>| {
        let mut program = program(sampled, &config);
        program.phases[0].until.stop_tokens = end_tokens;
        // Of thinking alone, as an answer is: so its end is the lane's.
        program.phases.truncate(1);
        program.phases[0].role = Role::Answer;
        [lane(program, &[3, 14, 15], 5)]
    };
    let tokens: Vec<u32> = reference(&with_end_tokens(Vec::new()))[0]
        .iter()
        .map(|record| record.token)
        .collect();
    let is_new = |at: &usize| !tokens[..*at].contains(&tokens[*at]);
    let at = (2..tokens.len() - 1).find(is_new).expect("a third token");
    let is_absent = |id: &u32| !tokens.contains(id);
    let absent: Vec<u32> = (0..).filter(is_absent).take(MAX_STOP_TOKENS - 1).collect();
    let mut end_tokens = vec![absent[0], tokens[at]];
    for _ in 0..2 {
        let lanes = with_end_tokens(end_tokens);
        let (found, expected) = (gpu(&mut engine, &lanes, 16), reference(&lanes));
        assert_same("an end token", &found[0], &expected[0]);
        let last = found[0].last().expect("records");
        assert_eq!(
            (found[0].len(), last.token, last.flags),
            (at + 1, tokens[at], flag::STOP | flag::DONE)
        );
        // The last of as many as there may be.
        end_tokens = [&absent[..], &tokens[at..=at]].concat();
    }
}

/// Four lanes of different strategies and prompts of different lengths, one of them shared.
fn mixed_lanes() -> Vec<LaneSpec> {
    let (config, _) = common::small();
    let named = |name| program(Strategy::by_name(name).expect("a strategy"), &config);
    vec![
        lane(named("soft-gumbel"), &[1, 2, 3, 4, 5, 6], 9),
        lane(named("coconut"), &[8], 9),
        lane(named("token-cot-sampled"), &[1, 2, 3, 4, 5, 6], 9),
        lane(named("soft-dirichlet"), &[30, 2], 9),
    ]
}

#[test]
fn lanes_of_different_prompts_do_not_touch_each_other() {
    let Some(mut engine) = engine() else {
        return;
    };
    let lanes = mixed_lanes();
    let found = gpu(&mut engine, &lanes, 16);
    let expected = reference(&lanes);
    for (lane, spec) in lanes.iter().enumerate() {
        assert_same("together", &found[lane], &expected[lane]);
        let mut alone = gpu(&mut engine, std::slice::from_ref(spec), 16).remove(0);
        alone
            .iter_mut()
            .for_each(|record| record.lane = lane as u32);
        assert_same("alone", &alone, &found[lane]);
    }
}

#[test]
fn the_size_of_chunks_changes_nothing() {
    let Some(mut engine) = engine() else {
        return;
    };
    let lanes = mixed_lanes();
    let whole = gpu(&mut engine, &lanes, 16);
    for chunk in [1, 3, 500] {
        assert_eq!(gpu(&mut engine, &lanes, chunk), whole, "chunks of {chunk}");
    }
}

#[test]
fn records_come_by_step_then_lane_and_end_with_nothing() {
    let Some(mut engine) = engine() else {
        return;
    };
    let lanes = mixed_lanes();
    block_on(engine.begin(&lanes)).expect("a run");
    let records = block_on(engine.advance(64)).expect("records");
    let order: Vec<(u32, u32)> = records
        .iter()
        .map(|record| (record.step, record.lane))
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(block_on(engine.advance(4)).expect("nothing"), []);

    let stats = engine.stats();
    let n_layers = engine.config().n_layers;
    assert_eq!(stats.dispatches_per_step, 5 * n_layers + 5);
    assert_eq!(stats.maps, 1, "a readback per chunk, none after the end");
    let row_bytes = (lanes.len() * size_of::<StepRecord>()) as u64;
    assert_eq!(stats.bytes_read_back, 64 * row_bytes);
}

#[test]
fn a_run_longer_than_the_ring_loses_no_record() {
    let Some(context) = common::context() else {
        return;
    };
    let (mut config, _) = common::small();
    config.max_position_embeddings = 256;
    let mut program = program(&STRATEGIES[0], &config);
    program.phases[0].until.max_steps = 150;
    program.phases[0].until.stop_tokens.clear();
    let lanes = [lane(program, &[1, 2], 1)];
    let weights = common::random::weights(&config);
    let mut reference = ReferenceEngine::new(&config, weights.clone(), Precision::Oracle);
    let mut engine = common::engine(&context, &(config, weights));
    let found = block_on(run_to_end(&mut engine, &lanes, 50, |_| {})).expect("a run");
    let expected = block_on(run_to_end(&mut reference, &lanes, 50, |_| {})).expect("a run");
    assert!(found[0].len() > 128, "the ring wraps twice");
    assert_same("long", &found[0], &expected[0]);
}

#[test]
fn thoughts_that_are_not_decoded_are_the_same_thoughts() {
    let Some(mut engine) = engine() else {
        return;
    };
    let mut lanes = mixed_lanes();
    lanes.retain(|lane| {
        lane.program
            .phases
            .iter()
            .any(|phase| phase.feed == Feed::THOUGHT)
    });
    lanes[0].decode_thoughts = false;
    let (found, expected) = (gpu(&mut engine, &lanes, 16), reference(&lanes));
    assert_same("thoughts", &found[0], &expected[0]);
    assert!(found[0].iter().any(|record| record.n_kept == 0));
}

#[test]
fn more_lanes_than_a_tile_run_together() {
    let Some(mut engine) = engine() else {
        return;
    };
    let mut lanes = Vec::new();
    for seed in 0..3 {
        lanes.extend(
            mixed_lanes()
                .into_iter()
                .map(|lane| LaneSpec { seed, ..lane }),
        );
    }
    let (found, expected) = (gpu(&mut engine, &lanes, 16), reference(&lanes));
    for (found, expected) in found.iter().zip(&expected) {
        assert_same("twelve lanes", found, expected);
    }
}

#[test]
fn eight_lanes_read_every_weight_once() {
    let Some(mut engine) = engine() else {
        return;
    };
    let (_, weights) = common::small();
    let norms = (2 * weights.layers.len() + 1) * weights.final_norm.gain.len();
    let n_read = weights.n_parameters() - weights.embedding.n_values() - norms;
    let mut lanes = [mixed_lanes(), mixed_lanes(), mixed_lanes(), mixed_lanes()].concat();
    // What is forced asks for no logits, and then the head is not read.
    lanes.iter_mut().for_each(|lane| lane.program.start.clear());
    for (n_lanes, n_reads) in [(1, 1), (4, 1), (8, 1), (16, 2)] {
        block_on(engine.begin(&lanes[..n_lanes])).expect("a run");
        let cost = engine.stats().step_cost;
        let weight_bytes = 4 * (n_reads * n_read) as u64;
        assert_eq!(cost.weight_bytes, weight_bytes, "{n_lanes} lanes");
    }
}

#[test]
fn bad_runs_are_errors() {
    let Some(mut engine) = engine() else {
        return;
    };
    assert_eq!(block_on(engine.advance(1)), Err(EngineError::NotBegun));
    assert!(matches!(
        block_on(engine.begin(&[])),
        Err(EngineError::LaneCount { .. })
    ));
    let outside = engine.config().vocab_size as u32;
    let too_many = vec![0; engine.config().max_position_embeddings + 1];
    for tokens in [Vec::new(), vec![1, outside], too_many] {
        let refused = block_on(engine.layer_states(Adapter::Base, &tokens));
        assert!(
            matches!(
                refused,
                Err(EngineError::NoInputs { .. }
                    | EngineError::UnknownToken { .. }
                    | EngineError::ContextTooShort { .. })
            ),
            "{} tokens",
            tokens.len()
        );
    }
    let mut lanes = mixed_lanes();
    lanes[1].inputs.clear();
    assert_eq!(
        block_on(engine.begin(&lanes)),
        Err(EngineError::NoInputs { lane: 1 })
    );
}

#[test]
fn a_checkpoint_without_an_end_classifier_refuses_programs_that_ask_it() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, weights) = common::small();
    let weights = Weights {
        end_classifier: None,
        ..(*weights).clone()
    };
    let model = (config, Arc::new(weights));
    let strategy = Strategy::by_name("coconut-classifier").expect("a strategy");
    let lanes = [
        mixed_lanes().remove(0),
        lane(program(strategy, &model.0), &[1], 1),
    ];
    let mut engine = common::engine(&context, &model);
    let expected = EngineError::NoEndClassifier { lane: 1, phase: 0 };
    assert_eq!(block_on(engine.begin(&lanes)), Err(expected));
    assert_eq!(block_on(engine.begin(&lanes[..1])), Ok(()));
}

/// A lane that feeds back the state after a layer, as it is.
fn feeding_layer(layer: u32, prompt: &[u32]) -> LaneSpec {
    let (config, _) = common::small();
    let mut program = program(Strategy::by_name("coconut").expect("a strategy"), &config);
    program.phases[0].feed = Feed::Hidden {
        tap: Tap::Layer(layer),
    };
    lane(program, prompt, 4)
}

#[test]
fn states_of_any_layer_are_fed_back_as_the_reference_feeds_them() {
    let Some(mut engine) = engine() else {
        return;
    };
    let mut lanes = vec![
        feeding_layer(0, &[1, 2, 3]),
        feeding_layer(1, &[1, 2, 3]),
        mixed_lanes().remove(1),
    ];
    let (found, expected) = (gpu(&mut engine, &lanes, 16), reference(&lanes));
    for (lane, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_same(&format!("tap of lane {lane}"), found, expected);
    }
    assert_ne!(found[0].last(), found[1].last(), "two layers, two lanes");
    lanes[1].program.phases[0].feed = Feed::Hidden { tap: Tap::Layer(2) };
    let error = EngineError::NoLayer {
        lane: 1,
        phase: 0,
        layer: 2,
        last: 1,
    };
    assert_eq!(block_on(engine.begin(&lanes)), Err(error));
}

/// Lanes of CCOT that are never all in one phase, with other strategies between them.
fn contemplating_lanes() -> Vec<LaneSpec> {
    let (config, _) = common::small();
    let named = |name| program(Strategy::by_name(name).expect("a strategy"), &config);
    let capped = |name, max_steps: u32| {
        let mut program = named(name);
        program.phases[0].until.max_steps = max_steps;
        program
    };
    vec![
        lane(capped("ccot-fixed", 0), &[1, 2, 3, 4], 1),
        lane(capped("ccot", 6), &[8], 1),
        lane(named("token-cot"), &[1, 2, 3, 4], 1),
        lane(capped("ccot-fixed", 3), &[30, 2], 1),
        lane(capped("ccot", 6), &[5, 9, 2], 1),
        lane(named("coconut"), &[30, 2], 1),
        lane(capped("ccot-fixed", 7), &[1, 2, 3, 4], 1),
        lane(named("soft-gumbel"), &[8, 8, 9], 2),
        lane(capped("ccot", 2), &[11, 12], 1),
    ]
}

#[test]
fn lanes_under_different_weights_run_in_one_batch() {
    let Some(mut engine) = engine() else {
        return;
    };
    let lanes = contemplating_lanes();
    let expected = reference(&lanes);
    // One lane alone, a tile of four, more than a tile of eight.
    for n_lanes in [1, 2, 4, lanes.len()] {
        for first in 0..=lanes.len() - n_lanes {
            let chosen = first..first + n_lanes;
            let found = gpu(&mut engine, &lanes[chosen.clone()], 16);
            for (lane, (found, expected)) in chosen
                .clone()
                .zip(found.iter().zip(&expected[chosen.clone()]))
            {
                let mut found = found.clone();
                found
                    .iter_mut()
                    .for_each(|record| record.lane = lane as u32);
                assert_same(&format!("lane {lane} of {chosen:?}"), &found, expected);
            }
        }
    }
    let records = || expected.iter().flatten();
    assert!(records().any(|record| record.has(flag::END_CLASSIFIER | flag::FORCED)));
    assert!(records().any(|record| record.has(flag::CAP | flag::END_TESTED)));
    let (config, weights) = common::small();
    let mut oracle = ReferenceEngine::new(&config, weights, Precision::Oracle);
    let differences = block_on(forced_differences(&mut engine, &mut oracle, &lanes));
    assert_eq!(differences.expect("two runs"), vec![None; lanes.len()]);
    // An adapter that is another one shows.
    let (_, mut altered) = common::small();
    let set = Arc::make_mut(&mut altered).contemplation.as_mut();
    let layer = &mut set.expect("it has one").decoder[0];
    common::random::edit(&mut layer.down.weight, |values| values[5] += 1.0);
    let mut oracle = ReferenceEngine::new(&config, altered, Precision::Oracle);
    let differences = block_on(forced_differences(&mut engine, &mut oracle, &lanes));
    let found: Vec<bool> = differences
        .expect("two runs")
        .iter()
        .map(Option::is_some)
        .collect();
    let answers = lanes
        .iter()
        .map(|lane| lane.program.contemplation_phase().is_some());
    assert_eq!(found, answers.collect::<Vec<bool>>());
}

#[test]
fn contemplation_without_an_input_map_is_what_the_reference_makes_of_it() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, mut weights) = common::small();
    let set = Arc::make_mut(&mut weights).contemplation.as_mut();
    set.expect("it has one").input_map = None;
    let mut oracle = ReferenceEngine::new(&config, weights.clone(), Precision::Oracle);
    let mut engine = common::engine(&context, &(config, weights));
    let lanes = contemplating_lanes();
    let differences = block_on(forced_differences(&mut engine, &mut oracle, &lanes));
    assert_eq!(differences.expect("two runs"), vec![None; lanes.len()]);
}

#[test]
fn adapters_that_no_lane_uses_change_nothing_to_the_bit_and_cost_no_dispatch() {
    let Some(context) = common::context() else {
        return;
    };
    let lanes = mixed_lanes();
    let [with, without] = [common::small(), common::plain()].map(|model| {
        let mut engine = common::engine(&context, &model);
        let records = gpu(&mut engine, &lanes, 16);
        (records, engine.stats().dispatches_per_step)
    });
    assert_eq!(with, without);
}

#[test]
fn a_checkpoint_without_adapters_refuses_programs_that_take_them() {
    let Some(context) = common::context() else {
        return;
    };
    let mut engine = common::engine(&context, &common::plain());
    let lanes = [mixed_lanes().remove(0), contemplating_lanes().remove(0)];
    let expected = EngineError::NoContemplation { lane: 1, phase: 0 };
    assert_eq!(block_on(engine.begin(&lanes)), Err(expected));
    let refused = block_on(engine.layer_states(Adapter::Decoder, &[1, 2]));
    assert!(matches!(refused, Err(EngineError::NoContemplation { .. })));
}

/// What lanes were fed by `position`, as a lane of its own would be given it.
fn fed_until(lane: &LaneSpec, records: &[StepRecord], hidden: &[Input]) -> Vec<Input> {
    let mut inputs = lane.inputs.clone();
    for (record, hidden) in records.iter().zip(hidden) {
        inputs.push(match record.input_kind() {
            InputKind::Concept => {
                Input::Mixture(record.kept().map(|kept| (kept.id, kept.weight)).collect())
            }
            InputKind::Hidden => hidden.clone(),
            InputKind::Token | InputKind::None => Input::Token(record.token),
        });
    }
    inputs
}

#[test]
fn a_lane_can_begin_in_the_middle_of_somebodys_thinking() {
    let Some(mut engine) = engine() else {
        return;
    };
    let (config, weights) = common::small();
    let mut oracle = ReferenceEngine::new(&config, weights, Precision::Oracle);
    for whole in mixed_lanes() {
        let lanes = [whole];
        block_on(oracle.begin(&lanes)).expect("a run");
        let (mut records, mut fed, mut cursors) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..5 {
            records.extend(block_on(oracle.advance(1)).expect("a record"));
            let cursor = block_on(oracle.cursors()).expect("a run").remove(0);
            fed.push(cursor.input.clone().expect("five steps and more"));
            cursors.push(cursor);
        }
        let rest: Vec<StepRecord> = std::iter::from_fn(|| {
            let records = block_on(oracle.advance(16)).expect("records");
            (!records.is_empty()).then_some(records)
        })
        .flatten()
        .collect();
        let later = LaneSpec {
            inputs: fed_until(&lanes[0], &records, &fed),
            ..lanes[0].clone()
        };
        block_on(engine.begin(&[later])).expect("a lane given its own thinking");
        engine.set_cursors(&cursors[4..]).expect("a run has begun");
        let found = block_on(engine.advance(200)).expect("records");
        assert_same("from step 5 on", &found, &rest);
    }
}

#[test]
fn both_engines_refuse_cursors_that_fit_no_lane() {
    let Some(mut engine) = engine() else {
        return;
    };
    let (config, weights) = common::small();
    let mut oracle = ReferenceEngine::new(&config, weights, Precision::Oracle);
    let lanes = mixed_lanes();
    block_on(engine.begin(&lanes)).expect("a run");
    block_on(oracle.begin(&lanes)).expect("a run");
    block_on(engine.advance(3)).expect("records");
    block_on(oracle.advance(3)).expect("records");
    let cursor = block_on(oracle.cursors()).expect("a run").remove(1);
    let altered = |change: fn(&mut LaneCursor)| {
        let mut cursor = cursor.clone();
        change(&mut cursor);
        cursor
    };
    let wrong = [
        altered(|cursor| cursor.state.lane = 4),
        altered(|cursor| cursor.state.position += 1),
        altered(|cursor| cursor.state.phase = 2),
        altered(|cursor| cursor.input = None),
        altered(|cursor| cursor.input = Some(Input::Vector(vec![0.0]))),
    ];
    for wrong in wrong {
        let cursors = [cursor.clone(), wrong];
        let found = engine.set_cursors(&cursors).expect_err("no lane's");
        assert_eq!(oracle.set_cursors(&cursors), Err(found), "{cursors:?}");
    }
    // The run goes on as if nothing had been asked.
    let (found, expected) = (block_on(engine.advance(9)), block_on(oracle.advance(9)));
    assert_same(
        "the run",
        &found.expect("records"),
        &expected.expect("records"),
    );
}

#[test]
fn forced_inputs_undo_what_went_astray() {
    let Some(mut engine) = engine() else {
        return;
    };
    let (config, weights) = common::small();
    let mut oracle = ReferenceEngine::new(&config, weights.clone(), Precision::Oracle);
    let lanes = mixed_lanes();
    let differences = block_on(forced_differences(&mut engine, &mut oracle, &lanes));
    assert_eq!(differences.expect("two runs"), vec![None; lanes.len()]);

    let mut altered = Weights::clone(&weights);
    common::random::edit(&mut altered.layers[1].up.weight, |values| values[5] += 0.5);
    let context = engine.context().clone();
    let mut wrong = common::engine(&context, &(config, Arc::new(altered)));
    let differences = block_on(forced_differences(&mut wrong, &mut oracle, &lanes));
    let n_found = differences.expect("two runs").iter().flatten().count();
    assert!(n_found > 0, "an altered weight must show");
}
