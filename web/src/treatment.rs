//! What is done to lanes on their way: changed inputs, and lanes that go on from another one's step.

use std::{collections::BTreeMap, sync::Arc};

use latent_gpu::AnyEngine;
use latent_model::{
    address::{ChangeKind, LaneChoice},
    analysis::{
        fork::{Continue, continuation, fork},
        intervention::{Change, Intervention, Ran, run_to_end_with},
    },
    engine::LaneSpec,
    input::Input,
};

use crate::session::{Checkpoint, SessionError};

/// A lane as its engine runs it.
pub type TreatedLane = (LaneSpec, Vec<Intervention>);

/// The lanes that others look at: what they were fed must be known first. Counted from 0.
pub fn sources(lanes: &[LaneChoice]) -> Vec<usize> {
    let mut found: Vec<usize> = lanes.iter().flat_map(of_lane).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn of_lane(lane: &LaneChoice) -> Vec<usize> {
    let numbers = lane.looks_at().into_iter();
    numbers.map(|number| number - 1).collect()
}

/// Why a lane cannot look at another one; lanes are counted from 0 here and from 1 in the text.
pub fn check_sources(lanes: &[LaneChoice]) -> Result<(), SessionError> {
    for (index, lane) in lanes.iter().enumerate() {
        for source in of_lane(lane) {
            let is_alike = |other: &LaneChoice| other.model == lane.model;
            if source >= index || !is_alike(&lanes[source]) {
                return Err(SessionError::Source {
                    lane: index + 1,
                    looked_at: source + 1,
                });
            }
        }
    }
    Ok(())
}

/// The lanes with all that is done to them. Lanes that others look at run once beforehand, on the
/// engine of their checkpoint; a run that was under way there is dropped.
pub async fn treated(
    lanes: &[LaneChoice],
    specs: &[LaneSpec],
    checkpoints: &[Arc<Checkpoint>],
    engines: &mut BTreeMap<String, AnyEngine>,
) -> Result<Vec<TreatedLane>, SessionError> {
    check_sources(lanes)?;
    let sources = sources(lanes);
    let mut done: Vec<TreatedLane> = Vec::new();
    let mut ran: BTreeMap<usize, Ran> = BTreeMap::new();
    for (index, (lane, spec)) in lanes.iter().zip(specs).enumerate() {
        let treated = treat(lane, spec, &done, &ran)?;
        if sources.contains(&index) {
            let model = &checkpoints[index].model;
            let engine = engines.get_mut(&lane.model).ok_or(SessionError::NotBegun)?;
            let one = std::slice::from_ref(&treated);
            let found = run_to_end_with(engine, (&model.config, &model.weights), one, true).await;
            let found = found.map_err(|error| error.with_lane(|_| index + 1))?;
            ran.extend(found.into_iter().map(|ran| (index, ran)));
        }
        done.push(treated);
    }
    Ok(done)
}

/// One lane, after those that it looks at.
fn treat(
    lane: &LaneChoice,
    spec: &LaneSpec,
    before: &[TreatedLane],
    ran: &BTreeMap<usize, Ran>,
) -> Result<TreatedLane, SessionError> {
    let source = |index: usize| ran.get(&index).ok_or(SessionError::NotBegun);
    let spec = match lane.fork {
        None => spec.clone(),
        Some(choice) => {
            let how = match choice.answers {
                true => Continue::Answering,
                false => Continue::Thinking,
            };
            let (of_source, _) = &before[choice.lane - 1];
            let program = continuation(&spec.program, how);
            let forked = fork(of_source, source(choice.lane - 1)?, choice.step, program)?;
            LaneSpec {
                stream: spec.stream,
                ..forked
            }
        }
    };
    let mut interventions = Vec::new();
    for choice in &lane.changes {
        let step = choice.step;
        let change = match &choice.kind {
            ChangeKind::Zero => Change::Zero,
            ChangeKind::Noise(relative, seed) => Change::Noise {
                relative: *relative,
                seed: *seed,
            },
            ChangeKind::Shuffle(seed) => Change::Shuffle { seed: *seed },
            ChangeKind::Freeze => Change::Freeze,
            ChangeKind::Nearest => Change::Nearest,
            ChangeKind::Force(token) => Change::Force(*token),
            ChangeKind::Mix(parts) => Change::Replace(Input::Mixture(parts.clone())),
            ChangeKind::Swap(other) => {
                let fed = &source(other - 1)?.fed;
                let n = fed.len();
                let input = fed.get(step as usize);
                let input = input.ok_or(SessionError::NoSuchStep {
                    lane: *other,
                    step,
                    n,
                })?;
                Change::Replace(input.clone())
            }
        };
        interventions.push(Intervention::at(step, change));
    }
    Ok((spec, interventions))
}

#[cfg(test)]
mod tests {
    use latent_model::{
        address::{Address, AddressError},
        program::Program,
        record::StepRecord,
        strategy::Strategy,
        tasks::prosqa,
        tokenizer::Tokenizer,
    };

    use super::*;

    fn lanes(text: &str) -> Vec<LaneChoice> {
        let address: Result<Address, AddressError> = format!("lanes={text}").parse();
        address.expect(text).lanes.expect("it has lanes")
    }

    #[test]
    fn a_lane_looks_only_at_lanes_before_it_of_its_own_checkpoint() {
        let good = lanes("a:coconut;b:soft;a:coconut,from=1-2;a:coconut,at=1-swap-3");
        assert_eq!(sources(&good), [0, 2]);
        assert!(check_sources(&good).is_ok());
        for wrong in [
            "a:soft,from=1-2",
            "a:soft,from=2-2;a:soft",
            "b:soft;a:soft,at=1-swap-1",
        ] {
            let error = check_sources(&lanes(wrong)).expect_err(wrong).to_string();
            assert!(
                error.contains("before it") && error.contains("checkpoint"),
                "{error}"
            );
        }
    }

    fn program(tokenizer: &Tokenizer) -> Program {
        let coconut = Strategy::by_name("coconut").expect("in the table");
        let program = coconut.program(&Default::default(), tokenizer, Default::default());
        program.expect("it has all markers")
    }

    #[test]
    fn a_swap_takes_what_the_other_lane_was_fed_and_a_fork_its_inputs() {
        let json = prosqa::TASK.tokenizer_json().to_string();
        let tokenizer = Tokenizer::from_json(&json).expect("the task's own");
        let spec = LaneSpec {
            inputs: Input::tokens(&[1, 2]),
            program: program(&tokenizer),
            seed: 0,
            stream: 0,
            decode_thoughts: true,
        };
        let record: StepRecord = bytemuck::Zeroable::zeroed();
        let fed = vec![Input::Token(7), Input::Vector(vec![0.5])];
        let ran = BTreeMap::from([(
            0,
            Ran {
                records: vec![record; 3],
                fed: fed.clone(),
            },
        )]);
        let before = [(spec.clone(), Vec::new())];
        let choices = lanes("a:coconut;a:coconut,at=1-swap-1;a:coconut,from=1-1-answer");
        let (_, changes) = treat(&choices[1], &spec, &before, &ran).expect("it was fed there");
        let expected = Intervention::at(1, Change::Replace(fed[1].clone()));
        assert_eq!(changes, [expected]);
        let (forked, _) = treat(&choices[2], &spec, &before, &ran).expect("it was fed there");
        assert_eq!(forked.inputs, [&spec.inputs[..], &fed[..]].concat());
        assert_eq!(forked.program.phases.len(), 1, "it answers");
        let late = lanes("a:coconut;a:coconut,at=2-swap-1");
        let error = treat(&late[1], &spec, &before, &ran).expect_err("there is no such step");
        assert!(error.to_string().contains("lane 1"), "{error}");
    }
}
