//! How often a checkpoint was right, as its `training.json` says: the lane's own line, and the rest.

use latent_model::training_record::Accuracy;

use crate::words::{fill, words};

/// The line of a strategy on problems of this name, or on the first ones where it was measured on
/// no such problems; the first records do not name the strategy that they were all decoded with,
/// `first` of the checkpoint's. With it all other lines.
pub fn own_and_rest<'a>(
    all: &'a [Accuracy],
    strategy: &str,
    first: Option<&str>,
    problems: &str,
) -> (Option<&'a Accuracy>, Vec<&'a Accuracy>) {
    let is_own = |accuracy: &&Accuracy| accuracy.strategy().or(first) == Some(strategy);
    let mut own = all.iter().filter(is_own);
    let of_problems = |accuracy: &&Accuracy| accuracy.problems_name() == problems;
    let own = own.clone().find(of_problems).or_else(|| own.next());
    let is_other = |accuracy: &&Accuracy| own.is_none_or(|own| !std::ptr::eq(*accuracy, own));
    (own, all.iter().filter(is_other).collect())
}

/// `official, coconut: 80.3 % right (n 300, 95 % interval 75.4–84.4 %)`
pub fn sentence(accuracy: &Accuracy) -> String {
    let [value, low, high] = accuracy.share.percent().map(|share| format!("{share:.1}"));
    let n = accuracy.share.n.to_string();
    let values = [
        ("problems", &*accuracy.problems),
        ("value", &value),
        ("n", &n),
        ("low", &low),
        ("high", &high),
    ];
    fill(words().accuracy, &values)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use latent_model::training_record::TrainingRecord;

    use super::*;
    use crate::catalogue::shipped_catalogue;

    /// Of every checkpoint that ships, and every strategy that it was measured with.
    #[test]
    fn a_strategy_that_was_measured_has_its_line_and_no_other_one() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/models");
        let mut n_measured = 0;
        for entry in shipped_catalogue().models {
            let file = models.join(&entry.name).join("training.json");
            let record = fs::read(&file).expect(&entry.name);
            let record: TrainingRecord = serde_json::from_slice(&record).expect(&entry.name);
            let all = record.accuracies();
            let first = entry.strategies.first().map(String::as_str);
            let named = all.iter().map(|line| line.strategy().or(first));
            let measured: BTreeSet<&str> = named.flatten().collect();
            for strategy in &entry.strategies {
                for problems in ["class", "official"] {
                    let (own, rest) = own_and_rest(all, strategy, first, problems);
                    assert_eq!(
                        own.is_some(),
                        measured.contains(&**strategy),
                        "{}",
                        entry.name
                    );
                    assert_eq!(rest.len() + usize::from(own.is_some()), all.len());
                    let Some(own) = own else { continue };
                    assert_eq!(own.problems_name(), problems, "{}", entry.name);
                    assert!(own.strategy().is_none_or(|found| found == strategy));
                    n_measured += 1;
                }
            }
        }
        assert!(n_measured > 60, "found {n_measured}");
    }

    #[test]
    fn where_no_such_problems_were_measured_the_first_ones_stand() {
        let line = |problems: &str| Accuracy {
            problems: problems.into(),
            share: latent_model::metrics::wilson(1, 2).expect("two"),
            by_hops: Vec::new(),
        };
        let all = [line("official, soft"), line("official, coconut thoughts=6")];
        let (own, rest) = own_and_rest(&all, "coconut", None, "class");
        assert_eq!((own, rest), (Some(&all[1]), vec![&all[0]]));
        let text = sentence(&all[1]);
        assert!(
            text.starts_with("official, coconut thoughts=6: 50.0 % right (n 2,"),
            "{text}"
        );
    }
}
