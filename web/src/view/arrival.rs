//! At which thought each word first came to a lane's mind.

use std::collections::BTreeMap;

use latent_model::{
    program::{Feed, Program},
    record::StepRecord,
    trace::{StepKind, step_kind},
};

use super::shares::shares;

/// A word has arrived once it has this share of a step.
pub const LEAST_SHARE: f32 = 0.05;

/// The thinking step, from 1, at which each token first had its share, up to a step of the lane.
/// A contemplation token stands for a word of a written solution and is no step of a search.
pub fn first_arrivals(
    records: &[StepRecord],
    program: &Program,
    cursor: Option<u32>,
) -> BTreeMap<u32, usize> {
    let until = cursor.unwrap_or(u32::MAX);
    let is_thought = |record: &&StepRecord| {
        record.step <= until
            && step_kind(record, program) == StepKind::Think
            && !contemplates(record, program)
    };
    let mut arrivals = BTreeMap::new();
    for (record, thought) in records.iter().filter(is_thought).zip(1..) {
        for (token, share) in shares(record) {
            if share >= LEAST_SHARE {
                arrivals.entry(token).or_insert(thought);
            }
        }
    }
    arrivals
}

/// Whether a record is one of a phase that feeds contemplation tokens.
pub fn contemplates(record: &StepRecord, program: &Program) -> bool {
    program.phases[record.phase as usize].feed == Feed::CONTEMPLATION
}

#[cfg(test)]
mod tests {
    use latent_model::record::InputKind;

    use super::*;
    use crate::view::test_records::{program, record};

    #[test]
    fn a_word_arrives_once_with_the_first_step_that_has_enough_of_it() {
        let records = [
            record(0, InputKind::Hidden, 0, &[(1, 0.96, 0.0), (2, 0.04, 0.0)]),
            record(1, InputKind::Hidden, 0, &[(2, 0.5, 0.0), (1, 0.5, 0.0)]),
            record(2, InputKind::Token, 1, &[(3, 1.0, 1.0)]),
        ];
        let program = program(Feed::THOUGHT);
        let arrivals = |cursor| first_arrivals(&records, &program, cursor);
        assert_eq!(arrivals(None), BTreeMap::from([(1, 1), (2, 2)]));
        assert_eq!(arrivals(Some(0)), BTreeMap::from([(1, 1)]));
    }

    #[test]
    fn contemplation_tokens_are_no_steps_of_a_search() {
        let records = [record(0, InputKind::Hidden, 0, &[(1, 1.0, 0.0)])];
        let program = program(Feed::CONTEMPLATION);
        assert!(first_arrivals(&records, &program, None).is_empty());
        assert!(contemplates(&records[0], &program));
    }
}
