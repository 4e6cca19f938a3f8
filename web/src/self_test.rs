//! The start-up self-test: a short run on both engines, and the largest difference between them.

use latent_model::{
    engine::{Engine, EngineError, LaneSpec, run_to_end},
    model::Model,
    record::StepRecord,
    strategy::{STRATEGIES, Settings, StrategyError},
};

/// The largest difference that counts as agreement, in nats, probabilities and relative norms.
///
/// Both engines compute in f32 and sum in different orders; over a dozen steps of a small model
/// that has been seen to move an entropy by some 1e-5.
pub const TOLERANCE: f32 = 1e-3;

/// What the self-test found.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfTest {
    /// Largest difference in entropies, probabilities and relative norms.
    pub max_difference: f32,
    /// Steps that were compared.
    pub n_steps: usize,
    /// The first thing that differs beyond the tolerance.
    pub first_divergence: Option<String>,
}

impl SelfTest {
    /// Whether the engines agree. A NaN does not.
    pub fn agrees(&self) -> bool {
        self.first_divergence.is_none() && self.max_difference <= TOLERANCE
    }

    /// The verdict in a sentence.
    pub fn sentence(&self) -> String {
        let numbers = format!(
            "max difference {:.1e} over {} steps",
            self.max_difference, self.n_steps
        );
        match &self.first_divergence {
            None => format!("GPU agrees with CPU, {numbers}"),
            Some(what) => format!("GPU disagrees with CPU: {what}; {numbers}"),
        }
    }
}

/// One lane for every kind of input, on a prompt that any vocabulary has.
pub fn lanes(model: &Model) -> Result<Vec<LaneSpec>, StrategyError> {
    let n_words = model.tokenizer.words().len().max(1) as u32;
    let prompt: Vec<u32> = (0..24).map(|index| index * 7 % n_words).collect();
    let kinds = STRATEGIES
        .iter()
        .filter(|strategy| ["token-cot", "soft-gumbel", "coconut"].contains(&strategy.name));
    kinds
        .map(|strategy| {
            Ok(LaneSpec {
                prompt: prompt.clone(),
                program: strategy.program(&Settings::default(), &model.tokenizer)?,
                seed: 1,
                stream: 0,
                decode_thoughts: true,
            })
        })
        .collect()
}

/// Runs the lanes on both engines and compares every record.
pub async fn compare<A: Engine, B: Engine>(
    gpu: &mut A,
    reference: &mut B,
    lanes: &[LaneSpec],
) -> Result<SelfTest, EngineError> {
    const CHUNK: usize = 8;
    let found = run_to_end(gpu, lanes, CHUNK, |_| {}).await?;
    let expected = run_to_end(reference, lanes, CHUNK, |_| {}).await?;
    Ok(compare_traces(&found, &expected))
}

fn compare_traces(found: &[Vec<StepRecord>], expected: &[Vec<StepRecord>]) -> SelfTest {
    let mut test = SelfTest {
        max_difference: 0.0,
        n_steps: 0,
        first_divergence: None,
    };
    for (lane, (found, expected)) in found.iter().zip(expected).enumerate() {
        for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
            let place = format!("lane {lane}, step {step}");
            let difference = difference(found, expected);
            test.n_steps += 1;
            // `max` would drop a NaN, which is the worst difference of all.
            if difference.is_nan() || difference > test.max_difference {
                test.max_difference = difference;
            }
            if found.token != expected.token || found.flags != expected.flags {
                diverge(&mut test, format!("another token or flag at {place}"));
                // What follows was fed something else, so it cannot be compared.
                break;
            }
            if difference.is_nan() || difference > TOLERANCE {
                diverge(&mut test, format!("a difference of {difference:.1e} at {place}"));
            }
        }
        if found.len() != expected.len() {
            let lengths = format!("{} steps for {}", found.len(), expected.len());
            diverge(&mut test, format!("{lengths} in lane {lane}"));
        }
    }
    if test.n_steps == 0 {
        diverge(&mut test, "nothing was compared".into());
    }
    test
}

fn diverge(test: &mut SelfTest, what: String) {
    test.first_divergence.get_or_insert(what);
}

/// The largest difference of two records in what a step computes.
fn difference(found: &StepRecord, expected: &StepRecord) -> f32 {
    let norm = (found.hidden_norm - expected.hidden_norm) / expected.hidden_norm.max(1.0);
    let mut differences = vec![norm, found.entropy - expected.entropy];
    // Tokens of almost equal probability may swap places, so they are compared by id.
    for kept in expected.kept() {
        let same = found.kept().find(|candidate| candidate.id == kept.id);
        let prob = same.map_or(0.0, |candidate| candidate.prob);
        differences.push(prob - kept.prob);
    }
    let larger = |a: f32, b: f32| if b.is_nan() || b > a { b } else { a };
    let magnitudes = differences.into_iter().map(f32::abs);
    magnitudes.fold(0.0, |most, next| if most.is_nan() { most } else { larger(most, next) })
}

#[cfg(test)]
mod tests {
    use latent_model::record::InputKind;

    use super::*;
    use crate::view::test_records::record;

    fn trace() -> Vec<Vec<StepRecord>> {
        let kept = [(1, 0.6, 1.0), (2, 0.4, 0.0)];
        vec![(0..4).map(|step| record(step, InputKind::Token, 0, &kept)).collect()]
    }

    #[test]
    fn equal_traces_agree() {
        let test = compare_traces(&trace(), &trace());
        assert!(test.agrees(), "{test:?}");
        assert_eq!(test.n_steps, 4);
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let changes: [fn(&mut StepRecord); 5] = [
            |record| record.entropy += 0.01,
            |record| record.probs[1] += 0.01,
            |record| record.hidden_norm += 0.01,
            |record| record.entropy = f32::NAN,
            |record| record.token = 2,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut found = trace();
            change(&mut found[0][1]);
            let test = compare_traces(&found, &trace());
            assert!(!test.agrees(), "change {index}: {test:?}");
        }
    }

    #[test]
    fn a_short_or_empty_trace_does_not_agree() {
        let mut short = trace();
        short[0].pop();
        assert!(!compare_traces(&short, &trace()).agrees());
        assert!(!compare_traces(&[], &[]).agrees());
    }
}
