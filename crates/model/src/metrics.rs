//! Statistics of evaluations.

use serde::{Deserialize, Serialize};

/// A proportion with its 95 % confidence interval; in files, an accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Number of trials.
    pub n: usize,
    /// successes / n
    #[serde(rename = "accuracy")]
    pub value: f64,
    /// Lower end of the interval.
    #[serde(rename = "ci_low")]
    pub low: f64,
    /// Upper end of the interval.
    #[serde(rename = "ci_high")]
    pub high: f64,
}

impl Proportion {
    /// The share and the ends of its interval, in percent.
    pub fn percent(&self) -> [f64; 3] {
        [self.value, self.low, self.high].map(|share| 100.0 * share)
    }
}

/// Wilson's 95 % score interval (Wilson 1927), which stays inside 0 ..= 1 and is honest near
/// the ends; `None` for n = 0.
pub fn wilson(successes: usize, n: usize) -> Option<Proportion> {
    let value = successes as f64 / n as f64;
    (n > 0).then(|| Proportion {
        n,
        ..wilson_of(value, n as f64)
    })
}

/// The interval around `value` after `trials` trials, which need not be a whole number.
fn wilson_of(value: f64, trials: f64) -> Proportion {
    const Z: f64 = 1.959_963_984_540_054;
    let denominator = 1.0 + Z * Z / trials;
    let centre = (value + Z * Z / (2.0 * trials)) / denominator;
    let spread = value * (1.0 - value) / trials + Z * Z / (4.0 * trials * trials);
    let half = Z / denominator * spread.sqrt();
    let (low, high) = ((centre - half).max(0.0), (centre + half).min(1.0));
    Proportion {
        value,
        n: trials as usize,
        low,
        high,
    }
}

/// Wilson's interval for the mean of per-problem rates, each from `samples` runs.
///
/// Runs of one problem are not independent, so n·samples would be too many trials. The interval
/// is taken at the effective sample size p(1 − p) / Var(mean) (Kish 1965), which is n when a
/// problem's runs all agree and n·samples when problems do not differ.
///
/// # Panics
/// If there are no rates.
pub fn clustered_wilson(rates: &[f64], samples: usize) -> Proportion {
    assert!(!rates.is_empty(), "an interval needs at least one problem");
    let n = rates.len();
    let mean = rates.iter().sum::<f64>() / n as f64;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / n as f64;
    let effective = mean * (1.0 - mean) / variance * n as f64;
    let (least, most) = (n as f64, (n * samples) as f64);
    // Without any variance the ratio is 0 / 0; the smaller count is the honest one.
    let trials = if effective.is_finite() {
        effective.clamp(least, most)
    } else {
        least
    };
    Proportion {
        n,
        ..wilson_of(mean, trials)
    }
}

/// A difference of two proportions with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The first less the second.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Difference {
    /// Newcombe's interval for a difference of independent proportions, made of the Wilson
    /// intervals of both (Newcombe 1998, method 10). Proportions on the same problems are seldom
    /// more independent than that, so it errs on the wide side.
    pub fn of(a: &Proportion, b: &Proportion) -> Difference {
        let value = a.value - b.value;
        Difference {
            value,
            low: value - (a.value - a.low).hypot(b.high - b.value),
            high: value + (a.high - a.value).hypot(b.value - b.low),
        }
    }
}

/// Entropies at the steps where a path really branches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branches {
    /// Number of branch points.
    pub n: usize,
    /// Nats.
    pub mean_entropy: f64,
    /// Share of them above [`Branches::THRESHOLD`].
    pub share_above: f64,
}

impl Branches {
    /// Nats above which a branch point counts as undecided.
    pub const THRESHOLD: f64 = 0.3;

    /// Sums up; `None` without a branch point.
    pub fn new(entropies: &[f64]) -> Option<Self> {
        let n = entropies.len();
        let above = entropies
            .iter()
            .filter(|entropy| **entropy > Self::THRESHOLD)
            .count();
        (n > 0).then(|| Self {
            n,
            mean_entropy: entropies.iter().sum::<f64>() / n as f64,
            share_above: above as f64 / n as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_matches_published_values() {
        // statsmodels.stats.proportion.proportion_confint(81, 263, method="wilson")
        let interval = wilson(81, 263).expect("n > 0");
        assert!((interval.low - 0.255_29).abs() < 1e-4, "{interval:?}");
        assert!((interval.high - 0.366_21).abs() < 1e-4, "{interval:?}");
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(0, 10).map(|p| p.low), Some(0.0));
    }

    #[test]
    fn differences_match_published_values() {
        // Newcombe 1998, table II, method 10: (a) 56/70 - 48/80, (e) 10/10 - 0/20.
        for (a, b, low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((10, 10), (0, 20), 0.6791, 1.0),
        ] {
            let proportion = |(successes, n)| wilson(successes, n).expect("n > 0");
            let found = Difference::of(&proportion(a), &proportion(b));
            assert!((found.low - low).abs() < 1e-4, "{found:?}");
            assert!((found.high - high).abs() < 1e-4, "{found:?}");
        }
    }

    #[test]
    fn runs_that_agree_count_once_and_runs_that_do_not_count_each() {
        let agree = clustered_wilson(&[1.0, 0.0, 1.0, 0.0], 10);
        assert_eq!(Some(agree), wilson(2, 4));
        let differ = clustered_wilson(&[0.5; 4], 10);
        assert_eq!(differ.n, 4);
        assert!(differ.high - differ.low > 0.0);
        let partly = clustered_wilson(&[0.9, 0.1, 0.8, 0.2], 10);
        assert!(partly.high - partly.low < agree.high - agree.low);
    }

    #[test]
    fn branches_sum_up() {
        let branches = Branches::new(&[0.1, 0.5, 0.9]).expect("three of them");
        assert_eq!((branches.n, branches.mean_entropy), (3, 0.5));
        assert!((branches.share_above - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(Branches::new(&[]), None);
    }
}
