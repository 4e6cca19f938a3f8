//! Runs a program on many problems and counts: the one loop behind every accuracy.

use serde::{Deserialize, Serialize};

use crate::{
    engine::{Engine, EngineError, LaneSpec, run_to_end},
    input::Input,
    metrics::{Branches, Proportion, clustered_wilson},
    program::Program,
    record::StepRecord,
    tasks::{Grade, Problem},
    tokenizer::{Tokenizer, TokenizerError},
    trace::{StepKind, answer_ids, step_kind, summary},
};

/// Lanes per batch: enough to share every read of a weight, within every engine's limit.
const BATCH: usize = 8;
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

/// Runs every problem `samples` times; `on_progress` hears how many runs are done and right.
pub async fn evaluate<E: Engine>(
    engine: &mut E,
    tokenizer: &Tokenizer,
    trials: Trials<'_>,
    mut on_progress: impl FnMut(usize, usize),
) -> Result<Evaluation, EvaluationError> {
    let prompt = |(index, problem): (usize, &Problem)| {
        let prompt = tokenizer.encode(problem.question());
        prompt.map_err(|reason| EvaluationError::Question { index, reason })
    };
    let prompts = trials.problems.iter().enumerate().map(prompt);
    let prompts: Vec<Vec<u32>> = prompts.collect::<Result<_, _>>()?;
    let (mut n_done, mut n_right) = (0, 0);
    let on_results = |results: &[RunResult]| {
        n_done += results.len();
        n_right += results
            .iter()
            .filter(|result| result.grade == Grade::Right)
            .count();
        on_progress(n_done, n_right);
        Ok(())
    };
    evaluate_prompts(engine, tokenizer, trials, &prompts, Vec::new(), on_results).await
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
    mut on_results: impl FnMut(&[RunResult]) -> Result<(), String>,
) -> Result<Evaluation, EvaluationError> {
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
    let mut runs = Vec::new();
    for (index, (problem, prompt)) in problems.iter().zip(prompts).enumerate() {
        for sample in 0..samples {
            let is_it = |known: &RunResult| (known.problem, known.sample) == (index, sample);
            if known.iter().any(is_it) {
                continue;
            }
            let spec = LaneSpec {
                inputs: Input::tokens(prompt),
                program: program.clone(),
                seed,
                stream: (index * samples + sample) as u32,
                decode_thoughts: false,
            };
            runs.push((index, sample, problem, spec));
        }
    }
    let mut results = known;
    results.retain(|known| known.problem < problems.len() && known.sample < samples);
    on_results(&results).map_err(EvaluationError::Results)?;
    for batch in runs.chunks(BATCH) {
        let lanes: Vec<LaneSpec> = batch.iter().map(|(.., spec)| spec.clone()).collect();
        let traces = run_to_end(engine, &lanes, CHUNK, |_| {}).await?;
        let done = batch.iter().zip(&traces);
        let done = done.map(|((index, sample, problem, spec), records)| RunResult {
            problem: *index,
            sample: *sample,
            stream: spec.stream,
            ..RunResult::new(tokenizer, problem, program, records)
        });
        let done: Vec<RunResult> = done.collect();
        on_results(&done).map_err(EvaluationError::Results)?;
        results.extend(done);
    }
    results.sort_by_key(|result| (result.problem, result.sample));
    Ok(Evaluation::new(&results, samples))
}

impl RunResult {
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
        let rate = |of_problem| of_grade(of_problem, Grade::Right) / samples as f64;
        let rates: Vec<f64> = results.chunks(samples).map(rate).collect();
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
