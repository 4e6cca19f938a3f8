//! Grading: the answer after `###`, and the steps before it.

use super::Problem;
use crate::{
    program::Program,
    record::StepRecord,
    tasks::Verdict,
    tokenizer::Tokenizer,
    trace::{StepKind, step_kind},
};

impl Problem {
    /// Grades a completion in official English, such as `… ### Tom is a lempus.`
    ///
    /// What counts is the text after the last `###`: exactly the right answer is right, another
    /// concept for the same root is wrong, anything else is malformed.
    pub fn grade(&self, completion: &str) -> Verdict {
        let Some((_, answer)) = completion.rsplit_once("###") else {
            return Verdict::Malformed;
        };
        let answer = answer.trim();
        if answer == self.answer() {
            return Verdict::Right;
        }
        let root = self.symbols[self.root].name();
        let words: Vec<&str> = answer.trim_end_matches('.').split_whitespace().collect();
        match words[..] {
            [subject, "is", "a", _] if subject == root => Verdict::Wrong,
            _ => Verdict::Malformed,
        }
    }

    /// Whether `Every subject is a object.` is one of the statements.
    pub fn states(&self, subject: &str, object: &str) -> bool {
        let name = |node: usize| self.symbols[node].name();
        self.edges
            .iter()
            .any(|&[from, to]| name(from) == subject && name(to) == object)
    }

    /// Entropies at the steps that choose an object for a subject with several objects.
    pub(in crate::tasks) fn branch_entropies(
        &self,
        tokenizer: &Tokenizer,
        program: &Program,
        records: &[StepRecord],
    ) -> Vec<f32> {
        let is_thought_of = |record: &&StepRecord| step_kind(record, program) == StepKind::Think;
        let thinking: Vec<&StepRecord> = records
            .iter()
            .filter(is_thought_of)
            .filter(|record| record.n_kept > 0)
            .collect();
        let successors = self.successors();
        let branches = |record: &StepRecord| {
            let node = self.node(tokenizer.shown(record.token).trim());
            node.is_some_and(|node| successors.of(node).len() > 1)
        };
        // Words come in pairs, subject and object: the choice is at every second one.
        let pairs = thinking.chunks_exact(2).filter(|pair| branches(pair[0]));
        pairs.map(|pair| pair[1].entropy).collect()
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<usize> {
        self.symbols.iter().position(|symbol| symbol.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem::parse("Tom is a terpus. Bob is a gerpus. Is Tom a gerpus or terpus?")
            .expect("a decided question")
    }

    #[test]
    fn only_the_right_answer_is_right() {
        let cases = [
            ("### Tom is a terpus.", Verdict::Right),
            ("Tom is a gerpus. ### Tom is a terpus.", Verdict::Right),
            ("### Tom is a gerpus.", Verdict::Wrong),
            ("### Tom is a lempus.", Verdict::Wrong),
            ("### Bob is a terpus.", Verdict::Malformed),
            ("Tom is a terpus.", Verdict::Malformed),
            ("### Tom", Verdict::Malformed),
            ("", Verdict::Malformed),
        ];
        for (completion, expected) in cases {
            assert_eq!(problem().grade(completion), expected, "{completion:?}");
        }
    }

    #[test]
    fn only_statements_are_stated() {
        assert!(problem().states("Tom", "terpus"));
        assert!(!problem().states("Tom", "gerpus"));
    }
}
