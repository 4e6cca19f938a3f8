//! `latent models`: lists the checkpoints of a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Args;
use latent_model::training_record::Accuracy;
use serde::de::IgnoredAny;

use crate::folder::{adapter_folders, load_adapted, load_model, load_training_record};

/// Arguments of `latent models`.
#[derive(Args)]
pub struct ModelsArgs {
    /// The folder that holds model folders.
    #[arg(long, default_value = "public/models")]
    dir: PathBuf,
}

/// Prints each model folder: name, size, and how it was evaluated, or why it cannot be used; the
/// exit code is 1 where one cannot.
pub fn models(args: &ModelsArgs) -> Result<ExitCode> {
    let entries = fs::read_dir(&args.dir);
    let entries = entries.with_context(|| format!("cannot read {}", args.dir.display()))?;
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.retain(|folder| folder.join("config.json").exists());
    folders.sort();
    let mut exit_code = ExitCode::SUCCESS;
    for folder in folders {
        let name = folder.display().to_string();
        match description(&folder) {
            Ok(lines) => println!("{name:24} {}", lines.join("\n    ")),
            Err(error) => {
                println!("{name:24} cannot be used: {error:#}");
                exit_code = ExitCode::FAILURE;
            }
        }
    }
    Ok(exit_code)
}

/// A model's shape, then its accuracies.
fn description(folder: &Path) -> Result<Vec<String>> {
    let model = load_model(folder)?;
    let config = &model.config;
    let shape = format!(
        "{:>9} parameters, {} layers, d {}, {} heads of {}, {} tokens",
        model.weights.n_parameters(),
        config.n_layers,
        config.hidden_size,
        config.n_heads,
        config.head_dim,
        config.vocab_size,
    );
    let record = load_training_record::<IgnoredAny>(folder)?;
    let accuracies = record.iter().flat_map(|record| record.accuracies());
    let mut lines = vec![shape];
    for name in adapter_folders(folder)? {
        let adapted = load_adapted(folder, Some(&name))?;
        if let Some(spec) = adapted.capabilities().contemplation {
            lines.push(format!(
                "{name}: contemplates in the states of layer {}, {} steps for each token of a chain",
                spec.layer, spec.ratio
            ));
        }
    }
    lines.extend(accuracies.map(Accuracy::sentence));
    Ok(lines)
}
