//! Probes: what would follow, had one word been fed in place of the mixture.
//!
//! How Single-threaded Reasoners (arXiv 2508.03440) shows that Soft Thinking is nearly greedy: what
//! follows a mixture is what follows its first word.

use super::{
    divergence::{distribution, jensen_shannon, of_mixture},
    lens::{Lens, overlap},
};
use crate::{
    engine::{Engine, EngineError, LaneCursor},
    input::{Input, InputKind},
    program::{Program, Sampler},
    record::StepRecord,
    reference::LayerStates,
    select::clean_mixture,
};

/// How many of a mixture's tokens are tried alone.
pub const N_TOP: usize = 3;
/// Sizes of the sets of tokens whose overlap is measured.
pub const OVERLAP_SIZES: [usize; 3] = [1, 5, 10];

/// What probes of one place say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probed {
    /// What follows the input as it is, (V).
    pub logits: Vec<f32>,
    /// The vector that the input as it is stands for, (d).
    pub embedded: Vec<f32>,
    /// Per layer: the state that it leaves there, (d).
    pub layers: Vec<Vec<f32>>,
    /// JS(top-i, soft), nats, for i = 1, 2, 3: between what follows the token of the i-th largest
    /// weight and what follows the mixture. `None` where it mixes fewer tokens.
    pub top: [Option<f64>; N_TOP],
    /// JS(top-1, top-2), nats.
    pub top1_top2: Option<f64>,
    /// For i = 1, 2, 3 and each of [`OVERLAP_SIZES`]: the overlap with what the lens reads of the
    /// mixture, layer by layer; empty without a lens, or where the vocabulary is smaller.
    pub overlap: [[Vec<f64>; OVERLAP_SIZES.len()]; N_TOP],
}

/// The inputs that are tried at a place: what is fed there as it is, and of a mixture its tokens
/// of the largest weight alone. Nothing where a lane is done.
pub fn probes(cursor: &LaneCursor) -> Vec<LaneCursor> {
    let mixture = match &cursor.input {
        Some(Input::Mixture(mixture)) => mixture,
        Some(_) => return vec![cursor.clone()],
        None => return Vec::new(),
    };
    let mut falling = mixture.clone();
    falling.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let alone = falling.iter().filter(|(_, weight)| *weight > 0.0);
    let alone = alone.take(N_TOP).map(|&(id, _)| LaneCursor {
        input: Some(Input::Token(id)),
        ..cursor.clone()
    });
    std::iter::once(cursor.clone()).chain(alone).collect()
}

/// Asks about every cursor, all in one pass over the weights; `programs` are the run's, by lane.
/// One entry for each cursor, `None` where a lane is done.
///
/// # Errors
/// If the engine fails.
pub async fn probe<E: Engine>(
    engine: &mut E,
    programs: &[Program],
    lens: Option<&Lens<'_>>,
    cursors: &[LaneCursor],
) -> Result<Vec<Option<Probed>>, EngineError> {
    let rows: Vec<Vec<LaneCursor>> = cursors.iter().map(probes).collect();
    let all = rows.concat();
    if all.is_empty() {
        return Ok(vec![None; cursors.len()]);
    }
    let states = engine.peek(&all).await?;
    let mut next_row = 0;
    let of = |rows: &Vec<LaneCursor>| {
        let state = rows.first()?.state;
        let phase = &programs[state.lane as usize].phases[state.phase as usize];
        let first = next_row;
        next_row += rows.len();
        let rows = first..next_row;
        Some(Probed::new(&states, rows, phase.sampler.temperature, lens))
    };
    Ok(rows.iter().map(of).collect())
}

impl Probed {
    /// Of the rows of a mixture and its tokens, as [`probes`] has them, at a temperature.
    fn new(
        states: &LayerStates,
        rows: std::ops::Range<usize>,
        temperature: f32,
        lens: Option<&Lens<'_>>,
    ) -> Self {
        let logits = &states.logits[rows.clone()];
        let follows: Vec<Vec<f64>> = logits
            .iter()
            .map(|logits| distribution(logits, temperature))
            .collect();
        let [soft, alone @ ..] = &follows[..] else {
            return Self::default();
        };
        let layers = states.layers.iter();
        let mut probed = Self {
            logits: logits[0].clone(),
            embedded: states.embedded[rows.start].clone(),
            layers: layers.map(|layer| layer[rows.start].clone()).collect(),
            top1_top2: alone.get(1).map(|second| jensen_shannon(&alone[0], second)),
            ..Self::default()
        };
        for (top, alone) in probed.top.iter_mut().zip(alone) {
            *top = Some(jensen_shannon(alone, soft));
        }
        let Some(lens) = lens.filter(|_| !alone.is_empty()) else {
            return probed;
        };
        let vocab_size = soft.len();
        let soft = lens.by_layer(states, rows.start);
        for (overlaps, row) in probed.overlap.iter_mut().zip(rows.skip(1)) {
            let alone = lens.by_layer(states, row);
            for (overlaps, k) in overlaps.iter_mut().zip(OVERLAP_SIZES) {
                let layers = soft.iter().zip(&alone).filter(|_| k <= vocab_size);
                *overlaps = layers
                    .map(|(soft, alone)| overlap(soft, alone, k))
                    .collect();
            }
        }
        probed
    }
}

/// JS(noised, clean), nats: between the weights of a record's mixture and those that the same
/// sampler gives without noise, from `logits` (V), which the record was made of. `None` where the
/// record feeds no mixture.
pub fn noised_clean(record: &StepRecord, sampler: &Sampler, logits: &[f32]) -> Option<f64> {
    if record.input_kind() != InputKind::Concept {
        return None;
    }
    let noised = record.kept().map(|kept| (kept.id, kept.weight));
    let noised = of_mixture(noised, logits.len());
    let clean = of_mixture(clean_mixture(logits, sampler), logits.len());
    Some(jensen_shannon(&noised, &clean))
}
