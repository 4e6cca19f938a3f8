//! Where a command's problems come from: a generator, a file, or the command line.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use latent_model::{
    evaluation::generated_problems,
    tasks::{Difficulty, Problem, Task},
    text,
};

/// A source of problems.
#[derive(Args, Debug)]
pub struct ProblemArgs {
    /// Generates problems of this task.
    #[arg(long, value_parser = str::parse::<Task>)]
    pub task: Option<Task>,
    /// Difficulty of generated problems.
    #[arg(long, default_value = "class", value_parser = str::parse::<Difficulty>)]
    pub difficulty: Difficulty,
    /// Reads problems from a file in one of the task's formats (of the first task unless --task
    /// says else).
    #[arg(long)]
    pub data: Option<PathBuf>,
}

impl ProblemArgs {
    /// The problems of `--data`, whole.
    pub fn read_file(&self) -> Result<Option<Vec<Problem>>> {
        let Some(path) = &self.data else {
            return Ok(None);
        };
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let task = self.task.unwrap_or(Task::first());
        let loaded = text::decode(&bytes)
            .map_err(anyhow::Error::from)
            .and_then(|text| Ok(task.load(&text)?))
            .with_context(|| format!("in {}", path.display()))?;
        let (n, n_skipped) = (loaded.problems.len(), loaded.skipped.len());
        let reasons = loaded.reasons().join("; ");
        ensure!(
            n > 0,
            "{} holds no problems{}",
            path.display(),
            if n_skipped > 0 {
                format!("; left out: {reasons}")
            } else {
                String::new()
            }
        );
        if n_skipped > 0 {
            eprintln!(
                "{}: {n} problems, {n_skipped} more left out: {reasons}",
                path.display()
            );
        }
        Ok(Some(loaded.problems))
    }

    /// `n` generated problems, from `seed` on.
    pub fn generated(&self, seed: u64, n: usize) -> Result<Vec<Problem>> {
        let Some(task) = self.task else {
            bail!("give a problem: --task NAME (generated) or --data FILE");
        };
        Ok(generated_problems(task, self.difficulty, seed, n))
    }

    /// Where the problems come from, in words.
    pub fn describe(&self) -> String {
        match (&self.data, self.task) {
            (Some(path), _) => path.display().to_string(),
            (None, Some(task)) => {
                format!(
                    "{}, generated, {} size",
                    task.name(),
                    self.difficulty.name()
                )
            }
            (None, None) => String::new(),
        }
    }
}
