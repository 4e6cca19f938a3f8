//! Installs what the machine lacks, and names what it cannot install.

use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Result, bail, ensure};

use crate::progress::Step;
use crate::python::TRANSFORMERS;
use crate::wasm::{self, WasmToolchain};
use crate::workspace::{self, cargo, command, find_program, locked_version, output_of};

/// The trunk that xtask installs: the newest that Rust 1.95 compiles. Any from 0.21 on serves.
const TRUNK_VERSION: &str = "0.21.14";

/// Something that a task needs on the machine.
pub struct Requirement {
    /// What it is called in the progress lines.
    pub name: &'static str,
    /// Whether it is there and fit for use.
    pub is_present: fn() -> Result<bool>,
    /// Brings it.
    pub install: fn(&Step) -> Result<()>,
    /// How one gets it by hand, for several systems.
    pub hints: &'static [(&'static str, &'static str)],
}

/// What building the page takes.
pub fn for_page(toolchain: WasmToolchain) -> Vec<&'static Requirement> {
    vec![wasm::requirement(toolchain), &TRUNK, &WASM_BINDGEN]
}

/// What building and testing take.
pub fn everything(toolchain: WasmToolchain) -> Vec<&'static Requirement> {
    let mut all = vec![&COMPONENTS];
    all.extend(for_page(toolchain));
    all.extend([&CHROMIUM, &VULKAN]);
    if std::env::var_os("LATENT_SKIP_TRANSFORMERS").is_none() {
        all.push(&TRANSFORMERS);
    }
    all
}

/// Installs those that are missing; an error names each one that cannot be installed here.
pub fn ensure(requirements: &[&Requirement]) -> Result<()> {
    let mut failures = Vec::new();
    for (index, requirement) in requirements.iter().enumerate() {
        let step = Step::start(index + 1, requirements.len(), requirement.name);
        match bring(requirement, &step) {
            Ok(Found::Present) => step.present(),
            Ok(Found::Installed) => step.done(),
            Err(error) => {
                step.failed();
                failures.push(missing(requirement, &format!("{error:#}")));
            }
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

enum Found {
    Present,
    Installed,
}

fn bring(requirement: &Requirement, step: &Step) -> Result<Found> {
    if (requirement.is_present)()? {
        return Ok(Found::Present);
    }
    (requirement.install)(step)?;
    let is_present = (requirement.is_present)()?;
    ensure!(is_present, "it was installed and still is not found");
    Ok(Found::Installed)
}

fn missing(requirement: &Requirement, why: &str) -> String {
    let mut text = format!("cannot install {}: {why}\n  by hand:", requirement.name);
    for (system, how) in requirement.hints {
        text.push_str(&format!("\n    {system:<8} {how}"));
    }
    text
}

static COMPONENTS: Requirement = Requirement {
    name: "rustfmt and clippy",
    is_present: || {
        let answers = |tool| cargo_answers(&[tool, "--version"]);
        Ok(answers("fmt") && answers("clippy"))
    },
    install: |step| step.run(command("rustup").args(["component", "add", "rustfmt", "clippy"])),
    hints: &[
        ("rustup", "rustup component add rustfmt clippy"),
        ("Debian", "sudo apt-get install rustfmt rust-clippy"),
        ("Fedora", "sudo dnf install rustfmt clippy"),
    ],
};

static TRUNK: Requirement = Requirement {
    name: "trunk",
    is_present: || {
        let version = output_of("trunk", &["--version"]);
        Ok(version.is_some_and(|text| trunk_serves(&text)))
    },
    install: |step| {
        step.say("compiling trunk (2 to 7 minutes)");
        let mut install = cargo_install("trunk", TRUNK_VERSION)?;
        // Trunk's own profile spends most of its time on fat LTO, which a page build never repays.
        install
            .arg("--locked")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        step.run(&mut install)
    },
    hints: &[
        ("any", "cargo install trunk --version 0.21.14 --locked"),
        ("macOS", "brew install trunk"),
    ],
};

static WASM_BINDGEN: Requirement = Requirement {
    name: "wasm-bindgen",
    is_present: || {
        let version = locked_version("wasm-bindgen")?;
        let found = output_of("wasm-bindgen", &["--version"]);
        Ok(found.is_some_and(|text| text.split(' ').nth(1) == Some(&version)))
    },
    install: |step| {
        step.say("compiling wasm-bindgen (about 3 minutes)");
        // Without --locked: its lock file names a version that registries may no longer serve.
        step.run(&mut cargo_install(
            "wasm-bindgen-cli",
            &locked_version("wasm-bindgen")?,
        )?)
    },
    hints: &[(
        "any",
        "cargo install wasm-bindgen-cli --version «wasm-bindgen's version in Cargo.lock»",
    )],
};

static CHROMIUM: Requirement = Requirement {
    name: "Chromium and its driver",
    is_present: || Ok(chromium().is_some() && chromedriver().is_some()),
    install: |step| apt_install(step, &["chromium", "chromium-driver"]),
    hints: &[
        ("Debian", "sudo apt-get install chromium chromium-driver"),
        ("Fedora", "sudo dnf install chromium chromedriver"),
        ("macOS", "brew install --cask google-chrome chromedriver"),
        (
            "Windows",
            "npx @puppeteer/browsers install chromedriver@stable (and Chrome itself)",
        ),
        (
            "any",
            "LATENT_CHROMIUM=… and LATENT_CHROMEDRIVER=… name programs elsewhere",
        ),
    ],
};

static VULKAN: Requirement = Requirement {
    name: "Vulkan driver (lavapipe where there is no GPU)",
    is_present: || Ok(has_graphics_driver()),
    install: |step| apt_install(step, &["mesa-vulkan-drivers", "libvulkan1"]),
    hints: &[
        ("Debian", "sudo apt-get install mesa-vulkan-drivers"),
        ("Fedora", "sudo dnf install mesa-vulkan-drivers"),
        ("any", "LATENT_SKIP_GPU=1 skips the GPU tests, and says so"),
    ],
};

/// The browser for the tests: `LATENT_CHROMIUM`, or the first of the usual names.
pub fn chromium() -> Option<PathBuf> {
    let on_mac = Path::new("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    program_from_env("LATENT_CHROMIUM")
        .or_else(|| {
            ["chromium", "chromium-browser", "google-chrome", "chrome"]
                .into_iter()
                .find_map(find_program)
        })
        .or_else(|| on_mac.is_file().then(|| on_mac.to_owned()))
}

/// The browser's driver: `LATENT_CHROMEDRIVER`, or `chromedriver`.
pub fn chromedriver() -> Option<PathBuf> {
    program_from_env("LATENT_CHROMEDRIVER").or_else(|| find_program("chromedriver"))
}

/// Installs Debian packages, or says what a user without the right to do so can run.
pub fn apt_install(step: &Step, packages: &[&str]) -> Result<()> {
    static UPDATE: Once = Once::new();
    let Some(apt) = find_program("apt-get") else {
        bail!("expected a Debian system, found no apt-get");
    };
    if output_of("id", &["-u"]).as_deref() != Some("0") {
        bail!(
            "installing needs root: run `sudo apt-get install {}`, then this command again",
            packages.join(" ")
        );
    }
    UPDATE.call_once(|| {
        // Old lists still serve: when they do not, the installation itself says so.
        if let Err(error) = step.run(command("apt-get").arg("update")) {
            step.say(&format!("the package lists stay as they are: {error:#}"));
        }
    });
    let mut install = command(&apt.to_string_lossy());
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Packages of many small files take minutes when each is flushed to the disk.
        .args(["--option", "Dpkg::Options::=--force-unsafe-io"])
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages);
    step.run(&mut install)
}

/// `cargo install` into xtask's own folder, so that no tool of the user's is replaced.
fn cargo_install(package: &str, version: &str) -> Result<std::process::Command> {
    let mut command = cargo();
    command
        .args(["install", package, "--version", version, "--root"])
        .arg(workspace::tools_home()?);
    Ok(command)
}

fn cargo_answers(args: &[&str]) -> bool {
    cargo()
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// `trunk 0.21.14` and later ones read the attributes that the page uses.
fn trunk_serves(version: &str) -> bool {
    let mut numbers = version
        .trim_start_matches("trunk ")
        .split(['.', '-'])
        .map_while(|number| number.parse::<u32>().ok());
    let (major, minor) = (numbers.next(), numbers.next());
    (major, minor) >= (Some(0), Some(21))
}

/// Metal and DX12 come with their systems; elsewhere a Vulkan driver registers itself in a folder.
fn has_graphics_driver() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    let folders = [
        "/usr/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
    ];
    let registered = folders
        .iter()
        .any(|folder| std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()));
    named || registered
}

fn program_from_env(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunk_from_0_21_on_serves() {
        for (version, expect) in [
            ("trunk 0.21.14", true),
            ("trunk 0.22.0-beta.1", true),
            ("trunk 1.0.0", true),
            ("trunk 0.20.3", false),
            ("", false),
        ] {
            assert_eq!(trunk_serves(version), expect, "{version}");
        }
    }

    #[test]
    fn what_cannot_be_installed_is_named_with_other_ways() {
        static ABSENT: Requirement = Requirement {
            name: "a spirit level",
            is_present: || Ok(false),
            install: |_| bail!("no shop is open"),
            hints: &[("Fedora", "sudo dnf install level")],
        };
        let error = ensure(&[&ABSENT, &ABSENT]).unwrap_err().to_string();
        assert_eq!(
            error
                .matches("cannot install a spirit level: no shop is open")
                .count(),
            2
        );
        assert!(error.contains("Fedora   sudo dnf install level"), "{error}");
    }

    #[test]
    fn an_installation_that_brings_nothing_is_an_error() {
        static EMPTY: Requirement = Requirement {
            name: "an empty box",
            is_present: || Ok(false),
            install: |_| Ok(()),
            hints: &[],
        };
        let error = ensure(&[&EMPTY]).unwrap_err().to_string();
        assert!(error.contains("still is not found"), "{error}");
    }
}
