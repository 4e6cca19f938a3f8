//! Numbers out of interleaved repeats.

use serde::{Deserialize, Serialize};

/// A number over the rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Half of the rounds are below.
    pub median: f64,
    /// The lowest round.
    pub low: f64,
    /// The highest round.
    pub high: f64,
}

impl Measured {
    /// Of at least one round.
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = rounds.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        Self {
            median: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
            low: sorted[0],
            high: sorted[n - 1],
        }
    }

    /// Of what `count` over each round's seconds is.
    pub fn rate(count: f64, seconds: &[f64]) -> Self {
        Self::of(seconds.iter().map(|seconds| count / seconds))
    }

    /// How many times as quick the first is, round by round: both ran in the same rounds, so that
    /// what slows the machine slows both.
    pub fn speed_ratio(seconds: &[f64], others: &[f64]) -> Self {
        let rounds = seconds.iter().zip(others);
        Self::of(rounds.map(|(seconds, other)| other / seconds))
    }

    /// The same in another unit.
    pub fn times(self, factor: f64) -> Self {
        Self {
            median: factor * self.median,
            low: factor * self.low,
            high: factor * self.high,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Twice as quick in every round, though the machine slowed down by ten.
        let ratio = Measured::speed_ratio(&[1.0, 10.0, 2.0], &[2.0, 20.0, 4.0]);
        assert_eq!([ratio.median, ratio.low, ratio.high], [2.0; 3]);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let measured = Measured::rate(12.0, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!([measured.low, measured.high], [3.0, 12.0]);
        assert_eq!(measured.median, 5.0);
    }
}
