//! One training step after another, with no file, clock or terminal: what a command line, a page
//! or a test drives.
//!
//! A step draws a batch, puts its loss, its gradients and its update in the device's queue, reads
//! everything that it wants to know in one wait, and only then takes the update, if all of it is
//! finite. It is asynchronous because a page cannot block; on burn's `flex` it never waits.
//!
//! Kinds of training differ in their [`Batch`], which says what is minimized. What is learned is
//! [`State::learned`]: leaves of the autodiff graph, a gradient each, a flat list to the
//! [`Optimizer`]. CCOT learns other weights than the model's, and not always the same:
//! [`State::learned`] says which, and no other is tracked; the rest of the step is the same.

use burn::tensor::{Device, ExecutionError, Gradients, Tensor};
use latent_model::program::Sampler;
use latent_model::tasks::Markers;

use crate::batch::Batch;
use crate::ccot::{CcotConfig, Lesson, Pool, Reading, Scorer};
use crate::config::RunConfig;
use crate::end_classifier::{self, Fitted};
use crate::llama::Llama;
use crate::objective::{BatchLoss, Objective, soft_sampler};
use crate::optimizer::{Optimizer, Update, global_norm};
use crate::parameters::{Parameters, Weight};
use crate::random::Random;
use crate::source::Source;
use crate::stages::StagesConfig;
use crate::state::State;
use crate::tensor_ops::{flat, read};

/// A training run between two steps.
pub struct Trainer {
    config: RunConfig,
    device: Device,
    state: State,
    source: Source,
    markers: Markers,
    /// What makes the concept tokens of Soft Thinking.
    sampler: Sampler,
    /// What CCOT's frozen model has read.
    pool: Pool,
    /// What says which tokens of a chain are kept, once it is fitted.
    scorer: Option<Scorer>,
}

/// What one step did.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Steps taken so far, this one included.
    pub step: u64,
    /// The loss before the update.
    pub loss: f64,
    /// Its parts before they are weighted, with their names.
    pub parts: Vec<(String, f32)>,
    /// The share of questions (or of a target's mass, in the warm-up) that came out right.
    pub accuracy: f64,
    /// Whether the batch was one of the curriculum's current level, and no review of a lower one
    /// or another number of thoughts.
    pub counts: bool,
    /// The norm of all gradients together, before they were clipped.
    pub gradient_norm: f32,
    /// The learning rate.
    pub learning_rate: f64,
    /// How many positions were computed.
    pub n_positions: usize,
}

/// A step that was not taken: the trainer is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The run has diverged.
    #[error("{quantity} is {value} after {step} steps, expected a finite number")]
    NotFinite {
        /// What is not finite.
        quantity: &'static str,
        /// Its value.
        value: f32,
        /// Steps taken before.
        step: u64,
    },
    /// The device failed.
    #[error("the device failed")]
    Device(#[from] ExecutionError),
}

/// What is read of a step, all at once.
struct Readings {
    loss: f32,
    gradient_norm: f32,
    /// The norm of all weights after the update.
    weight_norm: f32,
    parts: Vec<(String, f32)>,
    accuracy: f64,
    n_questions: usize,
    n_positions: usize,
}

impl Trainer {
    /// A run at its beginning, with random weights. `source` gives it its problems.
    ///
    /// # Errors
    /// If the task's tokenizer lacks a marker.
    pub fn new(config: RunConfig, source: Source, device: &Device) -> anyhow::Result<Trainer> {
        let n_tokens = config.task.vocabulary().len();
        let parameters = Parameters::init(&config.model, n_tokens, config.seed, device);
        Ok(Trainer {
            markers: config.task.markers(),
            sampler: soft_sampler(config.task)?,
            device: device.clone(),
            state: State::new(&config, parameters, device),
            config,
            pool: Pool::default(),
            scorer: None,
            source,
        })
    }

    /// What the run was asked for.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// What is trained and evaluated on.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Where the run is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Goes on from another place.
    pub fn set_state(&mut self, state: State) {
        self.state = state;
    }

    /// Whether the schedule is over.
    pub fn is_finished(&self) -> bool {
        self.state.progress.step >= self.config.last_step()
    }

    /// One step: a batch, its loss, its gradients, an update.
    ///
    /// # Errors
    /// If the loss, a gradient or an updated weight is not a finite number, or the device failed;
    /// the trainer then is as it was before.
    pub async fn step(&mut self) -> Result<StepReport, StepError> {
        let step = self.state.progress.step;
        self.fill_pool(step).await?;
        let mut random = Random::of_step(self.config.seed, step);
        let (batch, counts) = Batch::draw(
            &self.config,
            &self.source,
            &self.state.progress,
            &self.pool,
            &mut random,
        );
        let (parameters, ccot) = self.state.tracked(&self.config);
        let model = self.model(parameters, self.device.clone().autodiff());
        let loss = batch.loss(&self.objective(), &model, ccot.as_ref()).await?;
        let learning_rate = self.config.learning_rate(step);
        let tracked = State {
            parameters: model.parameters,
            ccot,
            ..self.state.clone()
        };
        let gradients = gradients_of(tracked.learned(&self.config), loss.loss.backward());
        let weights = self.state.learned(&self.config);
        let update = self
            .state
            .optimizer
            .update(&weights, gradients, learning_rate);
        let readings = Readings::read(loss, &update).await?;
        readings.check(step)?;
        self.take(update, &readings, counts);
        Ok(StepReport {
            step: step + 1,
            loss: f64::from(readings.loss),
            parts: readings.parts,
            accuracy: readings.accuracy,
            counts,
            gradient_norm: readings.gradient_norm,
            learning_rate,
            n_positions: readings.n_positions,
        })
    }

    /// Lets the frozen model of CCOT read what the step learns from.
    async fn fill_pool(&mut self, step: u64) -> Result<(), ExecutionError> {
        let Some(ccot) = &self.config.ccot else {
            return Ok(());
        };
        let mut pool = std::mem::take(&mut self.pool);
        let mut scorer = self.scorer.take();
        let model = self.model(self.state.parameters.clone(), self.device.clone());
        let objective = self.objective();
        let levels = &self.config.curriculum.levels;
        let level = levels.last().expect("a curriculum has levels");
        let draw = |random: &mut Random| self.source.contexts(&self.config, level, random);
        // Other streams than the batches'. The scorer follows from the seed, as the pool does.
        let stream = |step| Random::of_step(!self.config.seed, step);
        if let (Some(config), None) = (&ccot.scorer, &scorer) {
            let mut random = stream(u64::MAX);
            let draw = || draw(&mut random);
            scorer = Some(Scorer::fit(config, ccot.ratio, &objective, &model, draw).await?);
        }
        let read = async |step| {
            let mut random = stream(step);
            let contexts = draw(&mut random);
            let lesson = |context| Lesson::new(ccot, self.config.task, context, &mut random);
            let lessons = contexts.into_iter().map(lesson).collect();
            Reading::read(ccot.layer, &objective, &model, lessons, scorer.as_ref()).await
        };
        pool.advance(step, read).await?;
        self.pool = pool;
        self.scorer = scorer;
        Ok(())
    }

    /// Makes an update that was found good the state.
    fn take(&mut self, update: Update, readings: &Readings, counts: bool) {
        let Trainer { config, state, .. } = self;
        state.replace_learned(config, update.tensors);
        state.optimizer = update.optimizer;
        let step = state.progress.step;
        if state.progress.recall(config).is_none() {
            state.progress.n_questions += readings.n_questions as u64;
        }
        state.progress.step += 1;
        let begins_afresh = |stages: &StagesConfig| {
            stages.reset_optimizer && stages.at(step + 1) != stages.at(step)
        };
        // The next stage of CCOT learns other weights.
        let changes = |ccot: &CcotConfig| ccot.stage(step + 1) != ccot.stage(step);
        if config.stages.as_ref().is_some_and(begins_afresh)
            || config.ccot.as_ref().is_some_and(changes)
        {
            state.optimizer = Optimizer::new(&config.optimizer, &state.learned(config));
        }
        if counts {
            let loss = f64::from(readings.loss);
            state.progress.observe(readings.accuracy, loss, config);
        }
    }

    /// Fits the mode switch to the model as it is; `None` where the config asks for none, and
    /// before the last step.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn fit_end_classifier(&self) -> Result<Option<Fitted>, ExecutionError> {
        let Some(config) = &self.config.end_classifier else {
            return Ok(None);
        };
        if !self.is_finished() {
            return Ok(None);
        }
        let model = self.model(self.state.parameters.clone(), self.device.clone());
        let levels = &self.config.curriculum.levels;
        let level = levels.last().expect("a curriculum has levels");
        let mut random = Random::of_step(self.config.seed, u64::MAX);
        let draw = || self.source.contexts(&self.config, level, &mut random);
        let objective = self.objective();
        let fitted = end_classifier::fit(config, &objective, &model, draw).await?;
        Ok(Some(fitted))
    }

    fn model(&self, parameters: Parameters, device: Device) -> Llama<'_> {
        Llama {
            config: &self.config.model,
            parameters,
            device,
        }
    }

    fn objective(&self) -> Objective<'_> {
        Objective {
            config: &self.config.loss,
            markers: &self.markers,
            sampler: self.sampler,
        }
    }
}

/// The gradients of tracked weights, in their order.
fn gradients_of(tracked: Vec<Weight>, mut gradients: Gradients) -> Vec<Tensor<2>> {
    let of_weights = tracked.into_iter().map(|Weight { tensor, .. }| {
        let gradient = tensor.grad_remove(&mut gradients);
        // A weight that no output depends on (as in the recall stage) stays as it is.
        gradient.unwrap_or_else(|| tensor.inner().zeros_like())
    });
    of_weights.collect()
}

impl Readings {
    async fn read(batch: BatchLoss, update: &Update) -> Result<Readings, ExecutionError> {
        let mut tensors = vec![
            batch.loss.inner(),
            update.gradient_norm.clone(),
            global_norm(&update.tensors),
        ];
        let (names, parts): (Vec<_>, Vec<_>) = batch.parts.into_iter().unzip();
        tensors.extend(parts);
        let logits = batch.ungraded.iter().map(|u| u.logits.clone());
        tensors.extend(logits.map(flat));
        let mut numbers = read(tensors).await?.into_iter();
        let mut next = || numbers.next().expect("as many come back as were asked for");
        let [loss, gradient_norm, weight_norm] = [(); 3].map(|()| next()[0]);
        let parts = names.into_iter().map(|name| (name, next()[0])).collect();
        let accuracy = batch.ungraded.into_iter().fold(0.0, |sum, ungraded| {
            sum + ungraded.weight * (ungraded.accuracy)(&next())
        });
        Ok(Readings {
            loss,
            gradient_norm,
            weight_norm,
            parts,
            accuracy,
            n_questions: batch.n_questions,
            n_positions: batch.n_positions,
        })
    }

    fn check(&self, step: u64) -> Result<(), StepError> {
        let all = [
            ("the loss", self.loss),
            ("the norm of the gradients", self.gradient_norm),
            ("the norm of the updated weights", self.weight_norm),
        ];
        match all.into_iter().find(|(_, value)| !value.is_finite()) {
            Some((quantity, value)) => Err(StepError::NotFinite {
                quantity,
                value,
                step,
            }),
            None => Ok(()),
        }
    }
}
