//! Records, programs and problems for the tests of the views.

use latent_model::{
    program::{Adapter, Feed, Phase, Program, Role, Sampler, Until},
    record::{InputKind, StepRecord},
    tasks::{Problem, arithmetic},
};

/// A greedy phase that nothing but its length ends.
pub fn phase(role: Role, feed: Feed) -> Phase {
    Phase {
        role,
        feed,
        sampler: Sampler::GREEDY,
        until: Until::steps(64),
        then_force: Vec::new(),
        adapter: Adapter::Base,
    }
}

/// Thinks in one kind of input, then answers in words.
pub fn program(feed: Feed) -> Program {
    Program {
        start: Vec::new(),
        phases: vec![phase(Role::Think, feed), phase(Role::Answer, Feed::Token)],
    }
}

/// A record with these (id, probability, weight) kept.
pub fn record(step: u32, input: InputKind, phase: u32, kept: &[(u32, f32, f32)]) -> StepRecord {
    let mut record: StepRecord = bytemuck::Zeroable::zeroed();
    record.step = step;
    record.phase = phase;
    record.input = input as u32;
    record.n_kept = kept.len() as u32;
    record.token = kept.first().map_or(0, |entry| entry.0);
    for (index, &(id, prob, weight)) in kept.iter().enumerate() {
        record.ids[index] = id;
        record.probs[index] = prob;
        record.weights[index] = weight;
    }
    record
}

/// A story of one computation.
pub fn three_times_four() -> Problem {
    Problem::from(arithmetic::Problem {
        question: "How many?".into(),
        steps: vec![arithmetic::Step {
            expression: "3*4".into(),
            result: 12,
        }],
        answer: 12,
    })
}
