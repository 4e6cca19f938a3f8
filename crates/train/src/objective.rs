//! The training objective: the loss of a batch of examples, laid out in one or several ways.

use burn::tensor::activation::softmax;
use burn::tensor::{ExecutionError, Tensor};
use latent_model::engine::ModelCapabilities;
use latent_model::program::Sampler;
use latent_model::select::mixed_tokens;
use latent_model::strategy::{Settings, Strategy};
use latent_model::tasks::{Markers, Task};
use latent_model::tokenizer::Tokenizer;

use crate::example::{Context, Distribution, Example, LossConfig, Target};
use crate::llama::{ContextCache, Llama, QuestionCache, Residuals};
use crate::method::{Latent, SequenceLayout, Stage, TrainingSequence};
use crate::tensor_ops::{dense_rows, flat, one_hot, positions, read};
use crate::token_loss::{TokenLoss, cross_entropy, longest};

/// Which examples of a batch are laid out in which way at which stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSplit {
    /// The layout.
    pub layout: SequenceLayout,
    /// What is taken away, and how many slots stand for it.
    pub stage: Stage,
    /// Lessons of each context, the next ones after the split before.
    pub n_examples: usize,
}

/// What a batch is computed with, beside the model.
pub struct Objective<'a> {
    /// Weights of the parts.
    pub config: &'a LossConfig,
    /// The vocabulary's markers.
    pub markers: &'a Markers,
    /// What makes a concept token of logits.
    pub sampler: Sampler,
}

/// A batch's loss and what is said of it. Nothing of it has been read from the device: a step
/// reads everything at once, when its update is in the queue too.
pub struct BatchLoss {
    /// What is minimized, `[1]`.
    pub loss: Tensor<1>,
    /// The parts of the loss before they are weighted, `[1]` each and without autodiff, for the
    /// log.
    pub parts: Vec<(String, Tensor<1>)>,
    /// What the accuracy is made of.
    pub ungraded: Vec<Ungraded>,
    /// How many questions were asked.
    pub n_questions: usize,
    /// How many positions were computed.
    pub n_positions: usize,
}

/// Tells the share that comes out right of logits, row after row.
pub type Grade = Box<dyn FnOnce(&[f32]) -> f64>;

/// Predictions whose accuracy is known once they have been read.
pub struct Ungraded {
    /// Logits `[N, V]`, without autodiff.
    pub logits: Tensor<2>,
    /// The share of them that comes out right.
    pub accuracy: Grade,
    /// Its weight in the batch's accuracy.
    pub weight: f64,
}

/// What one split of a batch contributes, averaged over its examples.
struct SplitLoss {
    loss: Tensor<1>,
    parts: Vec<(String, Tensor<1>)>,
    logits: Tensor<2>,
    accuracy: Grade,
}

/// A batch whose contexts have been read.
pub struct ReadBatch {
    /// The contexts' keys and values.
    pub contexts: ContextCache,
    /// Positions of all contexts and questions so far, padding included.
    pub n_positions: usize,
}

/// Reads contexts, padded to the longest.
pub fn read_contexts<'a>(
    model: &Llama,
    contexts: impl Iterator<Item = &'a [u32]>,
    pad: u32,
) -> ReadBatch {
    let contexts: Vec<&[u32]> = contexts.collect();
    let lengths: Vec<usize> = contexts.iter().map(|context| context.len()).collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let padded = contexts.iter().flat_map(|context| {
        let padding = std::iter::repeat_n(pad, longest - context.len());
        context.iter().copied().chain(padding)
    });
    let rows: Vec<Distribution> = padded.map(one_hot).collect();
    let inputs = model.embed_rows(&rows);
    ReadBatch {
        contexts: model.read_contexts(inputs, &lengths),
        n_positions: rows.len(),
    }
}

impl ReadBatch {
    /// Computes new positions of all questions from input vectors `[G·Q·n, d]`.
    pub fn extend(
        &mut self,
        model: &Llama,
        inputs: Tensor<2>,
        n_questions: usize,
        own: &mut QuestionCache,
    ) -> Residuals {
        self.n_positions += inputs.dims()[0];
        model.extend(inputs, &self.contexts, n_questions, own)
    }
}

impl Objective<'_> {
    /// The loss of a batch: the contexts are read once, and each split of their examples is laid
    /// out in its own way. Gradients flow through the whole chain of thoughts or concept tokens.
    ///
    /// The accuracy is the share of examples whose every prediction, the right beginning given, is
    /// one that the targets allow; of two options the right one only has to be the likelier.
    ///
    /// # Errors
    /// If the device failed: concept tokens are read from it, one read a token.
    pub async fn loss(
        &self,
        model: &Llama<'_>,
        contexts: &[Context],
        splits: &[BatchSplit],
    ) -> Result<BatchLoss, ExecutionError> {
        let tokens = contexts.iter().map(|c| c.tokens.as_slice());
        let mut batch = read_contexts(model, tokens, self.markers.pad);
        let n_examples: usize = splits.iter().map(|split| split.n_examples).sum();
        // Where an answer begins at the question's last position, what the head reads there is
        // taken: the state after the last layer cannot be an option's ancestors as well. The
        // question reads the same to all layouts, so it is the same for all.
        let speaks = splits
            .iter()
            .any(|split| split.layout == SequenceLayout::NoCot);
        let n_search_layers = model.config.n_layers - usize::from(speaks);
        let mut losses = Vec::new();
        let mut parts = Vec::new();
        let mut ungraded = Vec::new();
        let mut first = 0;
        for split in splits {
            let examples: Vec<&Example> = contexts
                .iter()
                .flat_map(|context| &context.examples[first..first + split.n_examples])
                .collect();
            first += split.n_examples;
            let of_split = self
                .split_loss(model, &mut batch, &examples, *split, n_search_layers)
                .await?;
            let weight = split.n_examples as f64 / n_examples as f64;
            losses.push(of_split.loss.mul_scalar(weight as f32));
            parts.extend(of_split.parts);
            ungraded.push(Ungraded {
                logits: of_split.logits,
                accuracy: of_split.accuracy,
                weight,
            });
        }
        Ok(BatchLoss {
            loss: losses
                .into_iter()
                .reduce(|a, b| a + b)
                .expect("a batch has at least one split"),
            parts,
            ungraded,
            n_questions: n_examples * contexts.len(),
            n_positions: batch.n_positions,
        })
    }

    /// The loss of the examples of one split, averaged over them.
    async fn split_loss(
        &self,
        model: &Llama<'_>,
        batch: &mut ReadBatch,
        examples: &[&Example],
        split: BatchSplit,
        n_search_layers: usize,
    ) -> Result<SplitLoss, ExecutionError> {
        let n_sequences = examples.len();
        let (layout, markers) = (split.layout, self.config.markers);
        let sequences: Vec<TrainingSequence> = examples
            .iter()
            .map(|example| layout.sequence(example, split.stage, self.markers, markers))
            .collect();
        let mut own = QuestionCache::default();
        let mut feed = |inputs| batch.extend(model, inputs, split.n_examples, &mut own);
        let mut tokens = TokenLoss::default();
        let name = |part: &str| format!("{}/{part}", layout.name());
        let mut parts = Vec::new();

        let before: Vec<&[Target]> = sequences.iter().map(|s| s.before.as_slice()).collect();
        let (inputs, n_before) = self.inputs(model, &before);
        let residuals = feed(inputs);
        let choice = |s: &TrainingSequence| s.choice.filter(|_| s.after.is_empty());
        tokens.add(&residuals.last, &before, sequences.iter().map(choice));
        let mut loss = Tensor::zeros([1], &model.device);
        let searches = n_search_layers >= self.config.ancestors_from_layer;
        if self.config.ancestors > 0.0 && searches {
            let residuals = &residuals.by_layer[..n_search_layers];
            let ancestors = ancestor_loss(model, residuals, examples, n_before, self.config).loss;
            parts.push((name("ancestors"), ancestors.clone().inner()));
            loss = loss + ancestors.mul_scalar(self.config.ancestors);
        }
        if let Some(latent) = layout.latent() {
            let mut last = positions(residuals.last, n_before, n_before - 1, 1);
            let mut thoughts = Vec::new();
            for _ in 0..split.stage.slots {
                let thought = model.final_norm(last);
                thoughts.push(thought.clone());
                last = feed(self.latent_input(model, thought, latent).await?).last;
            }
            if self.config.latent_targets > 0.0 && !thoughts.is_empty() {
                let latent = latent_target_loss(model, thoughts, &sequences);
                parts.push((name("latent_targets"), latent.clone().inner()));
                loss = loss + latent.mul_scalar(self.config.latent_targets);
            }
            // What the last slot's output says: nothing in Coconut, the end in Soft Thinking.
            let opening: Vec<[Target; 2]> = sequences
                .iter()
                .map(|s| [Target::given(self.markers.pad), s.after[0].clone()])
                .collect();
            let opening: Vec<&[Target]> = opening.iter().map(<[Target; 2]>::as_slice).collect();
            tokens.add(&last, &opening, sequences.iter().map(|_| None));
            let after: Vec<&[Target]> = sequences.iter().map(|s| s.after.as_slice()).collect();
            let residuals = feed(self.inputs(model, &after).0);
            let choices = sequences.iter().map(|s| s.choice);
            tokens.add(&residuals.last, &after, choices);
        }
        let (words, logits, grader) = tokens.finish(model, n_sequences);
        let words = words.div_scalar(n_sequences as f32);
        parts.insert(0, (name("words"), words.clone().inner()));
        Ok(SplitLoss {
            loss: loss + words,
            parts,
            logits: logits.inner(),
            accuracy: Box::new(move |logits| grader.accuracy(logits)),
        })
    }

    /// Input vectors of the words of each sequence, padded to the longest: `[N·n, d]`, and n.
    pub fn inputs(&self, model: &Llama, sequences: &[&[Target]]) -> (Tensor<2>, usize) {
        let n_new = longest(sequences);
        let padded = sequences.iter().flat_map(|words| {
            (0..n_new).map(|position| words.get(position).map_or(self.markers.pad, |w| w.id))
        });
        let rows: Vec<Distribution> = padded.map(one_hot).collect();
        (model.embed_rows(&rows), n_new)
    }

    /// What is fed in a slot after the normed state `[N, d]`.
    async fn latent_input(
        &self,
        model: &Llama<'_>,
        thought: Tensor<2>,
        latent: Latent,
    ) -> Result<Tensor<2>, ExecutionError> {
        match latent {
            Latent::Thought => Ok(thought),
            Latent::Concept => {
                let logits = model.logits(thought);
                // The truncation is a constant to the gradient, as in the released sampler it is
                // a choice of rows.
                let kept = kept_tokens(logits.clone(), &self.sampler).await?;
                let weights = softmax(logits.div_scalar(self.sampler.temperature), 1)
                    * dense_rows(&kept, model.n_tokens(), &model.device);
                let sums = weights.clone().sum_dim(1);
                Ok(model.embed(weights / sums))
            }
        }
    }
}

/// Weight 1 for every token that the sampler mixes, for each row of logits `[N, V]`.
async fn kept_tokens(
    logits: Tensor<2>,
    sampler: &Sampler,
) -> Result<Vec<Distribution>, ExecutionError> {
    let n_tokens = logits.dims()[1];
    let numbers = read(vec![flat(logits.inner())]).await?.concat();
    let rows = numbers.chunks_exact(n_tokens).map(|row| {
        // Logits that are not finite mix nothing; the loss then says so.
        let kept = match row.iter().all(|z| z.is_finite()) {
            true => mixed_tokens(row, sampler),
            false => vec![0],
        };
        kept.into_iter().map(|id| (id, 1.0)).collect()
    });
    Ok(rows.collect())
}

/// The sampler of the strategy `soft` with its defaults: what decodes is what is trained.
///
/// # Errors
/// If the task's tokenizer lacks a marker of the strategy.
pub fn soft_sampler(task: Task) -> anyhow::Result<Sampler> {
    let strategy = Strategy::by_name("soft")?;
    let tokenizer = Tokenizer::from_json(&task.tokenizer_json().to_string())?;
    let program = strategy.program(
        &Settings::parse(strategy, [])?,
        &tokenizer,
        ModelCapabilities::default(),
    )?;
    Ok(program.phases[0].sampler)
}

/// The loss of thoughts, each `[N, d]`, that shall decode to what their slots say, averaged over
/// sequences and thoughts.
fn latent_target_loss(
    model: &Llama,
    thoughts: Vec<Tensor<2>>,
    sequences: &[TrainingSequence],
) -> Tensor<1> {
    let of_slot = |slot: usize| sequences.iter().map(move |s| s.slots[slot].clone());
    let targets: Vec<Distribution> = (0..thoughts.len()).flat_map(of_slot).collect();
    let (loss, _) = cross_entropy(model, Tensor::cat(thoughts, 0), &targets);
    loss.div_scalar(targets.len() as f32)
}

/// The loss of the options' ancestors, layer by layer.
///
/// `by_layer` are the residuals `[N·n, d]` after each layer. After layer `ancestors_from_layer`
/// the state at an option's position shall decode to the option and its parents, after the next
/// layer to its grandparents too, and so on: once the statements know their subject, each layer
/// can take one step backward. It is a search from the option, at positions that the question has
/// anyway; the forward search only has to meet it.
pub fn ancestor_loss(
    model: &Llama,
    by_layer: &[Tensor<2>],
    examples: &[&Example],
    n_new: usize,
    config: &LossConfig,
) -> Ancestors {
    let mut states = Vec::new();
    let mut targets: Vec<Distribution> = Vec::new();
    let first = config.ancestors_from_layer;
    let n_options = examples[0].ancestor_targets.len();
    for (index, residual) in by_layer.iter().enumerate().skip(first - 1) {
        for option in 0..n_options {
            let position = examples[0].ancestor_targets[option].position;
            states.push(positions(residual.clone(), n_new, position, 1));
            targets.extend(examples.iter().map(|example| {
                let sets = &example.ancestor_targets[option].by_steps;
                sets[(index + 1 - first).min(sets.len() - 1)].clone()
            }));
        }
    }
    let states = model.final_norm(Tensor::cat(states, 0));
    let (loss, logits) = cross_entropy(model, states, &targets);
    Ancestors {
        loss: loss.div_scalar(targets.len() as f32),
        logits,
        targets,
    }
}

/// How well the options' positions search backward.
pub struct Ancestors {
    /// Mean over questions, options and layers, `[1]`.
    pub loss: Tensor<1>,
    /// `[layers·options·N, V]`.
    pub logits: Tensor<2>,
    /// The distributions that they shall follow.
    pub targets: Vec<Distribution>,
}
