//! ProsQA against the official file and against an independent solver.

use std::collections::BTreeSet;

use latent_model::tasks::{
    self, Graph,
    prosqa::{Difficulty, Problem, Symbol, TASK},
};

/// The official validation problems, or `None` where the switch says to do without.
fn official() -> Option<Vec<tasks::Problem>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/prosqa_valid.json"
    );
    if std::env::var_os("LATENT_SKIP_OFFICIAL_DATA").is_some() {
        println!("skipped by LATENT_SKIP_OFFICIAL_DATA: {path} is not read");
        return None;
    }
    let json = std::fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("{path}: {error}. Put the official file there, or set LATENT_SKIP_OFFICIAL_DATA=1")
    });
    let loaded = TASK.load(&json).expect("the official file is consistent");
    Some(loaded.problems)
}

/// The graph of a problem, with the node numbers of its file or its generator.
fn graph(problem: &tasks::Problem) -> &Graph {
    problem.graph().expect("statements are a graph")
}

#[test]
fn the_official_file_loads_and_its_facts_hold() {
    let Some(problems) = official() else { return };
    assert_eq!(problems.len(), 300);
    for problem in &problems {
        assert_invariants(graph(problem));
        let reads_back = Problem::parse(problem.question()).expect("official English");
        assert_eq!(reads_back.question(), problem.question());
        assert_eq!(Ok(&*reads_back.encode()), problem.encode());
    }
}

/// What holds of every official problem (counted in `prosqa_valid.json`).
fn assert_invariants(graph: &Graph) {
    let successors = graph.successors();
    for leaf in graph.options {
        assert!(
            successors.of(leaf).is_empty(),
            "both options are leaves: {graph:?}"
        );
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let has_parent = graph.edges.iter().any(|edge| edge[1] == index);
        let symbol = Symbol::from_name(&node.word).expect("a word of ProsQA");
        assert_eq!(
            symbol.is_person(),
            !has_parent,
            "people are nodes without parents"
        );
    }
    assert!(graph.root < 2, "only the two main roots are asked about");
    for option in graph.options {
        let reached_by = |root: usize| successors.distances(root)[option].is_some();
        assert_eq!(reached_by(graph.root), option == graph.target);
        assert!(option == graph.target || reached_by(1 - graph.root));
        assert!(option != graph.target || !reached_by(1 - graph.root));
    }
}

/// Reachability as a fixed point over a relation: nothing in common with the oracle's search.
fn reachable(problem: &Problem) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([problem.root]);
    loop {
        let known = reached.len();
        for edge in &problem.edges {
            if reached.contains(&edge[0]) {
                reached.insert(edge[1]);
            }
        }
        if reached.len() == known {
            return reached;
        }
    }
}

#[test]
fn ten_thousand_generated_problems_agree_with_an_independent_solver() {
    for seed in 0..10_000 {
        let difficulty = [Difficulty::CLASS, Difficulty::OFFICIAL][seed as usize % 2].clone();
        let problem = Problem::generate(seed, &difficulty);
        assert_invariants(graph(&problem.clone().into()));
        let reached = reachable(&problem);
        assert!(reached.contains(&problem.target), "seed {seed}");
        assert!(!reached.contains(&problem.neg_target), "seed {seed}");
        let paths = problem.shortest_paths();
        assert!(!paths.is_empty(), "seed {seed}");
        let hops = problem
            .distance(problem.root, problem.target)
            .expect("reachable");
        assert!(difficulty.hops.contains(&hops), "seed {seed}: {hops} hops");
        for path in paths {
            assert_eq!(path.len(), hops + 1, "seed {seed}");
            assert!(
                path.windows(2)
                    .all(|pair| problem.edges.contains(&[pair[0], pair[1]]))
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_problem() {
    let [a, b, c] = [7, 7, 8].map(|seed| Problem::generate(seed, &Difficulty::CLASS).question());
    assert_eq!(a, b);
    assert_ne!(a, c);
}

/// Mean of a number over problems.
fn mean(problems: &[tasks::Problem], number: impl Fn(&Graph) -> usize) -> f64 {
    let sum: f64 = problems.iter().map(|p| number(graph(p)) as f64).sum();
    sum / problems.len() as f64
}

#[test]
fn generated_problems_match_the_official_distribution() {
    let Some(official) = official() else { return };
    let generated: Vec<tasks::Problem> = (0..2000)
        .map(|seed| TASK.generate(seed, tasks::Difficulty::Official))
        .collect();
    let in_degree =
        |graph: &Graph, node: usize| graph.edges.iter().filter(|edge| edge[1] == node).count();
    let reached = |graph: &Graph| {
        let distances = graph.successors().distances(graph.root);
        distances.iter().flatten().count()
    };
    let wrong_option = |graph: &Graph| match graph.options {
        [a, b] if a == graph.target => b,
        [a, _] => a,
    };
    type Number<'a> = (&'static str, f64, &'a dyn Fn(&Graph) -> usize);
    // Tolerances are four standard errors of the 300 official problems, rounded up.
    let numbers: [Number; 6] = [
        ("nodes", 0.8, &Graph::n_nodes),
        ("statements", 1.8, &|g| g.edges.len()),
        ("nodes reached", 1.2, &reached),
        ("hops", 0.2, &|g| g.ways[0].len() - 1),
        ("in-degree of the target", 0.25, &|g| in_degree(g, g.target)),
        ("in-degree of the wrong option", 0.3, &|g| {
            in_degree(g, wrong_option(g))
        }),
    ];
    let mut off: Vec<&str> = Vec::new();
    for (name, tolerance, number) in numbers {
        let (expected, found) = (mean(&official, number), mean(&generated, number));
        println!("{name}: official {expected:.2}, generated {found:.2}");
        if (expected - found).abs() >= tolerance {
            off.push(name);
        }
    }
    assert!(off.is_empty(), "too far from the official file: {off:?}");
}
