//! What `latent table` is asked for.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::engines::EngineKind;

/// The suite that is measured by default.
pub const COCONUT: &str = "crates/cli/suites/coconut.toml";
/// Where checkpoints lie by default.
pub const MODELS: &str = "public/models";

/// Arguments of `latent table`.
#[derive(Args)]
pub struct TableArgs {
    /// The rows: a TOML file.
    #[arg(long, default_value = COCONUT)]
    pub suite: PathBuf,
    /// Folders that hold model folders, of which the first that has a checkpoint is asked; one that
    /// is in none of them is shown as not trained.
    #[arg(long, default_value = MODELS)]
    pub models: Vec<PathBuf>,
    /// The folder that holds the official files of the tasks that have one.
    #[arg(long, default_value = "../shared/data")]
    pub data: PathBuf,
    /// Number of generated problems.
    #[arg(long, default_value_t = 500)]
    pub n: usize,
    /// Seed of the first generated problem.
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "reference")]
    pub engine: EngineKind,
    /// Measures only rows of this method or checkpoint; the others are shown as left out.
    #[arg(long)]
    pub only: Vec<String>,
    /// Rows that are not measured now, because --only leaves them out or because their checkpoint is
    /// not there, stay as the folder's table.json has them, if that was made of the same problems.
    #[arg(long)]
    pub keep: bool,
    /// Writes table.json and what the suite asks for of thoughts.json, thoughts.svg and
    /// thinking.json here [default: public/evidence/ and the suite's name].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Keeps measurements here. One is used again only if weights, shape, vocabulary, strategy,
    /// settings, problems, seed, engine and this program are the same to the byte.
    #[arg(long, default_value = "runs/measured")]
    pub cache: PathBuf,
    /// Measures everything afresh.
    #[arg(long)]
    pub no_cache: bool,
}

impl TableArgs {
    /// The suite's name: that of its file.
    fn suite_name(&self) -> &OsStr {
        self.suite.file_stem().unwrap_or_default()
    }

    /// Where the files are written.
    pub fn folder(&self) -> PathBuf {
        let default = || Path::new("public/evidence").join(self.suite_name());
        self.out.clone().unwrap_or_else(default)
    }
}
