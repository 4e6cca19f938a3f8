//! `latent models`: lists the checkpoints that ship.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::folder::load_model;

/// Arguments of `latent models`.
#[derive(Args)]
pub struct ModelsArgs {
    /// The folder that holds model folders.
    #[arg(long, default_value = "public/models")]
    dir: PathBuf,
}

/// Prints a line for each model folder: name, size, and how it was evaluated.
pub fn models(args: &ModelsArgs) -> Result<ExitCode> {
    let entries = fs::read_dir(&args.dir);
    let entries = entries.with_context(|| format!("cannot read {}", args.dir.display()))?;
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.retain(|folder| folder.join("config.json").exists());
    folders.sort();
    for folder in folders {
        let model = load_model(&folder)?;
        let config = &model.config;
        println!(
            "{:24} {:>9} parameters, {} layers, d {}, {} heads of {}, {} tokens",
            folder.display().to_string(),
            model.weights.n_parameters(),
            config.n_layers,
            config.hidden_size,
            config.n_heads,
            config.head_dim,
            config.vocab_size,
        );
        let evaluations = model
            .training
            .as_ref()
            .and_then(|t| t["evaluations"].as_array());
        for evaluation in evaluations.into_iter().flatten() {
            println!("    {evaluation}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
