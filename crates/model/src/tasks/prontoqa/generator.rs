//! Random problems after Saparov & He (arXiv 2210.01240, section 3).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{CONCEPTS, FAMILIES, Form, NAMES, Problem, Statement, Word};
use crate::tasks::random::SplitMix64;

/// How long the chain is and how much stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difficulty {
    /// Rules from the entity's concept to the asked property, 1 to 6.
    pub hops: RangeInclusive<usize>,
    /// Whether every concept has a second parent that leads nowhere, and the entity a second
    /// concept.
    pub dead_ends: bool,
}

impl Difficulty {
    /// The classroom size: small enough to follow on a projector.
    pub const CLASS: Difficulty = Difficulty {
        hops: 2..=3,
        dead_ends: false,
    };
    /// The shape of the five-hop example in Coconut's appendix A.
    pub const OFFICIAL: Difficulty = Difficulty {
        hops: 5..=5,
        dead_ends: true,
    };
}

/// More hops would need more concepts and families than there are.
const MAX_HOPS: usize = 6;
/// Concepts of the chain that leads to the opposite property.
const DECOY: usize = 2;

impl Problem {
    /// Draws a problem. The same seed gives the same problem on every machine.
    ///
    /// The entity is a concept, from which a chain of concepts leads to the asked property or to
    /// its opposite, each as likely. As in the paper an unrelated concept has the other one of
    /// the two. There it occurs in that one statement only, which gives it away; here it has the
    /// neighbours that the chain's last concept has, so it takes the way from the entity to tell
    /// which is which. Hops outside of 1 to 6 are moved there.
    pub fn generate(seed: u64, difficulty: &Difficulty) -> Problem {
        let mut drawn = Drawn::new(seed);
        let (least, most) = (*difficulty.hops.start(), *difficulty.hops.end());
        let hops = least + drawn.rng.below(most.saturating_sub(least) + 1);
        let chain = drawn.concepts(hops.clamp(1, MAX_HOPS));
        let decoy = drawn.concepts(DECOY);
        let entity = Word::Name(drawn.rng.below(NAMES.len()) as u8);
        drawn.state(entity, chain[0]);
        let mut dead_ends = Vec::new();
        for path in [&chain, &decoy] {
            path.windows(2)
                .for_each(|pair| drawn.state(pair[0], pair[1]));
            let beyond = drawn.concept();
            drawn.state(path[path.len() - 1], beyond);
        }
        if difficulty.dead_ends {
            let second = drawn.concept();
            let beyond = drawn.concept();
            drawn.state(entity, second);
            drawn.state(second, beyond);
            dead_ends.push(second);
            for &concept in chain.iter().chain(&decoy) {
                let parent = drawn.concept();
                drawn.state(concept, parent);
                dead_ends.push(parent);
            }
        }
        let (asked, opposite) = drawn.asked_property();
        drawn.state(chain[chain.len() - 1], asked);
        drawn.state(decoy[DECOY - 1], opposite);
        // In this order whatever the entity is has properties of different families.
        let others = chain[..chain.len() - 1].iter().chain(&dead_ends);
        for &concept in others.chain(&decoy[..DECOY - 1]) {
            let property = drawn.property();
            drawn.state(concept, property);
        }
        let is_true = drawn.coin();
        drawn.rng.shuffle(&mut drawn.statements);
        Problem {
            statements: drawn.statements,
            entity,
            query: if is_true { asked } else { opposite },
            is_true,
        }
    }
}

/// What is still to be drawn, and the statements so far.
struct Drawn {
    rng: SplitMix64,
    /// Concepts that no statement names yet.
    concepts: Vec<Word>,
    /// Indices of the properties that no statement names yet, by family; the first family is the
    /// asked property's.
    families: Vec<Vec<u8>>,
    n_properties: usize,
    statements: Vec<Statement>,
}

impl Drawn {
    fn new(seed: u64) -> Drawn {
        let mut rng = SplitMix64::new(seed);
        let mut concepts: Vec<Word> = (0..CONCEPTS.len() as u8).map(Word::Concept).collect();
        rng.shuffle(&mut concepts);
        let mut first = 0;
        let mut families: Vec<Vec<u8>> = Vec::new();
        for family in FAMILIES {
            let mut indices: Vec<u8> = (first..first + family.len() as u8).collect();
            rng.shuffle(&mut indices);
            families.push(indices);
            first += family.len() as u8;
        }
        rng.shuffle(&mut families);
        Drawn {
            rng,
            concepts,
            families,
            n_properties: 0,
            statements: Vec::new(),
        }
    }

    fn coin(&mut self) -> bool {
        self.rng.below(2) == 0
    }

    fn concept(&mut self) -> Word {
        // At most 6 + 2 on the two paths, 2 beyond them, 2 of the second concept and 8 parents.
        self.concepts.pop().expect("20 of 38 concepts are enough")
    }

    fn concepts(&mut self, n: usize) -> Vec<Word> {
        (0..n).map(|_| self.concept()).collect()
    }

    /// A property of the first family with a random sign, and its opposite.
    fn asked_property(&mut self) -> (Word, Word) {
        let index = self.families[0][0];
        let is_negated = self.coin();
        let property = |is_negated| Word::Property { index, is_negated };
        (property(is_negated), property(!is_negated))
    }

    /// A property of the next of the other families, with a random sign.
    fn property(&mut self) -> Word {
        let family = 1 + self.n_properties % (self.families.len() - 1);
        self.n_properties += 1;
        // At most 5 + 1 + 8 + 1 of them: no family is used three times, and the smallest has two.
        let index = self.families[family].pop();
        Word::Property {
            index: index.expect("a family has two properties"),
            is_negated: self.coin(),
        }
    }

    fn state(&mut self, subject: Word, object: Word) {
        let form = match subject {
            Word::Name(_) => Form::Every,
            _ => [Form::Every, Form::Each, Form::Plural][self.rng.below(3)],
        };
        self.statements.push(Statement {
            subject,
            object,
            form,
        });
    }
}
