//! A problem as a graph: words, statements between them, and what is asked.

use std::collections::BTreeSet;

use latent_model::tasks::{
    Problem,
    prontoqa::{self, Word},
    prosqa::{self, Adjacency},
};

/// What is drawn of a problem whose statements each say that one thing is another.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The words.
    pub nodes: Vec<Node>,
    /// The statements: from the subject's node to the object's.
    pub edges: Vec<[usize; 2]>,
    /// Whom the question is about.
    pub root: usize,
    /// The two answers that the question leaves open.
    pub options: [usize; 2],
    /// The option that follows.
    pub target: usize,
    /// Shortest ways from the root to the target: all of them in ProsQA, one in ProntoQA.
    pub ways: Vec<Vec<usize>>,
}

/// A word of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As it is written on the node.
    pub name: String,
    /// Its id in the task's vocabulary.
    pub token: u32,
}

impl Graph {
    /// The graph of a problem; a story has none.
    pub fn of(problem: &Problem) -> Option<Self> {
        match problem {
            Problem::ProsQa(problem) => Some(Self::of_prosqa(problem)),
            Problem::ProntoQa(problem) => Some(Self::of_ontology(problem)),
            Problem::Arithmetic(_) => None,
        }
    }

    /// How many nodes there are.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes that statements lead to from each node.
    pub fn successors(&self) -> Adjacency {
        Adjacency::successors(self.n_nodes(), &self.edges)
    }

    /// The edges whose statements are among these words, two by two in the order of a lane's
    /// thinking: every statement is a pair of tokens, so pairs begin at even places.
    pub fn edges_said(&self, words: &[u32]) -> Vec<usize> {
        let pairs: BTreeSet<&[u32]> = words.chunks_exact(2).collect();
        let is_said = |edge: &[usize; 2]| {
            let pair = edge.map(|node| self.nodes[node].token);
            pairs.contains(&pair[..])
        };
        let edges = self.edges.iter().enumerate();
        let said = edges.filter(|(_, edge)| is_said(edge));
        said.map(|(index, _)| index).collect()
    }

    fn of_prosqa(problem: &prosqa::Problem) -> Self {
        let node = |symbol: &prosqa::Symbol| Node {
            name: symbol.name().into(),
            token: symbol.id(),
        };
        Self {
            nodes: problem.symbols.iter().map(node).collect(),
            edges: problem.edges.clone(),
            root: problem.root,
            options: problem.options(),
            target: problem.target,
            ways: problem.shortest_paths(),
        }
    }

    /// The options are the asked property and its opposite, whether or not a statement names them.
    fn of_ontology(problem: &prontoqa::Problem) -> Self {
        let mut words: Vec<Word> = Vec::new();
        let mut node = |word: Word| {
            let known = words.iter().position(|&known| known == word);
            known.unwrap_or_else(|| {
                words.push(word);
                words.len() - 1
            })
        };
        let root = node(problem.entity);
        let mut edge =
            |statement: &prontoqa::Statement| [node(statement.subject), node(statement.object)];
        let edges = problem.statements.iter().map(&mut edge).collect();
        let chain: Vec<[usize; 2]> = problem.chain().iter().map(edge).collect();
        let way = [root].into_iter().chain(chain.iter().map(|pair| pair[1]));
        let way: Vec<usize> = way.collect();
        let asked = node(problem.query);
        let opposite = node(problem.query.opposite().unwrap_or(problem.query));
        Self {
            edges,
            root,
            options: [asked, opposite],
            target: if problem.is_true { asked } else { opposite },
            ways: vec![way],
            nodes: words.into_iter().map(Node::of_word).collect(),
        }
    }
}

impl Node {
    fn of_word(word: Word) -> Self {
        Self {
            // A denied property is one token, `not-red`, and two words of English.
            name: word.to_string().replace('-', " "),
            token: word.id(),
        }
    }
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::{Difficulty, Task};

    use super::*;

    const ONTOLOGY: &str = "Wumpuses are impuses. Each impus is not red. Every tumpus is red. \
                            Fae is a wumpus. True or false: Fae is red.";

    fn ontology() -> Graph {
        let problem = prontoqa::Problem::parse(ONTOLOGY).expect("a decided question");
        Graph::of(&Problem::ProntoQa(problem)).expect("statements are a graph")
    }

    #[test]
    fn an_ontology_leads_from_the_entity_to_the_property_that_it_has() {
        let graph = ontology();
        let name = |node: usize| graph.nodes[node].name.as_str();
        assert_eq!(name(graph.root), "Fae");
        assert_eq!(graph.options.map(name), ["red", "not red"]);
        assert_eq!(name(graph.target), "not red");
        let way: Vec<&str> = graph.ways[0].iter().map(|&node| name(node)).collect();
        assert_eq!(way, ["Fae", "wumpus", "impus", "not red"]);
        let first = graph.edges[0].map(name);
        assert_eq!(first, ["wumpus", "impus"]);
    }

    #[test]
    fn an_option_that_no_statement_names_is_drawn_too() {
        let text = "Fae is a wumpus. Wumpuses are red. True or false: Fae is not red.";
        let problem = prontoqa::Problem::parse(text).expect("a decided question");
        let graph = Graph::of(&Problem::ProntoQa(problem)).expect("statements are a graph");
        assert_eq!(graph.n_nodes(), 4);
        assert_ne!(graph.options[0], graph.options[1]);
    }

    #[test]
    fn every_way_is_made_of_statements_and_ends_at_the_right_option() {
        for (_, task) in Task::ALL {
            for seed in 0..50 {
                let problem = task.generate(seed, Difficulty::Official);
                let Some(graph) = Graph::of(&problem) else {
                    assert_eq!(task, Task::Arithmetic);
                    continue;
                };
                let tokens: Vec<u32> = graph.nodes.iter().map(|node| node.token).collect();
                for way in &graph.ways {
                    assert_eq!(way.first(), Some(&graph.root));
                    assert_eq!(way.last(), Some(&graph.target));
                    let is_stated = |pair: &[usize]| graph.edges.iter().any(|edge| edge == pair);
                    assert!(way.windows(2).all(is_stated), "{} {seed}", task.name());
                }
                let steps = problem.step_tokens().concat();
                assert_eq!(steps.first(), Some(&tokens[graph.root]));
                assert_eq!(steps.last(), Some(&tokens[graph.target]));
                assert_eq!(graph.edges_said(&steps).len(), steps.len() / 2);
            }
        }
    }

    #[test]
    fn an_edge_is_said_by_its_two_words_at_an_even_place() {
        let graph = ontology();
        let [from, to] = graph.edges[0].map(|node| graph.nodes[node].token);
        assert_eq!(graph.edges_said(&[from, to]), [0]);
        assert_eq!(graph.edges_said(&[to, from, to]), [] as [usize; 0]);
        assert_eq!(graph.edges_said(&[from]), [] as [usize; 0]);
    }
}
