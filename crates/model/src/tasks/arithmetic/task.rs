//! Word problems as a row of the table of tasks.

use super::{
    Difficulty, MARKER, Problem, evaluate,
    official::FORMATS,
    text::{normalizer, pieces, render},
    token_id, training, vocabulary,
};
use crate::tasks::{
    self, CanTeach, Fingerprint, Format, Judgement, Markers, Picture, Task, TaskSpec, TextError,
    random::SplitMix64,
    supervision::{BatchSize, Extent, SupervisedText},
};

/// The row of word problems.
pub const TASK: Task = Task(&Arithmetic);

/// Opens and closes a computation.
const BRACKETS: [&str; 2] = ["<<", ">>"];

struct Arithmetic;

impl TaskSpec for Arithmetic {
    fn name(&self) -> &'static str {
        "arithmetic"
    }

    fn title(&self) -> &'static str {
        "Word problems"
    }

    fn german_title(&self) -> &'static str {
        "Textaufgaben"
    }

    fn vocabulary(&self) -> Vec<String> {
        vocabulary().map(String::from).collect()
    }

    fn markers(&self) -> Markers {
        MARKER
    }

    fn normalizer(&self) -> Vec<(String, &'static str)> {
        normalizer()
    }

    fn render_tokens(&self, tokens: &[&str]) -> String {
        render(tokens)
    }

    fn generate(&self, seed: u64, difficulty: tasks::Difficulty) -> tasks::Problem {
        let preset = difficulty.pick(Difficulty::CLASS, Difficulty::OFFICIAL);
        Problem::generate(seed, &preset).into()
    }

    /// Nobody but its writer knows the answer of a story; which of its words no checkpoint can
    /// read is known.
    fn parse(&self, text: &str) -> Result<tasks::Problem, TextError> {
        if text.trim().is_empty() {
            return Err(TextError("type a story that ends with a question".into()));
        }
        let mut unknown: Vec<String> = Vec::new();
        for piece in pieces(text) {
            let word = format!("{piece:?}");
            if token_id(piece).is_none() && !unknown.contains(&word) {
                unknown.push(word);
            }
        }
        Err(TextError(match unknown.is_empty() {
            true => "the page does not know the answer of a story that was typed".into(),
            false => format!(
                "the models do not know {}; put other words in place to run the story",
                unknown.join(", ")
            ),
        }))
    }

    fn formats(&self) -> &'static [Format] {
        tasks::for_studies();
        &FORMATS
    }

    /// Commas are ignored, as in Coconut's evaluation.
    fn answer_said(&self, _problem: &tasks::Problem, text: &str) -> Option<String> {
        let number = text.replace(',', "");
        let digits = number.strip_prefix('-').unwrap_or(&number);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(number)
    }

    /// The last digit of the result stands for the step: its state has seen all of it. Then from
    /// the result back to the brackets.
    fn kept_ranks(&self, step: &[u32]) -> Vec<u8> {
        let words: Vec<&str> = step
            .iter()
            .map(|&id| vocabulary().nth(id as usize).unwrap_or_default())
            .collect();
        let last = |is: &dyn Fn(&str) -> bool| words.iter().rposition(|word| is(word));
        let equals = last(&|word| word == "=");
        let operator = last(&|word| ["+", "-", "*", "/"].contains(&word));
        let last_digit = last(&|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        let [open, close] = BRACKETS;
        let rank = |(at, &word): (usize, &&str)| match Some(at) {
            at if at == last_digit => 0,
            _ if word == open => 6,
            _ if word == close => 7,
            at if at == equals => 2,
            at if at > equals => 1,
            at if at == operator => 4,
            at if at > operator => 3,
            _ => 5,
        };
        words.iter().enumerate().map(rank).collect()
    }

    fn picture(&self) -> Picture {
        Picture::Story
    }

    fn complete_sentence(&self, pending: &mut Vec<String>) -> Option<Vec<String>> {
        let [open, close] = BRACKETS;
        if pending.last().is_some_and(|newest| newest == open) {
            pending.drain(..pending.len() - 1);
        }
        let is_whole = pending.first().is_some_and(|first| first == open)
            && pending.last().is_some_and(|newest| newest == close);
        is_whole.then(|| std::mem::take(pending))
    }

    fn judge_sentence(
        &self,
        words: &[&str],
        problem: Option<&tasks::Problem>,
    ) -> Option<Judgement> {
        let is_right = is_computed_right(words)?;
        let said = render(words);
        let (holds, reason) = match (is_right, problem) {
            (false, _) => (false, "The computation is wrong"),
            (true, None) => (true, "Computed right"),
            (true, Some(problem)) if problem.steps.contains(&said) => {
                (true, "Computed right, as in the worked solution")
            }
            (true, Some(_)) => (true, "Computed right, but no step of the worked solution"),
        };
        Some(Judgement { holds, reason })
    }

    fn draw_texts(
        &self,
        random: &mut SplitMix64,
        extent: &Extent,
        size: &BatchSize,
        is_withheld: &dyn Fn(&Fingerprint) -> bool,
    ) -> Vec<SupervisedText> {
        tasks::for_studies();
        training::draw_texts(random, extent, size, is_withheld)
    }

    fn can_teach(&self) -> CanTeach {
        CanTeach {
            several_questions: false,
            backward_search: false,
            statement_graphs: false,
        }
    }
}

/// Whether what stands right of `=` is what stands left of it; `None` where one of them is nothing
/// that can be computed.
fn is_computed_right(words: &[&str]) -> Option<bool> {
    let inner = words.get(1..words.len().checked_sub(1)?)?.concat();
    let (expression, result) = inner.rsplit_once('=')?;
    let result: i64 = result.parse().ok()?;
    Some(evaluate(expression) == Ok(result))
}

impl From<Problem> for tasks::Problem {
    fn from(problem: Problem) -> tasks::Problem {
        tasks::Problem {
            task: TASK,
            headline: tasks::last_sentence(&problem.question).into(),
            answer: problem.answer(),
            steps: problem.steps(),
            question_tokens: problem.encode(),
            step_tokens: problem.step_tokens(),
            answer_tokens: problem.answer_tokens(),
            fingerprint: problem.fingerprint(),
            graph: None,
            question: problem.question,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Grade;

    #[test]
    fn of_a_step_the_last_digit_of_its_result_is_kept_first() {
        let step: Vec<u32> = pieces("<<24*5=120>>")
            .into_iter()
            .filter_map(token_id)
            .collect();
        // << 2 4 * 5 = 1 2 0 >>
        assert_eq!(TASK.kept_ranks(&step), [6, 5, 5, 4, 3, 2, 1, 1, 0, 7]);
    }

    #[test]
    fn only_the_right_answer_is_right() {
        let problem = tasks::Problem::from(Problem {
            question: "How many?".into(),
            steps: vec![],
            answer: 1080,
        });
        let cases = [
            ("### 1080", Grade::Right),
            ("<<3*5=15>> #### 1,080 ", Grade::Right),
            ("### 15 ### 1080", Grade::Right),
            ("### 108", Grade::Wrong),
            ("### -1080", Grade::Wrong),
            ("### 01080", Grade::Wrong),
            ("### 1080.", Grade::Malformed),
            ("### 1080 apples", Grade::Malformed),
            ("### -", Grade::Malformed),
            ("1080", Grade::Malformed),
            ("", Grade::Malformed),
        ];
        for (completion, expected) in cases {
            assert_eq!(problem.grade(completion), expected, "{completion:?}");
        }
    }
}
