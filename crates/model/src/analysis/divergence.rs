//! Distributions over the whole vocabulary and how far they lie apart, in nats.

/// softmax(z / T) over the whole vocabulary, before any truncation; T = 0 puts all mass on the
/// largest logit, the first of equal ones.
pub fn distribution(logits: &[f32], temperature: f32) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut probs: Vec<f64> = match temperature > 0.0 {
        true => {
            let scaled = |z: &f32| (f64::from(*z) - f64::from(max)) / f64::from(temperature);
            logits.iter().map(|z| scaled(z).exp()).collect()
        }
        false => {
            let first = logits.iter().position(|z| *z == max);
            (0..logits.len())
                .map(|id| f64::from(u8::from(Some(id) == first)))
                .collect()
        }
    };
    let sum: f64 = probs.iter().sum();
    probs.iter_mut().for_each(|p| *p /= sum);
    probs
}

/// Tokens with weights as a distribution over a vocabulary of `vocab_size` tokens.
pub fn of_mixture(mixture: impl IntoIterator<Item = (u32, f32)>, vocab_size: usize) -> Vec<f64> {
    let mut probs = vec![0.0; vocab_size];
    for (id, weight) in mixture {
        probs[id as usize] += f64::from(weight);
    }
    let sum: f64 = probs.iter().sum();
    probs.iter_mut().for_each(|p| *p /= sum);
    probs
}

/// JS(P, Q) = ½ KL(P ‖ M) + ½ KL(Q ‖ M) with M = ½ (P + Q), in 0 ..= ln 2: how Single-threaded
/// Reasoners (arXiv 2508.03440) compares what follows a mixture with what follows one word. It is
/// taken of probabilities; the script that was released takes a second softmax of some of them.
pub fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    debug_assert_eq!(p.len(), q.len());
    // p ln(p / m), and 0 where p is.
    let term = |p: f64, m: f64| if p > 0.0 { p * (p / m).ln() } else { 0.0 };
    let sum: f64 = p
        .iter()
        .zip(q)
        .map(|(&p, &q)| {
            let m = 0.5 * (p + q);
            term(p, m) + term(q, m)
        })
        .sum();
    (0.5 * sum).clamp(0.0, std::f64::consts::LN_2)
}

/// KL(P ‖ Q) = Σ p ln(p / q); infinite where Q lacks what P has.
pub fn kullback_leibler(p: &[f64], q: &[f64]) -> f64 {
    let term = |(&p, &q): (&f64, &f64)| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    p.iter().zip(q).map(term).sum::<f64>().max(0.0)
}

/// H(P) = −Σ p ln p.
pub fn entropy(p: &[f64]) -> f64 {
    let term = |&p: &f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    p.iter().map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{pcg4d, uniform};

    fn random(seed: u32) -> Vec<f64> {
        let logit = |id: u32| 8.0 * uniform(pcg4d([seed, id, 0, 0])[0]);
        let logits: Vec<f32> = (0..40).map(logit).collect();
        distribution(&logits, 0.6)
    }

    #[test]
    fn jensen_shannon_keeps_its_axioms() {
        for seed in 0..50 {
            let (p, q) = (random(seed), random(seed + 100));
            let js = jensen_shannon(&p, &q);
            assert_eq!(jensen_shannon(&p, &p), 0.0);
            assert!((js - jensen_shannon(&q, &p)).abs() < 1e-15);
            assert!(js > 0.0 && js <= std::f64::consts::LN_2, "{js}");
            // By entropies: JS = H(M) − ½ H(P) − ½ H(Q).
            let m: Vec<f64> = p.iter().zip(&q).map(|(p, q)| 0.5 * (p + q)).collect();
            let by_entropy = entropy(&m) - 0.5 * entropy(&p) - 0.5 * entropy(&q);
            assert!((js - by_entropy).abs() < 1e-12);
            let of_parts = 0.5 * kullback_leibler(&p, &m) + 0.5 * kullback_leibler(&q, &m);
            assert!((js - of_parts).abs() < 1e-12);
        }
        let apart = jensen_shannon(&[1.0, 0.0], &[0.0, 1.0]);
        assert_eq!(apart, std::f64::consts::LN_2);
    }

    #[test]
    fn a_temperature_of_0_is_the_largest_logit() {
        assert_eq!(distribution(&[1.0, 3.0, 3.0], 0.0), [0.0, 1.0, 0.0]);
        let half = distribution(&[0.0, 2.0_f32.ln()], 0.5);
        assert!((half[1] - 0.8).abs() < 1e-7, "{half:?}");
        assert_eq!(of_mixture([(2, 1.0), (0, 3.0)], 3), [0.75, 0.0, 0.25]);
    }
}
