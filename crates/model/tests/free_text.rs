//! Answers in words and formulas: graded on the published ones.

use latent_model::tasks::{FileError, Grade, Problem, Task, free_text};

/// The problems of a file of official data.
fn official(file: &str) -> Option<Vec<Problem>> {
    let path = format!("{}/../../../shared/data/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("LATENT_SKIP_OFFICIAL_DATA").is_some() {
        println!("skipped by LATENT_SKIP_OFFICIAL_DATA: {path} is not read");
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{path}: {error}. Put the official file there, or set LATENT_SKIP_OFFICIAL_DATA=1")
    });
    let loaded = free_text::TASK.load(&text).expect("a file of problems");
    assert_eq!(loaded.skipped, []);
    Some(loaded.problems)
}

#[test]
fn every_published_answer_is_its_own_and_none_of_another_problem() {
    for (file, n) in [("gsm8k_train.jsonl", 7473), ("math500.json", 500)] {
        let Some(problems) = official(file) else {
            return;
        };
        assert_eq!(problems.len(), n);
        for (index, problem) in problems.iter().enumerate() {
            let answer = problem.answer();
            let told = [
                format!(" {answer}."),
                format!(" ${answer}$"),
                format!(" so it is \\boxed{{{answer}}}\n\nThat is all."),
            ];
            for text in &told {
                let grade = problem.grade(text);
                assert_eq!(
                    grade,
                    Grade::Right,
                    "{file} {index}: {text:?} for {answer:?}"
                );
            }
            let other = problems[(index + 1) % n].answer();
            let is_other = problem.grade(&format!("\\boxed{{{other}}}")) != Grade::Right;
            let is_same = free_text::Answer::new(other) == free_text::Answer::new(answer);
            assert!(
                is_other || is_same,
                "{file} {index}: {other:?} for {answer:?}"
            );
        }
    }
}

/// GSM8K's solutions end with their answer, and say other numbers before it.
#[test]
fn a_worked_solution_is_graded_by_its_last_number() {
    let Some(problems) = official("gsm8k_train.jsonl") else {
        return;
    };
    let right = problems.iter().filter(|problem| {
        let last = problem.steps().last().map_or("", String::as_str);
        problem.grade(last) == Grade::Right
    });
    let share = right.count() as f64 / problems.len() as f64;
    // Some end in words ("So he has 3 apples and 4 pears left").
    assert!(share > 0.9, "{share}");
    for problem in &problems {
        assert!(
            problem.steps().iter().all(|line| !line.contains("<<")),
            "{problem:?}"
        );
    }
}

#[test]
fn a_file_that_is_none_is_refused_and_math_500_is_read_as_it_is_published() {
    let task: Task = "free-text".parse().expect("a task");
    let published =
        r#"{"problem": "What is $1+1$?", "solution": "…", "answer": "2", "unique_id": "a"}"#;
    let loaded = task.load(published).expect("a problem");
    assert_eq!(loaded.problems[0].question(), "What is $1+1$?");
    for (text, expected) in [
        ("question,answer", "it begins with \"question,answer\""),
        (r#"{"question": "a", "answer": "b"}"#, "found no ####"),
        (r#"{"question": "a"}"#, "expected question and answer"),
        (r#"{"problem": "", "answer": "b"}"#, "found an empty one"),
    ] {
        let error: FileError = task.load(text).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
