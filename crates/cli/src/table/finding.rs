//! What the paper's figures say of two methods, and whether ours say it too.

use latent_model::evidence::{Finding, Measured, RowOfTable, Verdict};
use serde::{Deserialize, Serialize};

/// An ordering that the paper reports, as the suite file states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The tasks on which the paper reports it.
    pub tasks: Vec<String>,
    /// In words: "thinking in thoughts beats thinking in words".
    pub claim: String,
    /// The method that is right more often.
    pub better: String,
    /// The method that it is compared with.
    pub worse: String,
    /// Whether the claim is that the two are equally good.
    #[serde(default)]
    pub equal: bool,
}

impl Claim {
    /// Judges the claim by the official problems of each of its tasks.
    pub fn judge(&self, rows: &[RowOfTable]) -> Vec<Finding> {
        let tasks = self.tasks.iter();
        tasks.map(|task| self.judge_on(task, rows)).collect()
    }

    fn judge_on(&self, task: &str, rows: &[RowOfTable]) -> Finding {
        let find = |method: &str| {
            let mut of_task = rows.iter().filter(|row| row.task == task);
            of_task.find(|row| row.method == method)
        };
        let measured = |method: &str| find(method).and_then(|row| row.outcome.on(OFFICIAL));
        let (Some(better), Some(worse)) = (measured(&self.better), measured(&self.worse)) else {
            return Finding {
                verdict: Verdict::NotMeasured,
                sentence: format!("{task}: {}: not measured yet.", self.claim),
            };
        };
        let verdict = self.verdict(better, worse);
        let says = match verdict {
            Verdict::Holds => "holds here",
            Verdict::Fails => "does not hold here",
            _ => "undecided here",
        };
        let paper = |method: &str| find(method).and_then(|row| row.paper);
        let paper = match (paper(&self.better), paper(&self.worse)) {
            (Some(better), Some(worse)) => format!(
                "; the paper has {:.1} against {:.1} %",
                better.accuracy, worse.accuracy
            ),
            _ => String::new(),
        };
        Finding {
            verdict,
            sentence: format!(
                "{task}: {}: {says}, {} against {} % on n {}{paper}.",
                self.claim,
                better.text(),
                worse.text(),
                better.n
            ),
        }
    }

    fn verdict(&self, better: &Measured, worse: &Measured) -> Verdict {
        let above = better.ci_low > worse.ci_high;
        let below = better.ci_high < worse.ci_low;
        match (self.equal, above, below) {
            (true, false, false) | (false, true, _) => Verdict::Holds,
            (true, _, _) | (false, _, true) => Verdict::Fails,
            (false, false, false) => Verdict::Undecided,
        }
    }
}

/// The set of problems by which claims are judged.
const OFFICIAL: &str = "official";

#[cfg(test)]
mod tests {
    use latent_model::evidence::Outcome;

    use super::*;

    fn row(method: &str, interval: Option<[f64; 2]>) -> RowOfTable {
        let outcome = interval.map_or(Outcome::NotTrained, |[ci_low, ci_high]| Outcome::Measured {
            weights_sha256: String::new(),
            results: vec![Measured {
                problems: OFFICIAL.into(),
                n: 300,
                accuracy: (ci_low + ci_high) / 2.0,
                ci_low,
                ci_high,
                malformed: 0.0,
                think_steps: 0.0,
                answer_tokens: 0.0,
                tokens: 0.0,
            }],
        });
        RowOfTable {
            method: method.into(),
            task: "prosqa".into(),
            model: String::new(),
            strategy: String::new(),
            set: Vec::new(),
            paper: None,
            outcome,
        }
    }

    #[test]
    fn a_claim_is_judged_by_whether_the_intervals_lie_apart() {
        let apart = [0.8, 0.9];
        let cases = [
            (false, Some(apart), Some([0.6, 0.7]), Verdict::Holds),
            (false, Some([0.6, 0.7]), Some(apart), Verdict::Fails),
            (false, Some(apart), Some([0.7, 0.85]), Verdict::Undecided),
            (true, Some(apart), Some([0.7, 0.85]), Verdict::Holds),
            (true, Some(apart), Some([0.6, 0.7]), Verdict::Fails),
            (false, Some(apart), None, Verdict::NotMeasured),
        ];
        for (equal, better, worse, expected) in cases {
            let claim = Claim {
                tasks: vec!["prosqa".into()],
                claim: "A beats B".into(),
                better: "A".into(),
                worse: "B".into(),
                equal,
            };
            let findings = claim.judge(&[row("A", better), row("B", worse)]);
            let [finding] = findings.as_slice() else {
                panic!("one task, one finding: {findings:?}");
            };
            assert_eq!(finding.verdict, expected, "{equal} {better:?} {worse:?}");
            assert!(finding.sentence.starts_with("prosqa: A beats B: "));
        }
    }
}
