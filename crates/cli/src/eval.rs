//! `latent eval`: accuracy of a strategy, with its interval, on a file or on generated problems.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::Args;
use indicatif::ProgressBar;
use latent_model::{
    engine::Engine,
    evaluation::{self, RunResult, Trials},
    metrics::{Branches, Proportion},
    strategy::{Settings, Strategy},
    tasks::Grade,
};
use serde::Serialize;

use crate::{
    asking::AskingArgs,
    engines::{EngineKind, open_lasting_engine},
    folder::ModelArgs,
    problems::ProblemArgs,
    progress::progress_bar,
    results_file::{Measured, Results},
};

/// Arguments of `latent eval`.
#[derive(Args)]
pub struct EvalArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// A strategy of the table.
    #[arg(long)]
    strategy: String,
    /// A setting of the strategy, key=value.
    #[arg(long)]
    set: Vec<String>,
    #[command(flatten)]
    problems: ProblemArgs,
    #[command(flatten)]
    asking: AskingArgs,
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
    /// Keeps every run's verdict in this file, a line of JSON each; where the file holds some of
    /// them, goes on from there. `latent run --from` shows one of them again.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "gpu")]
    engine: EngineKind,
    /// Prints one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

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
    #[serde(flatten)]
    accuracy: Proportion,
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

/// Evaluates and reports.
pub async fn eval(args: &EvalArgs) -> Result<ExitCode> {
    let model = args.model.load()?;
    let strategy = Strategy::by_name(&args.strategy)?;
    let settings = Settings::parse(strategy, args.set.iter().map(String::as_str))?;
    let program = strategy.program(&settings, &model.tokenizer, model.capabilities())?;
    let source = args.asking.source(&args.problems);
    let mut asked = args.asking.problems(&source, args.seed, args.n)?;
    asked.problems.truncate(args.limit.unwrap_or(usize::MAX));
    let (prompts, problems) = (asked.prompts(&model)?, &asked.problems);
    let mut engine = open_lasting_engine(args.engine, &model).await?;
    let start = Instant::now();
    let bar = match args.json {
        true => ProgressBar::hidden(),
        false => progress_bar((problems.len() * args.samples) as u64, "runs"),
    };
    let trials = Trials {
        program: &program,
        problems,
        samples: args.samples,
        seed: args.seed,
    };
    let (results, known) = match &args.out {
        None => (None, Vec::new()),
        Some(path) => {
            let (results, known) = Results::open(path, &args.measured(&source, &engine)?)?;
            (Some(results), known)
        }
    };
    let mut listener = Listener {
        results,
        n_known: known.len(),
        n_done: 0,
        n_right: 0,
        bar: &bar,
    };
    let on_results = |runs: &[RunResult]| listener.hear(runs);
    let tokenizer = &model.tokenizer;
    let evaluating =
        evaluation::evaluate_prompts(&mut engine, tokenizer, trials, &prompts, known, on_results);
    let measured = evaluating.await?;
    bar.finish_and_clear();
    let evaluation = Evaluation {
        model: args.model.name(),
        strategy: strategy.name,
        settings: args.set.clone(),
        engine: engine.description(),
        problems: source.describe(),
        seed: args.seed,
        samples: args.samples,
        accuracy: measured.accuracy,
        malformed: measured.malformed,
        solved_by_any: measured.solved_by_any,
        mean_think_steps: measured.mean_think_steps,
        mean_answer_tokens: measured.mean_answer_tokens,
        mean_entropy: measured.mean_entropy,
        branches: measured.branches,
        seconds: start.elapsed().as_secs_f64(),
    };
    if args.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print_evaluation(&evaluation);
    }
    Ok(ExitCode::SUCCESS)
}

/// Who hears of runs as they come.
struct Listener<'a> {
    /// Where they are kept.
    results: Option<Results>,
    /// Runs that it held before, which are told first.
    n_known: usize,
    n_done: usize,
    n_right: usize,
    bar: &'a ProgressBar,
}

impl Listener<'_> {
    fn hear(&mut self, runs: &[RunResult]) -> Result<(), String> {
        let is_right = |run: &&RunResult| run.grade == Grade::Right;
        self.n_done += runs.len();
        self.n_right += runs.iter().filter(is_right).count();
        self.bar.set_position(self.n_done as u64);
        let share = 100.0 * self.n_right as f64 / self.n_done.max(1) as f64;
        self.bar.set_message(format!("{share:.1} % right"));
        let are_known = std::mem::take(&mut self.n_known) > 0;
        match &mut self.results {
            Some(results) if !are_known => {
                let mut runs = runs.iter();
                let added = runs.try_for_each(|run| results.add(run));
                added.map_err(|error| format!("{error:#}"))
            }
            _ => Ok(()),
        }
    }
}

impl EvalArgs {
    /// All that a run of the evaluation depends on.
    fn measured(&self, source: &ProblemArgs, engine: &impl Engine) -> Result<Measured> {
        Ok(Measured {
            model: self.model.name(),
            weights: self.model.weights_digest()?,
            engine: engine.description(),
            strategy: self.strategy.clone(),
            settings: self.set.clone(),
            problems: source.clone(),
            n: self.n,
            asking: self.asking.clone(),
            seed: self.seed,
            samples: self.samples,
        })
    }
}

fn print_evaluation(evaluation: &Evaluation) {
    let accuracy = &evaluation.accuracy;
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
        accuracy.n,
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
