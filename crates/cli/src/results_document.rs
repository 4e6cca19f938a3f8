//! `latent results`: `docs/results.md`, put together from what the files of `public/evidence` hold.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::Args;

use crate::{analyze, intervene, output::write, table};

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

/// A part of the document, of a file or folder of the evidence.
type Section = (&'static str, fn(&Path) -> Result<String>);

/// All parts, in the order in which they are read.
const SECTIONS: [Section; 4] = [
    ("coconut", table::section),
    ("ccot", table::section),
    ("analysis", analyze::section),
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
    // A study that was not made has no section.
    let made = SECTIONS
        .iter()
        .filter(|(name, _)| evidence.join(name).exists());
    for (name, section) in made {
        text += &format!("\n{}", section(&evidence.join(name))?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_results_are_what_the_evidence_holds() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let document = document(&root.join("public/evidence"));
        let document = document.unwrap_or_else(|error| panic!("{error:#}"));
        let written = fs::read_to_string(root.join("docs/results.md")).expect("it ships");
        assert!(document == written, "run `latent results`");
    }
}
