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

/// Asks about some lanes of a run at every step, whoever drives the run.
#[derive(Clone, Debug)]
pub struct Observer {
    programs: Vec<Program>,
    /// Indices of the lanes that are asked.
    asked: Vec<usize>,
    /// For each of them: where it stands, and what its next record will be made of; `None` once it
    /// is done.
    before: Vec<Option<(LaneCursor, Probed)>>,
}

impl Observer {
    /// Begins a run of lanes, to ask about those of the indices `asked`.
    ///
    /// # Errors
    /// If the engine fails.
    pub async fn begin<E: Engine>(
        engine: &mut E,
        lanes: &[LaneSpec],
        asked: &[usize],
    ) -> Result<Self, EngineError> {
        engine.begin(lanes).await?;
        let mut observer = Self {
            programs: lanes.iter().map(|spec| spec.program.clone()).collect(),
            asked: asked.to_vec(),
            before: Vec::new(),
        };
        observer.before = observer.probe(engine, None).await?;
        Ok(observer)
    }

    /// Whether anything is left to ask.
    pub fn is_asking(&self) -> bool {
        self.before.iter().any(Option::is_some)
    }

    /// What the next record of the lane `asked[index]` will be made of.
    pub fn next(&self, index: usize) -> Option<&Probed> {
        let (_, probed) = self.before.get(index)?.as_ref()?;
        Some(probed)
    }

    /// What is to be said of the `records` of one step, by lane.
    ///
    /// # Errors
    /// If the engine fails.
    pub async fn ask<E: Engine>(
        &mut self,
        engine: &mut E,
        records: &[StepRecord],
        lens: Option<&Lens<'_>>,
    ) -> Result<Vec<(usize, ObservedStep)>, EngineError> {
        let after = self.probe(engine, lens).await?;
        let mut steps = Vec::new();
        for ((&lane, before), after) in self.asked.iter().zip(&self.before).zip(&after) {
            let newest = records.iter().find(|record| record.lane as usize == lane);
            let (Some(record), Some((_, before)), Some((cursor, probed))) = (newest, before, after)
            else {
                continue;
            };
            let phase = &self.programs[lane].phases[record.phase as usize];
            let step = ObservedStep {
                step: record.step,
                input: cursor.input.clone().unwrap_or(Input::Token(record.token)),
                probed: probed.clone(),
                noised_clean: noised_clean(record, &phase.sampler, &before.logits),
            };
            steps.push((lane, step));
        }
        self.before = after;
        Ok(steps)
    }

    /// What probes say of the inputs that the lanes are fed next.
    async fn probe<E: Engine>(
        &self,
        engine: &mut E,
        lens: Option<&Lens<'_>>,
    ) -> Result<Vec<Option<(LaneCursor, Probed)>>, EngineError> {
        if self.asked.is_empty() {
            return Ok(Vec::new());
        }
        let all = engine.cursors().await?;
        let cursors: Vec<LaneCursor> = self.asked.iter().map(|&lane| all[lane].clone()).collect();
        let probed = probe(engine, &self.programs, lens, &cursors).await?;
        let with_cursor = |(cursor, probed): (LaneCursor, Option<Probed>)| Some((cursor, probed?));
        Ok(cursors.into_iter().zip(probed).map(with_cursor).collect())
    }
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
    let mut observed = vec![Observed::default(); lanes.len()];
    let mut observer = Observer::begin(engine, lanes, asked).await?;
    for step in 0.. {
        let asks = observer.is_asking();
        let records = engine.advance(if asks { 1 } else { CHUNK }).await?;
        if records.is_empty() {
            break;
        }
        if asks {
            let lens = lens.filter(|(_, every)| step % every == 0);
            let lens = lens.map(|(lens, _)| lens);
            for (lane, step) in observer.ask(engine, &records, lens).await? {
                observed[lane].steps.push(step);
            }
        }
        for record in records {
            observed[record.lane as usize].records.push(record);
        }
    }
    Ok(observed)
}
