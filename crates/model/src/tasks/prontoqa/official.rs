//! ProntoQA's files: what the released generator (github.com/asaparov/prontoqa) writes, and what
//! Coconut's `preprocessing/prontoqa.py` makes of it.

use serde::Deserialize;
use serde_json::Value;

use super::Problem;
use crate::tasks::{
    Format,
    file::{Entries, Entry, fields, json_array},
};

pub(super) const FORMATS: [Format; 2] = [
    Format {
        name: "Coconut's JSON array of {\"question\", \"answer\", \"steps\"}",
        fits: |text| text.starts_with('['),
        entries: json_array,
        problem: read_entry,
    },
    Format {
        name: "the ProntoQA generator's JSON object of {\"example1\": {\"test_example\": \
               {\"question\", \"query\", \"answer\"}}, …}",
        fits: |text| text.starts_with('{'),
        entries: examples,
        problem: read_entry,
    },
];

/// A problem in either format; Coconut's has the query at the end of the question.
#[derive(Deserialize)]
struct Official {
    question: String,
    #[serde(default)]
    query: String,
    answer: String,
}

/// The examples in the file's order, in which `example10` comes after `example9`.
fn examples(text: &str) -> Result<Entries, String> {
    let examples: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut examples: Vec<(String, Value)> = examples.into_iter().collect();
    examples.sort_by_key(|(name, _)| (name.len(), name.clone()));
    let test_example = |mut example: Value| match example.get_mut("test_example") {
        Some(test_example) => Ok(test_example.take()),
        None => Err("missing field `test_example`".into()),
    };
    let named = |(name, example)| (name, test_example(example));
    Ok(examples.into_iter().map(named).collect())
}

/// Reads a problem; question and answer must agree.
fn read_entry(value: Value) -> Result<Entry, String> {
    let official: Official = fields(value)?;
    let problem = Problem::parse(&format!("{} {}", official.question, official.query));
    let problem = problem.map_err(|error| error.to_string())?;
    let (found, expected) = (official.answer, problem.answer());
    if found != expected {
        return Err(format!(
            "the answer says {found:?}, but the statements say {expected}"
        ));
    }
    Ok(Entry::Problem(Box::new(problem.into())))
}

#[cfg(test)]
mod tests {
    use crate::tasks::{FileError, prontoqa::TASK};

    const RAW: &str = r#"{
        "example10": {"test_example": {"question": "Wumpuses are not red. Fae is a wumpus.",
            "query": "True or false: Fae is not red.", "chain_of_thought": [], "answer": "True"}},
        "example2": {"test_example": {"question": "Wumpuses are red. Max is a wumpus.",
            "query": "True or false: Max is not red.", "chain_of_thought": [], "answer": "False"}}
    }"#;
    const EXTRACT: &str = r#"[{"question":
        "Every worpus is an impus. Impuses are red. Max is a worpus. True or false: Max is red.",
        "steps": ["Max is a worpus. Every worpus is an impus."], "answer": "True"}]"#;

    #[test]
    fn both_formats_are_read() {
        let questions = |json| -> Vec<String> {
            let problems = TASK.load(json).expect("a good file").problems;
            problems.iter().map(|p| p.question().to_string()).collect()
        };
        let raw = [
            "Wumpuses are red. Max is a wumpus. True or false: Max is not red.",
            "Wumpuses are not red. Fae is a wumpus. True or false: Fae is not red.",
        ];
        assert_eq!(questions(RAW), raw);
        assert!(EXTRACT.contains(&questions(EXTRACT)[0]));
    }

    #[test]
    fn a_bad_file_is_named() {
        let error = |json: &str| TASK.load(json).expect_err("a bad file");
        let wrong = error(&EXTRACT.replace("\"True\"", "\"False\"")).to_string();
        assert!(
            wrong.contains("problem 0") && wrong.contains("say True"),
            "{wrong}"
        );
        let unknown = error(&RAW.replace("Wumpuses are red", "Dogs are red")).to_string();
        assert!(
            unknown.contains("example2") && unknown.contains("dogs"),
            "{unknown}"
        );
        for json in ["", "7", &RAW[..60]] {
            let error = error(json);
            assert!(matches!(error, FileError::Format { .. }), "{error}");
        }
        for (json, place) in [("[{}]", "problem 0"), ("{\"example1\": {}}", "example1")] {
            let error = error(json).to_string();
            assert!(error.starts_with(place), "{error}");
            assert!(error.contains("missing field"), "{error}");
        }
    }
}
