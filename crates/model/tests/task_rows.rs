//! A task is its folder and its row: nobody else calls it by name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use latent_model::tasks::TASKS;

/// What may name tasks all the same, and why; each name counts once for every time it may stand
/// there.
const ALLOWED: [(&str, usize, &str); 3] = [
    (
        "crates/model/src/tasks/mod.rs",
        2,
        "the module's line and the task's row in the table",
    ),
    (
        "web/src/chapters.rs",
        1,
        "the tour's set-ups are addresses, which name the task that they are of",
    ),
    (
        "web/src/view/test_records.rs",
        3,
        "compiled for tests alone, which need a problem of some task",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The program's sources: no tests, examples, configs, suites or published files.
fn sources() -> Vec<PathBuf> {
    let mut folders = vec![root().join("web/src"), root().join("shaders")];
    for entry in fs::read_dir(root().join("crates")).expect("the crates") {
        folders.push(entry.expect("a crate").path().join("src"));
    }
    let mut files = vec![root().join("web/index.html"), root().join("web/style.css")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("a source").path();
            match path.is_dir() {
                true => folders.push(path),
                // A module of tests that has a file of its own.
                false if path.ends_with("tests.rs") => {}
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}

/// Where a text has the word, in any case. `prosqa-cot` and `prosqa_valid.json` are names of other
/// things, which are published.
fn places(text: &str, word: &str) -> usize {
    let (text, word) = (text.to_lowercase(), word.to_lowercase());
    let is_inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let stands_alone = |&(at, _): &(usize, &str)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !is_inside(before) && !is_inside(after) && after != Some('-')
    };
    text.match_indices(&word).filter(stands_alone).count()
}

#[test]
fn nobody_but_its_folder_and_its_row_names_a_task() {
    let folders = TASKS.iter().map(|task| {
        let folder = root().join("crates/model/src/tasks").join(task.name());
        assert!(folder.is_dir(), "{} is no folder", folder.display());
        folder
    });
    let folders: Vec<PathBuf> = folders.collect();
    let mut found = Vec::new();
    for path in sources() {
        // A task may build on another one's words.
        if folders.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let file = path.strip_prefix(root()).expect("below the root");
        let file = file.to_string_lossy().replace('\\', "/");
        for task in TASKS {
            let titles = code.matches(&format!("{:?}", task.title())).count();
            let n = places(code, task.name()) + titles;
            let is_allowed = |entry: &&(&str, usize, &str)| entry.0 == file;
            let allowed = ALLOWED.iter().find(is_allowed).map_or(0, |entry| entry.1);
            if n > allowed {
                found.push(format!(
                    "{file}: {} × {}, allowed {allowed}",
                    n,
                    task.name()
                ));
            }
        }
    }
    assert!(
        found.is_empty(),
        "a task is asked through its row (`TaskSpec`), not by its name:\n{}",
        found.join("\n")
    );
}

#[test]
fn names_are_found_wherever_they_stand_alone() {
    let text = "task == prosqa::TASK; // ProsQA\n\"prosqa-cot\" prosqa_valid old_prosqa";
    assert_eq!(places(text, "prosqa"), 2);
    assert_eq!(places(text, "prontoqa"), 0);
}
