//! The training objective: the loss of a batch of lessons, lined up by one or several forms.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use latent_model::program::Sampler;
use latent_model::select::mixed_tokens;
use latent_model::strategy::{Settings, Strategy};
use serde::{Deserialize, Serialize};

use crate::asked::{Asked, longest};
use crate::lesson::{Lesson, Passage, Word};
use crate::llama::{ContextCache, Llama, QuestionCache, Residuals};
use crate::method::{Form, Latent, Line, Stage};
use crate::targets::{Ageing, Rows, context_rows, cross_entropy};
use latent_model::tasks::{Markers, Task};
use latent_model::tokenizer::Tokenizer;

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

/// Which lessons of a batch take which form at which stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The form.
    pub form: Form,
    /// What is taken away, and how many slots stand for it.
    pub stage: Stage,
    /// Lessons of each passage, the next ones after the share before.
    pub n_lessons: usize,
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

/// A batch's loss, and what is logged of it.
pub struct Outcome {
    /// What is minimized, `[1]`.
    pub loss: Tensor<1>,
    /// The parts of the loss before they are weighted, for the log.
    pub parts: Vec<(String, f32)>,
    /// The share of questions (or of sets, in the recall stage) that come out right.
    pub accuracy: f64,
    /// How many questions were asked.
    pub n_questions: usize,
    /// How many positions were computed.
    pub n_positions: usize,
}

/// What one share of a batch contributes, averaged over its lessons.
struct Part {
    loss: Tensor<1>,
    parts: Vec<(String, f32)>,
    accuracy: f64,
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
    let (rows, lengths) = context_rows(contexts, pad, model.n_tokens());
    let n_positions = rows.len();
    let inputs = model.embed(rows.into_tensor(&model.device));
    ReadBatch {
        contexts: model.read_contexts(inputs, &lengths),
        n_positions,
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
    /// The loss of a batch: the contexts are read once, and each share of their lessons is lined
    /// up by its own form. Gradients flow through the whole chain of thoughts or concept tokens.
    ///
    /// The accuracy is the share of lessons whose every prediction, the right beginning given, is
    /// one that the targets allow; of two options the right one only has to be the likelier.
    pub fn loss(&self, model: &Llama, passages: &[Passage], shares: &[Share]) -> Outcome {
        let contexts = passages.iter().map(|p| p.context.as_slice());
        let mut batch = read_contexts(model, contexts, self.markers.pad);
        let n_lessons: usize = shares.iter().map(|share| share.n_lessons).sum();
        // Where an answer begins at the question's last position, what the head reads there is
        // taken: the state after the last layer cannot be an option's ancestors as well. The
        // question reads the same to all forms, so it is the same for all.
        let speaks = shares.iter().any(|share| share.form == Form::NoCot);
        let n_goal_layers = model.config.n_layers - usize::from(speaks);
        let mut losses = Vec::new();
        let mut parts = Vec::new();
        let mut accuracy = 0.0;
        let mut first = 0;
        for share in shares {
            let lessons: Vec<&Lesson> = passages
                .iter()
                .flat_map(|passage| &passage.lessons[first..first + share.n_lessons])
                .collect();
            first += share.n_lessons;
            let part = self.share_loss(model, &mut batch, &lessons, *share, n_goal_layers);
            let weight = share.n_lessons as f64 / n_lessons as f64;
            losses.push(part.loss.mul_scalar(weight as f32));
            parts.extend(part.parts);
            accuracy += weight * part.accuracy;
        }
        Outcome {
            loss: losses
                .into_iter()
                .reduce(|a, b| a + b)
                .expect("a batch has at least one share"),
            parts,
            accuracy,
            n_questions: n_lessons * passages.len(),
            n_positions: batch.n_positions,
        }
    }

    /// The loss of the lessons of one share, averaged over them.
    fn share_loss(
        &self,
        model: &Llama,
        batch: &mut ReadBatch,
        lessons: &[&Lesson],
        share: Share,
        n_goal_layers: usize,
    ) -> Part {
        let n_lines = lessons.len() as f32;
        let lines: Vec<Line> = lessons
            .iter()
            .map(|lesson| {
                let markers = self.config.markers;
                share.form.line(lesson, share.stage, self.markers, markers)
            })
            .collect();
        let mut own = QuestionCache::default();
        let mut feed = |inputs| batch.extend(model, inputs, share.n_lessons, &mut own);
        let mut asked = Asked::new(model.n_tokens());
        let name = |part: &str| format!("{}/{part}", share.form.name());
        let mut parts = Vec::new();

        let before: Vec<&[Word]> = lines.iter().map(|line| line.before.as_slice()).collect();
        let (inputs, n_before) = self.inputs(model, &before);
        let residuals = feed(inputs);
        let choice = |line: &Line| line.choice.filter(|_| line.after.is_empty());
        asked.add(&residuals.last, &before, lines.iter().map(choice));
        let mut loss = Tensor::zeros([1], &model.device);
        let searches = n_goal_layers >= self.config.ancestors_from_layer;
        if self.config.ancestors > 0.0 && searches {
            let residuals = &residuals.by_layer[..n_goal_layers];
            let ancestors = ancestor_loss(model, residuals, lessons, n_before, self.config).loss;
            parts.push((name("ancestors"), number(&ancestors)));
            loss = loss + ancestors.mul_scalar(self.config.ancestors);
        }
        if let Some(latent) = share.form.latent() {
            let mut last = positions(residuals.last, n_before, n_before - 1, 1);
            let mut thoughts = Vec::new();
            for _ in 0..share.stage.slots {
                let thought = model.final_norm(last);
                thoughts.push(thought.clone());
                last = feed(self.latent_input(model, thought, latent)).last;
            }
            if self.config.reach > 0.0 && !thoughts.is_empty() {
                let reach = reach_loss(model, thoughts, &lines);
                parts.push((name("reach"), number(&reach)));
                loss = loss + reach.mul_scalar(self.config.reach);
            }
            // What the last slot's output says: nothing in Coconut, the end in Soft Thinking.
            let opening: Vec<[Word; 2]> = lines
                .iter()
                .map(|line| [Word::given(self.markers.pad), line.after[0].clone()])
                .collect();
            let opening: Vec<&[Word]> = opening.iter().map(<[Word; 2]>::as_slice).collect();
            asked.add(&last, &opening, lines.iter().map(|_| None));
            let after: Vec<&[Word]> = lines.iter().map(|line| line.after.as_slice()).collect();
            let residuals = feed(self.inputs(model, &after).0);
            asked.add(
                &residuals.last,
                &after,
                lines.iter().map(|line| line.choice),
            );
        }
        let (words, accuracy) = asked.answered(model, lines.len());
        let words = words.div_scalar(n_lines);
        parts.insert(0, (name("words"), number(&words)));
        Part {
            loss: loss + words,
            parts,
            accuracy,
        }
    }

    /// Input vectors of the words of each line, padded to the longest: `[N·n, d]`, and n.
    pub fn inputs(&self, model: &Llama, lines: &[&[Word]]) -> (Tensor<2>, usize) {
        let n_new = longest(lines);
        let mut rows = Rows::new(model.n_tokens());
        for line in lines {
            for position in 0..n_new {
                let id = line.get(position).map_or(self.markers.pad, |word| word.id);
                rows.push_token(id, 1.0);
            }
        }
        (model.embed(rows.into_tensor(&model.device)), n_new)
    }

    /// What is fed in a slot after the normed state `[N, d]`.
    fn latent_input(&self, model: &Llama, thought: Tensor<2>, latent: Latent) -> Tensor<2> {
        match latent {
            Latent::Thought => thought,
            Latent::Concept => {
                let logits = model.logits(thought);
                // The truncation is a constant to the gradient, as in the released sampler it is
                // a choice of rows.
                let kept = kept_tokens(logits.clone(), &self.sampler);
                let weights = softmax(logits.div_scalar(self.sampler.temperature), 1)
                    * kept.into_tensor(&model.device);
                let sums = weights.clone().sum_dim(1);
                model.embed(weights / sums)
            }
        }
    }
}

/// 1 for every token that the sampler mixes, 0 elsewhere, for logits `[N, V]`.
fn kept_tokens(logits: Tensor<2>, sampler: &Sampler) -> Rows {
    let n_tokens = logits.dims()[1];
    let mut rows = Rows::new(n_tokens);
    for row in numbers(logits.inner()).chunks_exact(n_tokens) {
        // Logits that are not finite mix nothing; the loss then says so.
        let kept = match row.iter().all(|z| z.is_finite()) {
            true => mixed_tokens(row, sampler),
            false => vec![0],
        };
        rows.push_weights(kept.into_iter().map(|id| (id, 1.0)));
    }
    rows
}

/// The sampler of the strategy `soft` with its defaults: what decodes is what is trained.
///
/// # Errors
/// If the task's tokenizer lacks a marker of the strategy.
pub fn soft_sampler(task: Task) -> anyhow::Result<Sampler> {
    let strategy = Strategy::by_name("soft")?;
    let tokenizer = Tokenizer::from_json(&task.tokenizer_json().to_string())?;
    let program = strategy.program(&Settings::parse(strategy, [])?, &tokenizer)?;
    Ok(program.phases[0].sampler)
}

/// The loss of thoughts, each `[N, d]`, that shall decode to what their slots say, averaged over
/// lines and thoughts.
fn reach_loss(model: &Llama, thoughts: Vec<Tensor<2>>, lines: &[Line]) -> Tensor<1> {
    let mut targets = Rows::new(model.n_tokens());
    for slot in 0..thoughts.len() {
        for line in lines {
            targets.push_weights(line.slots[slot].iter().copied());
        }
    }
    let n_rows = targets.len() as f32;
    let (loss, _) = cross_entropy(model, Tensor::cat(thoughts, 0), targets);
    loss.div_scalar(n_rows)
}

/// The loss of the options' ancestors, layer by layer.
///
/// `by_layer` are the residuals `[N·n, d]` after each layer. After layer `ancestors_from_layer`
/// the state at an option's position shall decode to the option and its parents, after the next
/// layer to its grandparents too, and so on: once the statements know their subject, each layer
/// can take one step backward. It is a search from the goal, at positions that the question has
/// anyway; the forward search only has to meet it.
pub fn ancestor_loss(
    model: &Llama,
    by_layer: &[Tensor<2>],
    lessons: &[&Lesson],
    n_new: usize,
    config: &LossConfig,
) -> Ancestors {
    let mut states = Vec::new();
    let mut targets = Rows::new(model.n_tokens());
    let first = config.ancestors_from_layer;
    let n_goals = lessons[0].goals.len();
    for (index, residual) in by_layer.iter().enumerate().skip(first - 1) {
        for goal in 0..n_goals {
            let position = lessons[0].goals[goal].position;
            states.push(positions(residual.clone(), n_new, position, 1));
            for lesson in lessons {
                let sets = &lesson.goals[goal].by_steps;
                targets.push_weights(sets[(index + 1 - first).min(sets.len() - 1)].clone());
            }
        }
    }
    let states = model.final_norm(Tensor::cat(states, 0));
    let (loss, logits) = cross_entropy(model, states, targets.clone());
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
    pub targets: Rows,
}

/// Takes positions `start .. start + count` of every question's n: `[N·n, d]` to `[N·count, d]`.
pub fn positions(states: Tensor<2>, n: usize, start: usize, count: usize) -> Tensor<2> {
    let [rows, d] = states.dims();
    states
        .reshape([rows / n, n, d])
        .narrow(1, start, count)
        .reshape([rows / n * count, d])
}

/// A loss as a plain number.
pub fn number(loss: &Tensor<1>) -> f32 {
    loss.clone().inner().into_scalar()
}

/// Logits `[N, V]` as plain numbers, row after row.
pub fn numbers(logits: Tensor<2>) -> Vec<f32> {
    logits
        .into_data()
        .try_into_vec()
        .expect("the model computes in f32")
}

/// The index of the largest number.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}
