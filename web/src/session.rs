//! The session: it owns the engines, one per checkpoint, and is their only door.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use futures::lock::{Mutex, MutexGuard};
use latent_gpu::{
    AnyEngine, GpuContext, GpuError,
    self_test::{test_adapter, test_model},
};
use latent_model::{
    address::LaneChoice,
    analysis::{
        lane_group::{Group, groups},
        treatment::{TreatedLane, TreatmentError, streams, treated},
    },
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
    candidate::Tried,
    chunk::chat_prompt,
    gpu::{Gpu, Opened},
    lanes::Words,
    load::{Downloading, LoadError, fetch_model},
    question::Question,
    run_state::LaneRecord,
    self_test::SelfTest,
};

/// Engines by checkpoint.
pub type Engines = BTreeMap<String, Renewable<AnyEngine>>;

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
    /// What cannot be done to a lane.
    #[error(transparent)]
    Treatment(TreatmentError),
    /// The page's own calls came in the wrong order.
    #[error("no run has begun")]
    NotBegun,
    /// What was being tried for an engine is not wanted any more.
    #[error("another engine was chosen meanwhile")]
    Overtaken,
}

impl From<TreatmentError> for SessionError {
    /// An engine's own failure stays one, whatever was being done to a lane.
    fn from(error: TreatmentError) -> Self {
        match error {
            TreatmentError::Engine(error) => Self::Engine(error),
            TreatmentError::Prompt(error) => Self::Prompt(error),
            error => Self::Treatment(error),
        }
    }
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
    engines: Mutex<Engines>,
    /// The lanes of the run by checkpoint.
    groups: RefCell<Vec<Group>>,
    /// The lanes of the run with all that is done to them, by their number on the page.
    treated: RefCell<Vec<TreatedLane>>,
    /// Engines of the GPU that were made before runs went to it.
    tried: RefCell<Engines>,
    /// How many times an engine was chosen, by the visitor or for them.
    n_choices: Cell<u32>,
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
            tried: RefCell::default(),
            n_choices: Cell::default(),
            self_tests: RefCell::default(),
        }
    }

    /// The models that visitors bring.
    pub fn brought(&self) -> Brought {
        self.brought
    }

    /// The number of a choice of engine that is made now: what an earlier one does is overtaken.
    pub fn next_choice(&self) -> u32 {
        self.n_choices.set(self.n_choices.get() + 1);
        self.n_choices.get()
    }

    /// # Errors
    /// If a later choice was made than this one.
    pub fn check_choice(&self, number: u32) -> Result<(), SessionError> {
        match self.n_choices.get() == number {
            true => Ok(()),
            false => Err(SessionError::Overtaken),
        }
    }

    /// Opens the GPU for a choice; from then on engines run on it.
    pub async fn open_gpu(&self, choice: u32) -> Result<GpuContext, SessionError> {
        let Opened { context, .. } = Opened::new().await?;
        self.check_choice(choice)?;
        self.self_tests.borrow_mut().clear();
        self.gpu.adopt(context.clone());
        Ok(context)
    }

    /// Tests the adapter of the open GPU; what is found tells the tests of checkpoints.
    pub async fn test_adapter(&self, context: &GpuContext) -> Result<(), SessionError> {
        let found = self_test_of_adapter(context).await?;
        let mut tests = self.self_tests.borrow_mut();
        tests.insert(found.checkpoint.clone(), found);
        Ok(())
    }

    /// From now on the reference engine runs. An engine of the GPU that is at work ends what it
    /// does, and goes when the next run begins.
    pub fn use_reference(&self) {
        self.gpu.close();
        self.self_tests.borrow_mut().clear();
        self.tried.borrow_mut().clear();
        if let Some(mut engines) = self.engines.try_lock() {
            self.retain_engines(&mut engines, |_| true);
        }
    }

    /// Has runs go to a device from now on, which was tested, also on these checkpoints; why one of
    /// them was not. Runs that are under way end where they began.
    pub fn adopt(&self, context: GpuContext, adapter: SelfTest, all: Vec<Tried>) -> Option<String> {
        self.gpu.adopt(context);
        let mut tests = BTreeMap::from([(adapter.checkpoint.clone(), adapter)]);
        let mut engines = self.tried.borrow_mut();
        let mut not_possible = None;
        for tried in all {
            if let Some(engine) = tried.engine {
                let engine = self.gpu.lasting(&tried.checkpoint, engine);
                engines.insert(tried.name.clone(), engine);
            }
            match tried.found {
                Some(Ok(found)) => {
                    tests.insert(tried.name, found);
                }
                Some(Err(reason)) => not_possible = Some(reason),
                None => {}
            }
        }
        self.self_tests.replace(tests);
        not_possible
    }

    /// The engines, while nobody else begins a run or goes on with one.
    pub async fn engines(&self) -> MutexGuard<'_, Engines> {
        self.engines.lock().await
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
        self.tried.borrow_mut().retain(|name, _| is_used(name));
        self.checkpoints
            .borrow_mut()
            .retain(|name, _| is_used(name));
    }

    /// Keeps the engines of these checkpoints that run where runs go now.
    fn retain_engines(&self, engines: &mut Engines, is_used: impl Fn(&str) -> bool) {
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
        self.tried.borrow_mut().remove(name);
        self.self_tests.borrow_mut().remove(name);
        let mut checkpoints = self.checkpoints.borrow_mut();
        checkpoints.insert(name.into(), checkpoint.clone());
        checkpoint
    }

    /// Forgets a model and what computes with it.
    pub async fn forget(&self, name: &str) {
        self.engines.lock().await.remove(name);
        self.tried.borrow_mut().remove(name);
        self.checkpoints.borrow_mut().remove(name);
    }

    /// The checkpoint of this name, if it has been fetched.
    pub fn loaded(&self, name: &str) -> Option<Arc<Checkpoint>> {
        self.checkpoints.borrow().get(name).cloned()
    }

    /// All checkpoints that are loaded.
    pub fn all_loaded(&self) -> Vec<(String, Arc<Checkpoint>)> {
        let loaded = self.checkpoints.borrow();
        let loaded = loaded
            .iter()
            .map(|(name, checkpoint)| (name.clone(), checkpoint.clone()));
        loaded.collect()
    }

    /// Those of these checkpoints that are loaded and that this GPU has not been tested on.
    pub fn untested(&self, names: &[&str]) -> BTreeSet<String> {
        let tested = self.self_tests.borrow();
        let is_untested = |name: &str| !tested.contains_key(name) && self.loaded(name).is_some();
        let names = names
            .iter()
            .filter(|name| self.uses_gpu() && is_untested(name));
        names.map(|name| name.to_string()).collect()
    }

    /// Tests the GPU on a loaded checkpoint, with the engine that will run it; a run that was under way
    /// on it is dropped. Nothing happens where there is no GPU, or no such checkpoint.
    pub async fn self_test(&self, name: &str) -> Result<(), SessionError> {
        let mut engines = self.engines.lock().await;
        if !self.uses_gpu() {
            return Ok(());
        }
        let Some(checkpoint) = self.loaded(name) else {
            return Ok(());
        };
        self.groups.borrow_mut().clear();
        self.retain_engines(&mut engines, |_| true);
        let found = match self.engine(&mut engines, name).await?.engine_mut() {
            AnyEngine::Gpu(engine) => {
                SelfTest::new(name, test_model(&checkpoint.model, engine, BREATHE).await?)
            }
            AnyEngine::Reference(_) => return Ok(()),
        };
        // The visitor may have given the GPU up meanwhile.
        if self.uses_gpu() {
            self.self_tests.borrow_mut().insert(name.into(), found);
        }
        Ok(())
    }

    /// The worst of all tests of this GPU so far.
    pub fn worst_test(&self) -> Option<SelfTest> {
        SelfTest::worst(self.self_tests.borrow().values()).cloned()
    }

    /// The engine of a loaded checkpoint, made the first time that it is asked for.
    async fn engine<'a>(
        &self,
        engines: &'a mut Engines,
        name: &str,
    ) -> Result<&'a mut Renewable<AnyEngine>, SessionError> {
        if !engines.contains_key(name) {
            let checkpoint = self.loaded(name).ok_or(SessionError::NotBegun)?;
            let tried = self.tried.borrow_mut().remove(name);
            let engine = match tried {
                Some(engine) => engine,
                None => self.gpu.engine(&checkpoint).await?,
            };
            engines.insert(name.into(), engine);
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
        let models: Vec<&Model> = checkpoints.iter().map(|known| &known.model).collect();
        let treated = treated(question.task, lanes, &specs, &models, &mut engines).await?;
        let mut begun: Vec<Begun> = treated
            .iter()
            .map(|(spec, _)| Begun {
                program: spec.program.clone(),
                engine: String::new(),
            })
            .collect();
        let mut all = Vec::new();
        for group in groups(lanes) {
            let (name, members) = &group;
            let engine = self.engine(&mut engines, name).await?;
            let of = models[members[0]];
            let group = Group::begin(group, &treated, of, engine).await?;
            for &lane in &group.members {
                begun[lane].engine = engine.description();
            }
            all.push(group);
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

/// Tests an adapter on the model that shows what adapters get wrong.
pub async fn self_test_of_adapter(context: &GpuContext) -> Result<SelfTest, EngineError> {
    let verdict = test_adapter(context, BREATHE).await?;
    Ok(SelfTest::new("touchstone", verdict))
}

/// A lane as it has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// What it runs: for a fork, what is left of its program.
    pub program: Program,
    /// Its engine's description.
    pub engine: String,
}
