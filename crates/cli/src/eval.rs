//! `latent eval`: accuracy of a strategy, with its interval, on a file or on generated problems.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use latent_model::{
    engine::{Engine, LaneSpec, run_to_end},
    metrics::{Branches, Proportion, clustered_wilson},
    model::Model,
    program::Program,
    record::StepRecord,
    strategy::{Settings, Strategy},
    tasks::{Problem, Task, Verdict},
    trace::{answer_ids, summary},
};
use serde::Serialize;

use crate::{
    engines::{EngineKind, open_engine},
    folder::{load_model, model_name},
    problems::ProblemArgs,
};

/// Arguments of `latent eval`.
#[derive(Args)]
pub struct EvalArgs {
    /// A model folder.
    #[arg(long)]
    model: PathBuf,
    /// A strategy of the table.
    #[arg(long)]
    strategy: String,
    /// A setting of the strategy, key=value.
    #[arg(long)]
    set: Vec<String>,
    #[command(flatten)]
    problems: ProblemArgs,
    /// Number of generated problems.
    #[arg(long, default_value_t = 300)]
    n: usize,
    /// At most this many problems.
    #[arg(long)]
    limit: Option<usize>,
    /// Runs of each problem, with different noise.
    #[arg(long, default_value_t = 1)]
    samples: usize,
    /// Seed of the generated problems and of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "gpu")]
    engine: EngineKind,
    /// Prints one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// Lanes per batch: enough to share every read of a weight, within every engine's limit.
const BATCH: usize = 8;
/// Steps per submit.
const CHUNK: usize = 16;

/// What `latent eval --json` prints.
#[derive(Serialize)]
struct Evaluation {
    model: String,
    strategy: &'static str,
    settings: Vec<String>,
    engine: String,
    problems: String,
    seed: u32,
    samples: usize,
    /// Problems.
    n: usize,
    accuracy: f64,
    ci_low: f64,
    ci_high: f64,
    /// Share of answers that were none.
    malformed: f64,
    /// Share of problems that at least one sample solved.
    solved_by_any: f64,
    mean_think_steps: f64,
    mean_answer_tokens: f64,
    /// Nats, over thinking steps whose distribution was computed.
    mean_entropy: Option<f64>,
    /// The steps in words at which the graph really branches.
    branches: Option<Branches>,
    seconds: f64,
}

/// Sums over all runs.
#[derive(Default)]
struct Tally {
    /// Share of right samples, per problem.
    rates: Vec<f64>,
    runs: usize,
    malformed: usize,
    think_steps: usize,
    answer_tokens: usize,
    entropies: Vec<f64>,
    branch_entropies: Vec<f64>,
}

/// Evaluates and reports.
pub async fn eval(args: &EvalArgs) -> Result<ExitCode> {
    ensure!(args.samples > 0, "--samples must be at least 1, found 0");
    let model = load_model(&args.model)?;
    let strategy = Strategy::by_name(&args.strategy)?;
    let settings = Settings::parse(strategy, args.set.iter().map(String::as_str))?;
    let program = strategy.program(&settings, &model.tokenizer)?;
    let mut problems = match args.problems.read_file()? {
        Some(problems) => problems,
        None => args.problems.generated(args.seed.into(), args.n)?,
    };
    problems.truncate(args.limit.unwrap_or(usize::MAX));
    ensure!(!problems.is_empty(), "there are no problems to evaluate on");
    let mut engine = open_engine(args.engine, &model).await?;
    let start = Instant::now();
    let tally = tally(args, &model, &program, &problems, &mut engine).await?;
    let accuracy = clustered_wilson(&tally.rates, args.samples);
    let evaluation = Evaluation {
        model: model_name(&args.model),
        strategy: strategy.name,
        settings: args.set.clone(),
        engine: engine.description(),
        problems: args.problems.describe(),
        seed: args.seed,
        samples: args.samples,
        n: problems.len(),
        accuracy: accuracy.value,
        ci_low: accuracy.low,
        ci_high: accuracy.high,
        malformed: tally.malformed as f64 / tally.runs as f64,
        solved_by_any: share(&tally.rates, |rate| rate > 0.0),
        mean_think_steps: tally.think_steps as f64 / tally.runs as f64,
        mean_answer_tokens: tally.answer_tokens as f64 / tally.runs as f64,
        mean_entropy: mean(&tally.entropies),
        branches: Branches::new(&tally.branch_entropies),
        seconds: start.elapsed().as_secs_f64(),
    };
    if args.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print_evaluation(&evaluation, &accuracy);
    }
    Ok(ExitCode::SUCCESS)
}

async fn tally(
    args: &EvalArgs,
    model: &Model,
    program: &Program,
    problems: &[Problem],
    engine: &mut impl Engine,
) -> Result<Tally> {
    let mut runs = Vec::new();
    for (index, problem) in problems.iter().enumerate() {
        let prompt = model.tokenizer.encode(&problem.question())?;
        for sample in 0..args.samples {
            let spec = LaneSpec {
                prompt: prompt.clone(),
                program: program.clone(),
                seed: args.seed,
                stream: (index * args.samples + sample) as u32,
                decode_thoughts: false,
            };
            runs.push((problem, spec));
        }
    }
    let bar = progress_bar(runs.len(), args.json);
    let mut tally = Tally::default();
    let mut right = Vec::with_capacity(runs.len());
    for batch in runs.chunks(BATCH) {
        let lanes: Vec<LaneSpec> = batch.iter().map(|(_, spec)| spec.clone()).collect();
        let traces = run_to_end(engine, &lanes, CHUNK, |_| {}).await?;
        for ((problem, spec), records) in batch.iter().zip(&traces) {
            right.push(tally.add(model, problem, spec, records));
        }
        bar.inc(batch.len() as u64);
        let n_right = right.iter().filter(|right| **right).count();
        bar.set_message(format!(
            "{:.1} % right",
            100.0 * n_right as f64 / right.len() as f64
        ));
    }
    bar.finish_and_clear();
    tally.rates = right
        .chunks(args.samples)
        .map(|samples| share(samples, |right| right))
        .collect();
    Ok(tally)
}

impl Tally {
    /// Adds one run; returns whether it was right.
    fn add(
        &mut self,
        model: &Model,
        problem: &Problem,
        spec: &LaneSpec,
        records: &[StepRecord],
    ) -> bool {
        let answer =
            Task::of(problem).render(&model.tokenizer, &answer_ids(records, &spec.program));
        let verdict = problem.grade(&answer);
        let summary = summary(records, &spec.program);
        self.runs += 1;
        self.malformed += usize::from(verdict == Verdict::Malformed);
        self.think_steps += summary.think_steps;
        self.answer_tokens += summary.answer_tokens;
        self.entropies.extend(summary.mean_entropy.map(f64::from));
        let branches = problem.branch_entropies(&model.tokenizer, &spec.program, records);
        self.branch_entropies
            .extend(branches.into_iter().map(f64::from));
        verdict == Verdict::Right
    }
}

fn share<T: Copy>(items: &[T], holds: impl Fn(T) -> bool) -> f64 {
    items.iter().filter(|item| holds(**item)).count() as f64 / items.len() as f64
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn progress_bar(n_runs: usize, is_hidden: bool) -> ProgressBar {
    if is_hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(n_runs as u64).with_style(style)
}

fn print_evaluation(evaluation: &Evaluation, accuracy: &Proportion) {
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    println!(
        "{} · {} {} · {}",
        evaluation.model,
        evaluation.strategy,
        evaluation.settings.join(" "),
        evaluation.problems
    );
    println!(
        "accuracy {} (95 % interval {} to {}; n {}, {} samples each), malformed {}",
        percent(accuracy.value),
        percent(accuracy.low),
        percent(accuracy.high),
        evaluation.n,
        evaluation.samples,
        percent(evaluation.malformed),
    );
    println!(
        "mean {:.2} thinking steps, {:.2} answer tokens; {:.1} s on {}",
        evaluation.mean_think_steps,
        evaluation.mean_answer_tokens,
        evaluation.seconds,
        evaluation.engine
    );
    if let Some(entropy) = evaluation.mean_entropy {
        println!("mean entropy while thinking {entropy:.3} nats");
    }
    if let Some(branches) = &evaluation.branches {
        println!(
            "at {} branch points: {:.3} nats, {} above {} nats",
            branches.n,
            branches.mean_entropy,
            percent(branches.share_above),
            Branches::THRESHOLD
        );
    }
}
