//! Runs a program on many problems and counts: the one loop behind every accuracy.

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
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Sums over all runs.
#[derive(Default)]
struct Tally {
    right: Vec<bool>,
    malformed: usize,
    think_steps: usize,
    answer_tokens: usize,
    entropies: Vec<f64>,
    branch_entropies: Vec<f64>,
}

/// Runs every problem `samples` times; `on_progress` hears how many runs are done and right.
pub async fn evaluate<E: Engine>(
    engine: &mut E,
    tokenizer: &Tokenizer,
    trials: Trials<'_>,
    mut on_progress: impl FnMut(usize, usize),
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
    for (index, problem) in problems.iter().enumerate() {
        let prompt = tokenizer
            .encode(problem.question())
            .map_err(|reason| EvaluationError::Question { index, reason })?;
        for sample in 0..samples {
            let spec = LaneSpec {
                inputs: Input::tokens(&prompt),
                program: program.clone(),
                seed,
                stream: (index * samples + sample) as u32,
                decode_thoughts: false,
            };
            runs.push((problem, spec));
        }
    }
    let mut tally = Tally::default();
    for batch in runs.chunks(BATCH) {
        let lanes: Vec<LaneSpec> = batch.iter().map(|(_, spec)| spec.clone()).collect();
        let traces = run_to_end(engine, &lanes, CHUNK, |_| {}).await?;
        for ((problem, _), records) in batch.iter().zip(&traces) {
            tally.add(tokenizer, problem, program, records);
        }
        let n_right = tally.right.iter().filter(|right| **right).count();
        on_progress(tally.right.len(), n_right);
    }
    Ok(tally.evaluation(samples))
}

impl Tally {
    fn add(
        &mut self,
        tokenizer: &Tokenizer,
        problem: &Problem,
        program: &Program,
        records: &[StepRecord],
    ) {
        let answer = answer_ids(records, program);
        let grade = problem.grade(&problem.task().render(tokenizer, &answer));
        let summary = summary(records, program);
        self.right.push(grade == Grade::Right);
        self.malformed += usize::from(grade == Grade::Malformed);
        self.think_steps += summary.think_steps;
        self.answer_tokens += summary.answer_tokens;
        self.entropies.extend(summary.mean_entropy.map(f64::from));
        let branches = branch_entropies(problem, tokenizer, program, records);
        self.branch_entropies
            .extend(branches.into_iter().map(f64::from));
    }

    fn evaluation(self, samples: usize) -> Evaluation {
        let runs = self.right.len() as f64;
        let rate = |of_problem: &[bool]| {
            let n_right = of_problem.iter().filter(|right| **right).count();
            n_right as f64 / samples as f64
        };
        let rates: Vec<f64> = self.right.chunks(samples).map(rate).collect();
        let solved = rates.iter().filter(|rate| **rate > 0.0).count();
        Evaluation {
            accuracy: clustered_wilson(&rates, samples),
            malformed: self.malformed as f64 / runs,
            solved_by_any: solved as f64 / rates.len() as f64,
            mean_think_steps: self.think_steps as f64 / runs,
            mean_answer_tokens: self.answer_tokens as f64 / runs,
            mean_entropy: mean(&self.entropies),
            branches: Branches::new(&self.branch_entropies),
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
