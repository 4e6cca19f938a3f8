//! What a question teaches, whatever the task: its words, its steps, its answer.
//!
//! Every training method is a way of lining up the same lesson ([`crate::method`]).

use latent_model::tasks::supervision::{
    BackwardSearch, LatentTargets, Search, StepToken, SupervisedQuestion, SupervisedText,
};

use serde::{Deserialize, Serialize};

/// Weights over token ids; what a state shall decode to.
pub type Distribution = Vec<(u32, f32)>;

/// How the parts of the loss are weighted. A question's answer token weighs 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// γ: what a node that was found one step earlier weighs, relative to a new one; in a number
    /// what a digit weighs, relative to the one before it.
    #[serde(default)]
    pub gamma: f32,
    /// No member of a set weighs less than this, relative to a new one.
    #[serde(default)]
    pub floor: f32,
    /// Weight of the thoughts' reachable sets (of a story: results), averaged over the thoughts. At 0 the thoughts
    /// are not supervised, as in the Coconut paper.
    #[serde(default)]
    pub reach: f32,
    /// Weight of the options' ancestors, averaged over the layers.
    #[serde(default)]
    pub ancestors: f32,
    /// The first layer (from 1) after which an option's position shall know its parents.
    #[serde(default = "second")]
    pub ancestors_from_layer: usize,
    /// Weight of the marker tokens whose place is always the same.
    pub markers: f32,
}

fn second() -> usize {
    2
}

impl LossConfig {
    /// The ageing of set members.
    pub fn ageing(&self) -> Ageing {
        Ageing {
            gamma: self.gamma,
            floor: self.floor,
        }
    }
}

/// How a set of nodes is weighted when a state has to decode to it.
#[derive(Clone, Copy, Debug)]
pub struct Ageing {
    /// A node found one step earlier weighs this much less …
    pub gamma: f32,
    /// … but never less than this.
    pub floor: f32,
}

impl Ageing {
    /// The distribution over the nodes at a distance of at most `horizon`: γ^age, the newest
    /// (age 0) the most, summing to 1. This is the continuous supervision of CoT2
    /// (Gozeten et al. 2025) with ageing.
    pub fn weights(self, ids: &[u32], distances: &[Option<usize>], horizon: usize) -> Distribution {
        // Where the search has run dry, the newest are those found last.
        let farthest = distances.iter().flatten().copied().max().unwrap_or(0);
        let horizon = horizon.min(farthest);
        let mut weights: Distribution = distances
            .iter()
            .enumerate()
            .filter_map(|(node, distance)| {
                let age = horizon.checked_sub((*distance)?)?;
                Some((ids[node], self.gamma.powi(age as i32).max(self.floor)))
            })
            .collect();
        let sum: f32 = weights.iter().map(|(_, weight)| weight).sum();
        weights.iter_mut().for_each(|(_, weight)| *weight /= sum);
        weights
    }
}

/// A token of a training sequence: what is read at its position, and what may stand there.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The token that is read.
    pub id: u32,
    /// What the position before shall predict, with the loss's weight; empty: nothing.
    pub targets: Distribution,
}

impl Word {
    /// A token that nothing has to predict: the question, a forced marker.
    pub fn given(id: u32) -> Word {
        Word {
            id,
            targets: Vec::new(),
        }
    }

    /// A token to predict, with its weight in the loss.
    pub fn wanted(id: u32, weight: f32) -> Word {
        Word {
            id,
            targets: vec![(id, weight)],
        }
    }

    /// The same token, wanted alone and with this weight.
    pub fn alone(&self, weight: f32) -> Word {
        Word::wanted(self.id, weight)
    }
}

/// A position of the question at which a search backward from an option is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// The index of the option's token in the question.
    pub position: usize,
    /// What its state shall decode to after 1, 2, … steps backward.
    pub by_steps: Vec<Distribution>,
}

/// One question with everything that some method may want to teach about it.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    /// The question's tokens.
    pub question: Vec<u32>,
    /// The chain of thought, step by step.
    pub steps: Vec<Vec<Word>>,
    /// The loss's weight of the end of the chain: where it ends may be a decision.
    pub stop_weight: f32,
    /// What follows `###`, without `<eos>`.
    pub answer: Vec<u32>,
    /// The wrong option, where the last token of the answer is a choice of two.
    pub rival: Option<u32>,
    /// What the thoughts shall decode to, thought by thought; beyond its end the last one holds.
    /// Empty: thoughts are not supervised.
    pub reach: Vec<Distribution>,
    /// Searches backward.
    pub goals: Vec<Goal>,
}

impl Word {
    /// A token of a chain: of several that are allowed, each is wanted alike.
    fn of_step(token: &StepToken, loss: &LossConfig) -> Word {
        let weight = if token.is_implied { loss.markers } else { 1.0 };
        let weight = weight / token.allowed.len() as f32;
        Word {
            id: token.id,
            targets: token.allowed.iter().map(|&id| (id, weight)).collect(),
        }
    }
}

impl Lesson {
    /// What a question teaches with these weights.
    pub fn new(question: &SupervisedQuestion, loss: &LossConfig) -> Lesson {
        let step = |step: &Vec<StepToken>| {
            let words = step.iter().map(|token| Word::of_step(token, loss));
            words.collect()
        };
        let goal = |backward: &BackwardSearch| Goal {
            position: backward.position,
            by_steps: reached(&backward.search, loss),
        };
        Lesson {
            question: question.question.clone(),
            steps: question.steps.iter().map(step).collect(),
            // Where the chain ends is a decision.
            stop_weight: 1.0,
            answer: question.answer.clone(),
            rival: question.distractor,
            reach: match &question.latent_targets {
                LatentTargets::Search(search) => reached(search, loss),
                LatentTargets::Results(results) => {
                    results.iter().map(|ids| number(ids, loss.gamma)).collect()
                }
            },
            goals: question.backward.iter().map(goal).collect(),
        }
    }

    /// What thought `k` (from 0) shall decode to.
    pub fn reach(&self, k: usize) -> Distribution {
        let last = self.reach.len().checked_sub(1);
        last.map_or_else(Vec::new, |last| self.reach[k.min(last)].clone())
    }
}

/// What is read once, and the questions about it.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// Tokens that all questions share: a graph's statements, or nothing.
    pub context: Vec<u32>,
    /// The same number for every passage of a batch.
    pub lessons: Vec<Lesson>,
}

impl Passage {
    /// What a text's questions teach with these weights.
    pub fn new(text: &SupervisedText, loss: &LossConfig) -> Passage {
        let lesson = |question| Lesson::new(question, loss);
        Passage {
            context: text.context.clone(),
            lessons: text.questions.iter().map(lesson).collect(),
        }
    }
}

/// What a search has reached after 1, 2, … steps, until it reaches nothing more.
fn reached(search: &Search, loss: &LossConfig) -> Vec<Distribution> {
    let Search { ids, distances } = search;
    let within = |horizon| loss.ageing().weights(ids, distances, horizon);
    (1..=search.farthest().max(1)).map(within).collect()
}

/// A number as a distribution over its digits and what ends it, each of which weighs γ times what
/// stands before it. With γ = ½ no two numbers have the same weights.
fn number(ids: &[u32], gamma: f32) -> Distribution {
    let places = std::iter::successors(Some(1.0), |weight| Some(weight * gamma));
    let sum: f32 = places.clone().take(ids.len()).sum();
    ids.iter().copied().zip(places.map(|w| w / sum)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use latent_model::tasks::supervision::{GraphQuestion, StatementGraph};

    use super::*;
    use crate::random::Random;

    const LOSS: LossConfig = LossConfig {
        gamma: 0.5,
        floor: 0.2,
        reach: 1.0,
        ancestors: 0.0,
        ancestors_from_layer: 2,
        markers: 0.1,
    };

    fn lesson(statements: Vec<[usize; 2]>, options: [usize; 2]) -> Lesson {
        let question = GraphQuestion {
            root: 0,
            options,
            target: 4,
        };
        let graph = StatementGraph {
            questions: vec![question],
            ..StatementGraph::new(vec![0, 1, 20, 21, 22, 23], statements, 55)
        };
        Passage::new(&graph.supervised(&mut Random::new(0)), &LOSS)
            .lessons
            .remove(0)
    }

    /// 0 → 2 → 3 → 4; the other root's 1 → 5.
    fn chain() -> Lesson {
        lesson(vec![[0, 2], [2, 3], [3, 4], [1, 5]], [4, 5])
    }

    /// Compares a distribution with weights that are not normalised yet.
    fn assert_set(found: &[(u32, f32)], expected: &[(u32, f32)]) {
        let total: f32 = expected.iter().map(|(_, weight)| weight).sum();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((id, weight), (expected_id, expected)) in found.iter().zip(expected) {
            assert_eq!(id, expected_id, "{found:?}");
            assert!((weight - expected / total).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn thoughts_reach_one_step_farther_each_and_age_what_they_had() {
        let expected: [&[(u32, f32)]; 4] = [
            &[(0, 0.5), (20, 1.0)],
            &[(0, 0.25), (20, 0.5), (21, 1.0)],
            // 0.5³ is below the floor.
            &[(0, 0.2), (20, 0.25), (21, 0.5), (22, 1.0)],
            // The search has run dry: the fourth thought holds what the third did.
            &[(0, 0.2), (20, 0.25), (21, 0.5), (22, 1.0)],
        ];
        for (thought, expected) in expected.into_iter().enumerate() {
            assert_set(&chain().reach(thought), expected);
        }
    }

    #[test]
    fn options_search_backward_one_step_a_layer() {
        let goals = chain().goals;
        assert_eq!([goals[0].position, goals[1].position], [2, 3]);
        assert_set(&goals[0].by_steps[0], &[(21, 1.0), (22, 0.5)]);
        let last = goals[1].by_steps.last().expect("a step");
        assert_set(last, &[(1, 1.0), (23, 0.5)]);
    }

    #[test]
    fn a_branch_shares_the_weight_among_what_it_allows() {
        // 0 → 2 → 4 and 0 → 3 → 4 are the two shortest paths.
        let lesson = lesson(vec![[0, 2], [0, 3], [2, 4], [3, 4], [1, 5]], [5, 4]);
        let first = &lesson.steps[0];
        assert_eq!(first[0], Word::wanted(0, 0.1));
        assert_eq!(first[1].targets, [(20, 0.5), (21, 0.5)]);
        assert_eq!(
            lesson.steps[1],
            [Word::wanted(first[1].id, 0.1), Word::wanted(22, 1.0)]
        );
        assert_eq!((lesson.answer, lesson.rival), (vec![0, 22], Some(23)));
    }

    #[test]
    fn thoughts_hold_results_until_they_are_over() {
        let question = SupervisedQuestion {
            question: vec![50],
            steps: Vec::new(),
            answer: vec![1],
            distractor: None,
            latent_targets: LatentTargets::Results(vec![vec![4, 8, 18], vec![1, 2, 4, 18]]),
            backward: Vec::new(),
        };
        let lesson = Lesson::new(&question, &LOSS);
        assert_set(&lesson.reach(0), &[(4, 4.0), (8, 2.0), (18, 1.0)]);
        let answer = [(1, 8.0), (2, 4.0), (4, 2.0), (18, 1.0)];
        assert_set(&lesson.reach(1), &answer);
        assert_set(&lesson.reach(5), &answer);
    }

    #[test]
    fn no_two_results_have_the_same_weights() {
        let mut seen = HashSet::new();
        for result in 0..1000 {
            let digits = result.to_string().into_bytes();
            let ids: Vec<u32> = digits.iter().map(|b| u32::from(b - b'0')).collect();
            let mut sums = BTreeMap::<u32, f32>::new();
            for (id, weight) in number(&[&ids[..], &[18]].concat(), LOSS.gamma) {
                *sums.entry(id).or_default() += weight;
            }
            let sums: Vec<_> = sums.into_iter().map(|(id, w)| (id, w.to_bits())).collect();
            assert!(seen.insert(sums), "{result}");
        }
    }
}
