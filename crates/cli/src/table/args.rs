//! What `latent table` is asked for.

use std::path::PathBuf;

use clap::Args;

use crate::engines::EngineKind;

/// Arguments of `latent table`.
#[derive(Args)]
pub struct TableArgs {
    /// The rows: a TOML file.
    #[arg(long, default_value = "crates/cli/suites/coconut.toml")]
    pub suite: PathBuf,
    /// The folder that holds model folders; a checkpoint that is not there is shown as not
    /// trained.
    #[arg(long, default_value = "public/models")]
    pub models: PathBuf,
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
    /// Writes table.json, table.md, thoughts.json, thoughts.svg and thinking.json here.
    #[arg(long, default_value = "public/evidence")]
    pub out: PathBuf,
    /// Writes all of it for people to this file, too: docs/results.md.
    #[arg(long, conflicts_with = "only")]
    pub results: Option<PathBuf>,
    /// Keeps measurements here. One is used again only if weights, shape, vocabulary, strategy,
    /// settings, problems, seed, engine and this program are the same to the byte.
    #[arg(long, default_value = "runs/measured")]
    pub cache: PathBuf,
    /// Measures everything afresh.
    #[arg(long)]
    pub no_cache: bool,
}
