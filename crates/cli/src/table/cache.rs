//! Measurements of earlier runs, kept under a digest of all that they depend on.

use std::{fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::folder::hex;
use latent_model::evidence::MeasuredThinking;

/// A folder with one file for each measurement.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    /// SHA-256 of this very program: a changed program measures everything afresh.
    program: String,
}

impl Cache {
    /// Opens the cache in `folder`, which need not exist yet.
    pub fn open(folder: PathBuf) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        let bytes =
            fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
        Ok(Self {
            folder,
            program: hex(&Sha256::digest(bytes)),
        })
    }

    /// The digest of a measurement's parts and of the program.
    pub fn key(&self, parts: &[&str]) -> String {
        let mut digest = Sha256::new();
        for part in [self.program.as_str()].iter().chain(parts) {
            // With its length in front, no part can run into the next one.
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        hex(&digest.finalize())
    }

    /// The measurement of this key, where there is one.
    pub fn get(&self, key: &str) -> Result<Option<MeasuredThinking>> {
        let path = self.path(key);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .with_context(|| format!("in {}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Keeps a measurement.
    pub fn put(&self, key: &str, measured: &MeasuredThinking) -> Result<()> {
        let path = self.path(key);
        let fresh = path.with_extension("new");
        fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&fresh, serde_json::to_string(measured)?))
            .and_then(|()| fs::rename(&fresh, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }
}

#[cfg(test)]
mod tests {
    use latent_model::{
        evidence::Measured,
        metrics::{Branches, wilson},
    };

    use super::*;

    fn cache(program: &str) -> Cache {
        let name = format!("latent-cache-test-{}", std::process::id());
        Cache {
            folder: std::env::temp_dir().join(name),
            program: program.into(),
        }
    }

    #[test]
    fn a_key_changes_with_every_part_and_with_the_program() {
        let keys = [
            cache("p").key(&["ab", "c"]),
            cache("p").key(&["a", "bc"]),
            cache("p").key(&["abc"]),
            cache("q").key(&["ab", "c"]),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
        assert_eq!(keys[0], cache("p").key(&["ab", "c"]));
    }

    #[test]
    fn what_was_kept_is_found_and_a_broken_file_is_an_error() {
        let cache = cache("p");
        let measured = MeasuredThinking {
            measured: Measured {
                problems: "class".into(),
                accuracy: wilson(1, 3).expect("n > 0"),
                malformed: 0.0,
                think_steps: 6.0,
                answer_tokens: 3.1,
                tokens: 9.1,
            },
            mean_entropy: Some(0.1),
            branches: Branches::new(&[0.1, 0.7]),
        };
        let key = cache.key(&["x"]);
        assert_eq!(cache.get(&key).expect("no file is no error"), None);
        cache.put(&key, &measured).expect("it can be written");
        assert_eq!(cache.get(&key).expect("it can be read"), Some(measured));
        fs::write(cache.path(&key), "{").expect("it can be written");
        assert!(cache.get(&key).is_err());
        fs::remove_dir_all(&cache.folder).expect("it can be removed");
    }
}
