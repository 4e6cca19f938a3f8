//! Looking into a run and changing it: both engines agree, and looking leaves no trace.

mod common;

use latent_gpu::GpuEngine;
use latent_model::{
    analysis::{
        intervention::{Change, Intervention, run_to_end_with},
        lens::Lens,
        patching::{Place, StepPatch, WatchedLane, WatchedRun, run_watched},
        probe::{Probed, probe},
    },
    compare::{Tolerance, compare, compare_layer_states, first_record_difference},
    engine::{Engine, EngineError, LaneCursor, LaneSpec, Patch},
    input::Input,
    program::{Adapter, Feed, Noise, Phase, Program, Role, Sampler, Until},
    record::StepRecord,
    reference::{Precision, ReferenceEngine},
};
use pollster::block_on;

fn lane(feed: Feed, adapter: Adapter, seed: u32) -> LaneSpec {
    let phase = |role, feed, adapter, max_steps| Phase {
        role,
        feed,
        sampler: Sampler {
            max_concepts: 4,
            greedy: role == Role::Answer,
            noise: Noise::Gumbel { tau: 0.5 },
            ..Sampler::GREEDY
        },
        until: Until::steps(max_steps),
        then_force: if role == Role::Think {
            vec![31]
        } else {
            Vec::new()
        },
        adapter,
    };
    LaneSpec {
        inputs: Input::tokens(&[1, 2, 3 + seed / 2]),
        program: Program {
            start: vec![30],
            phases: vec![
                phase(Role::Think, feed, adapter, 5),
                phase(Role::Answer, Feed::Token, Adapter::Base, 3),
            ],
        },
        seed,
        stream: 0,
        decode_thoughts: true,
    }
}

/// Every kind of input, under several weights; some lanes share what they are given.
fn lanes() -> Vec<LaneSpec> {
    vec![
        lane(Feed::Token, Adapter::Base, 0),
        lane(Feed::Concept, Adapter::Base, 1),
        lane(Feed::THOUGHT, Adapter::Base, 2),
        lane(Feed::CONTEMPLATION, Adapter::Generator, 3),
        lane(Feed::Pause(5), Adapter::Base, 4),
    ]
}

fn engines() -> Option<(GpuEngine, ReferenceEngine)> {
    let context = common::context()?;
    let (config, weights) = common::small();
    let gpu = common::engine(&context, &(config.clone(), weights.clone()));
    Some((
        gpu,
        ReferenceEngine::new(&config, weights, Precision::Oracle),
    ))
}

/// Where the lanes are with other inputs, and one place that is left behind.
fn probes(cursors: &[LaneCursor]) -> Vec<LaneCursor> {
    let with = |cursor: &LaneCursor, input: Input| LaneCursor {
        input: Some(input),
        ..cursor.clone()
    };
    let live = cursors.iter().filter(|cursor| cursor.input.is_some());
    let mut probes: Vec<LaneCursor> = live
        .flat_map(|cursor| {
            let mixture = Input::Mixture(vec![(4, 0.5), (9, 0.5)]);
            let vector = Input::Vector(common::noise(cursor.state.lane, 16));
            [
                cursor.clone(),
                with(cursor, Input::Token(7)),
                with(cursor, mixture),
                with(cursor, vector),
            ]
        })
        .collect();
    let mut past = with(&cursors[1], Input::Token(8));
    past.state.position -= 1;
    past.state.done = false;
    probes.push(past);
    // More than one pass takes.
    probes.extend(probes.clone());
    probes
}

#[test]
fn both_engines_say_the_same_of_any_input_at_any_place() {
    let Some((mut gpu, mut oracle)) = engines() else {
        return;
    };
    block_on(gpu.begin(&lanes())).expect("a run");
    block_on(oracle.begin(&lanes())).expect("a run");
    for _ in 0..4 {
        block_on(gpu.advance(2)).expect("records");
        block_on(oracle.advance(2)).expect("records");
        let cursors = block_on(oracle.cursors()).expect("a run");
        let found = block_on(gpu.cursors()).expect("a run");
        for (found, expected) in found.iter().zip(&cursors) {
            assert_eq!(found.state, expected.state);
            let kind = |cursor: &LaneCursor| cursor.input.as_ref().map(std::mem::discriminant);
            assert_eq!(kind(found), kind(expected));
        }
        gpu.set_cursors(&cursors).expect("the oracle's");
        let again = block_on(gpu.cursors()).expect("a run");
        assert_eq!(again, cursors, "what was set is what is read");
        let probes = probes(&cursors);
        assert!(probes.len() > 32, "{}", probes.len());
        let found = block_on(gpu.peek(&probes)).expect("states");
        let expected = block_on(oracle.peek(&probes)).expect("states");
        assert_eq!(found.logits.len(), probes.len());
        let report = compare_layer_states(&found, &expected, Tolerance::F32);
        assert_eq!(report.first_divergence(), None);
    }
}

/// All records, bit for bit; `looks` asks about every lane after every step.
fn records<E: Engine>(engine: &mut E, looks: bool) -> Vec<StepRecord> {
    block_on(engine.begin(&lanes())).expect("a run");
    let mut all = Vec::new();
    loop {
        let records = block_on(engine.advance(1)).expect("records");
        if records.is_empty() {
            return all;
        }
        all.extend(records);
        if looks {
            let cursors = block_on(engine.cursors()).expect("a run");
            let before = cursors.clone();
            let states = block_on(engine.peek(&probes(&cursors))).expect("states");
            assert!(states.logits.iter().flatten().all(|z| z.is_finite()));
            assert_eq!(block_on(engine.cursors()).expect("a run"), before);
        }
    }
}

#[test]
fn looking_changes_nothing_to_the_bit() {
    let Some((mut gpu, mut oracle)) = engines() else {
        return;
    };
    assert_eq!(records(&mut oracle, true), records(&mut oracle, false));
    let plain = records(&mut gpu, false);
    assert!(plain.len() > 40, "{}", plain.len());
    assert_eq!(records(&mut gpu, true), plain);
}

#[test]
fn a_cursor_that_cannot_be_asked_about_is_refused() {
    let Some((mut gpu, mut oracle)) = engines() else {
        return;
    };
    assert_eq!(block_on(gpu.cursors()), Err(EngineError::NotBegun));
    block_on(gpu.begin(&lanes())).expect("a run");
    block_on(oracle.begin(&lanes())).expect("a run");
    let mut ended = block_on(oracle.cursors()).expect("a run").remove(0);
    (ended.state.done, ended.input) = (true, None);
    let found = block_on(gpu.peek(&[ended.clone()])).expect_err("nothing to ask about");
    assert_eq!(block_on(oracle.peek(&[ended])), Err(found));
}

#[test]
fn a_changed_lane_is_the_same_on_both_engines() {
    let Some((mut gpu, mut oracle)) = engines() else {
        return;
    };
    let changes = [
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
    ];
    let (config, weights) = common::small();
    for change in changes {
        let with = |spec: LaneSpec| {
            let at = |step| Intervention::at(step, change.clone());
            (spec, vec![at(2), at(3)])
        };
        let lanes: Vec<_> = lanes().into_iter().map(with).collect();
        let model = (&config, &weights);
        let expected = block_on(run_to_end_with(&mut oracle, model, &lanes, true)).expect("a run");
        for keeps in [true, false] {
            let found = block_on(run_to_end_with(&mut gpu, model, &lanes, keeps)).expect("a run");
            for (found, expected) in found.iter().zip(&expected) {
                let difference = first_record_difference(&found.records, &expected.records);
                assert_eq!(difference, None, "{change:?}");
            }
        }
    }
}

/// What probes say of every step of a run, with their own lens of the last layer.
fn probed<E: Engine>(engine: &mut E) -> Vec<Vec<Option<Probed>>> {
    let (config, weights) = common::small();
    let lens = Lens::new(&config, &weights, Precision::Oracle);
    // Mixtures, with and without noise, that run under the same weights on both engines.
    let mut lanes = vec![
        lane(Feed::Concept, Adapter::Base, 1),
        lane(Feed::Concept, Adapter::Base, 2),
        lane(Feed::Token, Adapter::Base, 3),
    ];
    lanes[1].program.phases[0].sampler.noise = Noise::None;
    lanes[1].program.phases[0].sampler.temperature = 0.6;
    let programs: Vec<Program> = lanes.iter().map(|lane| lane.program.clone()).collect();
    block_on(engine.begin(&lanes)).expect("a run");
    let mut all = Vec::new();
    while !block_on(engine.advance(1)).expect("records").is_empty() {
        let cursors = block_on(engine.cursors()).expect("a run");
        all.push(block_on(probe(engine, &programs, Some(&lens), &cursors)).expect("probes"));
    }
    all
}

#[test]
fn both_engines_agree_on_every_probe() {
    let Some((mut gpu, mut oracle)) = engines() else {
        return;
    };
    let (found, expected) = (probed(&mut gpu), probed(&mut oracle));
    assert_eq!(found.len(), expected.len());
    let numbers = |probed: &Probed| -> Vec<f64> {
        let overlaps = probed.overlap.iter().flatten().flatten().copied();
        let divergences = probed.top.into_iter().chain([probed.top1_top2]).flatten();
        divergences.chain(overlaps).collect()
    };
    let mut n_probed = 0;
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert_eq!(found.is_some(), expected.is_some());
        let (Some(found), Some(expected)) = (found, expected) else {
            continue;
        };
        if expected.top[0].is_none() {
            continue;
        }
        n_probed += 1;
        assert!(
            expected.top.iter().all(Option::is_some),
            "four tokens are mixed"
        );
        assert!(expected.top[0] > Some(1e-6), "{expected:?}");
        let (found, expected) = (numbers(found), numbers(expected));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }
    assert_eq!(n_probed, 10, "five mixtures in each of two lanes");
}

#[test]
fn the_lens_of_the_last_layer_is_the_logits() {
    let Some((mut gpu, _)) = engines() else {
        return;
    };
    let (config, weights) = common::small();
    for precision in [Precision::Oracle, Precision::Fast] {
        let mut engine = ReferenceEngine::new(&config, weights.clone(), precision);
        let lens = Lens::new(&config, &weights, precision);
        block_on(engine.begin(&lanes())).expect("a run");
        block_on(gpu.begin(&lanes())).expect("a run");
        let cursors = block_on(engine.cursors()).expect("a run");
        let states = block_on(engine.peek(&cursors)).expect("states");
        let of_gpu = block_on(gpu.peek(&cursors)).expect("states");
        for row in 0..cursors.len() {
            let last = |states| lens.by_layer(states, row).pop().expect("layers");
            assert_eq!(last(&states), states.logits[row]);
            let pairs = last(&of_gpu).into_iter().zip(&of_gpu.logits[row]);
            for (found, expected) in pairs {
                assert!((found - expected).abs() < 1e-3, "{found} {expected}");
            }
        }
    }
}

/// Every lane with a state of its own replaced, each at another place; one is watched alone.
fn patched_lanes(width: usize) -> Vec<WatchedLane> {
    let places: [Option<Place>; 5] = [None, Some((2, 0)), Some((3, 1)), Some((1, 0)), Some((4, 1))];
    let patched = |(spec, place): (LaneSpec, Option<Place>)| {
        let state = common::noise(7, width);
        let patches = place.map(|place| StepPatch { place, state });
        WatchedLane {
            patches: patches.into_iter().collect(),
            ..WatchedLane::new(spec)
        }
    };
    lanes().into_iter().zip(places).map(patched).collect()
}

#[test]
fn a_patched_lane_is_the_same_on_both_engines() {
    let Some((mut gpu, mut oracle)) = engines() else {
        return;
    };
    let (config, weights) = common::small();
    let lanes = patched_lanes(config.hidden_size);
    let model = (&config, &weights);
    let found = block_on(run_watched(&mut gpu, model, &lanes)).expect("a run");
    let expected = block_on(run_watched(&mut oracle, model, &lanes)).expect("a run");
    let clean = records(&mut gpu, false);
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let difference = first_record_difference(&found.records, &expected.records);
        assert_eq!(difference, None, "lane {index}");
        let flat = |run: &WatchedRun| run.states.concat().concat();
        let states = (flat(found), flat(expected));
        assert_eq!(states.0.len(), states.1.len());
        let (largest, agrees) = compare(&states.0, &states.1, Tolerance::F32);
        assert!(agrees, "lane {index}: {largest}");
        for StepPatch { place, state } in &lanes[index].patches {
            assert_eq!(&found.states[place.0 as usize][place.1], state);
        }
        let of_lane = clean.iter().filter(|record| record.lane as usize == index);
        let own: Vec<StepRecord> = of_lane
            .map(|record| StepRecord { lane: 0, ..*record })
            .collect();
        let is_patched = !lanes[index].patches.is_empty();
        assert_eq!(found.records != own, is_patched, "lane {index}");
    }
}

#[test]
fn a_patch_that_fits_no_place_is_refused_alike() {
    let Some((mut gpu, mut oracle)) = engines() else {
        return;
    };
    let patch = |lane, layer| Patch {
        lane,
        layer,
        state: common::noise(7, 16),
    };
    block_on(gpu.begin(&lanes())).expect("a run");
    block_on(oracle.begin(&lanes())).expect("a run");
    for patch in [patch(5, 0), patch(0, 9)] {
        let patches = [patch];
        let found = block_on(gpu.advance_watched(&patches)).expect_err("no such place");
        assert_eq!(block_on(oracle.advance_watched(&patches)), Err(found));
    }
    assert_eq!(block_on(gpu.advance(1)).expect("the run goes on").len(), 5);
}
