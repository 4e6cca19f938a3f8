//! `latent case-study`: problems that one continuous thought gets wrong and more get right.

use std::{fs, ops::Range, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use latent_gpu::AnyEngine;
use latent_model::{
    address::{Address, LaneChoice, ProblemChoice},
    engine::{Engine, LaneSpec, run_to_end},
    input::Input,
    model::Model,
    strategy::{Setting, Settings, Strategy},
    tasks::{Difficulty, Grade, Problem, Task},
    trace::answer_ids,
};
use serde::{Deserialize, Serialize};

use crate::{
    engines::{EngineKind, open_engine},
    folder::{load_model, model_name, weights_digest},
    output::json,
    progress::progress_bar,
};

/// Arguments of `latent case-study`.
#[derive(Args)]
pub struct CaseStudyArgs {
    /// A model folder that knows the strategy coconut.
    #[arg(long)]
    model: PathBuf,
    /// The task.
    #[arg(long, default_value = Task::first().name(), value_parser = str::parse::<Task>)]
    task: Task,
    /// Difficulty of the generated problems.
    #[arg(long, default_value = "class", value_parser = str::parse::<Difficulty>)]
    difficulty: Difficulty,
    /// Seeds to search, from A to B without B.
    #[arg(long, default_value = "0..1000", value_name = "A..B", value_parser = seeds_from_text)]
    seeds: Range<u64>,
    /// From which number of thoughts on every answer must be right.
    #[arg(long, value_enum, default_value = "two")]
    right_from: RightFrom,
    /// Ends the search after this many finds.
    #[arg(long, default_value_t = 5)]
    limit: usize,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "reference")]
    engine: EngineKind,
    /// Where the first find is written.
    #[arg(long, default_value = "public/evidence/case-study.json")]
    out: PathBuf,
}

/// From which number of thoughts on every answer must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RightFrom {
    /// From two thoughts on, as in the paper's case study.
    Two,
    /// From as many thoughts as the target is steps away.
    Distance,
}

/// The largest number of thoughts that is tried, which is what checkpoints are trained with.
const MOST: u32 = 6;
/// Steps per submit.
const CHUNK: usize = 16;

/// `case-study.json`: a problem, and what each number of thoughts makes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseStudy {
    /// Name of the checkpoint.
    model: String,
    /// SHA-256 of its weights.
    weights_sha256: String,
    /// The task.
    task: String,
    /// `class` or `official`.
    difficulty: String,
    /// The problem is generated from this.
    seed: u64,
    /// Steps from the root to the target.
    hops: usize,
    /// The problem as text.
    question: String,
    /// The right answer.
    answer: String,
    /// What was searched for.
    right_from: RightFrom,
    /// One for each number of thoughts from 0 on.
    runs: Vec<Trial>,
    /// The page's state for it, as the hash of an address.
    hash: String,
    /// Seeds of further problems that were found.
    also: Vec<u64>,
    /// Seeds searched until here: first, and the one behind the last.
    searched: [u64; 2],
    /// Where it was computed.
    engine: String,
}

/// What a number of thoughts leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trial {
    thoughts: u32,
    answer: String,
    /// The grader's word: right, wrong or malformed.
    verdict: String,
}

/// Searches, prints what is found, and writes the first.
pub async fn case_study(args: &CaseStudyArgs) -> Result<ExitCode> {
    let model = load_model(&args.model)?;
    let mut engine = open_engine(args.engine, &model).await?;
    let mut found: Vec<(u64, Vec<Trial>)> = Vec::new();
    let bar = progress_bar(args.seeds.end - args.seeds.start, "seeds");
    let mut searched_to = args.seeds.start;
    for seed in args.seeds.clone() {
        let problem = args.task.generate(seed, args.difficulty);
        let trials = trials(&mut engine, &model, &problem).await?;
        searched_to = seed + 1;
        bar.inc(1);
        if is_case(&trials, problem.steps().len(), args.right_from) {
            bar.suspend(|| print_case(seed, &problem, &trials));
            found.push((seed, trials));
            bar.set_message(format!("{} found", found.len()));
            if found.len() >= args.limit {
                break;
            }
        }
    }
    bar.finish_and_clear();
    let mut found = found.into_iter();
    let Some((seed, runs)) = found.next() else {
        bail!(
            "no problem of the seeds {} to {searched_to} is one; --right-from distance asks for less",
            args.seeds.start
        );
    };
    let problem = args.task.generate(seed, args.difficulty);
    let name = model_name(&args.model);
    let case = CaseStudy {
        weights_sha256: weights_digest(&args.model, None)?,
        task: args.task.name().into(),
        difficulty: args.difficulty.name().into(),
        seed,
        hops: problem.steps().len(),
        question: problem.question().into(),
        answer: problem.answer().into(),
        right_from: args.right_from,
        runs,
        hash: address(
            &name,
            args.task,
            args.difficulty,
            seed,
            problem.steps().len(),
        )?
        .to_string(),
        model: name,
        also: found.map(|(seed, _)| seed).collect(),
        searched: [args.seeds.start, searched_to],
        engine: engine.description(),
    };
    let text = json(&case)?;
    if let Some(folder) = args.out.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(&args.out, text).with_context(|| format!("cannot write {}", args.out.display()))?;
    println!("wrote {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// Answers a problem with 0 to [`MOST`] thoughts, as lanes of one batch.
async fn trials(engine: &mut AnyEngine, model: &Model, problem: &Problem) -> Result<Vec<Trial>> {
    let coconut = Strategy::by_name("coconut")?;
    let prompt = model.tokenizer.encode(problem.question())?;
    let lane = |thoughts: u32| -> Result<LaneSpec> {
        let setting = format!("thoughts={thoughts}");
        let settings = Settings::parse(coconut, [setting.as_str()])?;
        Ok(LaneSpec {
            inputs: Input::tokens(&prompt),
            program: coconut.program(&settings, &model.tokenizer, model.capabilities())?,
            seed: 0,
            stream: 0,
            decode_thoughts: false,
        })
    };
    let lanes: Vec<LaneSpec> = (0..=MOST).map(lane).collect::<Result<_>>()?;
    let traces = run_to_end(engine, &lanes, CHUNK, |_| {}).await?;
    let trial = |((thoughts, lane), records): ((u32, &LaneSpec), &Vec<_>)| {
        let ids = answer_ids(records, &lane.program);
        let answer = problem.task().render(&model.tokenizer, &ids);
        Trial {
            thoughts,
            verdict: problem.grade(&answer).to_string(),
            answer,
        }
    };
    let lanes = (0..).zip(&lanes).zip(&traces);
    Ok(lanes.map(trial).collect())
}

/// Whether one thought gives another answer than the right one, and every number of thoughts
/// from a bound on the right one.
fn is_case(trials: &[Trial], hops: usize, right_from: RightFrom) -> bool {
    let bound = match right_from {
        RightFrom::Two => 2,
        RightFrom::Distance => hops.max(2) as u32,
    };
    let has = |trial: &Trial, grade: Grade| trial.verdict == grade.to_string();
    let mut of_one = trials.iter().filter(|trial| trial.thoughts == 1);
    let mut of_more = trials.iter().filter(|t| t.thoughts >= bound).peekable();
    of_one.any(|trial| has(trial, Grade::Wrong))
        && of_more.peek().is_some()
        && of_more.all(|trial| has(trial, Grade::Right))
}

/// The page with the problem and lanes of one thought, two, and as many as are needed and
/// trained.
fn address(
    model: &str,
    task: Task,
    difficulty: Difficulty,
    seed: u64,
    hops: usize,
) -> Result<Address> {
    let mut thoughts = vec![1, 2, hops.min(MOST as usize), MOST as usize];
    thoughts.dedup();
    let strategy = Strategy::by_name("coconut")?;
    let lane = |n_thoughts: usize| {
        let mut lane = LaneChoice::new(model, strategy);
        lane.settings.set(Setting::Thoughts, n_thoughts as f32);
        lane
    };
    Ok(Address {
        problem: Some(ProblemChoice::Drawn { difficulty, seed }),
        lanes: Some(thoughts.into_iter().map(lane).collect()),
        ..Address::of_task(task)
    })
}

fn print_case(seed: u64, problem: &Problem, trials: &[Trial]) {
    println!(
        "seed {seed}, {} steps: {}\n  right: {}",
        problem.steps().len(),
        problem.question(),
        problem.answer()
    );
    for trial in trials {
        println!(
            "  {} thoughts: {} ({})",
            trial.thoughts, trial.answer, trial.verdict
        );
    }
}

fn seeds_from_text(text: &str) -> Result<Range<u64>> {
    let (start, end) = text.split_once("..").context("seeds are written A..B")?;
    let (start, end) = (start.parse()?, end.parse()?);
    match start < end {
        true => Ok(start..end),
        false => bail!("A must be below B in A..B, found {text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn trials_of(grades: [Grade; 5]) -> Vec<Trial> {
        let trial = |(thoughts, grade): (u32, Grade)| Trial {
            thoughts,
            answer: String::new(),
            verdict: grade.to_string(),
        };
        (0..).zip(grades).map(trial).collect()
    }

    #[test]
    fn a_case_is_wrong_with_one_thought_and_right_from_a_bound_on() {
        use Grade::{Malformed, Right, Wrong};
        use RightFrom::{Distance, Two};
        let cases = [
            ([Wrong, Wrong, Right, Right, Right], Two, true),
            ([Right, Wrong, Right, Right, Right], Two, true),
            ([Wrong, Right, Right, Right, Right], Two, false),
            ([Wrong, Malformed, Right, Right, Right], Two, false),
            ([Wrong, Wrong, Wrong, Right, Right], Two, false),
            ([Wrong, Wrong, Right, Right, Wrong], Two, false),
            ([Wrong, Wrong, Wrong, Right, Right], Distance, true),
            ([Wrong, Wrong, Right, Wrong, Right], Distance, false),
        ];
        for (grades, right_from, expected) in cases {
            let found = is_case(&trials_of(grades), 3, right_from);
            assert_eq!(found, expected, "{grades:?} {right_from:?}");
        }
        // Nothing was tried with as many thoughts as it takes.
        let untried = trials_of([Wrong, Wrong, Right, Right, Right]);
        assert!(!is_case(&untried, 5, Distance));
    }

    #[test]
    fn seeds_are_a_range() {
        assert_eq!(seeds_from_text("3..9").expect("a range"), 3..9);
        for wrong in ["3", "9..3", "3..3", "a..b", ""] {
            assert!(seeds_from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_case_study_that_ships_is_one_when_it_is_run_again() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let text = fs::read_to_string(root.join("public/evidence/case-study.json"));
        let text = text.expect("the case study ships");
        let case: CaseStudy = serde_json::from_str(&text).expect("a case study");
        let task: Task = case.task.parse().expect("a task");
        let difficulty: Difficulty = case.difficulty.parse().expect("a difficulty");
        let problem = task.generate(case.seed, difficulty);
        let model = load_model(&root.join("public/models").join(&case.model));
        let model = model.expect("the checkpoint ships");
        let runs = pollster::block_on(async {
            let mut engine = open_engine(EngineKind::Reference, &model).await?;
            trials(&mut engine, &model, &problem).await
        });
        let runs = runs.expect("it runs");
        assert!(
            is_case(&runs, problem.steps().len(), case.right_from),
            "run `latent case-study` again: {runs:#?}"
        );
        assert_eq!(runs, case.runs);
        assert_eq!(
            (problem.question(), problem.answer()),
            (case.question.as_str(), case.answer.as_str())
        );
        assert_eq!(problem.steps().len(), case.hops);
        let address = address(&case.model, task, difficulty, case.seed, case.hops);
        assert_eq!(case.hash, address.expect("a strategy").to_string());
    }
}
