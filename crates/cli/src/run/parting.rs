//! Where a lane parts from the one that it is a change or a fork of.

use std::fmt;

use latent_model::{
    address::{ChangeChoice, LaneChoice},
    record::StepRecord,
    trace::RunJson,
};
use serde::Serialize;

use super::job::Job;

/// How a changed or forked lane ran beside its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parting {
    /// The lane, counted from 1.
    pub lane: usize,
    /// The one that it goes on from, or that it would be without its changes, counted from 1.
    pub source: usize,
    /// What sets them apart, as an address writes it.
    pub by: String,
    /// The last step of the source that they have in common; `None` where no change was made.
    pub after: Option<u32>,
    /// The steps of the lane's own with a change that it did not come to.
    pub not_made: Vec<u32>,
    /// Where they first say something else; `None` where they say the same to the end.
    pub first_other: Option<FirstOther>,
}

/// The first step at which two lanes say something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstOther {
    /// The lane's own step.
    pub step: u32,
    /// What it says there; `None` where it has ended.
    pub token: Option<String>,
    /// The source's step.
    pub source_step: u32,
    /// What the source says there; `None` where it has ended.
    pub source_token: Option<String>,
}

/// One for each lane that is changed or goes on from another one, in the lanes' order. `traces` are
/// the lanes' records and `run` the same for people.
pub fn partings(job: &Job, traces: &[Vec<StepRecord>], run: &RunJson) -> Vec<Parting> {
    let mut partings = Vec::new();
    for (index, lane) in job.lanes.iter().enumerate() {
        if let Some(fork) = lane.fork {
            let source = fork.lane - 1;
            let steps = (fork.step + 1, 0);
            partings.push(Parting {
                lane: index + 1,
                source: fork.lane,
                by: format!("from={fork}"),
                after: Some(fork.step),
                not_made: Vec::new(),
                first_other: first_other((source, index), steps, traces, run),
            });
        }
        if let Some(source) = job.unchanged(index).filter(|_| !lane.changes.is_empty()) {
            let (after, not_made) = made(lane, &traces[index]);
            // What was said up to the change is the same.
            let first = after.map_or(0, |step| step + 1);
            let other = first_other((source, index), (first, first), traces, run);
            let by: Vec<String> = lane.changes.iter().map(|at| format!("at={at}")).collect();
            partings.push(Parting {
                lane: index + 1,
                source: source + 1,
                by: by.join(","),
                after,
                not_made,
                first_other: other,
            });
        }
    }
    partings
}

/// The step of the first change that was made, and those of the changes that were not, for the lane
/// was fed nothing after them.
fn made(lane: &LaneChoice, records: &[StepRecord]) -> (Option<u32>, Vec<u32>) {
    let is_made = |change: &&ChangeChoice| change.is_made(records.len());
    let made = lane.changes.iter().filter(is_made);
    let not_made = lane.changes.iter().filter(|change| !is_made(change));
    let step = |change: &ChangeChoice| change.step;
    (made.map(step).min(), not_made.map(step).collect())
}

/// The first step with another token of a source and a lane, each from a step on.
fn first_other(
    (source, lane): (usize, usize),
    (source_first, lane_first): (u32, u32),
    traces: &[Vec<StepRecord>],
    run: &RunJson,
) -> Option<FirstOther> {
    let token = |lane: usize, step: u32| {
        let record = traces[lane].get(step as usize);
        record.map(|record| (record.input, record.token))
    };
    let said = |lane: usize, step: u32| {
        let step = run.lanes[lane].steps.get(step as usize)?;
        Some(step.token.clone().unwrap_or_default())
    };
    let longest = traces[source].len().max(traces[lane].len()) as u32;
    let steps = (0..longest).map(|step| (source_first + step, lane_first + step));
    let mut others = steps.filter(|&(of_source, own)| token(source, of_source) != token(lane, own));
    let (source_step, step) = others.next()?;
    Some(FirstOther {
        step,
        token: said(lane, step),
        source_step,
        source_token: said(source, source_step),
    })
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lane, source, by, ..
        } = self;
        write!(f, "lane {lane} is lane {source} with {by}: ")?;
        let said = |token: &Option<String>| match token {
            Some(token) => format!("{token:?}"),
            None => "its end".into(),
        };
        match (&self.after, &self.first_other) {
            (None, _) => f.write_str("no change was made")?,
            (Some(after), None) => {
                write!(
                    f,
                    "they part after step {after} and say the same to the end"
                )?;
            }
            (Some(after), Some(other)) => write!(
                f,
                "they part after step {after}; at step {} it says {}, where lane {source} says {} \
                 at step {}",
                other.step,
                said(&other.token),
                said(&other.source_token),
                other.source_step
            )?,
        }
        let not_made: Vec<String> = self.not_made.iter().map(u32::to_string).collect();
        match not_made.is_empty() {
            true => Ok(()),
            false => write!(
                f,
                "; it was fed nothing after step {}, where no change was made",
                not_made.join(", ")
            ),
        }
    }
}
