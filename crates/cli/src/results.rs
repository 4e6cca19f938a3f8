//! `latent results`: `docs/results.md`, put together from what the files of `public/evidence` hold.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Args;
use serde::de::DeserializeOwned;

use crate::{analyze, contemplation::ContemplationDocument, intervene, output, table};

/// Arguments of `latent results`.
#[derive(Args)]
pub struct ResultsArgs {
    /// The folder that holds what was measured.
    #[arg(long, default_value = "public/evidence")]
    evidence: PathBuf,
    /// The file.
    #[arg(long, default_value = "docs/results.md")]
    out: PathBuf,
}

/// A part of the document: a file or folder of the evidence, and what it says in Markdown.
type Section = (&'static str, fn(&Path) -> Result<String>);

/// All parts, in the order in which they are read.
const SECTIONS: [Section; 5] = [
    ("coconut", table::section),
    ("ccot", table::section),
    ("contemplation.json", |path| {
        Ok(read::<ContemplationDocument>(path)?.section())
    }),
    ("analysis.json", |path| Ok(analyze::section(&read(path)?))),
    ("interventions.json", |path| {
        Ok(intervene::section(&read(path)?))
    }),
];

/// Writes the document.
pub fn results(args: &ResultsArgs) -> Result<ExitCode> {
    write(&args.evidence, &args.out)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the document to `path`.
pub fn write(evidence: &Path, path: &Path) -> Result<()> {
    output::write(path, &document(evidence)?)
}

fn document(evidence: &Path) -> Result<String> {
    let mut text = String::from(
        "\
# Results

<!-- `latent results` writes this file, and a test fails where it is not what public/evidence
holds. -->

Accuracy is exact match of the answer, what follows the last `###` as in Coconut's own code, \
decoded over the whole vocabulary, with Wilson's 95 % interval. There is one training run a \
checkpoint, of small models: the intervals are those of the problems and not of the training. \
[EXPERIMENTS.md](../crates/train/EXPERIMENTS.md) tells how each checkpoint was trained.
",
    );
    for (name, section) in SECTIONS {
        let section = section(&evidence.join(name));
        text += &format!("\n{}", section.with_context(|| format!("in {name}"))?);
    }
    Ok(text)
}

/// A JSON file of the evidence.
fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let json =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_str(&json)?)
}

#[cfg(test)]
mod tests {
    use latent_model::analysis::report::{AnalysisStudy, InterventionStudy};

    use super::*;
    use crate::folder::weights_digest;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    #[test]
    fn the_results_are_what_the_evidence_holds() {
        let document = document(&root().join("public/evidence"));
        let document = document.unwrap_or_else(|error| panic!("{error:#}"));
        let written = fs::read_to_string(root().join("docs/results.md")).expect("it ships");
        assert!(document == written, "run `latent results`");
    }

    #[test]
    fn studies_were_made_on_the_weights_that_ship() {
        let evidence = root().join("public/evidence");
        let interventions: InterventionStudy =
            read(&evidence.join("interventions.json")).expect("a study");
        let analysis: AnalysisStudy = read(&evidence.join("analysis.json")).expect("a study");
        let contemplation: ContemplationDocument =
            read(&evidence.join("contemplation.json")).expect("a study");
        let interventions = interventions.rows.iter().map(|row| &row.subject);
        let subjects = interventions.chain(analysis.rows.iter().map(|row| &row.subject));
        let subjects = subjects.map(|subject| (&subject.model, None, &subject.weights_sha256));
        let adapted = contemplation.rows.iter();
        let adapted = adapted.map(|row| (&row.model, Some(&row.adapters), &row.weights_sha256));
        for (model, adapters, expected) in subjects.chain(adapted) {
            let folder = root().join("public/models").join(model);
            let digest = weights_digest(&folder, adapters.map(String::as_str));
            let digest = digest.expect("the weights can be read");
            assert_eq!(*expected, digest, "{model}: measure again");
        }
    }
}
