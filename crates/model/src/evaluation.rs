//! Runs a program on many problems and counts: the one loop behind every accuracy.

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
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Sums over all runs.
#[derive(Clone, Debug, Default)]
struct Tally {
    right: Vec<bool>,
    malformed: usize,
    think_steps: usize,
    answer_tokens: usize,
    entropies: Vec<f64>,
    branch_entropies: Vec<f64>,
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
    tally: Tally,
}

impl Evaluator {
    /// Nothing has run.
    ///
    /// # Errors
    /// If there is nothing to run, or the vocabulary lacks a word of a question.
    pub fn new(tokenizer: &Tokenizer, trials: Trials<'_>) -> Result<Self, EvaluationError> {
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
        let encode = |(index, problem): (usize, &Problem)| {
            let prompt = tokenizer.encode(problem.question());
            prompt.map_err(|reason| EvaluationError::Question { index, reason })
        };
        let prompts = problems.iter().enumerate().map(encode);
        Ok(Self {
            program: program.clone(),
            prompts: prompts.collect::<Result<_, _>>()?,
            problems: problems.to_vec(),
            samples,
            seed,
            tally: Tally::default(),
        })
    }

    /// How many runs there are in all.
    pub fn n_runs(&self) -> usize {
        self.problems.len() * self.samples
    }

    /// How many are done.
    pub fn n_done(&self) -> usize {
        self.tally.right.len()
    }

    /// How many of these were right.
    pub fn n_right(&self) -> usize {
        self.tally.right.iter().filter(|right| **right).count()
    }

    /// Runs up to `n_runs` further, as one batch of the engine; a run that was under way on it is
    /// dropped.
    ///
    /// # Errors
    /// If the engine fails; nothing of the batch counts then.
    pub async fn advance<E: Engine>(
        &mut self,
        engine: &mut E,
        tokenizer: &Tokenizer,
        n_runs: usize,
    ) -> Result<(), EngineError> {
        let batch = self.n_done()..self.n_runs().min(self.n_done() + n_runs);
        let lanes: Vec<LaneSpec> = batch.clone().map(|run| self.lane(run)).collect();
        let traces = run_to_end(engine, &lanes, CHUNK, |_| {}).await?;
        for (run, records) in batch.zip(&traces) {
            let problem = &self.problems[run / self.samples];
            self.tally.add(tokenizer, problem, &self.program, records);
        }
        Ok(())
    }

    /// What the runs so far say; `None` before the first one. A problem whose samples are not all
    /// done counts with those that are.
    pub fn evaluation(&self) -> Option<Evaluation> {
        (self.n_done() > 0).then(|| self.tally.evaluation(self.samples))
    }

    fn lane(&self, run: usize) -> LaneSpec {
        LaneSpec {
            inputs: Input::tokens(&self.prompts[run / self.samples]),
            program: self.program.clone(),
            seed: self.seed,
            stream: run as u32,
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
    let mut evaluator = Evaluator::new(tokenizer, trials)?;
    while evaluator.n_done() < evaluator.n_runs() {
        evaluator.advance(engine, tokenizer, BATCH).await?;
        on_progress(evaluator.n_done(), evaluator.n_right());
    }
    Ok(evaluator.tally.evaluation(trials.samples))
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

    fn evaluation(&self, samples: usize) -> Evaluation {
        let runs = self.right.len() as f64;
        let rate = |of_problem: &[bool]| {
            let n_right = of_problem.iter().filter(|right| **right).count();
            n_right as f64 / of_problem.len() as f64
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
