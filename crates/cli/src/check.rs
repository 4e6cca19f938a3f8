//! `latent check`: the GPU engine against the reference, layer by layer and run by run.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_gpu::{GpuContext, GpuEngine, WeightMemory};
use latent_model::{
    compare::{Tolerance, compare_layer_states, first_record_difference},
    engine::{Engine, LaneSpec, run_to_end},
    model::Model,
    parity::{forced_differences, runnable_lanes, sample_prompt},
    program::Adapter,
    reference::{LayerStates, Precision, ReferenceEngine, layer_states},
};

use crate::{
    agreement::Agreement,
    folder::{ModelArgs, load_in},
};

/// Arguments of `latent check`.
#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// A second folder for the reference, such as the one that --model was converted from; the
    /// GPU engine runs --model all the same.
    #[arg(long, conflicts_with = "logits")]
    against: Option<PathBuf>,
    /// The text to compare on; where none is given, tokens of the checkpoint's own vocabulary.
    #[arg(long, required_if_eq("logits", "true"))]
    prompt: Option<String>,
    /// Reads the first 256 tokens of a text on both engines, goes on in words and in soft steps, and
    /// tells where they part.
    #[arg(long, conflicts_with_all = ["against", "prompt", "logits"])]
    text: Option<PathBuf>,
    /// Prints what was found of the text as JSON, for crates/train/check_top_tokens.py.
    #[arg(long, requires = "text")]
    json: bool,
    /// Compares nothing: prints {"text", "ids", "logits"} of the reference as JSON, for
    /// crates/train/check_transformers.py.
    #[arg(long)]
    logits: bool,
    /// The weights whose logits are printed: base, generator or decoder.
    #[arg(long, requires = "logits", default_value = "base", value_parser = str::parse::<Adapter>)]
    under: Adapter,
}

/// Tokens of the prompt where none is given.
const N_TOKENS: usize = 40;
/// Steps per submit of the free run; not a divisor of anything, so that chunks end in the middle of phases.
const CHUNK: usize = 7;

/// Compares and reports; the exit code is 1 where anything differs.
pub async fn check(args: &CheckArgs) -> Result<ExitCode> {
    let model = args.model.load()?;
    let ids = match &args.prompt {
        Some(prompt) => model.tokenizer.encode(prompt)?,
        None => sample_prompt(&model, N_TOKENS),
    };
    if args.logits {
        ensure!(
            model.weights.adapters().contains(&args.under),
            "{} has no {}: it has no adapters of CCOT",
            args.model.name(),
            args.under.name()
        );
        let under = (&*model.weights, args.under);
        let LayerStates { logits, .. } = layer_states(&model.config, under, &ids);
        println!(
            "{}",
            serde_json::json!({ "text": args.prompt, "ids": ids, "logits": logits })
        );
        return Ok(ExitCode::SUCCESS);
    }
    let origin = match &args.against {
        Some(folder) => load_origin(folder, &model, args)?,
        None => model.clone(),
    };
    let context = GpuContext::request()
        .await
        .context("there is nothing to compare")?;
    let memory = WeightMemory::of(
        &model.config,
        model.weights.format,
        model.capabilities(),
        context.max_binding(),
    );
    if !args.json {
        println!("{} {memory}", args.model.name());
    }
    let mut engine = GpuEngine::new(&model.config, &model.weights, &context).await?;
    if let Some(text) = &args.text {
        let found = Agreement::measure(args.model.name(), &model, &mut engine, text).await?;
        match args.json {
            true => println!("{}", serde_json::to_string(&found)?),
            false => found.print(),
        }
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} against the reference{}, {} tokens",
        engine.description(),
        match &args.against {
            Some(folder) => format!(" on {}", folder.display()),
            None => String::new(),
        },
        ids.len()
    );
    let layers_agree = check_layers(&origin, &mut engine, &ids).await?;
    let runs_agree = check_runs(&origin, &mut engine, &ids).await?;
    let agrees = layers_agree && runs_agree;
    println!(
        "{}",
        if agrees {
            "the engines agree"
        } else {
            "THE ENGINES DIFFER"
        }
    );
    Ok(if agrees {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The model in `folder`, if it can be compared with `model`: weights may differ, nothing else.
fn load_origin(folder: &Path, model: &Model, args: &CheckArgs) -> Result<Model> {
    let (adapters, format) = (args.model.adapters(), args.model.loading.weights);
    let origin = load_in(folder, adapters, format)?;
    ensure!(
        origin.config == model.config,
        "--against must have the model's shape, {:?}, found {:?}",
        model.config,
        origin.config
    );
    ensure!(
        origin.capabilities().contemplation == model.capabilities().contemplation,
        "--against must have adapters trained as the model's, {:?}, found {:?}",
        model.capabilities().contemplation,
        origin.capabilities().contemplation
    );
    if let Some(prompt) = &args.prompt {
        ensure!(
            origin.tokenizer.encode(prompt)? == model.tokenizer.encode(prompt)?,
            "--against must read the prompt as the model does, found other ids"
        );
    }
    Ok(origin)
}

/// Every activation, under each of the checkpoint's sets of weights.
async fn check_layers(model: &Model, engine: &mut GpuEngine, ids: &[u32]) -> Result<bool> {
    let mut agree = true;
    for &adapter in model.weights.adapters() {
        if adapter != Adapter::Base {
            println!("under the {}:", adapter.name());
        }
        agree &= check_layers_under(model, adapter, engine, ids).await?;
    }
    Ok(agree)
}

async fn check_layers_under(
    model: &Model,
    adapter: Adapter,
    engine: &mut GpuEngine,
    ids: &[u32],
) -> Result<bool> {
    let ids = &ids[..ids.len().min(latent_gpu::MAX_LANES)];
    let found = engine.layer_states(adapter, ids).await?;
    let expected = layer_states(&model.config, (&model.weights, adapter), ids);
    let report = compare_layer_states(&found, &expected, Tolerance::F32);
    for stage in &report.stages {
        let verdict = if stage.agrees { "ok" } else { "DIFFERS" };
        println!(
            "{:12} max difference {:9.2e}  {verdict}",
            stage.stage, stage.max_abs_difference
        );
    }
    if let Some(stage) = report.first_divergence() {
        println!("first divergence: {}", stage.stage);
    }
    Ok(report.first_divergence().is_none())
}

/// Every strategy that the checkpoint has markers and parts for, as lanes of one batch. Judged is
/// every step from the reference's inputs; how far the engines' own runs go together is told.
async fn check_runs(model: &Model, engine: &mut GpuEngine, ids: &[u32]) -> Result<bool> {
    let lanes = runnable_lanes(model, ids, u32::MAX);
    let (names, lanes): (Vec<&str>, Vec<LaneSpec>) = lanes.into_iter().unzip();
    if lanes.is_empty() {
        println!("no strategy can run: the vocabulary has none of their markers; layers only");
        return Ok(true);
    }
    let weights = model.weights.clone();
    let mut reference = ReferenceEngine::new(&model.config, weights, Precision::Oracle);
    let forced = forced_differences(engine, &mut reference, &lanes).await?;
    let found = run_to_end(engine, &lanes, CHUNK, |_| {}).await?;
    let expected = run_to_end(&mut reference, &lanes, CHUNK, |_| {}).await?;
    for (((name, forced), found), expected) in names.iter().zip(&forced).zip(&found).zip(&expected)
    {
        let verdict = forced.as_deref().unwrap_or("ok");
        let free = match first_record_difference(found, expected) {
            None => "the free run is the same".to_owned(),
            Some(difference) => {
                let place = difference.split(':').next().unwrap_or_default();
                format!("the free run parts at {place}")
            }
        };
        println!("{name:20} {:3} steps  {verdict}; {free}", expected.len());
    }
    Ok(forced.iter().all(Option::is_none))
}
