//! Measures a saved run: `evaluate CONFIG STATE [PROBLEMS]`, one line a set of problems.
//!
//! For `coconut` with 0 to 6 thoughts on the official file. Greedy, exact match, Wilson's 95 %
//! interval. The generated problems come after those that a run evaluates itself on.
use std::path::Path;

use burn::tensor::Device;
use latent_model::tasks::prosqa::{Difficulty, Problem, VOCABULARY_SIZE, load};
use latent_train::config::RunConfig;
use latent_train::evaluation::{Accuracy, right_answers};
use latent_train::llama::Llama;
use latent_train::objective::Method;
use latent_train::parameters::Parameters;
use latent_train::progress::load_weights;

/// Seeds of generated problems begin here; [`latent_train::evaluation::held_out`] uses 2⁶³ on.
const FIRST_SEED: u64 = (1 << 63) + 1_000_000;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let config = RunConfig::load(Path::new(&args[1]))?;
    let n: u64 = args.get(3).map_or(Ok(500), |n| n.parse())?;
    let device = Device::flex();
    let like = Parameters::init(&config.model, VOCABULARY_SIZE, config.seed, &device);
    let model = Llama {
        config: &config.model,
        parameters: load_weights(Path::new(&args[2]), like, &device)?,
        device,
    };
    let measure = |name: &str, problems: &[Problem], n_thoughts: usize| {
        let right = right_answers(&model, problems, config.method, n_thoughts);
        let hops: Vec<usize> = problems
            .iter()
            .map(|p| p.distance(p.root, p.target).unwrap_or(0))
            .collect();
        let measured = Accuracy::count(name, &hops, &right);
        println!(
            "{name}, {n_thoughts} thoughts: {:.1} % of {} [{:.1}, {:.1}], by hops {:?}",
            100.0 * measured.accuracy,
            measured.n,
            100.0 * measured.ci_low,
            100.0 * measured.ci_high,
            measured.by_hops
        );
    };
    let official = load(&std::fs::read_to_string(&config.evaluation.official)?)?;
    let most = config.evaluation.thoughts;
    for (name, difficulty) in Difficulty::PRESETS {
        let problems: Vec<Problem> = (FIRST_SEED..FIRST_SEED + n)
            .map(|seed| Problem::generate(seed, &difficulty))
            .collect();
        measure(name, &problems, most);
    }
    let least = if config.method == Method::Coconut {
        0
    } else {
        most
    };
    for n_thoughts in least..=most {
        measure("prosqa_valid", &official, n_thoughts);
    }
    Ok(())
}
