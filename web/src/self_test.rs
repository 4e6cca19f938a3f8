//! What the start-up self-test found, in words.

use latent_gpu::self_test::Verdict;

use crate::words::{fill, words};

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

    /// Of a checkpoint, or of the model that adapters are tested on.
    pub fn new(checkpoint: &str, verdict: Verdict) -> Self {
        Self {
            checkpoint: checkpoint.into(),
            max_difference: verdict.max_difference,
            first_divergence: verdict.first_divergence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(checkpoint: &str, max_difference: f32, what: Option<&str>) -> SelfTest {
        let verdict = Verdict {
            max_difference,
            first_divergence: what.map(Into::into),
        };
        SelfTest::new(checkpoint, verdict)
    }

    #[test]
    fn the_worst_checkpoint_speaks_for_all() {
        let tests = [
            test("a", 1e-6, None),
            test("b", 1e-5, None),
            test("c", 1e-7, Some("layer 1")),
            test("d", -f32::NAN, Some("layer 1")),
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
    fn what_differs_is_named() {
        let test = test("a", 0.5, Some("soft, step 3"));
        assert!(!test.agrees());
        assert!(test.sentence().contains("step 3"), "{}", test.sentence());
    }
}
