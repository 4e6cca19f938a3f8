//! How much of each word is in a step: what shades the problem's graph.

use std::collections::BTreeMap;

use latent_model::{
    program::Program,
    record::StepRecord,
    trace::{StepKind, step_kind},
};

use super::steps::ONE_WORD;

/// Shares below this leave a word of the graph as it is.
pub const LEAST_SHADED: f32 = 0.015;

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
    let upto = &records[..records.partition_point(|record| record.step <= until)];
    let is = |record: &&StepRecord, kind| step_kind(record, program) == kind;
    let at_cursor = upto.last().filter(|record| cursor == Some(record.step));
    let answered = at_cursor.filter(|record| is(record, StepKind::Answer));
    answered.or_else(|| upto.iter().rfind(|record| is(record, StepKind::Think)))
}

/// Stands in a trail for a step that was no single word, so that the words around it pair up as
/// they stood; no vocabulary has it.
const MIXED: u32 = u32::MAX;

/// Words that a lane has thought, each with its step; for the trail along the graph's edges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    steps: Vec<u32>,
    words: Vec<u32>,
}

impl Trail {
    /// Takes up the word of a record, where what is fed next is one.
    pub fn append(&mut self, record: &StepRecord, program: &Program) {
        let weight = record.kept().map(|kept| kept.weight).fold(0.0, f32::max);
        if weight > 0.0 && step_kind(record, program) == StepKind::Think {
            let is_word = weight >= ONE_WORD;
            self.steps.push(record.step);
            self.words.push(if is_word { record.token } else { MIXED });
        }
    }

    /// The words up to a step, or all, in order; a mixture stands among them as no word at all.
    pub fn upto(&self, cursor: Option<u32>) -> &[u32] {
        let until = cursor.unwrap_or(u32::MAX);
        &self.words[..self.steps.partition_point(|step| *step <= until)]
    }
}

#[cfg(test)]
mod tests {
    use latent_model::{program::Feed, record::InputKind, tasks::prosqa};

    use super::*;
    use crate::view::test_records::{program, record};

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
        let program = program(Feed::Token);
        let shown = |cursor| shown_record(&records, &program, cursor).map(|record| record.step);
        assert_eq!(shown(None), Some(1));
        assert_eq!(shown(Some(0)), Some(0));
        assert_eq!(shown(Some(2)), Some(2));
        let mut trail = Trail::default();
        records
            .iter()
            .for_each(|record| trail.append(record, &program));
        assert_eq!(trail.upto(None), [1, 2]);
        assert_eq!(trail.upto(Some(0)), [1]);
    }

    #[test]
    fn only_steps_of_one_word_leave_a_trail() {
        let text = "Tom is a terpus. Every terpus is a gerpus. Bob is a lempus. \
                    Is Tom a gerpus or lempus?";
        let problem = prosqa::TASK.read(text).expect("decided");
        let graph = problem.graph().expect("a graph");
        let said = |weights: [f32; 4]| {
            let words = ["Tom", "terpus", "terpus", "gerpus"];
            let program = program(Feed::Concept);
            let mut trail = Trail::default();
            for ((word, weight), step) in words.iter().zip(weights).zip(0..) {
                let token = graph.nodes[graph.node(word).expect(word)].token;
                let kept = [(token, weight, weight), (0, 1.0 - weight, 1.0 - weight)];
                trail.append(&record(step, InputKind::Concept, 0, &kept), &program);
            }
            graph.edges_said(trail.upto(None))
        };
        assert_eq!(said([1.0; 4]).len(), 2);
        assert_eq!(said([0.6; 4]), [] as [usize; 0], "every step was a mixture");
        let second = said([1.0, 0.6, 1.0, 1.0]);
        assert_eq!(second.len(), 1, "the pairs stay as they stood");
        assert_eq!(graph.nodes[graph.edges[second[0]][0]].word, "terpus");
    }
}
