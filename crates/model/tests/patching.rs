//! Activation patching on the reference engine: what a patch reaches, and what it leaves alone.

mod common;

use latent_model::{
    analysis::{
        intervention::{Change, Intervention, run_to_end_with},
        patching::{WatchedRun, cone, patched_runs, run_watched},
    },
    engine::{Engine, EngineError, LaneSpec},
    input::Input,
    program::{Adapter, Feed, Phase, Program, Role, Sampler, Until},
    record::StepRecord,
    reference::{Forward, Patch, Precision},
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

fn watched(lanes: &[(LaneSpec, Vec<Patch>)]) -> Vec<WatchedRun> {
    block_on(run_watched(&mut engine(), lanes)).expect("the run succeeds")
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
    let patched = block_on(patched_runs(&mut engine(), &target, &clean, steps));
    let patched = patched.expect("the run succeeds");
    assert_eq!(patched.len(), clean.records.len() * config.n_layers);
    for patched in patched {
        let (step, layer) = (patched.step, patched.layer);
        assert!(patched.run == clean, "{step} {layer}");
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
        let patch = other.patch(step, layer).expect("the other run thinks too");
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
    let patched = block_on(patched_runs(&mut engine(), &target, &other, steps));
    for patched in patched.expect("the run succeeds") {
        let cone = cone(&clean, &patched.run);
        let place = (patched.step as usize, patched.layer);
        for (step, layers) in cone.iter().enumerate().take(THINK_STEPS as usize + 1) {
            for (layer, &moved) in layers.iter().enumerate() {
                let reached = step > place.0 || (step == place.0 && layer >= place.1);
                assert_eq!(moved > 0.0, reached, "{place:?}: {step} {layer} {moved}");
            }
        }
        let state = &other.states[place.0][place.1];
        assert_eq!(&patched.run.states[place.0][place.1], state);
    }
}

#[test]
fn one_lanes_patch_is_not_anothers() {
    let specs = [lane(&[3, 14, 15, 9, 26]), lane(&[7, 2, 21, 8])];
    let [first, second] = runs();
    let patch = second.patch(2, 0).expect("it has a second step");
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
        step: 1,
        layer,
        state,
    };
    let early = engine.watch(0, Vec::new());
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
        let error = engine.watch(0, vec![patch]).expect_err("it does not fit");
        let message = error.to_string();
        assert!(message.contains("lane 0: a patch has"), "{message}");
        assert!(message.contains(&found), "{message}");
    }
}
