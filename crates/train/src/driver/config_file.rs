//! The TOML file that defines a training run, and the one that it extends.

use std::path::Path;

use anyhow::Context;
use latent_model::text;
use toml::Table;

use crate::config::RunConfig;

/// Reads and checks a TOML file. Its key `extends` names another one, beside it, that holds what
/// this one leaves out.
///
/// # Errors
/// If a file cannot be read, is not TOML, misses a key, has an unknown one, or makes no sense; the
/// message says which.
pub fn load_config(path: &Path) -> anyhow::Result<RunConfig> {
    let mut own = read_table(path)?;
    let mut base = Table::new();
    if let Some(name) = own.remove("extends") {
        let name = name.as_str().context("extends must be a file's name")?;
        base = read_table(&path.with_file_name(name))?;
    }
    RunConfig::from_tables(base, own)
        .with_context(|| format!("{} is not a training config", path.display()))
}

fn read_table(path: &Path) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the training config {}", path.display()))?;
    toml::from_str(&text::clean(&text)).with_context(|| format!("{} is not TOML", path.display()))
}
