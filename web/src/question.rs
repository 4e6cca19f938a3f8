//! The question that all lanes are asked: its text, what it means where that is known, its grader.

use latent_model::{
    address::{Asked, ProblemChoice},
    tasks::{Grade, Graph, Picture, Problem, Task, last_sentence, sentences},
};

pub use latent_model::address::AllExamples;

use crate::words::{fill, words};

/// What the lanes are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The task that it belongs to.
    pub task: Task,
    /// The prompt: where the text is a problem, its official form, whatever way it was typed.
    pub text: String,
    /// Whether it is said to the models in their chat.
    pub is_said: bool,
    /// What the text means, or why that is not known; without it there is no graph and no verdict.
    pub problem: Result<Problem, String>,
    /// The graph of a text that is no problem yet: its statements decide nothing, or it is not
    /// whole.
    sketch: Option<Graph>,
}

impl Question {
    /// The question that a choice stands for.
    pub fn new(task: Task, choice: &ProblemChoice, examples: &AllExamples) -> Self {
        let Asked {
            task,
            text,
            is_said,
            problem,
        } = Asked::new(task, choice, examples);
        let sketch = match problem {
            Ok(_) => None,
            Err(_) => sketch(task, text.trim()),
        };
        Self {
            task,
            text,
            is_said,
            problem,
            sketch,
        }
    }

    /// What is drawn: the problem's graph, or that of a text that decides nothing yet.
    pub fn graph(&self) -> Option<&Graph> {
        let of_problem = self.problem.as_ref().ok().and_then(Problem::graph);
        of_problem.or(self.sketch.as_ref())
    }

    /// What is asked, without the statements that the graph shows or the story before it.
    pub fn headline(&self) -> String {
        match (&self.problem, self.task.picture()) {
            (Ok(problem), _) => problem.headline().into(),
            (Err(_), Picture::Story | Picture::Text) if !self.text.trim().is_empty() => {
                last_sentence(&self.text).into()
            }
            (Err(reason), Picture::Story | Picture::Text) => {
                fill(words().no_verdict, &[("reason", reason)])
            }
            (Err(reason), Picture::Graph) if self.sketch.is_some() => {
                fill(words().no_verdict, &[("reason", reason)])
            }
            (Err(reason), Picture::Graph) => {
                fill(words().no_graph_no_verdict, &[("reason", reason)])
            }
        }
    }

    /// The grader's word on a completion, where the question is a problem.
    pub fn grade(&self, completion: &str) -> Option<Grade> {
        self.problem
            .as_ref()
            .ok()
            .map(|problem| problem.grade(completion))
    }
}

/// The graph of as many sentences from the first on as can be read.
fn sketch(task: Task, text: &str) -> Option<Graph> {
    let of_whole = task.sketch(text).ok();
    let of_beginning = || {
        let sentences: Vec<&str> = sentences(text).collect();
        let lengths = (1..=sentences.len()).rev();
        let mut beginnings = lengths.map(|n| sentences[..n].join(" "));
        beginnings.find_map(|text| task.statements_graph(&text).ok())
    };
    of_whole.or_else(of_beginning)
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::{Difficulty, arithmetic, free_text, prontoqa, prosqa};

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
        for task in [prosqa::TASK, prontoqa::TASK] {
            let drawn = drawn(task, 5);
            let typed = typed(task, &drawn.text);
            let answer = drawn.problem.as_ref().expect("generated").answer();
            let completion = format!("### {answer}");
            assert_eq!(typed.grade(&completion), Some(Grade::Right));
            assert_eq!(typed.grade("### nothing"), Some(Grade::Malformed));
            assert_eq!(typed.headline(), drawn.headline());
        }
    }

    #[test]
    fn what_people_type_is_the_prompt_in_its_official_form() {
        for task in [prosqa::TASK, prontoqa::TASK] {
            let drawn = drawn(task, 5);
            let last = drawn.text.len() - 1;
            let spaced = format!("{} {}", &drawn.text[..last], &drawn.text[last..]);
            for text in [
                spaced,
                drawn.text.to_lowercase(),
                drawn.text.replace(". ", ".\r\n"),
            ] {
                let typed = typed(task, &text);
                assert!(typed.problem.is_ok(), "{text}");
                assert_eq!(typed.text, drawn.text, "{text}");
                // A graph's nodes stand in the order of their first mention, not of their drawing.
                let answer =
                    |question: &Question| question.problem.clone().map(|p| p.answer().to_string());
                assert_eq!(answer(&typed), answer(&drawn), "{text}");
                assert_eq!(typed.headline(), drawn.headline(), "{text}");
            }
        }
    }

    #[test]
    fn a_drawn_story_is_graded_and_a_typed_one_says_why_it_is_not() {
        let story = drawn(arithmetic::TASK, 5);
        let answer = story.problem.as_ref().expect("generated").answer();
        assert_eq!(story.grade(&format!("### {answer}")), Some(Grade::Right));
        let again = typed(arithmetic::TASK, &story.text);
        assert_eq!(again.grade(&format!("### {answer}")), None);
        assert!(again.problem.is_err_and(|why| why.contains("answer")));
    }

    #[test]
    fn unknown_words_of_a_story_are_named_once_before_it_runs() {
        let story = typed(
            arithmetic::TASK,
            "Zoe has 12 dogs. Tom buys 3 more dogs. How many dogs?",
        );
        let why = story.problem.expect_err("no answer is known");
        assert!(why.contains("\"Zoe\", \"dogs\";"), "{why}");
        assert!(!why.contains("Tom"), "{why}");
    }

    #[test]
    fn a_text_that_decides_nothing_is_drawn_without_a_verdict() {
        let text = "Tom is a terpus. Bob is a gerpus. Is Tom a gerpus or lempus?";
        let question = typed(prosqa::TASK, text);
        assert_eq!(question.grade("### Tom is a gerpus."), None);
        assert_eq!(question.graph().map(|graph| graph.edges.len()), Some(2));
        assert!(question.headline().starts_with("No verdict: exactly one"));
        assert!(typed(prosqa::TASK, "Tom is").graph().is_none());
    }

    #[test]
    fn a_graph_is_drawn_before_the_text_is_whole() {
        let graphs = [
            (
                prosqa::TASK,
                "Tom is a terpus. Every terpus is a gerpus. Is Tom a ge",
            ),
            (prontoqa::TASK, "Fae is a wumpus. Wumpuses are red. True or"),
        ];
        for (task, text) in graphs {
            let question = typed(task, text);
            let graph = question.graph().expect("two statements");
            assert_eq!((graph.edges.len(), graph.n_nodes()), (2, 3), "{text}");
            assert!(!graph.is_asked, "{text}");
            assert_eq!(question.grade("### True"), None);
        }
    }

    #[test]
    fn the_headline_asks_the_question_alone() {
        let text = "Tom is a terpus. Bob is a gerpus. Is Tom a gerpus or terpus?";
        let headline = typed(prosqa::TASK, text).headline();
        assert_eq!(headline, "Is Tom a gerpus or a terpus?");
        let text = "Fae is a wumpus. Wumpuses are red. True or false: Fae is not red.";
        let headline = typed(prontoqa::TASK, text).headline();
        assert_eq!(headline, "Is it true that Fae is not red?");
        let text = "Tom has 3 bags with 4 pens in each bag. How many pens does Tom have?";
        let headline = typed(arithmetic::TASK, text).headline();
        assert_eq!(headline, "How many pens does Tom have?");
        assert!(drawn(arithmetic::TASK, 2).headline().ends_with('?'));
    }

    #[test]
    fn text_that_asks_nothing_has_no_verdict_but_a_reason() {
        for task in [prosqa::TASK, prontoqa::TASK] {
            let question = typed(task, "Sam is a terpus.");
            assert_eq!(question.grade("### Sam is a terpus."), None);
            let reason = question.problem.clone().expect_err("no question");
            assert!(reason.contains("question"), "{reason}");
            assert!(question.headline().ends_with(&reason));
        }
    }

    #[test]
    fn a_prompt_that_is_offered_is_graded_where_its_answer_is_known() {
        for (index, example) in free_text::TASK.prompts().iter().enumerate() {
            let choice = ProblemChoice::Example(index);
            let question = Question::new(free_text::TASK, &choice, &AllExamples::default());
            assert_eq!(
                (&*question.text, question.is_said),
                (example.prompt, example.chat)
            );
            let says = example.answer.map(|answer| format!(" {answer}.\n"));
            let grade = question.grade(&says.unwrap_or_default());
            assert_eq!(
                grade,
                example.answer.map(|_| Grade::Right),
                "{}",
                example.title
            );
        }
        let said = ProblemChoice::Said("Who? ".into());
        let question = Question::new(free_text::TASK, &said, &AllExamples::default());
        assert_eq!((&*question.text, question.is_said), ("Who? ", true));
        assert_eq!(question.grade("Nobody"), None);
        assert_eq!(question.headline().trim(), "Who?");
    }

    fn shipped() -> AllExamples {
        let json = include_str!("../../public/examples/index.json");
        serde_json::from_str(json).expect("well-formed")
    }

    #[test]
    fn the_shipped_examples_are_problems_of_tasks() {
        let examples = shipped();
        for (name, of_task) in examples.by_task() {
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
        let question = Question::new(arithmetic::TASK, &choice, &shipped());
        let why = question.problem.expect_err("no such example");
        assert!(
            why.contains("example 3 of Word problems; there are 0"),
            "{why}"
        );
        let question = Question::new(prosqa::TASK, &choice, &shipped());
        assert!(question.problem.is_ok());
    }
}
