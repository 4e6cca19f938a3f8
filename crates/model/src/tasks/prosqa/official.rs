//! The official ProsQA files (facebookresearch/coconut, MIT): a JSON array of problems.

use serde::Deserialize;

use super::{Problem, Symbol, text::ParseError};

/// An official file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OfficialError {
    /// Not a JSON array of problems.
    #[error("not a ProsQA file: {0}")]
    Json(serde_json::Error),
    /// The question is not in the official English.
    #[error("problem {index}: {reason}")]
    Question {
        /// Its index in the file.
        index: usize,
        /// What is wrong.
        reason: ParseError,
    },
    /// Two fields of a problem contradict each other.
    #[error("problem {index}: {field} says {found}, but the question says {expected}")]
    Contradiction {
        /// Its index in the file.
        index: usize,
        /// The field.
        field: &'static str,
        /// What follows from the question.
        expected: String,
        /// What the field says.
        found: String,
    },
}

#[derive(Deserialize)]
struct Official {
    question: String,
    answer: String,
    idx_to_symbol: Vec<String>,
    edges: Vec<[usize; 2]>,
    root: usize,
    target: usize,
    neg_target: usize,
}

/// Reads an official file. Every problem is checked: graph, question and answer must agree.
pub fn load(json: &str) -> Result<Vec<Problem>, OfficialError> {
    let problems: Vec<Official> = serde_json::from_str(json).map_err(OfficialError::Json)?;
    problems
        .iter()
        .enumerate()
        .map(|(index, official)| official.problem(index))
        .collect()
}

impl Official {
    /// The text decides; node numbers follow the file's.
    fn problem(&self, index: usize) -> Result<Problem, OfficialError> {
        let problem = Problem::parse(&self.question);
        let problem = problem.map_err(|reason| OfficialError::Question { index, reason })?;
        let contradiction = |field, expected: &str, found: &str| {
            let (expected, found) = (expected.into(), found.into());
            Err(OfficialError::Contradiction {
                index,
                field,
                expected,
                found,
            })
        };
        if self.answer != problem.answer() {
            return contradiction("answer", &problem.answer(), &self.answer);
        }
        let fields = [
            ("root", self.root, problem.root),
            ("target", self.target, problem.target),
            ("neg_target", self.neg_target, problem.neg_target),
        ];
        for (field, file_node, node) in fields {
            let found = self.name(file_node);
            let expected = problem.symbols[node].name();
            if found != expected {
                return contradiction(field, expected, found);
            }
        }
        let mut found: Vec<_> = self
            .edges
            .iter()
            .map(|e| e.map(|node| self.name(node)))
            .collect();
        let mut expected: Vec<_> = problem
            .edges
            .iter()
            .map(|e| e.map(|node| problem.symbols[node].name()))
            .collect();
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            return contradiction("edges", &format!("{expected:?}"), &format!("{found:?}"));
        }
        Ok(self.renumbered(problem))
    }

    fn name(&self, node: usize) -> &str {
        self.idx_to_symbol
            .get(node)
            .map_or("(no such node)", String::as_str)
    }

    /// The same problem with the file's node numbers, in which an edge leads to a larger number.
    fn renumbered(&self, problem: Problem) -> Problem {
        let number = |node: usize| {
            let name = problem.symbols[node].name();
            self.idx_to_symbol
                .iter()
                .position(|symbol| symbol == name)
                .unwrap_or(node)
        };
        let symbol = |name: &String| Symbol::from_name(name);
        let Some(symbols) = self.idx_to_symbol.iter().map(symbol).collect() else {
            return problem; // A node outside of every statement, with a word of its own.
        };
        Problem {
            symbols,
            edges: problem.edges.iter().map(|e| e.map(number)).collect(),
            statement_order: problem.statement_order.clone(),
            root: self.root,
            target: self.target,
            neg_target: self.neg_target,
            target_first: problem.target_first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"[{
        "question": "Bob is a gerpus. Tom is a terpus. Is Tom a gerpus or terpus?",
        "answer": "Tom is a terpus.", "steps": ["Tom is a terpus."],
        "idx_to_symbol": ["Tom", "Bob", "gerpus", "terpus"], "edges": [[0, 3], [1, 2]],
        "root": 0, "target": 3, "neg_target": 2
    }]"#;

    #[test]
    fn a_problem_is_read_with_the_files_numbers() {
        let problem = load(FILE).expect("a good file").remove(0);
        assert_eq!(problem.edges, [[1, 2], [0, 3]]);
        assert_eq!(
            (problem.root, problem.target, problem.neg_target),
            (0, 3, 2)
        );
        assert!(!problem.target_first);
        assert!(FILE.contains(&problem.question()));
    }

    #[test]
    fn contradictions_are_named() {
        for (field, good, bad) in [
            (
                "answer",
                "\"Tom is a terpus.\", \"steps\"",
                "\"Tom is a gerpus.\", \"steps\"",
            ),
            ("target", "\"target\": 3", "\"target\": 1"),
            ("edges", "[[0, 3], [1, 2]]", "[[0, 3], [1, 3]]"),
        ] {
            assert!(FILE.contains(good));
            let error = load(&FILE.replace(good, bad)).expect_err(field).to_string();
            assert!(
                error.contains("problem 0") && error.contains(field),
                "{error}"
            );
        }
        assert!(matches!(load(&FILE[..40]), Err(OfficialError::Json(_))));
    }
}
