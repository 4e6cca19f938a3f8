//! From the most probable tokens to a token or a mixture: truncation, noise, draws.

use super::distribution::{Candidate, Distribution};
use crate::{
    program::{MAX_KEPT, Noise, Phase, Role, Sampler},
    rng::{DRAW_TOKEN, DrawKey, gumbel, ln_gamma_draw, uniform},
};

/// Steps 3 to 5: top-k, top-p on its result, min-p on that; weights sum to 1.
pub(super) fn truncated(mut kept: Vec<Candidate>, sampler: &Sampler) -> Vec<Candidate> {
    kept.truncate((sampler.top_k as usize).clamp(1, MAX_KEPT));
    for candidate in &mut kept {
        candidate.weight = candidate.prob;
    }
    normalise(&mut kept);
    let mut mass = 0.0;
    let reaches = |candidate: &Candidate| {
        mass += candidate.weight;
        // At 1 nothing is cut: where a sum of f32 reaches 1 is a matter of rounding.
        mass >= sampler.top_p && sampler.top_p < 1.0
    };
    let n_prefix = kept
        .iter()
        .position(reaches)
        .map_or(kept.len(), |last| last + 1);
    kept.truncate(n_prefix);
    normalise(&mut kept);
    if sampler.min_p > 0.0 {
        let floor = sampler.min_p * kept[0].weight;
        kept.retain(|candidate| candidate.weight >= floor);
        normalise(&mut kept);
    }
    kept
}

/// Steps 6 to 8: Dirichlet, max_concepts, Gumbel-Softmax, re-sort.
pub(super) fn mix(kept: &mut Vec<Candidate>, phase: &Phase, key: DrawKey) {
    let noise = if phase.role == Role::Think {
        phase.sampler.noise
    } else {
        Noise::None
    };
    mix_with(kept, &phase.sampler, noise, key);
}

fn mix_with(kept: &mut Vec<Candidate>, sampler: &Sampler, noise: Noise, key: DrawKey) {
    if let Noise::Dirichlet { alpha } = noise {
        // A Dirichlet draw is Gamma draws, normalised; on the kept support
        // only: the released sampler draws for tokens of probability 0 too, which has no meaning.
        softmax_weights(kept, |c| ln_gamma_draw(key, c.id, alpha * c.weight));
        sort(kept);
    }
    limit_concepts(kept, sampler);
    if let Noise::Gumbel { tau } = noise {
        softmax_weights(kept, |c| (c.weight.ln() + gumbel(key.bits(c.id)[0])) / tau);
        sort(kept);
    }
}

/// Step 7: at most `max_concepts`, weights that sum to 1.
fn limit_concepts(kept: &mut Vec<Candidate>, sampler: &Sampler) {
    kept.truncate((sampler.max_concepts as usize).clamp(1, MAX_KEPT));
    normalise(kept);
}

/// What a sampler without noise mixes of logits (V), as tokens with weights that sum to 1, by
/// falling weight: what a phase that feeds concept tokens feeds. At least one; logits must be
/// finite.
pub fn clean_mixture(logits: &[f32], sampler: &Sampler) -> Vec<(u32, f32)> {
    let mut kept = truncated(Distribution::new(logits, sampler.temperature).top, sampler);
    limit_concepts(&mut kept, sampler);
    kept.iter().map(|kept| (kept.id, kept.weight)).collect()
}

/// The same under the sampler's noise, by the draws of `key`: what a thinking phase that feeds
/// concept tokens feeds.
pub fn noised_mixture(logits: &[f32], sampler: &Sampler, key: DrawKey) -> Vec<(u32, f32)> {
    let mut kept = truncated(Distribution::new(logits, sampler.temperature).top, sampler);
    mix_with(&mut kept, sampler, sampler.noise, key);
    kept.iter().map(|kept| (kept.id, kept.weight)).collect()
}

/// The tokens of [`clean_mixture`].
pub fn mixed_tokens(logits: &[f32], sampler: &Sampler) -> Vec<u32> {
    let mixture = clean_mixture(logits, sampler).into_iter();
    mixture.map(|(id, _)| id).collect()
}

/// Step 9: one token from the truncated distribution, by inversion.
pub(super) fn draw_token(kept: &[Candidate], key: DrawKey) -> usize {
    let u = uniform(key.bits(DRAW_TOKEN)[0]);
    let mut mass = 0.0;
    let reaches = |candidate: &Candidate| {
        mass += candidate.weight;
        mass > u
    };
    kept.iter().position(reaches).unwrap_or(kept.len() - 1)
}

pub(super) fn make_one_hot(kept: &mut [Candidate], id: u32) {
    for candidate in kept.iter_mut() {
        candidate.weight = if candidate.id == id { 1.0 } else { 0.0 };
    }
}

fn normalise(kept: &mut [Candidate]) {
    let sum: f32 = kept.iter().map(|candidate| candidate.weight).sum();
    for candidate in kept {
        candidate.weight /= sum;
    }
}

/// w ← softmax(score), computed from the largest score down so that nothing overflows.
fn softmax_weights(kept: &mut [Candidate], score: impl Fn(&Candidate) -> f32) {
    let scores: Vec<f32> = kept.iter().map(score).collect();
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for (candidate, score) in kept.iter_mut().zip(scores) {
        candidate.weight = (score - max).exp();
    }
    normalise(kept);
}

fn sort(kept: &mut [Candidate]) {
    kept.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id)));
}
