//! The training loop, in the open: draw, forward, backward, update, log, save.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use latent_model::tasks::prosqa::{self, Difficulty, Problem, VOCABULARY_SIZE};

use crate::config::{RecallConfig, RunConfig};
use crate::evaluation::{Accuracy, held_out, right_answers};
use crate::export::export;
use crate::llama::Llama;
use crate::objective::{Method, Outcome};
use crate::optimizer::Optimizer;
use crate::parameters::Parameters;
use crate::progress::{self, CurvePoint, Evaluation, Progress};
use crate::random::Random;
use crate::samples::{Level, Sample};
use crate::{coconut, recall, words};

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
    problems: Vec<(String, Vec<Problem>)>,
    /// Statements of the problems above, none of which may be trained on.
    withheld: HashSet<Vec<[u32; 2]>>,
    /// The last step's loss, part by part.
    parts: Vec<(&'static str, f32)>,
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
        let mut parameters = Parameters::init(&config.model, VOCABULARY_SIZE, config.seed, device);
        let mut optimizer = Optimizer::new(&config.optimizer, &parameters);
        let mut progress = Progress::default();
        if resume {
            let state = folder.join(STATE);
            (progress, parameters) = progress::load(&state, parameters, &mut optimizer, device)?;
        } else if let Some(state) = &config.start_from {
            parameters = progress::load_weights(Path::new(state), parameters, device)?;
        }
        let problems = evaluation_problems(&config)?;
        let withheld = problems.iter().flat_map(|(_, problems)| problems);
        Ok(Run {
            withheld: withheld
                .map(|problem| Sample::from_problem(problem).statement_set())
                .collect(),
            problems,
            config,
            folder: folder.to_path_buf(),
            device: device.clone(),
            parameters,
            optimizer,
            progress,
            parts: Vec::new(),
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
            if step.is_multiple_of(self.config.evaluation.every) {
                self.evaluate(&mut log)?;
            }
            if saved.elapsed() > SAVE_INTERVAL {
                self.save()?;
                saved = Instant::now();
            }
        }
        self.evaluate(&mut log)?;
        self.save()
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
            let (level, largest_set) = recall_stage(recall, self.progress.recall_stage);
            let samples = self.draw(random, &level, 1, 0);
            let outcome = match self.config.method {
                Method::Coconut => {
                    recall::successors_loss(model, &samples, recall.sets, largest_set, random)
                }
                Method::Cot => {
                    let loss = &self.config.loss;
                    recall::ancestors_loss(model, samples, recall.sets, loss, random)
                }
            };
            return (outcome, true);
        }
        let levels = &self.config.curriculum.levels;
        let current = self.progress.level;
        let reviews = current > 0 && random.uniform() < self.config.curriculum.review;
        let level = if reviews {
            random.below(current)
        } else {
            current
        };
        let batch = &self.config.batch;
        let (n_main, n_extra) = (batch.main_questions, batch.extra_questions);
        let samples = self.draw(random, &levels[level], n_main, n_extra);
        let loss = &self.config.loss;
        let outcome = match self.config.method {
            Method::Coconut => coconut::loss(model, &samples, levels[current].thoughts, loss),
            Method::Cot => words::loss(model, &samples, loss, random),
        };
        (outcome, !reviews)
    }

    fn draw(&self, random: &mut Random, level: &Level, main: usize, extra: usize) -> Vec<Sample> {
        std::iter::repeat_with(|| Sample::draw(random, level, main, extra))
            .filter(|sample| !self.withheld.contains(&sample.statement_set()))
            .take(self.config.batch.graphs)
            .collect()
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
            None => format!("level {}", self.progress.level),
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
        bar.set_position(point.step);
        bar.set_message(text.clone());
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|(name, loss)| format!("{name} {loss:.3}"))
            .collect();
        writeln!(
            log,
            "step {} · {text} ({}) · rate {:.2e} · {} questions · {:.0} s",
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
        let model = Llama {
            config: &self.config.model,
            parameters: self.parameters.clone(),
            device: self.device.clone(),
        };
        let n_thoughts = self.config.evaluation.thoughts;
        let mut accuracies = Vec::new();
        for (name, problems) in &self.problems {
            let right = right_answers(&model, problems, self.config.method, n_thoughts);
            let hops: Vec<usize> = problems
                .iter()
                .map(|p| p.distance(p.root, p.target).unwrap_or(0))
                .collect();
            let accuracy = Accuracy::count(name, &hops, &right);
            writeln!(
                log,
                "  {name}: {:.1} % of {} [{:.1}, {:.1}], by hops {:?}",
                100.0 * accuracy.accuracy,
                accuracy.n,
                100.0 * accuracy.ci_low,
                100.0 * accuracy.ci_high,
                accuracy.by_hops
            )?;
            accuracies.push(accuracy);
        }
        self.progress.evaluations.push(Evaluation {
            step: self.progress.step,
            n_questions: self.progress.n_questions,
            cpu_seconds: self.progress.cpu_seconds,
            accuracies,
        });
        export(
            &self.folder.join("model"),
            &self.config,
            &self.progress,
            &self.parameters,
        )
    }

    fn save(&self) -> anyhow::Result<()> {
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
        let style = "{bar:30} {pos}/{len} · {msg} · {eta} left";
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
        thoughts: 0,
    };
    (level, stage.max(1))
}

fn evaluation_problems(config: &RunConfig) -> anyhow::Result<Vec<(String, Vec<Problem>)>> {
    let n = config.evaluation.problems;
    let mut problems: Vec<(String, Vec<Problem>)> = Difficulty::PRESETS
        .into_iter()
        .map(|(name, difficulty)| (name.to_string(), held_out(&difficulty, n)))
        .collect();
    let official = Path::new(&config.evaluation.official);
    if official.exists() {
        let text = fs::read_to_string(official)?;
        let name = official.file_stem().unwrap_or_default().to_string_lossy();
        problems.push((name.into_owned(), prosqa::load(&text)?));
    }
    Ok(problems)
}

/// CPU seconds of this thread, as Linux counts them; elsewhere the time since the first call.
fn cpu_seconds() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let linux = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = linux.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(
        || START.get_or_init(Instant::now).elapsed().as_secs_f64(),
        |nanoseconds| nanoseconds / 1e9,
    )
}
