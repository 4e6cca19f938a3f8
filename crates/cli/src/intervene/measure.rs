//! Measures what changes of thinking do on one checkpoint, problem by problem.

use std::path::Path;

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use latent_gpu::AnyEngine;
use latent_model::{
    analysis::{
        intervention::{Change, Intervention, Ran, run_to_end_with, thinking_step},
        report::{InterventionResult, InterventionRow, Subject},
        statistics::{McNemar, Mean},
    },
    engine::{Engine, LaneSpec},
    input::Input,
    metrics::wilson,
    model::Model,
    program::Program,
    record::StepRecord,
    strategy::{Settings, Strategy},
    tasks::{Grade, Problem},
    trace::answer_ids,
};

use super::{Condition, InterveneArgs, Kind, Steps, patch::Patching};
use crate::{
    engines::open_engine,
    folder::{load_model, model_name, weights_digest},
    problems::ProblemArgs,
};

/// A checkpoint, how it thinks, and what is done to that.
pub struct Bench<'a> {
    pub args: &'a InterveneArgs,
    pub folder: &'a Path,
    pub strategy: &'a str,
    pub set: &'a [String],
    pub problems: &'a ProblemArgs,
    pub noise: f32,
    pub conditions: Vec<Condition>,
    /// Whether states are patched, too.
    pub patches: bool,
}

/// An answer and whether it is right.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answered {
    text: String,
    right: bool,
}

impl Bench<'_> {
    /// Measures all conditions on all problems; also tells which engine did.
    pub async fn measure(&self, bar: &ProgressBar) -> Result<(InterventionRow, String)> {
        let model = load_model(self.folder)?;
        let strategy = Strategy::by_name(self.strategy)?;
        let settings = Settings::parse(strategy, self.set.iter().map(String::as_str))?;
        let program = strategy.program(&settings, &model.tokenizer, model.capabilities())?;
        ensure!(program.phases.len() > 1, "{} does not think", self.strategy);
        let (n, seed) = (self.args.n, self.args.seed);
        let mut problems = match self.problems.read_file()? {
            Some(problems) => problems,
            None => self.problems.generated(seed.into(), n)?,
        };
        problems.truncate(n);
        ensure!(
            problems.len() > 1,
            "swapping takes two problems, found {}",
            problems.len()
        );
        let mut engine = open_engine(self.args.engine, &model).await?;
        let mut patching = self.patches.then(Patching::default);
        let mut clean = Vec::new();
        let mut changed = vec![Vec::new(); self.conditions.len()];
        // The first problem's thoughts are swapped with the last one's.
        let last = &problems[problems.len() - 1];
        let (_, mut donor) = self.run_clean(&mut engine, &model, &program, last).await?;
        if let Some(patching) = &mut patching {
            let spec = self.lane(&model, &program, last)?;
            patching.begin(&mut engine, &model, &spec).await?;
        }
        for (index, problem) in problems.iter().enumerate() {
            let (answered, ran) = self
                .run_clean(&mut engine, &model, &program, problem)
                .await?;
            let lanes = self.lanes(&model, &program, problem, &donor, seed + index as u32)?;
            let run = (&model.config, &model.weights);
            let all = run_to_end_with(&mut engine, run, &lanes, false).await?;
            for (answers, ran) in changed.iter_mut().zip(&all) {
                answers.push(answer(&model, &program, problem, &ran.records));
            }
            if let Some(patching) = &mut patching {
                let spec = self.lane(&model, &program, problem)?;
                let grade = |records: &[StepRecord]| answer(&model, &program, problem, records);
                patching.measure(&mut engine, &model, &spec, grade).await?;
            }
            clean.push(answered);
            donor = ran;
            bar.inc(1);
        }
        let subject = Subject {
            model: model_name(self.folder),
            weights_sha256: weights_digest(self.folder, None)?,
            problems: self.problems.describe(),
            n: problems.len(),
            seed,
        };
        let results = self.conditions.iter().zip(&changed);
        let results = results.filter_map(|(condition, answers)| {
            let steps = match &condition.steps {
                Steps::All => None,
                Steps::Some(steps) => Some(steps.clone()),
            };
            result((condition.kind, steps, None), &clean, answers)
        });
        let patched = patching
            .iter()
            .flat_map(|patching| patching.results(&clean));
        let right = clean.iter().filter(|answered| answered.right).count();
        let row = InterventionRow {
            subject,
            strategy: self.strategy.into(),
            set: self.set.to_vec(),
            clean: wilson(right, clean.len()).expect("two problems or more"),
            conditions: results.chain(patched).collect(),
        };
        Ok((row, engine.description()))
    }

    async fn run_clean(
        &self,
        engine: &mut AnyEngine,
        model: &Model,
        program: &Program,
        problem: &Problem,
    ) -> Result<(Answered, Ran)> {
        let lanes = [(self.lane(model, program, problem)?, Vec::new())];
        let run = (&model.config, &model.weights);
        let mut all = run_to_end_with(engine, run, &lanes, true).await?;
        let ran = all.remove(0);
        Ok((answer(model, program, problem, &ran.records), ran))
    }

    fn lane(&self, model: &Model, program: &Program, problem: &Problem) -> Result<LaneSpec> {
        Ok(LaneSpec {
            inputs: Input::tokens(&model.tokenizer.encode(problem.question())?),
            program: program.clone(),
            seed: self.args.seed,
            stream: 0,
            decode_thoughts: false,
        })
    }

    /// A lane for each condition, all of one prompt.
    fn lanes(
        &self,
        model: &Model,
        program: &Program,
        problem: &Problem,
        donor: &Ran,
        seed: u32,
    ) -> Result<Vec<(LaneSpec, Vec<Intervention>)>> {
        let most = program.phases[0].until.max_steps;
        let spec = self.lane(model, program, problem)?;
        let of = |condition: &Condition| {
            let indices: Vec<u32> = match &condition.steps {
                Steps::All => (0..most).collect(),
                Steps::Some(steps) => steps.iter().map(|step| step - 1).collect(),
            };
            // The first input has none before it that thinking had made.
            let freezes = condition.kind == Kind::Freeze;
            let indices = indices.into_iter().filter(|index| !freezes || *index > 0);
            let intervention = |index: u32| {
                let change = match condition.kind {
                    Kind::Zero => Change::Zero,
                    Kind::Noise => Change::Noise {
                        relative: self.noise,
                        seed,
                    },
                    Kind::Shuffle => Change::Shuffle { seed },
                    Kind::Freeze => Change::Freeze,
                    Kind::Nearest => Change::Nearest,
                    Kind::Patch => return None,
                    // Where the other problem had stopped thinking, nothing is changed.
                    Kind::Swap => Change::Replace(donor.thinking_input(program, index)?.clone()),
                };
                let step = thinking_step(program, index);
                Some(Intervention::while_thinking(step, change))
            };
            (spec.clone(), indices.filter_map(intervention).collect())
        };
        Ok(self.conditions.iter().map(of).collect())
    }
}

fn answer(model: &Model, program: &Program, problem: &Problem, records: &[StepRecord]) -> Answered {
    let ids = answer_ids(records, program);
    let text = problem.task().render(&model.tokenizer, &ids);
    let right = problem.grade(&text) == Grade::Right;
    Answered { text, right }
}

/// What a change did: its kind, the inputs of thinking that it changed, and a patch's layer.
pub(super) fn result(
    (kind, steps, layer): (Kind, Option<Vec<u32>>, Option<usize>),
    clean: &[Answered],
    changed: &[Answered],
) -> Option<InterventionResult> {
    let right = |answers: &[Answered]| answers.iter().map(|a| a.right).collect::<Vec<bool>>();
    let (before, after) = (right(clean), right(changed));
    let differences = after
        .iter()
        .zip(&before)
        .map(|(after, before)| f64::from(u8::from(*after)) - f64::from(u8::from(*before)));
    let differences: Vec<f64> = differences.collect();
    let n_right = after.iter().filter(|right| **right).count();
    let n_changed = clean.iter().zip(changed).filter(|(a, b)| a.text != b.text);
    let kind = serde_json::to_value(kind).ok()?;
    Some(InterventionResult {
        kind: kind.as_str()?.into(),
        steps,
        layer,
        accuracy: wilson(n_right, after.len())?,
        difference: Mean::of(&differences)?,
        mcnemar: McNemar::of(&after, &before),
        answers_changed: n_changed.count() as f64 / clean.len() as f64,
    })
}
