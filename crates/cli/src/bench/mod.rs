//! `latent bench`: how fast this machine's adapter decodes, beside its own limits and its peers.

mod apart;
mod ceiling;
mod contestant;
mod document;
mod facts;
mod loading;
mod measured;
mod on_gpu;
mod process;
mod report;
mod tally;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_gpu::{AnyEngine, GpuContext, GpuEngine};
use latent_model::{
    checkpoint::WeightFormat, engine::pace::Job, model::Model, parity::sample_prompt,
};
use latent_train::{Backend, peer::BurnDecoder};

use self::{
    contestant::{Contestant, Decoder},
    process::{Process, ProcessArg},
    report::Report,
};
use crate::{
    engines::EngineKind,
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
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 64)]
    prompt: usize,
    /// Steps of a round.
    #[arg(long, default_value_t = 64)]
    steps: usize,
    /// Lanes that are measured, one first.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 8])]
    lanes: Vec<usize>,
    /// Leaves out the decoders written in burn, which take minutes to read a large model's prompt.
    #[arg(long)]
    without_burn: bool,
    /// Loads the model for an engine, decodes a token, and prints what that took.
    #[arg(long, hide = true)]
    loading: Option<EngineKind>,
    /// A program that decodes the same, as NAME=COMMAND (crates/cli/bench has two).
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    processes: Vec<ProcessArg>,
}

impl BenchArgs {
    /// Lanes at which peers decode too, and for which the ceiling is measured: the fewest and the
    /// most.
    fn peer_lanes(&self) -> [usize; 2] {
        [self.lanes[0], self.lanes[self.lanes.len() - 1]]
    }
}

/// Steps of a submit, as the page runs them.
const STEPS_PER_SUBMIT: usize = 16;

/// Measures and prints.
pub async fn bench(args: &BenchArgs) -> Result<ExitCode> {
    if let Some(engine) = args.loading {
        println!(
            "{}",
            serde_json::to_string(&loading::of(engine, args).await?)?
        );
        return Ok(ExitCode::SUCCESS);
    }
    let report = match &args.from {
        Some(path) => {
            let json = fs::read_to_string(path);
            let json = json.with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&json).with_context(|| format!("in {}", path.display()))?
        }
        None => {
            let context = GpuContext::request().await;
            measure(args, context.context("there is nothing to measure")?).await?
        }
    };
    let text = match args.json {
        true => output::json(&report)?,
        false => document::document(&report),
    };
    println!("{}", text.trim_end());
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &BenchArgs, context: GpuContext) -> Result<Report> {
    ensure!(
        args.rounds > 0 && args.steps > 0 && args.prompt > 1,
        "nothing to measure"
    );
    ensure!(
        args.lanes.len() > 1 && args.lanes[0] == 1 && args.lanes.is_sorted_by(|a, b| a < b),
        "--lanes must be 1 and more lanes, ascending, found {:?}",
        args.lanes
    );
    let load_before = facts::load();
    let loaded = load_model(&args.model)?;
    let reference = AnyEngine::reference(&loaded);
    let model = loaded.with_weights_in(args.weights);
    let mut engine = GpuEngine::new(&model.config, &model.weights, &context).await?;
    let prompt = sample_prompt(&model, args.prompt);
    let processes = answering(&args.processes, &prompt)?;

    let said = spinner("parity");
    let mut parity = facts::parity(&model, &mut engine, &prompt, args.steps).await?;
    let mut others = Vec::new();
    for table in context.tables() {
        if table == context.table() {
            continue;
        }
        let context = context.with_table(table);
        let mut other = GpuEngine::new(&model.config, &model.weights, &context).await?;
        parity = parity.and(facts::parity(&model, &mut other, &prompt, args.steps).await?);
        others.push(other);
    }
    ensure!(
        parity.agrees,
        "the engines differ, and a wrong engine gets no time; see `latent check`"
    );
    said.set_message("loading");
    let loading = loading::of_engines(args)?;
    said.set_message("memory and counters");
    let memory = facts::memory(&model, &context, &prompt).await?;
    let counters = facts::count(&mut engine, &prompt, args).await?;

    let contestants = contestants(&model, args, (engine, others), reference, processes)?;
    let mut rounds = Rounds {
        contestants,
        long_prompt: sample_prompt(&model, long_prompt(args, &model)),
        prompt,
    };
    for round in 0..=args.rounds {
        said.set_message(format!("round {round} of {}", args.rounds));
        // The first round warms up.
        rounds.run(round > 0).await?;
    }
    said.set_message("the adapter's best");
    let ceiling = ceiling::ceiling(&context, &model, &args.peer_lanes()).await?;
    let copy_bytes_per_second = ceiling::copy_speed(&context).await?;
    said.set_message("time by kernel");
    let kernels = facts::profile(&model, &rounds.prompt, args.steps).await?;
    said.finish_and_clear();

    let contestants = &rounds.contestants;
    Ok(Report {
        adapter: facts::adapter(&context),
        machine: facts::machine(load_before),
        versions: facts::versions(),
        model: facts::model_size(model_name(&args.model), &model),
        parity,
        settings: report::Settings {
            rounds: args.rounds,
            prompt_tokens: args.prompt,
            steps: args.steps,
        },
        decode: tally::decodes(&contestants[0], &counters),
        prefill: tally::prefill(contestants, rounds.long_prompt.len()),
        loading,
        peers: tally::peers(contestants),
        ratios: tally::ratios(contestants, &ceiling, args),
        counters: counters.counted,
        memory,
        kernels,
        ceiling,
        copy_bytes_per_second,
    })
}

/// Who takes part, and what the rounds have found.
struct Rounds {
    /// The GPU engine first.
    contestants: Vec<Contestant>,
    prompt: Vec<u32>,
    /// The prompt whose first token is timed.
    long_prompt: Vec<u32>,
}

impl Rounds {
    /// Every job of everybody once.
    async fn run(&mut self, counts: bool) -> Result<()> {
        for contestant in &mut self.contestants {
            for (place, job) in contestant.jobs.iter().enumerate() {
                let found = contestant.decoder.round(*job, &self.prompt).await?;
                contestant.tokens[place] = found.tokens;
                if counts {
                    contestant.seconds[place].push(found.seconds);
                }
            }
            let first_token = contestant.decoder.first_token(&self.long_prompt).await?;
            contestant
                .first_tokens
                .extend(first_token.filter(|_| counts));
        }
        Ok(())
    }
}

/// The GPU engine first, then its peers.
fn contestants(
    model: &Model,
    args: &BenchArgs,
    (engine, others): (GpuEngine, Vec<GpuEngine>),
    reference: AnyEngine,
    processes: Vec<(String, Process)>,
) -> Result<Vec<Contestant>> {
    let (steps, peer_lanes) = (args.steps, args.peer_lanes());
    let tokens = |n: usize| Job::tokens(n, steps, STEPS_PER_SUBMIT);
    let mut own: Vec<Job> = args.lanes.iter().map(|&n| tokens(n)).collect();
    own.push(Job::tokens(1, steps, 1));
    own.extend(peer_lanes.map(|n| Job::mixtures(n, steps, STEPS_PER_SUBMIT)));
    let of_peers = || peer_lanes.map(tokens).to_vec();
    let on_gpu = |engine: GpuEngine| Decoder::Engine(AnyEngine::Gpu(Box::new(engine)));
    let mut all = vec![Contestant::new("GPU engine", on_gpu(engine), own)];
    for other in others {
        let name = format!("kernels {}", other.context().table().name());
        all.push(Contestant::new(&name, on_gpu(other), of_peers()));
    }
    let reference = Decoder::Engine(reference);
    all.push(Contestant::new("reference engine", reference, of_peers()));
    let n_positions = args.prompt + args.steps + 1;
    let backends = match args.without_burn {
        true => Vec::new(),
        false => burn_backends(),
    };
    for (name, backend) in backends {
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
    for (name, process) in processes {
        all.push(Contestant::new(
            &name,
            Decoder::Process(process),
            of_peers(),
        ));
    }
    Ok(all)
}

/// The programs, which have decoded a token: one that cannot is found before minutes of measuring.
fn answering(programs: &[ProcessArg], prompt: &[u32]) -> Result<Vec<(String, Process)>> {
    let started = programs.iter().map(|ProcessArg { name, command }| {
        let mut process = Process::start(command)?;
        process.round(Job::tokens(1, 1, 1), prompt)?;
        Ok((name.clone(), process))
    });
    started.collect()
}

/// burn's backends that are built in.
fn burn_backends() -> Vec<(&'static str, Backend)> {
    let mut backends = vec![("burn flex", Backend::Flex)];
    if cfg!(feature = "wgpu") {
        backends.push(("burn wgpu", Backend::Wgpu));
    }
    backends
}

/// Tokens of the prompt whose first token is timed: four times those of the others, if they fit.
fn long_prompt(args: &BenchArgs, model: &Model) -> usize {
    (4 * args.prompt).min(model.config.max_position_embeddings - 8)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use latent_gpu::context::Mutation;
    use pollster::block_on;

    use super::*;
    use crate::engines::skips_gpu;

    #[derive(Parser)]
    struct Bench {
        #[command(flatten)]
        args: BenchArgs,
    }

    #[test]
    fn a_wrong_engine_gets_no_time() {
        if skips_gpu() {
            return;
        }
        let context = block_on(GpuContext::request()).expect("an adapter");
        let model = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../public/models/prosqa-coconut"
        );
        let Bench { args } = Bench::parse_from(["bench", "--model", model, "--steps", "2"]);
        let wrong = context.with_mutation(Mutation {
            kernels: &["head"],
            from: "+ quad] = product;",
            to: "+ quad] = 1.01 * product;",
        });
        let error = block_on(measure(&args, wrong))
            .map(|_| ())
            .expect_err("an error");
        let expected = "a wrong engine gets no time";
        assert!(error.to_string().contains(expected), "{error:#}");
    }

    #[test]
    fn a_program_that_does_not_answer_is_told_before_anything_is_measured() {
        let answers = r#"sh -c 'while read -r asked; do echo "{\"first_token\": 1, \"seconds\": 1, \"tokens\": [7, 8]}"; done'"#;
        let programs = [("one", answers), ("other", "true")].map(|(name, command)| ProcessArg {
            name: name.into(),
            command: command.into(),
        });
        let answering = |programs: &[ProcessArg]| answering(programs, &[5, 6]);
        let started = answering(&programs[..1]).unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(started.len(), 1);
        let error = answering(&programs).map(|_| ()).expect_err("an error");
        let said = format!("{error:#}");
        assert!(
            said.contains("in `true`") && said.contains("ended without"),
            "{said}"
        );
    }
}
