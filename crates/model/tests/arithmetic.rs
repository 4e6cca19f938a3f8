//! Arithmetic against a solver that reads English, and GSM8K's own file.

use std::collections::{BTreeMap, BTreeSet};

use latent_model::tasks::{
    self,
    arithmetic::{Difficulty, Problem, TASK, evaluate, vocabulary},
};

/// The two presets in turn.
fn preset(seed: u64) -> Difficulty {
    [Difficulty::CLASS, Difficulty::OFFICIAL][seed as usize % 2].clone()
}

fn generated(seed: u64) -> Problem {
    Problem::generate(seed, &preset(seed))
}

fn number(word: &str) -> i64 {
    word.parse()
        .unwrap_or_else(|_| panic!("{word:?} is no number"))
}

/// Reads a story sentence by sentence and keeps who has how many; gives the answer.
fn solve(text: &str) -> i64 {
    let mut has: BTreeMap<&str, i64> = BTreeMap::new();
    // What the last sentence made of the things: a price, a share, a number of bags.
    let mut made = None;
    let words: Vec<&str> = text.split(' ').collect();
    for sentence in words.split_inclusive(|word| word.ends_with(['.', '?'])) {
        let words: Vec<&str> = sentence
            .iter()
            .map(|word| word.trim_end_matches(['.', '?']))
            .filter(|word| *word != "Then")
            .collect();
        match words[..] {
            [who, "has", a, _, "with", b, _, "in", "each", _] => {
                has.insert(who, number(a) * number(b));
            }
            [who, "finds", a, _, "each", "day", "for", b, "days"] => {
                has.insert(who, number(a) * number(b));
            }
            [who, "has", a, _, "and", "buys", b, "more", _] => {
                has.insert(who, number(a) + number(b));
            }
            [
                who,
                "has",
                a,
                _,
                "and",
                "gives",
                b,
                _,
                "to",
                "each",
                "of",
                c,
                "friends",
            ] => {
                has.insert(who, number(a) - number(b) * number(c));
            }
            [who, "has", a, "more", _, "than", other] => {
                has.insert(who, has[other] + number(a));
            }
            [who, "has", a, "fewer", _, "than", other] => {
                has.insert(who, has[other] - number(a));
            }
            [who, "has", a, "times", "as", "many", _, "as", other] => {
                has.insert(who, has[other] * number(a));
            }
            [who, "has", a, _] => {
                has.insert(who, number(a));
            }
            [other, "gives", "all", "of", "the", _, "to", who] => {
                let given = has.insert(other, 0).expect("somebody who has some");
                *has.get_mut(who).expect("somebody who has some") += given;
            }
            [
                who,
                "puts",
                a,
                "rows",
                "of",
                b,
                _,
                "on",
                "a",
                "table",
                "and",
                c,
                _,
                ..,
            ] => {
                has.insert(who, number(a) * number(b) + number(c));
            }
            [
                a,
                "boys",
                "and",
                b,
                "girls",
                "each",
                "give",
                c,
                _,
                "to",
                who,
            ] => {
                has.insert(who, (number(a) + number(b)) * number(c));
            }
            [
                who,
                "sells",
                a,
                _,
                "for",
                b,
                "dollars",
                "each",
                "and",
                c,
                _,
                "for",
                d,
                ..,
            ] => {
                has.insert(who, number(a) * number(b) + number(c) * number(d));
            }
            [
                who,
                "works",
                a,
                "hours",
                "each",
                "day",
                "for",
                b,
                "days",
                "and",
                "earns",
                c,
                ..,
            ] => {
                has.insert(who, number(a) * number(b) * number(c));
            }
            [who, "gets", a, "more", _] => *has.get_mut(who).expect("the holder") += number(a),
            [who, "gives", "half", "of", "the", _, "to", _] => {
                let count = has.get_mut(who).expect("the holder");
                assert_eq!(*count % 2, 0, "{text}");
                *count /= 2;
            }
            [who, "gives", a, _, "to", _] | [who, "loses", a, _] => {
                *has.get_mut(who).expect("the holder") -= number(a);
            }
            [
                who,
                "sells",
                "all",
                "of",
                "the",
                _,
                "for",
                a,
                "dollars",
                "each",
            ] => {
                made = Some(has[who] * number(a));
            }
            [who, "shares", "the", _, "equally", "among", a, "friends"]
            | [who, "puts", a, _, "in", "each", _] => {
                assert_eq!(has[who] % number(a), 0, "{text}");
                made = Some(has[who] / number(a));
            }
            [who, "wants", a, _] => made = Some(number(a) - has[who]),
            ["How", "many", _, "does", who, "have", "now"] => return has[who],
            ["How", "many", .., "get" | "need"] => return made.expect("something made"),
            _ => panic!("not understood: {words:?} in {text}"),
        }
    }
    panic!("nothing is asked: {text}")
}

#[test]
fn ten_thousand_generated_problems_agree_with_an_independent_solver() {
    let mut n_steps = BTreeMap::new();
    for seed in 0..10_000 {
        let problem = generated(seed);
        assert_eq!(
            solve(&problem.question),
            problem.answer,
            "{}",
            problem.question
        );
        assert!((1..1000).contains(&problem.answer));
        let difficulty = &preset(seed);
        assert!(difficulty.steps.contains(&problem.steps.len()));
        for step in &problem.steps {
            assert_eq!(evaluate(&step.expression), Ok(step.result), "{step}");
        }
        let last = problem.steps.last().expect("a step");
        assert_eq!(last.result, problem.answer);
        *n_steps.entry(problem.steps.len()).or_insert(0) += 1;
    }
    // Half of them have 2 or 3 steps, half 2 to 5, all equally likely.
    for (n, share) in [(2, 0.375), (3, 0.375), (4, 0.125), (5, 0.125)] {
        let found = f64::from(n_steps[&n]) / 10_000.0;
        assert!((found - share).abs() < 0.02, "{n} steps: {found}");
    }
}

#[test]
fn prompts_are_short_and_every_word_is_used() {
    let mut used = BTreeSet::new();
    let mut longest = 0;
    let mut answers: BTreeMap<i64, usize> = BTreeMap::new();
    for seed in 0..4_000 {
        let problem = generated(seed);
        let ids = problem.encode().expect("the vocabulary is complete");
        longest = longest.max(ids.len());
        used.extend(ids);
        used.extend(problem.step_tokens().concat());
        *answers.entry(problem.answer).or_default() += 1;
    }
    println!("the longest prompt has {longest} tokens");
    assert!(longest < 100, "{longest}");
    let brackets_and_markers = ["(", ")"];
    let unused: Vec<&str> = (0..)
        .zip(vocabulary())
        .filter(|(id, token)| !used.contains(id) && !brackets_and_markers.contains(token))
        .map(|(_, token)| token)
        .collect();
    let markers = [
        "###", "<bot>", "<eot>", "<pause>", "<think>", "</think>", "<eos>", "<pad>",
    ];
    assert_eq!(unused, markers);
    let most = answers.values().max().expect("some answer");
    assert!(
        *most < 4_000 / 25,
        "one answer is right {most} times of 4,000"
    );
}

#[test]
fn the_official_file_loads() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/gsm8k_train.jsonl"
    );
    if std::env::var_os("LATENT_SKIP_OFFICIAL_DATA").is_some() {
        println!("skipped by LATENT_SKIP_OFFICIAL_DATA: {path} is not read");
        return;
    }
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("{path}: {error}. Put the official file there, or set LATENT_SKIP_OFFICIAL_DATA=1")
    });
    let loaded = TASK.load(&text).expect("the official file is well-formed");
    println!("{} problems; {:?}", loaded.problems.len(), loaded.reasons());
    assert_eq!(loaded.problems.len() + loaded.skipped.len(), 7473);
    assert!(loaded.problems.len() > 6_000, "{}", loaded.problems.len());
    let first = &loaded.problems[0];
    assert_eq!(first.steps(), ["<<48/2=24>>", "<<48+24=72>>"]);
    assert_eq!(first.answer(), "72");
    let problems = loaded.problems.iter();
    let official: BTreeSet<_> = problems.map(tasks::Problem::fingerprint).collect();
    assert!(official.len() > 6_000, "fingerprints tell problems apart");
    let unknown = first.encode().expect_err("a word of the world");
    assert_eq!(unknown.word, "Natalia");
}
