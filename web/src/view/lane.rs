//! What is drawn of a lane, taken up record by record: nothing is computed twice in a run.

use latent_model::{
    program::Program,
    record::{StepRecord, flag},
    tasks::Task,
    trace::{StepKind, step_kind},
};

use super::{
    chart::Curve,
    sentences::Sentences,
    shares::Trail,
    steps::{StepView, step_view},
};

/// A lane as its stream, the chart, the graph and the story show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaneView {
    /// The rows of the stream, one a step.
    pub rows: Vec<StepView>,
    /// What it has said in words.
    pub sentences: Sentences,
    /// Its line in the chart.
    pub curve: Curve,
    /// Its way along the graph's edges.
    pub trail: Trail,
    /// The tokens of its answer.
    pub answer: Vec<u32>,
    think_steps: usize,
    /// Sum, in nats at temperature 1, and number of the entropies of its thinking steps.
    entropies: (f32, usize),
    is_done: bool,
}

impl LaneView {
    /// Goes on by the records that follow those so far; `word` names a token.
    pub fn append(
        &mut self,
        records: &[StepRecord],
        program: &Program,
        task: Task,
        word: impl Fn(u32) -> String,
    ) {
        for record in records {
            self.rows.push(step_view(record, program, &word));
            self.sentences.append(record, program, task, &word);
            self.curve.append(record);
            self.trail.append(record, program);
            self.is_done = record.has(flag::DONE);
            match step_kind(record, program) {
                StepKind::Answer => self.answer.push(record.token),
                StepKind::Think => {
                    self.think_steps += 1;
                    if record.n_kept > 0 {
                        self.entropies.0 += record.raw_entropy;
                        self.entropies.1 += 1;
                    }
                }
                StepKind::Marker | StepKind::Stop => {}
            }
        }
    }

    /// How many steps it has thought.
    pub fn think_steps(&self) -> usize {
        self.think_steps
    }

    /// Mean entropy of its thinking steps, in nats at temperature 1, where any was computed.
    pub fn mean_entropy(&self) -> Option<f32> {
        let (sum, n_entropies) = self.entropies;
        (n_entropies > 0).then(|| sum / n_entropies as f32)
    }

    /// Whether it has come to its end.
    pub fn is_done(&self) -> bool {
        self.is_done
    }
}

#[cfg(test)]
mod tests {
    use latent_model::{
        program::Feed,
        record::InputKind,
        tasks::TASKS,
        trace::{answer_ids, summary},
    };
    use proptest::prelude::*;

    use super::*;
    use crate::view::test_records::{program, record};

    /// Records of a lane that thinks and then answers, over a task's whole vocabulary.
    fn any_records() -> impl Strategy<Value = Vec<StepRecord>> {
        let token = prop_oneof![0..4_u32, 0..64_u32];
        let one = (token, 0..3_usize, 0.0..3.0_f32, prop::bool::weighted(0.1));
        (prop::collection::vec(one, 0..60), 0..60_usize).prop_map(|(drawn, n_thinking)| {
            let one =
                |(step, (token, n_kept, entropy, marks)): (usize, (u32, usize, f32, bool))| {
                    let phase = u32::from(step >= n_thinking);
                    let kept = [(token, 0.6, 0.6), (token + 1, 0.4, 0.4)];
                    let mut record = record(step as u32, InputKind::Token, phase, &kept[..n_kept]);
                    record.token = token;
                    record.entropy = entropy;
                    record.raw_entropy = entropy / 2.0;
                    let flags = [flag::FORCED, flag::STOP, flag::COLD_STOP, flag::DONE];
                    record.flags = if marks { flags[step % flags.len()] } else { 0 };
                    record
                };
            drawn.into_iter().enumerate().map(one).collect()
        })
    }

    proptest! {
        #[test]
        fn appending_piece_by_piece_equals_taking_up_the_whole(
            records in any_records(),
            cuts in prop::collection::vec(0..60_usize, 0..8),
            feed in prop::sample::select(vec![Feed::Token, Feed::Concept]),
            task in prop::sample::select(TASKS),
        ) {
            let program = program(feed);
            let vocabulary = task.vocabulary();
            let word = |id: u32| vocabulary[id as usize % vocabulary.len()].clone();
            let mut whole = LaneView::default();
            whole.append(&records, &program, task, word);
            let mut piecewise = LaneView::default();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(records.len())).collect();
            cuts.extend([0, records.len()]);
            cuts.sort_unstable();
            for piece in cuts.windows(2) {
                piecewise.append(&records[piece[0]..piece[1]], &program, task, word);
            }
            prop_assert_eq!(&piecewise, &whole);

            // And both are what the trace says of the records as a whole.
            let counted = summary(&records, &program);
            prop_assert_eq!(whole.think_steps(), counted.think_steps);
            prop_assert_eq!(whole.answer.len(), counted.answer_tokens);
            prop_assert_eq!(whole.is_done(), counted.done);
            // The trace's mean is of the sampler's entropies, which are twice as large here.
            match (whole.mean_entropy(), counted.mean_entropy) {
                (Some(raw), Some(sampler)) => prop_assert!((2.0 * raw - sampler).abs() < 1e-4),
                (raw, sampler) => prop_assert_eq!(raw, sampler),
            }
            prop_assert_eq!(&whole.answer, &answer_ids(&records, &program));
            let rows: Vec<StepView> = records
                .iter()
                .map(|record| step_view(record, &program, word))
                .collect();
            prop_assert_eq!(&whole.rows, &rows);
            for (point, pair) in whole.curve.points.iter().zip(records.windows(2)) {
                prop_assert_eq!(point.ends_phase, pair[0].phase != pair[1].phase);
            }
            for sentence in whole.sentences.all() {
                prop_assert_eq!(whole.sentences.at(sentence.step), Some(sentence));
            }
        }
    }
}
