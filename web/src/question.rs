//! The question that all lanes are asked: its text, what it means where that is known, its grader.

use std::collections::BTreeMap;

use latent_model::{
    address::ProblemChoice,
    tasks::{Problem, Task, Verdict, arithmetic, prontoqa, prosqa},
};

/// One of the official problems that ship with the page.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Example {
    /// What makes it worth showing.
    pub title: String,
    /// Statements and question in official English.
    pub question: String,
}

/// The shipped problems of a task.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
pub struct Examples {
    /// Where they come from, for people.
    pub source: String,
    /// The problems.
    pub problems: Vec<Example>,
}

/// `public/examples/index.json`: the shipped problems by the name of their task.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(transparent)]
pub struct AllExamples(BTreeMap<String, Examples>);

/// What the lanes are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The task that it belongs to.
    pub task: Task,
    /// The prompt in the task's English.
    pub text: String,
    /// What the text means, or why that is not known; without it there is no graph and no verdict.
    pub problem: Result<Problem, String>,
}

impl AllExamples {
    /// The shipped problems of a task, where it has any.
    pub fn of(&self, task: Task) -> Option<&Examples> {
        self.0.get(task.name())
    }
}

impl Question {
    /// The question that a choice stands for.
    pub fn new(task: Task, choice: &ProblemChoice, examples: &AllExamples) -> Self {
        match choice {
            ProblemChoice::Drawn { difficulty, seed } => {
                let problem = task.generate(*seed, *difficulty);
                Self {
                    task,
                    text: problem.question(),
                    problem: Ok(problem),
                }
            }
            ProblemChoice::Typed(text) => Self::read(task, text),
            ProblemChoice::Example(index) => {
                let known = examples.of(task).map_or(&[][..], |known| &known.problems);
                match known.get(*index) {
                    Some(example) => Self::read(task, &example.question),
                    None => Self {
                        task,
                        text: String::new(),
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

    fn read(task: Task, text: &str) -> Self {
        Self {
            task,
            text: text.trim().into(),
            problem: parse(task, text),
        }
    }

    /// What is asked, without the statements that the graph shows or the story before it.
    pub fn headline(&self) -> String {
        match &self.problem {
            Ok(Problem::ProsQa(problem)) => {
                let name = |node: usize| problem.symbols[node].name();
                let [a, b] = problem.options();
                format!("Is {} a {} or a {}?", name(problem.root), name(a), name(b))
            }
            Ok(Problem::ProntoQa(problem)) => {
                let claim = prontoqa::Statement {
                    subject: problem.entity,
                    object: problem.query,
                    form: prontoqa::Form::Every,
                };
                let claim = claim.english();
                format!("Is it true that {}?", claim.trim_end_matches('.'))
            }
            Ok(Problem::Arithmetic(_)) => last_sentence(&self.text).into(),
            Err(_) if self.task == Task::Arithmetic && !self.text.is_empty() => {
                last_sentence(&self.text).into()
            }
            Err(reason) if self.task == Task::Arithmetic => format!("No verdict: {reason}"),
            Err(reason) => format!("No graph and no verdict: {reason}"),
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

/// What a text means, or why that is not known.
fn parse(task: Task, text: &str) -> Result<Problem, String> {
    match task {
        Task::ProsQa => {
            let problem = prosqa::Problem::parse(text);
            problem.map(Problem::ProsQa).map_err(|e| e.to_string())
        }
        Task::ProntoQa => {
            let problem = prontoqa::Problem::parse(text);
            problem.map(Problem::ProntoQa).map_err(|e| e.to_string())
        }
        Task::Arithmetic => Err(why_no_answer(text)),
    }
}

/// Why a story that somebody wrote is not graded, and which of its words no checkpoint can read.
fn why_no_answer(text: &str) -> String {
    if text.trim().is_empty() {
        return "type a story that ends with a question".into();
    }
    let mut unknown: Vec<String> = Vec::new();
    for piece in arithmetic::pieces(text) {
        let word = format!("{piece:?}");
        if arithmetic::token_id(piece).is_none() && !unknown.contains(&word) {
            unknown.push(word);
        }
    }
    if unknown.is_empty() {
        return "the page does not know the answer of a story that was typed".into();
    }
    format!(
        "the models do not know {}; put other words in place to run the story",
        unknown.join(", ")
    )
}

/// What stands after the last full stop or question mark but one.
fn last_sentence(text: &str) -> &str {
    story_sentences(text).last().unwrap_or(text)
}

/// The sentences of a story, each with its full stop or question mark.
pub fn story_sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '?'])
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::Difficulty;

    use super::*;

    fn typed(task: Task, text: &str) -> Question {
        let choice = ProblemChoice::Typed(text.into());
        Question::new(task, &choice, &AllExamples::default())
    }

    fn drawn(task: Task, seed: u64) -> Question {
        let difficulty = Difficulty::Class;
        let choice = ProblemChoice::Drawn { difficulty, seed };
        Question::new(task, &choice, &AllExamples::default())
    }

    #[test]
    fn a_drawn_problem_typed_again_is_graded_alike() {
        for task in [Task::ProsQa, Task::ProntoQa] {
            let drawn = drawn(task, 5);
            let typed = typed(task, &drawn.text);
            let answer = drawn.problem.as_ref().expect("generated").answer();
            let completion = format!("### {answer}");
            assert_eq!(typed.grade(&completion), Some(Verdict::Right));
            assert_eq!(typed.grade("### nothing"), Some(Verdict::Malformed));
            assert_eq!(typed.headline(), drawn.headline());
        }
    }

    #[test]
    fn a_drawn_story_is_graded_and_a_typed_one_says_why_it_is_not() {
        let story = drawn(Task::Arithmetic, 5);
        let answer = story.problem.as_ref().expect("generated").answer();
        assert_eq!(story.grade(&format!("### {answer}")), Some(Verdict::Right));
        let again = typed(Task::Arithmetic, &story.text);
        assert_eq!(again.grade(&format!("### {answer}")), None);
        assert!(again.problem.is_err_and(|why| why.contains("answer")));
    }

    #[test]
    fn unknown_words_of_a_story_are_named_once_before_it_runs() {
        let story = typed(
            Task::Arithmetic,
            "Zoe has 12 dogs. Tom buys 3 more dogs. How many dogs?",
        );
        let why = story.problem.expect_err("no answer is known");
        assert!(why.contains("\"Zoe\", \"dogs\";"), "{why}");
        assert!(!why.contains("Tom"), "{why}");
    }

    #[test]
    fn the_headline_asks_the_question_alone() {
        let text = "Tom is a terpus. Bob is a gerpus. Is Tom a gerpus or terpus?";
        let headline = typed(Task::ProsQa, text).headline();
        assert_eq!(headline, "Is Tom a gerpus or a terpus?");
        let text = "Fae is a wumpus. Wumpuses are red. True or false: Fae is not red.";
        let headline = typed(Task::ProntoQa, text).headline();
        assert_eq!(headline, "Is it true that Fae is not red?");
        let text = "Tom has 3 bags with 4 pens in each bag. How many pens does Tom have?";
        let headline = typed(Task::Arithmetic, text).headline();
        assert_eq!(headline, "How many pens does Tom have?");
        assert!(drawn(Task::Arithmetic, 2).headline().ends_with('?'));
    }

    #[test]
    fn text_that_asks_nothing_has_no_verdict_but_a_reason() {
        for task in [Task::ProsQa, Task::ProntoQa] {
            let question = typed(task, "Sam is a terpus.");
            assert_eq!(question.grade("### Sam is a terpus."), None);
            let reason = question.problem.clone().expect_err("no question");
            assert!(reason.contains("question"), "{reason}");
            assert!(question.headline().ends_with(&reason));
        }
    }

    fn shipped() -> AllExamples {
        let json = include_str!("../../public/examples/index.json");
        serde_json::from_str(json).expect("well-formed")
    }

    #[test]
    fn the_shipped_examples_are_problems_of_tasks() {
        let examples = shipped();
        for (name, of_task) in &examples.0 {
            let task: Task = name.parse().expect("a task");
            assert!(!of_task.problems.is_empty());
            for index in 0..of_task.problems.len() {
                let question = Question::new(task, &ProblemChoice::Example(index), &examples);
                assert!(question.problem.is_ok(), "{index}: {:?}", question.problem);
            }
        }
    }

    #[test]
    fn an_example_that_a_task_lacks_is_an_error() {
        let choice = ProblemChoice::Example(2);
        let question = Question::new(Task::Arithmetic, &choice, &shipped());
        let why = question.problem.expect_err("no such example");
        assert!(
            why.contains("example 3 of Word problems; there are 0"),
            "{why}"
        );
        let question = Question::new(Task::ProsQa, &choice, &shipped());
        assert!(question.problem.is_ok());
    }
}
