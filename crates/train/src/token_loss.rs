//! The loss of predicted tokens, part by part of a batch, and which sequences come out right.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use crate::lesson::{Distribution, Word};
use crate::llama::Llama;
use crate::tensor_ops::{argmax, dense_rows, positions};

/// The loss of the tokens that the states of a batch shall predict.
#[derive(Default)]
pub struct TokenLoss {
    /// Before the final norm, part by part.
    states: Vec<Tensor<2>>,
    /// One for each state.
    rows: Vec<Row>,
}

/// What one state shall predict.
struct Row {
    sequence: usize,
    /// The tokens that may come next; empty: any.
    targets: Distribution,
    /// The wrong one of two options.
    distractor: Option<u32>,
}

/// Tells from logits which sequences come out right.
pub struct Grader {
    rows: Vec<Row>,
    n_sequences: usize,
}

impl TokenLoss {
    /// Asks the residuals `[N·n, d]` at each word for the word after it. `choices` are the
    /// indices of the words that are a choice of two, with the wrong option.
    pub fn add(
        &mut self,
        residuals: &Tensor<2>,
        sequences: &[&[Word]],
        choices: impl Iterator<Item = Option<(usize, u32)>>,
    ) {
        let n_new = residuals.dims()[0] / sequences.len();
        // The first word of a part is asked of the part before it.
        let wanted = |words: &&[Word]| (1..words.len()).find(|&i| !words[i].targets.is_empty());
        let Some(first) = sequences.iter().filter_map(wanted).min() else {
            return;
        };
        let last = longest(sequences) - 1;
        for (sequence, (words, choice)) in sequences.iter().zip(choices).enumerate() {
            for position in first..=last {
                let word = words.get(position);
                let distractor = choice.filter(|(index, _)| *index == position);
                self.rows.push(Row {
                    sequence,
                    targets: word.map_or_else(Vec::new, |word| word.targets.clone()),
                    distractor: distractor.map(|(_, distractor)| distractor),
                });
            }
        }
        let states = positions(residuals.clone(), n_new, first - 1, last + 1 - first);
        self.states.push(states);
    }

    /// The summed loss `[1]`, the logits `[N, V]`, and what grades them.
    pub fn finish(self, model: &Llama, n_sequences: usize) -> (Tensor<1>, Tensor<2>, Grader) {
        let states = model.final_norm(Tensor::cat(self.states, 0));
        let targets: Vec<Distribution> = self.rows.iter().map(|r| r.targets.clone()).collect();
        let (loss, logits) = cross_entropy(model, states, &targets);
        let grader = Grader {
            rows: self.rows,
            n_sequences,
        };
        (loss, logits, grader)
    }
}

impl Grader {
    /// The share of sequences whose every row comes out right, of logits row after row.
    ///
    /// A row is right if the likeliest token is one that its targets allow; of two options the
    /// right one only has to be the likelier.
    pub fn accuracy(&self, logits: &[f32]) -> f64 {
        let mut right = vec![true; self.n_sequences];
        let n_tokens = logits.len() / self.rows.len();
        for (logits, row) in logits.chunks_exact(n_tokens).zip(&self.rows) {
            let Some(best) = heaviest(&row.targets) else {
                continue;
            };
            right[row.sequence] &= match row.distractor {
                Some(distractor) => logits[best as usize] > logits[distractor as usize],
                None => {
                    let likeliest = argmax(logits) as u32;
                    let mut targets = row.targets.iter();
                    targets.any(|&(id, weight)| id == likeliest && weight > 0.0)
                }
            };
        }
        let n_right = right.iter().filter(|&&right| right).count();
        n_right as f64 / self.n_sequences as f64
    }
}

/// The token with the largest weight above 0, the first of several.
fn heaviest(targets: &Distribution) -> Option<u32> {
    let weighed = targets.iter().filter(|(_, weight)| *weight > 0.0);
    let best = weighed.min_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
    best.map(|(id, _)| *id)
}

/// −Σ target · log softmax(head(states)) over all rows, as a `[1]` tensor, with the logits.
///
/// `states` are `[N, d]` after the final norm; target rows carry their own weights.
pub fn cross_entropy(
    model: &Llama,
    states: Tensor<2>,
    targets: &[Distribution],
) -> (Tensor<1>, Tensor<2>) {
    let logits = model.logits(states);
    let targets = dense_rows(targets, model.n_tokens(), &model.device);
    let loss = (log_softmax(logits.clone(), 1) * targets).sum().neg();
    (loss, logits)
}

/// The number of words of the longest sequence.
pub fn longest(sequences: &[&[Word]]) -> usize {
    let lengths = sequences.iter().map(|sequence| sequence.len());
    lengths.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: usize, targets: &[(u32, f32)], distractor: Option<u32>) -> Row {
        Row {
            sequence,
            targets: targets.to_vec(),
            distractor,
        }
    }

    #[test]
    fn a_sequence_is_right_where_every_row_is() {
        let grader = Grader {
            rows: vec![
                // The likeliest token is one of two that are allowed.
                row(0, &[(1, 0.5), (2, 0.5)], None),
                // Padding asks for nothing.
                row(0, &[], None),
                // A choice of two: a third token may be likelier than both.
                row(1, &[(0, 0.1)], Some(1)),
                row(2, &[(0, 0.1)], Some(1)),
                // Right, then wrong.
                row(3, &[(2, 1.0)], None),
                row(3, &[(1, 1.0)], None),
            ],
            n_sequences: 4,
        };
        let logits = [
            [0.0, 1.0, 2.0],
            [9.0, 9.0, 9.0],
            [0.5, 0.4, 2.0],
            [0.4, 0.5, 0.0],
            [0.0, 1.0, 2.0],
            [0.0, 1.0, 2.0],
        ];
        assert_eq!(grader.accuracy(logits.as_flattened()), 0.5);
    }
}
