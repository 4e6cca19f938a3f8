//! Builds the page with trunk, and takes pictures of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::offline;
use crate::progress::command_text;
use crate::requirement;
use crate::setup;
use crate::wasm::{Route, WasmToolchain};
use crate::workspace;

/// How the page is built.
#[derive(Args, Clone, Debug, Default)]
pub struct PageBuild {
    /// The folder it will be served from; by default the page works from any.
    #[arg(long)]
    pub public_url: Option<String>,
    /// Builds without optimisation: soon there, and slow to run.
    #[arg(long)]
    pub dev: bool,
}

/// Installs what the build needs, then builds the page into `dist/`.
pub fn build(toolchain: WasmToolchain, build: &PageBuild) -> Result<()> {
    requirement::ensure(&setup::for_page(toolchain))?;
    let mut command = build_command(Route::of(toolchain), build);
    eprintln!("Building the page: {}", command_text(&command));
    run_visibly(&mut command)?;
    write_worker()
}

/// Writes the service worker of the page that trunk has built.
pub fn write_worker() -> Result<()> {
    let source = workspace::root().join("web/sw.js");
    let template = std::fs::read_to_string(&source)
        .with_context(|| format!("cannot read {}", source.display()))?;
    offline::write_worker(&workspace::dist(), &template)
}

/// The command that builds the page.
pub fn build_command(route: Route, build: &PageBuild) -> Command {
    let mut command = workspace::command("trunk");
    command
        .arg("build")
        // Trunk 0.21 takes NO_COLOR=1 for a malformed `--no-color`, and it asks for news of itself.
        .env_remove("NO_COLOR")
        .env("TRUNK_SKIP_VERSION_CHECK", "true");
    if !build.dev {
        command.arg("--release");
    }
    if let Some(public_url) = &build.public_url {
        command.args(["--public-url", public_url]);
    }
    route.apply(&mut command);
    command
}

/// What `cargo xtask screenshot` takes pictures of.
#[derive(Args, Debug)]
pub struct Screenshot {
    /// The folder for the pictures.
    pub folder: PathBuf,
    /// What follows the `#` in the page's address.
    #[arg(long, default_value = "")]
    pub hash: String,
    /// Presses these buttons (`data-testid`s) first.
    #[arg(long, value_delimiter = ',')]
    pub click: Vec<String>,
    /// How long to wait before each picture.
    #[arg(long, default_value_t = 5.0)]
    pub wait_secs: f64,
    /// Width and height of the window, in CSS pixels.
    #[arg(long, value_delimiter = ',', default_value = "1280x800", value_parser = size_from_text)]
    pub size: Vec<[u32; 2]>,
    /// Takes all of the page, however long it is.
    #[arg(long)]
    pub whole: bool,
}

fn size_from_text(text: &str) -> Result<[u32; 2]> {
    let parsed = text
        .split_once('x')
        .and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    parsed.with_context(|| format!("expected a size such as 390x844, found {text:?}"))
}

/// Pictures of `dist/`, taken by the browser tests' own browser. `args` are those of
/// [`Screenshot`].
pub fn screenshot(args: &[OsString]) -> Result<()> {
    let mut command = workspace::cargo();
    command
        .args(["run", "--quiet", "--package", "xtask"])
        .args(["--example", "screenshot", "--"])
        .args(args);
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
