//! `latent contemplation`: when CCOT's END stops, beside the number of contemplation tokens that
//! stand for a problem's chain of thought, what that costs in accuracy, and what a problem takes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_gpu::AnyEngine;
use latent_model::{
    engine::{Engine, LaneSpec, run_to_end},
    evaluation::{BATCH, Evaluator, RunResult, Trials},
    evidence::SetOfTable,
    input::Input,
    metrics::{Difference, Proportion, wilson},
    model::Model,
    program::Program,
    strategy::{Settings, Strategy},
    tasks::{Difficulty, Grade, Problem},
};
use serde::{Deserialize, Serialize};

use crate::{
    engines::{EngineKind, open_engine},
    evidence,
    folder::{adapter_folders, load_adapted, load_training_record, model_name, weights_digest},
    made::{CommandText, VERSION},
    problems::ProblemSet,
    progress::progress_bar,
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
    /// Problems of which every way of decoding is timed, one at a time and in turns.
    #[arg(long, default_value_t = 40)]
    timed: usize,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "reference")]
    engine: EngineKind,
    /// The folder of the evidence.
    #[arg(long, default_value = "public/evidence/contemplation")]
    out: PathBuf,
}

/// Steps per submit.
const CHUNK: usize = 16;
/// What stops by itself.
const OWN: &str = "ccot";
/// What is told when.
const GIVEN: &str = "ccot-fixed";
/// The words that both stand for.
const WORDS: &str = "token-cot";

/// The document's file in its folder.
const FILE: &str = "contemplation.json";

/// `contemplation.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContemplationDocument {
    /// The command.
    pub command: String,
    /// Program and version.
    pub version: String,
    /// Where it was computed.
    pub engine: String,
    /// Seed of the first problem.
    pub seed: u32,
    /// The problems of each task.
    pub sets: Vec<SetOfTable>,
    /// Every folder of adapters.
    pub rows: Vec<RowOfContemplation>,
}

/// A folder of adapters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowOfContemplation {
    /// The task.
    pub task: String,
    /// Name of the checkpoint.
    pub model: String,
    /// The folder.
    pub adapters: String,
    /// r.
    pub ratio: f64,
    /// SHA-256 of the weights, those of the adapters included.
    pub weights_sha256: String,
    /// Right answers where END stops.
    pub own: Proportion,
    /// Right answers with k contemplation tokens, which only the chain's writer knows.
    pub given: Proportion,
    /// Problems with each k and each number of tokens after which END stopped.
    pub lengths: Vec<LengthCount>,
    /// Of the problems that END stopped at k or before, the share stopped at k.
    pub precision: Option<Proportion>,
    /// Of the problems that END stopped at k or behind, the share stopped at k.
    pub recall: Option<Proportion>,
    /// Median time of a problem, as a share of the median with the whole chain in words. It is a
    /// measurement of this machine, and differs from run to run.
    pub time: f64,
}

/// How many problems of a k END stopped after so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LengthCount {
    /// How many tokens of the chain are kept.
    pub k: usize,
    /// After how many contemplation tokens END stopped.
    pub own: usize,
    /// Problems.
    pub n: usize,
}

/// Measures, prints and writes.
pub async fn contemplation(args: &ContemplationArgs) -> Result<ExitCode> {
    let mut document = ContemplationDocument {
        command: args.command(),
        version: VERSION.into(),
        engine: String::new(),
        seed: args.seed,
        sets: Vec::new(),
        rows: Vec::new(),
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
    evidence::write(&args.out, FILE, &document)?;
    println!("{}", document.section());
    Ok(ExitCode::SUCCESS)
}

/// The section of the results.
pub fn section(folder: &Path) -> Result<String> {
    let study: ContemplationDocument = evidence::read(folder, FILE)?;
    Ok(study.section())
}

impl ContemplationArgs {
    fn command(&self) -> String {
        let mut command = CommandText::new("contemplation");
        let models = self.model.iter();
        models.for_each(|model| command.say("model", model.display()));
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
    let timed = &set.problems[..args.timed.min(set.problems.len())];
    let words = program(WORDS, None)?;
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
        time: relative_time(&mut engine, &model, timed, [&own_program, &words]).await?,
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

/// Nothing is drawn, so that there is no seed.
fn lane(model: &Model, problem: &Problem, program: Program) -> Result<LaneSpec> {
    Ok(LaneSpec {
        inputs: Input::tokens(&model.tokenizer.encode(problem.question())?),
        program,
        seed: 0,
        stream: 0,
        decode_thoughts: false,
    })
}

/// The median time of a problem under the first program, as a share of that under the second; they
/// take turns.
async fn relative_time(
    engine: &mut AnyEngine,
    model: &Model,
    problems: &[Problem],
    programs: [&Program; 2],
) -> Result<f64> {
    let mut seconds = [Vec::new(), Vec::new()];
    for problem in problems {
        for (program, seconds) in programs.iter().zip(&mut seconds) {
            let lanes = [lane(model, problem, (*program).clone())?];
            let start = Instant::now();
            run_to_end(engine, &lanes, CHUNK, |_| {}).await?;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let [own, words] = seconds.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    });
    Ok(own / words)
}

impl ContemplationDocument {
    /// A table of all adapters, and a histogram of each.
    fn section(&self) -> String {
        let mut text = String::from(
            "\
## When CCOT's END stops

k contemplation tokens stand for a problem's chain of thought, which only its writer knows. \
Precision is the share of the problems that END stopped at k or before which it stopped at k, \
recall that of the problems that it stopped at k or behind. Time is a problem's median, one lane \
alone, on the machine that measured.

| task | adapters | r | END stops, % | k given, % | difference | precision, % | recall, % | time, % of the chain's |\n|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            text += &row.markdown();
        }
        for set in &self.sets {
            text += &format!("\n*{}*: {}.\n", set.task, set.source);
        }
        text += &format!(
            "\nHow many problems END stopped how far from k (0: exactly there):\n\n{}",
            self.histogram()
        );
        text += &format!(
            "\nMade by `{}` ({}; {}).\n",
            self.command, self.version, self.engine
        );
        text
    }

    /// A row for each folder of adapters, a column for each distance from k.
    fn histogram(&self) -> String {
        let heads = ["≤ −3", "−2", "−1", "0", "+1", "+2", "≥ +3"];
        let mut text = format!("| adapters | {} |\n", heads.join(" | "));
        text += &format!("|{}\n", "---|".repeat(1 + heads.len()));
        for row in self.rows.iter().filter(|row| row.ratio > 0.0) {
            let mut counts = [0; 7];
            for count in &row.lengths {
                let off = count.own as i64 - count.k as i64;
                counts[(off.clamp(-3, 3) + 3) as usize] += count.n;
            }
            let counts = counts.map(|n| n.to_string());
            text += &format!("| {} | {} |\n", row.name(), counts.join(" | "));
        }
        text
    }
}

impl RowOfContemplation {
    fn name(&self) -> String {
        format!("`{}/{}`", self.model, self.adapters)
    }

    fn markdown(&self) -> String {
        let percent = |share: &Proportion| {
            let [value, low, high] = share.percent();
            format!("{value:.1} [{low:.1}, {high:.1}]")
        };
        let or_none = |share: &Option<Proportion>| share.as_ref().map_or("–".into(), percent);
        let off = Difference::of(&self.own, &self.given);
        let [value, low, high] = [off.value, off.low, off.high].map(|share| 100.0 * share);
        format!(
            "| {} | {} | {} | {} | {} | {value:+.1} [{low:+.1}, {high:+.1}] | {} | {} | {:.0} |\n",
            self.task,
            self.name(),
            self.ratio,
            percent(&self.own),
            percent(&self.given),
            or_none(&self.precision),
            or_none(&self.recall),
            100.0 * self.time,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::assert_of_weights_that_ship;

    #[test]
    fn the_study_was_made_on_the_weights_that_ship() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let folder = root.join("public/evidence/contemplation");
        let study: ContemplationDocument = evidence::read(&folder, FILE).expect("it ships");
        for row in &study.rows {
            let adapters = Some(&row.adapters[..]);
            assert_of_weights_that_ship(&row.model, adapters, &row.weights_sha256);
        }
    }
}
