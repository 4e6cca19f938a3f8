//! ProntoQA against a solver that reads English, and against guessers that do not reason.

use std::collections::BTreeSet;

use latent_model::tasks::prontoqa::{Difficulty, Problem};

/// The two presets in turn.
fn preset(seed: u64) -> Difficulty {
    [Difficulty::CLASS, Difficulty::OFFICIAL][seed as usize % 2].clone()
}

fn generated(seed: u64) -> Problem {
    Problem::generate(seed, &preset(seed))
}

/// `[subject, object]` of each sentence, read from the text alone; the last one is the question.
fn claims(text: &str) -> Vec<[String; 2]> {
    let text = text
        .replace("True or false: ", "")
        .replace(" not ", " not_");
    let is_empty = |word: &&str| !["Every", "Each", "is", "are", "a", "an"].contains(word);
    let one = |word: &str| {
        let is_plural = word.ends_with("puses");
        let word = &word[..word.len() - 2 * usize::from(is_plural)];
        if word.ends_with("pus") {
            word.to_lowercase()
        } else {
            word.to_string()
        }
    };
    text.split_terminator('.')
        .map(|sentence| {
            let words: Vec<String> = sentence
                .split_whitespace()
                .filter(is_empty)
                .map(one)
                .collect();
            <[String; 2]>::try_from(words).expect("a subject and an object")
        })
        .collect()
}

fn opposite(property: &str) -> String {
    match property.strip_prefix("not_") {
        Some(bare) => bare.into(),
        None => format!("not_{property}"),
    }
}

/// What is true of `entity`, by applying every claim until nothing is new.
fn closure<'a>(entity: &'a str, claims: &'a [[String; 2]]) -> BTreeSet<&'a str> {
    let mut known = BTreeSet::from([entity]);
    loop {
        let n_known = known.len();
        for [subject, object] in claims {
            if known.contains(subject.as_str()) {
                known.insert(object);
            }
        }
        if known.len() == n_known {
            return known;
        }
    }
}

#[test]
fn ten_thousand_generated_problems_agree_with_an_independent_solver() {
    for seed in 0..10_000 {
        let problem = generated(seed);
        let mut claims = claims(&problem.question());
        let [entity, asked] = claims.pop().expect("a question");
        let known = closure(&entity, &claims);
        let [yes, no] = [&asked, &opposite(&asked)].map(|p| known.contains(p.as_str()));
        assert!(yes != no, "seed {seed}: {}", problem.question());
        assert_eq!(problem.answer(), if yes { "True" } else { "False" });
        let difficulty = &preset(seed);
        // The fact, a rule for each hop but the last to another concept, and the property.
        let hops = problem.steps().len() - 1;
        assert!(difficulty.hops.contains(&hops), "seed {seed}: {hops} hops");
        // Each step is a statement whose subject is already reached.
        let mut reached = entity.clone();
        for step in self::claims(&problem.steps().join(" ")) {
            assert!(claims.contains(&step), "seed {seed}: {step:?}");
            assert_eq!(step[0], reached, "seed {seed}");
            reached = step[1].clone();
        }
        assert_eq!(
            reached.trim_start_matches("not_"),
            asked.trim_start_matches("not_")
        );
    }
}

#[test]
fn a_problem_contradicts_nothing_and_survives_english() {
    for seed in 0..2_000 {
        let problem = generated(seed);
        assert_eq!(Problem::parse(&problem.question()), Ok(problem.clone()));
        let mut claims = claims(&problem.question());
        let [entity, asked] = claims.pop().expect("a question");
        let known = closure(&entity, &claims);
        for word in &known {
            assert!(!known.contains(opposite(word).as_str()), "seed {seed}");
        }
        let stated: BTreeSet<_> = claims.iter().collect();
        assert_eq!(stated.len(), claims.len(), "seed {seed}: said twice");
        let said = |property: &str| claims.iter().filter(|claim| claim[1] == property).count();
        assert_eq!(
            (said(&asked), said(&opposite(&asked))),
            (1, 1),
            "seed {seed}"
        );
    }
}

#[test]
fn the_official_size_is_that_of_the_papers_example() {
    // Coconut, appendix A: 25 statements, of which 12 give a property; ours has seven more around
    // the unrelated concept.
    let problem = Problem::generate(3, &Difficulty::OFFICIAL);
    assert_eq!(problem.statements.len(), 25 + 7);
    assert_eq!(problem.step_tokens().len(), 6);
    assert_eq!(problem.encode().len(), 2 * 32 + 3);
}

/// How often a guess is right that is made from the claims and the question without reasoning.
fn guesser(guess: impl Fn(&[[String; 2]], &str) -> bool) -> f64 {
    let n = 4_000;
    let right = (0..n).filter(|&seed| {
        let problem = Problem::generate(seed, &preset(seed));
        let mut claims = claims(&problem.question());
        let [_, asked] = claims.pop().expect("a question");
        guess(&claims, &asked) == problem.is_true
    });
    right.count() as f64 / n as f64
}

#[test]
fn who_does_not_reason_does_no_better_than_a_coin() {
    fn mentions(claims: &[[String; 2]], word: &str) -> usize {
        let words = claims.iter().flatten();
        words.filter(|known| *known == word).count()
    }
    /// Whether the first claim of the two about the asked property has the asked sign.
    fn agrees<'a>(mut claims: impl Iterator<Item = &'a [String; 2]>, asked: &str) -> bool {
        let other = opposite(asked);
        let claim = claims.find(|claim| claim[1] == asked || claim[1] == other);
        claim.is_some_and(|claim| claim[1] == asked)
    }
    fn subject<'a>(claims: &'a [[String; 2]], property: &str) -> &'a str {
        let claim = claims.iter().find(|claim| claim[1] == property);
        claim.map_or("", |claim| &claim[0])
    }
    type Guess = fn(&[[String; 2]], &str) -> bool;
    let guesses: [(&str, Guess); 6] = [
        ("always True", |_, _| true),
        ("no \"not\" in the question", |_, asked| {
            !asked.starts_with("not_")
        }),
        ("the first mention", |claims, asked| {
            agrees(claims.iter(), asked)
        }),
        ("the last mention", |claims, asked| {
            agrees(claims.iter().rev(), asked)
        }),
        ("more is said of the concept", |claims, asked| {
            let n = |property: &str| mentions(claims, subject(claims, property));
            n(asked) > n(&opposite(asked))
                || n(asked) == n(&opposite(asked)) && claims.len() % 2 == 0
        }),
        ("most properties are denied", |claims, asked| {
            let denied = claims.iter().filter(|claim| claim[1].starts_with("not_"));
            let properties = claims.iter().filter(|claim| !claim[1].ends_with("pus"));
            (2 * denied.count() > properties.count()) == asked.starts_with("not_")
        }),
    ];
    // Three standard errors of 4,000 tosses are 2.4 %.
    for (name, guess) in guesses {
        let share = guesser(guess);
        println!("{name}: {:.1} %", 100.0 * share);
        assert!((share - 0.5).abs() < 0.024, "{name}: {share}");
    }
    // And one that reasons is right, so the guesses are scored as they should be.
    let reasons = guesser(|claims, asked| {
        let entity = claims
            .iter()
            .find(|claim| claim[0].starts_with(char::is_uppercase));
        let entity = &entity.expect("a fact")[0];
        closure(entity, claims).contains(asked)
    });
    assert_eq!(reasons, 1.0);
}
