//! An error is told once, with its cause once.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Folder, latent, stderr};

#[test]
fn the_cause_of_an_error_is_printed_once() {
    let folder = Folder::new("errors");
    let model = folder.copy_model("prosqa-no-cot", "model");
    let config = fs::read_to_string(model.join("config.json")).expect("it ships");
    let broken = config.replace("\"num_hidden_layers\": 6,", "");
    assert_ne!(config, broken);
    let cases = [
        ("config.json", broken.as_bytes(), "missing field"),
        ("tokenizer.json", b"{\"version\": 7}", "tokenizer.json"),
        ("generation_config.json", b"[", "generation_config.json"),
        (
            "model.safetensors",
            b"short",
            "not a readable safetensors file",
        ),
    ];
    for (file, bytes, cause) in cases {
        let kept = fs::read(model.join(file)).expect("it ships");
        fs::write(model.join(file), bytes).expect("it can be written");
        let path = model.display().to_string();
        let output = latent(&["eval", "--model", &path, "--strategy", "no-cot"]).output();
        let text = stderr(&output.expect("latent starts"));
        assert_eq!(text.matches(cause).count(), 1, "{text}");
        fs::write(model.join(file), kept).expect("it can be written");
    }
}

/// Every Rust file of the workspace's crates.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The variants of a file's error enums whose text holds a cause that `source()` gives too:
/// whoever prints the chain, as `{error:#}` does, prints that cause twice.
fn told_twice(text: &str) -> Vec<String> {
    // The first part stands before any variant.
    let variants = text.split("#[error(").skip(1);
    let twice = variants.filter(|variant| {
        let (message, rest) = variant.split_once(")]").unwrap_or((variant, ""));
        // A variant ends where the next text begins or the enum ends.
        let body = rest.split("\n}").next().unwrap_or(rest);
        // `#[source] why: B` of a variant with named fields.
        let mut marked = ["#[from]", "#[source]"].into_iter().filter_map(|mark| {
            let (_, field) = body.split_once(mark)?;
            field.split_once(':').map(|(name, _)| name.trim())
        });
        let holds = |name: &str| message.contains(&format!("{{{name}"));
        let is_marked = body.contains("#[from]") || body.contains("#[source]");
        body.contains(" source:") && holds("source") || is_marked && holds("0") || marked.any(holds)
    });
    twice
        .map(|variant| variant.lines().next().unwrap_or_default().to_string())
        .collect()
}

#[test]
fn no_error_holds_its_cause_in_its_text_and_in_its_chain() {
    // The test's own examples are put together, so that it does not find itself.
    let error = "#[error";
    let bad = format!("{error}(\"a: {{0}}\")]\n    A(#[from] B),\n{error}(\"c\")]\n    C,\n}}");
    assert_eq!(told_twice(&bad), ["\"a: {0}\")]"]);
    let named = format!("{error}(\n\"a: {{source}}\")]\n    A {{\n        source: B,\n    }},\n}}");
    assert_eq!(told_twice(&named).len(), 1);
    let field = "A {\n        #[source]\n        why: B,\n    }";
    let marked = format!("{error}(\"{{why}}\")]\n    {field},\n}}");
    assert_eq!(told_twice(&marked).len(), 1);
    let good = format!("{error}(transparent)]\n    A(#[from] B),\n{error}(\"{{0}}\")]\n C(D),\n}}");
    assert!(told_twice(&good).is_empty());

    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files);
    sources(&root.join("web"), &mut files);
    assert!(files.len() > 100, "{} files", files.len());
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("it can be read");
            let told = told_twice(&text).into_iter();
            told.map(|variant| format!("{}: {variant}", path.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
