//! Comparison of two engines, which names the first layer or step where they part.

use crate::{record::StepRecord, reference::LayerStates};

/// How far two results may lie apart: `absolute + relative · scale`, where `scale` is the
/// largest value expected in the compared vector.
///
/// Relative to the vector and not to each element, because a sum's rounding error grows with its
/// largest terms, and elements near 0 are sums of terms that cancel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// For vectors that are nearly 0.
    pub absolute: f32,
    /// In units of the vector's largest value.
    pub relative: f32,
}

impl Tolerance {
    /// For f32 sums against f64 sums. A dot product of n terms is off by about √n · 2⁻²⁴ of its
    /// terms: 2e-6 at n = 1024. Ten matmuls in a row, a softmax and an rsqrt of 2 ULP make it
    /// 1e-5 at worst; the other factor of 10 is for GPUs that fuse, reorder and approximate
    /// `exp`. A wrong index or a forgotten term is off by more than 1e-2.
    pub const F32: Self = Self {
        absolute: 1e-5,
        relative: 1e-4,
    };
}

/// One compared stage of the forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct StageDifference {
    /// "embedding", "layer 0", …, "final norm", "logits".
    pub stage: String,
    /// Largest |found − expected|; NaN where a value is NaN, infinite where values are missing.
    pub max_abs_difference: f32,
    /// Whether every position agrees.
    pub agrees: bool,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// In the order of the forward pass.
    pub stages: Vec<StageDifference>,
}

impl CheckReport {
    /// The first stage that does not agree; later ones differ because it does.
    pub fn first_divergence(&self) -> Option<&StageDifference> {
        self.stages.iter().find(|stage| !stage.agrees)
    }

    /// The largest difference of all stages.
    pub fn max_abs_difference(&self) -> f32 {
        let differences = self.stages.iter().map(|stage| stage.max_abs_difference);
        differences.fold(0.0, larger_or_nan)
    }
}

/// Compares what an engine found with what the reference expects, stage by stage.
pub fn compare_layer_states(
    found: &LayerStates,
    expected: &LayerStates,
    tolerance: Tolerance,
) -> CheckReport {
    let n_layers = found.layers.len().max(expected.layers.len());
    let no_positions = Vec::new();
    let mut stages = vec![stage(
        "embedding",
        &found.embedded,
        &expected.embedded,
        tolerance,
    )];
    for index in 0..n_layers {
        let found = found.layers.get(index).unwrap_or(&no_positions);
        let expected = expected.layers.get(index).unwrap_or(&no_positions);
        stages.push(stage(&format!("layer {index}"), found, expected, tolerance));
    }
    stages.push(stage(
        "final norm",
        &found.hidden,
        &expected.hidden,
        tolerance,
    ));
    stages.push(stage("logits", &found.logits, &expected.logits, tolerance));
    CheckReport { stages }
}

fn stage(
    name: &str,
    found: &[Vec<f32>],
    expected: &[Vec<f32>],
    tolerance: Tolerance,
) -> StageDifference {
    let mut difference = StageDifference {
        stage: name.into(),
        max_abs_difference: 0.0,
        agrees: !expected.is_empty(),
    };
    let empty = Vec::new();
    for position in 0..found.len().max(expected.len()) {
        let found = found.get(position).unwrap_or(&empty);
        let expected = expected.get(position).unwrap_or(&empty);
        let (max, agrees) = compare(found, expected, tolerance);
        difference.agrees &= agrees;
        difference.max_abs_difference = larger_or_nan(difference.max_abs_difference, max);
    }
    difference
}

/// The larger one; unlike `f32::max`, it keeps a NaN.
fn larger_or_nan(a: f32, b: f32) -> f32 {
    if a.is_nan() || a > b { a } else { b }
}

/// Largest |found − expected| of two vectors and whether it is tolerable. A NaN or an infinity
/// on either side never is, and neither are two lengths, or nothing at all.
pub fn compare(found: &[f32], expected: &[f32], tolerance: Tolerance) -> (f32, bool) {
    if found.len() != expected.len() || expected.is_empty() {
        return (f32::INFINITY, false);
    }
    let scale = expected
        .iter()
        .fold(0.0_f32, |max, value| max.max(value.abs()));
    let allowed = tolerance.absolute + tolerance.relative * scale;
    let mut max = 0.0_f32;
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs();
        if !difference.is_finite() {
            return (f32::NAN, false);
        }
        max = max.max(difference);
    }
    (max, max <= allowed)
}

/// How far probabilities, weights, entropies and norms of two engines may lie apart, relative
/// to the larger of 1 and the expected value. Logits agree within about 1e-5; noise passes
/// through `ln` and `exp`, is divided by a temperature and fed back, so that a run of a dozen
/// noisy steps ends some 1e-4 apart. A wrong draw or filter is off by more than 1e-2.
pub const RECORD_TOLERANCE: f32 = 2e-3;

/// Compares the traces of one lane: integers exactly, numbers within [`RECORD_TOLERANCE`].
/// Returns the first difference in words.
pub fn first_record_difference(found: &[StepRecord], expected: &[StepRecord]) -> Option<String> {
    let pairs = found.iter().zip(expected);
    let difference = pairs.map(|(found, expected)| record_difference(found, expected));
    difference.flatten().next().or_else(|| {
        let (found, expected) = (found.len(), expected.len());
        (found != expected).then(|| format!("{found} steps, expected {expected}"))
    })
}

/// Compares two records of one step: integers exactly, numbers within [`RECORD_TOLERANCE`].
/// Returns the first difference in words.
pub fn record_difference(found: &StepRecord, expected: &StepRecord) -> Option<String> {
    let near = |a: f32, b: f32| (a - b).abs() <= RECORD_TOLERANCE * b.abs().max(1.0);
    let differs = |field: &str, found: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
        Some(format!("{field} is {found:?}, expected {expected:?}"))
    };
    // Everything but the numbers, which are compared below.
    let exact = StepRecord {
        entropy: expected.entropy,
        raw_entropy: expected.raw_entropy,
        hidden_norm: expected.hidden_norm,
        end_probability: expected.end_probability,
        ids: expected.ids,
        probs: expected.probs,
        weights: expected.weights,
        ..*found
    };
    let difference = if exact != *expected {
        differs("the record", found, expected)
    } else if !near(found.entropy, expected.entropy) {
        differs("entropy", &found.entropy, &expected.entropy)
    } else if !near(found.raw_entropy, expected.raw_entropy) {
        differs("raw entropy", &found.raw_entropy, &expected.raw_entropy)
    } else if !near(found.hidden_norm, expected.hidden_norm) {
        differs("hidden norm", &found.hidden_norm, &expected.hidden_norm)
    } else if !near(found.end_probability, expected.end_probability) {
        let (found, expected) = (found.end_probability, expected.end_probability);
        differs("end probability", &found, &expected)
    } else {
        expected.kept().enumerate().find_map(|(index, expected)| {
            // By id, because two tokens of nearly the same weight may change places; and where
            // one of them was cut off at the end of the list, the other one stands for it.
            let same = found.kept().find(|kept| kept.id == expected.id);
            let found = same.or_else(|| found.kept().nth(index))?;
            let agrees = near(found.prob, expected.prob) && near(found.weight, expected.weight);
            (!agrees).then(|| differs("a kept token", &found, &expected))?
        })
    };
    difference.map(|text| format!("step {}: {text}", expected.step))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: [f32; 4] = [1.0, -2.0, 0.5, 0.0];

    fn states() -> LayerStates {
        let vectors = || vec![EXPECTED.to_vec(); 3];
        LayerStates {
            embedded: vectors(),
            layers: vec![vectors(), vectors()],
            hidden: vectors(),
            logits: vectors(),
        }
    }

    fn first_divergence(found: &LayerStates) -> Option<String> {
        let report = compare_layer_states(found, &states(), Tolerance::F32);
        report.first_divergence().map(|stage| stage.stage.clone())
    }

    #[test]
    fn equal_vectors_agree_and_rounding_is_tolerated() {
        assert_eq!(compare(&EXPECTED, &EXPECTED, Tolerance::F32), (0.0, true));
        let rounded = EXPECTED.map(|value| value * (1.0 + 1e-6) + 1e-6);
        assert!(compare(&rounded, &EXPECTED, Tolerance::F32).1);
        assert_eq!(first_divergence(&states()), None);
    }

    #[test]
    fn a_perturbed_element_fails_wherever_it_is() {
        for index in 0..EXPECTED.len() {
            let mut found = EXPECTED;
            found[index] += 1e-3;
            assert!(
                !compare(&found, &EXPECTED, Tolerance::F32).1,
                "element {index}"
            );
        }
    }

    #[test]
    fn nan_and_infinity_fail_even_where_both_sides_have_them() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut found = EXPECTED;
            found[1] = bad;
            assert!(!compare(&found, &EXPECTED, Tolerance::F32).1);
            assert!(!compare(&EXPECTED, &found, Tolerance::F32).1);
            assert!(!compare(&found, &found, Tolerance::F32).1);
        }
    }

    #[test]
    fn a_short_or_empty_slice_fails() {
        assert!(!compare(&EXPECTED[..3], &EXPECTED, Tolerance::F32).1);
        assert!(!compare(&EXPECTED, &EXPECTED[..3], Tolerance::F32).1);
        assert!(!compare(&[], &[], Tolerance::F32).1);
    }

    #[test]
    fn the_first_divergence_is_named() {
        let mut found = states();
        found.layers[1][2][3] += 0.1;
        found.logits[0][0] += 5.0;
        assert_eq!(first_divergence(&found).as_deref(), Some("layer 1"));
        let report = compare_layer_states(&found, &states(), Tolerance::F32);
        assert_eq!(report.max_abs_difference(), 5.0);
    }

    #[test]
    fn missing_layers_and_positions_are_divergences() {
        let mut found = states();
        found.layers.pop();
        assert_eq!(first_divergence(&found).as_deref(), Some("layer 1"));
        let mut found = states();
        found.hidden.pop();
        assert_eq!(first_divergence(&found).as_deref(), Some("final norm"));
        let mut found = states();
        found.embedded[0][0] = f32::NAN;
        assert_eq!(first_divergence(&found).as_deref(), Some("embedding"));
        let report = compare_layer_states(&found, &states(), Tolerance::F32);
        assert!(report.max_abs_difference().is_nan());
    }

    fn records() -> Vec<StepRecord> {
        let record = |step| StepRecord {
            step,
            n_kept: 2,
            entropy: 0.5,
            ids: std::array::from_fn(|i| i as u32 + 4),
            probs: std::array::from_fn(|i| [0.7, 0.3].get(i).copied().unwrap_or(0.0)),
            ..bytemuck::Zeroable::zeroed()
        };
        (0..3).map(record).collect()
    }

    #[test]
    fn equal_traces_agree() {
        assert_eq!(first_record_difference(&records(), &records()), None);
    }

    #[test]
    fn every_field_of_a_trace_can_differ() {
        type Change = fn(&mut StepRecord);
        let changes: [(&str, Change); 10] = [
            ("record", |record| record.token = 9),
            ("record", |record| record.flags = 1),
            ("entropy", |record| record.entropy += 0.01),
            ("entropy", |record| record.entropy = f32::NAN),
            ("raw entropy", |record| record.raw_entropy += 0.01),
            ("hidden norm", |record| record.hidden_norm += 0.01),
            ("end probability", |record| record.end_probability = 0.9),
            ("kept token", |record| record.probs[1] += 0.01),
            ("kept token", |record| record.ids.swap(0, 1)),
            ("kept token", |record| record.weights[0] = f32::NAN),
        ];
        for (field, change) in changes {
            let mut found = records();
            change(&mut found[1]);
            let difference = first_record_difference(&found, &records()).expect(field);
            assert!(
                difference.starts_with("step 1") && difference.contains(field),
                "{difference}"
            );
        }
        let short = first_record_difference(&records()[..2], &records());
        assert_eq!(short.as_deref(), Some("2 steps, expected 3"));
    }
}
