//! How alike two sequences are, and how often one repeats itself.

use std::{collections::HashSet, hash::Hash};

/// ROUGE-L of one reference and one candidate (Lin 2004), by whole sequences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RougeL {
    /// LCS / length of the candidate.
    pub precision: f64,
    /// LCS / length of the reference.
    pub recall: f64,
    /// Their harmonic mean; 0 where both are 0.
    pub f1: f64,
}

/// ROUGE-L of `candidate` against `reference`, as the PyPI package `rouge-score` has it; all 0
/// where either is empty.
pub fn rouge_l<T: PartialEq>(reference: &[T], candidate: &[T]) -> RougeL {
    let n_common = alignment(reference, candidate).len() as f64;
    let share = |n: usize| if n == 0 { 0.0 } else { n_common / n as f64 };
    let (precision, recall) = (share(candidate.len()), share(reference.len()));
    let sum = precision + recall;
    let f1 = if sum == 0.0 {
        0.0
    } else {
        2.0 * precision * recall / sum
    };
    RougeL {
        precision,
        recall,
        f1,
    }
}

/// A longest common subsequence, as pairs of places in both: how two strips of words are laid
/// beside each other. Of several, one that pairs early words.
pub fn alignment<T: PartialEq>(a: &[T], b: &[T]) -> Vec<(usize, usize)> {
    // Lengths of the longest common subsequences of what is left from (i, j) on.
    let width = b.len() + 1;
    let mut left = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            left[i * width + j] = match a[i] == b[j] {
                true => left[(i + 1) * width + j + 1] + 1,
                false => left[(i + 1) * width + j].max(left[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if left[(i + 1) * width + j] >= left[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// The share of n-grams that have been there before; `None` where there is no n-gram at all.
/// Soft Thinking's reason for Cold Stop (arXiv 2505.15778) is that it rises.
pub fn repeated<T: Eq + Hash>(tokens: &[T], n: usize) -> Option<f64> {
    let repeats = repeats(tokens, n);
    let n_repeats = repeats.iter().filter(|repeat| **repeat).count();
    (!repeats.is_empty()).then(|| n_repeats as f64 / repeats.len() as f64)
}

/// The same of the n-grams that end in each stretch of `window` tokens, as far as there are whole
/// stretches; of a first one shorter than n, 0.
pub fn repeated_by<T: Eq + Hash>(tokens: &[T], n: usize, window: usize) -> Vec<f64> {
    let repeats = repeats(tokens, n);
    let of_window = |index: usize| {
        // The n-gram that ends with token i is number i + 1 − n.
        let place = |token: usize| (token + 1).saturating_sub(n).min(repeats.len());
        let ended = &repeats[place(index * window)..place((index + 1) * window)];
        let n_repeats = ended.iter().filter(|repeat| **repeat).count();
        n_repeats as f64 / ended.len().max(1) as f64
    };
    (0..tokens.len() / window).map(of_window).collect()
}

/// Of each n-gram, whether it has been there before.
fn repeats<T: Eq + Hash>(tokens: &[T], n: usize) -> Vec<bool> {
    let mut seen = HashSet::new();
    tokens.windows(n).map(|gram| !seen.insert(gram)).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        target: Vec<u32>,
        prediction: Vec<u32>,
        precision: f64,
        recall: f64,
        f1: f64,
    }

    #[test]
    fn rouge_l_is_that_of_the_python_package() {
        let fixture = include_str!("../../tests/fixtures/rouge_score.json");
        let fixture: Fixture = serde_json::from_str(fixture).expect("a fixture");
        assert!(fixture.cases.len() >= 20);
        for case in fixture.cases {
            let found = rouge_l(&case.target, &case.prediction);
            for (found, expected) in [
                (found.precision, case.precision),
                (found.recall, case.recall),
                (found.f1, case.f1),
            ] {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
    }

    #[test]
    fn known_sequences_align() {
        let pairs = alignment(&["a", "b", "c", "d"], &["a", "c", "x", "d"]);
        assert_eq!(pairs, [(0, 0), (2, 1), (3, 3)]);
        assert_eq!(rouge_l(&[1, 2], &[1, 2]).f1, 1.0);
        assert_eq!(rouge_l::<u32>(&[], &[]).f1, 0.0);
    }

    #[test]
    fn repeats_are_counted_from_the_second_on() {
        assert_eq!(repeated(&[1, 2, 3], 4), None);
        assert_eq!(repeated(&[1, 2, 3, 4, 5], 4), Some(0.0));
        assert_eq!(repeated(&[1; 7], 4), Some(0.75));
        assert_eq!(repeated(&[1, 2, 1, 2, 1], 2), Some(0.5));
        // Pairs 12 · 23 31 12 · 21 11 11, and a stretch that is not whole.
        let tokens = [1, 2, 3, 1, 2, 1, 1, 1, 9];
        assert_eq!(repeated_by(&tokens, 2, 4), [0.0, 0.5]);
        assert_eq!(repeated_by(&tokens, 2, 2), [0.0, 0.0, 0.5, 0.5]);
        assert_eq!(repeated_by(&tokens, 4, 2)[0], 0.0);
        assert!(repeated_by(&tokens, 2, 10).is_empty());
    }
}
