//! What the tests of the command line share: the program, and folders of their own.
#![allow(dead_code)] // Every test file uses its own part.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The folder of the checkpoints that ship.
pub const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../public/models");

/// Whether tests of the GPU are skipped, which is said.
pub fn skips_gpu() -> bool {
    let skips = std::env::var("LATENT_SKIP_GPU").is_ok_and(|value| value == "1");
    if skips {
        eprintln!("SKIPPED: LATENT_SKIP_GPU=1");
    }
    skips
}

/// `latent` with these arguments.
pub fn latent(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latent"));
    command.args(args);
    command
}

/// What `latent` with these arguments prints.
///
/// # Panics
/// If it fails.
pub fn stdout_of(args: &[&str]) -> String {
    let output = latent(args).output().expect("latent starts");
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// What `latent` with these arguments complains of.
///
/// # Panics
/// If it does not fail as an error does.
pub fn failure_of(args: &[&str]) -> String {
    let output = latent(args).output().expect("latent starts");
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    stderr(&output)
}

/// What a command complained of.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A temporary folder, removed when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("latent-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A path in the folder, as an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).expect("it can be written");
    }

    /// A copy of a checkpoint that ships, as the folder's `to`.
    pub fn copy_model(&self, model: &str, to: &str) -> PathBuf {
        let to = self.path(to);
        copy_folder(&Path::new(MODELS).join(model), &to);
        to
    }
}

/// Copies a folder with all that is in it.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("it ships") {
        let from = entry.expect("the folder can be listed").path();
        let to = to.join(from.file_name().expect("a file"));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, to).expect("a copy");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder is the system's to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}
