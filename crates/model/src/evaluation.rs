//! Runs a program on many problems and counts: the one loop behind every accuracy.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{
    engine::{Engine, EngineError, LaneSpec, run_to_end},
    input::Input,
    metrics::{Branches, Proportion, clustered_wilson},
    program::Program,
    record::StepRecord,
    tasks::{Difficulty, Grade, Problem, Task},
    tokenizer::{Tokenizer, TokenizerError},
    trace::{StepKind, answer_ids, step_kind, summary},
};

/// Lanes per batch: enough to share every read of a weight, within every engine's limit.
pub const BATCH: usize = 8;
/// Steps per submit.
const CHUNK: usize = 16;

/// How a program is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Trials<'a> {
    /// What runs.
    pub program: &'a Program,
    /// On what.
    pub problems: &'a [Problem],
    /// Runs of each problem, with different noise; at least 1.
    pub samples: usize,
    /// Seed of the noise; problem i, sample j draws from stream `i·samples + j`.
    pub seed: u32,
}

/// What an evaluation counted.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Share of right answers, with an interval over problems (samples of one problem are a
    /// cluster).
    pub accuracy: Proportion,
    /// For each problem the share of its samples that were right.
    pub rates: Vec<f64>,
    /// Share of answers that were none.
    pub malformed: f64,
    /// Share of problems that at least one sample solved.
    pub solved_by_any: f64,
    /// Thinking steps a run.
    pub mean_think_steps: f64,
    /// Answer tokens a run.
    pub mean_answer_tokens: f64,
    /// Nats, over thinking steps whose distribution was computed.
    pub mean_entropy: Option<f64>,
    /// The steps in words at which the problem offers more than one way on.
    pub branches: Option<Branches>,
}

/// An evaluation that could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// Nothing to evaluate on.
    #[error("an evaluation needs problems and samples, found {problems} × {samples}")]
    Empty {
        /// Problems given.
        problems: usize,
        /// Samples given.
        samples: usize,
    },
    /// A question that the model's vocabulary cannot express.
    #[error("problem {index}: {reason}")]
    Question {
        /// The problem's index.
        index: usize,
        /// What is wrong.
        reason: TokenizerError,
    },
    /// Whoever keeps the results cannot.
    #[error("{0}")]
    Results(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// One run that was counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The problem's index.
    pub problem: usize,
    /// Which of its runs.
    pub sample: usize,
    /// Second word of its draws' key.
    pub stream: u32,
    /// The grader's word.
    pub grade: Grade,
    /// The answer as the task renders it.
    pub answer: String,
    /// Inputs fed while thinking; markers do not count.
    pub think_steps: usize,
    /// Tokens of the answer.
    pub answer_tokens: usize,
    /// Mean entropy, nats, of the thinking steps whose distribution was computed.
    pub mean_entropy: Option<f32>,
    /// Entropies, nats, of the steps at which the problem offers more than one way on.
    pub branch_entropies: Vec<f32>,
}

/// `n` generated problems: the i-th is that of seed `seed + i`.
pub fn generated_problems(task: Task, difficulty: Difficulty, seed: u64, n: usize) -> Vec<Problem> {
    let seeds = (0..n as u64).map(|i| seed.wrapping_add(i));
    seeds.map(|seed| task.generate(seed, difficulty)).collect()
}

/// An evaluation under way: it goes on by any number of runs at a time, and can be looked at
/// between them. What comes of it does not depend on where it was cut.
#[derive(Clone, Debug)]
pub struct Evaluator {
    program: Program,
    problems: Vec<Problem>,
    prompts: Vec<Vec<u32>>,
    samples: usize,
    seed: u32,
    /// Runs that were not known and are not done, as (problem, sample), the next one last.
    left: Vec<(usize, usize)>,
    results: Vec<RunResult>,
}

impl Evaluator {
    /// Nothing has run.
    ///
    /// # Errors
    /// If there is nothing to run, or the vocabulary lacks a word of a question.
    pub fn new(tokenizer: &Tokenizer, trials: Trials<'_>) -> Result<Self, EvaluationError> {
        let encode = |(index, problem): (usize, &Problem)| {
            let prompt = tokenizer.encode(problem.question());
            prompt.map_err(|reason| EvaluationError::Question { index, reason })
        };
        let prompts = trials.problems.iter().enumerate().map(encode);
        Self::from_prompts(trials, prompts.collect::<Result<_, _>>()?, Vec::new())
    }

    /// Every problem runs from its prompt, but for the runs that are `known` already.
    ///
    /// # Errors
    /// If there is nothing to run.
    pub fn from_prompts(
        trials: Trials<'_>,
        prompts: Vec<Vec<u32>>,
        known: Vec<RunResult>,
    ) -> Result<Self, EvaluationError> {
        let Trials {
            program,
            problems,
            samples,
            seed,
        } = trials;
        if problems.is_empty() || samples == 0 {
            return Err(EvaluationError::Empty {
                problems: problems.len(),
                samples,
            });
        }
        let mut results = known;
        results.retain(|known| known.problem < problems.len() && known.sample < samples);
        let known: HashSet<(usize, usize)> = results.iter().map(RunResult::index).collect();
        let runs = (0..problems.len()).flat_map(|problem| {
            let samples = 0..samples;
            samples.map(move |sample| (problem, sample))
        });
        let mut left: Vec<(usize, usize)> = runs.filter(|run| !known.contains(run)).collect();
        left.reverse();
        Ok(Self {
            program: program.clone(),
            problems: problems.to_vec(),
            prompts,
            samples,
            seed,
            left,
            results,
        })
    }

    /// How many runs there are in all.
    pub fn n_runs(&self) -> usize {
        self.problems.len() * self.samples
    }

    /// How many are done, or were known.
    pub fn n_done(&self) -> usize {
        self.results.len()
    }

    /// How many of these were right.
    pub fn n_right(&self) -> usize {
        let is_right = |result: &&RunResult| result.grade == Grade::Right;
        self.results.iter().filter(is_right).count()
    }

    /// Runs up to `n_runs` further, as one batch of the engine; a run that was under way on it is
    /// dropped. Gives what came of them.
    ///
    /// # Errors
    /// If the engine fails; nothing of the batch counts then.
    pub async fn advance<E: Engine>(
        &mut self,
        engine: &mut E,
        tokenizer: &Tokenizer,
        n_runs: usize,
    ) -> Result<&[RunResult], EngineError> {
        let n_kept = self.left.len().saturating_sub(n_runs);
        let batch: Vec<(usize, usize)> = self.left[n_kept..].iter().rev().copied().collect();
        let lanes: Vec<LaneSpec> = batch.iter().map(|run| self.lane(*run)).collect();
        let traces = run_to_end(engine, &lanes, CHUNK, |_| {}).await?;
        self.left.truncate(n_kept);
        let n_before = self.results.len();
        for (((problem, sample), lane), records) in batch.into_iter().zip(lanes).zip(&traces) {
            self.results.push(RunResult {
                problem,
                sample,
                stream: lane.stream,
                ..RunResult::new(tokenizer, &self.problems[problem], &self.program, records)
            });
        }
        Ok(&self.results[n_before..])
    }

    /// What the runs so far say; `None` before the first one. A problem whose samples are not all
    /// done counts with those that are.
    pub fn evaluation(&self) -> Option<Evaluation> {
        let mut results = self.results.clone();
        results.sort_by_key(RunResult::index);
        (!results.is_empty()).then(|| Evaluation::new(&results, self.samples))
    }

    fn lane(&self, (problem, sample): (usize, usize)) -> LaneSpec {
        LaneSpec {
            inputs: Input::tokens(&self.prompts[problem]),
            program: self.program.clone(),
            seed: self.seed,
            stream: (problem * self.samples + sample) as u32,
            decode_thoughts: false,
        }
    }
}

/// Runs every problem `samples` times; `on_progress` hears how many runs are done and right.
///
/// # Errors
/// As [`Evaluator::new`] and [`Evaluator::advance`].
pub async fn evaluate<E: Engine>(
    engine: &mut E,
    tokenizer: &Tokenizer,
    trials: Trials<'_>,
    mut on_progress: impl FnMut(usize, usize),
) -> Result<Evaluation, EvaluationError> {
    let evaluator = Evaluator::new(tokenizer, trials)?;
    let (mut n_done, mut n_right) = (0, 0);
    let on_results = |results: &[RunResult]| {
        let right = results.iter().filter(|run| run.grade == Grade::Right);
        n_right += right.count();
        n_done += results.len();
        on_progress(n_done, n_right);
        Ok(())
    };
    to_end(evaluator, engine, tokenizer, on_results).await
}

/// Runs every problem `samples` times from its prompt, but for the runs that are `known` already;
/// `on_results` hears of every batch, the known ones first.
///
/// # Errors
/// If there is nothing to run, or the engine or `on_results` fails.
pub async fn evaluate_prompts<E: Engine>(
    engine: &mut E,
    tokenizer: &Tokenizer,
    trials: Trials<'_>,
    prompts: &[Vec<u32>],
    known: Vec<RunResult>,
    on_results: impl FnMut(&[RunResult]) -> Result<(), String>,
) -> Result<Evaluation, EvaluationError> {
    let evaluator = Evaluator::from_prompts(trials, prompts.to_vec(), known)?;
    to_end(evaluator, engine, tokenizer, on_results).await
}

async fn to_end<E: Engine>(
    mut evaluator: Evaluator,
    engine: &mut E,
    tokenizer: &Tokenizer,
    mut on_results: impl FnMut(&[RunResult]) -> Result<(), String>,
) -> Result<Evaluation, EvaluationError> {
    if !evaluator.results.is_empty() {
        on_results(&evaluator.results).map_err(EvaluationError::Results)?;
    }
    while !evaluator.left.is_empty() {
        let new = evaluator.advance(engine, tokenizer, BATCH).await?;
        on_results(new).map_err(EvaluationError::Results)?;
    }
    let empty = EvaluationError::Empty {
        problems: evaluator.problems.len(),
        samples: evaluator.samples,
    };
    evaluator.evaluation().ok_or(empty)
}

impl RunResult {
    /// The problem, and which of its runs.
    fn index(&self) -> (usize, usize) {
        (self.problem, self.sample)
    }

    fn new(
        tokenizer: &Tokenizer,
        problem: &Problem,
        program: &Program,
        records: &[StepRecord],
    ) -> Self {
        let answer = problem
            .task()
            .render(tokenizer, &answer_ids(records, program));
        let summary = summary(records, program);
        Self {
            problem: 0,
            sample: 0,
            stream: 0,
            grade: problem.grade(&answer),
            answer,
            think_steps: summary.think_steps,
            answer_tokens: summary.answer_tokens,
            mean_entropy: summary.mean_entropy,
            branch_entropies: branch_entropies(problem, tokenizer, program, records),
        }
    }
}

impl Evaluation {
    /// Counts the runs of all problems, in order.
    fn new(results: &[RunResult], samples: usize) -> Self {
        let runs = results.len() as f64;
        let of_grade = |results: &[RunResult], grade| {
            let all = results.iter();
            all.filter(|result| result.grade == grade).count() as f64
        };
        let rate =
            |of_problem: &[RunResult]| of_grade(of_problem, Grade::Right) / of_problem.len() as f64;
        let of_problems = results.chunk_by(|a, b| a.problem == b.problem);
        let rates: Vec<f64> = of_problems.map(rate).collect();
        let solved = rates.iter().filter(|rate| **rate > 0.0).count();
        let sum = |count: fn(&RunResult) -> usize| results.iter().map(count).sum::<usize>();
        let entropies = results.iter().filter_map(|result| result.mean_entropy);
        let entropies: Vec<f64> = entropies.map(f64::from).collect();
        let branches = results.iter().flat_map(|result| &result.branch_entropies);
        let branches: Vec<f64> = branches.map(|&entropy| entropy.into()).collect();
        Self {
            accuracy: clustered_wilson(&rates, samples),
            malformed: of_grade(results, Grade::Malformed) / runs,
            solved_by_any: solved as f64 / rates.len() as f64,
            mean_think_steps: sum(|result| result.think_steps) as f64 / runs,
            mean_answer_tokens: sum(|result| result.answer_tokens) as f64 / runs,
            mean_entropy: mean(&entropies),
            branches: Branches::new(&branches),
            rates,
        }
    }
}

/// Entropies, in nats, of the thinking steps at which the problem offers more than one way on;
/// empty for a lane that did not think in words or concept tokens.
fn branch_entropies(
    problem: &Problem,
    tokenizer: &Tokenizer,
    program: &Program,
    records: &[StepRecord],
) -> Vec<f32> {
    let is_decoded =
        |record: &&StepRecord| step_kind(record, program) == StepKind::Think && record.n_kept > 0;
    let thinking: Vec<&StepRecord> = records.iter().filter(is_decoded).collect();
    let words: Vec<String> = thinking.iter().map(|r| tokenizer.token(r.token)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let branches = problem.branch_points(&words).into_iter();
    branches.map(|index| thinking[index].entropy).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
