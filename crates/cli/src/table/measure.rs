//! Measures one checkpoint with one strategy on every set of problems.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use latent_gpu::AnyEngine;
use latent_model::{
    engine::{Engine, Renewable},
    evaluation::{Trials, evaluate},
    evidence::{MeasuredThinking, Outcome},
    program::Program,
    tasks::{Difficulty, Task},
    tokenizer::Tokenizer,
};

use super::{args::TableArgs, cache::Cache, suite::Cell};
use crate::{
    engines::open_lasting_engine,
    folder::{adapter_folders, load_adapted, weights_digest},
    problems::{ProblemArgs, ProblemSet},
};

/// All that measurements share.
pub struct Bench<'a> {
    args: &'a TableArgs,
    sets: &'a [ProblemSet],
    cache: Option<Cache>,
    bar: ProgressBar,
    /// Where it is computed, once that is known.
    pub engine: Option<String>,
}

/// The official problems of a task and the generated ones of class size.
///
/// The official problems come from the task's file in the folder `--data`; a task without such a
/// file gets generated ones of the official size.
pub fn problem_sets(args: &TableArgs, task: Task) -> Result<[ProblemSet; 2]> {
    let generated = |difficulty| ProblemSet::generated(task, difficulty, args.seed, args.n);
    let official = match task.official_file() {
        Some(name) => {
            let file = ProblemArgs {
                task: Some(task),
                difficulty: Difficulty::Official,
                data: Some(args.data.join(name)),
            };
            let problems = file.read_file()?.context("--data is given")?;
            let source = format!("the {} problems of `{name}`", problems.len());
            ProblemSet::new(task, Difficulty::Official, source, problems, 0)
        }
        None => generated(Difficulty::Official),
    };
    Ok([official, generated(Difficulty::Class)])
}

impl<'a> Bench<'a> {
    /// A bench for these sets of problems.
    pub fn new(args: &'a TableArgs, sets: &'a [ProblemSet], bar: ProgressBar) -> Result<Self> {
        let cache = match args.no_cache {
            true => None,
            false => Some(Cache::open(args.cache.clone())?),
        };
        Ok(Self {
            args,
            sets,
            cache,
            bar,
            engine: None,
        })
    }

    /// Runs of one cell of a task: one for each problem, 0 where it is not measured.
    pub fn n_runs(&self, task: &str, label: &str, cell: &Cell) -> usize {
        let is_measured = self.is_asked_for(label, cell) && self.ships(cell);
        let sets = self.sets.iter().filter(|set| set.shown.task == task);
        let n_problems: usize = sets.map(|set| set.shown.n).sum();
        if is_measured {
            cell.samples * n_problems
        } else {
            0
        }
    }

    /// Measures a cell, or says why not.
    pub async fn measure(
        &mut self,
        task: &str,
        label: &str,
        cell: &Cell,
    ) -> Result<Outcome<MeasuredThinking>> {
        if !self.ships(cell) {
            return Ok(Outcome::NotTrained);
        }
        if !self.is_asked_for(label, cell) {
            return Ok(Outcome::LeftOut);
        }
        let name = format!("{} {}", cell.strategy, cell.set.join(" "));
        self.bar
            .set_message(format!("{} · {}", cell.model, name.trim_end()));
        let (weights_sha256, results) = self
            .results(task, cell)
            .await
            .with_context(|| format!("{label}: {} with {}", cell.model, name.trim_end()))?;
        Ok(Outcome::Measured {
            weights_sha256,
            results,
        })
    }

    async fn results(
        &mut self,
        task: &str,
        cell: &Cell,
    ) -> Result<(String, Vec<MeasuredThinking>)> {
        let folder = self.folder(cell);
        let adapters = cell.adapters.as_deref();
        let model = load_adapted(&folder, adapters)?;
        let program = cell.program(&model.tokenizer, model.capabilities())?;
        let mut engine = open_lasting_engine(self.args.engine, &model).await?;
        self.engine = Some(engine.description());
        let weights_sha256 = weights_digest(&folder, adapters)?;
        // All that a measurement depends on beside the problems. The program of phases says what
        // strategy and settings mean; shape and vocabulary are files of their own.
        let key_parts = [
            weights_sha256.clone(),
            fs::read_to_string(folder.join("config.json"))?,
            fs::read_to_string(folder.join("tokenizer.json"))?,
            format!("{program:?}"),
            engine.description(),
            cell.samples.to_string(),
        ];
        let mut results = Vec::new();
        for set in self.sets.iter().filter(|set| set.shown.task == task) {
            let runner = (&mut engine, &model.tokenizer, &program, cell.samples);
            results.push(self.result(set, runner, &key_parts).await?);
        }
        Ok((weights_sha256, results))
    }

    /// The result on one set, from the cache or measured.
    async fn result(
        &self,
        set: &ProblemSet,
        (engine, tokenizer, program, samples): (
            &mut Renewable<AnyEngine>,
            &Tokenizer,
            &Program,
            usize,
        ),
        key_parts: &[String],
    ) -> Result<MeasuredThinking> {
        let noise_seed = set.noise_seed.to_string();
        let of_set = [&set.shown.name, &set.shown.sha256, &noise_seed];
        let parts: Vec<&str> = key_parts.iter().chain(of_set).map(String::as_str).collect();
        let keyed = self.cache.as_ref().map(|cache| (cache, cache.key(&parts)));
        if let Some((cache, key)) = &keyed
            && let Some(measured) = cache.get(key)?
        {
            self.bar.inc((set.shown.n * samples) as u64);
            return Ok(measured);
        }
        let trials = Trials {
            program,
            problems: &set.problems,
            samples,
            seed: set.noise_seed,
        };
        let done_before = self.bar.position();
        let evaluation = evaluate(engine, tokenizer, trials, |done, _| {
            self.bar.set_position(done_before + done as u64);
        })
        .await?;
        let measured = MeasuredThinking::new(&set.shown.name, &evaluation);
        if let Some((cache, key)) = &keyed {
            cache.put(key, &measured)?;
        }
        Ok(measured)
    }

    fn folder(&self, cell: &Cell) -> PathBuf {
        let mut folders = self
            .args
            .models
            .iter()
            .map(|folder| folder.join(&cell.model));
        let has_model = |folder: &PathBuf| folder.join("config.json").exists();
        folders
            .find(has_model)
            .unwrap_or_else(|| cell.model.clone().into())
    }

    /// Whether there is such a checkpoint, with the adapters that the cell names.
    fn ships(&self, cell: &Cell) -> bool {
        let folder = self.folder(cell);
        let known = |name: &String| adapter_folders(&folder).is_ok_and(|all| all.contains(name));
        folder.join("config.json").exists() && cell.adapters.as_ref().is_none_or(known)
    }

    fn is_asked_for(&self, label: &str, cell: &Cell) -> bool {
        let only = &self.args.only;
        only.is_empty() || only.iter().any(|name| *name == cell.model || name == label)
    }
}
