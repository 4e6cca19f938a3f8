//! The training methods of the Coconut paper, as ways of laying out one example.
//!
//! Hao et al., arXiv 2412.06769, section 4; iCoT: Deng et al., arXiv 2405.14838; pause tokens:
//! Goyal et al., arXiv 2310.02226; supervised concept tokens: CoT2, Gozeten et al. 2025.
//!
//! A method is a [`SequenceLayout`], and for those with a curriculum a [`Stage`] that takes reasoning away:
//!
//! | method | layout | what is taken away |
//! |---|---|---|
//! | CoT | `cot` | nothing |
//! | no-CoT | `no-cot` | all, at once |
//! | iCoT | `no-cot` | token after token, from the left |
//! | Coconut without thought | `no-cot` | step after step |
//! | pause | `pause` | all, at once |
//! | pause as thought | `pause` | step after step, a pause in the place of each |
//! | Coconut without curriculum | `coconut` | all, at once |
//! | Coconut | `coconut` | step after step, thoughts in the place of each |
//! | Coconut, supervised | `coconut` | all, at once; thoughts are supervised |
//! | Soft Thinking, supervised | `soft` | all, at once; concept tokens are supervised |
//! | CCOT | `ccot` | all; [`crate::ccot`] puts contemplation tokens in its place |

use serde::{Deserialize, Serialize};

use crate::example::{Distribution, Example, Target};
use latent_model::tasks::Markers;

/// What stands between a question and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SequenceLayout {
    /// `question <think> steps </think> ### answer <eos>`.
    Cot,
    /// `question ### answer <eos>`.
    NoCot,
    /// `question <pause> × k ### answer <eos>`.
    Pause,
    /// `question <bot> · thought × k · <eot> ### answer <eos>`.
    Coconut,
    /// `question <think> · concept token × k · </think> ### answer <eos>`.
    Soft,
    /// `question <think> · contemplation token × k · </think> ### answer <eos>`, k of each example's
    /// own.
    Ccot,
}

/// How much of the reasoning in words is taken away, and what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Steps taken away from the left.
    pub steps: usize,
    /// Tokens taken away from the left, beside the steps (iCoT).
    pub tokens: usize,
    /// Thoughts, concept tokens or pauses.
    pub slots: usize,
}

impl Stage {
    /// No words at all, and this many slots.
    pub fn wordless(slots: usize) -> Stage {
        Stage {
            steps: usize::MAX,
            tokens: 0,
            slots,
        }
    }
}

/// What is fed in a position that no token stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latent {
    /// The state after the final norm.
    Thought,
    /// The mixture that the sampler of the strategy `soft` makes of the state's logits.
    Concept,
}

/// One training sequence: `before · slot × n · after`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSequence {
    /// The question, and all of a layout without slots.
    pub before: Vec<Target>,
    /// What the state that is fed in each slot shall decode to.
    pub slots: Vec<Distribution>,
    /// What follows the slots.
    pub after: Vec<Target>,
    /// Where the answer is a choice of two: the index of the chosen word in `after` (in `before`
    /// where there are no slots), and the wrong option.
    pub choice: Option<(usize, u32)>,
}

impl SequenceLayout {
    /// Its name in configs and logs.
    pub fn name(self) -> &'static str {
        match self {
            SequenceLayout::Cot => "cot",
            SequenceLayout::NoCot => "no-cot",
            SequenceLayout::Pause => "pause",
            SequenceLayout::Coconut => "coconut",
            SequenceLayout::Soft => "soft",
            SequenceLayout::Ccot => "ccot",
        }
    }

    /// What its slots hold, where they are not tokens.
    pub fn latent(self) -> Option<Latent> {
        match self {
            SequenceLayout::Coconut => Some(Latent::Thought),
            SequenceLayout::Soft => Some(Latent::Concept),
            SequenceLayout::Cot
            | SequenceLayout::NoCot
            | SequenceLayout::Pause
            | SequenceLayout::Ccot => None,
        }
    }

    /// Lays out an example. `marker_weight` is the loss's weight of tokens whose place is always the
    /// same.
    pub fn sequence(
        self,
        example: &Example,
        stage: Stage,
        markers: &Markers,
        marker_weight: f32,
    ) -> TrainingSequence {
        let mut before: Vec<Target> = example
            .question
            .iter()
            .map(|&id| Target::given(id))
            .collect();
        let mut slots = Vec::new();
        let mut after = Vec::new();
        match self {
            SequenceLayout::Cot => {
                before.push(Target::given(markers.think));
                before.extend(example.steps.iter().flatten().cloned());
                before.push(Target::wanted(markers.end_think, example.stop_weight));
            }
            SequenceLayout::NoCot => {}
            SequenceLayout::Pause => {
                before.extend((0..stage.slots).map(|_| Target::given(markers.pause)));
            }
            SequenceLayout::Coconut | SequenceLayout::Soft => {
                let (open, close) = if self == SequenceLayout::Coconut {
                    (markers.bot, Target::given(markers.eot))
                } else {
                    // The sampler's argmax after the last concept ends the thinking.
                    (markers.think, Target::wanted(markers.end_think, 1.0))
                };
                before.push(Target::given(open));
                slots.extend((0..stage.slots).map(|k| example.latent_target(k)));
                after.push(close);
            }
            SequenceLayout::Ccot => {
                before.push(Target::given(markers.think));
                after.push(Target::given(markers.end_think));
            }
        }
        let tail = if after.is_empty() {
            &mut before
        } else {
            &mut after
        };
        let (chain, rest) = match self {
            SequenceLayout::Cot => (example.steps.concat(), Vec::new()),
            _ => (Vec::new(), rest(example, stage)),
        };
        // No `</think>` here: where the chain stops is for `###` to say.
        let open = match rest.is_empty() {
            true => marker_weight,
            false => example.stop_weight,
        };
        let last = example.answer.len() - 1;
        // Words may have said the answer already; where they have not, it is everything.
        let is_answer = |word: &Target| word.id == example.answer[last];
        let decision = match rest.iter().chain(&chain).any(is_answer) {
            true => marker_weight,
            false => 1.0,
        };
        tail.extend(rest);
        tail.push(Target::wanted(markers.answer, open));
        for (index, &id) in example.answer.iter().enumerate() {
            // In front of a choice of two stands nothing that has to be found.
            let decides = example.distractor.is_none() || index == last;
            let weight = if decides { decision } else { marker_weight };
            tail.push(Target::wanted(id, weight));
        }
        let chosen = tail.len() - 1;
        tail.push(Target::wanted(markers.eos, marker_weight));
        TrainingSequence {
            choice: example.distractor.map(|distractor| (chosen, distractor)),
            before,
            slots,
            after,
        }
    }
}

/// What is left of the chain in words.
fn rest(example: &Example, stage: Stage) -> Vec<Target> {
    let left = example.steps.iter().skip(stage.steps).flatten();
    let mut rest: Vec<Target> = left.skip(stage.tokens).cloned().collect();
    // Nothing in the sequence says any more what the first word left is.
    if let Some(first) = rest.first_mut()
        && (stage.steps > 0 || stage.tokens > 0)
    {
        *first = first.alone(1.0);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `?` is 100, `###` 101, and so on.
    const MARKERS: Markers = Markers::after(100);
    /// The weight of what always stands in its place.
    const M: f32 = 0.1;

    /// Root 1, then 2 or 3 (the path takes 2), then 4; the options are 4 and 5.
    fn example() -> Example {
        Example {
            question: vec![9, 1, 5, 4],
            steps: vec![
                vec![
                    Target::wanted(1, M),
                    Target {
                        id: 2,
                        weights: vec![(2, 0.5), (3, 0.5)],
                    },
                ],
                vec![Target::wanted(2, M), Target::wanted(4, 1.0)],
            ],
            stop_weight: 1.0,
            answer: vec![1, 4],
            distractor: Some(5),
            latent_targets: vec![vec![(2, 0.5), (3, 0.5)], vec![(4, 1.0)]],
            ancestor_targets: Vec::new(),
        }
    }

    /// Every position of a part: the token read, and what the position before shall predict.
    fn mask(words: &[Target]) -> Vec<(u32, Vec<(u32, f32)>)> {
        let rows = words.iter().map(|word| (word.id, word.weights.clone()));
        rows.collect()
    }

    fn given(ids: &[u32]) -> Vec<(u32, Vec<(u32, f32)>)> {
        ids.iter().map(|&id| (id, Vec::new())).collect()
    }

    fn wanted(ids: &[(u32, f32)]) -> Vec<(u32, Vec<(u32, f32)>)> {
        ids.iter().map(|&(id, w)| (id, vec![(id, w)])).collect()
    }

    fn staged(steps: usize, slots: usize) -> Stage {
        Stage {
            steps,
            tokens: 0,
            slots,
        }
    }

    #[test]
    fn words_predict_every_step_and_copy_the_answer() {
        let sequence = SequenceLayout::Cot.sequence(&example(), Stage::wordless(6), &MARKERS, M);
        let mut expected = given(&[9, 1, 5, 4, 105]);
        expected.extend(wanted(&[(1, M)]));
        // A branch: both middles begin a shortest path.
        expected.push((2, vec![(2, 0.5), (3, 0.5)]));
        // Stopping is a decision, not a marker.
        expected.extend(wanted(&[(2, M), (4, 1.0), (106, 1.0)]));
        expected.extend(wanted(&[(101, M), (1, M), (4, M), (107, M)]));
        assert_eq!(mask(&sequence.before), expected);
        assert_eq!((sequence.slots, sequence.after), (vec![], vec![]));
        assert_eq!(sequence.choice, Some((12, 5)));
    }

    #[test]
    fn an_answer_that_the_words_do_not_say_weighs_in_full() {
        // ProntoQA's chain ends with a property; whether it is the asked one is the answer.
        let (yes, no) = (90, 91);
        let example = Example {
            answer: vec![yes],
            distractor: Some(no),
            ..example()
        };
        let sequence = SequenceLayout::Cot.sequence(&example, Stage::wordless(6), &MARKERS, M);
        let end = wanted(&[(106, 1.0), (101, M), (yes, 1.0), (107, M)]);
        assert_eq!(mask(&sequence.before)[9..], end);
        let sequence = SequenceLayout::NoCot.sequence(&example, staged(1, 0), &MARKERS, M);
        let end = wanted(&[(101, 1.0), (yes, 1.0), (107, M)]);
        assert_eq!(mask(&sequence.before)[6..], end);
    }

    #[test]
    fn an_answer_at_once_is_all_that_is_asked() {
        let sequence = SequenceLayout::NoCot.sequence(&example(), Stage::wordless(0), &MARKERS, M);
        let mut expected = given(&[9, 1, 5, 4]);
        expected.extend(wanted(&[(101, M), (1, M), (4, 1.0), (107, M)]));
        assert_eq!(mask(&sequence.before), expected);
        assert_eq!(sequence.choice, Some((6, 5)));
    }

    #[test]
    fn pauses_predict_nothing_but_the_answer_after_the_last() {
        let sequence = SequenceLayout::Pause.sequence(&example(), Stage::wordless(3), &MARKERS, M);
        let mut expected = given(&[9, 1, 5, 4, 104, 104, 104]);
        expected.extend(wanted(&[(101, M), (1, M), (4, 1.0), (107, M)]));
        assert_eq!(mask(&sequence.before), expected);
    }

    #[test]
    fn coconut_masks_question_and_thoughts_and_decodes_to_what_is_reached() {
        let sequence =
            SequenceLayout::Coconut.sequence(&example(), Stage::wordless(3), &MARKERS, M);
        assert_eq!(mask(&sequence.before), given(&[9, 1, 5, 4, 102]));
        // The search has run dry after two thoughts: the third holds what the second did.
        let latent = example().latent_targets;
        assert_eq!(
            sequence.slots,
            [latent[0].clone(), latent[1].clone(), latent[1].clone()]
        );
        let mut expected = given(&[103]);
        expected.extend(wanted(&[(101, M), (1, M), (4, 1.0), (107, M)]));
        assert_eq!(mask(&sequence.after), expected);
        assert_eq!(sequence.choice, Some((3, 5)));
    }

    #[test]
    fn concept_tokens_end_themselves() {
        let sequence = SequenceLayout::Soft.sequence(&example(), Stage::wordless(2), &MARKERS, M);
        assert_eq!(mask(&sequence.before), given(&[9, 1, 5, 4, 105]));
        assert_eq!(sequence.slots, example().latent_targets);
        let expected = wanted(&[(106, 1.0), (101, M), (1, M), (4, 1.0), (107, M)]);
        assert_eq!(mask(&sequence.after), expected);
    }

    #[test]
    fn contemplation_asks_nothing_of_words_but_the_answer() {
        let sequence = SequenceLayout::Ccot.sequence(&example(), Stage::wordless(0), &MARKERS, M);
        assert_eq!(mask(&sequence.before), given(&[9, 1, 5, 4, 105]));
        assert_eq!(sequence.slots, [] as [Distribution; 0]);
        let mut expected = given(&[106]);
        expected.extend(wanted(&[(101, M), (1, M), (4, 1.0), (107, M)]));
        assert_eq!(mask(&sequence.after), expected);
        assert_eq!(sequence.choice, Some((3, 5)));
    }

    #[test]
    fn a_stage_of_coconut_leaves_the_last_steps_in_words() {
        let sequence = SequenceLayout::Coconut.sequence(&example(), staged(1, 1), &MARKERS, M);
        assert_eq!(sequence.slots.len(), 1);
        let mut expected = given(&[103]);
        // Which middle the path takes is not said any more, so it is asked for in full; and with
        // no `</think>`, the end of the chain is for `###` to say.
        expected.extend(wanted(&[
            (2, 1.0),
            (4, 1.0),
            (101, 1.0),
            (1, M),
            (4, M),
            (107, M),
        ]));
        assert_eq!(mask(&sequence.after), expected);
    }

    #[test]
    fn steps_go_with_nothing_or_with_pauses_in_their_place() {
        let rest = wanted(&[(2, 1.0), (4, 1.0), (101, 1.0), (1, M), (4, M), (107, M)]);
        let sequence = SequenceLayout::NoCot.sequence(&example(), staged(1, 0), &MARKERS, M);
        let mut expected = given(&[9, 1, 5, 4]);
        expected.extend(rest.clone());
        assert_eq!(mask(&sequence.before), expected);
        let sequence = SequenceLayout::Pause.sequence(&example(), staged(1, 2), &MARKERS, M);
        let mut expected = given(&[9, 1, 5, 4, 104, 104]);
        expected.extend(rest);
        assert_eq!(mask(&sequence.before), expected);
    }

    #[test]
    fn icot_takes_tokens_from_the_left() {
        let stage = Stage {
            steps: 0,
            tokens: 3,
            slots: 0,
        };
        let sequence = SequenceLayout::NoCot.sequence(&example(), stage, &MARKERS, M);
        let mut expected = given(&[9, 1, 5, 4]);
        expected.extend(wanted(&[(4, 1.0), (101, 1.0), (1, M), (4, M), (107, M)]));
        assert_eq!(mask(&sequence.before), expected);
    }

    #[test]
    fn when_nothing_is_left_the_answer_weighs_in_full() {
        let sequence = SequenceLayout::Coconut.sequence(&example(), staged(2, 2), &MARKERS, M);
        let wordless =
            SequenceLayout::Coconut.sequence(&example(), Stage::wordless(2), &MARKERS, M);
        assert_eq!(sequence, wordless);
    }
}
