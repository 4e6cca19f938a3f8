//! GSM8K's files (openai/grade-school-math, MIT): a JSON object a line.

use serde::Deserialize;

use super::{Problem, Step, evaluate};

/// A line that is not a problem.
#[derive(Debug, thiserror::Error)]
pub enum OfficialError {
    /// Not a JSON object with a question and an answer.
    #[error("line {line}: not a GSM8K problem: {reason}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: serde_json::Error,
    },
    /// An answer without `####`.
    #[error("line {line}: the answer must end with \"#### NUMBER\"")]
    NoAnswer {
        /// Counted from 1.
        line: usize,
    },
    /// `<<` without `>>`, or no `=` between them.
    #[error("line {line}: expected an annotation such as <<48/2=24>>, found {found:?}")]
    Annotation {
        /// Counted from 1.
        line: usize,
        /// From `<<` on.
        found: String,
    },
}

/// The problems of a file, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Problems with whole numbers and annotations that are right.
    pub problems: Vec<Problem>,
    /// Lines without annotations, with numbers that are not whole, or with a step that does not
    /// come out.
    pub n_skipped: usize,
}

#[derive(Deserialize)]
struct Official {
    question: String,
    answer: String,
}

/// Reads lines of `{"question": …, "answer": "… <<48/2=24>>24 … #### 72"}`; empty lines are
/// passed over.
pub fn load(text: &str) -> Result<Loaded, OfficialError> {
    let mut loaded = Loaded::default();
    for (line, json) in (1..).zip(text.lines()) {
        if json.trim().is_empty() {
            continue;
        }
        let official: Official =
            serde_json::from_str(json).map_err(|reason| OfficialError::Json { line, reason })?;
        match official.problem(line)? {
            Some(problem) => loaded.problems.push(problem),
            None => loaded.n_skipped += 1,
        }
    }
    Ok(loaded)
}

impl Official {
    /// The problem, or `None` if it has no whole-number steps.
    fn problem(self, line: usize) -> Result<Option<Problem>, OfficialError> {
        let Some((solution, answer)) = self.answer.rsplit_once("####") else {
            return Err(OfficialError::NoAnswer { line });
        };
        let mut steps = Vec::new();
        let mut is_whole = true;
        for found in solution.split("<<").skip(1) {
            let annotation = found
                .split_once(">>")
                .and_then(|(inside, _)| inside.rsplit_once('='))
                .ok_or_else(|| OfficialError::Annotation {
                    line,
                    found: format!("<<{found}"),
                })?;
            let step = whole_step(annotation.0, annotation.1);
            is_whole &= step.is_some();
            steps.extend(step);
        }
        let answer = plain(answer).parse().ok();
        Ok(answer
            .filter(|_| is_whole && !steps.is_empty())
            .map(|answer| Problem {
                question: self.question,
                steps,
                answer,
            }))
    }
}

/// A step of whole numbers whose result is right.
fn whole_step(expression: &str, result: &str) -> Option<Step> {
    let expression = plain(expression);
    let result = plain(result).parse().ok()?;
    let value = evaluate(&expression).ok()?;
    (value == result).then_some(Step { expression, result })
}

/// Without spaces and thousands' commas.
fn plain(number: &str) -> String {
    number.replace([' ', ','], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(answer: &str) -> String {
        serde_json::json!({"question": "Q?", "answer": answer}).to_string()
    }

    #[test]
    fn annotations_become_steps() {
        let answer = "In April 48/2 = <<48/2=24>>24.\nIn all <<1,000 + 24=1024>>.\n#### 1,024";
        let loaded = load(&format!("{}\n\n", line(answer))).expect("a good file");
        let problem = Problem {
            question: "Q?".into(),
            steps: vec![
                Step {
                    expression: "48/2".into(),
                    result: 24,
                },
                Step {
                    expression: "1000+24".into(),
                    result: 1024,
                },
            ],
            answer: 1024,
        };
        assert_eq!(loaded.problems, [problem]);
        assert_eq!(loaded.n_skipped, 0);
    }

    #[test]
    fn what_is_not_whole_is_counted() {
        let lines = [
            "no annotation #### 3",
            "<<1/2=0.5>> #### 3",
            "<<1+2=3>> <<7/2=3>> #### 3",
            "<<1+1=3>> #### 3",
            "<<1+2=3>> #### 3.5",
            "<<50%*4=2>> #### 2",
        ];
        for answer in lines {
            let loaded = load(&line(answer)).expect("a good file");
            assert_eq!((loaded.problems, loaded.n_skipped), (vec![], 1), "{answer}");
        }
    }

    #[test]
    fn a_malformed_line_is_named() {
        let good = line("<<1+2=3>> #### 3");
        let cases = [
            ("{\"question\": \"Q?\"}".to_string(), "not a GSM8K problem"),
            ("[".into(), "not a GSM8K problem"),
            (line("<<1+2=3>> ### 3"), "####"),
            (line("<<1+2=3 #### 3"), "<<1+2=3"),
            (line("<<1+2>> #### 3"), "<<1+2>>"),
        ];
        for (bad, expected) in cases {
            let error = load(&format!("{good}\n\n{bad}\n{good}"));
            let error = error.expect_err(&bad).to_string();
            assert!(
                error.starts_with("line 3: ") && error.contains(expected),
                "{error}"
            );
        }
    }
}
