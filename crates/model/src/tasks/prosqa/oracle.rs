//! Breadth-first answers to what a model has to find: distances, reachable sets, shortest paths.

use super::Problem;
use crate::tasks::Adjacency;

impl Problem {
    /// Steps from `from` to `to` along the statements, or `None` if there is no way.
    pub fn distance(&self, from: usize, to: usize) -> Option<usize> {
        self.successors().distances(from)[to]
    }

    /// The nodes within `n_steps` steps of the root, the root included, in order of their index.
    pub fn reachable_within(&self, n_steps: usize) -> Vec<usize> {
        let distances = self.successors().distances(self.root);
        (0..self.n_nodes())
            .filter(|&node| distances[node].is_some_and(|steps| steps <= n_steps))
            .collect()
    }

    /// Every shortest path from the root to the target, as nodes, both ends included.
    ///
    /// The order is that of the node indices, so the first one is the same everywhere.
    pub fn shortest_paths(&self) -> Vec<Vec<usize>> {
        let to_target = Adjacency::predecessors(self.n_nodes(), &self.edges).distances(self.target);
        let successors = self.successors().sorted();
        let mut paths = Vec::new();
        let mut path = vec![self.root];
        extend_paths(&successors, &to_target, &mut path, &mut paths);
        paths
    }

    /// The statements' neighbours along the edges.
    pub fn successors(&self) -> Adjacency {
        Adjacency::successors(self.n_nodes(), &self.edges)
    }
}

/// Appends to `paths` every completion of `path` in which each step gets nearer to the target.
fn extend_paths(
    successors: &Adjacency,
    to_target: &[Option<usize>],
    path: &mut Vec<usize>,
    paths: &mut Vec<Vec<usize>>,
) {
    let Some(&node) = path.last() else { return };
    match to_target[node] {
        None => {}
        Some(0) => paths.push(path.clone()),
        Some(steps) => {
            for &next in successors.of(node) {
                if to_target[next] == Some(steps - 1) {
                    path.push(next);
                    extend_paths(successors, to_target, path, paths);
                    path.pop();
                }
            }
        }
    }
}
