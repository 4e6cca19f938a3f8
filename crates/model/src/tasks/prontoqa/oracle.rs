//! What follows from the statements, and why.

use std::collections::BTreeMap;

use super::{Problem, Statement, Word};

impl Problem {
    /// Whether the entity is (or has) `word`.
    pub fn follows(&self, word: Word) -> bool {
        self.reasons().contains_key(&word)
    }

    /// The statements that lead from the entity to the asked property or its opposite, in the
    /// order of reasoning: as few as there can be, and none if neither follows.
    pub fn chain(&self) -> Vec<Statement> {
        let opposite = self.query.opposite();
        let goal = if self.is_true {
            Some(self.query)
        } else {
            opposite
        };
        let reasons = self.reasons();
        let mut chain = Vec::new();
        let mut word = goal;
        while let Some(statement) = word.and_then(|word| reasons.get(&word)) {
            chain.push(**statement);
            word = Some(statement.subject);
        }
        chain.reverse();
        chain
    }

    /// Every word that follows, with the fewest statements that it takes; the entity takes none.
    pub fn distances(&self) -> BTreeMap<Word, usize> {
        let reasons = self.reasons();
        let distance = |word: &Word| {
            let before = |word: &Word| reasons.get(word).map(|reason| reason.subject);
            std::iter::successors(before(word), before).count()
        };
        let entity = (self.entity, 0);
        let others = reasons.keys().map(|word| (*word, distance(word)));
        others.chain([entity]).collect()
    }

    /// For each word that follows the statement that first said so, breadth first. The entity has
    /// no reason, so walking back from word to subject ends there.
    fn reasons(&self) -> BTreeMap<Word, &Statement> {
        let mut reasons: BTreeMap<Word, &Statement> = BTreeMap::new();
        let mut frontier = vec![self.entity];
        while !frontier.is_empty() {
            let mut next = Vec::new();
            for statement in &self.statements {
                let object = statement.object;
                let is_new = object != self.entity && !reasons.contains_key(&object);
                if is_new && frontier.contains(&statement.subject) {
                    reasons.insert(object, statement);
                    next.push(object);
                }
            }
            frontier = next;
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_as_far_as_its_shortest_chain() {
        let problem = Problem::parse(
            "Every wumpus is a tumpus. Tumpuses are yumpuses. Fae is a wumpus. Fae is a tumpus. \
             Yumpuses are red. Every zumpus is not red. True or false: Fae is red.",
        )
        .expect("a question");
        let distances: Vec<(String, usize)> = problem
            .distances()
            .into_iter()
            .map(|(word, distance)| (word.to_string(), distance))
            .collect();
        let expected = [
            ("Fae", 0),
            ("tumpus", 1),
            ("wumpus", 1),
            ("yumpus", 2),
            ("red", 3),
        ];
        for (word, distance) in expected {
            assert!(
                distances.contains(&(word.into(), distance)),
                "{word}: {distances:?}"
            );
        }
        assert_eq!(distances.len(), expected.len());
    }

    #[test]
    fn the_chain_is_the_shortest_and_a_circle_does_not_trap_it() {
        let problem = Problem::parse(
            "Every wumpus is a tumpus. Every tumpus is a wumpus. Every tumpus is a rompus. \
             Rompuses are red. Tumpuses are red. Fae is a wumpus. True or false: Fae is not red.",
        );
        let problem = problem.expect("a decided question");
        let steps = [
            "Fae is a wumpus.",
            "Every wumpus is a tumpus.",
            "Tumpuses are red.",
        ];
        assert_eq!(problem.steps(), steps);
        assert_eq!(problem.answer(), "False");
    }

    #[test]
    fn a_statement_about_the_entity_as_an_object_does_not_lead_in_a_circle() {
        let text = "Fae is a wumpus. Wumpuses are red. True or false: Fae is red.";
        let mut problem = Problem::parse(text).expect("a decided question");
        let back = Statement {
            subject: problem.statements[0].object,
            object: problem.entity,
            ..problem.statements[0]
        };
        problem.statements.insert(0, back);
        assert!(!problem.follows(problem.entity));
        assert_eq!(problem.chain().len(), 2);
    }
}
