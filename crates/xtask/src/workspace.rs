//! Where things are: the workspace, xtask's own tools, the programs on the machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The folder that holds the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    // xtask always runs from the workspace that built it: cargo compiles it there.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// The built page.
pub fn dist() -> PathBuf {
    root().join("dist")
}

/// Where xtask keeps what it installs for itself, away from the user's own cargo tools.
pub fn tools_home() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_DATA_HOME") {
        Some(path) => PathBuf::from(path),
        None => std::env::home_dir()
            .context("expected a home folder to install tools in, found none")?
            .join(".local/share"),
    };
    Ok(base.join("latent-playground"))
}

/// `program`, run in the workspace, finding xtask's own tools before others.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(find_program(program).unwrap_or_else(|| program.into()));
    command.current_dir(root()).env("PATH", search_path());
    command
}

/// The cargo that runs xtask.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("PATH", search_path());
    command
}

/// The first `program` in xtask's own tools or on `PATH`.
pub fn find_program(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
        .find(|path| path.is_file())
}

/// What `program args…` prints, or nothing when it is missing or fails.
pub fn output_of(program: &str, args: &[&str]) -> Option<String> {
    let output = command(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The version of a package as `Cargo.lock` fixes it.
pub fn locked_version(package: &str) -> Result<String> {
    let path = root().join("Cargo.lock");
    let lock = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    version_in_lock(&lock, package)
        .with_context(|| format!("expected {package} in {}, found none", path.display()))
}

fn version_in_lock(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let after = lock.lines().skip_while(|line| *line != name).nth(1)?;
    let version = after.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_owned())
}

fn search_path() -> OsString {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let own = tools_home().map(|home| home.join("bin"));
    let folders = own.into_iter().chain(std::env::split_paths(&old));
    // Joining fails only on a folder with a separator in its name, which PATH cannot hold anyway.
    std::env::join_paths(folders).unwrap_or(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_is_that_of_the_whole_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.80\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(
            version_in_lock(lock, "wasm-bindgen").as_deref(),
            Some("0.2.130")
        );
        assert_eq!(version_in_lock(lock, "wasm"), None);
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("Trunk.toml").is_file(), "{}", root().display());
    }
}
