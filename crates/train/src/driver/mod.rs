//! What stands around a [`Trainer`] on a desk: files, clocks, a terminal.
//!
//! State, log and the latest export of a run are in its folder.

mod config_file;
mod start;
mod throughput;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use latent_model::model::Model;
use latent_model::training_record::{CurvePoint, Evaluation};
use pollster::block_on;

use crate::ccot::contemplation_files;
use crate::config::RunConfig;
use crate::evaluation::measure;
use crate::export::{folder_files, model_files};
use crate::logistic::LinearClassifier;
use crate::progress::{History, Record};
use crate::source::Source;
use crate::state::State;
use crate::trainer::{StepError, StepReport, Trainer};

pub use config_file::load_config;
pub use start::check_start;

use throughput::{Throughput, cpu_seconds};

/// Time between two saved states.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// Steps between two lines of the log.
const LOG_INTERVAL: u64 = 25;
/// The file in a run's folder that a resumed run goes on from.
const STATE: &str = "state.safetensors";

/// A run in progress.
pub struct Run {
    folder: PathBuf,
    trainer: Trainer,
    history: History,
    /// The step of the state in the folder, where it is one of this run.
    saved_step: Option<u64>,
    /// The last step that counted.
    last: Option<StepReport>,
    throughput: Throughput,
}

impl Run {
    /// Starts a run, or continues from the state in its folder.
    ///
    /// # Errors
    /// If the saved state, or the weights to start from, cannot be read or do not fit the config,
    /// or the official file cannot be read.
    pub fn new(
        config: RunConfig,
        folder: &Path,
        device: &Device,
        resume: bool,
    ) -> anyhow::Result<Run> {
        let source = source(&config)?;
        let mut trainer = Trainer::new(config, source, device)?;
        let mut history = History::default();
        let mut saved_step = None;
        if resume {
            let path = folder.join(STATE);
            let file = fs::read(&path)
                .with_context(|| format!("there is no saved state at {}", path.display()))?;
            let (state, saved) =
                State::from_bytes(&file, trainer.config(), trainer.state(), device)
                    .with_context(|| format!("cannot go on from {}", path.display()))?;
            saved_step = Some(state.progress.step);
            history = saved;
            trainer.set_state(state);
        } else if let Some(path) = &trainer.config().start_from {
            let mut state = trainer.state().clone();
            let config = trainer.config();
            state.parameters =
                start::load_start(Path::new(path), config, state.parameters, device)?;
            trainer.set_state(state);
        }
        Ok(Run {
            folder: folder.to_path_buf(),
            trainer,
            history,
            saved_step,
            last: None,
            throughput: Throughput::from_now(),
        })
    }

    /// What is trained.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// What was measured on the way.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Trains to the end of the schedule, logging, evaluating, saving and exporting on the way.
    ///
    /// # Errors
    /// If the run diverges (the last saved state, where there is one, then still stands), or a file
    /// cannot be written.
    pub fn train(&mut self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        let mut log = self.open_log()?;
        let bar = self.progress_bar()?;
        let mut saved = Instant::now();
        while !self.trainer.is_finished() {
            let step = self.step()?;
            if step.is_multiple_of(LOG_INTERVAL) {
                self.log(&mut log, &bar)?;
            }
            // The last step's evaluation comes below.
            let every = self.trainer.config().evaluation.every;
            if step.is_multiple_of(every) && !self.trainer.is_finished() {
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

    /// Takes a step and gives the number of steps taken.
    ///
    /// # Errors
    /// If the run diverges; the message says what there is to go on from.
    pub fn step(&mut self) -> anyhow::Result<u64> {
        let started = cpu_seconds();
        let report = block_on(self.trainer.step()).map_err(|error| self.explained(error))?;
        self.history.cpu_seconds += cpu_seconds() - started;
        self.throughput.n_steps += 1;
        self.throughput.n_positions += report.n_positions;
        let step = report.step;
        if report.counts {
            self.last = Some(report);
        }
        Ok(step)
    }

    fn explained(&self, error: StepError) -> anyhow::Error {
        if matches!(error, StepError::Device(_)) {
            return error.into();
        }
        match self.saved_step {
            Some(step) => anyhow::anyhow!(
                "{error}; the state saved after {step} steps stands in {}: lower the learning rate \
                 in the schedule and resume",
                self.folder.display()
            ),
            None => anyhow::anyhow!(
                "{error}; nothing had been saved yet: lower the learning rate in the schedule and \
                 start again"
            ),
        }
    }

    fn log(&mut self, log: &mut File, bar: &ProgressBar) -> anyhow::Result<()> {
        let (config, progress) = (self.trainer.config(), &self.trainer.state().progress);
        let point = CurvePoint {
            step: progress.step,
            stage: progress.stage(config),
            loss: progress.loss,
            accuracy: progress.accuracy,
        };
        let text = format!(
            "{} · loss {:.4} · accuracy {:.3}",
            point.stage, point.loss, point.accuracy
        );
        let throughput = self.throughput.text(config.last_step() - point.step);
        self.throughput = Throughput::from_now();
        let held_out = self.history.held_out().map_or(String::new(), |accuracy| {
            let percent = 100.0 * accuracy.share.value;
            format!(" · {percent:.1} % of {}", accuracy.problems)
        });
        bar.set_position(point.step);
        bar.set_message(format!("{text}{held_out} · {throughput}"));
        let parts = self.last.iter().flat_map(|report| &report.parts);
        let parts: Vec<String> = parts
            .map(|(name, loss)| format!("{name} {loss:.3}"))
            .collect();
        writeln!(
            log,
            "step {} · {text} ({}) · rate {:.2e} · {} questions · {:.0} s · {throughput}",
            point.step,
            parts.join(", "),
            config.learning_rate(point.step),
            progress.n_questions,
            self.history.cpu_seconds
        )?;
        self.history.curve.push(point);
        Ok(())
    }

    /// Decodes the evaluation problems, logs the accuracies and exports the model.
    fn evaluate(&mut self, log: &mut File) -> anyhow::Result<()> {
        let classifier = self.end_classifier(log)?;
        let config = self.trainer.config();
        let State {
            progress,
            parameters,
            ccot,
            ..
        } = self.trainer.state();
        let mut files = block_on(model_files(config, parameters, classifier.as_ref()))?;
        if let (Some(settings), Some(weights)) = (&config.ccot, ccot) {
            let base = config.start_from.as_deref().unwrap_or_default();
            files.contemplation = Some(block_on(contemplation_files(settings, weights, base))?);
        }
        let model = Model::from_files(&files)?;
        let mut accuracies = Vec::new();
        for decoding in &config.evaluation.decodings {
            for (name, problems) in &self.trainer.source().held_out {
                let accuracy = block_on(measure(&model, decoding, name, problems))?;
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
        let step = progress.step;
        self.history.evaluations.retain(|e| e.step != step);
        self.history.evaluations.push(Evaluation {
            step,
            n_questions: progress.n_questions,
            cpu_seconds: self.history.cpu_seconds,
            accuracies,
        });
        let record = Record {
            progress: progress.clone(),
            history: self.history.clone(),
        };
        let files = folder_files(&files, config, &record, parameters)?;
        write_folder(&self.folder.join("model"), &files)
    }

    /// Fits the mode switch where the config asks for one and the run is over.
    fn end_classifier(&self, log: &mut File) -> anyhow::Result<Option<LinearClassifier>> {
        let Some(fitted) = block_on(self.trainer.fit_end_classifier())? else {
            return Ok(None);
        };
        writeln!(
            log,
            "end classifier: right on {:.1} % of {} fresh states",
            100.0 * fitted.accuracy,
            fitted.n_states
        )?;
        Ok(Some(fitted.classifier))
    }

    /// Writes the state that a resumed run goes on from, bit for bit.
    ///
    /// # Errors
    /// If a number is not finite, or the file cannot be written; the former state then still
    /// stands.
    pub fn save(&mut self) -> anyhow::Result<()> {
        let path = self.folder.join(STATE);
        let state = self.trainer.state();
        let bytes = block_on(state.to_bytes(self.trainer.config(), &self.history))
            .with_context(|| format!("cannot save {}", path.display()))?;
        // A file that is written half must not stand where a whole one stood.
        let fresh = path.with_extension("new");
        fs::write(&fresh, bytes).with_context(|| format!("cannot write {}", fresh.display()))?;
        fs::rename(&fresh, &path).with_context(|| format!("cannot replace {}", path.display()))?;
        self.saved_step = Some(state.progress.step);
        Ok(())
    }

    fn open_log(&self) -> anyhow::Result<File> {
        let path = self.folder.join("log.txt");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let state = self.trainer.state();
        writeln!(
            file,
            "{}: {} parameters, from step {}",
            self.trainer.config().name,
            state.parameters.count(),
            state.progress.step
        )?;
        Ok(file)
    }

    fn progress_bar(&self) -> anyhow::Result<ProgressBar> {
        let step = self.trainer.state().progress.step;
        let bar = ProgressBar::new(self.trainer.config().last_step()).with_position(step);
        let style = "{bar:30} {pos}/{len} · {msg}";
        Ok(bar.with_style(ProgressStyle::with_template(style)?))
    }
}

/// Writes files to a folder, which is made if it is not there.
///
/// # Errors
/// If the folder cannot be made or a file not be written.
pub fn write_folder(folder: &Path, files: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    for (name, content) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The run's problems, with those of the official file where it is there.
fn source(config: &RunConfig) -> anyhow::Result<Source> {
    let official = config.evaluation.official.as_deref().map(Path::new);
    let Some(path) = official.filter(|path| path.exists()) else {
        return Source::new(config, None);
    };
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Source::new(config, Some((&name, &text)))
        .with_context(|| format!("cannot read {}", path.display()))
}
