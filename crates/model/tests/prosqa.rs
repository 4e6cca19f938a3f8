//! ProsQA against the official file and against an independent solver.

use std::collections::BTreeSet;

use latent_model::tasks::prosqa::{Difficulty, Problem, load};

/// The official validation problems, or `None` where the switch says to do without.
fn official() -> Option<Vec<Problem>> {
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
    Some(load(&json).expect("the official file is consistent"))
}

#[test]
fn the_official_file_loads_and_its_facts_hold() {
    let Some(problems) = official() else { return };
    assert_eq!(problems.len(), 300);
    for problem in &problems {
        assert_invariants(problem);
        let reads_back = Problem::parse(&problem.question()).expect("official English");
        assert_eq!(reads_back.encode(), problem.encode());
    }
}

/// What papers.md (ProsQA data facts) says of every official problem.
fn assert_invariants(problem: &Problem) {
    let successors = problem.successors();
    for leaf in [problem.target, problem.neg_target] {
        assert!(
            successors.of(leaf).is_empty(),
            "both options are leaves: {problem:?}"
        );
    }
    for (node, symbol) in problem.symbols.iter().enumerate() {
        let has_parent = problem.edges.iter().any(|edge| edge[1] == node);
        assert_eq!(
            symbol.is_person(),
            !has_parent,
            "people are nodes without parents"
        );
    }
    assert!(problem.root < 2, "only the two main roots are asked about");
    let reached_by = |root: usize, node: usize| problem.distance(root, node).is_some();
    let other = 1 - problem.root;
    assert!(!reached_by(other, problem.target) && reached_by(other, problem.neg_target));
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
        assert_invariants(&problem);
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
fn mean(problems: &[Problem], number: impl Fn(&Problem) -> usize) -> f64 {
    problems
        .iter()
        .map(|problem| number(problem) as f64)
        .sum::<f64>()
        / problems.len() as f64
}

#[test]
fn generated_problems_match_the_official_distribution() {
    let Some(official) = official() else { return };
    let generated: Vec<Problem> = (0..2000)
        .map(|seed| Problem::generate(seed, &Difficulty::OFFICIAL))
        .collect();
    let in_degree = |problem: &Problem, node: usize| {
        problem.edges.iter().filter(|edge| edge[1] == node).count()
    };
    type Number<'a> = (&'static str, f64, &'a dyn Fn(&Problem) -> usize);
    // Tolerances are four standard errors of the 300 official problems, rounded up.
    let numbers: [Number; 6] = [
        ("nodes", 0.8, &Problem::n_nodes),
        ("statements", 1.8, &|p| p.edges.len()),
        ("nodes reached", 1.2, &|p| p.reachable_within(99).len()),
        ("hops", 0.2, &|p| p.distance(p.root, p.target).unwrap_or(0)),
        ("in-degree of the target", 0.25, &|p| in_degree(p, p.target)),
        ("in-degree of the wrong option", 0.3, &|p| {
            in_degree(p, p.neg_target)
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
