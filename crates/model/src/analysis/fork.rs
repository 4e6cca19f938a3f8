//! Forks: another lane that goes on from a step of a run, in its own way.

use super::intervention::Ran;
use crate::{
    engine::LaneSpec,
    program::{Adapter, Program, Role},
};

/// How a fork goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continue {
    /// It thinks on, in its program's way; what its phases count begins anew.
    Thinking,
    /// It stops thinking, by its program's own marker, and answers.
    Answering,
}

/// A fork that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// The run has no such step, or ended with it.
    #[error("a fork begins after a step that was followed by an input, 0 to {}; found {step}", n - 1)]
    NoStep {
        /// The step asked for.
        step: u32,
        /// Inputs that followed a step, at least one.
        n: usize,
    },
    /// Inputs of the run are not known.
    #[error("a fork needs a run whose inputs were kept")]
    NoInputs,
    /// What a lane is given runs under the base weights, so the fork would not be in its place.
    #[error("a lane under adapters of CCOT has no forks: phase {phase} runs under {}", adapter.name())]
    Adapted {
        /// The phase.
        phase: u32,
        /// Its weights.
        adapter: Adapter,
    },
}

/// What is left of a program for a lane that has begun already.
pub fn continuation(program: &Program, how: Continue) -> Program {
    let thinks = |phase: &&crate::program::Phase| phase.role == Role::Think;
    match how {
        Continue::Thinking => Program {
            start: Vec::new(),
            phases: program.phases.clone(),
        },
        Continue::Answering => {
            let last = program.phases.iter().rfind(thinks);
            let answers = program.phases.iter().filter(|phase| !thinks(phase));
            Program {
                start: last.map_or_else(Vec::new, |phase| phase.then_force.clone()),
                phases: answers.cloned().collect(),
            }
        }
    }
}

/// A lane that is given what `spec`'s lane was fed up to and with the input after `step`, and goes
/// on with `program`, as it is ([`continuation`] takes off what is not to come again). Beside its
/// source it reads the same keys and values as far as both are given the same, and so do other
/// forks ([`crate::engine::shared_prefixes`]).
///
/// # Errors
/// If the run was not followed by an input after the step, or runs under adapters by then.
pub fn fork(
    spec: &LaneSpec,
    ran: &Ran,
    step: u32,
    program: Program,
) -> Result<LaneSpec, ForkError> {
    let n = ran.fed.len();
    if n == 0 {
        return Err(ForkError::NoInputs);
    }
    let fed = ran
        .fed
        .get(..=step as usize)
        .ok_or(ForkError::NoStep { step, n })?;
    for record in &ran.records[..=step as usize] {
        let adapter = spec.program.phases[record.phase as usize].adapter;
        if adapter != Adapter::Base {
            let phase = record.phase;
            return Err(ForkError::Adapted { phase, adapter });
        }
    }
    Ok(LaneSpec {
        inputs: spec.inputs.iter().chain(fed).cloned().collect(),
        program,
        ..spec.clone()
    })
}
