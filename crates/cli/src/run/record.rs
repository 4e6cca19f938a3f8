//! A run of `latent run` as a recording, which the page plays without a model.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use latent_model::{
    address::{Address, LaneChoice, ProblemChoice, Speed},
    engine::LaneSpec,
    model::Model,
    record::StepRecord,
    recording::{Header, RecordedLane, Recording},
    strategy::{Settings, Strategy},
    tokenizer::TextStream,
    trace::RanLane,
};

use super::{Job, RunArgs};
use crate::folder::weights_digest;

/// A run that has come to its end.
pub struct Ran<'a> {
    pub args: &'a RunArgs,
    pub model: &'a Model,
    pub job: &'a Job,
    pub lanes: &'a [LaneSpec],
    pub traces: &'a [Vec<StepRecord>],
    pub engine: &'a str,
    pub seconds: f64,
}

impl Ran<'_> {
    /// Writes the recording.
    pub fn record(&self, path: &Path) -> Result<()> {
        let args = &self.args.model;
        let digest = weights_digest(&args.model, args.adapters.as_deref())?;
        let lanes = self.lanes.iter().zip(self.traces).zip(&self.job.strategies);
        let lane = |((spec, records), strategy): ((&LaneSpec, &Vec<StepRecord>), &String)| {
            self.lane(spec, records, strategy, &digest)
        };
        let recording = Recording {
            header: Header {
                version: env!("CARGO_PKG_VERSION").into(),
                address: self.address()?.to_string(),
                prompt: self.job.question.clone(),
                lanes: lanes.map(lane).collect(),
            },
            records: self.traces.to_vec(),
        };
        let bytes = recording.to_bytes()?;
        fs::write(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {} ({} bytes)", path.display(), bytes.len());
        Ok(())
    }

    /// The set-up as the page's address holds it.
    fn address(&self) -> Result<Address> {
        let Job {
            task,
            strategies,
            settings,
            seed,
            ..
        } = self.job;
        let lane = |name: &String| {
            let strategy = Strategy::by_name(name)?;
            let mut lane = LaneChoice::new(&self.args.model.name(), strategy);
            lane.settings = Settings::parse(strategy, settings.iter().map(String::as_str))?;
            Ok(lane)
        };
        Ok(Address {
            problem: Some(self.problem()),
            lanes: Some(strategies.iter().map(lane).collect::<Result<_>>()?),
            seed: Some(*seed),
            speed: Some(Speed::PerSecond(8)),
            ..Address::of_task(*task)
        })
    }

    /// What was asked: an example of the page's, where it is one, for its answer is known.
    fn problem(&self) -> ProblemChoice {
        let is_said = self.args.asking.chat;
        let asked = match (&self.args.prompt, &self.job.problem) {
            (Some(text), None) => text,
            (_, Some(problem)) => problem.question(),
            (None, None) => &self.job.question,
        };
        let examples = self.job.task.prompts();
        let is_it = |example: &latent_model::tasks::free_text::Example| {
            example.prompt == asked && example.chat == is_said
        };
        match (examples.iter().position(is_it), is_said) {
            (Some(index), _) => ProblemChoice::Example(index),
            (None, true) => ProblemChoice::Said(asked.into()),
            (None, false) => ProblemChoice::Typed(asked.into()),
        }
    }

    fn lane(
        &self,
        spec: &LaneSpec,
        records: &[StepRecord],
        strategy: &str,
        digest: &str,
    ) -> RecordedLane {
        let tokenizer = &self.model.tokenizer;
        let name = self.args.model.name();
        let ran = RanLane {
            model: &name,
            tokenizer,
            strategy,
            program: &spec.program,
            engine: self.engine,
            records,
        };
        let mut stream = TextStream::default();
        let texts = records.iter();
        let texts = texts.map(
            |record| match tokenizer.end_tokens().contains(&record.token) {
                true => String::new(),
                false => stream.push(tokenizer, record.token),
            },
        );
        let texts: Vec<String> = texts.collect();
        let is_text = !self.job.task.prompts().is_empty();
        let embedding = &self.model.weights.embedding;
        let norms = self.model.weights.embedding_norms(0..embedding.rows);
        let tokens = RecordedLane::tokens(records);
        RecordedLane {
            model_sha256: Some(digest.into()),
            program: spec.program.clone(),
            engine: self.engine.into(),
            seconds: self.seconds,
            mean_embedding_norm: norms / embedding.rows as f32,
            stands_for: Vec::new(),
            words: tokens.map(|id| (id, tokenizer.shown(id))).collect(),
            texts: if is_text { texts } else { Vec::new() },
            answer: ran.answer(self.job.task),
            n_records: records.len(),
            model: name,
        }
    }
}
