//! `latent run`: one problem, one or more strategies, the trace as it comes.

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::Args;
use latent_model::{
    engine::{Engine, LaneSpec, run_to_end},
    input::Input,
    strategy::{Settings, Strategy},
    tasks::{Problem, TASKS, Task},
    trace::{RanLane, RunJson, StepJson},
};

use crate::{
    engines::{EngineKind, open_engine},
    folder::ModelArgs,
    problems::ProblemArgs,
};

/// Arguments of `latent run`.
#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// A strategy of the table; several run side by side as lanes of one batch.
    #[arg(long, required = true)]
    strategy: Vec<String>,
    /// A setting of the strategy, key=value.
    #[arg(long)]
    set: Vec<String>,
    /// The prompt as text, instead of a problem.
    #[arg(long, conflicts_with_all = ["task", "data"])]
    prompt: Option<String>,
    #[command(flatten)]
    problems: ProblemArgs,
    /// Which problem of --data, from 0.
    #[arg(long, default_value_t = 0)]
    index: usize,
    /// Seed of the generated problem and of the lanes' noise.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "gpu")]
    engine: EngineKind,
    /// Prints one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// Steps per submit; small enough to see the trace come, large enough to keep a GPU busy.
const CHUNK: usize = 8;

/// Runs the lanes to their end.
pub async fn run(args: &RunArgs) -> Result<ExitCode> {
    let model = args.model.load()?;
    let problem = problem(args)?;
    let question = match (&problem, &args.prompt) {
        (Some(problem), _) => problem.question().to_string(),
        (None, Some(prompt)) => prompt.clone(),
        (None, None) => bail!("give a prompt: --prompt TEXT, --task NAME or --data FILE"),
    };
    let prompt = model.tokenizer.encode(&question)?;
    let strategies: Vec<&Strategy> = args
        .strategy
        .iter()
        .map(|name| Strategy::by_name(name))
        .collect::<Result<_, _>>()?;
    let lane = |strategy: &&Strategy| -> Result<LaneSpec> {
        let settings = Settings::parse(strategy, args.set.iter().map(String::as_str))?;
        Ok(LaneSpec {
            inputs: Input::tokens(&prompt),
            program: strategy.program(&settings, &model.tokenizer, model.capabilities())?,
            seed: args.seed,
            stream: 0,
            decode_thoughts: true,
        })
    };
    let lanes: Vec<LaneSpec> = strategies.iter().map(lane).collect::<Result<_>>()?;
    let mut engine = open_engine(args.engine, &model).await?;
    if !args.json {
        println!("{question}\n[{}]", engine.description());
    }
    let traces = run_to_end(&mut engine, &lanes, CHUNK, |records| {
        if !args.json {
            for record in records {
                let name = strategies[record.lane as usize].name;
                println!(
                    "{}",
                    step_line(name, &StepJson::new(record, &model.tokenizer))
                );
            }
        }
    })
    .await?;
    let named = args.problems.task.unwrap_or(Task::first());
    let task = problem.as_ref().map_or(named, Problem::task);
    let lanes = lanes.iter().zip(&traces).zip(&strategies);
    let lanes = lanes
        .map(|((spec, records), strategy)| {
            let ran = RanLane {
                model: &args.model.name(),
                tokenizer: &model.tokenizer,
                strategy: strategy.name,
                program: &spec.program,
                engine: &engine.description(),
                records,
            };
            let answer = ran.answer(task);
            let verdict = problem.as_ref().map(|problem| problem.grade(&answer));
            ran.json(answer, verdict)
        })
        .collect();
    report(
        args.json,
        &RunJson {
            prompt: question,
            seed: args.seed,
            lanes,
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The problem that is run; `None` for a prompt that is none. A prompt that is a whole problem is
/// read as one: the model gets its official form, and the answer is graded.
fn problem(args: &RunArgs) -> Result<Option<Problem>> {
    if let Some(prompt) = &args.prompt {
        let named = args.problems.task;
        let mut tasks = TASKS
            .iter()
            .filter(|task| named.is_none_or(|n| n == **task));
        return Ok(tasks.find_map(|task| task.read(prompt).ok()));
    }
    let Some(mut problems) = args.problems.read_file()? else {
        return Ok(args.problems.generated(args.seed.into(), 1)?.pop());
    };
    let n = problems.len();
    ensure!(
        args.index < n,
        "--index must be below {n}, found {}",
        args.index
    );
    Ok(Some(problems.swap_remove(args.index)))
}

fn report(json: bool, run: &RunJson) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(run)?);
        return Ok(());
    }
    for lane in &run.lanes {
        let verdict = lane.verdict.as_deref().unwrap_or("not graded");
        let summary = &lane.summary;
        println!(
            "{}: {:?} ({verdict}; {} thinking steps, {} answer tokens)",
            lane.strategy, lane.answer, summary.think_steps, summary.answer_tokens
        );
    }
    Ok(())
}

fn step_line(strategy: &str, step: &StepJson) -> String {
    let shown = step.kept.iter().take(5);
    let kept: Vec<String> = shown
        .map(|kept| format!("{} {:.2}→{:.2}", kept.token, kept.prob, kept.weight))
        .collect();
    let entropy = step
        .entropy
        .map_or("   –  ".into(), |entropy| format!("{entropy:6.3}"));
    format!(
        "{strategy:>20} {:3}  {:8} {:10} H {entropy}  |h| {:6.2}  {}  {}",
        step.step,
        step.input,
        step.token.as_deref().unwrap_or("·"),
        step.hidden_norm,
        step.flags.join(","),
        kept.join("  "),
    )
}
