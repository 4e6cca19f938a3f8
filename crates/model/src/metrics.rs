//! Statistics of evaluations.

use serde::Serialize;

/// A proportion with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    /// successes / n
    pub value: f64,
    /// Number of trials.
    pub n: usize,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Wilson's 95 % score interval (Wilson 1927), which stays inside 0 ..= 1 and is honest near
/// the ends; `None` for n = 0.
pub fn wilson(successes: usize, n: usize) -> Option<Proportion> {
    const Z: f64 = 1.959_963_984_540_054;
    if n == 0 {
        return None;
    }
    let (value, trials) = (successes as f64 / n as f64, n as f64);
    let denominator = 1.0 + Z * Z / trials;
    let centre = (value + Z * Z / (2.0 * trials)) / denominator;
    let half =
        Z / denominator * (value * (1.0 - value) / trials + Z * Z / (4.0 * trials * trials)).sqrt();
    Some(Proportion {
        value,
        n,
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
    })
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
}
