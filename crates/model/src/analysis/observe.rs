//! Runs lanes to their end and asks about some of them at every step.

use super::{
    lens::Lens,
    probe::{Probed, noised_clean, probe},
};
use crate::{
    engine::{Engine, EngineError, LaneCursor, LaneSpec},
    input::Input,
    program::Program,
    record::StepRecord,
};

/// Steps per submit where nobody asks.
const CHUNK: usize = 16;

/// A lane that has run to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Its records.
    pub records: Vec<StepRecord>,
    /// What was asked at each step, where the lane was asked.
    pub steps: Vec<ObservedStep>,
}

/// What was asked about the input after a record.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedStep {
    /// The record's step.
    pub step: u32,
    /// The input.
    pub input: Input,
    /// What follows it, and what would follow its words.
    pub probed: Probed,
    /// JS(noised, clean) of the mixture, nats; `None` where it is none.
    pub noised_clean: Option<f64>,
}

/// Runs lanes, and asks about those of the indices `asked`, with a lens at every `lens`-th step
/// of theirs, if given. Tokens, draws and everything else of the records are those of a run that
/// nobody asks.
///
/// # Errors
/// If the engine fails.
pub async fn observe<E: Engine>(
    engine: &mut E,
    lanes: &[LaneSpec],
    asked: &[usize],
    lens: Option<(&Lens<'_>, usize)>,
) -> Result<Vec<Observed>, EngineError> {
    let programs: Vec<Program> = lanes.iter().map(|spec| spec.program.clone()).collect();
    let mut observed = vec![Observed::default(); lanes.len()];
    engine.begin(lanes).await?;
    let mut before = ask(engine, &programs, asked, None).await?;
    for step in 0.. {
        let asks = before.iter().any(Option::is_some);
        let records = engine.advance(if asks { 1 } else { CHUNK }).await?;
        if records.is_empty() {
            break;
        }
        if asks {
            let lens = lens.filter(|(_, every)| step % every == 0);
            let lens = lens.map(|(lens, _)| lens);
            let after = ask(engine, &programs, asked, lens).await?;
            for ((&lane, before), after) in asked.iter().zip(&before).zip(&after) {
                let newest = records.iter().find(|record| record.lane as usize == lane);
                let (Some(record), Some((_, before)), Some((cursor, probed))) =
                    (newest, before, after)
                else {
                    continue;
                };
                let phase = &programs[lane].phases[record.phase as usize];
                observed[lane].steps.push(ObservedStep {
                    step: record.step,
                    input: cursor.input.clone().unwrap_or(Input::Token(record.token)),
                    probed: probed.clone(),
                    noised_clean: noised_clean(record, &phase.sampler, &before.logits),
                });
            }
            before = after;
        }
        for record in records {
            observed[record.lane as usize].records.push(record);
        }
    }
    Ok(observed)
}

/// What probes say of the inputs that some lanes are fed next.
async fn ask<E: Engine>(
    engine: &mut E,
    programs: &[Program],
    asked: &[usize],
    lens: Option<&Lens<'_>>,
) -> Result<Vec<Option<(LaneCursor, Probed)>>, EngineError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let cursors = engine.cursors().await?;
    let cursors: Vec<LaneCursor> = asked.iter().map(|&lane| cursors[lane].clone()).collect();
    let probed = probe(engine, programs, lens, &cursors).await?;
    let with_cursor = |(cursor, probed): (LaneCursor, Option<Probed>)| Some((cursor, probed?));
    Ok(cursors.into_iter().zip(probed).map(with_cursor).collect())
}
