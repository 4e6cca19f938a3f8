//! What each way of answering takes, beside the whole chain in words.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use latent_gpu::AnyEngine;
use latent_model::{
    analysis::statistics::Mean,
    engine::{LaneSpec, run_to_end},
    input::Input,
    model::Model,
    program::Program,
    tasks::{Difficulty, Problem, TASKS, Task},
    trace::{LaneSummary, summary},
};

use super::{ContemplationArgs, document::RowOfTimes};
use crate::{
    engines::open_engine,
    folder::{load_adapted, weights_digest},
    problems::ProblemSet,
    table::{Cell, Suite},
};

/// What all others are compared with.
const WORDS: &str = "token-cot";

/// Steps per submit.
const CHUNK: usize = 16;

/// A row of the suite, ready to run.
struct Way<'a> {
    method: &'a str,
    cell: &'a Cell,
    model: Model,
    program: Program,
    engine: AnyEngine,
    seconds: Vec<f64>,
    counts: Vec<LaneSummary>,
}

/// Times every row of a suite, one problem after the other and the rows in turns.
pub async fn times(args: &ContemplationArgs, suite: &Suite) -> Result<Vec<RowOfTimes>> {
    ensure!(args.timed > 0, "--timed must be at least 1, found 0");
    let mut rows = Vec::new();
    for &task in TASKS {
        let mut ways = ways(args, suite, task).await?;
        if ways.is_empty() {
            continue;
        }
        let words = ways.iter().position(|way| way.cell.strategy == WORDS);
        let words = words.with_context(|| {
            format!(
                "times are compared with words: expected a row of {} with {WORDS:?}, found none",
                task.name()
            )
        })?;
        let set = ProblemSet::generated(task, Difficulty::Official, args.seed, args.timed);
        for problem in &set.problems {
            for way in &mut ways {
                way.answer(problem).await?;
            }
        }
        let in_words = ways[words].seconds.clone();
        for way in ways {
            rows.push(way.row(args, task, &in_words)?);
        }
    }
    Ok(rows)
}

/// The suite's rows of a task.
async fn ways<'a>(args: &ContemplationArgs, suite: &'a Suite, task: Task) -> Result<Vec<Way<'a>>> {
    let mut ways = Vec::new();
    for row in &suite.rows {
        let Some(cell) = row.cells.get(task.name()) else {
            continue;
        };
        let folder = args.models.join(&cell.model);
        let model = load_adapted(&folder, cell.adapters.as_deref())?;
        ways.push(Way {
            method: &row.method,
            cell,
            program: cell.program(&model.tokenizer, model.capabilities())?,
            engine: open_engine(args.engine, &model).await?,
            model,
            seconds: Vec::new(),
            counts: Vec::new(),
        });
    }
    Ok(ways)
}

impl Way<'_> {
    async fn answer(&mut self, problem: &Problem) -> Result<()> {
        let lane = LaneSpec {
            inputs: Input::tokens(&self.model.tokenizer.encode(problem.question())?),
            program: self.program.clone(),
            // No row of these suites draws.
            seed: 0,
            stream: 0,
            decode_thoughts: false,
        };
        let mut records = Vec::new();
        let start = Instant::now();
        run_to_end(&mut self.engine, &[lane], CHUNK, |new| {
            records.extend_from_slice(new);
        })
        .await?;
        self.seconds.push(start.elapsed().as_secs_f64());
        self.counts.push(summary(&records, &self.program));
        Ok(())
    }

    fn row(self, args: &ContemplationArgs, task: Task, in_words: &[f64]) -> Result<RowOfTimes> {
        let shares = self.seconds.iter().zip(in_words);
        let shares = Vec::from_iter(shares.map(|(own, words)| own / words));
        let mean = |count: fn(&LaneSummary) -> usize| {
            let sum: usize = self.counts.iter().map(count).sum();
            sum as f64 / self.counts.len() as f64
        };
        let adapters = self.cell.adapters.as_deref();
        Ok(RowOfTimes {
            method: self.method.into(),
            task: task.name().into(),
            model: self.cell.model.clone(),
            adapters: self.cell.adapters.clone(),
            weights_sha256: weights_digest(&args.models.join(&self.cell.model), adapters)?,
            think_steps: mean(|counts| counts.think_steps),
            answer_tokens: mean(|counts| counts.answer_tokens),
            time: Mean::of(&shares).context("at least one problem is timed")?,
        })
    }
}
