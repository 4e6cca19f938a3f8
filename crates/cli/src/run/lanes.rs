//! The lanes of `latent run`, on an engine for each checkpoint.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use latent_gpu::AnyEngine;
use latent_model::{
    analysis::{
        lane_group::{Group, groups},
        treatment::{TreatedLane, treated},
    },
    engine::{Engine, LaneSpec},
    input::Input,
    model::Model,
    record::StepRecord,
    tasks::{TASKS, Task, free_text},
    tokenizer::Tokenizer,
    trace::RanLane,
};

use super::job::Job;
use crate::engines::{EngineKind, open_engine};

/// Steps per submit; small enough to see the trace come, large enough to keep a GPU busy.
const CHUNK: usize = 8;

/// Lanes that are ready to run.
pub struct Lanes {
    /// What the first lane's model is given, as text.
    pub question: String,
    /// How the answer is written.
    pub task: Task,
    /// Each lane with all that is done to it.
    pub treated: Vec<TreatedLane>,
    models: BTreeMap<String, Model>,
    engines: BTreeMap<String, AnyEngine>,
    descriptions: BTreeMap<String, String>,
    /// The lanes of each checkpoint.
    groups: Vec<(String, Vec<usize>)>,
}

impl Lanes {
    /// Loads the checkpoints and runs what has to be known before: the lanes that others look at.
    pub async fn open(job: &Job, engine: EngineKind) -> Result<Self> {
        let mut models = BTreeMap::new();
        let mut engines = BTreeMap::new();
        for (name, checkpoint) in &job.checkpoints {
            let model = checkpoint.load()?;
            engines.insert(name.clone(), open_engine(engine, &model).await?);
            models.insert(name.clone(), model);
        }
        let of_lanes: Vec<&Model> = job.lanes.iter().map(|lane| &models[&lane.model]).collect();
        let mut specs = Vec::new();
        for ((lane, &stream), model) in job.lanes.iter().zip(&job.streams).zip(&of_lanes) {
            let prompt = job.question.prompt(model);
            specs.push(LaneSpec {
                inputs: Input::tokens(&prompt.with_context(|| lane.model.clone())?),
                program: lane.program(&model.tokenizer, model.capabilities())?,
                seed: job.seed,
                stream,
                decode_thoughts: true,
            });
        }
        let described = engines
            .iter()
            .map(|(name, engine)| (name.clone(), engine.description()));
        let descriptions = described.collect();
        let first = of_lanes.first().context("there is no lane")?;
        let task = job.task.unwrap_or_else(|| task_of(first));
        Ok(Self {
            question: job.question.text(first)?,
            task,
            treated: treated(task, &job.lanes, &specs, &of_lanes, &mut engines).await?,
            groups: groups(&job.lanes),
            models,
            engines,
            descriptions,
        })
    }

    /// The descriptions of all engines.
    pub fn engines(&self) -> String {
        let mut all: Vec<&str> = self.descriptions.values().map(|text| &**text).collect();
        all.dedup();
        format!("[{}]", all.join(", "))
    }

    /// Runs all lanes to their end, and gives each record as it comes.
    pub async fn run(
        &mut self,
        mut on_record: impl FnMut(usize, &StepRecord, &Tokenizer),
    ) -> Result<Vec<Vec<StepRecord>>> {
        let mut traces = vec![Vec::new(); self.treated.len()];
        for group in self.groups.clone() {
            let model = &self.models[&group.0];
            let engine = self.engines.get_mut(&group.0);
            let engine = engine.context("every checkpoint has an engine")?;
            let mut group = Group::begin(group, &self.treated, model, engine).await?;
            loop {
                let records = group.advance(engine, CHUNK).await?;
                if records.is_empty() {
                    break;
                }
                for (lane, record) in records {
                    on_record(lane, &record, &model.tokenizer);
                    traces[lane].push(record);
                }
            }
        }
        Ok(traces)
    }

    /// The model of a lane.
    pub fn model(&self, job: &Job, lane: usize) -> &Model {
        &self.models[&job.lanes[lane].model]
    }

    /// A lane that ran, with what tells of it.
    pub fn ran<'a>(&'a self, job: &'a Job, lane: usize, records: &'a [StepRecord]) -> RanLane<'a> {
        let choice = &job.lanes[lane];
        RanLane {
            model: &choice.model,
            tokenizer: &self.model(job, lane).tokenizer,
            strategy: choice.strategy.name,
            program: &self.treated[lane].0.program,
            engine: &self.descriptions[&choice.model],
            records,
        }
    }
}

/// The task whose words a model knows; other models write as they please.
fn task_of(model: &Model) -> Task {
    let is_its = |task: &&Task| {
        let mut words = (0..).zip(task.vocabulary());
        words.all(|(id, word)| model.tokenizer.id(&word) == Some(id))
    };
    TASKS
        .iter()
        .find(is_its)
        .copied()
        .unwrap_or(free_text::TASK)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::folder::load_model;

    #[test]
    fn the_task_of_a_checkpoint_is_told_by_its_words() {
        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../public/models");
        for (name, expected) in [
            ("prosqa-no-cot", "prosqa"),
            ("prontoqa-cot", "prontoqa"),
            ("arithmetic-cot", "arithmetic"),
        ] {
            let model = load_model(&Path::new(models).join(name)).expect("it ships");
            assert_eq!(task_of(&model).name(), expected, "{name}");
        }
        let other = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../model/tests/fixtures/gguf/tiny-llama.gguf"
        );
        let model = load_model(Path::new(other)).expect("a model of others");
        assert_eq!(task_of(&model), free_text::TASK);
    }
}
