//! What a choice of problem asks: the text that lanes are given, and what it means.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ProblemChoice;
use crate::tasks::{Picture, Problem, Task, free_text};

/// One of the official problems that ship with the page.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Example {
    /// What makes it worth showing.
    pub title: String,
    /// Statements and question in official English.
    pub question: String,
}

/// The shipped problems of a task.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Examples {
    /// Where they come from, for people.
    pub source: String,
    /// The problems.
    pub problems: Vec<Example>,
}

/// `public/examples/index.json`: the shipped problems by the name of their task.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct AllExamples(BTreeMap<String, Examples>);

/// What lanes are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The task that it belongs to.
    pub task: Task,
    /// The prompt: where the text is a problem, its official form, whatever way it was typed.
    pub text: String,
    /// Whether it is said to the models in their chat.
    pub is_said: bool,
    /// What the text means, or why that is not known; without it there is no verdict.
    pub problem: Result<Problem, String>,
}

impl AllExamples {
    /// The shipped problems by the name of their task.
    pub fn by_task(&self) -> impl Iterator<Item = (&String, &Examples)> {
        self.0.iter()
    }

    /// The shipped problems of a task, where it has any.
    pub fn of(&self, task: Task) -> Option<&Examples> {
        self.0.get(task.name())
    }
}

impl Asked {
    /// What a choice of problem asks; the examples are those that ship.
    pub fn new(task: Task, choice: &ProblemChoice, examples: &AllExamples) -> Self {
        match choice {
            ProblemChoice::Drawn { difficulty, seed } => {
                Self::of(task.generate(*seed, *difficulty))
            }
            ProblemChoice::Typed(text) => Self::read(task, text),
            ProblemChoice::Said(text) => Self {
                is_said: true,
                ..Self::read(task, text)
            },
            ProblemChoice::Example(index) if *index < task.prompts().len() => {
                Self::example(task, &task.prompts()[*index])
            }
            ProblemChoice::Example(index) => {
                let known = examples.of(task).map_or(&[][..], |known| &known.problems);
                match known.get(*index) {
                    Some(example) => Self::read(task, &example.question),
                    None => Self {
                        task,
                        text: String::new(),
                        is_said: false,
                        problem: Err(format!(
                            "there is no example {} of {}; there are {}",
                            index + 1,
                            task.title(),
                            known.len()
                        )),
                    },
                }
            }
        }
    }

    fn of(problem: Problem) -> Self {
        Self {
            task: problem.task(),
            text: problem.question().into(),
            is_said: false,
            problem: Ok(problem),
        }
    }

    fn read(task: Task, text: &str) -> Self {
        match task.read(text) {
            Ok(problem) => Self::of(problem),
            Err(reason) => Self {
                task,
                // Where any text is a prompt, a space at its end is part of it.
                text: match task.picture() {
                    Picture::Text => text.into(),
                    Picture::Graph | Picture::Story => text.trim().into(),
                },
                is_said: false,
                problem: Err(reason.to_string()),
            },
        }
    }

    /// A prompt that is offered, with its answer where that is known.
    fn example(task: Task, example: &free_text::Example) -> Self {
        let asked = match example.problem() {
            Some(problem) => Self::of(problem),
            None => Self::read(task, example.prompt),
        };
        Self {
            is_said: example.chat,
            ..asked
        }
    }
}
