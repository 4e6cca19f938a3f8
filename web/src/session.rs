//! The session: it owns the engines, one per checkpoint, and is their only door.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
};

use futures::lock::Mutex;
use latent_gpu::{AnyEngine, GpuContext, GpuEngine, GpuError};
use latent_model::{
    engine::{Engine, EngineError, LaneSpec},
    input::Input,
    model::Model,
    record::StepRecord,
    strategy::StrategyError,
    tokenizer::TokenizerError,
};

use crate::{
    load::{Download, LoadError, fetch_model},
    page_state::{LaneChoice, streams},
    self_test::{SelfTest, self_test},
};

/// Why a run did not begin or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A checkpoint did not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The prompt has words that the checkpoint does not know.
    #[error(transparent)]
    Prompt(#[from] TokenizerError),
    /// A strategy or setting that this checkpoint cannot run.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// The engine refused the run; lanes are counted as the page shows them, from 1.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The GPU cannot be used, or no longer.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The page's own calls came in the wrong order.
    #[error("no run has begun")]
    NotBegun,
}

/// A loaded checkpoint with what the page needs to show of it.
#[derive(Debug)]
pub struct Checkpoint {
    /// The model.
    pub model: Model,
    /// Every token by its id.
    pub words: Arc<[String]>,
    /// Mean norm of the rows of its embedding table: what a thought's norm is compared with.
    pub mean_embedding_norm: f32,
}

/// The record of one step, with the page's own number of its lane.
pub type LaneRecord = (usize, StepRecord);

/// Owns checkpoints, device and engines.
#[derive(Default)]
pub struct Session {
    context: RefCell<Option<GpuContext>>,
    checkpoints: RefCell<BTreeMap<String, Arc<Checkpoint>>>,
    /// Behind an asynchronous lock: one command at a time, whatever buttons are pressed.
    engines: Mutex<BTreeMap<String, AnyEngine>>,
    /// The lanes of the run by checkpoint, as the page counts them.
    groups: RefCell<Vec<(String, Vec<usize>)>>,
    /// What the self-test found of each checkpoint on this GPU.
    self_tests: RefCell<BTreeMap<String, SelfTest>>,
    uses_gpu: Cell<bool>,
}

impl Checkpoint {
    fn new(model: Model) -> Self {
        let words = (0..model.config.vocab_size as u32).map(|id| model.tokenizer.shown(id));
        let embedding = &model.weights.embedding;
        let norm = |row: usize| embedding.row(row).iter().map(|x| x * x).sum::<f32>().sqrt();
        let norms: f32 = (0..embedding.rows).map(norm).sum();
        Self {
            words: words.collect(),
            mean_embedding_norm: norms / embedding.rows as f32,
            model,
        }
    }
}

impl Session {
    /// Opens the GPU; from then on engines run on it.
    pub async fn open_gpu(&self) -> Result<String, GpuError> {
        let context = GpuContext::request().await?;
        let name = context.adapter_name();
        self.context.replace(Some(context));
        self.uses_gpu.set(true);
        Ok(name)
    }

    /// Drops the GPU's engines; from then on the reference engine runs.
    pub async fn use_reference(&self) {
        self.uses_gpu.set(false);
        self.context.replace(None);
        self.engines.lock().await.clear();
        self.groups.borrow_mut().clear();
        self.self_tests.borrow_mut().clear();
    }

    /// Whether runs go to the GPU.
    pub fn uses_gpu(&self) -> bool {
        self.uses_gpu.get()
    }

    /// The checkpoint of this name, fetched the first time that it is asked for.
    pub async fn checkpoint(
        &self,
        name: &str,
        on_progress: impl FnMut(Download),
    ) -> Result<Arc<Checkpoint>, LoadError> {
        if let Some(known) = self.loaded(name) {
            return Ok(known);
        }
        let model = fetch_model(name, on_progress).await?;
        let checkpoint = Arc::new(Checkpoint::new(model));
        let mut checkpoints = self.checkpoints.borrow_mut();
        checkpoints.insert(name.into(), checkpoint.clone());
        Ok(checkpoint)
    }

    /// The checkpoint of this name, if it has been fetched.
    pub fn loaded(&self, name: &str) -> Option<Arc<Checkpoint>> {
        self.checkpoints.borrow().get(name).cloned()
    }

    /// A loaded checkpoint, the next of these lanes, that this GPU has not been tested on.
    pub fn next_untested(&self, lanes: &[LaneChoice]) -> Option<String> {
        let tested = self.self_tests.borrow();
        let mut names = lanes.iter().map(|lane| &lane.model);
        let untested = |name: &&String| !tested.contains_key(*name) && self.loaded(name).is_some();
        names.find(untested).filter(|_| self.uses_gpu()).cloned()
    }

    /// Tests the GPU on a loaded checkpoint. Gives the worst of all tests so far, or `None` where
    /// there is no GPU, or no such checkpoint.
    pub async fn self_test(&self, name: &str) -> Result<Option<SelfTest>, SessionError> {
        let context = self.context.borrow().clone();
        let (Some(context), Some(checkpoint)) = (context, self.loaded(name)) else {
            return Ok(None);
        };
        let model = &checkpoint.model;
        let mut engine = GpuEngine::new(&model.config, &model.weights, &context).await?;
        let found = self_test(name, model, &mut engine).await?;
        let mut tests = self.self_tests.borrow_mut();
        tests.insert(name.into(), found);
        Ok(SelfTest::worst(tests.values()).cloned())
    }

    /// The lanes as their engines take them. Every checkpoint must be loaded.
    pub fn specs(
        &self,
        prompt: &str,
        lanes: &[LaneChoice],
        seed: u32,
    ) -> Result<Vec<LaneSpec>, SessionError> {
        let spec = |(lane, stream): (&LaneChoice, u32)| {
            let checkpoint = self.loaded(&lane.model).ok_or(SessionError::NotBegun)?;
            let tokenizer = &checkpoint.model.tokenizer;
            Ok(LaneSpec {
                inputs: Input::tokens(&tokenizer.encode(prompt)?),
                program: lane.strategy.program(&lane.settings, tokenizer)?,
                seed,
                stream,
                decode_thoughts: true,
            })
        };
        lanes.iter().zip(streams(lanes)).map(spec).collect()
    }

    /// Begins a run: the lanes of one checkpoint are one batch of its engine. Gives each lane's
    /// engine by its description.
    pub async fn begin(
        &self,
        lanes: &[LaneChoice],
        specs: &[LaneSpec],
    ) -> Result<Vec<String>, SessionError> {
        let mut engines = self.engines.lock().await;
        let groups = groups(lanes);
        let context = self.context.borrow().clone();
        let mut descriptions = vec![String::new(); lanes.len()];
        for (name, members) in &groups {
            if !engines.contains_key(name) {
                let checkpoint = self.loaded(name).ok_or(SessionError::NotBegun)?;
                let engine = AnyEngine::open(&checkpoint.model, context.as_ref()).await?;
                engines.insert(name.clone(), engine);
            }
            let engine = engines.get_mut(name).ok_or(SessionError::NotBegun)?;
            let batch: Vec<LaneSpec> = members.iter().map(|&lane| specs[lane].clone()).collect();
            let begun = engine.begin(&batch).await;
            begun.map_err(|error| error.with_lane(|lane| members[lane] + 1))?;
            for &lane in members {
                descriptions[lane] = engine.description();
            }
        }
        self.groups.replace(groups);
        Ok(descriptions)
    }

    /// Runs every lane up to `n_steps` further; empty when all are done.
    pub async fn advance(&self, n_steps: usize) -> Result<Vec<LaneRecord>, SessionError> {
        let mut engines = self.engines.lock().await;
        let groups = self.groups.borrow().clone();
        let mut all = Vec::new();
        for (name, members) in &groups {
            let engine = engines.get_mut(name).ok_or(SessionError::NotBegun)?;
            let records = engine.advance(n_steps).await;
            let records = records.map_err(|error| error.with_lane(|lane| members[lane] + 1))?;
            let numbered = |record: StepRecord| (members[record.lane as usize], record);
            all.extend(records.into_iter().map(numbered));
        }
        Ok(all)
    }
}

/// Lane numbers by checkpoint, in the order in which checkpoints first appear.
fn groups(lanes: &[LaneChoice]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, lane) in lanes.iter().enumerate() {
        match groups.iter_mut().find(|(name, _)| *name == lane.model) {
            Some((_, members)) => members.push(index),
            None => groups.push((lane.model.clone(), vec![index])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use latent_model::strategy::STRATEGIES;

    use super::*;

    #[test]
    fn lanes_of_one_checkpoint_are_one_batch() {
        let lane = |model| LaneChoice::new(model, &STRATEGIES[0]);
        let found = groups(&[lane("a"), lane("b"), lane("a")]);
        assert_eq!(found, [("a".into(), vec![0, 2]), ("b".into(), vec![1])]);
    }
}
