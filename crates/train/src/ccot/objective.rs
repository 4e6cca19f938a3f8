//! The losses of CCOT: of contemplation tokens beside the states that they stand for, of the
//! answer, and of END.
//!
//! Shapes: N problems, one question each; k the most contemplation tokens of one; L layers.

use burn::tensor::activation::softplus;
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use super::reading::Reading;
use super::{AnswerGradient, CcotConfig, CcotWeights, Input, Lengths};
use super::{Stage, StopGradient, Variance};
use crate::example::Target;
use crate::fused::rms_norm;
use crate::llama::{ContextCache, Llama, QuestionCache};
use crate::objective::{BatchLoss, Objective, Ungraded};
use crate::parameters::{LlamaConfig, Parameters};
use crate::tensor_ops::{argmax, flat, read};
use crate::token_loss::TokenLoss;

/// What CCOT is trained with. Everything is on the autodiff device; only the weights that a stage
/// learns are tracked.
pub struct Ccot<'a> {
    /// The run's settings.
    pub config: &'a CcotConfig,
    /// Markers, and the weights of words.
    pub objective: &'a Objective<'a>,
    /// Sizes of θ.
    pub sizes: &'a LlamaConfig,
    /// θ.
    pub base: &'a Parameters,
    /// φ, ψ, the input map and END.
    pub weights: &'a CcotWeights,
    /// Where everything is computed.
    pub device: &'a Device,
}

/// Queries that θ has read, as constants on the autodiff device.
struct Queries {
    contexts: ContextCache,
    /// z₀, the state after layer ℓ of the query's last token, `[N, d]`.
    z_0: Tensor<2>,
    /// Positions computed so far.
    n_positions: usize,
}

/// The states that contemplation tokens stand for.
struct Gold {
    /// After each layer, `[N·k, d]`; beyond a problem's own k its last one is repeated.
    by_layer: Vec<Tensor<2>>,
    /// The token at each of them.
    tokens: Vec<u32>,
}

/// Contemplation tokens that φ has made.
struct Contemplation {
    /// The states that they were made of, `[N·k, d]`.
    from: Tensor<2>,
    /// After each layer, `[N·k, d]`.
    by_layer: Vec<Tensor<2>>,
    /// Keys and values up to the last one.
    own: QuestionCache,
}

impl Ccot<'_> {
    /// The loss of a stage.
    ///
    /// The accuracy is, of the generator, the share of contemplation tokens whose nearest kept
    /// state (after layer ℓ) is one of the same token; of the joint stage, the share of problems
    /// whose whole answer comes out right.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn loss(
        &self,
        readings: &[&Reading],
        stage: Stage,
    ) -> Result<BatchLoss, ExecutionError> {
        match stage {
            Stage::Generator { own_inputs } => Ok(self.generator_loss(readings, own_inputs)),
            Stage::Joint => self.joint_loss(readings).await,
        }
    }

    /// Algorithm 1: φ shall make the kept states, layer by layer.
    fn generator_loss(&self, readings: &[&Reading], own_inputs: bool) -> BatchLoss {
        let phi = self.phi();
        let mut queries = self.queries(readings);
        let gold = self.gold(readings);
        let k = longest(readings);
        let tapped = self.config.layer;
        let from = if own_inputs {
            self.contemplate(&untracked(&phi), &mut queries, k).from
        } else {
            shifted(&queries.z_0, &gold.by_layer[tapped], k)
        };
        let stop = self.config.stop_gradient;
        let made = self.contemplate_from(&phi, &mut queries, from, stop);
        let counts = mask(readings, k, |j, k| j < k);
        let (loss, parts) = self.state_loss(&made.by_layer, &gold.by_layer, &counts);
        let nearest = nearest(
            &made.by_layer[tapped],
            &gold.by_layer[tapped],
            gold.tokens,
            counts,
        );
        BatchLoss {
            loss,
            parts,
            ungraded: vec![nearest],
            n_questions: readings.len(),
            n_positions: queries.n_positions,
        }
    }

    /// Algorithm 2: ψ shall answer, and END shall know when to.
    async fn joint_loss(&self, readings: &[&Reading]) -> Result<BatchLoss, ExecutionError> {
        let n = readings.len();
        let psi = self.llama(self.weights.decoder.merged(self.base));
        let mut queries = self.queries(readings);
        let mut seen: Vec<usize> = readings.iter().map(|reading| reading.n_seen).collect();
        let mut parts = Vec::new();
        let mut loss = Tensor::zeros([1], self.device);
        let mut own = QuestionCache::default();
        if longest(readings) > 0 {
            // One more than the longest chain has: where END is late, and a length varied.
            let k = longest(readings) + 1;
            let made = self.contemplation(&mut queries, k);
            let last = made.by_layer.last().expect("a model has layers").clone();
            let logits = self.end_logits(psi.final_norm(last));
            if self.config.lengths == Lengths::Own {
                let numbers = read(vec![flat(logits.clone().inner())]).await?.concat();
                seen = numbers.chunks_exact(k).map(stopped).collect();
            }
            let (end, stops) = self.end_loss(logits, readings, k);
            parts.push(("end".to_string(), end.clone().inner()));
            parts.push(("stops right".to_string(), stops));
            loss = loss + end.mul_scalar(self.config.end);
            own = made.own;
            own.cut(&seen);
        }
        let after: Vec<&[Target]> = readings
            .iter()
            .map(|r| r.sequence.after.as_slice())
            .collect();
        let (inputs, _) = self.objective.inputs(&psi, &after);
        queries.n_positions += inputs.dims()[0];
        let residuals = psi.extend(inputs, &queries.contexts, 1, &mut own);
        let mut tokens = TokenLoss::default();
        tokens.add(
            &residuals.last,
            &after,
            readings.iter().map(|r| r.sequence.choice),
        );
        let (words, logits, grader) = tokens.finish(&psi, n);
        let words = words.div_scalar(n as f32);
        parts.insert(0, ("answer".to_string(), words.clone().inner()));
        Ok(BatchLoss {
            loss: loss + words,
            parts,
            ungraded: vec![Ungraded {
                logits: logits.inner(),
                accuracy: Box::new(move |logits| grader.accuracy(logits)),
                weight: 1.0,
            }],
            n_questions: n,
            n_positions: queries.n_positions,
        })
    }

    /// k contemplation tokens of φ's own, through which the answer's gradient goes where it may.
    fn contemplation(&self, queries: &mut Queries, k: usize) -> Contemplation {
        let phi = self.phi();
        match self.config.answer_gradient {
            AnswerGradient::All => self.contemplate(&phi, queries, k),
            AnswerGradient::None => self.contemplate(&untracked(&phi), queries, k),
            AnswerGradient::AboveTap => {
                let from = self.contemplate(&untracked(&phi), queries, k).from;
                self.contemplate_from(&phi, queries, from, StopGradient::Tap)
            }
        }
    }

    fn llama(&self, parameters: Parameters) -> Llama<'_> {
        Llama {
            config: self.sizes,
            parameters,
            device: self.device.clone(),
        }
    }

    /// θ + φ.
    fn phi(&self) -> Llama<'_> {
        self.llama(self.weights.generator.merged(self.base))
    }

    fn queries(&self, readings: &[&Reading]) -> Queries {
        let caches: Vec<&ContextCache> = readings.iter().map(|reading| &reading.query).collect();
        let states = readings.iter().map(|reading| reading.z_0.clone());
        Queries {
            contexts: ContextCache::together(&caches).autodiff(),
            z_0: Tensor::cat(states.collect(), 0).autodiff(),
            n_positions: 0,
        }
    }

    fn gold(&self, readings: &[&Reading]) -> Gold {
        let k = longest(readings);
        let padded = |layer: usize| {
            let of_reading = |reading: &&Reading| {
                let states = reading.kept[layer].clone();
                let n = states.dims()[0];
                let last = states.clone().narrow(0, n - 1, 1).repeat_dim(0, k + 1 - n);
                Tensor::cat(vec![states, last], 0).narrow(0, 0, k)
            };
            Tensor::cat(readings.iter().map(of_reading).collect(), 0).autodiff()
        };
        let tokens = |reading: &&Reading| {
            let last = reading.tokens.len() - 1;
            (0..k)
                .map(|j| reading.tokens[j.min(last)])
                .collect::<Vec<u32>>()
        };
        Gold {
            by_layer: (0..self.sizes.n_layers).map(padded).collect(),
            tokens: readings.iter().flat_map(tokens).collect(),
        }
    }

    /// What is fed of states `[N, d]`.
    fn fed(&self, z: Tensor<2>) -> Tensor<2> {
        if self.config.input == Input::Raw {
            return z;
        }
        let d = z.dims()[1];
        let rms = self.base.embedding.clone().square().mean().sqrt();
        let gain = rms.reshape([1, 1]).repeat_dim(1, d);
        let scaled = rms_norm(z, gain, self.sizes.rms_norm_eps as f32);
        scaled.matmul(self.weights.map_weight.clone().transpose()) + self.weights.map_bias.clone()
    }

    /// k contemplation tokens, each from the one before.
    fn contemplate(&self, phi: &Llama, queries: &mut Queries, k: usize) -> Contemplation {
        let mut own = QuestionCache::default();
        let mut z = queries.z_0.clone();
        let mut from = Vec::new();
        let mut by_layer = vec![Vec::new(); self.sizes.n_layers];
        for _ in 0..k {
            from.push(z.clone());
            let inputs = self.fed(z);
            queries.n_positions += inputs.dims()[0];
            let residuals = phi.extend(inputs, &queries.contexts, 1, &mut own);
            z = residuals.by_layer[self.config.layer].clone();
            for (states, state) in by_layer.iter_mut().zip(residuals.by_layer) {
                states.push(state);
            }
        }
        Contemplation {
            from: interleaved(from),
            by_layer: by_layer.into_iter().map(interleaved).collect(),
            own,
        }
    }

    /// Contemplation tokens, all at once, from states `[N·k, d]` that are known.
    fn contemplate_from(
        &self,
        phi: &Llama,
        queries: &mut Queries,
        from: Tensor<2>,
        stop: StopGradient,
    ) -> Contemplation {
        let mut own = QuestionCache::default();
        let stops = |layer: usize| match stop {
            StopGradient::EveryLayer => true,
            StopGradient::Tap => layer == self.config.layer,
        };
        let inputs = self.fed(from.clone());
        queries.n_positions += inputs.dims()[0];
        let contexts = &queries.contexts;
        let residuals = phi.extend_through(inputs, contexts, 1, &mut own, |layer, residual| {
            if stops(layer) {
                residual.detach()
            } else {
                residual
            }
        });
        Contemplation {
            from,
            by_layer: residuals.by_layer,
            own,
        }
    }

    /// Loss_i = mean over contemplation tokens of the mean of (ẑ − z)² / σ², averaged over the
    /// layers from `first_layer` on; with each layer's own.
    fn state_loss(
        &self,
        made: &[Tensor<2>],
        gold: &[Tensor<2>],
        counts: &[f32],
    ) -> (Tensor<1>, Vec<(String, Tensor<1>)>) {
        let weights = column(counts, self.device);
        let n_counted: f32 = counts.iter().sum();
        let first = self.config.first_layer;
        let mut parts = Vec::new();
        let mut loss = Tensor::zeros([1], self.device);
        for (layer, (made, gold)) in made.iter().zip(gold).enumerate().skip(first) {
            let variance = match self.config.variance {
                Variance::Vector => variance(gold.clone(), 1),
                Variance::Data => {
                    let mean = (gold.clone() * weights.clone())
                        .sum_dim(0)
                        .div_scalar(n_counted);
                    let squares = (gold.clone() - mean).square() * weights.clone();
                    squares.sum_dim(0).div_scalar(n_counted)
                }
            };
            let squares = (made.clone() - gold.clone()).square() / variance.clamp_min(1e-6);
            let of_layer = (squares.mean_dim(1) * weights.clone())
                .sum()
                .div_scalar(n_counted);
            parts.push((format!("layer {layer}"), of_layer.clone().inner()));
            loss = loss + of_layer.div_scalar((self.sizes.n_layers - first) as f32);
        }
        (loss, parts)
    }

    /// w·h + b of normed states, `[R, 1]`.
    fn end_logits(&self, normed: Tensor<2>) -> Tensor<2> {
        normed.matmul(self.weights.end_weight.clone().transpose()) + self.weights.end_bias.clone()
    }

    /// The cross-entropy of END, asked after each contemplation token up to the one behind the
    /// last: 1 from the k-th on. And the share of problems whose first yes is the k-th.
    fn end_loss(
        &self,
        logits: Tensor<2>,
        readings: &[&Reading],
        n: usize,
    ) -> (Tensor<1>, Tensor<1>) {
        let (labels, counts) = end_labels(readings, n);
        let n_counted: f32 = counts.iter().sum();
        let (labels, weights) = (column(&labels, self.device), column(&counts, self.device));
        let losses = softplus(logits.clone(), 1.0) - labels.clone() * logits.clone();
        let loss = (losses * weights).sum().div_scalar(n_counted);
        let up_to_k = column(&mask(readings, n, |j, k| j < k), self.device);
        let says_yes = logits.greater_equal_elem(0.0).float();
        let wrong = (says_yes - labels).abs() * up_to_k;
        let wrong = wrong.reshape([readings.len(), n]).sum_dim(1).clamp_max(1.0);
        (loss, wrong.mean().neg().add_scalar(1.0).inner())
    }
}

/// The same model without a graph, to make inputs.
fn untracked<'a>(model: &Llama<'a>) -> Llama<'a> {
    Llama {
        config: model.config,
        parameters: model.parameters.clone().map(Tensor::detach),
        device: model.device.clone(),
    }
}

/// The most contemplation tokens of a problem.
fn longest(readings: &[&Reading]) -> usize {
    let lengths = readings.iter().map(|reading| reading.tokens.len());
    lengths.max().unwrap_or(0)
}

/// END's labels for each of the first n contemplation tokens of each problem, and which of them
/// count: those up to the one behind the problem's last.
fn end_labels(readings: &[&Reading], n: usize) -> (Vec<f32>, Vec<f32>) {
    (
        mask(readings, n, |j, k| j + 1 >= k),
        mask(readings, n, |j, k| j <= k),
    )
}

/// How many contemplation tokens END leaves, of its logits after each.
fn stopped(logits: &[f32]) -> usize {
    let first = logits.iter().position(|&logit| logit >= 0.0);
    first.map_or(logits.len(), |first| first + 1)
}

/// 1 for the contemplation tokens, by index j and their problem's k, that are meant; row after row
/// of `[N·n]`.
fn mask(readings: &[&Reading], n: usize, is_meant: impl Fn(usize, usize) -> bool) -> Vec<f32> {
    let rows = readings
        .iter()
        .flat_map(|reading| (0..n).map(|j| (j, reading.tokens.len())));
    rows.map(|(j, k)| f32::from(u8::from(is_meant(j, k))))
        .collect()
}

fn column(values: &[f32], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len(), 1]), device)
}

/// z₀ and the first k − 1 of each problem's states `[N·k, d]`.
fn shifted(z_0: &Tensor<2>, states: &Tensor<2>, k: usize) -> Tensor<2> {
    let [n, d] = z_0.dims();
    if k == 1 {
        return z_0.clone();
    }
    let before = states.clone().reshape([n, k, d]).narrow(1, 0, k - 1);
    let first = z_0.clone().reshape([n, 1, d]);
    Tensor::cat(vec![first, before], 1).reshape([n * k, d])
}

/// k states `[N, d]` as `[N·k, d]`.
fn interleaved(states: Vec<Tensor<2>>) -> Tensor<2> {
    let [n, d] = states[0].dims();
    let k = states.len();
    let columns = states.into_iter().map(|state| state.reshape([n, 1, d]));
    Tensor::cat(columns.collect(), 1).reshape([n * k, d])
}

/// The variance along a dimension.
fn variance(x: Tensor<2>, dim: usize) -> Tensor<2> {
    let mean = x.clone().mean_dim(dim);
    (x - mean).square().mean_dim(dim)
}

/// At most this many contemplation tokens of a batch are looked up.
const MOST_NEAREST: usize = 256;

/// Looks up, for each contemplation token, the nearest of the kept states, with each dimension
/// divided by its deviation, and tells the share at which it finds one of the same token.
fn nearest(made: &Tensor<2>, gold: &Tensor<2>, tokens: Vec<u32>, counts: Vec<f32>) -> Ungraded {
    let n = tokens.len().min(MOST_NEAREST);
    let deviations = variance(gold.clone(), 0).clamp_min(1e-6).sqrt();
    let scaled = |states: &Tensor<2>| (states.clone() / deviations.clone()).narrow(0, 0, n);
    let (made, gold) = (scaled(made), scaled(gold));
    let lengths = gold.clone().square().sum_dim(1).transpose();
    let closeness = made.matmul(gold.transpose()).mul_scalar(2.0) - lengths;
    Ungraded {
        logits: closeness.inner(),
        accuracy: Box::new(move |closeness| {
            let rows = closeness.chunks_exact(n).zip(&tokens).zip(&counts);
            let found: Vec<bool> = rows
                .filter(|(_, counts)| **counts > 0.0)
                .map(|((row, token), _)| tokens[argmax(row)] == *token)
                .collect();
            found.iter().filter(|&&found| found).count() as f64 / found.len().max(1) as f64
        }),
        weight: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_is_asked_up_to_one_token_too_many_and_says_yes_from_the_last_on() {
        let readings = [1, 3].map(Reading::of_length);
        let (labels, counts) = end_labels(&readings.each_ref(), 4);
        assert_eq!(labels, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(counts, [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn end_leaves_the_tokens_up_to_its_first_yes() {
        assert_eq!(stopped(&[0.0, -1.0]), 1);
        assert_eq!(stopped(&[-1.0, -0.1, 2.0, -1.0]), 3);
        assert_eq!(stopped(&[-1.0, -1.0]), 2);
    }

    const SIZES: LlamaConfig = LlamaConfig {
        hidden_size: 2,
        n_layers: 2,
        n_heads: 1,
        head_dim: 2,
        intermediate_size: 2,
        rope_theta: 1e4,
        rms_norm_eps: 1e-6,
    };

    fn config() -> CcotConfig {
        let lora = super::super::LoraConfig {
            rank: 1,
            alpha: 1.0,
        };
        CcotConfig {
            ratio: 0.5,
            layer: 0,
            keep: super::super::Keep::Even,
            scorer: None,
            reuse: 1,
            generator: lora,
            decoder: lora,
            input: Input::Raw,
            variance: Variance::Vector,
            first_layer: 0,
            stop_gradient: StopGradient::EveryLayer,
            own_inputs_from: None,
            joint_from: 0,
            answer_gradient: AnswerGradient::AboveTap,
            lengths: Lengths::Given,
            end: 1.0,
        }
    }

    fn matrix<const N: usize>(rows: [[f32; 2]; N], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(rows.concat(), [N, 2]), device)
    }

    /// Two tokens of which the second does not count in the mean, two layers.
    #[test]
    fn the_loss_of_a_layer_is_the_mean_square_over_the_variance() {
        let device = Device::flex().autodiff();
        let gold = [
            matrix([[1.0, 3.0], [0.0, 4.0], [9.0, 9.0]], &device),
            matrix([[2.0, 0.0], [2.0, 6.0], [9.0, 9.0]], &device),
        ];
        let made = [
            matrix([[2.0, 3.0], [0.0, 2.0], [0.0, 0.0]], &device),
            matrix([[2.0, 2.0], [2.0, 6.0], [0.0, 0.0]], &device),
        ];
        let counts = [1.0, 1.0, 0.0];
        let base = Parameters::init(&SIZES, 3, 1, &device);
        let loss = |config: &CcotConfig| -> Vec<f32> {
            let weights = CcotWeights::init(config, &SIZES, 1, &device);
            let ccot = Ccot {
                config,
                objective: &Objective {
                    config: &super::super::fixtures::LOSS,
                    markers: &latent_model::tasks::Markers::after(1),
                    sampler: latent_model::program::Sampler::GREEDY,
                },
                sizes: &SIZES,
                base: &base,
                weights: &weights,
                device: &device,
            };
            let (loss, parts) = ccot.state_loss(&made, &gold, &counts);
            let parts = parts.into_iter().map(|(_, part)| part);
            let all = [loss.inner()].into_iter().chain(parts).map(flat).collect();
            pollster::block_on(read(all))
                .expect("the device works")
                .concat()
        };
        let close = |found: &[f32], expected: &[f32]| {
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        };
        // Layer 0: (1² + 0²)/2 over a variance of 1, and (0² + 2²)/2 over 4: mean of 0.5 and 0.5.
        // Layer 1: (0² + 2²)/2 over 1, and 0: mean of 2 and 0.
        close(&loss(&config()), &[0.75, 0.5, 1.0]);
        // By dimension over both states: layer 0 has the variances 0.25 and 0.25, so the squares
        // are (4 + 0)/2 and (0 + 16)/2; layer 1 has 0 (at least 1e-6) and 9: (0 + 4/9)/2 and 0.
        let data = CcotConfig {
            variance: Variance::Data,
            ..config()
        };
        close(&loss(&data), &[2.5 + 1.0 / 18.0, 5.0, 1.0 / 9.0]);
        // The loss asks for the layers from the first on.
        let upper = CcotConfig {
            first_layer: 1,
            ..config()
        };
        close(&loss(&upper), &[1.0, 1.0]);
    }
}
