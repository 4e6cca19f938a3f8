//! What the frozen model makes of a problem, which is computed once and learned from several times.

use std::collections::VecDeque;
use std::rc::Rc;

use burn::tensor::Tensor;
use latent_model::contemplation::{kept_positions, n_kept};
use latent_model::tasks::Task;

use super::{CcotConfig, Keep, Lengths};
use crate::example::{Context, Target};
use crate::llama::{ContextCache, Llama, QuestionCache};
use crate::method::{SequenceLayout, Stage, TrainingSequence};
use crate::objective::{Objective, read_contexts};
use crate::random::Random;

/// A problem, and what of its chain of thought is kept.
pub struct Lesson {
    /// With one example.
    context: Context,
    /// Indices of the k kept tokens of the chain, ascending.
    kept: Vec<usize>,
    /// How many contemplation tokens the decoder sees, where END does not say it.
    n_seen: usize,
}

/// What θ makes of a lesson: constants, without autodiff.
pub struct Reading {
    /// Keys and values of the query, `<think>` included.
    pub(super) query: ContextCache,
    /// z₀, the state after layer ℓ at `<think>`, `[1, d]`.
    pub(super) z_0: Tensor<2>,
    /// The states after each layer at the kept tokens, `[k, d]`; empty where k is 0.
    pub(super) kept: Vec<Tensor<2>>,
    /// The k kept tokens.
    pub(super) tokens: Vec<u32>,
    /// How many contemplation tokens the decoder sees, where END does not say it.
    pub(super) n_seen: usize,
    /// What the decoder shall say.
    pub(super) sequence: TrainingSequence,
}

impl Lesson {
    /// What of a context of one example is kept, and how long its contemplation is.
    pub fn new(config: &CcotConfig, task: Task, context: Context, random: &mut Random) -> Lesson {
        let steps = &context.examples[0].steps;
        let ranks: Vec<u8> = match config.keep {
            Keep::Even => vec![0; steps.iter().map(Vec::len).sum()],
            Keep::Ranked => {
                let ids = |step: &Vec<Target>| step.iter().map(|word| word.id).collect::<Vec<_>>();
                let ranks = steps.iter().map(|step| task.kept_ranks(&ids(step)));
                ranks.flatten().collect()
            }
        };
        let k = n_kept(ranks.len(), config.ratio);
        let n_seen = match config.lengths {
            Lengths::Varied if k > 0 => (k + random.below(3)).saturating_sub(1).max(1),
            _ => k,
        };
        let kept = kept_positions(&ranks, k);
        Lesson {
            context,
            kept,
            n_seen,
        }
    }

    /// k.
    pub fn n_kept(&self) -> usize {
        self.kept.len()
    }
}

impl Reading {
    /// Reads queries and chains in one pass.
    pub fn read(
        layer: usize,
        objective: &Objective<'_>,
        theta: &Llama<'_>,
        lessons: Vec<Lesson>,
    ) -> Vec<Reading> {
        let markers = objective.markers;
        let sequences: Vec<TrainingSequence> = lessons
            .iter()
            .map(|lesson| {
                let (example, wordless) = (&lesson.context.examples[0], Stage::wordless(0));
                let weight = objective.config.markers;
                SequenceLayout::Ccot.sequence(example, wordless, markers, weight)
            })
            .collect();
        let words: Vec<Vec<Target>> = lessons
            .iter()
            .zip(&sequences)
            .map(|(lesson, sequence)| {
                let context = lesson.context.tokens.iter().map(|&id| Target::given(id));
                let chain = lesson.context.examples[0].steps.concat();
                context
                    .chain(sequence.before.clone())
                    .chain(chain)
                    .collect()
            })
            .collect();
        // The first token alone is read as what questions share; padding comes last, where
        // nothing sees it.
        let firsts: Vec<[u32; 1]> = words.iter().map(|words| [words[0].id]).collect();
        let batch = read_contexts(theta, firsts.iter().map(<[u32; 1]>::as_slice), markers.pad);
        let rest: Vec<&[Target]> = words.iter().map(|words| &words[1..]).collect();
        let (inputs, n) = objective.inputs(theta, &rest);
        let mut own = QuestionCache::default();
        let residuals = theta.extend(inputs, &batch.contexts, 1, &mut own);
        let lessons = lessons.into_iter().zip(sequences).enumerate();
        lessons
            .map(|(index, (lesson, sequence))| {
                let n_query = lesson.context.tokens.len() + sequence.before.len();
                // Position p of the sequence is row p − 1 of what was computed.
                let row = |states: &Tensor<2>, position: usize| {
                    states.clone().narrow(0, index * n + position - 1, 1)
                };
                let at_kept = |states: &Tensor<2>| {
                    let rows = lesson.kept.iter().map(|at| row(states, n_query + at));
                    Tensor::cat(rows.collect(), 0)
                };
                let by_layer = residuals.by_layer.iter();
                let has_kept = !lesson.kept.is_empty();
                let chain = &words[index][n_query..];
                Reading {
                    query: batch.contexts.of_sequence(&own, index, n_query),
                    z_0: row(&residuals.by_layer[layer], n_query - 1),
                    kept: by_layer.filter(|_| has_kept).map(at_kept).collect(),
                    tokens: lesson.kept.iter().map(|&at| chain[at].id).collect(),
                    n_seen: lesson.n_seen,
                    sequence,
                }
            })
            .collect()
    }

    /// A reading of k kept tokens and nothing else.
    #[cfg(test)]
    pub(super) fn of_length(k: usize) -> Reading {
        Reading {
            query: ContextCache::together(&[&ContextCache::empty()]),
            z_0: Tensor::zeros([1, 1], &burn::tensor::Device::flex()),
            kept: Vec::new(),
            tokens: vec![0; k],
            n_seen: k,
            sequence: TrainingSequence {
                before: Vec::new(),
                slots: Vec::new(),
                after: Vec::new(),
                choice: None,
            },
        }
    }
}

/// Steps whose readings are learned from.
const WINDOW: u64 = 64;

/// The readings of the newest steps. θ is frozen, so they stay true, and reading is most of the
/// work: each is learned from in several batches. They follow from seed and step, so a resumed run
/// reads them again.
#[derive(Default)]
pub struct Pool {
    steps: VecDeque<(u64, Vec<Rc<Reading>>)>,
}

impl Pool {
    /// Reads what is missing of the steps up to `step`, and forgets what is too old.
    pub fn advance(&mut self, step: u64, mut read: impl FnMut(u64) -> Vec<Reading>) {
        let first = (step + 1).saturating_sub(WINDOW);
        self.steps
            .retain(|(known, _)| (first..=step).contains(known));
        let next = self.steps.back().map_or(first, |(newest, _)| newest + 1);
        for missing in next..=step {
            let readings = read(missing).into_iter().map(Rc::new).collect();
            self.steps.push_back((missing, readings));
        }
    }

    /// `n` readings: those of the newest step, and others at random.
    pub fn draw(&self, n: usize, random: &mut Random) -> Vec<Rc<Reading>> {
        let newest = self.steps.back().map_or(&[][..], |(_, readings)| readings);
        let all: Vec<&Rc<Reading>> = self.steps.iter().flat_map(|(_, all)| all).collect();
        let mut drawn: Vec<Rc<Reading>> = newest.iter().take(n).cloned().collect();
        while drawn.len() < n {
            drawn.push(all[random.below(all.len())].clone());
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use latent_model::program::Sampler;
    use latent_model::tasks::prosqa;

    use super::*;
    use crate::example::LossConfig;
    use crate::parameters::{LlamaConfig, Parameters};
    use crate::tensor_ops::{flat, read};

    const SIZES: LlamaConfig = LlamaConfig {
        hidden_size: 8,
        n_layers: 2,
        n_heads: 2,
        head_dim: 4,
        intermediate_size: 8,
        rope_theta: 1e4,
        rms_norm_eps: 1e-6,
    };
    const LOSS: LossConfig = LossConfig {
        gamma: 0.0,
        floor: 0.0,
        latent_targets: 0.0,
        ancestors: 0.0,
        ancestors_from_layer: 2,
        markers: 0.1,
    };

    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        let read = pollster::block_on(read(vec![flat(tensor)]));
        read.expect("the device works").concat()
    }

    /// Each state is the last one of a sequence that ends there, read alone.
    #[test]
    fn what_is_kept_are_the_states_at_the_kept_tokens() {
        let objective = Objective {
            config: &LOSS,
            markers: &prosqa::MARKER,
            sampler: Sampler::GREEDY,
        };
        let theta = Llama {
            config: &SIZES,
            parameters: Parameters::init(&SIZES, prosqa::VOCABULARY_SIZE, 1, &Device::flex()),
            device: Device::flex(),
        };
        let difficulty = prosqa::Difficulty {
            nodes: 8..=12,
            hops: 1..=4,
        };
        let mut random = Random::new(7);
        let mut lesson = |seed| {
            let graph = prosqa::Problem::generate(seed, &difficulty).statement_graph();
            let context = Context::new(&graph.supervised(&mut random), &LOSS);
            let n = context.examples[0].steps.concat().len();
            Lesson {
                context,
                kept: vec![0, n - 1],
                n_seen: 2,
            }
        };
        let lessons: Vec<Lesson> = (0..3).map(&mut lesson).collect();
        let words: Vec<(Vec<u32>, Vec<u32>)> = lessons
            .iter()
            .map(|lesson| {
                let example = &lesson.context.examples[0];
                let mut query = lesson.context.tokens.clone();
                query.extend(&example.question);
                query.push(prosqa::MARKER.think);
                let chain = example.steps.concat().iter().map(|word| word.id).collect();
                (query, chain)
            })
            .collect();
        let alone = |ids: &[u32], layer: usize| -> Vec<f32> {
            let batch = read_contexts(&theta, [&ids[..1]].into_iter(), prosqa::MARKER.pad);
            let rest: Vec<Target> = ids[1..].iter().map(|&id| Target::given(id)).collect();
            let (inputs, n) = objective.inputs(&theta, &[&rest]);
            let mut own = QuestionCache::default();
            let residuals = theta.extend(inputs, &batch.contexts, 1, &mut own);
            numbers(residuals.by_layer[layer].clone().narrow(0, n - 1, 1))
        };
        let close = |found: Vec<f32>, expected: Vec<f32>| {
            let pairs = found.iter().zip(&expected);
            assert_eq!(found.len(), expected.len());
            let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest < 1e-4, "{largest}");
        };
        let readings = Reading::read(1, &objective, &theta, lessons);
        for (reading, (query, chain)) in readings.iter().zip(&words) {
            close(numbers(reading.z_0.clone()), alone(query, 1));
            assert_eq!(reading.tokens, [chain[0], chain[chain.len() - 1]]);
            for layer in 0..SIZES.n_layers {
                let ends = [1, chain.len()].map(|n| [query, &chain[..n]].concat());
                let expected = ends.map(|ids| alone(&ids, layer)).concat();
                close(numbers(reading.kept[layer].clone()), expected);
            }
        }
    }
}
