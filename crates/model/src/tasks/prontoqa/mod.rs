//! ProntoQA: does a property follow from an ontology of fictional concepts, or its opposite?
//!
//! Saparov & He, "Language Models Are Greedy Reasoners" (ICLR 2023, arXiv 2210.01240), in the
//! five-hop form of Coconut (arXiv 2412.06769, appendix A).

mod generator;
mod official;
mod oracle;
mod task;
mod text;
mod training;
mod vocabulary;

use crate::tasks::Fingerprint;
// The released generator's concepts are the ones that ProsQA took over.
use crate::tasks::prosqa::CONCEPTS;

pub use generator::Difficulty;
pub use task::TASK;
pub use text::{Form, ParseError};
pub use vocabulary::{FAMILIES, MARKER, NAMES, VOCABULARY_SIZE, Word, vocabulary};

/// One problem: statements, and a question that they decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The statements in the order in which they are printed.
    pub statements: Vec<Statement>,
    /// Who is asked about.
    pub entity: Word,
    /// The property that the question says the entity has.
    pub query: Word,
    /// Whether it has it; if not, it has the opposite.
    pub is_true: bool,
}

/// `Every wumpus is a tumpus.`, `Tumpuses are not red.` or `Fae is a wumpus.`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// A name or a concept.
    pub subject: Word,
    /// A concept or a property.
    pub object: Word,
    /// How it is said.
    pub form: Form,
}

impl Problem {
    /// The token ids of the question: two for each statement, then `? Fae not-red`.
    pub fn encode(&self) -> Vec<u32> {
        self.statements
            .iter()
            .flat_map(|statement| statement.tokens())
            .chain([MARKER.question, self.entity.id(), self.query.id()])
            .collect()
    }

    /// The token ids of each reasoning step: the statements of [`Problem::chain`].
    pub fn step_tokens(&self) -> Vec<Vec<u32>> {
        self.chain()
            .iter()
            .map(|step| step.tokens().to_vec())
            .collect()
    }

    /// The token ids of the right answer, which follow `###`.
    pub fn answer_tokens(&self) -> Vec<u32> {
        vec![Word::Truth(self.is_true).id()]
    }

    /// What two problems about the same ontology have in common: the set of statements, however
    /// said and ordered.
    pub fn fingerprint(&self) -> Fingerprint {
        let words = |s: &Statement| format!("{} {}", s.subject, s.object);
        Fingerprint::of_set(self.statements.iter().map(words))
    }
}

impl Statement {
    /// The two token ids.
    pub fn tokens(&self) -> [u32; 2] {
        [self.subject.id(), self.object.id()]
    }
}
