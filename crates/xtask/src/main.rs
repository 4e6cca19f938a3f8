//! `cargo xtask`: sets up, serves, tests and packages the playground.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::brought_model::BroughtModel;
use xtask::page::{PageBuild, Screenshot};
use xtask::server::{Host, StaticServer};
use xtask::suite::CheckName;
use xtask::wasm::WasmToolchain;
use xtask::{bench, page, requirement, setup, split, suite, workspace};

/// Sets up, serves, tests and packages the playground.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    /// Who compiles the page: rustup's toolchain, or Debian's where rustup cannot download.
    #[arg(long, global = true, value_enum, default_value_t = WasmToolchain::Auto)]
    wasm_toolchain: WasmToolchain,

    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs whatever building and testing needs and this machine lacks.
    Setup,
    /// Builds the page and serves it on this machine.
    Serve {
        /// The port on 127.0.0.1.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Serves `dist/` as it is.
        #[arg(long, conflicts_with_all = ["public_url", "dev"])]
        no_build: bool,
        #[command(flatten)]
        build: PageBuild,
        #[command(flatten)]
        model: BroughtModel,
    },
    /// Runs every check and every test, as continuous integration does.
    Test {
        /// Runs these checks alone.
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<CheckName>,
    },
    /// Measures how fast the engine is here, beside its peers, and compares with what was reached.
    Bench {
        /// Measures nothing: compares what `latent bench --json` printed, on another machine perhaps.
        #[arg(long)]
        from: Option<PathBuf>,
        /// Keeps what is measured: crates/cli/bench and docs/performance.md.
        #[arg(long)]
        write: bool,
        /// Behind `--`: what else `latent bench` is told, such as its rounds and more peers.
        #[arg(last = true, conflicts_with = "from")]
        more: Vec<String>,
    },
    /// Builds the static site in `dist/`, ready for any static host.
    Dist {
        #[command(flatten)]
        build: PageBuild,
        #[command(flatten)]
        model: BroughtModel,
    },
    /// Takes pictures of the built page, light and dark.
    Screenshot(Screenshot),
    /// Splits the program of a page that trunk builds: its hook.
    #[command(hide = true)]
    Split,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    let toolchain = args.wasm_toolchain;
    match args.command {
        Task::Setup => requirement::ensure(&setup::everything(toolchain)),
        Task::Serve {
            port,
            no_build,
            build,
            model,
        } => {
            if !no_build {
                page::build(toolchain, &build)?;
            }
            ship(&model)?;
            let server = StaticServer::start(&workspace::dist(), port, "/", Host::default())?;
            println!("The playground is at {} (Ctrl-C stops it)", server.url());
            server.run_forever();
            Ok(())
        }
        Task::Bench { from, write, more } => bench::run(from.as_deref(), write, &more),
        Task::Test { only } => suite::run(toolchain, &only),
        Task::Dist { build, model } => {
            page::build(toolchain, &build)?;
            ship(&model)?;
            println!("The site is in {}", workspace::dist().display());
            Ok(())
        }
        Task::Split => split::hook(),
        Task::Screenshot(_) => page::screenshot(&args_after("screenshot")),
    }
}

/// Puts a model into the built page, which is another version of it then.
fn ship(model: &BroughtModel) -> Result<()> {
    match model.place(&workspace::dist())? {
        true => page::write_worker(),
        false => Ok(()),
    }
}

/// The program's own arguments behind a word, to hand on as they are.
fn args_after(word: &str) -> Vec<OsString> {
    let mut args = std::env::args_os();
    args.by_ref().find(|arg| arg == word);
    args.collect()
}
