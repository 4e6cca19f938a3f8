//! Graphs with several questions each: what one training step learns from.

use std::ops::RangeInclusive;

use latent_model::tasks::Fingerprint;
use latent_model::tasks::prosqa::{self, Adjacency, Problem, RandomGraph, Symbol, marker};

use crate::config::Level;
use crate::lesson::{Goal, Lesson, Passage, Word};
use crate::objective::LossConfig;
use crate::random::Random;

/// A question about a graph; nodes are indices into the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Where the search begins.
    pub root: usize,
    /// The options as the question names them.
    pub options: [usize; 2],
    /// The option that the root reaches.
    pub target: usize,
}

/// A graph, the order of its statements, and the questions asked about it.
pub struct Sample {
    /// Word of each node.
    pub symbols: Vec<Symbol>,
    /// Token id of each node.
    pub ids: Vec<u32>,
    /// `[from, to]` in the order in which the statements are printed.
    pub statements: Vec<[usize; 2]>,
    /// Along the statements.
    pub successors: Adjacency,
    /// Against the statements.
    pub predecessors: Adjacency,
    /// What is asked.
    pub asks: Vec<Ask>,
}

impl Sample {
    /// Draws a graph with `n_main` questions like the official ones (about the two main roots)
    /// and `n_extra` about other nodes, which make a batch more diverse.
    pub fn draw(random: &mut Random, level: &Level, n_main: usize, n_extra: usize) -> Sample {
        let hops = level.hops[0] + random.below(level.hops[1] - level.hops[0] + 1);
        // A wished distance that this graph size hardly ever has gives way to any in the range.
        for wished in [hops..=hops, level.hops[0]..=level.hops[1]].iter().cycle() {
            for _ in 0..60 {
                let nodes = level.nodes[0]..=level.nodes[1];
                let graph = RandomGraph::generate(random.bits(), nodes);
                if let Some(sample) =
                    Sample::from_graph(random, &graph, wished, level, n_main, n_extra)
                {
                    return sample;
                }
            }
        }
        unreachable!("the cycle of wishes has no end")
    }

    fn from_graph(
        random: &mut Random,
        graph: &RandomGraph,
        wished: &RangeInclusive<usize>,
        level: &Level,
        n_main: usize,
        n_extra: usize,
    ) -> Option<Sample> {
        let wished = graph.questions(wished);
        if wished.is_empty() {
            return None;
        }
        let questions = graph.questions(&(level.hops[0]..=level.hops[1]));
        let mut sample = Sample::without_asks(random, graph);
        for index in 0..n_main {
            // The first question has the wished distance; the others take turns between the roots.
            let root = index % 2;
            let about_root: Vec<_> = questions.iter().filter(|q| q.root == root).collect();
            let question = if index == 0 || about_root.is_empty() {
                wished[random.below(wished.len())]
            } else {
                *about_root[random.below(about_root.len())]
            };
            sample.ask(random, question.root, question.target, question.neg_target);
        }
        for _ in 0..n_extra {
            sample.ask_about_any_node(random);
        }
        Some(sample)
    }

    fn without_asks(random: &mut Random, graph: &RandomGraph) -> Sample {
        let mut statements = graph.edges.clone();
        random.shuffle(&mut statements);
        Sample {
            symbols: graph.symbols.clone(),
            ids: graph.symbols.iter().map(|symbol| symbol.id()).collect(),
            successors: Adjacency::successors(graph.n_nodes(), &graph.edges),
            predecessors: Adjacency::predecessors(graph.n_nodes(), &graph.edges),
            statements,
            asks: Vec::new(),
        }
    }

    /// One problem as it is printed, with its one question.
    pub fn from_problem(problem: &Problem) -> Sample {
        let statements = problem
            .statement_order
            .iter()
            .map(|&s| problem.edges[s])
            .collect();
        Sample {
            symbols: problem.symbols.clone(),
            ids: problem.symbols.iter().map(|symbol| symbol.id()).collect(),
            statements,
            successors: Adjacency::successors(problem.n_nodes(), &problem.edges),
            predecessors: Adjacency::predecessors(problem.n_nodes(), &problem.edges),
            asks: vec![Ask {
                root: problem.root,
                options: problem.options(),
                target: problem.target,
            }],
        }
    }

    fn ask(&mut self, random: &mut Random, root: usize, target: usize, neg_target: usize) {
        let options = if random.below(2) == 0 {
            [target, neg_target]
        } else {
            [neg_target, target]
        };
        self.asks.push(Ask {
            root,
            options,
            target,
        });
    }

    /// Asks about a random node that has successors; both options are leaves where possible.
    fn ask_about_any_node(&mut self, random: &mut Random) {
        let n_nodes = self.ids.len();
        let inner: Vec<usize> = (0..n_nodes)
            .filter(|&node| !self.successors.of(node).is_empty())
            .collect();
        for _ in 0..20 {
            let root = inner[random.below(inner.len())];
            let distances = self.successors.distances(root);
            let is_leaf = |node: usize| self.successors.of(node).is_empty();
            let (mut targets, mut others) = (Vec::new(), Vec::new());
            for node in (0..n_nodes).filter(|&node| is_leaf(node)) {
                if distances[node].is_some() {
                    targets.push(node);
                } else {
                    others.push(node);
                }
            }
            if !others.is_empty() {
                let target = targets[random.below(targets.len())];
                let other = others[random.below(others.len())];
                return self.ask(random, root, target, other);
            }
        }
        // Every try found a root that reaches all leaves: repeat a main question.
        self.asks.push(self.asks[0]);
    }

    /// The graph and its questions as lessons, each chain along one random shortest path.
    ///
    /// `n_layers` bounds the searches backward, which take one step a layer.
    pub fn passage(&self, config: &LossConfig, n_layers: usize, random: &mut Random) -> Passage {
        let lesson = |ask: &Ask| self.lesson(ask, config, n_layers, random);
        Passage {
            context: self.statement_tokens().collect(),
            lessons: self.asks.iter().map(lesson).collect(),
        }
    }

    fn lesson(
        &self,
        ask: &Ask,
        config: &LossConfig,
        n_layers: usize,
        random: &mut Random,
    ) -> Lesson {
        let [a, b] = ask.options;
        let other = if a == ask.target { b } else { a };
        let sets = |distances: &[Option<usize>], n: usize| {
            let set = |horizon| config.ageing().weights(&self.ids, distances, horizon);
            (1..=n).map(set).collect()
        };
        let reached = self.successors.distances(ask.root);
        let farthest = reached.iter().flatten().copied().max().unwrap_or(0);
        let goals = [(2, a), (3, b)].map(|(position, option)| Goal {
            position,
            by_steps: sets(&self.predecessors.distances(option), n_layers),
        });
        Lesson {
            question: self.question_tokens(ask).to_vec(),
            steps: self.chain(ask, config.markers, random),
            // The path ends at an option: whether it does is the decision.
            stop_weight: 1.0,
            answer: vec![self.ids[ask.root], self.ids[ask.target]],
            rival: Some(self.ids[other]),
            reach: sets(&reached, farthest.max(1)),
            goals: goals.to_vec(),
        }
    }

    /// `R X₁`, `X₁ X₂`, … to the target, along one random shortest path.
    ///
    /// At a branch the target is spread evenly over the steps that begin a shortest path: what
    /// one random path a question teaches on average, with less noise. So branch points keep the
    /// entropy that the data has.
    fn chain(&self, ask: &Ask, marker_weight: f32, random: &mut Random) -> Vec<Vec<Word>> {
        let to_target = self.predecessors.distances(ask.target);
        let mut node = ask.root;
        let mut steps = Vec::new();
        while node != ask.target {
            let successors = self.successors.of(node).iter().copied();
            let next: Vec<usize> = successors
                .filter(|&next| nearer(&to_target, node, next))
                .collect();
            let chosen = next[random.below(next.len())];
            let weight = 1.0 / next.len() as f32;
            let targets = next.iter().map(|&next| (self.ids[next], weight));
            steps.push(vec![
                Word::wanted(self.ids[node], marker_weight),
                Word {
                    id: self.ids[chosen],
                    targets: targets.collect(),
                },
            ]);
            node = chosen;
        }
        steps
    }

    /// The same as that of a [`Problem`] about this graph.
    pub fn fingerprint(&self) -> Fingerprint {
        let name = |node: usize| self.symbols[node].name();
        prosqa::fingerprint(self.statements.iter().map(|pair| pair.map(name)))
    }

    /// The statements' token ids, two a statement.
    pub fn statement_tokens(&self) -> impl Iterator<Item = u32> {
        self.statements.iter().flatten().map(|&node| self.ids[node])
    }

    /// The token ids of `? R A B`.
    pub fn question_tokens(&self, ask: &Ask) -> [u32; 4] {
        let [a, b] = ask.options;
        [
            marker::QUESTION,
            self.ids[ask.root],
            self.ids[a],
            self.ids[b],
        ]
    }
}

/// Whether `next` is one step nearer to where the distances are measured to.
fn nearer(distances: &[Option<usize>], node: usize, next: usize) -> bool {
    match (distances[node], distances[next]) {
        (Some(here), Some(there)) => there + 1 == here,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSS: LossConfig = LossConfig {
        gamma: 0.5,
        floor: 0.2,
        reach: 1.0,
        ancestors: 0.0,
        ancestors_from_layer: 2,
        markers: 0.1,
    };

    fn sample(statements: Vec<[usize; 2]>, options: [usize; 2], target: usize) -> Sample {
        Sample {
            symbols: ["Alex", "Max", "bompus", "boompus", "brimpus", "chorpus"]
                .map(|name| Symbol::from_name(name).expect("a word of the task"))
                .to_vec(),
            ids: vec![0, 1, 20, 21, 22, 23],
            successors: Adjacency::successors(6, &statements),
            predecessors: Adjacency::predecessors(6, &statements),
            statements,
            asks: vec![Ask {
                root: 0,
                options,
                target,
            }],
        }
    }

    /// 0 → 2 → 3 → 4; the other root's 1 → 5.
    fn chain() -> Sample {
        sample(vec![[0, 2], [2, 3], [3, 4], [1, 5]], [4, 5], 4)
    }

    /// 0 → 2 → 4 and 0 → 3 → 4 are the two shortest paths; 1 → 5 is the other root's.
    fn diamond() -> Sample {
        sample(vec![[0, 2], [0, 3], [2, 4], [3, 4], [1, 5]], [5, 4], 4)
    }

    fn lesson(sample: &Sample, seed: u64) -> Lesson {
        let mut passage = sample.passage(&LOSS, 3, &mut Random::new(seed));
        passage.lessons.remove(0)
    }

    /// Compares a distribution with weights that are not normalised yet.
    fn assert_set(found: &[(u32, f32)], expected: &[(u32, f32)]) {
        let total: f32 = expected.iter().map(|(_, weight)| weight).sum();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((id, weight), (expected_id, expected)) in found.iter().zip(expected) {
            assert_eq!(id, expected_id, "{found:?}");
            assert!((weight - expected / total).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn thoughts_reach_one_step_farther_each_and_age_what_they_had() {
        let lesson = lesson(&chain(), 0);
        let expected: [&[(u32, f32)]; 4] = [
            &[(0, 0.5), (20, 1.0)],
            &[(0, 0.25), (20, 0.5), (21, 1.0)],
            // 0.5³ is below the floor.
            &[(0, 0.2), (20, 0.25), (21, 0.5), (22, 1.0)],
            // The search has run dry: the fourth thought holds what the third did.
            &[(0, 0.2), (20, 0.25), (21, 0.5), (22, 1.0)],
        ];
        for (thought, expected) in expected.into_iter().enumerate() {
            assert_set(&lesson.reach(thought), expected);
        }
    }

    #[test]
    fn options_search_backward_one_step_a_layer() {
        let goals = lesson(&chain(), 0).goals;
        assert_eq!([goals[0].position, goals[1].position], [2, 3]);
        assert_set(&goals[0].by_steps[0], &[(21, 1.0), (22, 0.5)]);
        assert_set(&goals[1].by_steps[2], &[(1, 1.0), (23, 0.5)]);
    }

    #[test]
    fn a_branch_allows_every_shortest_path_and_follows_one() {
        let lesson = lesson(&diamond(), 0);
        let first = &lesson.steps[0][1];
        assert!(first.id == 20 || first.id == 21, "{first:?}");
        assert_eq!(first.targets, [(20, 0.5), (21, 0.5)]);
        assert_eq!(
            lesson.steps[1],
            [Word::wanted(first.id, 0.1), Word::wanted(22, 1.0)]
        );
        assert_eq!(lesson.answer, [0, 22]);
        assert_eq!(lesson.rival, Some(23));
    }

    #[test]
    fn both_shortest_paths_are_drawn() {
        let firsts: std::collections::BTreeSet<u32> = (0..20)
            .map(|seed| lesson(&diamond(), seed).steps[0][1].id)
            .collect();
        assert_eq!(firsts, [20, 21].into());
    }
}
