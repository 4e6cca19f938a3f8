//! Where lessons come from: a task's generator, with everything withheld that is evaluated on.

use std::collections::HashSet;

use latent_model::tasks::prosqa::Adjacency;
use latent_model::tasks::{Difficulty, Fingerprint, Problem, Task, arithmetic, prontoqa};

use crate::config::{BatchConfig, Level, RunConfig};
use crate::evaluation::held_out;
use crate::lesson::{Distribution, Goal, Lesson, Passage, Word};
use crate::objective::LossConfig;
use crate::random::Random;
use crate::samples::Sample;

/// A task's generator, and the problems that a run is measured with.
pub struct Source {
    task: Task,
    /// Problems to evaluate on, each list with its name.
    pub held_out: Vec<(String, Vec<Problem>)>,
    withheld: HashSet<Fingerprint>,
}

impl Source {
    /// Takes the problems of the official file, where there is one (its name and its text), and
    /// generates the others held out.
    ///
    /// # Errors
    /// If the text is none of the task's.
    pub fn new(config: &RunConfig, official: Option<(&str, &str)>) -> anyhow::Result<Source> {
        let (task, n) = (config.task, config.evaluation.problems);
        let mut lists: Vec<(String, Vec<Problem>)> = Difficulty::ALL
            .into_iter()
            .map(|(name, difficulty)| (name.to_string(), held_out(task, difficulty, n)))
            .collect();
        let mut withheld: HashSet<Fingerprint> = HashSet::new();
        if let Some((name, text)) = official {
            let problems = task.load(text)?.problems;
            withheld.extend(problems.iter().map(Problem::fingerprint));
            // A file of another vocabulary is only kept apart from, not evaluated on.
            if problems.iter().all(|problem| problem.encode().is_ok()) {
                lists.push((name.to_string(), problems));
            }
        }
        let generated = lists.iter().flat_map(|(_, problems)| problems);
        withheld.extend(generated.map(Problem::fingerprint));
        Ok(Source {
            task,
            held_out: lists,
            withheld,
        })
    }

    /// Graphs of ProsQA with their questions.
    pub fn graphs(
        &self,
        random: &mut Random,
        level: &Level,
        (n_main, n_extra): (usize, usize),
        n_graphs: usize,
    ) -> Vec<Sample> {
        std::iter::repeat_with(|| Sample::draw(random, level, n_main, n_extra))
            .filter(|sample| !self.withheld.contains(&sample.fingerprint()))
            .take(n_graphs)
            .collect()
    }

    /// A batch of lessons at a level.
    pub fn passages(&self, config: &RunConfig, level: &Level, random: &mut Random) -> Vec<Passage> {
        let (batch, loss, n_layers) = (&config.batch, &config.loss, config.model.n_layers);
        if self.task == Task::ProsQa {
            let questions = (batch.main_questions, batch.extra_questions);
            let graphs = self.graphs(random, level, questions, batch.graphs);
            let passage = |sample: &Sample| {
                let mut passage = sample.passage(loss, n_layers, random);
                // So that each form gets questions of every kind.
                random.shuffle(&mut passage.lessons);
                passage
            };
            return graphs.iter().map(passage).collect();
        }
        let mut passages = Vec::new();
        while passages.len() < batch.graphs {
            let problem = self.problem(random.bits(), level);
            if self.withheld.contains(&problem.fingerprint()) {
                continue;
            }
            let questions = questions(&problem, batch, random);
            let read = questions.iter().filter_map(|q| passage_of(q, loss));
            passages.extend(read.reduce(|mut all, next| {
                all.lessons.extend(next.lessons);
                all
            }));
        }
        passages
    }

    fn problem(&self, seed: u64, level: &Level) -> Problem {
        let [fewest, most] = level.hops;
        match self.task {
            Task::ProsQa => self.task.generate(seed, Difficulty::Official),
            Task::ProntoQa => {
                let difficulty = prontoqa::Difficulty {
                    hops: fewest..=most,
                    dead_ends: level.dead_ends,
                };
                Problem::ProntoQa(prontoqa::Problem::generate(seed, &difficulty))
            }
            Task::Arithmetic => {
                let difficulty = arithmetic::Difficulty {
                    steps: fewest..=most,
                };
                Problem::Arithmetic(arithmetic::Problem::generate(seed, &difficulty))
            }
        }
    }
}

/// The questions of one passage: about an ontology those that it decides, about a story the only
/// one, for each form once.
fn questions(problem: &Problem, batch: &BatchConfig, random: &mut Random) -> Vec<Problem> {
    let Problem::ProntoQa(ontology) = problem else {
        return vec![problem.clone(); batch.main_questions];
    };
    let starts = starts(ontology);
    let n_questions = batch.main_questions + batch.extra_questions;
    let mut questions: Vec<Problem> = (0..n_questions)
        .map(|index| {
            let is_main = index < batch.main_questions;
            let entity = if is_main {
                ontology.entity
            } else {
                starts[random.below(starts.len())]
            };
            let asked = ontology.query;
            // A property without an opposite is asked about as it stands.
            let opposite = asked.opposite().unwrap_or(asked);
            let query = [asked, opposite][random.below(2)];
            Problem::ProntoQa(asking(ontology, entity, query))
        })
        .collect();
    // So that each form gets questions of every kind.
    random.shuffle(&mut questions);
    questions
}

/// The same ontology with another question.
fn asking(
    ontology: &prontoqa::Problem,
    entity: prontoqa::Word,
    query: prontoqa::Word,
) -> prontoqa::Problem {
    let mut problem = prontoqa::Problem {
        entity,
        query,
        ..ontology.clone()
    };
    problem.is_true = problem.follows(query);
    problem
}

/// Every word from which the asked property follows, or its opposite: nearer and farther starts
/// of the same search, and those on the way to the opposite.
fn starts(ontology: &prontoqa::Problem) -> Vec<prontoqa::Word> {
    let asked = [Some(ontology.query), ontology.query.opposite()];
    let decides = |&subject: &prontoqa::Word| {
        let from = asking(ontology, subject, ontology.query);
        asked.into_iter().flatten().any(|word| from.follows(word))
    };
    let mut starts: Vec<_> = ontology.statements.iter().map(|s| s.subject).collect();
    starts.sort_unstable();
    starts.dedup();
    starts.retain(decides);
    starts
}

/// How many tokens at the end of a question differ between questions about the same text.
fn n_asking(task: Task) -> usize {
    match task {
        // `? R A B`
        Task::ProsQa => 4,
        // `? entity property`
        Task::ProntoQa => 3,
        // The text and its question are one; the last token alone has to wait for the context.
        Task::Arithmetic => 1,
    }
}

/// A problem as one passage with one lesson; `None` where the vocabulary lacks a word.
pub fn passage_of(problem: &Problem, loss: &LossConfig) -> Option<Passage> {
    let task = Task::of(problem);
    let mut context = problem.encode().ok()?;
    let question = context.split_off(context.len() - n_asking(task));
    let wanted = |ids: Vec<u32>| -> Vec<Word> {
        let words = ids.into_iter().map(|id| Word::wanted(id, 1.0));
        words.collect()
    };
    let answer = problem.answer_tokens();
    let rival = match problem {
        Problem::ProntoQa(problem) => Some(
            prontoqa::Problem {
                is_true: !problem.is_true,
                ..problem.clone()
            }
            .answer_tokens()[0],
        ),
        Problem::ProsQa(_) | Problem::Arithmetic(_) => None,
    };
    let lesson = Lesson {
        question,
        steps: problem.step_tokens().into_iter().map(wanted).collect(),
        stop_weight: 1.0,
        answer,
        rival,
        reach: match problem {
            Problem::ProntoQa(problem) => reach(problem, loss),
            Problem::Arithmetic(problem) => results(problem, loss),
            Problem::ProsQa(_) => Vec::new(),
        },
        goals: match problem {
            Problem::ProntoQa(problem) => vec![goal(problem, loss)],
            Problem::ProsQa(_) | Problem::Arithmetic(_) => Vec::new(),
        },
    };
    Some(Passage {
        context,
        lessons: vec![lesson],
    })
}

/// What follows from an ontology in 1, 2, … steps: what thoughts shall decode to.
fn reach(problem: &prontoqa::Problem, loss: &LossConfig) -> Vec<Distribution> {
    let (words, distances): (Vec<_>, Vec<_>) = problem.distances().into_iter().unzip();
    let ids: Vec<u32> = words.iter().map(|word| word.id()).collect();
    let farthest = distances.iter().copied().max().unwrap_or(0);
    let distances: Vec<Option<usize>> = distances.into_iter().map(Some).collect();
    let within = |horizon| loss.ageing().weights(&ids, &distances, horizon);
    (1..=farthest).map(within).collect()
}

/// What is known of a story after 1, 2, … computations: the newest result, which is what thoughts
/// shall decode to.
///
/// A number is its digits and the `>>` that ends it, each of which weighs γ times what stands
/// before it. With γ = ½ no two numbers have the same weights.
fn results(problem: &arithmetic::Problem, loss: &LossConfig) -> Vec<Distribution> {
    let equals = arithmetic::token_id("=");
    let result = |mut step: Vec<u32>| {
        let before = step.iter().rposition(|&id| Some(id) == equals);
        let digits = step.split_off(before.map_or(0, |at| at + 1));
        let places = std::iter::successors(Some(1.0), |weight| Some(weight * loss.gamma));
        let sum: f32 = places.clone().take(digits.len()).sum();
        digits.into_iter().zip(places.map(|w| w / sum)).collect()
    };
    problem.step_tokens().into_iter().map(result).collect()
}

/// The search backward from the asked property: what it follows from, in 1, 2, … steps.
fn goal(problem: &prontoqa::Problem, loss: &LossConfig) -> Goal {
    let statements = problem.statements.iter();
    let mut words: Vec<_> = statements.flat_map(|s| [s.subject, s.object]).collect();
    words.push(problem.query);
    words.sort_unstable();
    words.dedup();
    let index = |word| words.binary_search(&word).expect("all words are there");
    let statements = problem.statements.iter();
    let edges: Vec<[usize; 2]> = statements
        .map(|s| [index(s.subject), index(s.object)])
        .collect();
    let distances = Adjacency::predecessors(words.len(), &edges).distances(index(problem.query));
    let farthest = distances.iter().flatten().copied().max().unwrap_or(0);
    let ids: Vec<u32> = words.iter().map(|word| word.id()).collect();
    let within = |horizon| loss.ageing().weights(&ids, &distances, horizon);
    Goal {
        // `? entity property`
        position: 2,
        by_steps: (1..=farthest.max(1)).map(within).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_backward_meets_the_entity_where_the_property_follows() {
        let loss = LossConfig {
            gamma: 0.5,
            floor: 0.2,
            reach: 0.0,
            ancestors: 1.0,
            ancestors_from_layer: 1,
            markers: 0.1,
        };
        for seed in 0..50 {
            let problem = prontoqa::Problem::generate(seed, &prontoqa::Difficulty::OFFICIAL);
            let passage = passage_of(&Problem::ProntoQa(problem.clone()), &loss);
            let lesson = &passage.expect("known words").lessons[0];
            let [goal] = lesson.goals.as_slice() else {
                panic!("one property is asked about: {:?}", lesson.goals);
            };
            assert_eq!(lesson.question[goal.position], problem.query.id());
            // The property, twice as much what states it, and nothing else.
            let [(_, low), (_, high)] = *goal.by_steps[0].as_slice() else {
                panic!("one rule has the property: {:?}", goal.by_steps[0]);
            };
            assert!((low.min(high) - 1.0 / 3.0).abs() < 1e-6, "{low} {high}");
            let meets = |set: &Distribution| set.iter().any(|(id, _)| *id == problem.entity.id());
            // Five rules and the entity's own statement lie between.
            assert!(
                !goal.by_steps[..goal.by_steps.len().min(5)]
                    .iter()
                    .any(meets)
            );
            assert_eq!(goal.by_steps.last().is_some_and(meets), problem.is_true);
        }
    }

    #[test]
    fn an_ontology_is_asked_what_it_decides_from_near_and_far() {
        let (main_questions, extra_questions) = (1, 5);
        let batch = BatchConfig {
            graphs: 1,
            main_questions,
            extra_questions,
        };
        let mut random = Random::new(0);
        let mut n_true = 0;
        let mut n_hops = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let generated = prontoqa::Problem::generate(seed, &prontoqa::Difficulty::OFFICIAL);
            let opposite = generated
                .query
                .opposite()
                .expect("properties have opposites");
            let questions = questions(&Problem::ProntoQa(generated.clone()), &batch, &mut random);
            assert_eq!(questions.len(), main_questions + extra_questions);
            let mut n_about_entity = 0;
            for question in questions {
                let Problem::ProntoQa(question) = question else {
                    panic!("a problem of the same task");
                };
                assert_eq!(question.statements, generated.statements);
                assert!(question.query == generated.query || question.query == opposite);
                // One of the two follows, and the answer says which.
                assert_eq!(question.follows(question.query), question.is_true);
                let other = question.query.opposite().expect("so has the opposite");
                assert_ne!(question.follows(other), question.is_true);
                n_true += usize::from(question.is_true);
                n_about_entity += usize::from(question.entity == generated.entity);
                n_hops.insert(question.chain().len());
            }
            assert!(n_about_entity >= main_questions);
        }
        assert!((100..200).contains(&n_true), "{n_true} of 300");
        assert_eq!(n_hops, (1..=6).collect());
    }

    #[test]
    fn thoughts_about_a_story_hold_one_result_each() {
        let loss = LossConfig {
            gamma: 0.5,
            floor: 0.0,
            reach: 1.0,
            ancestors: 0.0,
            ancestors_from_layer: 1,
            markers: 0.1,
        };
        let problem = arithmetic::Problem::generate(1, &arithmetic::Difficulty::OFFICIAL);
        let problem = arithmetic::Problem {
            steps: [("4*12", 48), ("48-17", 31), ("31*4", 124)]
                .map(|(expression, result)| arithmetic::Step {
                    expression: expression.into(),
                    result,
                })
                .into(),
            answer: 124,
            ..problem
        };
        let lesson = passage_of(&Problem::Arithmetic(problem), &loss).expect("known words");
        let id = |token: &str| arithmetic::token_id(token).expect("a token of every solution");
        let weights = |tokens: &[&str], whole: f32| -> Distribution {
            let weight = |place: usize| 2_f32.powi((tokens.len() - 1 - place) as i32) / whole;
            let ids = tokens.iter().map(|token| id(token));
            ids.zip((0..tokens.len()).map(weight)).collect()
        };
        let expected = [
            weights(&["4", "8", ">>"], 7.0),
            weights(&["3", "1", ">>"], 7.0),
            weights(&["1", "2", "4", ">>"], 15.0),
        ];
        let lesson = &lesson.lessons[0];
        assert_eq!(lesson.reach, expected);
        // The answer is held until the thoughts are over.
        assert_eq!(lesson.reach(5), expected[2]);
    }

    #[test]
    fn no_two_results_have_the_same_weights() {
        let loss = LossConfig {
            gamma: 0.5,
            floor: 0.0,
            reach: 1.0,
            ancestors: 0.0,
            ancestors_from_layer: 1,
            markers: 0.1,
        };
        let mut problem = arithmetic::Problem::generate(1, &arithmetic::Difficulty::OFFICIAL);
        let mut seen = HashSet::new();
        for result in 0..1000 {
            problem.steps = vec![arithmetic::Step {
                expression: "1*1".into(),
                result,
            }];
            let mut sums = std::collections::BTreeMap::<u32, f32>::new();
            for (id, weight) in &results(&problem, &loss)[0] {
                *sums.entry(*id).or_default() += weight;
            }
            let sums: Vec<_> = sums.into_iter().map(|(id, w)| (id, w.to_bits())).collect();
            assert!(seen.insert(sums), "{result}");
        }
    }

    #[test]
    fn thoughts_about_an_ontology_reach_one_rule_farther_each() {
        let loss = LossConfig {
            gamma: 0.5,
            floor: 0.0,
            reach: 1.0,
            ancestors: 0.0,
            ancestors_from_layer: 1,
            markers: 0.1,
        };
        for seed in 0..50 {
            let generated = prontoqa::Problem::generate(seed, &prontoqa::Difficulty::OFFICIAL);
            let asked = if generated.is_true {
                Some(generated.query)
            } else {
                generated.query.opposite()
            };
            let asked = asked.expect("properties have opposites").id();
            let entity = generated.entity.id();
            let passage = passage_of(&Problem::ProntoQa(generated), &loss).expect("known words");
            let reach = &passage.lessons[0].reach;
            assert!(reach.len() >= 6);
            for (thought, set) in reach.iter().enumerate() {
                let weight = |id| set.iter().find(|(word, _)| *word == id).map(|(_, w)| *w);
                let oldest = weight(entity).expect("what is reached stays");
                let newest = set.iter().map(|(_, w)| *w).fold(0.0, f32::max);
                let expected = 0.5_f32.powi(thought as i32 + 1);
                assert!((oldest / newest - expected).abs() < 1e-6, "{thought}");
                // Five rules lie between the entity's concept and the property.
                assert_eq!(weight(asked).is_some(), thought >= 5, "{thought}");
            }
        }
    }
}
