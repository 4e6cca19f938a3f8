//! `latent run`: one problem, one or more strategies, the trace as it comes.

mod job;
mod lanes;
mod parting;
mod record;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::Args;
use latent_model::trace::{LaneJson, RunJson, StepJson};
use serde::Serialize;

use self::{
    job::Job,
    lanes::Lanes,
    parting::{Parting, partings},
};
use crate::{asking::AskingArgs, engines::EngineKind, folder::LoadingArgs, problems::ProblemArgs};

/// Arguments of `latent run`.
#[derive(Args)]
pub struct RunArgs {
    /// A model folder, or a GGUF file.
    #[arg(long, required_unless_present_any = ["lane", "address"])]
    model: Option<PathBuf>,
    #[command(flatten)]
    loading: LoadingArgs,
    /// A strategy of the table; several run side by side as lanes of one batch.
    #[arg(long, required_unless_present_any = ["from", "lane", "address"])]
    strategy: Vec<String>,
    /// A setting of the strategy, key=value.
    #[arg(long)]
    set: Vec<String>,
    /// A lane as the page's address writes it, CHECKPOINT:STRATEGY,KEY=VALUE…, in place of --model
    /// and --strategy; several are counted from 1.
    ///
    /// Beside settings it takes at=STEP-CHANGE, any number of times, which changes what is fed
    /// after a step: zero, noise-SIZE-SEED, shuffle-SEED, freeze, nearest, force-ID (a word),
    /// mix-ID-WEIGHT-ID-WEIGHT… (a mixture with weights set by hand), swap-LANE and
    /// swap-SIZE-SEED (what another lane, or this one on another problem, is fed there). And
    /// from=LANE-STEP goes on from a lane before it, from=LANE-STEP-answer stops thinking there.
    /// Words are given by their ids in the checkpoint's tokenizer.json. Where a
    /// changed lane parts from the same lane without the change, and a fork from its lane, is
    /// told at the end; the lane without the change runs along where it is not among the lanes.
    ///
    /// Such as --lane prosqa-coconut:coconut --lane prosqa-coconut:coconut,at=2-zero --lane
    /// prosqa-coconut:coconut,from=1-3-answer.
    #[arg(long, conflicts_with_all = ["model", "adapters", "strategy", "set", "from"])]
    lane: Vec<String>,
    /// Runs what a link to the page holds, in quotes: its problem, lanes and seed, with the same
    /// records. How it is shown, and by which engine, is this command's own.
    #[arg(long, conflicts_with_all = ["lane", "model", "adapters", "strategy", "set", "from",
        "prompt", "task", "difficulty", "data", "chat", "shots", "index", "seed"])]
    address: Option<String>,
    /// The folder of the checkpoints that lanes name, beside which the page's examples lie.
    #[arg(long, default_value = "public/models")]
    models: PathBuf,
    /// The prompt as text, instead of a problem.
    #[arg(long, conflicts_with_all = ["task", "data"])]
    prompt: Option<String>,
    #[command(flatten)]
    problems: ProblemArgs,
    #[command(flatten)]
    asking: AskingArgs,
    /// Which problem of --data, from 0.
    #[arg(long, default_value_t = 0)]
    index: usize,
    /// Seed of the generated problem and of the lanes' noise.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Runs what `latent eval --out` counted in this file, as it was counted; the model must be
    /// the same.
    #[arg(long, conflicts_with_all = ["strategy", "set", "prompt", "task", "data", "chat", "shots", "index", "seed"])]
    from: Option<PathBuf>,
    /// Which problem of --from, from 0.
    #[arg(long, requires = "from", default_value_t = 0)]
    problem: usize,
    /// Which run of that problem.
    #[arg(long, requires = "from", default_value_t = 0)]
    sample: usize,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "gpu")]
    engine: EngineKind,
    /// Writes the run to this file as a recording, which the page plays without a model.
    #[arg(long, conflicts_with = "from")]
    record: Option<PathBuf>,
    /// Prints one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// A run as one JSON object, with where its lanes part.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    run: RunJson,
    /// One for each lane that is changed or goes on from another one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    partings: Vec<Parting>,
}

/// Runs the lanes to their end.
pub async fn run(args: &RunArgs) -> Result<ExitCode> {
    let job = Job::new(args)?;
    let mut lanes = Lanes::open(&job, args.engine).await?;
    let question = lanes.question.clone();
    let labels = labels(&job);
    if !args.json {
        println!("{question}\n{}", lanes.engines());
        for (label, lane) in labels.iter().zip(&job.lanes) {
            if !lane.is_plain() {
                println!("{label}: {lane}");
            }
        }
    }
    let started = Instant::now();
    let traces = lanes
        .run(|lane, record, tokenizer| {
            if !args.json {
                let step = StepJson::new(record, tokenizer);
                println!("{}", step_line(&labels[lane], &step));
            }
        })
        .await?;
    let seconds = started.elapsed().as_secs_f64();
    if let Some(path) = &args.record {
        record::write(path, &job, &lanes, &traces, seconds)?;
    }
    let of_lane = |index: usize| {
        let ran = lanes.ran(&job, index, &traces[index]);
        let answer = ran.answer(lanes.task);
        let verdict = job.problem.as_ref().map(|problem| problem.grade(&answer));
        ran.json(answer, verdict)
    };
    let run = RunJson {
        prompt: question,
        seed: job.seed,
        lanes: (0..job.lanes.len()).map(of_lane).collect(),
    };
    let partings = partings(&job, &traces, &run);
    if args.json {
        println!("{}", serde_json::to_string(&Document { run, partings })?);
        return Ok(ExitCode::SUCCESS);
    }
    for (label, lane) in labels.iter().zip(&run.lanes) {
        println!("{label}: {}", outcome(lane));
    }
    for parting in &partings {
        println!("{parting}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What each lane is called in a line: its strategy, after its number where there are several.
fn labels(job: &Job) -> Vec<String> {
    let label = |(number, name): (usize, &str)| match job.lanes.len() {
        1 => name.into(),
        _ => format!("{number} {name}"),
    };
    let names = job.lanes.iter().map(|lane| lane.strategy.name);
    (1..).zip(names).map(label).collect()
}

fn outcome(lane: &LaneJson) -> String {
    let verdict = lane.verdict.as_deref().unwrap_or("not graded");
    let summary = &lane.summary;
    format!(
        "{:?} ({verdict}; {} thinking steps, {} answer tokens)",
        lane.answer, summary.think_steps, summary.answer_tokens
    )
}

fn step_line(label: &str, step: &StepJson) -> String {
    let shown = step.kept.iter().take(5);
    let kept: Vec<String> = shown
        .map(|kept| format!("{} {:.2}→{:.2}", kept.token, kept.prob, kept.weight))
        .collect();
    let entropy = step
        .entropy
        .map_or("   –  ".into(), |entropy| format!("{entropy:6.3}"));
    format!(
        "{label:>22} {:3}  {:8} {:10} H {entropy}  |h| {:6.2}  {}  {}",
        step.step,
        step.input,
        step.token.as_deref().unwrap_or("·"),
        step.hidden_norm,
        step.flags.join(","),
        kept.join("  "),
    )
}
