//! A file of results: what was measured, then a line for each run, so that an evaluation that was
//! cut off goes on, and every run that was counted can be seen again.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use latent_model::evaluation::RunResult;
use serde::{Deserialize, Serialize};

use crate::{asking::AskingArgs, problems::ProblemArgs};

/// The first line: all that a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The checkpoint's name.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights: String,
    /// Description of the engine.
    pub engine: String,
    pub strategy: String,
    /// `key=value`
    pub settings: Vec<String>,
    #[serde(flatten)]
    pub problems: ProblemArgs,
    /// Problems that were generated, where they were.
    pub n: usize,
    #[serde(flatten)]
    pub asking: AskingArgs,
    pub seed: u32,
    pub samples: usize,
}

/// An open file of results, to which runs are added.
pub struct Results {
    path: PathBuf,
    file: File,
}

impl Results {
    /// Opens the file of this measurement, or begins it; gives the runs that it holds.
    pub fn open(path: &Path, measured: &Measured) -> Result<(Self, Vec<RunResult>)> {
        let is_new = !path.exists();
        let runs = match is_new {
            true => Vec::new(),
            false => {
                let (found, runs) = read(path)?;
                ensure!(
                    found == *measured,
                    "{} holds another measurement: expected\n{}\nfound\n{}",
                    path.display(),
                    serde_json::to_string(measured)?,
                    serde_json::to_string(&found)?
                );
                // A line that was cut off is written again.
                let mut kept = serde_json::to_string(&found)? + "\n";
                for run in &runs {
                    kept += &(serde_json::to_string(run)? + "\n");
                }
                fs::write(path, kept).with_context(|| writing(path))?;
                runs
            }
        };
        let file = OpenOptions::new().create(true).append(true).open(path);
        let mut results = Self {
            path: path.into(),
            file: file.with_context(|| writing(path))?,
        };
        if is_new {
            results.line(&serde_json::to_string(measured)?)?;
        }
        Ok((results, runs))
    }

    /// Adds a run.
    pub fn add(&mut self, run: &RunResult) -> Result<()> {
        self.line(&serde_json::to_string(run)?)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").with_context(|| writing(&self.path))
    }
}

fn writing(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// What a file measures, and its runs; a last line that was cut off is left out.
pub fn read(path: &Path) -> Result<(Measured, Vec<RunResult>)> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let measured = serde_json::from_str(first)
        .with_context(|| format!("{}, line 1: not a file of results", path.display()))?;
    let lines: Vec<&str> = rest.lines().collect();
    let mut runs = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(run) => runs.push(run),
            Err(_) if index + 1 == lines.len() && !text.ends_with('\n') => {}
            Err(error) => bail!("{}, line {}: {error}", path.display(), index + 2),
        }
    }
    Ok((measured, runs))
}
