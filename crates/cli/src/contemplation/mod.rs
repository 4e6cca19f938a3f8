//! `latent contemplation`: when CCOT's END stops, beside the number of contemplation tokens that
//! stand for a problem's chain of thought, what that costs in accuracy, and what an answer takes.

mod document;
mod times;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_gpu::AnyEngine;
use latent_model::{
    engine::Engine,
    evaluation::{BATCH, Evaluator, RunResult, Trials},
    metrics::{Proportion, wilson},
    model::Model,
    program::Program,
    strategy::{Settings, Strategy},
    tasks::{Difficulty, Grade, Problem},
};

pub use self::document::section;
use self::document::{ContemplationDocument, FILE, LengthCount, RowOfContemplation};
use crate::{
    engines::{EngineKind, open_engine},
    evidence,
    folder::{adapter_folders, load_adapted, load_training_record, model_name, weights_digest},
    made::{CommandText, VERSION},
    problems::ProblemSet,
    progress::progress_bar,
    table::{MODELS, Suite},
};

/// Arguments of `latent contemplation`.
#[derive(Args)]
pub struct ContemplationArgs {
    /// Model folders with adapters of CCOT, every one of which is measured.
    #[arg(long, default_values = ["public/models/arithmetic-ccot", "public/models/prosqa-ccot"])]
    model: Vec<PathBuf>,
    /// Number of generated problems, of official size.
    #[arg(long, default_value_t = 500)]
    n: usize,
    /// Seed of the first problem.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// A suite file such as crates/cli/suites/ccot.toml, whose rows are timed in turns.
    #[arg(long)]
    suite: Option<PathBuf>,
    /// The folder that holds the checkpoints of the suite.
    #[arg(long, default_value = MODELS)]
    models: PathBuf,
    /// Problems of which every row of the suite is timed.
    #[arg(long, default_value_t = 40)]
    timed: usize,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "reference")]
    engine: EngineKind,
    /// The folder of the evidence.
    #[arg(long, default_value = "public/evidence/contemplation")]
    out: PathBuf,
}

/// What stops by itself.
const OWN: &str = "ccot";
/// What is told when.
const GIVEN: &str = "ccot-fixed";

/// Measures, prints and writes.
pub async fn contemplation(args: &ContemplationArgs) -> Result<ExitCode> {
    let mut document = ContemplationDocument {
        command: args.command(),
        version: VERSION.into(),
        engine: String::new(),
        seed: args.seed,
        sets: Vec::new(),
        rows: Vec::new(),
        times: Vec::new(),
    };
    for folder in &args.model {
        let record = load_training_record::<latent_model::training_record::Recipe>(folder)?;
        let task = record
            .context("training.json names a checkpoint's task")?
            .config
            .task;
        let set = ProblemSet::generated(task, Difficulty::Official, args.seed, args.n);
        let names = adapter_folders(folder)?;
        ensure!(
            !names.is_empty(),
            "{} has no adapters of CCOT",
            folder.display()
        );
        for name in names {
            let row = row(args, folder, &name, &set, &mut document.engine).await;
            document.rows.push(row.with_context(|| name.clone())?);
        }
        if !document.sets.contains(&set.shown) {
            document.sets.push(set.shown);
        }
    }
    if let Some(suite) = &args.suite {
        document.times = times::times(args, &Suite::load(suite)?).await?;
    }
    evidence::write(&args.out, FILE, &document)?;
    println!("{}", document.section());
    Ok(ExitCode::SUCCESS)
}

impl ContemplationArgs {
    fn command(&self) -> String {
        let mut command = CommandText::new("contemplation");
        let models = self.model.iter();
        models.for_each(|model| command.say("model", model.display()));
        if let Some(suite) = &self.suite {
            command.say("suite", suite.display());
        }
        command.say("n", self.n);
        command.say("seed", self.seed);
        command.into_text()
    }
}

async fn row(
    args: &ContemplationArgs,
    folder: &Path,
    adapters: &str,
    set: &ProblemSet,
    engine_name: &mut String,
) -> Result<RowOfContemplation> {
    let model = load_adapted(folder, Some(adapters))?;
    let spec = model.capabilities().contemplation;
    let spec = spec.with_context(|| format!("{adapters} was not read"))?;
    let mut engine = open_engine(args.engine, &model).await?;
    *engine_name = engine.description();
    let mut problems = BTreeMap::<usize, Vec<Problem>>::new();
    for problem in &set.problems {
        let k = spec.kept_tokens(problem).len();
        problems.entry(k).or_default().push(problem.clone());
    }
    let program = |strategy: &str, k: Option<usize>| -> Result<Program> {
        let strategy = Strategy::by_name(strategy)?;
        let set = k.map(|k| format!("contemplation_tokens={k}"));
        let settings = Settings::parse(strategy, set.as_deref())?;
        Ok(strategy.program(&settings, &model.tokenizer, model.capabilities())?)
    };
    let own_program = program(OWN, None)?;
    let own = runs(&mut engine, &model, &problems, |_| Ok(own_program.clone())).await?;
    let given = runs(&mut engine, &model, &problems, |k| program(GIVEN, Some(k))).await?;
    let mut counts = BTreeMap::new();
    for (k, run) in &own {
        *counts.entry((*k, run.think_steps)).or_insert(0) += 1;
    }
    let lengths: Vec<LengthCount> = counts
        .into_iter()
        .map(|((k, own), n)| LengthCount { k, own, n })
        .collect();
    let n_of = |keep: fn(&LengthCount) -> bool| -> usize {
        let kept = lengths.iter().filter(|count| count.k > 0 && keep(count));
        kept.map(|count| count.n).sum()
    };
    let exact = n_of(|count| count.own == count.k);
    Ok(RowOfContemplation {
        task: set.shown.task.clone(),
        model: model_name(folder),
        adapters: adapters.into(),
        ratio: spec.ratio,
        weights_sha256: weights_digest(folder, Some(adapters))?,
        own: accuracy(&own)?,
        given: accuracy(&given)?,
        precision: wilson(exact, n_of(|count| count.own <= count.k)),
        recall: wilson(exact, n_of(|count| count.own >= count.k)),
        lengths,
    })
}

fn accuracy(runs: &[(usize, RunResult)]) -> Result<Proportion> {
    let right = runs.iter().filter(|(_, run)| run.grade == Grade::Right);
    wilson(right.count(), runs.len()).context("there must be at least one problem, found none")
}

/// Runs the problems of each k under the program for it; each run stands beside its k.
async fn runs(
    engine: &mut AnyEngine,
    model: &Model,
    problems: &BTreeMap<usize, Vec<Problem>>,
    program: impl Fn(usize) -> Result<Program>,
) -> Result<Vec<(usize, RunResult)>> {
    let bar = progress_bar(
        problems.values().map(Vec::len).sum::<usize>() as u64,
        "problems",
    );
    let mut runs = Vec::new();
    for (&k, problems) in problems {
        let trials = Trials {
            program: &program(k)?,
            problems,
            samples: 1,
            seed: 0,
        };
        let mut evaluator = Evaluator::new(&model.tokenizer, trials)?;
        while evaluator.n_done() < evaluator.n_runs() {
            let new = evaluator.advance(engine, &model.tokenizer, BATCH).await?;
            runs.extend(new.iter().map(|run| (k, run.clone())));
            bar.set_position(runs.len() as u64);
        }
    }
    bar.finish_and_clear();
    Ok(runs)
}
