//! `latent analyze`: what follows mixtures and their words, and how ways of decoding compare.

mod chart;
mod document;
mod files;
mod measure;
mod papers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_model::{
    analysis::report::{AnalysisRow, AnalysisStudy, Made},
    tasks::{Difficulty, Task},
};
use serde::{Deserialize, Serialize};

use self::measure::{Bench, Questions};
pub use self::{
    chart::svg,
    document::{FILE, pretrained, read, section, seeds, solved},
};
use crate::{
    asking::AskingArgs, engines::EngineKind, evidence, made::CommandText, problems::ProblemArgs,
    progress::progress_bar,
};

/// Arguments of `latent analyze`.
#[derive(Args)]
pub struct AnalyzeArgs {
    /// A model folder.
    #[arg(long, required_unless_present = "suite", conflicts_with = "suite")]
    model: Option<PathBuf>,
    /// Measures the rows of a TOML file and writes analysis.json.
    #[arg(long)]
    suite: Option<PathBuf>,
    /// The folder of the model folders that a suite names.
    #[arg(long, default_value = "public/models")]
    models: PathBuf,
    /// A strategy of the table.
    #[arg(long, default_value = "soft")]
    strategy: String,
    /// A setting of the strategy, key=value.
    #[arg(long)]
    set: Vec<String>,
    /// Runs of each problem, with different noise; the first one is asked about.
    #[arg(long, default_value_t = 1)]
    samples: usize,
    #[command(flatten)]
    problems: ProblemArgs,
    #[command(flatten)]
    asking: AskingArgs,
    /// A prompt as text, instead of problems.
    #[arg(long, conflicts_with_all = ["task", "data", "suite"])]
    prompt: Option<String>,
    /// Number of generated problems.
    #[arg(long, default_value_t = 200)]
    n: usize,
    /// At most this many problems.
    #[arg(long)]
    limit: Option<usize>,
    /// Seed of the first generated problem and of noise.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Reads the layers through the logit lens at every step of this number; 0 for never.
    #[arg(long, default_value_t = 1)]
    lens_every: usize,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "reference")]
    engine: EngineKind,
    /// Prints one JSON object and nothing else.
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// A folder for analysis.json, steps.csv, and the first problem's lens.json (logitlenskit,
    /// version 2) and states.safetensors (TransformerLens's names); a suite's analysis.json and
    /// analysis.svg go to public/evidence/analysis unless this says else.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Keeps what was measured here, problem by problem, and goes on from there. Used again only
    /// if weights, shape, vocabulary, methods, problems, seed, engine and this program are the
    /// same to the byte.
    #[arg(long, default_value = "runs/analyzed")]
    cache: PathBuf,
}

/// A way of decoding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The strategy.
    pub strategy: String,
    /// Its settings.
    #[serde(default)]
    pub set: Vec<String>,
    /// Runs of each problem.
    #[serde(default = "one")]
    pub samples: usize,
    /// Whether the first run of each problem is asked about at every step.
    #[serde(default)]
    pub ask: bool,
}

fn one() -> usize {
    1
}

impl Method {
    /// The greedy run in words, which everything is compared with.
    fn greedy() -> Self {
        Self {
            strategy: "token-cot".into(),
            set: Vec::new(),
            samples: 1,
            ask: false,
        }
    }
}

/// `suites/analysis.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    #[serde(rename = "row")]
    rows: Vec<SuiteRow>,
}

/// A checkpoint with the ways in which it is decoded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteRow {
    /// One of [`document::PARTS`]: which part of the study it belongs to.
    part: String,
    model: String,
    task: Task,
    /// A file of problems, instead of generated ones.
    data: Option<PathBuf>,
    /// Whether they are put to the model through its chat template.
    #[serde(default)]
    chat: bool,
    #[serde(default = "official")]
    difficulty: String,
    /// At most this many problems.
    limit: Option<usize>,
    /// The logit lens reads every step of this number, 0 for none, where the command line does
    /// not ask for fewer.
    #[serde(default = "every")]
    lens_every: usize,
    #[serde(rename = "method")]
    methods: Vec<Method>,
}

fn every() -> usize {
    1
}

fn official() -> String {
    Difficulty::Official.name().into()
}

/// Measures and reports.
pub async fn analyze(args: &AnalyzeArgs) -> Result<ExitCode> {
    match (&args.suite, &args.model) {
        (Some(suite), _) => run_suite(args, suite).await,
        (None, Some(model)) => run_one(args, model).await,
        (None, None) => unreachable!("clap asks for one of them"),
    }
}

async fn run_one(args: &AnalyzeArgs, folder: &Path) -> Result<ExitCode> {
    let (questions, described) = match &args.prompt {
        Some(text) => (Questions::Text(text.clone()), "a prompt".into()),
        None => (
            questions((args, &args.asking), &args.problems, args.limit)?,
            args.asking.source(&args.problems).describe(),
        ),
    };
    let mut methods = [
        Method::greedy(),
        Method {
            strategy: args.strategy.clone(),
            set: args.set.clone(),
            samples: args.samples,
            ask: true,
        },
    ];
    let limits = args.set.iter().filter(|set| set.starts_with("max_"));
    methods[0].set.extend(limits.cloned());
    let bar = match args.json {
        true => indicatif::ProgressBar::hidden(),
        false => progress_bar(questions.len() as u64, "problems"),
    };
    let measured = (&methods[..], "one", args.lens_every);
    let bench = Bench::open(args, folder, (questions, described), measured)?;
    let measured = bench.measure(&bar).await?;
    bar.finish_and_clear();
    let study = AnalysisStudy {
        made: made(args, &measured.engine),
        rows: vec![measured.row.clone()],
    };
    if let Some(out) = &args.out {
        files::write(out, &study, &measured)?;
    }
    match args.json {
        true => println!("{}", serde_json::to_string(&files::Flat::new(&study))?),
        false => println!("{}", document::tables(&study)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_suite(args: &AnalyzeArgs, path: &Path) -> Result<ExitCode> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let suite: Suite = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    ensure!(!suite.rows.is_empty(), "{} has no row", path.display());
    let n = |row: &SuiteRow| args.n.min(row.limit.unwrap_or(usize::MAX)) as u64;
    let bar = progress_bar(suite.rows.iter().map(n).sum(), "problems");
    let mut rows: Vec<AnalysisRow> = Vec::new();
    let mut engine = String::new();
    for row in &suite.rows {
        bar.set_message(format!("{} · {}", row.part, row.model));
        let source = ProblemArgs {
            task: Some(row.task),
            difficulty: row.difficulty.parse()?,
            data: row.data.clone(),
        };
        let asking = AskingArgs {
            chat: row.chat,
            ..args.asking.clone()
        };
        let questions = questions((args, &asking), &source, row.limit)?;
        let folder = args.models.join(&row.model);
        let described = (questions, source.describe());
        let asks = row.lens_every.min(args.lens_every) > 0;
        let lens_every = if asks {
            row.lens_every.max(args.lens_every)
        } else {
            0
        };
        let measured = (&row.methods[..], row.part.as_str(), lens_every);
        let bench = Bench::open(args, &folder, described, measured)?;
        let measured = bench.measure(&bar).await?;
        rows.push(measured.row);
        engine = measured.engine;
    }
    bar.finish_and_clear();
    let study = AnalysisStudy {
        made: made(args, &engine),
        rows,
    };
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| "public/evidence/analysis".into());
    // A suite of ways of decoding alone has nothing to draw.
    match chart::drawn(&study).is_empty() {
        true => evidence::write(&out, FILE, &study)?,
        false => files::write_study(&out, &study, &study)?,
    }
    println!("{}", document::tables(&study));
    Ok(ExitCode::SUCCESS)
}

/// The problems of a file, or generated ones.
fn questions(
    (args, asking): (&AnalyzeArgs, &AskingArgs),
    source: &ProblemArgs,
    limit: Option<usize>,
) -> Result<Questions> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut asked = asking.problems(source, args.seed, args.n.min(limit))?;
    asked.problems.truncate(limit);
    Ok(Questions::Asked(asked))
}

fn made(args: &AnalyzeArgs, engine: &str) -> Made {
    let mut command = CommandText::new("analyze");
    match (&args.suite, &args.model) {
        (Some(suite), _) => command.say("suite", suite.display()),
        (None, Some(model)) => {
            command.say("model", model.display());
            command.say("strategy", &args.strategy);
            args.set.iter().for_each(|set| command.say("set", set));
            command.say_unless("samples", args.samples, 1);
            match &args.prompt {
                Some(prompt) => command.say("prompt", format!("{prompt:?}")),
                None => args.problems.say(&mut command),
            }
            args.limit
                .iter()
                .for_each(|limit| command.say("limit", limit));
        }
        (None, None) => {}
    }
    command.switch("chat", args.asking.chat);
    command.say_unless("shots", args.asking.shots, 0);
    command.say("n", args.n);
    command.say("seed", args.seed);
    command.made(engine)
}

#[cfg(test)]
mod tests {
    use latent_model::strategy::{Settings, Strategy};

    use super::*;

    #[test]
    fn the_suites_that_ship_are_some() {
        for suite in [
            include_str!("../../suites/analysis.toml"),
            include_str!("../../suites/smollm2.toml"),
            include_str!("../../suites/gsm8k.toml"),
            include_str!("../../suites/gsm8k-seeds.toml"),
        ] {
            let suite: Suite = toml::from_str(suite).expect("a suite");
            for row in &suite.rows {
                assert!(document::PARTS.iter().any(|(part, ..)| *part == row.part));
                assert!(row.difficulty.parse::<Difficulty>().is_ok());
                for method in &row.methods {
                    let strategy = Strategy::by_name(&method.strategy).expect("a strategy");
                    let set = method.set.iter().map(String::as_str);
                    let settings = Settings::parse(strategy, set);
                    settings.unwrap_or_else(|error| panic!("{}: {error}", method.strategy));
                }
                assert_eq!(
                    row.methods[0].strategy, "token-cot",
                    "what the others are compared with"
                );
            }
        }
    }
}
