//! What the states of a batch are asked for, part by part, and what comes out.

use burn::tensor::Tensor;

use crate::lesson::Word;
use crate::llama::Llama;
use crate::objective::{argmax, numbers, positions};
use crate::targets::{Rows, cross_entropy};

/// What the states of a batch are asked for.
pub struct Asked {
    /// Before the final norm, part by part.
    states: Vec<Tensor<2>>,
    targets: Rows,
    /// For each row: its line, and the wrong one of two options.
    rows: Vec<(usize, Option<u32>)>,
}

impl Asked {
    /// Nothing yet, over a vocabulary of `n_tokens`.
    pub fn new(n_tokens: usize) -> Asked {
        Asked {
            states: Vec::new(),
            targets: Rows::new(n_tokens),
            rows: Vec::new(),
        }
    }

    /// Asks the residuals `[N·n, d]` at each word for the word after it. `choices` are the
    /// indices of the words that are a choice of two, with the wrong option.
    pub fn add(
        &mut self,
        residuals: &Tensor<2>,
        lines: &[&[Word]],
        choices: impl Iterator<Item = Option<(usize, u32)>>,
    ) {
        let n_new = residuals.dims()[0] / lines.len();
        // The first word of a part is asked of the part before it.
        let wanted = |words: &&[Word]| (1..words.len()).find(|&i| !words[i].targets.is_empty());
        let Some(first) = lines.iter().filter_map(wanted).min() else {
            return;
        };
        let last = longest(lines) - 1;
        for (line, (words, choice)) in lines.iter().zip(choices).enumerate() {
            for position in first..=last {
                let word = words.get(position);
                self.targets
                    .push_weights(word.into_iter().flat_map(|word| word.targets.clone()));
                let rival = choice.filter(|(index, _)| *index == position);
                self.rows.push((line, rival.map(|(_, rival)| rival)));
            }
        }
        let states = positions(residuals.clone(), n_new, first - 1, last + 1 - first);
        self.states.push(states);
    }

    /// The summed loss `[1]`, and the share of lines whose every row comes out right.
    pub fn answered(self, model: &Llama, n_lines: usize) -> (Tensor<1>, f64) {
        let states = model.final_norm(Tensor::cat(self.states, 0));
        let (loss, logits) = cross_entropy(model, states, self.targets.clone());
        let logits = numbers(logits.inner());
        let mut right = vec![true; n_lines];
        for (index, (row, &(line, rival))) in logits
            .chunks_exact(model.n_tokens())
            .zip(&self.rows)
            .enumerate()
        {
            let target = self.targets.row(index);
            let best = argmax(target);
            right[line] &= match rival {
                _ if target[best] == 0.0 => true,
                Some(rival) => row[best] > row[rival as usize],
                None => target[argmax(row)] > 0.0,
            };
        }
        let n_right = right.iter().filter(|&&right| right).count();
        (loss, n_right as f64 / n_lines as f64)
    }
}

/// The number of words of the longest line.
pub fn longest(lines: &[&[Word]]) -> usize {
    lines.iter().map(|line| line.len()).max().unwrap_or(0)
}
