//! What the frozen model makes of a problem, which is computed once and learned from several times.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use burn::tensor::{ExecutionError, Tensor};
use latent_model::contemplation::{kept_positions, n_kept};
use latent_model::tasks::Task;

use super::{CcotConfig, Keep, Lengths, Scorer};
use crate::example::{Context, Target};
use crate::llama::{ContextCache, Llama, QuestionCache, Residuals};
use crate::method::{SequenceLayout, Stage, TrainingSequence};
use crate::objective::{Objective, read_contexts};
use crate::random::Random;

/// A problem, and what of its chain of thought is kept.
pub struct Lesson {
    /// With one example.
    context: Context,
    /// k.
    n_kept: usize,
    /// How late each token of the chain is kept, 0 first, where no scorer says it.
    ranks: Vec<u8>,
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
            Keep::Even | Keep::Scored => vec![0; steps.iter().map(Vec::len).sum()],
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
        Lesson {
            context,
            n_kept: k,
            ranks,
            n_seen,
        }
    }

    /// k.
    pub fn n_kept(&self) -> usize {
        self.n_kept
    }
}

/// Queries and chains as θ reads them, a sequence each, padded to the longest.
pub(super) struct Chains {
    pub(super) residuals: Residuals,
    /// The first token of each, which is read as what the questions of a graph share.
    firsts: ContextCache,
    own: QuestionCache,
    sequences: Vec<TrainingSequence>,
    words: Vec<Vec<Target>>,
    /// Positions of each query, `<think>` included, and of its chain.
    lengths: Vec<[usize; 2]>,
    /// Rows of each sequence.
    n_rows: usize,
}

impl Chains {
    /// Reads them in one pass, with what follows the chain where it is wanted.
    pub(super) fn read(
        objective: &Objective<'_>,
        theta: &Llama<'_>,
        contexts: &[&Context],
        with_answers: bool,
    ) -> Chains {
        let markers = objective.markers;
        let sequence = |context: &&Context| {
            let (example, wordless) = (&context.examples[0], Stage::wordless(0));
            SequenceLayout::Ccot.sequence(example, wordless, markers, objective.config.markers)
        };
        let sequences: Vec<TrainingSequence> = contexts.iter().map(sequence).collect();
        let mut words: Vec<Vec<Target>> = Vec::new();
        let mut lengths = Vec::new();
        for (context, sequence) in contexts.iter().zip(&sequences) {
            let query = context.tokens.iter().map(|&id| Target::given(id));
            let chain = context.examples[0].steps.concat();
            let n_query = context.tokens.len() + sequence.before.len();
            lengths.push([n_query, chain.len()]);
            let after = sequence.after.iter().filter(|_| with_answers).cloned();
            let query = query.chain(sequence.before.clone());
            words.push(query.chain(chain).chain(after).collect());
        }
        // Padding comes last, where nothing sees it.
        let firsts: Vec<[u32; 1]> = words.iter().map(|words| [words[0].id]).collect();
        let batch = read_contexts(theta, firsts.iter().map(<[u32; 1]>::as_slice), markers.pad);
        let rest: Vec<&[Target]> = words.iter().map(|words| &words[1..]).collect();
        let (inputs, n_rows) = objective.inputs(theta, &rest);
        let mut own = QuestionCache::default();
        Chains {
            residuals: theta.extend(inputs, &batch.contexts, 1, &mut own),
            firsts: batch.contexts,
            own,
            sequences,
            words,
            lengths,
            n_rows,
        }
    }

    /// Of the rows of sequence `index`, those of its chain: position p is row p − 1, because the
    /// first one is read apart.
    pub(super) fn rows_of_chain(&self, index: usize) -> Range<usize> {
        let [n_query, n_chain] = self.lengths[index];
        n_query - 1..n_query - 1 + n_chain
    }

    /// Those of what follows.
    pub(super) fn rows_after(&self, index: usize) -> Range<usize> {
        self.rows_of_chain(index).end..self.words[index].len() - 1
    }

    /// The states `[m, d]` of a chain, of states of all rows.
    pub(super) fn of_chain(&self, states: &Tensor<2>, index: usize) -> Tensor<2> {
        let rows = self.rows_of_chain(index);
        let first = index * self.n_rows + rows.start;
        states.clone().narrow(0, first, rows.len())
    }

    /// The state `[1, d]` of a query's last token.
    fn of_query(&self, states: &Tensor<2>, index: usize) -> Tensor<2> {
        let row = index * self.n_rows + self.rows_of_chain(index).start - 1;
        states.clone().narrow(0, row, 1)
    }
}

impl Reading {
    /// Reads queries and chains in one pass. `scorer` says which tokens are kept, where there is
    /// one.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn read(
        layer: usize,
        objective: &Objective<'_>,
        theta: &Llama<'_>,
        lessons: Vec<Lesson>,
        scorer: Option<&Scorer>,
    ) -> Result<Vec<Reading>, ExecutionError> {
        let contexts: Vec<&Context> = lessons.iter().map(|lesson| &lesson.context).collect();
        let chains = Chains::read(objective, theta, &contexts, false);
        let mut readings = Vec::new();
        for (index, lesson) in lessons.iter().enumerate() {
            let kept = match scorer {
                Some(scorer) => scorer.kept(&chains, index, lesson.n_kept).await?,
                None => kept_positions(&lesson.ranks, lesson.n_kept),
            };
            readings.push(chains.reading(layer, index, &kept, lesson.n_seen));
        }
        Ok(readings)
    }
}

impl Chains {
    /// What is learned of sequence `index`, of whose chain the tokens `kept` are.
    fn reading(&self, layer: usize, index: usize, kept: &[usize], n_seen: usize) -> Reading {
        let [n_query, _] = self.lengths[index];
        let at_kept = |states: &Tensor<2>| {
            let states = self.of_chain(states, index);
            let rows = kept.iter().map(|&at| states.clone().narrow(0, at, 1));
            Tensor::cat(rows.collect(), 0)
        };
        let by_layer = self.residuals.by_layer.iter();
        let chain = &self.words[index][n_query..];
        Reading {
            query: self.firsts.of_sequence(&self.own, index, n_query),
            z_0: self.of_query(&self.residuals.by_layer[layer], index),
            kept: by_layer.filter(|_| !kept.is_empty()).map(at_kept).collect(),
            tokens: kept.iter().map(|&at| chain[at].id).collect(),
            n_seen,
            sequence: self.sequences[index].clone(),
        }
    }
}

impl Reading {
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
    ///
    /// # Errors
    /// If reading failed.
    pub async fn advance(
        &mut self,
        step: u64,
        mut read: impl AsyncFnMut(u64) -> Result<Vec<Reading>, ExecutionError>,
    ) -> Result<(), ExecutionError> {
        let first = (step + 1).saturating_sub(WINDOW);
        self.steps
            .retain(|(known, _)| (first..=step).contains(known));
        let next = self.steps.back().map_or(first, |(newest, _)| newest + 1);
        for missing in next..=step {
            let readings = read(missing).await?.into_iter().map(Rc::new).collect();
            self.steps.push_back((missing, readings));
        }
        Ok(())
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
    use latent_model::tasks::prosqa;

    use super::super::fixtures::{contexts, objective, theta};
    use super::*;
    use crate::parameters::LlamaConfig;
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
    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        let read = pollster::block_on(read(vec![flat(tensor)]));
        read.expect("the device works").concat()
    }

    /// Each state is the last one of a sequence that ends there, read alone.
    #[test]
    fn what_is_kept_are_the_states_at_the_kept_tokens() {
        let (objective, theta) = (objective(), theta(&SIZES));
        let lesson = |context: Context| {
            let n = context.examples[0].steps.concat().len();
            // The first and the last.
            let ranks = (0..n).map(|at| u8::from(at % (n - 1) != 0)).collect();
            Lesson {
                context,
                n_kept: 2,
                ranks,
                n_seen: 2,
            }
        };
        let lessons: Vec<Lesson> = contexts(0..3).into_iter().map(lesson).collect();
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
        let readings = Reading::read(1, &objective, &theta, lessons, None);
        let readings = pollster::block_on(readings).expect("the device works");
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
