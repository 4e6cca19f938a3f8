//! What the analysis drawer draws, as numbers: heat, names of positions, distributions of a step,
//! draws of its noise, and strips of words beside each other.

use latent_model::{
    analysis::{
        divergence::distribution,
        lens::LensCell,
        similarity::{RougeL, alignment, rouge_l},
    },
    program::{Noise, Program, Sampler},
    record::StepRecord,
    rng::DrawKey,
    select::{clean_mixture, noised_mixture},
    trace::{StepKind, emitted, step_kind},
};

/// What a heat map's colour stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heat {
    /// Probability of the token that the last layer puts first.
    #[default]
    Probability,
    /// Its rank, the first layers' last.
    Rank,
    /// How spread what a layer says is.
    Entropy,
    /// KL(last layer ‖ this one).
    Divergence,
}

impl Heat {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [
        Self::Probability,
        Self::Rank,
        Self::Entropy,
        Self::Divergence,
    ];

    /// Its name in a select's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probability => "probability",
            Self::Rank => "rank",
            Self::Entropy => "entropy",
            Self::Divergence => "divergence",
        }
    }

    /// The cell's value, as it is told.
    pub fn value(self, cell: &LensCell) -> String {
        match self {
            Self::Probability => format!("{:.3}", cell.probability),
            // For people the first one is number 1.
            Self::Rank => (cell.rank + 1).to_string(),
            Self::Entropy => format!("{:.3}", cell.entropy),
            Self::Divergence => format!("{:.3}", cell.divergence),
        }
    }

    /// How full a cell is coloured, 0 to 1: the fuller, the nearer to what the last layer says, and
    /// for the entropy the surer.
    pub fn fullness(self, cell: &LensCell, vocab_size: usize) -> f64 {
        let most = (vocab_size.max(2) as f64).ln();
        let full = match self {
            Self::Probability => cell.probability,
            Self::Rank => 1.0 - ((cell.rank + 1) as f64).ln() / most,
            Self::Entropy => 1.0 - cell.entropy / most,
            Self::Divergence => 1.0 - cell.divergence / most,
        };
        full.clamp(0.0, 1.0)
    }
}

/// What a position is called: what is fed there after a record.
pub fn position_name(
    record: &StepRecord,
    program: &Program,
    word: impl Fn(u32) -> String,
    thought: impl Fn(usize) -> String,
) -> String {
    let mixed = record.kept().filter(|kept| kept.weight > 0.0).count();
    match step_kind(record, program) {
        StepKind::Think if mixed == 0 => thought(record.phase_step as usize + 1),
        StepKind::Think if mixed > 1 => format!("{} +{}", word(record.token), mixed - 1),
        _ => word(record.token),
    }
}

/// Which of a step's distributions is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// The model's own, at temperature 1.
    #[default]
    Raw,
    /// At the sampler's temperature.
    Tempered,
    /// What top-k, top-p, min-p and the number of concepts leave of it.
    Truncated,
    /// What is fed: with noise where there is any.
    Noised,
}

impl Stage {
    /// All of them, in the order in which a sampler makes them.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Tempered, Self::Truncated, Self::Noised];

    /// Its name in a select's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Tempered => "tempered",
            Self::Truncated => "truncated",
            Self::Noised => "noised",
        }
    }

    /// The most probable tokens of a step, at most so many, by falling probability. `logits` (V)
    /// are those that the record was made of.
    pub fn tokens(
        self,
        logits: &[f32],
        record: &StepRecord,
        sampler: &Sampler,
        most: usize,
    ) -> Vec<(u32, f64)> {
        let of_all = |temperature: f32| (0..).zip(distribution(logits, temperature)).collect();
        let mut tokens: Vec<(u32, f64)> = match self {
            Self::Raw => of_all(1.0),
            Self::Tempered => of_all(sampler.temperature),
            Self::Truncated => {
                let mixture = clean_mixture(logits, sampler).into_iter();
                mixture.map(|(id, weight)| (id, weight.into())).collect()
            }
            Self::Noised => {
                let kept = record.kept().filter(|kept| kept.weight > 0.0);
                kept.map(|kept| (kept.id, kept.weight.into())).collect()
            }
        };
        tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        tokens.truncate(most);
        tokens
    }
}

/// Draws of a step's noise.
pub const N_DRAWS: u32 = 200;
/// Classes of a token's weights from 0 to 1.
pub const N_BINS: usize = 20;

/// A token of a mixture under noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The token.
    pub id: u32,
    /// Its weight without noise.
    pub clean: f32,
    /// The mean of its weights.
    pub mean: f32,
    /// How many of the draws had its weight in each class.
    pub bins: [u32; N_BINS],
}

/// What a noise makes of a step's mixture: [`N_DRAWS`] draws from `key`'s seed, each of a stream of
/// its own, for the tokens of the clean mixture.
pub fn drawn(logits: &[f32], sampler: &Sampler, noise: Noise, key: DrawKey) -> Vec<Drawn> {
    let noisy = Sampler { noise, ..*sampler };
    let clean = clean_mixture(logits, sampler).into_iter();
    let mut all: Vec<Drawn> = clean
        .map(|(id, clean)| Drawn {
            id,
            clean,
            mean: 0.0,
            bins: [0; N_BINS],
        })
        .collect();
    for stream in 0..N_DRAWS {
        let mixture = noised_mixture(logits, &noisy, DrawKey { stream, ..key });
        for token in &mut all {
            let found = mixture.iter().find(|(id, _)| *id == token.id);
            let weight = found.map_or(0.0, |(_, weight)| *weight);
            token.mean += weight / N_DRAWS as f32;
            let bin = (weight * N_BINS as f32) as usize;
            token.bins[bin.min(N_BINS - 1)] += 1;
        }
    }
    all
}

/// A lane's tokens beside those of the greedy words.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// Its tokens, each with the place of the equal one of the greedy words, where it is aligned.
    pub tokens: Vec<(u32, Option<usize>)>,
    /// Against the greedy words.
    pub rouge: RougeL,
    /// Whether both say the same.
    pub is_equal: bool,
}

/// What a lane has emitted beside what another one has.
pub fn strip(greedy: &[u32], records: &[StepRecord], program: &Program) -> Strip {
    let tokens = emitted(records, program);
    let pairs = alignment(greedy, &tokens);
    let partner = |place: usize| {
        let pair = pairs.iter().find(|(_, own)| *own == place);
        pair.map(|(of_greedy, _)| *of_greedy)
    };
    Strip {
        rouge: rouge_l(greedy, &tokens),
        is_equal: tokens == greedy,
        tokens: tokens
            .iter()
            .enumerate()
            .map(|(place, &id)| (id, partner(place)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use latent_model::{program::Feed, record::InputKind};

    use super::*;
    use crate::view::test_records::{program, record};

    fn sampler() -> Sampler {
        Sampler {
            temperature: 0.5,
            top_k: 3,
            top_p: 1.0,
            min_p: 0.0,
            max_concepts: 3,
            noise: Noise::None,
            greedy: false,
        }
    }

    #[test]
    fn each_stage_is_the_distribution_that_its_name_says() {
        let logits = [1.0, 3.0, 2.0, 0.0];
        let record = record(0, InputKind::Concept, 0, &[(1, 0.8, 0.3), (2, 0.1, 0.7)]);
        let tokens = |stage: Stage| stage.tokens(&logits, &record, &sampler(), 9);
        let sum = |stage: Stage| tokens(stage).iter().map(|(_, p)| p).sum::<f64>();
        for stage in Stage::ALL {
            assert!((sum(stage) - 1.0).abs() < 1e-6, "{stage:?}");
        }
        let raw = tokens(Stage::Raw);
        assert_eq!(raw.len(), 4);
        assert!((raw[0].1 / raw[1].1).ln() - 1.0 < 1e-6);
        assert!(tokens(Stage::Tempered)[0].1 > raw[0].1, "0.5 sharpens");
        assert_eq!(tokens(Stage::Truncated).len(), 3);
        assert_eq!(tokens(Stage::Noised)[0].0, 2, "what was fed");
    }

    #[test]
    fn draws_spread_around_the_clean_weights_and_less_so_where_there_is_less_noise() {
        let logits = [1.0, 1.2, 0.8, 0.0];
        let key = DrawKey {
            seed: 7,
            stream: 0,
            step: 3,
        };
        let spread = |alpha: f32| {
            let drawn = drawn(&logits, &sampler(), Noise::Dirichlet { alpha }, key);
            assert_eq!(drawn.len(), 3);
            for token in &drawn {
                assert_eq!(token.bins.iter().sum::<u32>(), N_DRAWS);
                assert!((token.mean - token.clean).abs() < 0.1, "{token:?}");
            }
            drawn[0].bins.iter().filter(|n| **n > 0).count()
        };
        let (loud, quiet) = (spread(1.0), spread(100.0));
        assert!(quiet < loud, "{quiet} classes against {loud}");
    }

    #[test]
    fn a_strip_is_aligned_with_the_greedy_words() {
        let program = program(Feed::Token);
        let records: Vec<StepRecord> = [5, 9, 6]
            .iter()
            .zip(0..)
            .map(|(&id, step)| record(step, InputKind::Token, 0, &[(id, 1.0, 1.0)]))
            .collect();
        let found = strip(&[5, 6, 7], &records, &program);
        assert_eq!(found.tokens, [(5, Some(0)), (9, None), (6, Some(1))]);
        assert!(!found.is_equal && (found.rouge.f1 - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_fuller_cell_is_nearer_to_the_last_layer() {
        let cell = |probability: f64, rank: usize, divergence: f64| LensCell {
            top: Vec::new(),
            entropy: divergence,
            rank,
            probability,
            divergence,
        };
        let (near, far) = (cell(0.9, 0, 0.1), cell(0.01, 50, 4.0));
        for heat in Heat::ALL {
            let [near, far] = [&near, &far].map(|cell| heat.fullness(cell, 100));
            assert!(near > far && (0.0..=1.0).contains(&far), "{heat:?}");
        }
        assert_eq!(Heat::Rank.value(&near), "1");
    }
}
