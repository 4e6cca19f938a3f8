//! The command `latent`: runs, evaluates, checks, measures, trains and gathers evidence from a terminal.

#[macro_use]
mod output;

mod agreement;
mod analyze;
mod asking;
mod bench;
mod case_study;
mod chart;
mod check;
mod contemplation;
mod engines;
mod eval;
mod evidence;
mod fetch;
mod folder;
mod intervene;
mod made;
mod models;
mod problems;
mod progress;
mod report;
mod results;
mod results_file;
mod run;
mod ship;
mod table;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use latent_train::Backend;

/// Lets a small language model reason in words, in mixtures of words and in hidden states.
#[derive(Parser)]
#[command(name = "latent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetches a pretrained model into a cache folder and says where it lies.
    Fetch(fetch::FetchArgs),
    /// Lists the checkpoints that ship with the project.
    Models(models::ModelsArgs),
    /// Runs one or more strategies on one problem and streams the trace.
    Run(run::RunArgs),
    /// Measures a strategy's accuracy on a file of problems or on generated ones.
    Eval(eval::EvalArgs),
    /// Compares the GPU engine with the reference, layer by layer; exit code 1 on any difference.
    Check(check::CheckArgs),
    /// Measures how fast the GPU engine decodes here, beside this adapter's best and its peers.
    Bench(bench::BenchArgs),
    /// Measures a paper's table on the checkpoints that ship, as a suite file asks for it.
    Table(table::TableArgs),
    /// Asks at every step what would follow, had one word been fed in place of the mixture, and
    /// compares ways of decoding.
    Analyze(analyze::AnalyzeArgs),
    /// Changes thoughts before they are fed, and measures what becomes of the answers.
    Intervene(intervene::InterveneArgs),
    /// Measures when CCOT's END stops, and what that costs.
    Contemplation(contemplation::ContemplationArgs),
    /// Puts docs/results.md together from what was measured.
    Results(results::ResultsArgs),
    /// Draws the training curve of a model folder, or what `latent analyze --out` left in one.
    Report(report::ReportArgs),
    /// Searches for problems that one thought gets wrong and more thoughts get right.
    CaseStudy(case_study::CaseStudyArgs),
    /// Puts trained models where the page finds them.
    Ship(ship::ShipArgs),
    /// Trains a checkpoint from a configuration file.
    Train(TrainArgs),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// A TOML file, such as crates/train/configs/prosqa-cot.toml.
    config: PathBuf,
    /// Goes on from the last saved state.
    #[arg(long)]
    resume: bool,
    /// What computes: flex (one CPU thread) or wgpu (a GPU, if built with `--features wgpu`).
    #[arg(long, default_value = "flex")]
    backend: Backend,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Fetch(args) => fetch::fetch(&args),
        Command::Models(args) => models::models(&args),
        Command::Run(args) => pollster::block_on(run::run(&args)),
        Command::Eval(args) => pollster::block_on(eval::eval(&args)),
        Command::Check(args) => pollster::block_on(check::check(&args)),
        Command::Bench(args) => pollster::block_on(bench::bench(&args)),
        Command::Table(args) => pollster::block_on(table::table(&args)),
        Command::Analyze(args) => pollster::block_on(analyze::analyze(&args)),
        Command::Intervene(args) => pollster::block_on(intervene::intervene(&args)),
        Command::Ship(args) => ship::ship(&args),
        Command::Contemplation(args) => pollster::block_on(contemplation::contemplation(&args)),
        Command::Results(args) => results::results(&args),
        Command::Report(args) => report::report(&args),
        Command::CaseStudy(args) => pollster::block_on(case_study::case_study(&args)),
        Command::Train(args) => {
            let trained = latent_train::run(&args.config, args.resume, args.backend);
            trained.map(|()| ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("latent: {error:#}");
        ExitCode::FAILURE
    })
}
