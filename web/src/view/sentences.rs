//! Thoughts in words as what they say: statements of two words, computations between brackets.

use latent_model::{
    program::{Feed, Program, Role},
    record::StepRecord,
    tasks::{Problem, Task, arithmetic, prontoqa::Word},
    trace::{StepKind, step_kind},
};

/// Opens and closes a computation.
const BRACKETS: [&str; 2] = ["<<", ">>"];

/// What a lane has said while thinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The step that completed it.
    pub step: u32,
    /// Its tokens.
    pub tokens: Vec<String>,
    /// As the task's text: `Every gerpus is a terpus.` or `<<3*4=12>>`.
    pub text: String,
}

/// Whether a sentence holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// It does.
    pub holds: bool,
    /// Why, or why not.
    pub reason: &'static str,
}

/// The sentences that a lane has thought in words so far; none for a lane that thinks in anything
/// else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentences {
    all: Vec<Sentence>,
    /// Words that have not made a sentence.
    pending: Vec<String>,
}

impl Sentences {
    /// Takes up the word of a record, where it has one.
    pub fn append(
        &mut self,
        record: &StepRecord,
        program: &Program,
        task: Task,
        word: impl Fn(u32) -> String,
    ) {
        let phase = &program.phases[record.phase as usize];
        let speaks = phase.role == Role::Think
            && phase.feed == Feed::Token
            && step_kind(record, program) == StepKind::Think;
        if !speaks {
            return;
        }
        let token = word(record.token);
        if task == Task::Arithmetic && token == BRACKETS[0] {
            self.pending.clear();
        }
        self.pending.push(token);
        if let Some((tokens, text)) = completed(&mut self.pending, task) {
            self.all.push(Sentence {
                step: record.step,
                tokens,
                text,
            });
        }
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Sentence] {
        &self.all
    }

    /// The sentence that a step completed.
    pub fn at(&self, step: u32) -> Option<&Sentence> {
        let place = self
            .all
            .binary_search_by_key(&step, |sentence| sentence.step);
        place.ok().map(|place| &self.all[place])
    }
}

/// What the newest word completes, taken out of the words before it. Words that make no sentence
/// stay, and words that can no longer begin one go.
fn completed(pending: &mut Vec<String>, task: Task) -> Option<(Vec<String>, String)> {
    let tokens: Vec<&str> = pending.iter().map(String::as_str).collect();
    let text = task.render_tokens(&tokens);
    let is_whole = match task {
        // Only a pair that is a statement is rendered with a full stop.
        Task::ProsQa | Task::ProntoQa => text.ends_with('.'),
        Task::Arithmetic => {
            [tokens.first(), tokens.last()] == [Some(&BRACKETS[0]), Some(&BRACKETS[1])]
        }
    };
    if is_whole {
        return Some((std::mem::take(pending), text));
    }
    if task != Task::Arithmetic && pending.len() == 2 {
        // As the task's text pairs them: the second word may begin the next statement.
        pending.remove(0);
    }
    None
}

/// What the problem, or arithmetic itself, says of a sentence; `None` where neither can tell.
pub fn judgement(task: Task, problem: Option<&Problem>, sentence: &Sentence) -> Option<Judgement> {
    let (holds, reason) = match (task, problem) {
        (Task::Arithmetic, _) => {
            let is_right = is_computed_right(sentence)?;
            let steps = problem.map(Problem::steps);
            match (is_right, steps) {
                (false, _) => (false, "The computation is wrong"),
                (true, None) => (true, "Computed right"),
                (true, Some(steps)) if steps.contains(&sentence.text) => {
                    (true, "Computed right, as in the worked solution")
                }
                (true, Some(_)) => (true, "Computed right, but no step of the worked solution"),
            }
        }
        (_, Some(problem)) if is_stated(problem, sentence) => (true, "The problem says so"),
        (_, Some(_)) => (false, "The problem does not say this"),
        (_, None) => return None,
    };
    Some(Judgement { holds, reason })
}

fn is_stated(problem: &Problem, sentence: &Sentence) -> bool {
    let [subject, object] = &sentence.tokens[..] else {
        return false;
    };
    match problem {
        Problem::ProsQa(problem) => problem.states(subject, object),
        Problem::ProntoQa(problem) => {
            let said = [subject, object].map(|name| Word::from_name(name));
            let mut statements = problem.statements.iter();
            statements.any(|stated| said == [Some(stated.subject), Some(stated.object)])
        }
        Problem::Arithmetic(_) => false,
    }
}

/// Whether what stands right of `=` is what stands left of it; `None` where one of them is nothing
/// that can be computed.
fn is_computed_right(sentence: &Sentence) -> Option<bool> {
    let inner = sentence.tokens.get(1..sentence.tokens.len() - 1)?.concat();
    let (expression, result) = inner.rsplit_once('=')?;
    let result: i64 = result.parse().ok()?;
    Some(arithmetic::evaluate(expression) == Ok(result))
}

#[cfg(test)]
mod tests {
    use latent_model::{
        program::{Phase, Sampler, Until},
        record::InputKind,
        tasks::{Difficulty, prontoqa, prosqa},
    };

    use super::*;
    use crate::view::test_records::{record, three_times_four};

    fn sentences_of(task: Task, feed: Feed, words: &[&str]) -> Vec<Sentence> {
        let phase = Phase {
            role: Role::Think,
            feed,
            sampler: Sampler::GREEDY,
            until: Until {
                max_steps: 9,
                stop_token: None,
                cold_stop: None,
                end_classifier: None,
            },
            then_force: None,
        };
        let program = Program {
            start: None,
            phases: vec![phase],
        };
        let one =
            |step: usize| record(step as u32, InputKind::Token, 0, &[(step as u32, 1.0, 1.0)]);
        let mut sentences = Sentences::default();
        for record in (0..words.len()).map(one) {
            sentences.append(&record, &program, task, |id| words[id as usize].into());
        }
        sentences.all
    }

    fn texts(task: Task, words: &[&str]) -> Vec<String> {
        let found = sentences_of(task, Feed::Token, words);
        found.into_iter().map(|sentence| sentence.text).collect()
    }

    #[test]
    fn words_pair_up_and_what_is_no_word_breaks_the_pair() {
        let words = ["Tom", "terpus", "###", "gerpus", "###", "terpus", "gerpus"];
        let english = ["Tom is a terpus.", "Every terpus is a gerpus."];
        assert_eq!(texts(Task::ProsQa, &words), english);
    }

    #[test]
    fn a_word_that_ends_no_statement_may_begin_one() {
        let words = ["wumpus", "Fae", "impus", "impus", "not-red", "red", "impus"];
        let english = ["Fae is an impus.", "Every impus is not red."];
        assert_eq!(texts(Task::ProntoQa, &words), english);
    }

    #[test]
    fn digits_join_up_to_computations() {
        let words = arithmetic::pieces("<<12*5=60>><<7<<60+1=61>>4");
        assert_eq!(
            texts(Task::Arithmetic, &words),
            ["<<12*5=60>>", "<<60+1=61>>"]
        );
    }

    #[test]
    fn the_last_step_of_a_sentence_is_its_step() {
        let words = arithmetic::pieces("<<1+2=3>><<4*5=20>>");
        let found = sentences_of(Task::Arithmetic, Feed::Token, &words);
        assert_eq!(found[0].step, 6);
        assert_eq!(found[1].step as usize, words.len() - 1);
    }

    #[test]
    fn mixtures_make_no_statements() {
        assert!(sentences_of(Task::ProsQa, Feed::Concept, &["Tom", "terpus"]).is_empty());
    }

    #[test]
    fn every_worked_solution_is_said_and_holds() {
        for (_, task) in Task::ALL {
            let problem = task.generate(3, Difficulty::Class);
            let vocabulary = task.vocabulary();
            let ids = problem.step_tokens().concat();
            let words: Vec<&str> = ids.iter().map(|&id| &*vocabulary[id as usize]).collect();
            let found = sentences_of(task, Feed::Token, &words);
            assert_eq!(found.len(), problem.steps().len(), "{}", task.name());
            for sentence in &found {
                let judged = judgement(task, Some(&problem), sentence);
                assert!(judged.is_some_and(|judged| judged.holds), "{sentence:?}");
            }
        }
    }

    fn judged(task: Task, problem: Option<&Problem>, words: &str) -> Option<Judgement> {
        let words = match task {
            Task::Arithmetic => arithmetic::pieces(words),
            _ => words.split(' ').collect(),
        };
        judgement(task, problem, &sentences_of(task, Feed::Token, &words)[0])
    }

    #[test]
    fn only_what_the_problem_states_holds() {
        let text = "Fae is a wumpus. Wumpuses are not red. True or false: Fae is red.";
        let problem = Problem::ProntoQa(prontoqa::Problem::parse(text).expect("decided"));
        let holds = |words| judged(Task::ProntoQa, Some(&problem), words).map(|said| said.holds);
        assert_eq!(holds("wumpus not-red"), Some(true));
        assert_eq!(holds("wumpus red"), Some(false));
        assert_eq!(judged(Task::ProntoQa, None, "wumpus red"), None);
        let text = "Tom is a terpus. Bob is a gerpus. Is Tom a gerpus or terpus?";
        let problem = Problem::ProsQa(prosqa::Problem::parse(text).expect("decided"));
        let holds = |words| judged(Task::ProsQa, Some(&problem), words).map(|said| said.holds);
        assert_eq!(
            [holds("Tom terpus"), holds("Bob terpus")],
            [Some(true), Some(false)]
        );
    }

    #[test]
    fn a_computation_is_checked_with_and_without_a_problem() {
        let problem = three_times_four();
        let reason = |problem, words| {
            let judged = judged(Task::Arithmetic, problem, words)?;
            Some((judged.holds, judged.reason))
        };
        let wrong = Some((false, "The computation is wrong"));
        assert_eq!(reason(Some(&problem), "<<3*4=13>>"), wrong);
        assert_eq!(reason(None, "<<3*4=13>>"), wrong);
        assert_eq!(reason(None, "<<3*4=12>>"), Some((true, "Computed right")));
        assert_eq!(reason(None, "<<3*4>>"), None);
        let as_worked = reason(Some(&problem), "<<3*4=12>>");
        assert!(as_worked.is_some_and(|(holds, why)| holds && why.contains("as in the worked")));
        let otherwise = reason(Some(&problem), "<<1+1=2>>");
        assert!(otherwise.is_some_and(|(holds, why)| holds && why.contains("no step")));
    }
}
