//! `docs/results.md`: all that was measured, in one document, from the files in `public/evidence`.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use latent_model::{
    analysis::report::{AnalysisStudy, InterventionStudy},
    evidence::Table,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    analyze, intervene,
    table::{ThinkingDocument, ThoughtsDocument, of_table},
};

/// Writes a JSON file of the evidence.
pub fn write_evidence(folder: &Path, name: &str, document: &impl Serialize) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    write_text(
        &folder.join(name),
        &(serde_json::to_string_pretty(document)? + "\n"),
    )
}

/// Writes a file, and says so.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Writes the document to `path`.
pub fn write(evidence: &Path, path: &Path) -> Result<()> {
    write_text(path, &document(evidence)?)
}

/// The document. The files of `latent table` must be there; a study that was not made has no
/// section.
pub fn document(evidence: &Path) -> Result<String> {
    let expected = |name: &str| {
        format!(
            "{name} is not in {}: run `latent table`",
            evidence.display()
        )
    };
    let table: Table = read(evidence, "table.json")?.with_context(|| expected("table.json"))?;
    let thoughts: ThoughtsDocument =
        read(evidence, "thoughts.json")?.with_context(|| expected("thoughts.json"))?;
    let thinking: ThinkingDocument =
        read(evidence, "thinking.json")?.with_context(|| expected("thinking.json"))?;
    let mut text = of_table(&table, &thoughts, &thinking);
    let interventions: Option<InterventionStudy> = read(evidence, "interventions.json")?;
    let analysis: Option<AnalysisStudy> = read(evidence, "analysis.json")?;
    for section in [
        analysis.as_ref().map(analyze::section),
        interventions.as_ref().map(intervene::section),
    ] {
        text += &section.map_or_else(String::new, |section| format!("\n{section}"));
    }
    Ok(text)
}

/// A JSON file of the evidence, if there is one.
fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>> {
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(json) => serde_json::from_str(&json)
            .map(Some)
            .with_context(|| format!("in {}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::weights_digest;

    #[test]
    fn studies_were_made_on_the_weights_that_ship() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let evidence = root.join("public/evidence");
        let interventions: Option<InterventionStudy> =
            read(&evidence, "interventions.json").expect("a study");
        let analysis: Option<AnalysisStudy> = read(&evidence, "analysis.json").expect("a study");
        let interventions = interventions.expect("it ships").rows;
        let analysis = analysis.expect("it ships").rows;
        let subjects = interventions.iter().map(|row| &row.subject);
        for subject in subjects.chain(analysis.iter().map(|row| &row.subject)) {
            let folder = root.join("public/models").join(&subject.model);
            let digest = weights_digest(&folder, None).expect("the weights can be read");
            assert_eq!(
                subject.weights_sha256, digest,
                "{}: measure again",
                subject.model
            );
        }
    }
}
