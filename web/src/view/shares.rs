//! How much of each word is in a step: what shades the problem's graph.

use std::collections::BTreeMap;

use latent_model::{
    program::Program,
    record::StepRecord,
    trace::{StepKind, step_kind},
};

/// Part of each token in one step, 0 to 1.
pub type Shares = BTreeMap<u32, f32>;

/// The parts of a step: weights where something was mixed or chosen, else probabilities.
pub fn shares(record: &StepRecord) -> Shares {
    let weighs = record.kept().any(|kept| kept.weight > 0.0);
    let share = |kept: latent_model::record::Kept| {
        let share = if weighs { kept.weight } else { kept.prob };
        (kept.id, share)
    };
    record.kept().map(share).collect()
}

/// The step that is shown at `cursor`, or the latest one: markers show the step before them, and
/// the answer is left out, so that the last thing thought stays visible.
pub fn shown_record<'a>(
    records: &'a [StepRecord],
    program: &Program,
    cursor: Option<u32>,
) -> Option<&'a StepRecord> {
    let until = cursor.unwrap_or(u32::MAX);
    let thought = |record: &&StepRecord| step_kind(record, program) == StepKind::Think;
    let answered = |record: &&StepRecord| {
        cursor == Some(record.step) && step_kind(record, program) == StepKind::Answer
    };
    let upto = || records.iter().filter(move |record| record.step <= until);
    let at_cursor = upto().find(answered);
    at_cursor.or_else(|| upto().rfind(thought))
}

/// Words that a lane has thought up to a step, in order; for the trail along the graph's edges.
pub fn trail(records: &[StepRecord], program: &Program, cursor: Option<u32>) -> Vec<u32> {
    let until = cursor.unwrap_or(u32::MAX);
    records
        .iter()
        .filter(|record| record.step <= until && step_kind(record, program) == StepKind::Think)
        .filter(|record| record.n_kept > 0 && record.weights[0] > 0.0)
        .map(|record| record.token)
        .collect()
}

#[cfg(test)]
mod tests {
    use latent_model::{
        program::{Feed, Phase, Role, Sampler, Until},
        record::InputKind,
    };

    use super::*;
    use crate::view::test_records::record;

    fn program() -> Program {
        let phase = |role| Phase {
            role,
            feed: Feed::Token,
            sampler: Sampler::GREEDY,
            until: Until {
                max_steps: 4,
                stop_token: None,
                cold_stop: None,
                end_classifier: None,
            },
            then_force: None,
        };
        Program {
            start: None,
            phases: vec![phase(Role::Think), phase(Role::Answer)],
        }
    }

    #[test]
    fn a_mixture_shares_by_weight_and_a_thought_by_probability() {
        let mixed = record(0, InputKind::Concept, 0, &[(1, 0.9, 0.5), (2, 0.1, 0.5)]);
        assert_eq!(shares(&mixed), Shares::from([(1, 0.5), (2, 0.5)]));
        let thought = record(0, InputKind::Hidden, 0, &[(1, 0.9, 0.0), (2, 0.1, 0.0)]);
        assert_eq!(shares(&thought), Shares::from([(1, 0.9), (2, 0.1)]));
    }

    #[test]
    fn the_last_thinking_step_stays_shown_while_the_answer_comes() {
        let records = [
            record(0, InputKind::Token, 0, &[(1, 1.0, 1.0)]),
            record(1, InputKind::Token, 0, &[(2, 1.0, 1.0)]),
            record(2, InputKind::Token, 1, &[(3, 1.0, 1.0)]),
        ];
        let shown = |cursor| shown_record(&records, &program(), cursor).map(|record| record.step);
        assert_eq!(shown(None), Some(1));
        assert_eq!(shown(Some(0)), Some(0));
        assert_eq!(shown(Some(2)), Some(2));
        assert_eq!(trail(&records, &program(), None), [1, 2]);
        assert_eq!(trail(&records, &program(), Some(0)), [1]);
    }
}
