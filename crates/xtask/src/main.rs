//! `cargo xtask`: sets up, serves, tests and packages the playground.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use xtask::server::StaticServer;
use xtask::suite::CheckName;
use xtask::wasm::WasmToolchain;
use xtask::{page, setup, suite, workspace};

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
    /// Builds the page in release mode and serves it on this machine.
    Serve {
        /// The port on 127.0.0.1.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Serves `dist/` as it is.
        #[arg(long)]
        no_build: bool,
    },
    /// Runs every check and every test, as continuous integration does.
    Test {
        /// Runs these checks alone.
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<CheckName>,
    },
    /// Builds the static site in `dist/`, ready for any static host.
    Dist {
        /// The folder it will be served from; by default the page works from any.
        #[arg(long)]
        public_url: Option<String>,
    },
    /// Takes pictures of the built page, light and dark.
    Screenshot {
        /// The folder for the pictures.
        folder: PathBuf,
        /// What follows the `#` in the page's address.
        #[arg(long, default_value = "")]
        hash: String,
        /// Presses this button (a `data-testid`) first.
        #[arg(long)]
        click: Option<String>,
        /// How long to wait before the picture.
        #[arg(long, default_value_t = 5.0)]
        wait_secs: f64,
    },
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
        Task::Setup => setup::ensure(&setup::everything(toolchain)),
        Task::Serve { port, no_build } => {
            if !no_build {
                page::build(toolchain, None)?;
            }
            let server = StaticServer::start(&workspace::dist(), port, "/")?;
            println!("The playground is at {} (Ctrl-C stops it)", server.url());
            server.run_forever();
            Ok(())
        }
        Task::Test { only } => suite::run(toolchain, &only),
        Task::Dist { public_url } => {
            page::build(toolchain, public_url.as_deref())?;
            println!("The site is in {}", workspace::dist().display());
            Ok(())
        }
        Task::Screenshot {
            folder,
            hash,
            click,
            wait_secs,
        } => page::screenshot(&folder, &hash, click.as_deref(), wait_secs),
    }
}
