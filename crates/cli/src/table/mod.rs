//! `latent table`: a paper's table on our checkpoints, accuracy against the number of thoughts, and
//! how sure each way of thinking is, as a suite file asks for them.

mod args;
pub mod cache;
mod document;
mod finding;
mod kept;
mod measure;
mod suite;
mod thinking;
mod thoughts;

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};
use latent_model::{
    evidence::{Origin, Outcome, RowOfTable, Table},
    tasks::{TASKS, Task},
};

use self::{
    args::COCONUT,
    kept::Kept,
    measure::{Bench, problem_sets},
    thinking::{RowOfThinking, ThinkingDocument},
    thoughts::{CurveOfThoughts, PointOfThoughts, ThoughtsDocument},
};
pub use self::{
    args::{MODELS, TableArgs},
    document::section,
    suite::{Cell, Suite},
};
use crate::{
    engines::EngineKind,
    made::{CommandText, VERSION},
    output::{json, write},
    problems::ProblemSet,
    progress::progress_bar,
};

/// The engine of a table without a measurement.
const NOTHING: &str = "nothing was measured";

/// The table's file in its folder.
const TABLE: &str = "table.json";

/// Measures, and writes the files.
pub async fn table(args: &TableArgs) -> Result<ExitCode> {
    let suite = Suite::load(&args.suite)?;
    let kept = args.keep.then(|| Kept::read(args, &suite)).transpose()?;
    let mut sets = Vec::new();
    for task in tasks(&suite)? {
        sets.extend(problem_sets(args, task)?);
    }
    let bar = progress_bar(0, "runs");
    let mut bench = Bench::new(args, &sets, bar.clone())?;
    bar.set_length(n_runs(&suite, &bench));
    let mut rows = rows(&suite, &mut bench).await?;
    let curves = curves(&suite, &mut bench).await?;
    let thinking = thinking(&suite, &mut bench).await?;
    bar.finish_and_clear();
    let mut origin = origin(args, &sets, bench.engine);
    if let Some(kept) = kept {
        kept.put(&mut rows, &mut origin)?;
    }
    let table = Table {
        title: suite.title,
        introduction: suite.introduction,
        origin: origin.clone(),
        findings: suite
            .claims
            .iter()
            .flat_map(|claim| claim.judge(&rows))
            .collect(),
        notes: suite.notes,
        rows,
    };
    let mut files = vec![(TABLE, json(&table)?)];
    if !curves.is_empty() {
        let origin = origin.clone();
        let thoughts = ThoughtsDocument { origin, curves };
        files.push(("thoughts.json", json(&thoughts)?));
        files.push(("thoughts.svg", thoughts.svg()));
    }
    if !thinking.is_empty() {
        let rows = thinking;
        let thinking = ThinkingDocument { origin, rows };
        files.push(("thinking.json", json(&thinking)?));
    }
    let folder = args.folder();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (name, text) in files {
        write(&folder.join(name), &text)?;
    }
    println!("{}", section(&folder)?);
    Ok(ExitCode::SUCCESS)
}

/// The suite's tasks, in the order of [`TASKS`].
fn tasks(suite: &Suite) -> Result<Vec<Task>> {
    let is_asked_for = |task: &Task| {
        let name = task.name();
        suite.rows.iter().any(|row| row.cells.contains_key(name))
            || suite.curves().any(|(curve, _)| curve.task == name)
            || suite.thinking.iter().any(|way| way.task == name)
    };
    let tasks: Vec<Task> = TASKS.iter().copied().filter(is_asked_for).collect();
    ensure!(!tasks.is_empty(), "the suite has no row");
    Ok(tasks)
}

/// Runs of everything that the suite asks for.
fn n_runs(suite: &Suite, bench: &Bench<'_>) -> u64 {
    let of_rows = suite.rows.iter().flat_map(|row| {
        let runs = |(task, cell): (&String, _)| bench.n_runs(task, &row.method, cell);
        row.cells.iter().map(runs)
    });
    let of_curves = suite.curves().map(|(curve, most)| {
        let runs = bench.n_runs(&curve.task, &curve.label, &curve.cell(0));
        (most as usize + 1) * runs
    });
    let of_thinking = suite
        .thinking
        .iter()
        .map(|way| bench.n_runs(&way.task, &way.strategy, &way.cell()));
    of_rows.chain(of_curves).chain(of_thinking).sum::<usize>() as u64
}

async fn rows(suite: &Suite, bench: &mut Bench<'_>) -> Result<Vec<RowOfTable>> {
    let mut rows = Vec::new();
    for row in &suite.rows {
        let names = TASKS.iter().map(|task| task.name());
        let cells = names.filter_map(|task| Some((task, row.cells.get(task)?)));
        for (task, cell) in cells {
            rows.push(RowOfTable {
                method: row.method.clone(),
                task: task.into(),
                model: cell.model.clone(),
                adapters: cell.adapters.clone(),
                strategy: cell.strategy.clone(),
                set: cell.set.clone(),
                paper: cell.paper,
                outcome: bench
                    .measure(task, &row.method, cell)
                    .await?
                    .without_thinking(),
            });
        }
    }
    Ok(rows)
}

async fn curves(suite: &Suite, bench: &mut Bench<'_>) -> Result<Vec<CurveOfThoughts>> {
    let mut curves = Vec::new();
    for (curve, most) in suite.curves() {
        let mut points = Vec::new();
        let mut outcome = Outcome::NotTrained;
        for thoughts in 0..=most {
            let cell = curve.cell(thoughts);
            let measured = bench.measure(&curve.task, &curve.label, &cell).await?;
            outcome = measured.without_thinking();
            if let Outcome::Measured { results, .. } = &outcome {
                points.push(PointOfThoughts {
                    thoughts,
                    results: results.clone(),
                });
            }
        }
        curves.push(CurveOfThoughts::new(curve, &outcome, points));
    }
    Ok(curves)
}

async fn thinking(suite: &Suite, bench: &mut Bench<'_>) -> Result<Vec<RowOfThinking>> {
    let mut rows = Vec::new();
    for way in &suite.thinking {
        let outcome = bench.measure(&way.task, &way.strategy, &way.cell()).await?;
        rows.push(RowOfThinking::new(way, outcome));
    }
    Ok(rows)
}

fn origin(args: &TableArgs, sets: &[ProblemSet], engine: Option<String>) -> Origin {
    let mut command = CommandText::new("table");
    command.say_unless("suite", args.suite.display().to_string(), COCONUT.into());
    if args.models != [Path::new(MODELS)] {
        args.models
            .iter()
            .for_each(|folder| command.say("models", folder.display()));
    }
    command.say_unless("n", args.n, 500);
    command.say_unless("seed", args.seed, 1);
    // With --keep the table is what the command without either gives where all checkpoints are.
    for only in args.only.iter().filter(|_| !args.keep) {
        command.say("only", format!("{only:?}"));
    }
    if !matches!(args.engine, EngineKind::Reference) {
        command.say("engine", "gpu");
    }
    Origin {
        command: command.into_text(),
        version: VERSION.into(),
        engine: engine.unwrap_or_else(|| NOTHING.into()),
        seed: args.seed,
        sets: sets.iter().map(|set| set.shown.clone()).collect(),
    }
}
