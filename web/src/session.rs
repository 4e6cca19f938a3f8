//! The session: it owns the engines, one per checkpoint, and is their only door.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use futures::lock::Mutex;
use latent_gpu::{
    AnyEngine, GpuError,
    self_test::{test_adapter, test_model},
};
use latent_model::{
    address::LaneChoice,
    analysis::{fork::ForkError, intervention::Interventions},
    catalogue::{Catalogue, folder_and_adapters},
    contemplation,
    engine::{Engine, EngineError, LaneSpec, Renewable},
    evaluation::EvaluationError,
    input::Input,
    model::{Model, ModelError},
    program::Program,
    strategy::StrategyError,
    tokenizer::TokenizerError,
};

use crate::{
    brought::Brought,
    browser::{BREATHE, breathe},
    chunk::chat_prompt,
    gpu::Gpu,
    lane_group::{Group, groups},
    lanes::Words,
    load::{Downloading, LoadError, fetch_model},
    measurement::{Measured, measure},
    page_state::streams,
    question::Question,
    run_state::LaneRecord,
    self_test::SelfTest,
    treatment::{TreatedLane, treated},
};

/// What the model is called that every adapter is tested on once.
const TOUCHSTONE: &str = "touchstone";

/// Why a run did not begin or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A checkpoint did not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The prompt cannot be said in the model's chat.
    #[error(transparent)]
    Chat(ModelError),
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
    /// A problem of the arena that the checkpoint cannot read.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A lane that looks at one that it cannot look at; both are counted from 1.
    #[error(
        "lane {lane} looks at lane {looked_at}, which must stand before it and have the same checkpoint"
    )]
    Source {
        /// The lane.
        lane: usize,
        /// The other one.
        looked_at: usize,
    },
    /// A step that the other lane did not have.
    #[error("lane {lane} was fed nothing after step {step}; it was after steps 0 to {}", n.saturating_sub(1))]
    NoSuchStep {
        /// The other lane, counted from 1.
        lane: usize,
        /// The step.
        step: u32,
        /// How many it was fed something after.
        n: usize,
    },
    /// A step that the run on another problem did not have.
    #[error("on problem {seed} the lane is fed nothing after step {step}; it is after steps 0 to {}", n.saturating_sub(1))]
    NoSuchStepThere {
        /// The other problem's seed.
        seed: u64,
        /// The step.
        step: u32,
        /// How many it is fed something after.
        n: usize,
    },
    /// A swap with another problem where none are generated.
    #[error("a thought cannot be swapped with another problem's: none are generated for {0}")]
    NoOtherProblem(&'static str),
    /// A lane that cannot go on from a step.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The page's own calls came in the wrong order.
    #[error("no run has begun")]
    NotBegun,
}

impl SessionError {
    /// Whether it was the GPU's own doing, which no other model or lanes would help against.
    pub fn is_of_gpu(&self) -> bool {
        match self {
            Self::Gpu(error) => !error.is_of_size(),
            Self::Engine(error) => {
                matches!(error, EngineError::Device(_) | EngineError::DeviceLost(_))
            }
            _ => false,
        }
    }

    /// Whether the GPU has no room for a checkpoint or its lanes, and would for smaller ones.
    pub fn is_of_size(&self) -> bool {
        match self {
            Self::Gpu(error) => error.is_of_size(),
            Self::Engine(error) => matches!(error, EngineError::NoRoom(_)),
            _ => false,
        }
    }
}

/// A loaded checkpoint with what the page needs to show of it.
#[derive(Debug)]
pub struct Checkpoint {
    /// The model.
    pub model: Model,
    /// Every token by its id.
    pub words: Words,
    /// Mean norm of the rows of its embedding table: what a thought's norm is compared with.
    pub mean_embedding_norm: f32,
}

/// Rows of an embedding table that are looked at between two turns of the browser.
const ROWS_AT_ONCE: usize = 64;

/// Owns checkpoints, device and engines.
pub struct Session {
    /// The models that visitors bring.
    brought: Brought,
    /// The checkpoints that come with CCOT's adapters.
    adapted: BTreeSet<String>,
    /// The GPU, where runs go to it; engines outlive its device.
    pub gpu: Rc<Gpu>,
    checkpoints: RefCell<BTreeMap<String, Arc<Checkpoint>>>,
    /// By checkpoint. Behind an asynchronous lock: one command at a time.
    engines: Mutex<BTreeMap<String, Renewable<AnyEngine>>>,
    /// The lanes of the run by checkpoint.
    groups: RefCell<Vec<Group>>,
    /// The lanes of the run with all that is done to them, by their number on the page.
    treated: RefCell<Vec<TreatedLane>>,
    /// What the self-test found of each checkpoint on this GPU, and of the GPU itself.
    self_tests: RefCell<BTreeMap<String, SelfTest>>,
}

impl Checkpoint {
    /// Prepares what is shown of a model; the page draws in between.
    async fn new(model: Model) -> Self {
        let n_words = model.config.vocab_size;
        let mut words = Vec::with_capacity(n_words);
        let mut norms = 0.0;
        for first in (0..n_words).step_by(ROWS_AT_ONCE) {
            let rows = first..(first + ROWS_AT_ONCE).min(n_words);
            norms += model.weights.embedding_norms(rows.clone());
            words.extend(rows.map(|id| model.tokenizer.shown(id as u32)));
            breathe().await;
        }
        Self {
            words: Words::All(words.into()),
            mean_embedding_norm: norms / n_words as f32,
            model,
        }
    }
}

impl Session {
    /// A session on the checkpoints of a catalogue, which says what each of them consists of.
    pub fn new(catalogue: &Catalogue, brought: Brought) -> Self {
        let models = catalogue.models.iter();
        let adapted = models.filter(|entry| entry.contemplation().is_some());
        Self {
            adapted: adapted.map(|entry| entry.name.clone()).collect(),
            brought,
            gpu: Rc::default(),
            checkpoints: RefCell::default(),
            engines: Mutex::default(),
            groups: RefCell::default(),
            treated: Default::default(),
            self_tests: RefCell::default(),
        }
    }

    /// The models that visitors bring.
    pub fn brought(&self) -> Brought {
        self.brought
    }

    /// Opens the GPU; from then on engines run on it.
    pub async fn open_gpu(&self) -> Result<String, GpuError> {
        self.self_tests.borrow_mut().clear();
        self.gpu.open().await
    }

    /// From now on the reference engine runs. An engine of the GPU that is at work ends what it
    /// does, and goes when the next run begins.
    pub fn use_reference(&self) {
        self.gpu.close();
        self.self_tests.borrow_mut().clear();
        if let Some(mut engines) = self.engines.try_lock() {
            self.retain_engines(&mut engines, |_| true);
        }
    }

    /// Whether runs go to the GPU.
    pub fn uses_gpu(&self) -> bool {
        self.gpu.is_open()
    }

    /// Drops the checkpoints and engines that none of these lanes uses.
    pub async fn retain(&self, lanes: &[LaneChoice]) {
        // What could not be kept anywhere else stays in memory.
        let is_used = |name: &str| {
            let is_asked = lanes.iter().any(|lane| lane.model == name);
            is_asked || self.brought.is_unkept(name)
        };
        let mut engines = self.engines.lock().await;
        self.retain_engines(&mut engines, is_used);
        self.checkpoints
            .borrow_mut()
            .retain(|name, _| is_used(name));
    }

    /// Keeps the engines of these checkpoints that run where runs go now.
    fn retain_engines(
        &self,
        engines: &mut BTreeMap<String, Renewable<AnyEngine>>,
        is_used: impl Fn(&str) -> bool,
    ) {
        let uses_gpu = self.uses_gpu();
        let is_on_gpu =
            |engine: &Renewable<AnyEngine>| matches!(engine.engine(), AnyEngine::Gpu(_));
        engines.retain(|name, engine| is_used(name) && is_on_gpu(engine) == uses_gpu);
    }

    /// The checkpoint of this name, fetched the first time that it is asked for.
    pub async fn checkpoint(
        &self,
        name: &str,
        downloading: Downloading,
    ) -> Result<Arc<Checkpoint>, LoadError> {
        if let Some(known) = self.loaded(name) {
            return Ok(known);
        }
        let (folder, adapters) = folder_and_adapters(name);
        let default = (self.adapted.contains(folder)).then_some(contemplation::FOLDER);
        let model = match self.brought.load(name).await {
            Some(loaded) => loaded?,
            None => fetch_model(folder, adapters.or(default), downloading).await?,
        };
        Ok(self.take(name, model).await)
    }

    /// Takes up a model that was read; an engine of another one of this name goes.
    pub async fn take(&self, name: &str, model: Model) -> Arc<Checkpoint> {
        let checkpoint = Arc::new(Checkpoint::new(model).await);
        self.engines.lock().await.remove(name);
        self.self_tests.borrow_mut().remove(name);
        let mut checkpoints = self.checkpoints.borrow_mut();
        checkpoints.insert(name.into(), checkpoint.clone());
        checkpoint
    }

    /// Forgets a model and what computes with it.
    pub async fn forget(&self, name: &str) {
        self.engines.lock().await.remove(name);
        self.checkpoints.borrow_mut().remove(name);
    }

    /// The checkpoint of this name, if it has been fetched.
    pub fn loaded(&self, name: &str) -> Option<Arc<Checkpoint>> {
        self.checkpoints.borrow().get(name).cloned()
    }

    /// The loaded checkpoints of these lanes that this GPU has not been tested on.
    pub fn untested(&self, lanes: &[LaneChoice]) -> Vec<String> {
        let tested = self.self_tests.borrow();
        let names: BTreeSet<&String> = lanes.iter().map(|lane| &lane.model).collect();
        let is_untested =
            |name: &&String| !tested.contains_key(*name) && self.loaded(name).is_some();
        let untested = names.into_iter().filter(is_untested);
        untested.filter(|_| self.uses_gpu()).cloned().collect()
    }

    /// Tests the GPU on a loaded checkpoint, with the engine that will run it, and before the first
    /// of them on the model that shows what adapters get wrong; a run that was under
    /// way on it is dropped. Nothing happens where there is no GPU, or no such checkpoint.
    pub async fn self_test(&self, name: &str) -> Result<(), SessionError> {
        let mut engines = self.engines.lock().await;
        if !self.uses_gpu() {
            return Ok(());
        }
        let Some(checkpoint) = self.loaded(name) else {
            return Ok(());
        };
        self.groups.borrow_mut().clear();
        let found = match self.engine(&mut engines, name).await?.engine_mut() {
            AnyEngine::Gpu(engine) => {
                if !self.self_tests.borrow().contains_key(TOUCHSTONE) {
                    let verdict = test_adapter(engine.context(), BREATHE).await?;
                    let found = SelfTest::new(TOUCHSTONE, verdict);
                    self.self_tests
                        .borrow_mut()
                        .insert(TOUCHSTONE.into(), found);
                }
                let verdict = test_model(&checkpoint.model, engine, BREATHE).await?;
                SelfTest::new(name, verdict)
            }
            AnyEngine::Reference(_) => return Ok(()),
        };
        // The visitor may have given the GPU up meanwhile.
        if self.uses_gpu() {
            self.self_tests.borrow_mut().insert(name.into(), found);
        }
        Ok(())
    }

    /// Measures the GPU beside the CPU on a loaded checkpoint, with the kernels that it runs best;
    /// nothing where there is no GPU.
    pub async fn measure(&self, name: &str) -> Result<Option<Measured>, SessionError> {
        let mut engines = self.engines.lock().await;
        let Some(checkpoint) = self.loaded(name).filter(|_| self.uses_gpu()) else {
            return Ok(None);
        };
        self.groups.borrow_mut().clear();
        let gpu = self.engine(&mut engines, name).await?.engine_mut();
        let mut cpu = AnyEngine::reference(&checkpoint.model).with_breaks(BREATHE);
        let mut measured = measure(&checkpoint.model, gpu, &mut cpu).await?;
        if let Some(rate) = self.gpu.tune(&checkpoint, measured.gpu).await {
            measured.gpu = rate;
            engines.clear();
        }
        Ok(Some(measured))
    }

    /// The worst of all tests of this GPU so far.
    pub fn worst_test(&self) -> Option<SelfTest> {
        SelfTest::worst(self.self_tests.borrow().values()).cloned()
    }

    /// The engine of a loaded checkpoint, made the first time that it is asked for.
    async fn engine<'a>(
        &self,
        engines: &'a mut BTreeMap<String, Renewable<AnyEngine>>,
        name: &str,
    ) -> Result<&'a mut Renewable<AnyEngine>, SessionError> {
        if !engines.contains_key(name) {
            let checkpoint = self.loaded(name).ok_or(SessionError::NotBegun)?;
            engines.insert(name.into(), self.gpu.engine(&checkpoint).await?);
        }
        engines.get_mut(name).ok_or(SessionError::NotBegun)
    }

    /// A lane of the last run that began, with all that is done to it.
    pub fn treated_lane(&self, number: usize) -> Option<TreatedLane> {
        self.treated.borrow().get(number).cloned()
    }

    /// An engine of its own for a checkpoint, where runs go now; it ends no run of the page.
    pub async fn open_engine(
        &self,
        checkpoint: &Arc<Checkpoint>,
    ) -> Result<Renewable<AnyEngine>, SessionError> {
        Ok(self.gpu.engine(checkpoint).await?)
    }

    /// The lanes as their engines take them. Every checkpoint must be loaded.
    async fn specs(
        &self,
        question: &Question,
        lanes: &[LaneChoice],
        seed: u32,
    ) -> Result<Vec<LaneSpec>, SessionError> {
        let mut specs = Vec::new();
        for (lane, stream) in lanes.iter().zip(streams(lanes)) {
            let checkpoint = self.loaded(&lane.model).ok_or(SessionError::NotBegun)?;
            let model = &checkpoint.model;
            let tokenizer = &model.tokenizer;
            let prompt = match question.is_said {
                true => chat_prompt(model, &question.text).await?,
                false => model.prompt(&question.text)?,
            };
            specs.push(LaneSpec {
                inputs: Input::tokens(&prompt),
                program: lane.program(tokenizer, model.capabilities())?,
                seed,
                stream,
                decode_thoughts: true,
            });
        }
        Ok(specs)
    }

    /// Begins a run: the lanes of one checkpoint are one batch of its engine.
    pub async fn begin(
        &self,
        question: &Question,
        lanes: &[LaneChoice],
        seed: u32,
    ) -> Result<Vec<Begun>, SessionError> {
        let specs = self.specs(question, lanes, seed).await?;
        let mut engines = self.engines.lock().await;
        self.retain_engines(&mut engines, |_| true);
        let mut checkpoints = Vec::new();
        for lane in lanes {
            self.engine(&mut engines, &lane.model).await?;
            checkpoints.push(self.loaded(&lane.model).ok_or(SessionError::NotBegun)?);
        }
        let treated = treated(question.task, lanes, &specs, &checkpoints, &mut engines).await?;
        let mut begun: Vec<Begun> = treated
            .iter()
            .map(|(spec, _)| Begun {
                program: spec.program.clone(),
                engine: String::new(),
            })
            .collect();
        let mut all = Vec::new();
        for (model, members) in groups(lanes) {
            let engine = self.engine(&mut engines, &model).await?;
            let batch: Vec<TreatedLane> =
                members.iter().map(|&lane| treated[lane].clone()).collect();
            let specs: Vec<LaneSpec> = batch.iter().map(|(spec, _)| spec.clone()).collect();
            let started = engine.begin(&specs).await;
            started.map_err(|error| error.with_lane(|lane| members[lane] + 1))?;
            for &lane in &members {
                begun[lane].engine = engine.description();
            }
            let is_changed = batch.iter().any(|(_, changes)| !changes.is_empty());
            let of = &checkpoints[members[0]].model;
            all.push(Group {
                interventions: is_changed
                    .then(|| Interventions::new(&of.config, &of.weights, &batch)),
                steps_done: 0,
                model,
                members,
            });
        }
        self.groups.replace(all);
        self.treated.replace(treated);
        Ok(begun)
    }

    /// Runs every lane up to `n_steps` further; empty when all are done.
    pub async fn advance(&self, n_steps: usize) -> Result<Vec<LaneRecord>, SessionError> {
        let mut engines = self.engines.lock().await;
        // Nobody else begins or advances while the engines are locked.
        let mut groups = self.groups.take();
        let mut all = Vec::new();
        let mut failure = None;
        for group in &mut groups {
            let engine = engines
                .get_mut(&group.model)
                .ok_or(SessionError::NotBegun)?;
            match group.advance(engine, n_steps).await {
                Ok(records) => all.extend(records),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        self.groups.replace(groups);
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(all),
        }
    }
}

/// A lane as it has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// What it runs: for a fork, what is left of its program.
    pub program: Program,
    /// Its engine's description.
    pub engine: String,
}
