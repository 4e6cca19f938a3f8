//! Counter-based random numbers: the same integers here and in `shaders/prelude.wgsl`.
//!
//! Every draw is a pure function of its key (seed, stream, step, draw), so a run can be repeated,
//! resumed in the middle, or replayed on the other engine, without any generator state.

/// The `draw` of the one uniform number that picks a token in a sampled step.
///
/// Noise on concept tokens uses the token's id as its `draw` instead, so that a near-tie in the
/// order of two tokens cannot hand one token's noise to the other.
pub const DRAW_TOKEN: u32 = u32::MAX;

/// Retries of one draw (rejection sampling) add `attempt << ATTEMPT_SHIFT` to the token id.
pub const ATTEMPT_SHIFT: u32 = 20;

/// What one random draw is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawKey {
    /// The run's seed.
    pub seed: u32,
    /// Tells lanes with the same seed apart.
    pub stream: u32,
    /// The lane's step.
    pub step: u32,
}

impl DrawKey {
    /// Four independent 32-bit integers for one draw.
    pub fn bits(self, draw: u32) -> [u32; 4] {
        pcg4d([self.seed, self.stream, self.step, draw])
    }
}

/// The hash `pcg4d` of Jarzynski & Olano, "Hash Functions for GPU Rendering" (JCGT 2020).
pub fn pcg4d(key: [u32; 4]) -> [u32; 4] {
    let mut v = key.map(|word| word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    mix(&mut v);
    v = v.map(|word| word ^ (word >> 16));
    mix(&mut v);
    v
}

fn mix(v: &mut [u32; 4]) {
    v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[3]));
    v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
    v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
    v[3] = v[3].wrapping_add(v[1].wrapping_mul(v[2]));
}

/// A uniform number in the open interval (0, 1), from the upper 23 bits.
///
/// 23 bits and a half step are exact in f32 and never give 0 or 1, so `ln` is always finite.
pub fn uniform(bits: u32) -> f32 {
    ((bits >> 9) as f32 + 0.5) * (1.0 / 8_388_608.0)
}

/// A standard Gumbel number, −ln(−ln u) (Stochastic Soft Thinking, arXiv 2508.03440).
pub fn gumbel(bits: u32) -> f32 {
    -(-uniform(bits).ln()).ln()
}

/// A standard normal number by Box and Muller's transform.
pub fn normal(bits_a: u32, bits_b: u32) -> f32 {
    let radius = (-2.0 * uniform(bits_a).ln()).sqrt();
    radius * (std::f32::consts::TAU * uniform(bits_b)).cos()
}

/// ln of a Gamma(shape, 1) number for the token `id`, by Marsaglia and Tsang's method.
///
/// In the log domain, because a concept with little probability has a tiny shape, and its
/// `u^(1/shape)` is far below what f32 can hold.
pub fn ln_gamma_draw(key: DrawKey, id: u32, shape: f32) -> f32 {
    const MAX_ATTEMPTS: u32 = 16; // Each attempt is accepted with more than 95 %.
    let boosted = if shape < 1.0 { shape + 1.0 } else { shape };
    let d = boosted - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    let mut ln_v = 0.0;
    let mut ln_boost = 0.0;
    for attempt in 0..MAX_ATTEMPTS {
        let [a, b, accept, boost] = key.bits(id + (attempt << ATTEMPT_SHIFT));
        let x = normal(a, b);
        let root = 1.0 + c * x;
        if root <= 0.0 {
            continue;
        }
        ln_v = 3.0 * root.ln();
        let v = root * root * root;
        if shape < 1.0 {
            ln_boost = uniform(boost).ln() / shape;
        }
        if uniform(accept).ln() < 0.5 * x * x + d - d * v + d * ln_v {
            break;
        }
    }
    d.ln() + ln_v + ln_boost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(step: u32) -> DrawKey {
        DrawKey {
            seed: 7,
            stream: 1,
            step,
        }
    }

    #[test]
    fn integers_are_pinned() {
        // Computed by a few lines of Python from the paper's listing. A change here changes every
        // recorded run, on both engines.
        assert_eq!(
            pcg4d([0, 0, 0, 0]),
            [0x0f02f829, 0x2d568769, 0x32b0c43b, 0xd32548ea]
        );
        assert_eq!(
            pcg4d([1, 2, 3, 4]),
            [0x3622cd16, 0xf11471d8, 0xe1109b3f, 0x02b94c2f]
        );
    }

    #[test]
    fn uniform_stays_inside_the_open_interval() {
        assert!(uniform(0) > 0.0);
        assert!(uniform(u32::MAX) < 1.0);
    }

    #[test]
    fn gumbel_has_the_right_mean_and_variance() {
        let draws: Vec<f64> = (0..40_000)
            .map(|i| f64::from(gumbel(key(i).bits(3)[0])))
            .collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(
            (mean - 0.577_2).abs() < 0.03,
            "Euler's constant, found {mean}"
        );
        assert!(
            (variance - 1.644_9).abs() < 0.08,
            "pi^2 / 6, found {variance}"
        );
    }

    #[test]
    fn gamma_has_the_right_mean_for_small_and_large_shapes() {
        for shape in [0.3_f32, 1.0, 4.0] {
            let n = 40_000;
            let sum: f64 = (0..n)
                .map(|i| f64::from(ln_gamma_draw(key(i), 5, shape)).exp())
                .sum();
            let mean = sum / f64::from(n);
            let tolerance = 4.0 * (f64::from(shape) / f64::from(n)).sqrt();
            assert!(
                (mean - f64::from(shape)).abs() < tolerance,
                "shape {shape}: mean {mean}"
            );
        }
    }
}
