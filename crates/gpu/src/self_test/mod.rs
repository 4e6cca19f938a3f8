//! The self-test: what an adapter computes, layer by layer and step by step, beside the CPU.
//!
//! It has two parts. [`test_adapter`] runs once for every adapter, on a model that is made to show
//! what adapters and drivers get wrong; [`test_model`] runs once for every checkpoint, with the
//! engine that will run it. `tests/mutants.rs` has what they must find.

mod touchstone;

use std::sync::Arc;

use crate::{GpuContext, GpuEngine};
use latent_model::{
    checkpoint::Weights,
    compare::{CheckReport, Tolerance, compare_layer_states},
    config::ModelConfig,
    engine::{EngineError, LaneSpec},
    model::Model,
    parity::{forced_differences, runnable_lanes, sample_prompt},
    program::Adapter,
    reference::{Precision, ReferenceEngine, layer_states_in_turns},
    turns::Breathe,
};

/// Tokens of the prompt: a few more than a tile of the kernels, and quickly computed on a CPU.
const N_TOKENS: usize = 20;
/// One strategy for every kind of input, and one that runs under all sets of weights.
pub const STRATEGY_NAMES: [&str; 4] = ["token-cot", "soft-gumbel", "coconut", "ccot"];
/// Inputs of a phase: enough for every rule that ends one, few enough for a page that opens.
const MOST_STEPS: u32 = 8;
/// Lanes that are run together on an adapter: each makes a tile of another size.
const LANES_AT_ONCE: [usize; 3] = [1, 3, 8];

/// What a self-test found.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Largest difference of all activations and logits.
    pub max_difference: f32,
    /// The first thing that differs beyond the tolerance.
    pub first_divergence: Option<String>,
}

impl Verdict {
    fn new(layers: &CheckReport) -> Self {
        let nothing = layers
            .stages
            .is_empty()
            .then(|| "nothing: no stage was compared".into());
        let stage = layers.first_divergence().map(|stage| stage.stage.clone());
        Self {
            max_difference: layers.max_abs_difference(),
            first_divergence: nothing.or(stage),
        }
    }
}

/// Compares all activations of a prompt, then every step of short runs with the kinds of input
/// that the checkpoint has markers for, each from the reference's inputs. Work of the CPU takes
/// turns with others by `breathe`.
pub async fn test_model(
    model: &Model,
    gpu: &mut GpuEngine,
    breathe: Breathe,
) -> Result<Verdict, EngineError> {
    let prompt = sample_prompt(model, N_TOKENS);
    let mut lanes = runnable_lanes(model, &prompt, MOST_STEPS);
    lanes.retain(|(name, _)| STRATEGY_NAMES.contains(name));
    let test = Test::new(&model.config, &model.weights, gpu, breathe);
    test.verdict(&prompt, &[&lanes]).await
}

/// Compiles the kernels for a model that no one trained, compares all activations of a prompt, then
/// 64 positions of lanes with every kind of input and of choice, one lane alone and several at
/// once, each position from the reference's inputs.
///
/// # Errors
/// If the device is lost, or lacks what every adapter has.
pub async fn test_adapter(context: &GpuContext, breathe: Breathe) -> Result<Verdict, EngineError> {
    let (config, weights) = (touchstone::config(), touchstone::weights());
    let mut gpu = GpuEngine::new(&config, &weights, context).await?;
    let test = Test::new(&config, &weights, &mut gpu, breathe);
    let prompt: Vec<u32> = (0..N_TOKENS as u32).map(|i| i * 53).collect();
    let lanes = touchstone::lanes();
    let runs = LANES_AT_ONCE.map(|n_lanes| &lanes[..n_lanes]);
    test.verdict(&prompt, &runs).await
}

/// A model on both engines.
struct Test<'a> {
    config: &'a ModelConfig,
    weights: &'a Weights,
    gpu: &'a mut GpuEngine,
    reference: ReferenceEngine,
    breathe: Breathe,
}

impl<'a> Test<'a> {
    fn new(
        config: &'a ModelConfig,
        weights: &'a Arc<Weights>,
        gpu: &'a mut GpuEngine,
        breathe: Breathe,
    ) -> Self {
        let reference = ReferenceEngine::new(config, weights.clone(), Precision::Oracle);
        Self {
            config,
            weights,
            gpu,
            reference: reference.with_breaks(breathe),
            breathe,
        }
    }

    /// All activations of a prompt, then runs of named lanes, up to the first difference.
    async fn verdict(
        mut self,
        prompt: &[u32],
        runs: &[&[(&str, LaneSpec)]],
    ) -> Result<Verdict, EngineError> {
        let layers = self.layers(prompt).await?;
        let mut verdict = Verdict::new(&layers);
        for lanes in runs {
            if verdict.first_divergence.is_none() {
                verdict.first_divergence = self.run(lanes).await?;
            }
        }
        Ok(verdict)
    }

    /// All activations of a prompt.
    async fn layers(&mut self, prompt: &[u32]) -> Result<CheckReport, EngineError> {
        let found = self.gpu.layer_states(Adapter::Base, prompt).await?;
        let under = (self.weights, Adapter::Base);
        let expected = layer_states_in_turns(self.config, under, prompt, Some(self.breathe)).await;
        Ok(compare_layer_states(&found, &expected, Tolerance::F32))
    }

    /// The first step of named lanes that differs, by the lane's name.
    async fn run(&mut self, lanes: &[(&str, LaneSpec)]) -> Result<Option<String>, EngineError> {
        if lanes.is_empty() {
            return Ok(None);
        }
        let specs: Vec<LaneSpec> = lanes.iter().map(|(_, spec)| spec.clone()).collect();
        let run = forced_differences(self.gpu, &mut self.reference, &specs).await;
        let differences = match run {
            Ok(differences) => differences,
            // Numbers that end a run are a difference: the reference is asked first.
            Err(EngineError::NonFinite { lane, step }) => {
                let name = lanes[lane as usize].0;
                return Ok(Some(format!("{name}, step {step} (not finite)")));
            }
            Err(EngineError::Implausible { lane, step, .. }) => {
                let name = lanes[lane as usize].0;
                return Ok(Some(format!("{name}, step {step} (implausible)")));
            }
            Err(error) => return Err(error),
        };
        let mut named = lanes.iter().zip(differences);
        Ok(named.find_map(|((name, _), difference)| {
            // Its place is enough for people; `latent check` prints both records whole.
            let what = difference?;
            let place = what.split(':').next().unwrap_or_default();
            Some(format!("{name}, {place}"))
        }))
    }
}

#[cfg(test)]
mod tests {
    use latent_model::compare::StageDifference;

    use super::*;

    fn report(agrees: bool) -> CheckReport {
        let stage = StageDifference {
            stage: "layer 1".into(),
            max_abs_difference: 0.5,
            agrees,
        };
        CheckReport {
            stages: vec![stage],
        }
    }

    #[test]
    fn a_stage_that_differs_is_named_and_so_is_nothing_at_all() {
        let named = |layers: &CheckReport| Verdict::new(layers).first_divergence;
        assert_eq!(named(&report(true)), None);
        assert_eq!(named(&report(false)).as_deref(), Some("layer 1"));
        let empty = CheckReport { stages: Vec::new() };
        assert!(named(&empty).is_some_and(|what| what.contains("no stage")));
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
