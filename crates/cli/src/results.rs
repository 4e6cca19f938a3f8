//! `latent results`: `docs/results.md`, put together from what the files of `public/evidence` hold.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{analyze, contemplation, intervene, output::write, table};

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
const SECTIONS: [Section; 9] = [
    ("coconut", table::section),
    ("ccot", table::section),
    ("ccot-studies", table::section),
    ("contemplation", contemplation::section),
    ("analysis", analyze::section),
    ("smollm2", analyze::pretrained),
    ("gsm8k", analyze::solved),
    ("gsm8k-seeds", analyze::seeds),
    ("interventions", intervene::section),
];

/// Writes the document.
pub fn results(args: &ResultsArgs) -> Result<ExitCode> {
    write(&args.out, &document(&args.evidence)?)?;
    Ok(ExitCode::SUCCESS)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
}
