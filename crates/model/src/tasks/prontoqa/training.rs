//! Ontologies to learn from: drawn like those of the problems, with several questions each.

use super::{Difficulty, Problem, Word};
use crate::tasks::{
    Adjacency, Fingerprint,
    random::SplitMix64,
    supervision::{
        BackwardSearch, BatchSize, Extent, LatentTargets, Search, StepToken, SupervisedQuestion,
        SupervisedText, not_withheld,
    },
};

/// `? entity property`.
const N_QUESTION_TOKENS: usize = 3;
/// The index of the property in it.
const PROPERTY: usize = 2;

/// Draws ontologies, each with the main questions about its own entity and the extra ones about
/// any word from which the asked property follows, or its opposite.
pub(super) fn draw_texts(
    random: &mut SplitMix64,
    extent: &Extent,
    size: &BatchSize,
    is_withheld: &dyn Fn(&Fingerprint) -> bool,
) -> Vec<SupervisedText> {
    let difficulty = Difficulty {
        hops: extent.hops[0]..=extent.hops[1],
        dead_ends: extent.dead_ends,
    };
    let text = |_| {
        let ontology = not_withheld(is_withheld, || {
            let problem = Problem::generate(random.bits(), &difficulty);
            let fingerprint = problem.fingerprint();
            (problem, fingerprint)
        });
        let mut context = ontology.encode();
        context.truncate(context.len() - N_QUESTION_TOKENS);
        let questions = questions(&ontology, size, random);
        SupervisedText {
            context,
            questions: questions.iter().map(supervised).collect(),
        }
    };
    (0..size.texts).map(text).collect()
}

/// The questions that an ontology decides, in random order, so that each form gets questions of
/// every kind.
fn questions(ontology: &Problem, size: &BatchSize, random: &mut SplitMix64) -> Vec<Problem> {
    let starts = starts(ontology);
    let asked = ontology.query;
    // A property without an opposite is asked about as it stands.
    let opposite = asked.opposite().unwrap_or(asked);
    let mut questions: Vec<Problem> = (0..size.main_questions + size.extra_questions)
        .map(|index| {
            let is_main = index < size.main_questions;
            let entity = if is_main {
                ontology.entity
            } else {
                starts[random.below(starts.len())]
            };
            asking(ontology, entity, [asked, opposite][random.below(2)])
        })
        .collect();
    random.shuffle(&mut questions);
    questions
}

/// The same ontology with another question.
fn asking(ontology: &Problem, entity: Word, query: Word) -> Problem {
    let mut problem = Problem {
        entity,
        query,
        ..ontology.clone()
    };
    problem.is_true = problem.follows(query);
    problem
}

/// Every word from which the asked property follows, or its opposite: nearer and farther starts
/// of the same search, and those on the way to the opposite.
fn starts(ontology: &Problem) -> Vec<Word> {
    let asked = [Some(ontology.query), ontology.query.opposite()];
    let decides = |&subject: &Word| {
        let from = asking(ontology, subject, ontology.query);
        asked.into_iter().flatten().any(|word| from.follows(word))
    };
    let mut starts: Vec<Word> = ontology.statements.iter().map(|s| s.subject).collect();
    starts.sort_unstable();
    starts.dedup();
    starts.retain(decides);
    starts
}

fn supervised(problem: &Problem) -> SupervisedQuestion {
    let tokens = problem.encode();
    let only = |ids: Vec<u32>| ids.into_iter().map(StepToken::only).collect();
    SupervisedQuestion {
        question: tokens[tokens.len() - N_QUESTION_TOKENS..].to_vec(),
        steps: problem.step_tokens().into_iter().map(only).collect(),
        answer: problem.answer_tokens(),
        distractor: Some(Word::Truth(!problem.is_true).id()),
        latent_targets: LatentTargets::Search(forward(problem)),
        backward: vec![BackwardSearch {
            position: PROPERTY,
            search: backward(problem),
        }],
    }
}

/// What follows from the ontology.
fn forward(problem: &Problem) -> Search {
    let (words, distances): (Vec<Word>, Vec<usize>) = problem.distances().into_iter().unzip();
    Search {
        ids: words.iter().map(|word| word.id()).collect(),
        distances: distances.into_iter().map(Some).collect(),
    }
}

/// What the asked property follows from.
fn backward(problem: &Problem) -> Search {
    let statements = problem.statements.iter();
    let mut words: Vec<Word> = statements.flat_map(|s| [s.subject, s.object]).collect();
    words.push(problem.query);
    words.sort_unstable();
    words.dedup();
    let index = |word| words.binary_search(&word).expect("all words are there");
    let statements = problem.statements.iter();
    let edges: Vec<[usize; 2]> = statements
        .map(|s| [index(s.subject), index(s.object)])
        .collect();
    let distances = Adjacency::predecessors(words.len(), &edges).distances(index(problem.query));
    Search {
        ids: words.iter().map(|word| word.id()).collect(),
        distances,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_backward_meets_the_entity_where_the_property_follows() {
        for seed in 0..50 {
            let problem = Problem::generate(seed, &Difficulty::OFFICIAL);
            let question = supervised(&problem);
            let [BackwardSearch { position, search }] = question.backward.as_slice() else {
                panic!("one property is asked about: {:?}", question.backward);
            };
            assert_eq!(question.question[*position], problem.query.id());
            let at = |id: u32| {
                let place = search.ids.iter().position(|&known| known == id);
                search.distances[place.expect("a word of the ontology")]
            };
            // One rule has the property; the five rules and the entity's own statement lie between.
            let n_near = search.distances.iter().flatten().filter(|d| **d <= 1);
            assert_eq!(n_near.count(), 2);
            let expected = problem.is_true.then_some(6);
            assert_eq!(at(problem.entity.id()), expected);
        }
    }

    #[test]
    fn an_ontology_is_asked_what_it_decides_from_near_and_far() {
        let size = BatchSize {
            texts: 1,
            main_questions: 1,
            extra_questions: 5,
        };
        let mut random = SplitMix64::new(0);
        let mut n_true = 0;
        let mut n_hops = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let generated = Problem::generate(seed, &Difficulty::OFFICIAL);
            let opposite = generated.query.opposite();
            let questions = questions(&generated, &size, &mut random);
            assert_eq!(questions.len(), 6);
            let mut n_about_entity = 0;
            for question in questions {
                assert_eq!(question.statements, generated.statements);
                assert!(question.query == generated.query || Some(question.query) == opposite);
                // One of the two follows, and the answer says which.
                assert_eq!(question.follows(question.query), question.is_true);
                let other = question.query.opposite().expect("so has the opposite");
                assert_ne!(question.follows(other), question.is_true);
                n_true += usize::from(question.is_true);
                n_about_entity += usize::from(question.entity == generated.entity);
                n_hops.insert(question.chain().len());
            }
            assert!(n_about_entity >= size.main_questions);
        }
        assert!((100..200).contains(&n_true), "{n_true} of 300");
        assert_eq!(n_hops, (1..=6).collect());
    }

    #[test]
    fn thoughts_about_an_ontology_reach_one_rule_farther_each() {
        for seed in 0..50 {
            let generated = Problem::generate(seed, &Difficulty::OFFICIAL);
            let asked = match generated.is_true {
                true => Some(generated.query),
                false => generated.query.opposite(),
            };
            let asked = asked.expect("properties have opposites").id();
            let LatentTargets::Search(search) = supervised(&generated).latent_targets else {
                panic!("an ontology is searched");
            };
            let at = |id: u32| {
                let place = search.ids.iter().position(|&known| known == id);
                place.and_then(|place| search.distances[place])
            };
            assert_eq!(at(generated.entity.id()), Some(0));
            // Five rules lie between the entity's concept and the property.
            assert_eq!(at(asked), Some(6));
        }
    }
}
