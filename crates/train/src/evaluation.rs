//! What a run has learned so far, measured as `latent eval` measures it: the export is read back
//! by the reference engine and decoded by the strategies of the table.

use latent_model::evaluation::{Trials, evaluate};
use latent_model::metrics::wilson;
use latent_model::model::Model;
use latent_model::reference::{Precision, ReferenceEngine};
use latent_model::strategy::{Settings, Strategy};
use latent_model::tasks::{Difficulty, Problem, Task};
use latent_model::training_record::Accuracy;
use serde::{Deserialize, Serialize};

/// Counts what is right, in all and for each number of steps.
///
/// # Panics
/// If there are no problems.
fn count(problems: &str, hops: &[usize], right: &[bool]) -> Accuracy {
    let n_right = right.iter().filter(|&&right| right).count();
    let most = hops.iter().copied().max().unwrap_or(0);
    let by_hops = (0..=most)
        .map(|wished| {
            let of_hops = hops.iter().zip(right).filter(|(h, _)| **h == wished);
            let rights: Vec<bool> = of_hops.map(|(_, &right)| right).collect();
            let n_right = rights.iter().filter(|&&right| right).count();
            (wished, n_right, rights.len())
        })
        .filter(|&(_, _, n)| n > 0)
        .collect();
    Accuracy {
        problems: problems.to_string(),
        share: wilson(n_right, right.len()).expect("an evaluation has problems"),
        by_hops,
    }
}

/// Generated problems that no training step sees: their seeds begin at 2⁶³.
pub fn held_out(task: Task, difficulty: Difficulty, n: usize) -> Vec<Problem> {
    (0..n as u64)
        .map(|index| task.generate((1 << 63) + index, difficulty))
        .collect()
}

/// One way of decoding that a run is measured with, as on the command line of `latent eval`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decoding {
    /// A strategy of the table.
    pub strategy: String,
    /// `key=value` for each setting that is not the strategy's default.
    #[serde(default)]
    pub set: Vec<String>,
}

/// Decodes the problems greedily with an exported model.
///
/// # Errors
/// If the strategy is unknown or needs a marker that the tokenizer lacks,
/// or the engine fails.
pub async fn measure(
    model: &Model,
    decoding: &Decoding,
    name: &str,
    problems: &[Problem],
) -> anyhow::Result<Accuracy> {
    let strategy = Strategy::by_name(&decoding.strategy)?;
    let settings = Settings::parse(strategy, decoding.set.iter().map(String::as_str))?;
    let program = strategy.program(&settings, &model.tokenizer, model.capabilities())?;
    let mut engine = ReferenceEngine::new(&model.config, model.weights.clone(), Precision::Fast);
    let trials = Trials {
        program: &program,
        problems,
        samples: 1,
        seed: 0,
    };
    let measured = evaluate(&mut engine, &model.tokenizer, trials, |_, _| {}).await?;
    let right: Vec<bool> = measured.rates.iter().map(|rate| *rate > 0.5).collect();
    let hops: Vec<usize> = problems.iter().map(|p| p.steps().len()).collect();
    let name = format!("{name}, {} {}", strategy.name, decoding.set.join(" "));
    Ok(count(name.trim_end(), &hops, &right))
}
