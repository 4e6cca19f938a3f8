//! What the paper's figures say of two methods, and whether ours say it too.

use latent_model::{
    evidence::{Finding, Measured, RowOfTable, Verdict},
    metrics::Difference,
};
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
    /// A method that one of the two has to beat before the claim says anything: two methods that both
    /// fail are not compared.
    #[serde(default)]
    pub floor: Option<String>,
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
        let difference = Difference::of(&better.accuracy, &worse.accuracy);
        let floor = self.floor.as_deref();
        let floor = floor.and_then(|method| Some((method, measured(method)?)));
        let below = floor.filter(|(_, floor)| {
            let beats = |it: &Measured| Difference::of(&it.accuracy, &floor.accuracy).low > 0.0;
            !beats(better) && !beats(worse)
        });
        let verdict = match below {
            Some(_) => Verdict::Undecided,
            None => self.verdict(&difference),
        };
        let says = match verdict {
            Verdict::Holds => "holds here",
            Verdict::Fails => "does not hold here",
            _ => "undecided here",
        };
        let points = [difference.value, difference.low, difference.high];
        let [value, low, high] = points.map(|share| 100.0 * share);
        let paper = |method: &str| find(method).and_then(|row| row.paper);
        let paper = match (paper(&self.better), paper(&self.worse)) {
            (Some(better), Some(worse)) => format!(
                "; the paper has {:.1} against {:.1} %",
                better.accuracy, worse.accuracy
            ),
            _ => String::new(),
        };
        let below = below.map(|(method, floor)| {
            let percent = 100.0 * floor.accuracy.value;
            format!("; neither is better than {method:?} ({percent:.1} %)")
        });
        let below = below.unwrap_or_default();
        Finding {
            verdict,
            sentence: format!(
                "{task}: {}: {says}, {:.1} against {:.1} % on n {}, a difference of {value:+.1} \
                 [{low:+.1}, {high:+.1}] points{below}{paper}.",
                self.claim,
                100.0 * better.accuracy.value,
                100.0 * worse.accuracy.value,
                better.accuracy.n
            ),
        }
    }

    fn verdict(&self, difference: &Difference) -> Verdict {
        let Difference { low, high, .. } = *difference;
        if self.equal {
            return match (low > 0.0 || high < 0.0, -MARGIN < low && high < MARGIN) {
                (true, _) => Verdict::Fails,
                (false, true) => Verdict::Holds,
                (false, false) => Verdict::Undecided,
            };
        }
        match (low > 0.0, high < 0.0) {
            (true, _) => Verdict::Holds,
            (_, true) => Verdict::Fails,
            _ => Verdict::Undecided,
        }
    }
}

/// Two methods are equally good where the interval of their difference lies within this.
const MARGIN: f64 = 0.1;

/// The set of problems by which claims are judged.
const OFFICIAL: &str = "official";

#[cfg(test)]
mod tests {
    use latent_model::{evidence::Outcome, metrics::wilson};

    use super::*;

    /// A method with so many of `n` problems right.
    fn row(method: &str, n: usize, right: Option<usize>) -> RowOfTable {
        let outcome = right.map_or(Outcome::NotTrained, |right| Outcome::Measured {
            weights_sha256: String::new(),
            results: vec![Measured {
                problems: OFFICIAL.into(),
                accuracy: wilson(right, n).expect("n > 0"),
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
            adapters: None,
            strategy: String::new(),
            set: Vec::new(),
            paper: None,
            outcome,
        }
    }

    #[test]
    fn a_claim_is_judged_by_the_interval_of_the_difference() {
        let cases = [
            (false, 300, Some(270), Some(210), Verdict::Holds),
            (false, 300, Some(210), Some(270), Verdict::Fails),
            // The Wilson intervals overlap, and still the difference is there.
            (false, 500, Some(305), Some(267), Verdict::Holds),
            (false, 300, Some(250), Some(245), Verdict::Undecided),
            (true, 300, Some(250), Some(245), Verdict::Holds),
            (true, 300, Some(245), Some(250), Verdict::Holds),
            (true, 300, Some(210), Some(270), Verdict::Fails),
            (true, 500, Some(305), Some(267), Verdict::Fails),
            // Few problems do not make two methods equal.
            (true, 30, Some(25), Some(24), Verdict::Undecided),
            (false, 300, Some(250), None, Verdict::NotMeasured),
        ];
        for (equal, n, better, worse, expected) in cases {
            let claim = Claim {
                tasks: vec!["prosqa".into()],
                claim: "A beats B".into(),
                better: "A".into(),
                worse: "B".into(),
                equal,
                floor: None,
            };
            let findings = claim.judge(&[row("A", n, better), row("B", n, worse)]);
            let [finding] = findings.as_slice() else {
                panic!("one task, one finding: {findings:?}");
            };
            assert_eq!(finding.verdict, expected, "{equal} {better:?} {worse:?}");
            assert!(finding.sentence.starts_with("prosqa: A beats B: "));
        }
    }

    #[test]
    fn a_finding_says_the_difference() {
        let claim = Claim {
            tasks: vec!["prosqa".into()],
            claim: "A beats B".into(),
            better: "A".into(),
            worse: "B".into(),
            equal: false,
            floor: None,
        };
        let findings = claim.judge(&[row("A", 70, Some(56)), row("B", 80, Some(48))]);
        assert_eq!(
            findings[0].sentence,
            "prosqa: A beats B: holds here, 80.0 against 60.0 % on n 70, a difference of +20.0 \
             [+5.2, +33.4] points."
        );
    }

    #[test]
    fn two_methods_below_the_floor_are_not_compared() {
        let claim = Claim {
            tasks: vec!["prosqa".into()],
            claim: "A is no worse than B".into(),
            better: "A".into(),
            worse: "B".into(),
            equal: true,
            floor: Some("at once".into()),
        };
        let judged = |floor: usize| {
            let rows = [("A", 26), ("B", 17), ("at once", floor)];
            let rows = rows.map(|(method, right)| row(method, 500, Some(right)));
            claim.judge(&rows).remove(0)
        };
        assert_eq!(judged(5).verdict, Verdict::Holds);
        let finding = judged(73);
        assert_eq!(finding.verdict, Verdict::Undecided);
        assert!(
            finding
                .sentence
                .ends_with("points; neither is better than \"at once\" (14.6 %)."),
            "{}",
            finding.sentence
        );
    }
}
