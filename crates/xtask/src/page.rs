//! Builds the page with trunk, and takes pictures of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::progress::command_text;
use crate::setup;
use crate::wasm::{Route, WasmToolchain};
use crate::workspace;

/// Installs what the build needs, then builds the page into `dist/`.
pub fn build(toolchain: WasmToolchain, public_url: Option<&str>) -> Result<()> {
    setup::ensure(&setup::for_page(toolchain))?;
    let mut command = build_command(Route::of(toolchain), public_url);
    eprintln!("Building the page: {}", command_text(&command));
    run_visibly(&mut command)
}

/// The command that builds the page in release mode.
pub fn build_command(route: Route, public_url: Option<&str>) -> Command {
    let mut command = workspace::command("trunk");
    command
        .args(["build", "--release"])
        // Trunk 0.21 takes NO_COLOR=1 for a malformed `--no-color`, and it asks for news of itself.
        .env_remove("NO_COLOR")
        .env("TRUNK_SKIP_VERSION_CHECK", "true");
    if let Some(public_url) = public_url {
        command.args(["--public-url", public_url]);
    }
    route.apply(&mut command);
    command
}

/// Pictures of `dist/`, taken by the browser tests' own browser.
pub fn screenshot(folder: &Path, hash: &str, click: Option<&str>, wait_secs: f64) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut command = workspace::cargo();
    command
        .args([
            "test",
            "--quiet",
            "--package",
            "xtask",
            "--test",
            "browser",
            "--",
        ])
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "page_in_chromium::pictures",
        ])
        .env("LATENT_PICTURES", folder.canonicalize()?)
        .env("LATENT_PICTURES_HASH", hash)
        .env("LATENT_PICTURES_CLICK", click.unwrap_or_default())
        .env("LATENT_PICTURES_WAIT_SECS", wait_secs.to_string());
    run_visibly(&mut command)
}

fn run_visibly(command: &mut Command) -> Result<()> {
    let shown = command_text(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    Ok(())
}
