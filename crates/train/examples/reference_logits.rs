//! Prints a folder's logits by the reference engine, for `check_transformers.py`:
//! `reference_logits FOLDER [SEED]`.
use std::path::Path;

use latent_model::checkpoint::Weights;
use latent_model::config::ModelConfig;
use latent_model::reference::layer_states;
use latent_model::tasks::prosqa::{Difficulty, Problem};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let folder = Path::new(&args[1]);
    let seed = args.get(2).map_or(Ok(0), |seed| seed.parse())?;
    let config = ModelConfig::from_json(&std::fs::read_to_string(folder.join("config.json"))?)?;
    let name = "model.safetensors";
    let file = (name.to_string(), std::fs::read(folder.join(name))?);
    let weights = Weights::from_safetensors(&config, &[file])?;
    let problem = Problem::generate(seed, &Difficulty::OFFICIAL);
    let ids = problem.encode();
    let logits = layer_states(&config, &weights, &ids).logits;
    println!(
        "{}",
        serde_json::json!({ "text": problem.question(), "ids": ids, "logits": logits })
    );
    Ok(())
}
