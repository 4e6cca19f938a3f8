//! What is done to lanes on their way: changed inputs, and lanes that go on from another one's step.

use std::collections::BTreeMap;

use super::{
    fork::{Continue, ForkError, continuation, fork},
    intervention::{Change, Intervention, Ran, run_to_end_with},
};
use crate::{
    address::{ChangeChoice, ChangeKind, ForkChoice, LaneChoice, ProblemChoice},
    engine::{Engine, EngineError, LaneSpec},
    input::Input,
    model::Model,
    tasks::{Difficulty, Picture, Problem, Task},
    tokenizer::TokenizerError,
};

/// A lane as its engine runs it.
pub type TreatedLane = (LaneSpec, Vec<Intervention>);

/// A swap with another problem, and what the lane is fed there.
type OtherProblem = (ChangeKind, Vec<Input>);

/// Why something cannot be done to a lane.
#[derive(Debug, thiserror::Error)]
pub enum TreatmentError {
    /// A lane that looks at one that it cannot look at; both are counted from 1.
    #[error(
        "lane {lane} looks at lane {looked_at}, which must stand before it and have the same checkpoint"
    )]
    Source {
        /// The lane.
        lane: usize,
        /// The other one.
        looked_at: usize,
    },
    /// A step that the other lane did not have.
    #[error("lane {lane} was fed nothing after step {step}; it was after steps 0 to {}", n.saturating_sub(1))]
    NoSuchStep {
        /// The other lane, counted from 1.
        lane: usize,
        /// The step.
        step: u32,
        /// How many it was fed something after.
        n: usize,
    },
    /// A step that the run on another problem did not have.
    #[error("on problem {seed} the lane is fed nothing after step {step}; it is after steps 0 to {}", n.saturating_sub(1))]
    NoSuchStepThere {
        /// The other problem's seed.
        seed: u64,
        /// The step.
        step: u32,
        /// How many it is fed something after.
        n: usize,
    },
    /// A swap with another problem where none are generated.
    #[error("a thought cannot be swapped with another problem's: none are generated for {0}")]
    NoOtherProblem(&'static str),
    /// A lane that cannot go on from a step.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// Another problem that the checkpoint cannot read.
    #[error(transparent)]
    Prompt(#[from] TokenizerError),
    /// The engine failed; lanes are counted from 1.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The caller has not opened an engine.
    #[error("no engine is open for the checkpoint {0}")]
    NoEngine(String),
}

/// The stream of each lane's random draws: equal lanes count up, so that they differ, and a lane
/// that stands alone has stream 0.
pub fn streams(lanes: &[LaneChoice]) -> Vec<u32> {
    let equal_before = |index: usize| {
        let earlier = lanes[..index].iter();
        earlier.filter(|lane| **lane == lanes[index]).count() as u32
    };
    (0..lanes.len()).map(equal_before).collect()
}

/// The lanes that others look at: what they were fed must be known first. Counted from 0.
fn sources(lanes: &[LaneChoice]) -> Vec<usize> {
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
fn check_sources(lanes: &[LaneChoice]) -> Result<(), TreatmentError> {
    for (index, lane) in lanes.iter().enumerate() {
        for source in of_lane(lane) {
            let is_alike = |other: &LaneChoice| other.model == lane.model;
            if source >= index || !is_alike(&lanes[source]) {
                return Err(TreatmentError::Source {
                    lane: index + 1,
                    looked_at: source + 1,
                });
            }
        }
    }
    Ok(())
}

/// The lanes with all that is done to them. Lanes that others look at, and other problems that
/// thoughts are swapped with, run once beforehand, on the engine of their checkpoint; a run that
/// was under way there is dropped. `specs` and `models` are the lanes' own, `engines` are by
/// checkpoint.
///
/// # Errors
/// If a lane looks at one that it cannot look at, or at a step that is not there, and where the
/// engine fails.
pub async fn treated<E: Engine>(
    task: Task,
    lanes: &[LaneChoice],
    specs: &[LaneSpec],
    models: &[&Model],
    engines: &mut BTreeMap<String, E>,
) -> Result<Vec<TreatedLane>, TreatmentError> {
    check_sources(lanes)?;
    let sources = sources(lanes);
    let mut done: Vec<TreatedLane> = Vec::new();
    let mut ran: BTreeMap<usize, Ran> = BTreeMap::new();
    for (index, (lane, spec)) in lanes.iter().zip(specs).enumerate() {
        let model = models[index];
        let engine = engines.get_mut(&lane.model);
        let engine = engine.ok_or_else(|| TreatmentError::NoEngine(lane.model.clone()))?;
        let others = other_problems(task, lane, spec, model, engine).await;
        let others = others?.map_err(|error| error.with_lane(|_| index + 1))?;
        let treated = treat(lanes, lane, spec, &done, (&ran, &others))?;
        if sources.contains(&index) {
            let one = std::slice::from_ref(&treated);
            let found = run_to_end_with(engine, (&model.config, &model.weights), one, true).await;
            let found = found.map_err(|error| error.with_lane(|_| index + 1))?;
            ran.extend(found.into_iter().map(|ran| (index, ran)));
        }
        done.push(treated);
    }
    Ok(done)
}

/// What a lane is fed on the other problems that its thoughts are swapped with, nothing being done
/// to it there. The inner error is the engine's, which counts lanes in its own way.
async fn other_problems<E: Engine>(
    task: Task,
    lane: &LaneChoice,
    spec: &LaneSpec,
    model: &Model,
    engine: &mut E,
) -> Result<Result<Vec<OtherProblem>, EngineError>, TreatmentError> {
    let mut others: Vec<OtherProblem> = Vec::new();
    for ChangeChoice { kind, .. } in &lane.changes {
        let ChangeKind::SwapProblem(difficulty, seed) = *kind else {
            continue;
        };
        if others.iter().any(|(known, _)| known == kind) {
            continue;
        }
        if task.picture() == Picture::Text {
            return Err(TreatmentError::NoOtherProblem(task.title()));
        }
        let there = on_problem(spec, model, &task.generate(seed, difficulty))?;
        let run = (&model.config, &model.weights);
        match run_to_end_with(engine, run, &[(there, Vec::new())], true).await {
            Ok(ran) => {
                let fed = ran.into_iter().flat_map(|ran| ran.fed).collect();
                others.push((kind.clone(), fed));
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(others))
}

/// The lane on another problem.
///
/// # Errors
/// If the problem has words that the model does not know.
pub fn on_problem(
    spec: &LaneSpec,
    model: &Model,
    problem: &Problem,
) -> Result<LaneSpec, TreatmentError> {
    Ok(LaneSpec {
        inputs: Input::tokens(&model.prompt(problem.question())?),
        ..spec.clone()
    })
}

/// The problem that a choice is compared with where nobody names one: the next of its size.
pub fn next_problem(choice: &ProblemChoice) -> (Difficulty, u64) {
    match choice {
        ProblemChoice::Drawn { difficulty, seed } => (*difficulty, seed.wrapping_add(1)),
        // The shipped examples are official problems.
        ProblemChoice::Example(_) => (Difficulty::Official, 1),
        ProblemChoice::Typed(_) | ProblemChoice::Said(_) => (Difficulty::Class, 1),
    }
}

/// The steps that a fork takes over from the lanes that it goes on from: its own step 0 is so
/// many steps behind the prompt.
fn steps_before(lanes: &[LaneChoice], lane: &LaneChoice) -> u32 {
    let before = |fork: ForkChoice| fork.step + 1 + steps_before(lanes, &lanes[fork.lane - 1]);
    lane.fork.map_or(0, before)
}

/// One of the lanes, after those that it looks at and on the other problems that it is given
/// thoughts of.
fn treat(
    lanes: &[LaneChoice],
    lane: &LaneChoice,
    spec: &LaneSpec,
    before: &[TreatedLane],
    (ran, others): (&BTreeMap<usize, Ran>, &[OtherProblem]),
) -> Result<TreatedLane, TreatmentError> {
    // Without inputs, of which a fork and a swap complain.
    let unknown = Ran {
        records: Vec::new(),
        fed: Vec::new(),
    };
    let source = |index: usize| ran.get(&index).unwrap_or(&unknown);
    let spec = match lane.fork {
        None => spec.clone(),
        Some(choice) => {
            let how = match choice.answers {
                true => Continue::Answering,
                false => Continue::Thinking,
            };
            let (of_source, _) = &before[choice.lane - 1];
            let program = continuation(&spec.program, how);
            let forked = fork(of_source, source(choice.lane - 1), choice.step, program)?;
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
                let fed = &source(other - 1).fed;
                let n = fed.len();
                let input = fed.get(step as usize);
                let input = input.ok_or(TreatmentError::NoSuchStep {
                    lane: *other,
                    step,
                    n,
                })?;
                Change::Replace(input.clone())
            }
            ChangeKind::SwapProblem(_, seed) => {
                let other = others.iter().find(|(kind, _)| *kind == choice.kind);
                let fed = other.map_or(&[][..], |(_, fed)| fed);
                let (step, n) = (step + steps_before(lanes, lane), fed.len());
                let input = fed.get(step as usize);
                let seed = *seed;
                let input = input.ok_or(TreatmentError::NoSuchStepThere { seed, step, n })?;
                Change::Replace(input.clone())
            }
        };
        interventions.push(Intervention::at(step, change));
    }
    Ok((spec, interventions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::{Address, AddressError},
        program::Program,
        record::StepRecord,
        strategy::{STRATEGIES, Strategy},
        tasks::prosqa,
        tokenizer::Tokenizer,
    };

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

    #[test]
    fn equal_lanes_get_streams_of_their_own() {
        let soft = LaneChoice::new("a", &STRATEGIES[0]);
        let other = LaneChoice::new("b", &STRATEGIES[0]);
        let lanes = [soft.clone(), other, soft.clone(), soft];
        assert_eq!(streams(&lanes), [0, 0, 1, 2]);
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
        let choices = lanes(
            "a:coconut;a:coconut,at=1-swap-1;a:coconut,from=1-1-answer;\
             a:coconut,from=1-1,at=0-swap-class-9",
        );
        let treated = |index: usize, others: &[OtherProblem]| {
            treat(&choices, &choices[index], &spec, &before, (&ran, others))
        };
        let (_, changes) = treated(1, &[]).expect("it was fed there");
        let expected = Intervention::at(1, Change::Replace(fed[1].clone()));
        assert_eq!(changes, [expected]);
        let (forked, _) = treated(2, &[]).expect("it was fed there");
        assert_eq!(forked.inputs, [&spec.inputs[..], &fed[..]].concat());
        assert_eq!(forked.program.phases.len(), 1, "it answers");
        let late = lanes("a:coconut;a:coconut,at=2-swap-1");
        let late = treat(&late, &late[1], &spec, &before, (&ran, &[]));
        let error = late.expect_err("there is no such step");
        assert!(error.to_string().contains("lane 1"), "{error}");
        // The fork's step 0 is step 2 of a run from the prompt.
        let kind = ChangeKind::SwapProblem(Difficulty::Class, 9);
        let there = |n: u32| vec![(kind.clone(), Input::tokens(&[7, 8, 9][..n as usize]))];
        let (_, changes) = treated(3, &there(3)).expect("it is fed there");
        let expected = Intervention::at(0, Change::Replace(Input::Token(9)));
        assert_eq!(changes, [expected]);
        let error = treated(3, &there(2)).expect_err("it has ended there");
        assert!(error.to_string().contains("on problem 9"), "{error}");
    }
}
