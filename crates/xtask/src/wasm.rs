//! Which compiler builds the page: the one at hand with rustup's wasm32 target, or Debian's.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::progress::Step;
use crate::requirement::{Requirement, apt_install};
use crate::workspace::{self, output_of};

/// The target of the page.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The name under which rustup knows the toolchain made from Debian's packages.
const DEBIAN_TOOLCHAIN: &str = "latent-web";

/// What the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WasmToolchain {
    /// rustup's target when it is there or can be had, else Debian's packages.
    Auto,
    /// rustup's target.
    Rustup,
    /// A toolchain made from Debian's `rustc-web`, for machines where rustup cannot download.
    Debian,
}

/// What builds the page here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The toolchain that runs xtask.
    Current,
    /// The toolchain that set-up makes of Debian's compiler.
    Debian,
}

impl Route {
    /// The route that `toolchain` leads to on this machine, once set-up is done.
    pub fn of(toolchain: WasmToolchain) -> Self {
        match toolchain {
            WasmToolchain::Rustup => Self::Current,
            WasmToolchain::Debian => Self::Debian,
            WasmToolchain::Auto if has_target() => Self::Current,
            WasmToolchain::Auto => Self::Debian,
        }
    }

    /// Makes `command`, and the cargo it starts, use this route's compiler.
    pub fn apply(self, command: &mut Command) -> &mut Command {
        match self {
            Self::Current => command,
            Self::Debian => command
                .env("RUSTUP_TOOLCHAIN", DEBIAN_TOOLCHAIN)
                // Set by the cargo that runs xtask, and would win over the toolchain.
                .env_remove("CARGO"),
        }
    }
}

/// What set-up must see to for `toolchain`.
pub fn requirement(toolchain: WasmToolchain) -> &'static Requirement {
    match toolchain {
        WasmToolchain::Auto => &AUTO,
        WasmToolchain::Rustup => &RUSTUP,
        WasmToolchain::Debian => &DEBIAN,
    }
}

const HINTS: &[(&str, &str)] = &[
    ("rustup", "rustup target add wasm32-unknown-unknown"),
    (
        "Debian",
        "sudo apt-get install rustc-web cargo-web rust-web-src",
    ),
    (
        "Fedora",
        "sudo dnf install rust-std-static-wasm32-unknown-unknown",
    ),
];

static AUTO: Requirement = Requirement {
    name: "wasm32 target",
    is_present: || Ok(has_target() || has_debian_toolchain()),
    install: |step| {
        let Err(rustup_error) = add_target(step) else {
            return Ok(());
        };
        step.say("rustup has no wasm32 target for this machine; taking Debian's compiler");
        make_debian_toolchain(step).with_context(|| {
            format!("not by rustup ({rustup_error:#}), nor from Debian's packages")
        })
    },
    hints: HINTS,
};

static RUSTUP: Requirement = Requirement {
    name: "wasm32 target (rustup)",
    is_present: || Ok(has_target()),
    install: add_target,
    hints: HINTS,
};

static DEBIAN: Requirement = Requirement {
    name: "wasm32 toolchain (Debian)",
    is_present: || Ok(has_debian_toolchain()),
    install: make_debian_toolchain,
    hints: HINTS,
};

fn has_target() -> bool {
    output_of("rustc", &["--print", "sysroot"]).is_some_and(|sysroot| {
        PathBuf::from(sysroot)
            .join("lib/rustlib")
            .join(TARGET)
            .join("lib")
            .is_dir()
    })
}

fn add_target(step: &Step) -> Result<()> {
    step.run(workspace::command("rustup").args(["target", "add", TARGET]))
}

/// Asks the compiler itself: a folder half made by an interrupted set-up must not count.
fn has_debian_toolchain() -> bool {
    let crate_types = [
        "run",
        DEBIAN_TOOLCHAIN,
        "rustc",
        "--target",
        TARGET,
        "--print",
        "cfg",
    ];
    let answers = output_of("rustup", &crate_types).is_some();
    answers && debian_toolchain_folder().is_ok_and(|folder| folder.join("complete").is_file())
}

fn debian_toolchain_folder() -> Result<PathBuf> {
    Ok(workspace::tools_home()?.join("web-toolchain"))
}

fn make_debian_toolchain(step: &Step) -> Result<()> {
    apt_install(step, &["rustc-web", "cargo-web", "rust-web-src"])?;
    step.say("building the wasm32 standard library once (about a minute)");
    let script = workspace::root().join("crates/xtask/debian-wasm-toolchain.sh");
    let mut command = workspace::command("bash");
    command
        .arg(script)
        .arg(debian_toolchain_folder()?)
        .arg(DEBIAN_TOOLCHAIN);
    step.run(&mut command)
}
