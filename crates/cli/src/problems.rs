//! Where a command's problems come from: a generator, a file, or the command line.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use latent_model::{
    evaluation::generated_problems,
    evidence::SetOfTable,
    tasks::{Difficulty, Problem, Task},
    text,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{folder::hex, made::CommandText};

/// A source of problems.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProblemArgs {
    /// Generates problems of this task.
    #[arg(long, value_parser = str::parse::<Task>)]
    pub task: Option<Task>,
    /// Difficulty of generated problems.
    #[arg(long, default_value = "class", value_parser = str::parse::<Difficulty>)]
    #[serde(with = "difficulty_name")]
    pub difficulty: Difficulty,
    /// Reads problems from a file in one of the task's formats (of the first task unless --task
    /// says else).
    #[arg(long)]
    pub data: Option<PathBuf>,
}

/// A difficulty as its name.
mod difficulty_name {
    use super::Difficulty;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &Difficulty, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Difficulty, D::Error> {
        let name = String::deserialize(from)?;
        name.parse().map_err(D::Error::custom)
    }
}

impl ProblemArgs {
    /// Adds what says where the problems come from to a command.
    pub fn say(&self, command: &mut CommandText) {
        let task = self.task.iter();
        task.for_each(|task| command.say("task", task.name()));
        match &self.data {
            Some(data) => command.say("data", data.display()),
            None => command.say("difficulty", self.difficulty.name()),
        }
    }

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

/// Problems with what the evidence says of them.
pub struct ProblemSet {
    /// As in the evidence.
    pub shown: SetOfTable,
    /// All of them.
    pub problems: Vec<Problem>,
    /// Seed of noise, as `latent eval` has it: the first problem's, and 0 for a file's problems.
    pub noise_seed: u32,
}

impl ProblemSet {
    /// `n` generated problems, from `seed` on.
    pub fn generated(task: Task, difficulty: Difficulty, seed: u32, n: usize) -> Self {
        let first = u64::from(seed);
        let last = first + n.saturating_sub(1) as u64;
        let size = difficulty.name();
        let source = format!("{n} problems generated at {size} size, seeds {first} to {last}");
        let problems = generated_problems(task, difficulty, first, n);
        Self::new(task, difficulty, source, problems, seed)
    }

    /// Problems of a size, and where they come from.
    pub fn new(
        task: Task,
        difficulty: Difficulty,
        source: String,
        problems: Vec<Problem>,
        noise_seed: u32,
    ) -> Self {
        let mut digest = Sha256::new();
        for problem in &problems {
            digest.update(format!("{}\n{}\n", problem.question(), problem.answer()));
        }
        let shown = SetOfTable {
            task: task.name().into(),
            name: difficulty.name().into(),
            source,
            n: problems.len(),
            sha256: hex(&digest.finalize()),
        };
        Self {
            shown,
            problems,
            noise_seed,
        }
    }
}
