//! The official ProntoQA files: what the released generator writes, and Coconut's extract of it.

use serde::Deserialize;
use serde_json::Value;

use super::{Problem, text::ParseError};

/// An official file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OfficialError {
    /// Neither of the two formats.
    #[error("not a ProntoQA file: {0}")]
    Json(serde_json::Error),
    /// The question is not in the official English.
    #[error("{problem}: {reason}")]
    Question {
        /// Its index or name in the file.
        problem: String,
        /// What is wrong.
        reason: ParseError,
    },
    /// The answer is not what follows from the statements.
    #[error("{problem}: the answer says {found:?}, but the statements say {expected}")]
    Contradiction {
        /// Its index or name in the file.
        problem: String,
        /// What follows from the statements.
        expected: String,
        /// What the file says.
        found: String,
    },
}

/// A problem in either format; Coconut's has the query at the end of the question.
#[derive(Deserialize)]
struct Official {
    question: String,
    #[serde(default)]
    query: String,
    answer: String,
}

#[derive(Deserialize)]
struct Example {
    test_example: Official,
}

/// Reads a file of the released generator, `{"example1": {"test_example": {…}}, …}`, or one that
/// Coconut's `preprocessing/prontoqa.py` made of it, `[{"question", "steps", "answer"}, …]`.
///
/// Every problem is checked: question and answer must agree.
pub fn load(json: &str) -> Result<Vec<Problem>, OfficialError> {
    if json.trim_start().starts_with('[') {
        let problems: Vec<Official> = serde_json::from_str(json).map_err(OfficialError::Json)?;
        let named = problems.into_iter().enumerate();
        return named
            .map(|(index, official)| official.problem(&format!("problem {index}")))
            .collect();
    }
    let examples: serde_json::Map<String, Value> =
        serde_json::from_str(json).map_err(OfficialError::Json)?;
    let mut examples: Vec<(String, Value)> = examples.into_iter().collect();
    // "example10" comes after "example9", as in the file.
    examples.sort_by_key(|(name, _)| (name.len(), name.clone()));
    examples
        .into_iter()
        .map(|(name, example)| {
            let example = serde_json::from_value(example).map_err(OfficialError::Json)?;
            let example: Example = example;
            example.test_example.problem(&name)
        })
        .collect()
}

impl Official {
    fn problem(&self, name: &str) -> Result<Problem, OfficialError> {
        let problem = Problem::parse(&format!("{} {}", self.question, self.query));
        let problem = problem.map_err(|reason| OfficialError::Question {
            problem: name.into(),
            reason,
        })?;
        let expected = problem.answer();
        if self.answer != expected {
            return Err(OfficialError::Contradiction {
                problem: name.into(),
                expected,
                found: self.answer.clone(),
            });
        }
        Ok(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let problems = load(json).expect("a good file");
            problems.iter().map(Problem::question).collect()
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
        let error = |json: &str| load(json).expect_err("a bad file").to_string();
        let wrong = error(&EXTRACT.replace("\"True\"", "\"False\""));
        assert!(
            wrong.contains("problem 0") && wrong.contains("say True"),
            "{wrong}"
        );
        let unknown = error(&RAW.replace("Wumpuses are red", "Dogs are red"));
        assert!(
            unknown.contains("example2") && unknown.contains("dogs"),
            "{unknown}"
        );
        for json in ["", "[{}]", "{\"example1\": {}}", "7", &RAW[..60]] {
            assert!(matches!(load(json), Err(OfficialError::Json(_))), "{json}");
        }
    }
}
