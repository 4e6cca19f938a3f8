//! The TOML file that defines a training run, and the one that it extends.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use latent_model::text;
use toml::{Table, Value};

use crate::config::RunConfig;

/// Reads and checks a TOML file. Its key `extends` names another one, beside it, that holds what
/// this one leaves out, and may extend a third.
///
/// # Errors
/// If a file cannot be read, is not TOML, misses a key, has an unknown one, extends itself, or makes
/// no sense; the message says which.
pub fn load_config(path: &Path) -> anyhow::Result<RunConfig> {
    let whole = read_extended(path, &mut Vec::new())?;
    RunConfig::from_table(whole)
        .with_context(|| format!("{} is not a training config", path.display()))
}

/// A file's table with what it leaves out; `extending` are the files that led here.
fn read_extended(path: &Path, extending: &mut Vec<PathBuf>) -> anyhow::Result<Table> {
    ensure!(
        !extending.iter().any(|known| known == path),
        "{} extends itself",
        path.display()
    );
    let mut own = read_table(path)?;
    let Some(name) = own.remove("extends") else {
        return Ok(own);
    };
    let name = name.as_str().context("extends must be a file's name")?;
    extending.push(path.into());
    let base = read_extended(&path.with_file_name(name), extending)?;
    Ok(merged(base, own))
}

/// `base` with the keys of `own` in place of its own, table by table.
fn merged(mut base: Table, own: Table) -> Table {
    for (key, value) in own {
        let value = match (base.remove(&key), value) {
            (Some(Value::Table(base)), Value::Table(own)) => Value::Table(merged(base, own)),
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}

fn read_table(path: &Path) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the training config {}", path.display()))?;
    toml::from_str(&text::clean(&text)).with_context(|| format!("{} is not TOML", path.display()))
}
