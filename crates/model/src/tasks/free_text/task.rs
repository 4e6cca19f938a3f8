//! Free text as a row of the tables of tasks.

use super::{
    EXAMPLES, Example,
    answer::{Answer, said},
    official::FORMATS,
};
use crate::tasks::{
    self, CanTeach, Difficulty, Fingerprint, Format, Judgement, MARKERS, Markers, Picture, Problem,
    Task, TaskSpec, TextError, UnknownWord,
    random::SplitMix64,
    supervision::{BatchSize, Extent, SupervisedText},
};

/// The row of free text.
pub const TASK: Task = Task(&FreeText);

struct FreeText;

impl TaskSpec for FreeText {
    fn name(&self) -> &'static str {
        "free-text"
    }

    fn title(&self) -> &'static str {
        "Free text"
    }

    fn german_title(&self) -> &'static str {
        "Freier Text"
    }

    /// No words: they are the model's.
    fn vocabulary(&self) -> Vec<String> {
        MARKERS.map(String::from).to_vec()
    }

    fn markers(&self) -> Markers {
        Markers::after(0)
    }

    fn normalizer(&self) -> Vec<(String, &'static str)> {
        Vec::new()
    }

    fn render_tokens(&self, tokens: &[&str]) -> String {
        tokens.join(" ")
    }

    fn render_text(&self, text: &str) -> String {
        text.into()
    }

    /// One of the examples that have an answer.
    fn generate(&self, seed: u64, _difficulty: Difficulty) -> Problem {
        let with_answer = EXAMPLES.iter().filter_map(|example| {
            let answer = example.answer?;
            Some((example.prompt, answer))
        });
        let all: Vec<(&str, &str)> = with_answer.collect();
        let (question, answer) = all[(seed % all.len() as u64) as usize];
        problem(question, answer, Vec::new())
    }

    fn parse(&self, text: &str) -> Result<Problem, TextError> {
        Err(TextError(match text.trim().is_empty() {
            true => "type a question, or a text to go on with".into(),
            false => "nobody but its writer knows the answer of a text that was typed".into(),
        }))
    }

    fn prompts(&self) -> &'static [Example] {
        EXAMPLES
    }

    fn formats(&self) -> &'static [Format] {
        tasks::for_studies();
        &FORMATS
    }

    fn answer_part<'a>(&self, completion: &'a str) -> Option<&'a str> {
        Some(completion)
    }

    fn answer_said(&self, problem: &Problem, text: &str) -> Option<String> {
        let right = Answer::new(problem.answer());
        let said = said(text, &right)?;
        Some(match Answer::new(&said) == right {
            true => problem.answer().into(),
            false => said,
        })
    }

    fn picture(&self) -> Picture {
        Picture::Text
    }

    fn complete_sentence(&self, pending: &mut Vec<String>) -> Option<Vec<String>> {
        pending.clear();
        None
    }

    fn judge_sentence(&self, _words: &[&str], _problem: Option<&Problem>) -> Option<Judgement> {
        None
    }

    fn draw_texts(
        &self,
        _random: &mut SplitMix64,
        _extent: &Extent,
        _size: &BatchSize,
        _is_withheld: &dyn Fn(&Fingerprint) -> bool,
    ) -> Vec<SupervisedText> {
        Vec::new()
    }

    fn can_teach(&self) -> CanTeach {
        CanTeach {
            several_questions: false,
            backward_search: false,
            statement_graphs: false,
        }
    }
}

/// A question with its answer and the lines of a solution, where there are any.
pub(super) fn problem(question: &str, answer: &str, steps: Vec<String>) -> Problem {
    let is_word = |c: char| c.is_alphanumeric();
    let words = question
        .split(|c| !is_word(c))
        .filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    let word = words.first().cloned().unwrap_or_default();
    Problem {
        task: TASK,
        question: question.into(),
        headline: tasks::last_sentence(question).into(),
        answer: answer.into(),
        steps,
        question_tokens: Err(UnknownWord { word }),
        step_tokens: Vec::new(),
        answer_tokens: Vec::new(),
        fingerprint: Fingerprint::of_sequence(words.into_iter()),
        graph: None,
    }
}
