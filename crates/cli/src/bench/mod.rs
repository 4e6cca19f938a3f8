//! `latent bench`: how fast this machine's adapter decodes, beside its own limits and its peers.

mod ceiling;
mod contestant;
mod document;
mod facts;
mod measured;
mod report;
mod tally;

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_gpu::{AnyEngine, GpuContext, GpuEngine, kernels::Table};
use latent_model::{checkpoint::WeightFormat, engine::Engine, model::Model, parity::sample_prompt};
use latent_train::{Backend, peer::BurnDecoder};

use self::{
    contestant::{Contestant, Decoder, Job},
    measured::Measured,
    report::Report,
};
use crate::{
    folder::{load_model, model_name},
    output,
    progress::spinner,
};

/// Arguments of `latent bench`.
#[derive(Args)]
pub struct BenchArgs {
    /// A model folder, or a GGUF file.
    #[arg(long, default_value = "public/models/prosqa-coconut")]
    model: PathBuf,
    /// How matrices are kept: f32, f16 or int8 (blocks of 32 with a scale).
    #[arg(long, default_value = "f32", value_parser = str::parse::<WeightFormat>)]
    weights: WeightFormat,
    /// Prints JSON in place of the document.
    #[arg(long)]
    json: bool,
    /// Measures nothing: prints what the JSON in a file says.
    #[arg(long, conflicts_with_all = ["model", "weights"])]
    from: Option<PathBuf>,
    /// Rounds that count.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 64)]
    prompt: usize,
    /// Steps of a round.
    #[arg(long, default_value_t = 64)]
    steps: usize,
}

/// Lanes that are measured.
const LANES: [usize; 3] = [1, 4, 8];
/// Steps of a submit, as the page runs them.
const STEPS_PER_SUBMIT: usize = 16;
/// Lanes at which peers decode too, and for which the ceiling is measured.
const PEER_LANES: [usize; 2] = [1, 8];

/// Measures and prints.
pub async fn bench(args: &BenchArgs) -> Result<ExitCode> {
    let report = match &args.from {
        Some(path) => {
            let json = fs::read_to_string(path);
            let json = json.with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&json).with_context(|| format!("in {}", path.display()))?
        }
        None => measure(args).await?,
    };
    let text = match args.json {
        true => output::json(&report)?,
        false => document::document(&report),
    };
    println!("{}", text.trim_end());
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &BenchArgs) -> Result<Report> {
    ensure!(
        args.rounds > 0 && args.steps > 0 && args.prompt > 1,
        "nothing to measure"
    );
    let load_before = load();
    let model = load_model(&args.model)?.with_weights_in(args.weights);
    let context = GpuContext::request()
        .await
        .context("there is nothing to measure")?;
    let mut engine = GpuEngine::new(&model.config, &model.weights, &context).await?;
    let prompt = sample_prompt(&model, args.prompt);

    let said = spinner("parity");
    let mut parity = facts::parity(&model, &mut engine, &prompt).await?;
    let other_table = match context.table() {
        Table::Cpu => Table::Gpu,
        Table::Gpu => Table::Cpu,
    };
    let other_context = context.with_table(other_table);
    let mut other = GpuEngine::new(&model.config, &model.weights, &other_context).await?;
    parity = parity.and(facts::parity(&model, &mut other, &prompt).await?);
    ensure!(
        parity.agrees,
        "the engines differ, and a wrong engine gets no time; see `latent check`"
    );
    said.set_message("memory and counters");
    let memory = facts::memory(&model, &context, &prompt).await?;
    let counters = facts::count(&mut engine, &prompt).await?;

    let mut contestants = contestants(&model, args, [engine, other])?;
    let mut first_tokens = Vec::new();
    for round in 0..=args.rounds {
        for contestant in &mut contestants {
            for (place, job) in contestant.jobs.iter().enumerate() {
                said.set_message(format!(
                    "round {round} of {}: {}, {} lanes",
                    args.rounds, contestant.name, job.n_lanes
                ));
                let found = contestant.decoder.round(*job, &prompt).await?;
                contestant.tokens[place] = found.tokens;
                // The first round warms up.
                if round > 0 {
                    contestant.seconds[place].push(found.seconds);
                }
            }
        }
        let seconds = first_token(&mut contestants[0], args).await?;
        if round > 0 {
            first_tokens.push(seconds);
        }
    }
    said.set_message("the adapter's best");
    let ceiling = ceiling::ceiling(&context, &model, &PEER_LANES).await?;
    let copy_bytes_per_second = ceiling::copy_speed(&context).await?;
    said.set_message("time by kernel");
    let kernels = facts::profile(&model, &prompt, args.steps).await?;
    said.finish_and_clear();

    let prompt_tokens = prefill_tokens(args, &model);
    Ok(Report {
        adapter: report::Adapter {
            name: context.adapter_name(),
            driver: context.driver(),
            is_software: context.is_software(),
            kernels: context.table().name().into(),
        },
        machine: report::Machine {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            n_cpus: std::thread::available_parallelism().map_or(1, usize::from),
            load: load_before
                .zip(load())
                .map(|(before, after)| [before, after]),
            is_release: !cfg!(debug_assertions),
        },
        versions: versions(),
        model: report::ModelSize {
            name: model_name(&args.model),
            n_parameters: model.weights.n_parameters(),
            n_layers: model.config.n_layers,
            hidden_size: model.config.hidden_size,
            vocab_size: model.config.vocab_size,
            weights: model.weights.format.name().into(),
        },
        parity,
        settings: report::Settings {
            rounds: args.rounds,
            prompt_tokens: args.prompt,
            steps: args.steps,
        },
        decode: tally::decodes(&contestants[0], &counters),
        prefill: report::Prefill {
            prompt_tokens,
            tokens_per_second: Measured::rate(prompt_tokens as f64, &first_tokens),
            first_token_seconds: Measured::of(first_tokens),
        },
        peers: tally::peers(&contestants),
        ratios: tally::ratios(&contestants, &ceiling, args.steps),
        counters: counters.counted,
        memory,
        kernels,
        ceiling,
        copy_bytes_per_second,
    })
}

/// The GPU engine first, then its peers.
fn contestants(
    model: &Model,
    args: &BenchArgs,
    [engine, other]: [GpuEngine; 2],
) -> Result<Vec<Contestant>> {
    let steps = args.steps;
    let mut own: Vec<Job> = LANES
        .map(|n| Job::tokens(n, steps, STEPS_PER_SUBMIT))
        .into();
    own.push(Job::tokens(1, steps, 1));
    own.extend(PEER_LANES.map(|n| Job::mixtures(n, steps, STEPS_PER_SUBMIT)));
    let of_peers = || {
        PEER_LANES
            .map(|n| Job::tokens(n, steps, STEPS_PER_SUBMIT))
            .to_vec()
    };
    let reference = AnyEngine::reference(model);
    let mut all = vec![
        Contestant::new(
            "GPU engine",
            Decoder::Engine(AnyEngine::Gpu(Box::new(engine))),
            own,
        ),
        Contestant::new(
            match other.context().table() {
                Table::Cpu => "kernels for CPU adapters",
                Table::Gpu => "kernels for GPUs",
            },
            Decoder::Engine(AnyEngine::Gpu(Box::new(other))),
            of_peers(),
        ),
        Contestant::new("reference engine", Decoder::Engine(reference), of_peers()),
    ];
    let n_positions = args.prompt + args.steps + 1;
    for (name, backend) in burn_backends() {
        let decoder = BurnDecoder::new(model, backend, n_positions);
        let decoder = match decoder {
            Ok(decoder) => Box::new(decoder),
            Err(error) => {
                eprintln!("{name} does not take part: {error:#}");
                continue;
            }
        };
        let begun = Vec::new();
        all.push(Contestant::new(
            name,
            Decoder::Burn { decoder, begun },
            of_peers(),
        ));
    }
    Ok(all)
}

/// burn's backends that are built in.
fn burn_backends() -> Vec<(&'static str, Backend)> {
    let mut backends = vec![("burn flex", Backend::Flex)];
    if cfg!(feature = "wgpu") {
        backends.push(("burn wgpu", Backend::Wgpu));
    }
    backends
}

/// Tokens of the prompt whose first token is timed, as many as fit.
fn prefill_tokens(args: &BenchArgs, model: &Model) -> usize {
    (4 * args.prompt).min(model.config.max_position_embeddings - 8)
}

/// Seconds from a prompt to its first token.
async fn first_token(contestant: &mut Contestant, args: &BenchArgs) -> Result<f64> {
    let Decoder::Engine(engine) = &mut contestant.decoder else {
        unreachable!("the GPU engine is the first")
    };
    let n_words = engine.config().vocab_size;
    let n_tokens = (4 * args.prompt).min(engine.config().max_position_embeddings - 8);
    let prompt: Vec<u32> = (0..n_tokens).map(|i| (i * 7 % n_words) as u32).collect();
    let lanes = Job::tokens(1, 1, 1).lanes(&prompt);
    let started = Instant::now();
    engine.begin(&lanes).await?;
    engine.advance(1).await?;
    Ok(started.elapsed().as_secs_f64())
}

/// Programs that ran or waited to, over the last minute.
fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// This program's version, and those of the libraries that it was locked to.
fn versions() -> BTreeMap<String, String> {
    let lock = include_str!("../../../../Cargo.lock");
    let version_of = |name: &str| {
        let (_, after) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some((name.to_owned(), after.split('"').next()?.to_owned()))
    };
    let own = ("latent".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let libraries = ["wgpu", "burn"].into_iter().filter_map(version_of);
    [own].into_iter().chain(libraries).collect()
}
