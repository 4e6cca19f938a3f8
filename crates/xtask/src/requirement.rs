//! Something that a task needs on the machine: how it is found, brought, and named when it is absent.

use std::sync::Once;

use anyhow::{Result, bail, ensure};

use crate::progress::Step;
use crate::workspace::{command, find_program, output_of};

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

#[cfg(test)]
mod tests {
    use super::*;

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
