//! What it takes until a model that lies on the disk decodes: seconds and memory, for each engine in a
//! program of its own, so that nothing else is in its memory.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use latent_model::{engine::Engine, engine::pace::Job, parity::sample_prompt};

use super::{BenchArgs, contestant::clock, report::Loading};
use crate::{
    engines::{EngineKind, open_engine},
    folder::load_in,
};

/// Tokens of the prompt.
const PROMPT: usize = 8;

/// Every engine's, one after the other.
pub fn of_engines(args: &BenchArgs) -> Result<Vec<Loading>> {
    let program = env::current_exe().context("this program's own file")?;
    let of = |engine: &EngineKind| {
        let name = engine.to_possible_value().expect("every engine has a name");
        let output = Command::new(&program)
            .arg("bench")
            .arg("--model")
            .arg(&args.model)
            .args(["--weights", args.weights.name()])
            .args(["--loading", name.get_name()])
            .output()
            .context("cannot start this program once more")?;
        ensure!(
            output.status.success(),
            "loading for the engine {} failed ({}): {}",
            name.get_name(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        serde_json::from_slice(&output.stdout).context("in what `latent bench --loading` prints")
    };
    EngineKind::value_variants().iter().map(of).collect()
}

/// One engine's, in this program.
pub async fn of(engine: EngineKind, args: &BenchArgs) -> Result<Loading> {
    let begun = clock();
    let model = load_in(&args.model, None, args.weights)?;
    let read = clock();
    let prompt = sample_prompt(&model, PROMPT);
    let mut engine = open_engine(engine, &model).await?;
    // An engine has all that it computes with.
    drop(model);
    let made = clock();
    let first_token = Job::tokens(1, 1, 1)
        .run(&mut engine, &prompt, clock)
        .await?;
    Ok(Loading {
        engine: engine.description(),
        read_seconds: read - begun,
        engine_seconds: made - read,
        first_token_seconds: first_token.first_token,
        peak_bytes: peak_bytes(),
        file_bytes: file_bytes(&args.model)?,
    })
}

/// The most memory that this program has held; `None` where the system does not tell.
fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}

/// Bytes of a file, or of those that lie in a folder.
fn file_bytes(path: &Path) -> Result<u64> {
    let size = |path: &Path| Ok(fs::metadata(path)?.len());
    if path.is_file() {
        return size(path);
    }
    let files = fs::read_dir(path)?.map(|file| size(&file?.path()));
    files.sum()
}
