//! Python environments with the real `transformers`, in which the tests open our model folders.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::progress::Step;
use crate::requirement::{Requirement, apt_install};
use crate::workspace::{command, tools_home};

/// The releases of `transformers` that our folders must load in, each with the packages that are
/// installed beside it; PyTorch is none of them.
pub const RELEASES: [(&str, &[&str]); 2] = [
    ("4.57.6", &["tokenizers==0.22.2", "jinja2==3.1.6"]),
    ("5.24.0", &["tokenizers==0.23.3", "jinja2==3.1.6"]),
];

/// The interpreter of a release's environment, which is there once the requirement is met.
pub fn python_with(release: &str) -> Result<PathBuf> {
    let folder = environment(release)?;
    Ok(match cfg!(windows) {
        true => folder.join("Scripts/python.exe"),
        false => folder.join("bin/python"),
    })
}

fn environment(release: &str) -> Result<PathBuf> {
    Ok(tools_home()?.join(format!("transformers-{release}")))
}

/// An environment for each of [`RELEASES`].
pub static TRANSFORMERS: Requirement = Requirement {
    name: "Python with transformers 4 and 5",
    is_present: || {
        let mut all = true;
        for (release, _) in RELEASES {
            all &= answers(release)?;
        }
        Ok(all)
    },
    install: |step| {
        for (release, packages) in RELEASES {
            if !answers(release)? {
                install(step, release, packages)?;
            }
        }
        Ok(())
    },
    hints: &[
        ("Debian", "sudo apt-get install python3-venv"),
        ("Fedora", "sudo dnf install python3"),
        (
            "any",
            "LATENT_SKIP_TRANSFORMERS=1 skips the tests that need it, and they say so",
        ),
    ],
};

/// Whether the environment's interpreter starts and has this release.
fn answers(release: &str) -> Result<bool> {
    // Without importing the package, which takes seconds.
    let ask =
        "import importlib.metadata as m, jinja2, tokenizers; print(m.version('transformers'))";
    let output = Command::new(python_with(release)?)
        .args(["-c", ask])
        .output();
    Ok(output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == release))
}

fn install(step: &Step, release: &str, packages: &[&str]) -> Result<()> {
    let folder = environment(release)?;
    let system = if cfg!(windows) { "python" } else { "python3" };
    let make = || {
        let mut make = command(system);
        make.args(["-m", "venv", "--clear"]).arg(&folder);
        make
    };
    step.say(&format!(
        "installing transformers {release} (about a minute)"
    ));
    if let Err(error) = step.run(&mut make()) {
        // Debian keeps a part of Python's own library in another package.
        step.say(&format!("{system} makes no environment: {error:#}"));
        apt_install(step, &["python3", "python3-venv"])?;
        step.run(&mut make())?;
    }
    let mut pip = Command::new(python_with(release)?);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .arg(format!("transformers=={release}"))
    .args(packages);
    step.run(&mut pip)
}
