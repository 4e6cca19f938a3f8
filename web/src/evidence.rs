//! What `latent table`, `latent analyze` and `latent case-study` measured, as the page words it.

use latent_model::{
    analysis::{
        report::{Mixing, title},
        statistics::Mean,
    },
    evidence::{Measured, Outcome, Published, RowOfTable},
};
use serde::Deserialize;
use serde_json::Value;

use crate::words::words;

/// A suite of measurements: a folder of `evidence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// The folder's name.
    pub name: &'static str,
    /// Whether it holds accuracies against the number of thoughts, and their drawing.
    pub has_thoughts: bool,
}

/// All of them, in the order in which they are shown.
pub const SUITES: [Suite; 3] = [
    Suite {
        name: "coconut",
        has_thoughts: true,
    },
    Suite {
        name: "ccot",
        has_thoughts: false,
    },
    Suite {
        name: "ccot-studies",
        has_thoughts: false,
    },
];

impl Suite {
    /// The address of one of its files.
    pub fn path(self, file: &str) -> String {
        format!("evidence/{}/{file}", self.name)
    }
}

/// A study of mixtures: a folder of `evidence` with `analysis.json` and `analysis.svg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Study {
    /// The folder's name.
    pub name: &'static str,
    /// What it is about; like all that evidence says, in English.
    pub title: &'static str,
}

/// All of them, in the order in which they are shown.
pub const STUDIES: [Study; 2] = [
    Study {
        name: "analysis",
        title: "Why Soft Thinking is greedy, and what noise repairs",
    },
    Study {
        name: "smollm2",
        title: "The same on a pretrained model",
    },
];

impl Study {
    /// The address of one of its files.
    pub fn path(self, file: &str) -> String {
        format!("evidence/{}/{file}", self.name)
    }
}

/// What of a row of `analysis.json` is about mixtures as such.
#[derive(Clone, Debug, PartialEq)]
pub struct RowOfStudy {
    /// Name of the checkpoint.
    pub model: String,
    /// The problems and their number.
    pub problems: String,
    /// One for each way of decoding; the first is what the others are compared with.
    pub methods: Vec<Mixing>,
}

/// The rows of an `analysis.json`, without those that only compare methods. What the page does not
/// show is not read: a type for all of the file would weigh more than this view.
pub fn rows_of_study(study: &Value) -> Vec<RowOfStudy> {
    let rows = list(&study["rows"]).iter();
    let rows = rows.filter(|row| matches!(text(&row["part"]), "mixtures" | "one"));
    let row = |row: &Value| RowOfStudy {
        model: text(&row["model"]).into(),
        problems: format!("{}, n {}", text(&row["problems"]), row["n"]),
        methods: list(&row["methods"]).iter().map(mixing).collect(),
    };
    rows.map(row).collect()
}

fn mixing(method: &Value) -> Mixing {
    let js = &method["js"];
    let layers = list(&method["overlap"]["top1"]["5"]);
    let ends = layers.first().zip(layers.last());
    Mixing {
        title: title(
            text(&method["strategy"]),
            list(&method["set"]).iter().map(text),
        ),
        top1: mean_of(&js["top1"]),
        top1_of_several: mean_of(&js["top1_of_several"]),
        top2: mean_of(&js["top2"]),
        rouge_l: mean_of(&method["rouge_l"]),
        overlap: ends.and_then(|(first, last)| Some([mean_of(first)?, mean_of(last)?])),
    }
}

/// A text of a file; empty where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn mean_of(value: &Value) -> Option<Mean> {
    let number = |name: &str| value[name].as_f64();
    Some(Mean {
        mean: number("mean")?,
        ci_low: number("ci_low")?,
        ci_high: number("ci_high")?,
        n: number("n")? as usize,
    })
}

/// `0.087 [0.081, 0.094], n 2413`, or a dash where nothing was measured.
pub fn mean(mean: Option<&Mean>) -> String {
    mean.map_or("–".into(), |mean| {
        format!(
            "{:.3} [{:.3}, {:.3}], n {}",
            mean.mean, mean.ci_low, mean.ci_high, mean.n
        )
    })
}

/// `evidence/case-study.json`, as far as the page links it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CaseStudy {
    /// The page's state for it, as the hash of an address.
    pub hash: String,
    /// Steps from the root to the target.
    pub hops: usize,
}

/// What was measured on a set: `82.0 % [77.3, 85.9]`, or why nothing was.
pub fn cell(row: &RowOfTable, set: &str) -> String {
    match (row.outcome.on(set), &row.outcome) {
        (Some(found), _) => {
            let [value, low, high] = found.accuracy.percent();
            format!("{value:.1} % [{low:.1}, {high:.1}]")
        }
        (None, Outcome::NotTrained) => words().not_trained.into(),
        (None, _) => words().not_measured.into(),
    }
}

/// Thinking steps and answer tokens of a problem on a set: `8.2 + 3.0`.
pub fn tokens(row: &RowOfTable, set: &str) -> String {
    let measured = row.outcome.on(set);
    measured.map_or_else(String::new, Measured::tokens_text)
}

/// The paper's figure: `77.5 ±1.9 %`.
pub fn paper(published: Option<Published>) -> String {
    match published {
        Some(Published {
            accuracy,
            spread: Some(spread),
            ..
        }) => {
            format!("{accuracy:.1} ±{spread:.1} %")
        }
        Some(Published { accuracy, .. }) => format!("{accuracy:.1} %"),
        None => "–".into(),
    }
}

/// The checkpoint, with its adapters where they are not the default ones: `arithmetic-ccot/ccot-r1`.
pub fn checkpoint(row: &RowOfTable) -> String {
    let adapters = row.adapters.iter().map(|name| format!("/{name}"));
    row.model.clone() + &adapters.collect::<String>()
}

/// The first link of a Markdown text: what stands before it, its text, its address, and the rest.
pub fn next_link(markdown: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = markdown.split_once('[')?;
    let (text, rest) = rest.split_once("](")?;
    let (address, after) = rest.split_once(')')?;
    Some((before, text, address, after))
}

#[cfg(test)]
mod tests {
    use latent_model::{
        analysis::report::{AnalysisRow, AnalysisStudy, sentences},
        evidence::Table,
        metrics::Proportion,
    };

    use super::*;
    use crate::{catalogue::shipped_catalogue, page_state::PageState};

    #[test]
    fn what_ships_can_be_read() {
        let public = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../public"));
        for suite in SUITES {
            let read = |file: &str| std::fs::read_to_string(public.join(suite.path(file)));
            let table = read("table.json").expect("it ships");
            let table: Table = serde_json::from_str(&table).expect("latent table wrote it");
            let is_measured = |row: &RowOfTable| matches!(row.outcome, Outcome::Measured { .. });
            assert!(table.rows.iter().any(is_measured), "{suite:?}");
            assert!(next_link(&table.introduction).is_some(), "{suite:?}");
            assert_eq!(read("thoughts.svg").is_ok(), suite.has_thoughts);
        }
        for study in STUDIES {
            let read = |file: &str| std::fs::read_to_string(public.join(study.path(file)));
            assert!(read("analysis.svg").is_ok(), "{study:?}");
            let found = read("analysis.json").expect("it ships");
            // What is picked out of it is what the whole of it says.
            let whole: AnalysisStudy =
                serde_json::from_str(&found).expect("latent analyze wrote it");
            let rows = rows_of_study(&serde_json::from_str(&found).expect("JSON"));
            let of_mixtures = |row: &&AnalysisRow| ["mixtures", "one"].contains(&&*row.part);
            let expected = whole.rows.iter().filter(of_mixtures);
            let expected: Vec<String> = expected.flat_map(AnalysisRow::sentences).collect();
            let said = rows
                .iter()
                .flat_map(|row| sentences(&row.model, &row.methods));
            assert_eq!(said.collect::<Vec<String>>(), expected, "{study:?}");
            assert!(!expected.is_empty(), "{study:?}");
        }
        let case = include_str!("../../public/evidence/case-study.json");
        let case: CaseStudy = serde_json::from_str(case).expect("latent case-study wrote it");
        let opened = PageState::from_hash(&case.hash, &shipped_catalogue());
        let opened = opened.expect("the page can open it");
        assert!(opened.left_out.is_empty(), "{opened:?}");
    }

    #[test]
    fn links_are_found_one_after_the_other() {
        let text = "The paper ([1](https://a.b/c)) says so.";
        let expected = ("The paper (", "1", "https://a.b/c", ") says so.");
        assert_eq!(next_link(text), Some(expected));
        assert_eq!(next_link(expected.3), None);
        assert_eq!(next_link("[not a link] at all"), None);
    }

    #[test]
    fn a_cell_says_what_was_measured_or_why_nothing_was() {
        let mut row = RowOfTable {
            method: "CoT".into(),
            task: "prosqa".into(),
            model: "prosqa-cot".into(),
            adapters: None,
            strategy: "token-cot".into(),
            set: Vec::new(),
            paper: None,
            outcome: Outcome::Measured {
                weights_sha256: String::new(),
                results: vec![Measured {
                    problems: "official".into(),
                    accuracy: Proportion {
                        n: 300,
                        value: 0.82,
                        low: 0.7727,
                        high: 0.8594,
                    },
                    malformed: 0.0,
                    think_steps: 8.3,
                    answer_tokens: 2.9,
                    tokens: 11.2,
                }],
            },
        };
        assert_eq!(cell(&row, "official"), "82.0 % [77.3, 85.9]");
        assert_eq!(cell(&row, "class"), "not measured");
        row.outcome = Outcome::NotTrained;
        assert_eq!(cell(&row, "official"), "not trained");
    }
}
