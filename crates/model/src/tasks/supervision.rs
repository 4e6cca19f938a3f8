//! What problems can teach, whatever the method: words, steps, answers, and what a state that
//! thinks about a question may be asked to hold. How much each of it weighs is the trainer's part.

use super::{Adjacency, Fingerprint, random::SplitMix64};

/// How large drawn texts are. A task passes over what its texts do not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Fewest and most nodes offered to a generator of graphs.
    pub nodes: [usize; 2],
    /// Fewest and most steps from question to answer.
    pub hops: [usize; 2],
    /// Whether there are dead ends beside the way.
    pub dead_ends: bool,
}

/// How much a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// Texts.
    pub texts: usize,
    /// Questions about each text that are like the task's own.
    pub main_questions: usize,
    /// Questions about its other words, which make a batch more diverse.
    pub extra_questions: usize,
}

/// A text that is read once, and the questions about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SupervisedText {
    /// The tokens that all questions share: a graph's statements, a story's beginning.
    pub context: Vec<u32>,
    /// The same number for every text of a batch.
    pub questions: Vec<SupervisedQuestion>,
}

/// One question with everything that some method may want to teach about it.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisedQuestion {
    /// The question's tokens, behind the context.
    pub question: Vec<u32>,
    /// The chain of thought, step by step.
    pub steps: Vec<Vec<StepToken>>,
    /// What follows `###`, without `<eos>`.
    pub answer: Vec<u32>,
    /// The wrong option, where the last token of the answer is a choice of two.
    pub distractor: Option<u32>,
    /// What thoughts may be asked to hold, one after the other.
    pub latent_targets: LatentTargets,
    /// Searches backward from the options.
    pub backward: Vec<BackwardSearch>,
}

/// A token of a chain of thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepToken {
    /// The token of this chain.
    pub id: u32,
    /// Every token that is as good in this place, this one included.
    pub allowed: Vec<u32>,
    /// Whether it follows from the token before it, so that there is nothing to learn.
    pub is_implied: bool,
}

/// What thoughts may be asked to hold, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum LatentTargets {
    /// After k thoughts what a search reaches in at most k steps.
    Search(Search),
    /// After k thoughts the result of step k, as tokens.
    Results(Vec<Vec<u32>>),
}

/// Tokens with the steps that a breadth-first search takes to each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Steps to each; `None` where there is no way.
    pub distances: Vec<Option<usize>>,
}

/// A search that a state of the question may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackwardSearch {
    /// The index in the question of the token that it begins at.
    pub position: usize,
    /// What leads there.
    pub search: Search,
}

impl StepToken {
    /// A token that is the only right one.
    pub fn only(id: u32) -> StepToken {
        StepToken {
            id,
            allowed: vec![id],
            is_implied: false,
        }
    }

    /// A token that follows from the one before it.
    pub fn implied(id: u32) -> StepToken {
        StepToken {
            is_implied: true,
            ..StepToken::only(id)
        }
    }
}

impl Search {
    /// Steps to the farthest token that is reached.
    pub fn farthest(&self) -> usize {
        self.distances.iter().flatten().copied().max().unwrap_or(0)
    }
}

/// A graph of statements and questions of the form `? root option option` about it.
#[derive(Clone, Debug)]
pub struct StatementGraph {
    /// Token id of each node.
    pub ids: Vec<u32>,
    /// `[from, to]` in the order in which the statements are printed.
    pub statements: Vec<[usize; 2]>,
    /// Along the statements.
    pub successors: Adjacency,
    /// Against the statements.
    pub predecessors: Adjacency,
    /// The token that opens a question.
    pub question_marker: u32,
    /// What is asked.
    pub questions: Vec<GraphQuestion>,
}

/// A question about a [`StatementGraph`]; nodes are indices into the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphQuestion {
    /// Where the search begins.
    pub root: usize,
    /// The options as the question names them.
    pub options: [usize; 2],
    /// The option that the root reaches.
    pub target: usize,
}

impl StatementGraph {
    /// A graph that nothing is asked about yet. Neighbours have the order of these statements,
    /// whatever the order in which they are printed afterwards.
    pub fn new(ids: Vec<u32>, statements: Vec<[usize; 2]>, question_marker: u32) -> Self {
        StatementGraph {
            successors: Adjacency::successors(ids.len(), &statements),
            predecessors: Adjacency::predecessors(ids.len(), &statements),
            ids,
            statements,
            question_marker,
            questions: Vec::new(),
        }
    }

    /// The graph and its questions, each chain along one random shortest path.
    pub fn supervised(&self, random: &mut SplitMix64) -> SupervisedText {
        let questions = self.questions.iter();
        SupervisedText {
            context: self.statement_tokens().collect(),
            questions: questions.map(|q| self.question(q, random)).collect(),
        }
    }

    fn question(&self, question: &GraphQuestion, random: &mut SplitMix64) -> SupervisedQuestion {
        let [a, b] = question.options;
        let other = if a == question.target { b } else { a };
        let search = |distances| Search {
            ids: self.ids.clone(),
            distances,
        };
        // `? root option option`
        let backward = [(2, a), (3, b)].map(|(position, option)| BackwardSearch {
            position,
            search: search(self.predecessors.distances(option)),
        });
        SupervisedQuestion {
            question: self.question_tokens(question).to_vec(),
            steps: self.chain(question, random),
            answer: vec![self.ids[question.root], self.ids[question.target]],
            distractor: Some(self.ids[other]),
            latent_targets: LatentTargets::Search(search(self.successors.distances(question.root))),
            backward: backward.to_vec(),
        }
    }

    /// `R X₁`, `X₁ X₂`, … to the target, along one random shortest path.
    ///
    /// At a branch every step that begins a shortest path is allowed: what one random path a
    /// question teaches on average, with less noise. So branch points keep the entropy that the
    /// data has.
    fn chain(&self, question: &GraphQuestion, random: &mut SplitMix64) -> Vec<Vec<StepToken>> {
        let to_target = self.predecessors.distances(question.target);
        let mut node = question.root;
        let mut steps = Vec::new();
        while node != question.target {
            let successors = self.successors.of(node).iter().copied();
            let is_nearer = |&next: &usize| match (to_target[node], to_target[next]) {
                (Some(here), Some(there)) => there + 1 == here,
                _ => false,
            };
            let nearer: Vec<usize> = successors.filter(is_nearer).collect();
            let chosen = nearer[random.below(nearer.len())];
            steps.push(vec![
                StepToken::implied(self.ids[node]),
                StepToken {
                    id: self.ids[chosen],
                    allowed: nearer.iter().map(|&next| self.ids[next]).collect(),
                    is_implied: false,
                },
            ]);
            node = chosen;
        }
        steps
    }

    /// The statements' token ids, two a statement.
    pub fn statement_tokens(&self) -> impl Iterator<Item = u32> {
        self.statements.iter().flatten().map(|&node| self.ids[node])
    }

    /// The token ids of `? root option option`.
    pub fn question_tokens(&self, question: &GraphQuestion) -> [u32; 4] {
        let [a, b] = question.options;
        [
            self.question_marker,
            self.ids[question.root],
            self.ids[a],
            self.ids[b],
        ]
    }
}

/// Draws until something is not withheld.
pub(super) fn not_withheld<T>(
    is_withheld: &dyn Fn(&Fingerprint) -> bool,
    mut draw: impl FnMut() -> (T, Fingerprint),
) -> T {
    loop {
        let (text, fingerprint) = draw();
        if !is_withheld(&fingerprint) {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(statements: Vec<[usize; 2]>, options: [usize; 2], target: usize) -> StatementGraph {
        let question = GraphQuestion {
            root: 0,
            options,
            target,
        };
        StatementGraph {
            questions: vec![question],
            ..StatementGraph::new(vec![0, 1, 20, 21, 22, 23], statements, 55)
        }
    }

    /// 0 → 2 → 4 and 0 → 3 → 4 are the two shortest paths; 1 → 5 is the other root's.
    fn diamond() -> StatementGraph {
        graph(vec![[0, 2], [0, 3], [2, 4], [3, 4], [1, 5]], [5, 4], 4)
    }

    fn first_question(graph: &StatementGraph, seed: u64) -> SupervisedQuestion {
        graph
            .supervised(&mut SplitMix64::new(seed))
            .questions
            .remove(0)
    }

    #[test]
    fn options_are_searched_backward() {
        let chain = graph(vec![[0, 2], [2, 3], [3, 4], [1, 5]], [4, 5], 4);
        let backward = first_question(&chain, 0).backward;
        assert_eq!([backward[0].position, backward[1].position], [2, 3]);
        let steps = |index: usize| backward[index].search.distances.clone();
        assert_eq!(steps(0), [Some(3), None, Some(2), Some(1), Some(0), None]);
        assert_eq!(steps(1), [None, Some(1), None, None, None, Some(0)]);
    }

    #[test]
    fn a_branch_allows_every_shortest_path_and_follows_one() {
        let question = first_question(&diamond(), 0);
        let first = &question.steps[0][1];
        assert!(first.id == 20 || first.id == 21, "{first:?}");
        assert_eq!(first.allowed, [20, 21]);
        assert_eq!(
            question.steps[1],
            [StepToken::implied(first.id), StepToken::only(22)]
        );
        assert_eq!(question.answer, [0, 22]);
        assert_eq!(question.distractor, Some(23));
    }

    #[test]
    fn both_shortest_paths_are_drawn() {
        let firsts: std::collections::BTreeSet<u32> = (0..20)
            .map(|seed| first_question(&diamond(), seed).steps[0][1].id)
            .collect();
        assert_eq!(firsts, [20, 21].into());
    }
}
