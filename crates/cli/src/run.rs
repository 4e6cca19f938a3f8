//! `latent run`: one problem, one or more strategies, the trace as it comes.

mod record;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use latent_model::{
    chat::{ChatRole, Message},
    engine::{Engine, LaneSpec, run_to_end},
    evaluation::RunResult,
    input::Input,
    model::Model,
    strategy::{Settings, Strategy},
    tasks::{Problem, TASKS, Task, free_text},
    trace::{RanLane, RunJson, StepJson},
};

use self::record::Ran;
use crate::{
    asking::AskingArgs,
    engines::{EngineKind, open_engine},
    folder::{ModelArgs, weights_digest},
    problems::ProblemArgs,
    results_file::{self, Measured},
};

/// Arguments of `latent run`.
#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// A strategy of the table; several run side by side as lanes of one batch.
    #[arg(long, required_unless_present = "from")]
    strategy: Vec<String>,
    /// A setting of the strategy, key=value.
    #[arg(long)]
    set: Vec<String>,
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

/// Steps per submit; small enough to see the trace come, large enough to keep a GPU busy.
const CHUNK: usize = 8;

/// What is run: a problem or a text, and how.
struct Job {
    strategies: Vec<String>,
    settings: Vec<String>,
    /// The problem, where the answer can be graded.
    problem: Option<Problem>,
    /// How the answer is written where there is no problem.
    task: Task,
    /// What the model reads.
    question: String,
    prompt: Vec<u32>,
    seed: u32,
    stream: u32,
}

/// Runs the lanes to their end.
pub async fn run(args: &RunArgs) -> Result<ExitCode> {
    let model = args.model.load()?;
    let job = match &args.from {
        Some(path) => replayed(args, path, &model)?,
        None => job(args, &model)?,
    };
    let Job {
        question, prompt, ..
    } = &job;
    let strategies: Vec<&Strategy> = job
        .strategies
        .iter()
        .map(|name| Strategy::by_name(name))
        .collect::<Result<_, _>>()?;
    let lane = |strategy: &&Strategy| -> Result<LaneSpec> {
        let settings = Settings::parse(strategy, job.settings.iter().map(String::as_str))?;
        Ok(LaneSpec {
            inputs: Input::tokens(prompt),
            program: strategy.program(&settings, &model.tokenizer, model.capabilities())?,
            seed: job.seed,
            stream: job.stream,
            decode_thoughts: true,
        })
    };
    let lanes: Vec<LaneSpec> = strategies.iter().map(lane).collect::<Result<_>>()?;
    let mut engine = open_engine(args.engine, &model).await?;
    if !args.json {
        println!("{question}\n[{}]", engine.description());
    }
    let started = Instant::now();
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
    if let Some(path) = &args.record {
        let ran = Ran {
            args,
            model: &model,
            job: &job,
            lanes: &lanes,
            traces: &traces,
            engine: &engine.description(),
            seconds: started.elapsed().as_secs_f64(),
        };
        ran.record(path)?;
    }
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
            let answer = ran.answer(job.task);
            let verdict = job.problem.as_ref().map(|problem| problem.grade(&answer));
            ran.json(answer, verdict)
        })
        .collect();
    report(
        args.json,
        &RunJson {
            prompt: question.clone(),
            seed: job.seed,
            lanes,
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// What the arguments say to run.
fn job(args: &RunArgs, model: &Model) -> Result<Job> {
    let (problem, question, prompt) = match (&args.prompt, problem(args)) {
        (Some(text), None) if args.asking.chat => {
            let content = text.clone();
            let role = ChatRole::User;
            let question = model.chat(&[Message { role, content }])?;
            let prompt = model.tokenizer.encode(&question)?;
            (None, question, prompt)
        }
        (Some(text), None) => (None, text.clone(), model.prompt(text)?),
        (Some(_), Some(problem)) => {
            let question = problem.question().to_string();
            let prompt = model.prompt(&question)?;
            (Some(problem), question, prompt)
        }
        (None, _) => {
            let n = args.index + 1 + args.asking.shots;
            let asked = args.asking.problems(&args.problems, args.seed, n)?;
            let n = asked.problems.len();
            let index = args.index;
            ensure!(index < n, "--index must be below {n}, found {index}");
            let problem = asked.problems[index].clone();
            let question = asked.text(model, &problem)?;
            let prompt = asked.prompt(model, &problem)?;
            (Some(problem), question, prompt)
        }
    };
    Ok(Job {
        strategies: args.strategy.clone(),
        settings: args.set.clone(),
        task: match &problem {
            Some(problem) => problem.task(),
            None => task_of(model),
        },
        problem,
        question,
        prompt,
        seed: args.seed,
        stream: 0,
    })
}

/// A run of a file of results, as it was counted.
fn replayed(args: &RunArgs, path: &Path, model: &Model) -> Result<Job> {
    let (measured, runs) = results_file::read(path)?;
    let is_it = |run: &&RunResult| (run.problem, run.sample) == (args.problem, args.sample);
    let Some(run) = runs.iter().find(is_it) else {
        bail!(
            "{} has no run {} of problem {}",
            path.display(),
            args.sample,
            args.problem
        );
    };
    let digest = weights_digest(&args.model.model, args.model.adapters.as_deref())?;
    ensure!(
        digest == measured.weights,
        "{} was measured on {} with weights {}; found {digest}",
        path.display(),
        measured.model,
        measured.weights
    );
    let Measured { n, seed, .. } = measured;
    let asked = measured.asking.problems(&measured.problems, seed, n)?;
    let problem = asked.problems.get(run.problem);
    let problem = problem.with_context(|| format!("there is no problem {}", run.problem))?;
    Ok(Job {
        strategies: vec![measured.strategy],
        settings: measured.settings,
        question: asked.text(model, problem)?,
        prompt: asked.prompt(model, problem)?,
        task: problem.task(),
        problem: Some(problem.clone()),
        seed,
        stream: run.stream,
    })
}

/// The task whose words a model knows; other models write as they please.
fn task_of(model: &Model) -> Task {
    let is_its = |task: &&Task| {
        let mut words = (0..).zip(task.vocabulary());
        words.all(|(id, word)| model.tokenizer.id(&word) == Some(id))
    };
    TASKS
        .iter()
        .find(is_its)
        .copied()
        .unwrap_or(free_text::TASK)
}

/// The problem that a prompt is, if it is a whole one: the model gets its official form, and the
/// answer is graded.
fn problem(args: &RunArgs) -> Option<Problem> {
    let prompt = args.prompt.as_ref()?;
    TASKS.iter().find_map(|task| task.read(prompt).ok())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::load_model;

    #[test]
    fn the_task_of_a_checkpoint_is_told_by_its_words() {
        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../public/models");
        for (name, expected) in [
            ("prosqa-no-cot", "prosqa"),
            ("prontoqa-cot", "prontoqa"),
            ("arithmetic-cot", "arithmetic"),
        ] {
            let model = load_model(&Path::new(models).join(name)).expect("it ships");
            assert_eq!(task_of(&model).name(), expected, "{name}");
        }
        let other = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../model/tests/fixtures/gguf/tiny-llama.gguf"
        );
        let model = load_model(Path::new(other)).expect("a model of others");
        assert_eq!(task_of(&model), free_text::TASK);
    }
}
