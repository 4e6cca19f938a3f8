//! What this project needs on a machine, and how each of it is found and brought.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::python::TRANSFORMERS;
use crate::requirement::{Requirement, apt_install};
use crate::wasm::{self, WasmToolchain};
use crate::workspace::{self, cargo, command, find_program, locked_version, output_of};

/// The trunk that xtask installs: the newest that Rust 1.95 compiles. Any from 0.21 on serves.
const TRUNK_VERSION: &str = "0.21.14";

/// The release of axe-core that the accessibility tests run.
const AXE_VERSION: &str = "4.14.1";

/// SHA-256 of its `axe.min.js`.
const AXE_SHA256: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";

/// What building the page takes.
pub fn for_page(toolchain: WasmToolchain) -> Vec<&'static Requirement> {
    vec![wasm::requirement(toolchain), &TRUNK, &WASM_BINDGEN]
}

/// What building and testing take.
pub fn everything(toolchain: WasmToolchain) -> Vec<&'static Requirement> {
    let mut all = vec![&COMPONENTS];
    all.extend(for_page(toolchain));
    // What a switch leaves out of the tests need not be here.
    if std::env::var_os("LATENT_SKIP_BROWSER").is_none() {
        all.extend([&CHROMIUM, &AXE_CORE, &FIREFOX]);
    }
    if std::env::var_os("LATENT_SKIP_GPU").is_none() {
        all.push(&VULKAN);
    }
    if std::env::var_os("LATENT_SKIP_TRANSFORMERS").is_none() {
        all.push(&TRANSFORMERS);
    }
    all
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

static FIREFOX: Requirement = Requirement {
    name: "Firefox",
    is_present: || Ok(firefox().is_some()),
    install: |step| apt_install(step, &["firefox-esr"]),
    hints: &[
        ("Debian", "sudo apt-get install firefox-esr"),
        ("Fedora", "sudo dnf install firefox"),
        ("macOS", "brew install --cask firefox"),
        ("any", "LATENT_FIREFOX=… names a program elsewhere"),
    ],
};

static AXE_CORE: Requirement = Requirement {
    name: "axe-core",
    is_present: || Ok(axe_checksum().is_ok_and(|found| found == AXE_SHA256)),
    install: |step| {
        if find_program("npm").is_none() {
            apt_install(step, &["npm"])?;
        }
        let folder = axe_folder()?;
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let mut pack = command("npm");
        pack.args(["pack", "--silent", &format!("axe-core@{AXE_VERSION}")]);
        step.run(pack.current_dir(&folder))?;
        let mut unpack = command("tar");
        unpack.args(["-xzf", &format!("axe-core-{AXE_VERSION}.tgz")]);
        step.run(unpack.arg("package/axe.min.js").current_dir(&folder))?;
        let found = axe_checksum()?;
        ensure!(
            found == AXE_SHA256,
            "expected axe.min.js of {AXE_VERSION} with the SHA-256 {AXE_SHA256}, found {found}"
        );
        Ok(())
    },
    hints: &[
        ("any", "install npm, which brings it: https://nodejs.org"),
        ("Debian", "sudo apt-get install npm"),
        ("Fedora", "sudo dnf install nodejs-npm"),
        ("macOS", "brew install node"),
        (
            "any",
            "LATENT_SKIP_BROWSER=1 skips the browser tests, and says so",
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

/// The browser without WebGPU for the tests: `LATENT_FIREFOX`, or the first of the usual names.
pub fn firefox() -> Option<PathBuf> {
    let on_mac = Path::new("/Applications/Firefox.app/Contents/MacOS/firefox");
    program_from_env("LATENT_FIREFOX")
        .or_else(|| {
            ["firefox-esr", "firefox"]
                .into_iter()
                .find_map(find_program)
        })
        .or_else(|| on_mac.is_file().then(|| on_mac.to_owned()))
}

/// The accessibility checker that the browser tests put into the page.
pub fn axe_script() -> Result<PathBuf> {
    Ok(axe_folder()?.join("package").join("axe.min.js"))
}

fn axe_checksum() -> Result<String> {
    let script = std::fs::read(axe_script()?)?;
    Ok(format!("{:x}", Sha256::digest(script)))
}

fn axe_folder() -> Result<PathBuf> {
    Ok(workspace::tools_home()?.join(format!("axe-core-{AXE_VERSION}")))
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
}
