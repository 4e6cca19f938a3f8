//! From logits to a distribution: temperature, entropies, and the most probable tokens.
//!
//! The CPU twin of `shaders/distribution.wgsl` and of what `shaders/select.wgsl` merges.

use crate::program::MAX_KEPT;

/// No logit counts as lying further below the largest one, in units of the temperature: far below
/// where eˣ is 0, and not −∞, whose product with that 0 is NaN.
const LOWEST: f32 = -1e30;

/// The distribution of one step.
pub(super) struct Distribution {
    /// Entropy in nats of the full distribution after temperature.
    pub entropy: f32,
    /// Entropy in nats of the full distribution at temperature 1.
    pub raw_entropy: f32,
    /// At most [`MAX_KEPT`] tokens by falling probability, weights not yet set.
    pub top: Vec<Candidate>,
}

/// A token with its probability before, and its weight after, truncation and noise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub id: u32,
    pub prob: f32,
    pub weight: f32,
}

impl Candidate {
    /// Without weight.
    pub fn new(id: u32, prob: f32) -> Self {
        let weight = 0.0;
        Self { id, prob, weight }
    }
}

/// Of one softmax: Σ eˣ and the entropy, with x the logits scaled and shifted to a largest of 0.
struct Sums {
    sum: f64,
    entropy: f32,
}

impl Distribution {
    /// Of `logits` (V), at least one and all finite, at a temperature of at least 0; 0 puts all
    /// mass on the largest logit. Steps 1 and 2 of the released Soft Thinking sampler.
    pub fn new(logits: &[f32], temperature: f32) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let order = most_probable(logits);
        let raw = Sums::new(logits, |z| (z - max).max(LOWEST));
        if temperature == 0.0 {
            return Self {
                entropy: 0.0,
                raw_entropy: raw.entropy,
                top: vec![Candidate::new(order[0], 1.0)],
            };
        }
        let scaled = |z: f32| ((z - max) / temperature).max(LOWEST);
        let sums = Sums::new(logits, scaled);
        let prob = |id: u32| normal(scaled(logits[id as usize]).exp() / sums.sum as f32);
        Self {
            entropy: sums.entropy,
            raw_entropy: raw.entropy,
            top: order
                .into_iter()
                .map(|id| Candidate::new(id, prob(id)))
                .collect(),
        }
    }
}

/// The number, or 0 where it is subnormal: devices may take those for 0.
fn normal(x: f32) -> f32 {
    if x < f32::MIN_POSITIVE { 0.0 } else { x }
}

impl Sums {
    /// H = ln S − U / S with S = Σ eˣ, U = Σ x·eˣ: one pass, no logarithm of a tiny p.
    fn new(logits: &[f32], scaled: impl Fn(f32) -> f32) -> Self {
        let (mut sum, mut weighted) = (0.0_f64, 0.0_f64);
        for &z in logits {
            let x = scaled(z);
            let e = f64::from(x.exp());
            sum += e;
            weighted += f64::from(x) * e;
        }
        let entropy = (sum.ln() - weighted / sum).max(0.0) as f32;
        Self { sum, entropy }
    }
}

/// At most [`MAX_KEPT`] ids by falling logit, equal ones by rising id.
fn most_probable(logits: &[f32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let by_falling_logit = |a: &u32, b: &u32| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then(a.cmp(b))
    };
    let n_top = MAX_KEPT.min(order.len());
    if n_top < order.len() {
        order.select_nth_unstable_by(n_top, by_falling_logit);
        order.truncate(n_top);
    }
    order.sort_unstable_by(by_falling_logit);
    order
}
