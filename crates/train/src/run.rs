//! The training loop, in the open: draw, forward, backward, update, log, save.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use latent_model::model::Model;
use latent_model::program::Sampler;
use latent_model::tasks::Markers;
use latent_model::training_record::{CurvePoint, Evaluation};

use crate::config::{Level, RecallConfig, RunConfig};
use crate::end_classifier::{self, EndClassifier};
use crate::evaluation::measure;
use crate::export::{export, model_files};
use crate::lesson::Passage;
use crate::llama::Llama;
use crate::method::{Form, Stage};
use crate::objective::{Objective, Outcome, Share, soft_sampler};
use crate::optimizer::Optimizer;
use crate::pace::{Pace, cpu_seconds};
use crate::parameters::Parameters;
use crate::progress::{self, Progress};
use crate::random::Random;
use crate::recall;
use crate::source::Source;

/// Time between two saved states.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// Steps between two lines of the log.
const LOG_INTERVAL: u64 = 25;

/// A run in progress.
pub struct Run {
    config: RunConfig,
    folder: PathBuf,
    device: Device,
    parameters: Parameters,
    optimizer: Optimizer,
    progress: Progress,
    source: Source,
    /// The last step's loss, part by part.
    parts: Vec<(String, f32)>,
    pace: Pace,
    markers: Markers,
    /// What makes the concept tokens of Soft Thinking.
    sampler: Sampler,
}

impl Run {
    /// Starts a run, or continues from the state in its folder.
    ///
    /// # Errors
    /// If the saved state does not fit the config, or the official file cannot be read.
    pub fn new(
        config: RunConfig,
        folder: &Path,
        device: &Device,
        resume: bool,
    ) -> anyhow::Result<Run> {
        let n_tokens = config.task.vocabulary().len();
        let mut parameters = Parameters::init(&config.model, n_tokens, config.seed, device);
        let mut optimizer = Optimizer::new(&config.optimizer, &parameters);
        let mut progress = Progress::default();
        if resume {
            let state = folder.join(STATE);
            (progress, parameters) = progress::load(&state, parameters, &mut optimizer, device)?;
        } else if let Some(state) = &config.start_from {
            let tasks = (config.start_task.unwrap_or(config.task), config.task);
            parameters = progress::load_weights(Path::new(state), parameters, tasks, device)?;
        }
        Ok(Run {
            source: Source::new(&config)?,
            markers: config.task.markers(),
            sampler: soft_sampler(config.task)?,
            config,
            folder: folder.to_path_buf(),
            device: device.clone(),
            parameters,
            optimizer,
            progress,
            parts: Vec::new(),
            pace: Pace::from_now(),
        })
    }

    /// What the run has reached.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Trains to the end of the schedule, logging, evaluating, saving and exporting on the way.
    ///
    /// # Errors
    /// If a loss is not a number (the last saved state then still stands), or a file cannot be
    /// written.
    pub fn train(&mut self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        let mut log = self.open_log()?;
        let bar = self.progress_bar()?;
        let mut saved = Instant::now();
        while self.progress.step < self.config.last_step() {
            self.step()?;
            let step = self.progress.step;
            if step.is_multiple_of(LOG_INTERVAL) {
                self.log(&mut log, &bar)?;
            }
            // The last step's evaluation comes below.
            let is_last = step == self.config.last_step();
            if step.is_multiple_of(self.config.evaluation.every) && !is_last {
                self.evaluate(&mut log)?;
            }
            if saved.elapsed() > SAVE_INTERVAL {
                self.save()?;
                saved = Instant::now();
            }
        }
        // Saved first: what follows can be repeated, the steps can not.
        self.save()?;
        self.evaluate(&mut log)?;
        self.save()
    }

    /// Fits the mode switch to the model as it is; `None` where the config asks for none, and
    /// before the last step.
    fn end_classifier(&self, log: &mut File) -> anyhow::Result<Option<EndClassifier>> {
        let Some(config) = &self.config.end_classifier else {
            return Ok(None);
        };
        if self.progress.step < self.config.last_step() {
            return Ok(None);
        }
        let model = Llama {
            config: &self.config.model,
            parameters: self.parameters.clone(),
            device: self.device.clone(),
        };
        let level = self.config.curriculum.levels.last();
        let level = level.context("a curriculum has levels")?;
        let mut random = Random::of_step(self.config.seed, u64::MAX);
        let draw = || self.passages(level, &mut random);
        let fitted = end_classifier::fit(config, &self.objective(), &model, draw);
        writeln!(
            log,
            "end classifier: right on {:.1} % of {} fresh states",
            100.0 * fitted.accuracy,
            fitted.n_states
        )?;
        Ok(Some(fitted.classifier))
    }

    /// One step: a batch, its loss, its gradients, an update.
    ///
    /// # Errors
    /// If the loss is not a finite number.
    pub fn step(&mut self) -> anyhow::Result<()> {
        let started = cpu_seconds();
        let step = self.progress.step;
        let mut random = Random::of_step(self.config.seed, step);
        let sizes = self.config.model.clone();
        let model = Llama {
            config: &sizes,
            parameters: self.parameters.tracked(),
            device: self.device.clone().autodiff(),
        };
        let (outcome, counts) = self.forward(&model, &mut random);
        let loss = f64::from(outcome.loss.clone().inner().into_scalar::<f32>());
        if !loss.is_finite() {
            bail!(
                "the loss is {loss} at step {step}: the state saved before it still stands in {}; \
                 lower the learning rate in the schedule and resume",
                self.folder.display()
            );
        }
        let mut gradients = outcome.loss.backward();
        let gradients = model
            .parameters
            .named()
            .into_iter()
            .map(|(_, _, weight)| {
                let gradient = weight.grad_remove(&mut gradients);
                // A weight that no output depends on (as in the recall stage) stays as it is.
                gradient.unwrap_or_else(|| weight.inner().zeros_like())
            })
            .collect();
        let rate = self.config.learning_rate(step);
        self.parameters = self
            .optimizer
            .step(self.parameters.clone(), gradients, rate);
        if self.recall().is_none() {
            self.progress.n_questions += outcome.n_questions as u64;
        }
        self.progress.step += 1;
        self.pace.n_steps += 1;
        self.pace.n_positions += outcome.n_positions;
        if let Some(stages) = &self.config.stages
            && stages.reset_optimizer
            && stages.at(step + 1) != stages.at(step)
        {
            self.optimizer = Optimizer::new(&self.config.optimizer, &self.parameters);
        }
        self.progress.cpu_seconds += cpu_seconds() - started;
        if counts {
            let window = self.config.curriculum.window;
            self.progress.observe(outcome.accuracy, loss, window);
            self.parts = outcome.parts;
            self.climb();
        }
        Ok(())
    }

    /// The batch's outcome, and whether it counts for the curriculum.
    fn forward(&self, model: &Llama, random: &mut Random) -> (Outcome, bool) {
        if let Some(recall) = self.recall() {
            return (self.forward_recall(model, recall, random), true);
        }
        let curriculum = &self.config.curriculum;
        let current = self.progress.level;
        let reviews = current > 0 && random.uniform() < curriculum.review;
        let level = if reviews {
            random.below(current)
        } else {
            current
        };
        let passages = self.passages(&curriculum.levels[level], random);
        let varies = random.uniform() < curriculum.vary_thoughts;
        let stage = match &self.config.stages {
            Some(stages) => stages.draw(self.progress.step, random),
            None if varies => Stage::wordless(1 + random.below(curriculum.most_thoughts)),
            None => Stage::wordless(curriculum.levels[current].thoughts),
        };
        let batch = &self.config.batch;
        let shares = self.shares(batch.main_questions + batch.extra_questions, stage);
        let outcome = self.objective().loss(model, &passages, &shares);
        (outcome, !reviews && !varies)
    }

    fn objective(&self) -> Objective<'_> {
        Objective {
            config: &self.config.loss,
            markers: &self.markers,
            sampler: self.sampler,
        }
    }

    fn passages(&self, level: &Level, random: &mut Random) -> Vec<Passage> {
        let RunConfig { batch, loss, .. } = &self.config;
        self.source.passages(random, level, batch, loss)
    }

    fn forward_recall(&self, model: &Llama, recall: &RecallConfig, random: &mut Random) -> Outcome {
        let (level, largest_set) = recall_stage(recall, self.progress.recall_stage);
        let graphs = self.config.batch.graphs;
        let samples = self.source.graphs(random, &level, graphs);
        let (sets, markers) = (recall.sets, &self.markers);
        if recall.backward {
            recall::ancestors_loss(model, samples, sets, &self.config.loss, markers, random)
        } else {
            recall::successors_loss(model, &samples, sets, largest_set, markers, random)
        }
    }

    /// Deals the questions of each graph to the forms, in turn.
    fn shares(&self, n_questions: usize, stage: Stage) -> Vec<Share> {
        let forms = &self.config.forms;
        let mut counts: BTreeMap<Form, usize> = BTreeMap::new();
        for question in 0..n_questions {
            *counts.entry(forms[question % forms.len()]).or_default() += 1;
        }
        let share = |(form, n_lessons)| Share {
            form,
            stage,
            n_lessons,
        };
        counts.into_iter().map(share).collect()
    }

    /// The warm-up's settings while it lasts.
    fn recall(&self) -> Option<&RecallConfig> {
        let recall = self.config.recall.as_ref()?;
        (self.progress.recall_stage <= recall.largest_set).then_some(recall)
    }

    /// Goes on to the next stage or level when the running accuracy allows it.
    fn climb(&mut self) {
        let window = self.config.curriculum.window;
        let settled = self.progress.accuracy_steps >= window * 0.9;
        match self.recall() {
            Some(recall) => {
                if settled && self.progress.accuracy >= recall.threshold {
                    self.progress.recall_stage += 1;
                    self.progress.forget_accuracy();
                }
            }
            None => {
                let is_last = self.progress.level + 1 == self.config.curriculum.levels.len();
                let threshold = self.config.curriculum.threshold;
                if settled && self.progress.accuracy >= threshold && !is_last {
                    self.progress.level += 1;
                    self.progress.forget_accuracy();
                }
            }
        }
    }

    /// The name of the stage that the run is in.
    fn stage(&self) -> String {
        match self.recall() {
            Some(_) => format!("recall {}", self.progress.recall_stage),
            None => match &self.config.stages {
                Some(stages) => format!("stage {}", stages.at(self.progress.step)),
                None => format!("level {}", self.progress.level),
            },
        }
    }

    fn log(&mut self, log: &mut File, bar: &ProgressBar) -> anyhow::Result<()> {
        let point = CurvePoint {
            step: self.progress.step,
            stage: self.stage(),
            loss: self.progress.loss,
            accuracy: self.progress.accuracy,
        };
        let text = format!(
            "{} · loss {:.4} · accuracy {:.3}",
            point.stage, point.loss, point.accuracy
        );
        let pace = self.pace.text(self.config.last_step() - point.step);
        self.pace = Pace::from_now();
        let held_out = self.progress.held_out().map_or(String::new(), |accuracy| {
            let percent = 100.0 * accuracy.share.value;
            format!(" · {percent:.1} % of {}", accuracy.problems)
        });
        bar.set_position(point.step);
        bar.set_message(format!("{text}{held_out} · {pace}"));
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|(name, loss)| format!("{name} {loss:.3}"))
            .collect();
        writeln!(
            log,
            "step {} · {text} ({}) · rate {:.2e} · {} questions · {:.0} s · {pace}",
            point.step,
            parts.join(", "),
            self.config.learning_rate(point.step),
            self.progress.n_questions,
            self.progress.cpu_seconds
        )?;
        self.progress.curve.push(point);
        Ok(())
    }

    /// Decodes the evaluation problems, logs the accuracies and exports the model.
    fn evaluate(&mut self, log: &mut File) -> anyhow::Result<()> {
        let classifier = self.end_classifier(log)?;
        let files = model_files(&self.config, &self.parameters, classifier.as_ref())?;
        let model = Model::from_files(&files)?;
        let mut accuracies = Vec::new();
        for decoding in &self.config.evaluation.decodings {
            for (name, problems) in &self.source.held_out {
                let accuracy = measure(&model, decoding, name, problems)?;
                writeln!(
                    log,
                    "  {}: {:.1} % of {} [{:.1}, {:.1}], by hops {:?}",
                    accuracy.problems,
                    100.0 * accuracy.share.value,
                    accuracy.share.n,
                    100.0 * accuracy.share.low,
                    100.0 * accuracy.share.high,
                    accuracy.by_hops
                )?;
                accuracies.push(accuracy);
            }
        }
        // A finished run that is resumed, for a mode switch say, is evaluated again.
        let step = self.progress.step;
        self.progress.evaluations.retain(|e| e.step != step);
        self.progress.evaluations.push(Evaluation {
            step,
            n_questions: self.progress.n_questions,
            cpu_seconds: self.progress.cpu_seconds,
            accuracies,
        });
        let folder = self.folder.join("model");
        export(
            &folder,
            &files,
            &self.config,
            &self.progress,
            &self.parameters,
        )
    }

    /// Writes the state that a resumed run goes on from, bit for bit.
    ///
    /// # Errors
    /// If the file cannot be written; the former state then still stands.
    pub fn save(&self) -> anyhow::Result<()> {
        let path = self.folder.join(STATE);
        progress::save(&path, &self.progress, &self.parameters, &self.optimizer)
    }

    fn open_log(&self) -> anyhow::Result<File> {
        let path = self.folder.join("log.txt");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
        writeln!(
            file,
            "{}: {} parameters, from step {}",
            self.config.name,
            self.parameters.count(),
            self.progress.step
        )?;
        Ok(file)
    }

    fn progress_bar(&self) -> anyhow::Result<ProgressBar> {
        let bar = ProgressBar::new(self.config.last_step()).with_position(self.progress.step);
        let style = "{bar:30} {pos}/{len} · {msg}";
        Ok(bar.with_style(ProgressStyle::with_template(style)?))
    }
}

/// The file in a run's folder that `--resume` reads.
const STATE: &str = "state.safetensors";

/// The graph sizes and the largest set of one warm-up stage.
fn recall_stage(recall: &RecallConfig, stage: usize) -> (Level, usize) {
    let level = Level {
        nodes: recall.nodes[stage.min(1)],
        hops: [1, 4],
        dead_ends: false,
        thoughts: 0,
    };
    (level, stage.max(1))
}
