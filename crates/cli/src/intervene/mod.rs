//! `latent intervene`: what zeroing, noising and swapping thoughts does to a checkpoint's answers,
//! and what patching the states that they pass through does.

mod document;
mod measure;
mod patch;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use latent_model::{
    analysis::report::{InterventionRow, InterventionStudy, Made},
    tasks::{Difficulty, Task},
};
use serde::{Deserialize, Serialize};

pub use self::document::section;
use self::measure::Bench;
use crate::{
    engines::EngineKind, evidence, made::CommandText, problems::ProblemArgs, progress::progress_bar,
};

/// Arguments of `latent intervene`.
#[derive(Args)]
pub struct InterveneArgs {
    /// A model folder.
    #[arg(long, required_unless_present = "suite", conflicts_with = "suite")]
    model: Option<PathBuf>,
    /// Measures the rows of a TOML file and writes interventions.json.
    #[arg(long)]
    suite: Option<PathBuf>,
    /// The folder of the model folders that a suite names.
    #[arg(long, default_value = "public/models")]
    models: PathBuf,
    /// A strategy of the table.
    #[arg(long, default_value = "coconut")]
    strategy: String,
    /// A setting of the strategy, key=value.
    #[arg(long)]
    set: Vec<String>,
    /// What is done to the inputs of thinking.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "zero,noise,shuffle,swap"
    )]
    kind: Vec<Kind>,
    /// Which of them, counted from 1, are changed: all of them together, or those of a list, such
    /// as 1,2.
    #[arg(long, default_value = "all", value_parser = Steps::parse)]
    steps: Steps,
    /// Size of the noise, in units of an input's own norm.
    #[arg(long, default_value_t = 1.0)]
    noise: f32,
    /// Problems come from here; a suite's task stands in the suite.
    #[arg(long, value_parser = str::parse::<Task>)]
    task: Option<Task>,
    /// Difficulty of generated problems.
    #[arg(long, default_value = "official", value_parser = str::parse::<Difficulty>)]
    difficulty: Difficulty,
    /// Reads problems from a file in one of the task's formats.
    #[arg(long, conflicts_with = "suite")]
    data: Option<PathBuf>,
    /// Number of problems.
    #[arg(long, default_value_t = 200)]
    n: usize,
    /// Seed of the first generated problem and of noise.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "reference")]
    engine: EngineKind,
    /// Prints one JSON object and nothing else.
    #[arg(long)]
    json: bool,
    /// Where a suite's interventions.json goes.
    #[arg(long, default_value = "public/evidence/interventions")]
    out: PathBuf,
}

/// What is done to an input of thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A vector of zeros.
    Zero,
    /// Gaussian noise on it.
    Noise,
    /// The order of its dimensions is shuffled.
    Shuffle,
    /// What the problem before was fed there.
    Swap,
    /// The input before it, once more; the first one stays.
    Freeze,
    /// The token that is nearest to it.
    Nearest,
    /// The residual stream after one layer, in place of which stands that of the problem before,
    /// at one step; every layer and step are tried, on the reference engine.
    Patch,
}

impl Kind {
    /// How `--kind` names it.
    fn option(&self) -> Option<String> {
        Some(self.to_possible_value()?.get_name().into())
    }
}

/// Which inputs of thinking are changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steps {
    /// All of them, together.
    All,
    /// Some of them together, counted from 1.
    Some(Vec<u32>),
}

impl Steps {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let number = |text: &str| text.trim().parse().ok().filter(|number| *number > 0);
        let numbers: Option<Vec<u32>> = text.split(',').map(number).collect();
        let expected = "expected all, or numbers from 1 on with commas between them";
        numbers
            .map(Self::Some)
            .ok_or_else(|| format!("{expected}, found {text:?}"))
    }
}

/// A change that is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is done.
    pub kind: Kind,
    /// To which inputs.
    pub steps: Steps,
}

/// `suites/interventions.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    noise: f32,
    /// What is done to all inputs of thinking together, on every row.
    kinds: Vec<Kind>,
    #[serde(rename = "row")]
    rows: Vec<SuiteRow>,
}

/// A checkpoint of a suite.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteRow {
    model: String,
    strategy: String,
    #[serde(default)]
    set: Vec<String>,
    task: Task,
    /// What is also done to one input of thinking at a time.
    #[serde(default)]
    one_by_one: Vec<Kind>,
}

impl Suite {
    /// What is measured on a row, patches left out.
    fn conditions(&self, row: &SuiteRow) -> Vec<Condition> {
        let together = self.kinds.iter().map(|&kind| Condition {
            kind,
            steps: Steps::All,
        });
        let alone = row.one_by_one.iter().filter(|kind| **kind != Kind::Patch);
        let alone = alone.flat_map(|&kind| {
            (1..=ONE_BY_ONE).map(move |step| Condition {
                kind,
                steps: Steps::Some(vec![step]),
            })
        });
        together.chain(alone).collect()
    }
}

/// Inputs of thinking that a suite tries one by one.
const ONE_BY_ONE: u32 = 6;

/// Measures and reports.
pub async fn intervene(args: &InterveneArgs) -> Result<ExitCode> {
    match (&args.suite, &args.model) {
        (Some(suite), _) => run_suite(args, suite).await,
        (None, Some(model)) => run_one(args, model).await,
        (None, None) => unreachable!("clap asks for one of them"),
    }
}

async fn run_one(args: &InterveneArgs, folder: &Path) -> Result<ExitCode> {
    let problems = problems(args);
    let kinds = args.kind.iter().filter(|kind| **kind != Kind::Patch);
    let conditions = kinds.map(|&kind| Condition {
        kind,
        steps: args.steps.clone(),
    });
    let bench = Bench {
        args,
        folder,
        strategy: &args.strategy,
        set: &args.set,
        problems: &problems,
        noise: args.noise,
        conditions: conditions.collect(),
        patches: args.kind.contains(&Kind::Patch),
    };
    let bar = match args.json {
        true => indicatif::ProgressBar::hidden(),
        false => progress_bar(args.n as u64, "problems"),
    };
    let (row, engine) = bench.measure(&bar).await?;
    bar.finish_and_clear();
    let study = InterventionStudy {
        made: made(args, engine),
        noise: args.noise,
        rows: vec![row],
    };
    match args.json {
        true => println!("{}", serde_json::to_string(&study)?),
        false => println!("{}", document::table(&study)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_suite(args: &InterveneArgs, path: &Path) -> Result<ExitCode> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let suite: Suite = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    ensure!(!suite.rows.is_empty(), "{} has no row", path.display());
    ensure!(
        !suite.kinds.contains(&Kind::Patch),
        "{}: patch belongs into a row's one_by_one, found in kinds",
        path.display()
    );
    let bar = progress_bar((suite.rows.len() * args.n) as u64, "problems");
    let mut rows: Vec<InterventionRow> = Vec::new();
    let mut engine = String::new();
    for row in &suite.rows {
        let problems = ProblemArgs {
            task: Some(row.task),
            difficulty: args.difficulty,
            data: None,
        };
        bar.set_message(row.model.clone());
        let bench = Bench {
            args,
            folder: &args.models.join(&row.model),
            strategy: &row.strategy,
            set: &row.set,
            problems: &problems,
            noise: suite.noise,
            conditions: suite.conditions(row),
            patches: row.one_by_one.contains(&Kind::Patch),
        };
        let (measured, by) = bench.measure(&bar).await?;
        rows.push(measured);
        engine = by;
    }
    bar.finish_and_clear();
    let study = InterventionStudy {
        made: made(args, engine),
        noise: suite.noise,
        rows,
    };
    evidence::write(&args.out, document::FILE, &study)?;
    println!("{}", document::overview(&study));
    Ok(ExitCode::SUCCESS)
}

fn made(args: &InterveneArgs, engine: String) -> Made {
    let mut command = CommandText::new("intervene");
    match (&args.suite, &args.model) {
        (Some(suite), _) => command.say("suite", suite.display()),
        (None, Some(model)) => {
            command.say("model", model.display());
            command.say("strategy", &args.strategy);
            args.set.iter().for_each(|set| command.say("set", set));
            let kinds: Vec<String> = args.kind.iter().filter_map(Kind::option).collect();
            command.say("kind", kinds.join(","));
            if let Steps::Some(steps) = &args.steps {
                let steps: Vec<String> = steps.iter().map(u32::to_string).collect();
                command.say("steps", steps.join(","));
            }
            command.say("noise", args.noise);
            problems(args).say(&mut command);
        }
        (None, None) => {}
    }
    command.say("n", args.n);
    command.say("seed", args.seed);
    command.made(engine)
}

/// Where the problems of one row come from.
fn problems(args: &InterveneArgs) -> ProblemArgs {
    ProblemArgs {
        task: args.task,
        difficulty: args.difficulty,
        data: args.data.clone(),
    }
}

#[cfg(test)]
mod tests {
    use latent_model::catalogue::Catalogue;

    use super::*;

    #[test]
    fn steps_are_counted_from_1() {
        assert_eq!(Steps::parse("all"), Ok(Steps::All));
        assert_eq!(Steps::parse("1, 3"), Ok(Steps::Some(vec![1, 3])));
        for wrong in ["0", "", "1;2", "-1"] {
            let error = Steps::parse(wrong).expect_err("no steps");
            assert!(error.contains("from 1"), "{error}");
        }
    }

    #[test]
    fn the_suite_that_ships_has_every_checkpoint_that_thinks_without_words() {
        let suite: Suite =
            toml::from_str(include_str!("../../suites/interventions.toml")).expect("a suite");
        let catalogue = include_str!("../../../../public/models/index.json");
        let catalogue: Catalogue = serde_json::from_str(catalogue).expect("a catalogue");
        let missing = catalogue.models.iter().filter_map(|entry| {
            let trained = |name: &str| entry.strategies.iter().any(|known| known == name);
            // Whoever was trained on words can mix them, too.
            let soft = ["soft"].into_iter().filter(|_| !trained("token-cot"));
            let mut ways = ["pause", "coconut", "ccot"].into_iter().chain(soft);
            let strategy = ways.find(|name| trained(name))?;
            let is_it = |row: &SuiteRow| row.model == entry.name && row.strategy == strategy;
            (!suite.rows.iter().any(is_it)).then_some((&entry.name, strategy))
        });
        assert_eq!(missing.collect::<Vec<_>>(), []);
        assert!(!suite.kinds.contains(&Kind::Patch), "that is one by one");
    }
}
