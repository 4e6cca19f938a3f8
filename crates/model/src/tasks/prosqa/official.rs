//! ProsQA's files (facebookresearch/coconut, MIT): a JSON array of problems, with their graphs as
//! the official files have them or without, as Coconut's README describes the format.

use serde::Deserialize;
use serde_json::Value;

use super::{Problem, Symbol};
use crate::tasks::{
    Format,
    file::{Entry, fields, json_array},
};

pub(super) const FORMATS: [Format; 1] = [Format {
    name: "Coconut's JSON array of {\"question\", \"answer\", \"steps\"}, with or without \
           \"edges\", \"idx_to_symbol\", \"root\", \"target\" and \"neg_target\"",
    fits: |text| text.starts_with('['),
    entries: json_array,
    problem: read_entry,
}];

#[derive(Deserialize)]
struct Official {
    question: String,
    answer: String,
    #[serde(default)]
    steps: Vec<String>,
}

/// What the official files add: the graph that the question was made from.
#[derive(Deserialize)]
struct OfficialGraph {
    idx_to_symbol: Vec<String>,
    edges: Vec<[usize; 2]>,
    root: usize,
    target: usize,
    neg_target: usize,
}

/// Reads a problem. The text decides; answer, steps and graph must agree with it.
fn read_entry(value: Value) -> Result<Entry, String> {
    let has_graph = value.get("edges").is_some();
    let graph: Option<OfficialGraph> = has_graph.then(|| fields(value.clone())).transpose()?;
    let official: Official = fields(value)?;
    let problem = Problem::parse(&official.question).map_err(|error| error.to_string())?;
    if official.answer != problem.answer() {
        return contradiction("answer", &problem.answer(), &official.answer);
    }
    let statements: Vec<String> = problem.statements().collect();
    if let Some(step) = official
        .steps
        .iter()
        .find(|step| !statements.contains(step))
    {
        return contradiction("steps", "no such thing", step);
    }
    let problem = match graph {
        Some(graph) => graph.renumbered(problem)?,
        None => problem,
    };
    Ok(Entry::Problem(Box::new(problem.into())))
}

fn contradiction<T>(field: &str, expected: &str, found: &str) -> Result<T, String> {
    Err(format!(
        "{field} says {found}, but the question says {expected}"
    ))
}

impl OfficialGraph {
    fn name(&self, node: usize) -> &str {
        self.idx_to_symbol
            .get(node)
            .map_or("(no such node)", String::as_str)
    }

    /// The problem with the file's node numbers, in which an edge leads to a larger number.
    fn renumbered(&self, problem: Problem) -> Result<Problem, String> {
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
        let name = |node: usize| problem.symbols[node].name();
        let mut found: Vec<_> = self.edges.iter().map(|e| e.map(|n| self.name(n))).collect();
        let mut expected: Vec<_> = problem.edges.iter().map(|e| e.map(name)).collect();
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            return contradiction("edges", &format!("{expected:?}"), &format!("{found:?}"));
        }
        let symbol = |name: &String| Symbol::from_name(name);
        let Some(symbols) = self.idx_to_symbol.iter().map(symbol).collect() else {
            return Ok(problem); // A node outside of every statement, with a word of its own.
        };
        let number = |node: usize| {
            let mut numbers = self.idx_to_symbol.iter();
            numbers
                .position(|known| known == name(node))
                .unwrap_or(node)
        };
        Ok(Problem {
            symbols,
            edges: problem.edges.iter().map(|e| e.map(number)).collect(),
            root: self.root,
            target: self.target,
            neg_target: self.neg_target,
            ..problem.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::tasks::{FileError, prosqa::TASK};

    const FILE: &str = r#"[{
        "question": "Bob is a gerpus. Tom is a terpus. Is Tom a gerpus or terpus?",
        "answer": "Tom is a terpus.", "steps": ["Tom is a terpus."],
        "idx_to_symbol": ["Tom", "Bob", "gerpus", "terpus"], "edges": [[0, 3], [1, 2]],
        "root": 0, "target": 3, "neg_target": 2
    }]"#;

    #[test]
    fn a_problem_is_read_with_the_files_numbers() {
        let problem = TASK.load(FILE).expect("a good file").problems.remove(0);
        let graph = problem.graph().expect("statements");
        assert_eq!(graph.edges, [[1, 2], [0, 3]]);
        assert_eq!((graph.root, graph.target), (0, 3));
        assert_eq!(graph.options, [2, 3]);
        assert!(FILE.contains(problem.question()));
    }

    #[test]
    fn contradictions_are_named() {
        for (field, good, bad) in [
            ("answer", "terpus.\", \"steps\"", "gerpus.\", \"steps\""),
            ("steps", "[\"Tom is a terpus.\"]", "[\"Bob is a terpus.\"]"),
            ("target", "\"target\": 3", "\"target\": 1"),
            ("edges", "[[0, 3], [1, 2]]", "[[0, 3], [1, 3]]"),
        ] {
            assert!(FILE.contains(good));
            let error = TASK.load(&FILE.replace(good, bad)).expect_err(field);
            let text = error.to_string();
            assert!(text.contains("problem 0") && text.contains(field), "{text}");
        }
        let error = TASK.load(&FILE[..40]).expect_err("half a file");
        assert!(matches!(error, FileError::Format { .. }), "{error}");
    }
}
