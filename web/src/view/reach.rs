//! How a step lies on the problem's graph: beside what a breadth-first search from the root would
//! hold after as many thoughts.

use std::collections::BTreeMap;

use latent_model::tasks::Graph;

use super::shares::Shares;
use crate::words::{fill, words};

/// What a breadth-first search from the root says of every word of the graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Oracle {
    /// By token: arrows from the root, where there is a way.
    distances: BTreeMap<u32, Option<usize>>,
    /// Tokens on a shortest way from the root to the target.
    on_way: Vec<u32>,
    /// By distance, the names at it.
    rings: Vec<Vec<String>>,
}

/// The parts of a step's mass, 0 to 1. The first three overlap; the last is all that is in none
/// of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mass {
    /// On words that the root reaches, itself included.
    pub reachable: f32,
    /// On words exactly as many arrows away as thoughts have been made; `None` where the step is
    /// no thought.
    pub frontier: Option<f32>,
    /// On words of a shortest way to the right answer.
    pub on_way: f32,
    /// On everything else: words that the root does not reach, and words that are none of the
    /// problem.
    pub outside: f32,
}

impl Oracle {
    /// The search on a problem's graph.
    pub fn of(graph: &Graph) -> Self {
        let found = graph.successors().distances(graph.root);
        let last = found.iter().flatten().max().copied().unwrap_or(0);
        let mut rings = vec![Vec::new(); last + 1];
        for (node, distance) in graph.nodes.iter().zip(&found) {
            if let Some(distance) = distance {
                rings[*distance].push(node.name.clone());
            }
        }
        let tokens = graph.nodes.iter().map(|node| node.token);
        Self {
            distances: tokens.zip(found).collect(),
            on_way: graph
                .ways
                .concat()
                .iter()
                .map(|&node| graph.nodes[node].token)
                .collect(),
            rings,
        }
    }

    /// Where a step's mass lies; `thought` counts thoughts from 1.
    pub fn mass(&self, shares: &Shares, thought: Option<usize>) -> Mass {
        let mut mass = Mass {
            frontier: thought.map(|_| 0.0),
            ..Mass::default()
        };
        for (token, &share) in shares {
            match self.distances.get(token).copied().flatten() {
                None => mass.outside += share,
                Some(distance) => {
                    mass.reachable += share;
                    if Some(distance) == thought {
                        mass.frontier = mass.frontier.map(|sum| sum + share);
                    }
                }
            }
            if self.on_way.contains(token) {
                mass.on_way += share;
            }
        }
        mass
    }

    /// Whether the root reaches a word; `None` where it is none of the problem.
    pub fn reaches(&self, token: u32) -> Option<bool> {
        self.distances.get(&token).map(Option::is_some)
    }

    /// The words so many arrows from the root: the frontier of a search after so many steps.
    pub fn ring(&self, distance: usize) -> &[String] {
        self.rings.get(distance).map_or(&[], Vec::as_slice)
    }
}

impl Mass {
    /// `93 % reachable · 71 % on the frontier · 45 % on a shortest way · 7 % outside`
    pub fn sentence(&self) -> String {
        let percent = |share: f32| format!("{:.0} %", 100.0 * share);
        let said = |text, share| fill(text, &[("share", &percent(share))]);
        let mut parts = vec![said(words().mass_reachable, self.reachable)];
        parts.extend(
            self.frontier
                .map(|share| said(words().mass_frontier, share)),
        );
        parts.push(said(words().mass_on_way, self.on_way));
        parts.push(said(words().mass_outside, self.outside));
        parts.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::{Difficulty, prosqa};
    use proptest::prelude::*;

    use super::*;

    fn graph(text: &str) -> Graph {
        let problem = prosqa::TASK.read(text).expect("decided");
        problem.graph().expect("a graph").clone()
    }

    /// Tom → terpus → gerpus, Tom → gorpus, and Bob → lempus apart from them.
    fn example() -> Graph {
        graph(
            "Tom is a terpus. Tom is a gorpus. Every terpus is a gerpus. Bob is a lempus. \
             Is Tom a gerpus or lempus?",
        )
    }

    fn token(graph: &Graph, word: &str) -> u32 {
        graph.nodes[graph.node(word).expect(word)].token
    }

    #[test]
    fn mass_is_told_by_where_a_search_would_be() {
        let graph = example();
        let oracle = Oracle::of(&graph);
        let shares: Shares = [
            ("terpus", 0.4),
            ("gorpus", 0.3),
            ("gerpus", 0.1),
            ("lempus", 0.2),
        ]
        .into_iter()
        .map(|(word, share)| (token(&graph, word), share))
        .collect();
        let mass = oracle.mass(&shares, Some(1));
        let expected =
            "80 % reachable · 70 % on the frontier · 50 % on a shortest way · 20 % outside";
        assert_eq!(mass.sentence(), expected);
        assert!(
            oracle
                .mass(&shares, Some(2))
                .sentence()
                .contains("10 % on the frontier")
        );
        assert!(!oracle.mass(&shares, None).sentence().contains("frontier"));
    }

    #[test]
    fn a_word_that_is_none_of_the_problem_is_outside() {
        let oracle = Oracle::of(&example());
        let mass = oracle.mass(&Shares::from([(u32::MAX, 1.0)]), None);
        assert_eq!((mass.outside, mass.reachable), (1.0, 0.0));
        assert_eq!(oracle.reaches(u32::MAX), None);
    }

    #[test]
    fn the_rings_are_the_frontiers_of_a_search() {
        let graph = example();
        let oracle = Oracle::of(&graph);
        assert_eq!(oracle.ring(1), ["terpus", "gorpus"]);
        assert_eq!(oracle.ring(2), ["gerpus"]);
        assert!(oracle.ring(3).is_empty());
        assert_eq!(oracle.reaches(token(&graph, "lempus")), Some(false));
    }

    proptest! {
        #[test]
        fn what_is_outside_is_what_is_not_reachable(
            seed in any::<u64>(),
            weights in prop::collection::vec(0.01..1.0_f32, 40),
        ) {
            let problem = prosqa::TASK.generate(seed, Difficulty::Class);
            let graph = problem.graph().expect("a graph");
            let oracle = Oracle::of(graph);
            let tokens = graph.nodes.iter().map(|node| node.token);
            let shares: Shares = tokens.zip(weights).collect();
            let whole: f32 = shares.values().sum();
            let mut in_rings = 0.0;
            for thought in 1..20 {
                in_rings += oracle.mass(&shares, Some(thought)).frontier.unwrap_or(0.0);
            }
            let mass = oracle.mass(&shares, None);
            prop_assert!((mass.reachable + mass.outside - whole).abs() < 1e-4);
            prop_assert!(mass.on_way <= mass.reachable + 1e-4);
            let root = shares[&graph.nodes[graph.root].token];
            prop_assert!((in_rings + root - mass.reachable).abs() < 1e-4);
        }
    }
}
