//! Statistics of runs on the same problems: paired tests, means over steps, pass@k.

use serde::{Deserialize, Serialize};

use crate::{metrics::Difference, rng::pcg4d};

/// Resamples of a bootstrap: the ends of its intervals are the 25th and 976th of a thousand.
const RESAMPLES: u32 = 1000;

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Lower end of the interval.
    pub ci_low: f64,
    /// Upper end of the interval.
    pub ci_high: f64,
    /// Values that it is taken over.
    pub n: usize,
}

impl Mean {
    /// The mean of all values, and the percentile interval of a bootstrap that draws whole groups
    /// (Efron 1979): steps of one problem are not independent. Without a value, `None`.
    pub fn of_groups(groups: &[Vec<f64>]) -> Option<Self> {
        let groups: Vec<&Vec<f64>> = groups.iter().filter(|group| !group.is_empty()).collect();
        let sums: Vec<(f64, usize)> = groups
            .iter()
            .map(|group| (group.iter().sum(), group.len()))
            .collect();
        let mean = |places: &mut dyn Iterator<Item = usize>| {
            let (sum, n) = places
                .map(|place| sums[place])
                .fold((0.0, 0), |(sum, n), (s, m)| (sum + s, n + m));
            sum / n as f64
        };
        let n = groups.iter().map(|group| group.len()).sum();
        let [ci_low, ci_high] = bootstrap(sums.len(), mean)?;
        Some(Self {
            mean: mean(&mut (0..sums.len())),
            ci_low,
            ci_high,
            n,
        })
    }

    /// The mean of independent values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let groups: Vec<Vec<f64>> = values.iter().map(|&value| vec![value]).collect();
        Self::of_groups(&groups)
    }
}

/// The 95 % percentile interval of a statistic of `n` items, drawn with replacement by the same
/// numbers on every machine; `None` for none.
fn bootstrap(
    n: usize,
    statistic: impl Fn(&mut dyn Iterator<Item = usize>) -> f64,
) -> Option<[f64; 2]> {
    if n == 0 {
        return None;
    }
    let draw = |resample: u32, item: u32| {
        let [bits, ..] = pcg4d([resample, item, 0, 0]);
        // The upper bits of the product: every item as often as any other.
        ((u64::from(bits) * n as u64) >> 32) as usize
    };
    let mut found: Vec<f64> = (0..RESAMPLES)
        .map(|resample| statistic(&mut (0..n as u32).map(|item| draw(resample, item))))
        .collect();
    found.sort_by(f64::total_cmp);
    let at = |share: f64| found[(share * f64::from(RESAMPLES)) as usize];
    Some([at(0.025), at(0.975)])
}

/// a − b on the same items with its paired bootstrap interval; `None` without items.
///
/// # Panics
/// If there are not as many of one as of the other.
pub fn paired_difference(a: &[f64], b: &[f64]) -> Option<Difference> {
    assert_eq!(a.len(), b.len(), "pairs");
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let mean = Mean::of(&differences)?;
    Some(Difference {
        value: mean.mean,
        low: mean.ci_low,
        high: mean.ci_high,
    })
}

/// McNemar's test of two methods on the same problems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Problems that only the first solved.
    pub only_first: usize,
    /// Problems that only the second solved.
    pub only_second: usize,
    /// Two-sided, exact: the binomial probability of a split at least as uneven.
    pub p_value: f64,
}

impl McNemar {
    /// Of what each method solved, problem by problem (McNemar 1947, in the exact form).
    pub fn of(first: &[bool], second: &[bool]) -> Self {
        let pairs = || first.iter().zip(second);
        let only_first = pairs().filter(|(a, b)| **a && !**b).count();
        let only_second = pairs().filter(|(a, b)| !**a && **b).count();
        let (n, fewer) = (only_first + only_second, only_first.min(only_second));
        let ln_half = 0.5_f64.ln();
        let term = |k: usize| (ln_binomial(n, k) + n as f64 * ln_half).exp();
        let tail: f64 = (0..=fewer).map(term).sum();
        Self {
            only_first,
            only_second,
            p_value: (2.0 * tail).min(1.0),
        }
    }
}

/// ln of n over k.
fn ln_binomial(n: usize, k: usize) -> f64 {
    let term = |i: usize| ((n - k + i) as f64 / i as f64).ln();
    (1..=k).map(term).sum()
}

/// The unbiased estimate of the probability that one of k runs is right, of n runs of which
/// `n_right` were: 1 − C(n − c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374). `None` where k
/// is 0 or more than n.
pub fn pass_at_k(n: usize, n_right: usize, k: usize) -> Option<f64> {
    if k == 0 || k > n || n_right > n {
        return None;
    }
    let n_wrong = n - n_right;
    if n_wrong < k {
        return Some(1.0);
    }
    let all_wrong: f64 = (0..k)
        .map(|i| (n_wrong - i) as f64 / (n - i) as f64)
        .product();
    Some(1.0 - all_wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pass_at_k_is_the_share_of_all_choices_of_k_runs() {
        for (n, n_right) in [(6, 0), (6, 1), (6, 3), (6, 6), (7, 2)] {
            for k in 1..=n {
                let choices = (0_u32..1 << n).filter(|chosen| chosen.count_ones() == k as u32);
                let solved = |chosen: &u32| chosen & ((1 << n_right) - 1) != 0;
                let all: Vec<u32> = choices.collect();
                let n_solved = all.iter().filter(|chosen| solved(chosen)).count();
                let counted = n_solved as f64 / all.len() as f64;
                let found = pass_at_k(n, n_right, k).expect("k in 1 ..= n");
                assert!((found - counted).abs() < 1e-12, "{n} {n_right} {k}");
            }
        }
        assert_eq!((pass_at_k(3, 1, 0), pass_at_k(3, 1, 4)), (None, None));
    }

    #[test]
    fn mcnemar_matches_published_values() {
        let split = |only_first: usize, only_second: usize| {
            let outcomes = |first: bool| {
                let mut outcomes = vec![first; only_first];
                outcomes.extend(vec![!first; only_second]);
                outcomes.extend([true, false]);
                outcomes
            };
            McNemar::of(&outcomes(true), &outcomes(false))
        };
        // 2 Σ C(n, i) / 2ⁿ for i up to the smaller count, in Python's integers.
        for (only_first, only_second, p_value) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021_484_375),
            (12, 3, 0.035_156_25),
            (59, 6, 4.964_650_327e-12),
        ] {
            let mut second_pair = split(only_first, only_second);
            // The two last problems, on which both agree, count for neither.
            assert_eq!(
                (second_pair.only_first, second_pair.only_second),
                (only_first, only_second)
            );
            second_pair.p_value -= p_value;
            assert!(
                second_pair.p_value.abs() < 1e-4 * p_value,
                "{second_pair:?}"
            );
        }
    }

    #[test]
    fn intervals_hold_the_mean_as_often_as_they_say() {
        // Means of 40 uniform numbers: σ = 1/√12, so the interval is ±1.96 σ / √40 = ±0.0895.
        let values = |seed: u32| -> Vec<f64> {
            let draw = |i| f64::from(crate::rng::uniform(pcg4d([seed, i, 9, 9])[0]));
            (0..40).map(draw).collect()
        };
        let holds = |seed: &u32| {
            let mean = Mean::of(&values(*seed)).expect("values");
            assert_eq!(mean.n, 40);
            assert!(
                (mean.ci_high - mean.ci_low - 0.179).abs() < 0.06,
                "{mean:?}"
            );
            (mean.ci_low..=mean.ci_high).contains(&0.5)
        };
        let n_holding = (0..200).filter(holds).count();
        assert!((180..=198).contains(&n_holding), "{n_holding} of 200");
    }

    #[test]
    fn values_of_one_group_count_once() {
        let groups: Vec<Vec<f64>> = (0..10).map(|group| vec![f64::from(group); 20]).collect();
        let grouped = Mean::of_groups(&groups).expect("values");
        let flat = Mean::of(&groups.concat()).expect("values");
        assert_eq!((grouped.mean, grouped.n), (4.5, 200));
        assert!(grouped.ci_high - grouped.ci_low > 3.0 * (flat.ci_high - flat.ci_low));
        assert_eq!(Mean::of_groups(&[Vec::new()]), None);
    }

    #[test]
    fn a_paired_difference_is_narrower_than_its_parts() {
        let b: Vec<f64> = (0..50).map(|i| f64::from(i % 2)).collect();
        let mut a = b.clone();
        a[0] = 1.0;
        let difference = paired_difference(&a, &b).expect("pairs");
        assert!((difference.value - 0.02).abs() < 1e-12);
        assert!(
            difference.low >= 0.0 && difference.high < 0.1,
            "{difference:?}"
        );
    }
}
