//! The question that all lanes are asked: its text, its graph where there is one, its grader.

use latent_model::tasks::{Task, Verdict, prosqa};

use crate::page_state::ProblemChoice;

/// One of the official problems that ship with the page.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Example {
    /// What makes it worth showing.
    pub title: String,
    /// Statements and question in official English.
    pub question: String,
}

/// The shipped problems, `public/examples/prosqa.json`.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
pub struct Examples {
    /// Where they come from, for people.
    pub source: String,
    /// The problems.
    pub problems: Vec<Example>,
}

/// What the lanes are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The prompt in official English.
    pub text: String,
    /// What the text means; without it there is no graph and no verdict.
    pub problem: Result<prosqa::Problem, String>,
}

/// The only task of this page so far.
pub const TASK: Task = Task::ProsQa;

impl Question {
    /// The question that a choice stands for.
    pub fn new(choice: &ProblemChoice, examples: &Examples) -> Self {
        match choice {
            ProblemChoice::Drawn { difficulty, seed } => {
                use prosqa::Difficulty;
                let preset = difficulty.pick(Difficulty::CLASS, Difficulty::OFFICIAL);
                let problem = prosqa::Problem::generate(*seed, &preset);
                let text = problem.question();
                Self {
                    text,
                    problem: Ok(problem),
                }
            }
            ProblemChoice::Typed(text) => Self::read(text),
            ProblemChoice::Example(index) => match examples.problems.get(*index) {
                Some(example) => Self::read(&example.question),
                None => Self {
                    text: String::new(),
                    problem: Err(format!(
                        "there is no example {}; there are {}",
                        index + 1,
                        examples.problems.len()
                    )),
                },
            },
        }
    }

    fn read(text: &str) -> Self {
        Self {
            text: text.trim().into(),
            problem: prosqa::Problem::parse(text).map_err(|error| error.to_string()),
        }
    }

    /// The grader's word on a completion, where the question is a problem.
    pub fn grade(&self, completion: &str) -> Option<Verdict> {
        self.problem
            .as_ref()
            .ok()
            .map(|problem| problem.grade(completion))
    }
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::Difficulty;

    use super::*;

    #[test]
    fn a_drawn_problem_typed_again_is_graded_alike() {
        let drawn = ProblemChoice::Drawn {
            difficulty: Difficulty::Class,
            seed: 5,
        };
        let drawn = Question::new(&drawn, &Examples::default());
        let typed = ProblemChoice::Typed(drawn.text.clone());
        let typed = Question::new(&typed, &Examples::default());
        let answer = drawn.problem.as_ref().expect("generated").answer();
        let completion = format!("### {answer}");
        assert_eq!(typed.grade(&completion), Some(Verdict::Right));
        assert_eq!(typed.grade("### nothing"), Some(Verdict::Malformed));
    }

    #[test]
    fn text_that_asks_nothing_has_no_verdict_but_a_reason() {
        let typed = ProblemChoice::Typed("Tom is a terpus.".into());
        let question = Question::new(&typed, &Examples::default());
        assert_eq!(question.grade("### Tom is a terpus."), None);
        let reason = question.problem.expect_err("no question");
        assert!(reason.contains("question"), "{reason}");
    }

    #[test]
    fn the_shipped_examples_are_problems() {
        let json = include_str!("../../public/examples/prosqa.json");
        let examples: Examples = serde_json::from_str(json).expect("well-formed");
        assert!(!examples.problems.is_empty());
        for index in 0..examples.problems.len() {
            let question = Question::new(&ProblemChoice::Example(index), &examples);
            assert!(question.problem.is_ok(), "{index}: {:?}", question.problem);
        }
    }
}
