//! What commands measured, as JSON files in folders of `public/evidence`.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};

use crate::output;

/// Reads a file of a folder of the evidence.
pub fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    let json =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&json).with_context(|| format!("in {}", path.display()))
}

/// Writes a file into a folder of the evidence, which is made where it is not there.
pub fn write(folder: &Path, name: &str, document: &impl Serialize) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    output::write(&folder.join(name), &output::json(document)?)
}

/// Fails where a checkpoint that ships has other weights than those that were measured.
#[cfg(test)]
pub fn assert_of_weights_that_ship(model: &str, adapters: Option<&str>, weights_sha256: &str) {
    let models = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../public/models"));
    let digest = crate::folder::weights_digest(&models.join(model), adapters);
    let digest = digest.expect("the weights can be read");
    assert_eq!(weights_sha256, digest, "{model}: measure again");
}
