//! Files of questions with answers in words and formulas: GSM8K's, and MATH-500 as it is published
//! and as Soft Thinking (arXiv 2505.15778) ships it.

use serde::Deserialize;
use serde_json::Value;

use super::task::problem;
use crate::tasks::{
    Format,
    file::{Entry, fields, json_array, json_lines},
};

pub(super) const FORMATS: [Format; 2] = [
    Format {
        name: "lines of {\"question\": …, \"answer\": \"… #### 24\"} (GSM8K) or \
               {\"problem\": …, \"answer\": …} (MATH-500)",
        fits: |text| text.starts_with('{'),
        entries: json_lines,
        problem: read_entry,
    },
    Format {
        name: "a JSON array of {\"prompt\": [{\"from\": \"user\", \"value\": …}], \
               \"final_answer\": …} (Soft Thinking's)",
        fits: |text| text.starts_with('['),
        entries: json_array,
        problem: read_entry,
    },
];

/// A question in any of the formats.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an entry: expected question and answer, problem and answer, or prompt and final_answer"
)]
enum Official {
    Gsm8k {
        question: String,
        answer: String,
    },
    Math {
        problem: String,
        answer: String,
    },
    SoftThinking {
        prompt: Vec<Turn>,
        final_answer: String,
    },
}

#[derive(Deserialize)]
struct Turn {
    value: String,
}

fn read_entry(value: Value) -> Result<Entry, String> {
    let (question, solution, answer) = match fields(value)? {
        Official::Gsm8k { question, answer } => {
            let parts = answer.rsplit_once("####");
            let (solution, answer) =
                parts.ok_or("expected an answer that ends with \"#### NUMBER\", found no ####")?;
            (
                question,
                without_annotations(solution),
                answer.trim().into(),
            )
        }
        Official::Math { problem, answer } => (problem, String::new(), answer),
        Official::SoftThinking {
            prompt,
            final_answer,
        } => {
            let turns = prompt.into_iter().map(|turn| turn.value);
            let question = turns.collect::<Vec<_>>().join("\n\n");
            (question, String::new(), final_answer)
        }
    };
    if question.trim().is_empty() || answer.trim().is_empty() {
        return Err("expected a question and an answer, found an empty one".into());
    }
    let lines = solution.lines().map(str::trim);
    let steps = lines.filter(|line| !line.is_empty()).map(String::from);
    Ok(Entry::Problem(Box::new(problem(
        question.trim(),
        answer.trim(),
        steps.collect(),
    ))))
}

/// A solution without GSM8K's `<<48/2=24>>`, which are there for calculators.
fn without_annotations(solution: &str) -> String {
    let mut kept = String::new();
    let mut rest = solution;
    while let Some((before, after)) = rest.split_once("<<") {
        kept.push_str(before);
        rest = after.split_once(">>").map_or("", |(_, rest)| rest);
    }
    kept.push_str(rest);
    kept
}
