//! The start-up self-test: what the GPU computes, layer by layer and step by step, beside the CPU.

use latent_gpu::GpuEngine;
use latent_model::{
    compare::{CheckReport, Tolerance, compare_layer_states},
    engine::{EngineError, LaneSpec},
    model::Model,
    parity::{forced_differences, runnable_lanes, sample_prompt},
    program::Adapter,
    reference::{Precision, ReferenceEngine, layer_states_in_turns},
};

use crate::{
    browser::BREATHE,
    words::{fill, words},
};

/// Tokens of the prompt: a few more than a tile of the kernels, and quickly computed on a CPU.
const N_TOKENS: usize = 20;
/// One strategy for every kind of input, and one that runs under all sets of weights.
const STRATEGY_NAMES: [&str; 4] = ["token-cot", "soft-gumbel", "coconut", "ccot"];
/// Inputs of a phase: enough for every rule that ends one, few enough for a page that opens.
const MOST_STEPS: u32 = 8;

/// What the self-test found of one checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfTest {
    /// The checkpoint's name.
    pub checkpoint: String,
    /// Largest difference of all activations and logits.
    pub max_difference: f32,
    /// The first thing that differs beyond the tolerance.
    pub first_divergence: Option<String>,
}

impl SelfTest {
    /// Whether the engines agree.
    pub fn agrees(&self) -> bool {
        self.first_divergence.is_none()
    }

    /// The verdict in a sentence.
    pub fn sentence(&self) -> String {
        let difference = format!("{:.1e}", self.max_difference);
        let difference = ("difference", &*difference);
        let checkpoint = ("checkpoint", &*self.checkpoint);
        match &self.first_divergence {
            None => fill(words().test_agrees, &[difference, checkpoint]),
            Some(what) => fill(
                words().test_disagrees,
                &[("what", what), difference, checkpoint],
            ),
        }
    }

    /// The one that speaks for all: the largest difference of those that disagree, else of all.
    pub fn worst<'a>(tests: impl IntoIterator<Item = &'a Self>) -> Option<&'a Self> {
        tests.into_iter().max_by(|a, b| {
            // NaN is a positive number here, and so the largest of all.
            let larger = a.max_difference.abs().total_cmp(&b.max_difference.abs());
            b.agrees().cmp(&a.agrees()).then(larger)
        })
    }

    fn new(checkpoint: &str, layers: &CheckReport, runs: Option<String>) -> Self {
        let nothing = layers
            .stages
            .is_empty()
            .then(|| "nothing: no stage was compared".into());
        let stage = layers.first_divergence().map(|stage| stage.stage.clone());
        Self {
            checkpoint: checkpoint.into(),
            max_difference: layers.max_abs_difference(),
            first_divergence: nothing.or(stage).or(runs),
        }
    }
}

/// Compares all activations of a prompt, then every step of short runs with the kinds of input
/// that the checkpoint has markers for, each from the reference's inputs.
pub async fn self_test(
    checkpoint: &str,
    model: &Model,
    gpu: &mut GpuEngine,
) -> Result<SelfTest, EngineError> {
    let prompt = sample_prompt(model, N_TOKENS);
    let found = gpu.layer_states(Adapter::Base, &prompt).await?;
    let under = (&*model.weights, Adapter::Base);
    let expected = layer_states_in_turns(&model.config, under, &prompt, Some(BREATHE)).await;
    let layers = compare_layer_states(&found, &expected, Tolerance::F32);
    let (names, lanes): (Vec<&str>, Vec<LaneSpec>) = lanes(model, &prompt).into_iter().unzip();
    if lanes.is_empty() {
        return Ok(SelfTest::new(checkpoint, &layers, None));
    }
    let weights = model.weights.clone();
    let reference = ReferenceEngine::new(&model.config, weights, Precision::Oracle);
    let mut reference = reference.with_breaks(BREATHE);
    let differences = forced_differences(gpu, &mut reference, &lanes).await?;
    let mut named = names.iter().zip(differences);
    let first = named.find_map(|(name, difference)| {
        // Its place is enough for the header; `latent check` prints both records whole.
        let what = difference?;
        let place = what.split(':').next().unwrap_or_default();
        Some(format!("{name}, {place}"))
    });
    Ok(SelfTest::new(checkpoint, &layers, first))
}

fn lanes(model: &Model, prompt: &[u32]) -> Vec<(&'static str, LaneSpec)> {
    let mut lanes = runnable_lanes(model, prompt);
    lanes.retain(|(name, _)| STRATEGY_NAMES.contains(name));
    for (_, lane) in &mut lanes {
        for phase in &mut lane.program.phases {
            phase.until.max_steps = phase.until.max_steps.min(MOST_STEPS);
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use latent_model::compare::StageDifference;

    use super::*;

    fn report(max_abs_difference: f32, agrees: bool) -> CheckReport {
        let stage = StageDifference {
            stage: "layer 1".into(),
            max_abs_difference,
            agrees,
        };
        CheckReport {
            stages: vec![stage],
        }
    }

    #[test]
    fn the_worst_checkpoint_speaks_for_all() {
        let test =
            |name, difference, agrees| SelfTest::new(name, &report(difference, agrees), None);
        let tests = [
            test("a", 1e-6, true),
            test("b", 1e-5, true),
            test("c", 1e-7, false),
            test("d", -f32::NAN, false),
        ];
        let worst = |n_tests: usize| {
            let worst = SelfTest::worst(&tests[..n_tests]);
            worst.map(|test| test.checkpoint.as_str())
        };
        assert_eq!(worst(0), None);
        assert_eq!(worst(2), Some("b"));
        assert_eq!(worst(3), Some("c"), "a disagreement, however small");
        assert_eq!(worst(4), Some("d"), "NaN");
        assert!(tests[1].sentence().ends_with("1.0e-5 in b"));
    }

    #[test]
    fn a_stage_that_differs_is_named() {
        let test = SelfTest::new("a", &report(0.5, false), None);
        assert!(!test.agrees());
        assert!(test.sentence().contains("layer 1"), "{}", test.sentence());
    }

    #[test]
    fn a_run_that_differs_is_named() {
        let test = SelfTest::new("a", &report(0.5, true), Some("soft, step 3".into()));
        assert!(!test.agrees());
        assert!(test.sentence().contains("step 3"), "{}", test.sentence());
    }

    #[test]
    fn agreement_needs_something_compared() {
        assert!(SelfTest::new("a", &report(0.5, true), None).agrees());
        let empty = CheckReport { stages: Vec::new() };
        assert!(!SelfTest::new("a", &empty, None).agrees());
    }

    #[test]
    fn every_kind_of_input_is_in_the_table() {
        let in_table = |name: &&str| {
            latent_model::strategy::STRATEGIES
                .iter()
                .any(|strategy| strategy.name == *name)
        };
        assert!(STRATEGY_NAMES.iter().all(in_table));
    }
}
