//! Activation patching on the reference engine: what a patch reaches, and what it leaves alone.

mod common;

use latent_model::{
    analysis::{
        divergence::distribution,
        intervention::{Change, Intervention, run_to_end_with},
        lens::Lens,
        patching::{
            Contrast, Place, StepPatch, WatchedLane, WatchedRun, cone, patched_runs, run_watched,
        },
    },
    engine::{Engine, EngineError, LaneSpec, Patch},
    input::Input,
    program::{Adapter, Feed, Phase, Program, Role, Sampler, Until},
    record::StepRecord,
    reference::{Forward, Precision},
};
use pollster::block_on;

use common::{engine, model};

const BOT: u32 = 30;
const EOT: u32 = 31;
/// The marker is fed, then five thoughts.
const THINK_STEPS: u32 = 5;

fn lane(prompt: &[u32]) -> LaneSpec {
    let phase = |role, feed, max_steps, then_force| Phase {
        role,
        feed,
        sampler: Sampler::GREEDY,
        until: Until::steps(max_steps),
        then_force,
        adapter: Adapter::Base,
    };
    LaneSpec {
        inputs: Input::tokens(prompt),
        program: Program {
            start: vec![BOT],
            phases: vec![
                phase(Role::Think, Feed::THOUGHT, THINK_STEPS, vec![EOT]),
                phase(Role::Answer, Feed::Token, 3, Vec::new()),
            ],
        },
        seed: 5,
        stream: 0,
        decode_thoughts: true,
    }
}

fn watched(lanes: &[(LaneSpec, Vec<StepPatch>)]) -> Vec<WatchedRun> {
    let (config, weights) = model();
    let lanes: Vec<WatchedLane> = lanes
        .iter()
        .map(|(spec, patches)| WatchedLane {
            patches: patches.clone(),
            ..WatchedLane::new(spec.clone())
        })
        .collect();
    let mut engine = engine();
    let runs = run_watched(&mut engine, (&config, &weights), &lanes);
    block_on(runs).expect("the run succeeds")
}

/// The lane with the source's states, one by one: at each of the steps, after each layer.
fn patched(
    target: &LaneSpec,
    source: &WatchedRun,
    steps: std::ops::Range<u32>,
) -> Vec<(Place, WatchedRun)> {
    let (config, weights) = model();
    let layers = 0..config.n_layers;
    let places: Vec<Place> = steps
        .flat_map(|step| layers.clone().map(move |layer| (step, layer)))
        .collect();
    let target = WatchedLane::new(target.clone());
    let mut engine = engine();
    let runs = patched_runs(&mut engine, (&config, &weights), &target, source, &places);
    let runs = block_on(runs).expect("the run succeeds");
    runs.into_iter()
        .map(|found| (found.place, found.run))
        .collect()
}

fn intervened(target: &LaneSpec, interventions: Vec<Intervention>) -> Vec<StepRecord> {
    let (config, weights) = model();
    let mut engine = engine();
    let lanes = [(target.clone(), interventions)];
    let ran = run_to_end_with(&mut engine, (&config, &weights), &lanes, false);
    block_on(ran).expect("the run succeeds").remove(0).records
}

/// Two runs of different questions, and the patches of the second for all places of the first.
fn runs() -> [WatchedRun; 2] {
    let lanes = [lane(&[3, 14, 15, 9, 26]), lane(&[7, 2, 21, 8])];
    let mut runs = watched(&lanes.map(|lane| (lane, Vec::new())));
    let second = runs.pop().expect("two runs");
    [runs.pop().expect("two runs"), second]
}

#[test]
fn watching_changes_nothing_and_a_runs_own_state_neither() {
    let target = lane(&[3, 14, 15, 9, 26]);
    let [clean, _] = runs();
    let (config, _) = model();
    let unwatched = intervened(&target, Vec::new());
    assert!(clean.records == unwatched);
    assert_eq!(clean.states.len(), clean.records.len());
    assert!(clean.states.iter().all(|s| s.len() == config.n_layers));
    let steps = 0..clean.records.len() as u32;
    let patched = patched(&target, &clean, steps);
    assert_eq!(patched.len(), clean.records.len() * config.n_layers);
    for (place, run) in patched {
        assert!(run == clean, "{place:?}");
    }
}

/// After the last layer, nothing but the next input is made of a state: a patch there is that
/// input replaced.
#[test]
fn a_patch_after_the_last_layer_is_the_next_input_replaced() {
    let target = lane(&[3, 14, 15, 9, 26]);
    let [clean, other] = runs();
    let (config, weights) = model();
    let layer = config.n_layers - 1;
    let forward = Forward::new(&config, Precision::Fast);
    for step in 1..=THINK_STEPS {
        let patch = other
            .patch((step, layer))
            .expect("the other run thinks too");
        let thought = forward.final_norm(&config, &weights, &patch.state);
        let replaced = Change::Replace(Input::Vector(thought));
        let intervened = intervened(&target, vec![Intervention::at(step, replaced)]);
        let patched = watched(&[(target.clone(), vec![patch])]);
        let later = step as usize + 1;
        assert!(
            patched[0].records[later..] == intervened[later..],
            "step {step}"
        );
        assert_ne!(patched[0].states[later], clean.states[later]);
    }
}

#[test]
fn a_patch_moves_the_layers_above_and_the_steps_after_and_nothing_else() {
    let target = lane(&[3, 14, 15, 9, 26]);
    let [clean, other] = runs();
    let steps = 1..THINK_STEPS;
    for ((step, layer), run) in patched(&target, &other, steps) {
        let cone = cone(&clean, &run);
        let place = (step as usize, layer);
        for (step, layers) in cone.iter().enumerate().take(THINK_STEPS as usize + 1) {
            for (layer, &moved) in layers.iter().enumerate() {
                let reached = step > place.0 || (step == place.0 && layer >= place.1);
                assert_eq!(moved > 0.0, reached, "{place:?}: {step} {layer} {moved}");
            }
        }
        let state = &other.states[place.0][place.1];
        assert_eq!(&run.states[place.0][place.1], state);
    }
}

#[test]
fn one_lanes_patch_is_not_anothers() {
    let specs = [lane(&[3, 14, 15, 9, 26]), lane(&[7, 2, 21, 8])];
    let [first, second] = runs();
    // A state that neither lane has there: a lane that is given its own stays as it is.
    let state = second.states[1][0].clone();
    let place = (2, 0);
    assert!(
        [&first, &second]
            .iter()
            .all(|run| run.states[2][0] != state)
    );
    let patch = StepPatch { place, state };
    let [first_spec, second_spec] = specs;
    let together = watched(&[(first_spec, vec![patch]), (second_spec, Vec::new())]);
    assert!(together[0] != first);
    assert!(together[1] == second);
}

#[test]
fn a_state_that_fits_no_place_is_refused_by_name() {
    let (config, _) = model();
    let mut engine = engine();
    let patch = |layer, state: Vec<f32>| Patch {
        lane: 0,
        layer,
        state,
    };
    let early = block_on(engine.advance_watched(&[]));
    assert_eq!(early, Err(EngineError::NotBegun));
    block_on(engine.begin(&[lane(&[3, 14])])).expect("it begins");
    let d = config.hidden_size;
    for (patch, found) in [
        (
            patch(config.n_layers, vec![0.0; d]),
            format!("{d} finite after layer {}", config.n_layers),
        ),
        (patch(0, vec![0.0; d - 1]), format!("{} finite", d - 1)),
        (patch(0, vec![f32::NAN; d]), format!("{d} not all finite")),
    ] {
        let error = block_on(engine.advance_watched(&[patch])).expect_err("it does not fit");
        let message = error.to_string();
        assert!(message.contains("lane 0: a patch has"), "{message}");
        assert!(message.contains(&found), "{message}");
    }
}

/// The answers of two runs, and the runs between them: itself at 0, the source at 1, and a patch that
/// leaves the answer's last state to the source all the way.
#[test]
fn a_patch_moves_the_answer_from_its_own_to_the_sources() {
    let target = lane(&[3, 14, 15, 9, 26]);
    let (config, weights) = model();
    let answer = |run: &WatchedRun| run.records[THINK_STEPS as usize + 2].token;
    let clean = watched(&[(target.clone(), Vec::new())]).remove(0);
    // The first of these questions that is answered otherwise.
    let questions = (0..20).map(|first| lane(&[first, 2, 21, 8]));
    let mut others = questions.map(|lane| watched(&[(lane, Vec::new())]).remove(0));
    let other = others.find(|run| answer(run) != answer(&clean));
    let other = other.expect("some question has another answer");
    let lens = || Lens::new(&config, &weights, Precision::Fast);
    let program = &target.program;
    let contrast = Contrast::new(lens(), (program, &clean), (program, &other));
    let own = contrast.standing(&clean);
    let there = contrast.standing(&other);
    assert_eq!((own.moved, there.moved), (Some(0.0), Some(1.0)));
    let product = |run: &WatchedRun| -> f64 {
        let chosen = run.records.iter().filter(|record| record.phase == 1);
        chosen.map(|record| f64::from(record.probs[0])).product()
    };
    for (found, expected) in [(own.own, product(&clean)), (there.source, product(&other))] {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    // The clean run parts from the source's answer at its first token.
    let chosen = clean.records[THINK_STEPS as usize + 2];
    let mut kept = chosen.kept();
    let of_source = kept
        .find(|kept| kept.id == answer(&other))
        .expect("32 of 40 are kept");
    assert!((own.source - f64::from(of_source.prob)).abs() < 1e-6);
    let first = THINK_STEPS + 2;
    for ((step, layer), run) in patched(&target, &other, 1..first + 1) {
        let found = contrast.standing(&run);
        let moved = found.moved.expect("answers part at their first token");
        // After the last layer nobody reads the state that a marker follows.
        let is_read = layer + 1 < config.n_layers || step != THINK_STEPS + 1;
        assert_eq!(moved != 0.0, is_read, "{step} {layer}");
        if (step, layer) == (first, config.n_layers - 1) {
            assert!((moved - 1.0).abs() < 1e-6, "{moved}");
            assert_eq!(answer(&run), answer(&other));
        }
    }
    let same = Contrast::new(lens(), (program, &clean), (program, &clean));
    assert_eq!(same.standing(&other).moved, None, "the same answer");
}

#[test]
fn a_tokens_probability_is_read_of_two_rows_of_the_head() {
    let (config, weights) = model();
    let [clean, _] = runs();
    let lens = Lens::new(&config, &weights, Precision::Fast);
    for state in &clean.states[3] {
        let all = distribution(&lens.logits(state), 1.0);
        let known = (7, all[7]);
        for (id, expected) in (0..).zip(&all) {
            let found = lens.probability(state, known, id);
            assert!((found - expected).abs() < 1e-5, "{id}: {found} {expected}");
        }
    }
}
