//! `latent ship`: copies trained models to the folder that the page is served from, and lists
//! them in its `index.json`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_model::{
    catalogue::{AdapterFolder, Catalogue, Entry},
    contemplation,
    engine::ModelCapabilities,
    model::Model,
    strategy::{STRATEGIES, Strategy},
    text,
    tokenizer::Marker,
    training_record::{Recipe, TrainingRecord},
};
use latent_train::method::SequenceLayout;
use serde::Deserialize;

use crate::{
    folder::{adapter_folders, load_adapted, load_model, load_training_record},
    output,
};

/// Arguments of `latent ship`.
#[derive(Args)]
pub struct ShipArgs {
    /// Folders of runs, such as runs/prosqa-cot.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The folder that holds model folders.
    #[arg(long, default_value = "public/models")]
    models: PathBuf,
    /// Copies nothing but the adapters of CCOT, beside those of this checkpoint, which must have
    /// the same base. Their folder is named after the run: that of arithmetic-ccot-r0.5 is
    /// ccot-r0.5.
    #[arg(long, value_name = "CHECKPOINT")]
    beside: Option<String>,
}

/// The weights of a model folder; a model that ships is small enough for one file.
const WEIGHTS: &str = "model.safetensors";

/// The files of a model folder.
const FILES: [&str; 6] = [
    "config.json",
    "generation_config.json",
    WEIGHTS,
    "tokenizer.json",
    "tokenizer_config.json",
    TRAINING,
];

/// How a model, or its adapters, were trained.
const TRAINING: &str = "training.json";

/// What tells the strategies of a checkpoint. A training config has had other keys in earlier
/// versions.
#[derive(Deserialize)]
struct TrainedRecipe {
    #[serde(flatten)]
    recipe: Recipe,
    #[serde(default)]
    forms: Vec<SequenceLayout>,
    /// The only form, as the first version had it.
    method: Option<SequenceLayout>,
}

/// Copies each run's model and lists it.
pub fn ship(args: &ShipArgs) -> Result<ExitCode> {
    let index = args.models.join("index.json");
    let json =
        fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
    let catalogue = serde_json::from_str(&text::clean(&json));
    let mut catalogue: Catalogue = catalogue.with_context(|| format!("in {}", index.display()))?;
    for run in &args.runs {
        let entry = match &args.beside {
            None => ship_one(run, &args.models),
            Some(checkpoint) => ship_beside(run, &args.models.join(checkpoint)),
        };
        let entry = entry.with_context(|| format!("cannot ship {}", run.display()))?;
        println!("{}: {}", entry.name, entry.strategies.join(", "));
        catalogue.put(entry);
    }
    let text = output::json(&catalogue)?;
    fs::write(&index, text).with_context(|| format!("cannot write {}", index.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn ship_one(run: &Path, models: &Path) -> Result<Entry> {
    let from = run.join("model");
    let entry = listed(&from)?;
    let to = models.join(&entry.name);
    for file in FILES {
        copy(&from.join(file), &to.join(file))?;
    }
    for AdapterFolder { folder, .. } in &entry.adapters {
        for file in contemplation::FILES {
            copy(&from.join(folder).join(file), &to.join(folder).join(file))?;
        }
    }
    // Adapters that were laid beside it stay.
    listed(&to)
}

/// Copies a run's adapters into the folder of a checkpoint with the same base.
fn ship_beside(run: &Path, checkpoint: &Path) -> Result<Entry> {
    let from = run.join("model");
    let Entry { name, task, .. } = listed(&from)?;
    let folder = name.strip_prefix(task.name());
    let folder = folder.and_then(|rest| rest.strip_prefix('-'));
    let folder = folder.with_context(|| {
        let task = task.name();
        format!("a run of {task} is named {task}-METHOD, found {name:?}")
    })?;
    for file in [WEIGHTS, "config.json", "tokenizer.json"] {
        let read = |path: PathBuf| {
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        ensure!(
            read(from.join(file))? == read(checkpoint.join(file))?,
            "{} has another base: its {file} is not the same",
            checkpoint.display()
        );
    }
    let (adapters, to) = (from.join(contemplation::FOLDER), checkpoint.join(folder));
    for file in contemplation::FILES {
        copy(&adapters.join(file), &to.join(file))?;
    }
    copy(&from.join(TRAINING), &to.join(TRAINING))?;
    listed(checkpoint)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// What the catalogue says of a model folder.
fn listed(folder: &Path) -> Result<Entry> {
    let model = load_model(folder)?;
    let record = load_training_record(folder)?
        .context("a model that ships says in training.json how it was trained")?;
    let bytes = fs::metadata(folder.join(WEIGHTS))?.len();
    let entry = Entry {
        adapters: adapters(folder)?,
        ..entry(&record, &model, bytes)
    };
    ensure!(
        !entry.strategies.is_empty(),
        "no strategy decodes its forms"
    );
    Ok(entry)
}

/// Every folder of adapters in a model folder, all of which must be usable.
fn adapters(folder: &Path) -> Result<Vec<AdapterFolder>> {
    let names = adapter_folders(folder)?.into_iter();
    let adapters = names.map(|name| {
        let model = load_adapted(folder, Some(&name))?;
        let spec = model.capabilities().contemplation;
        let spec = spec.with_context(|| format!("{name} was not read"))?;
        Ok(AdapterFolder { folder: name, spec })
    });
    adapters.collect()
}

fn entry(record: &TrainingRecord<TrainedRecipe>, model: &Model, bytes: u64) -> Entry {
    let TrainingRecord { config, .. } = record;
    let capabilities = model.capabilities();
    let suits = |strategy: &&Strategy| {
        let mut forms = config.forms.iter().chain(&config.method);
        forms.any(|form| suits(*form, strategy, capabilities))
    };
    let suited = STRATEGIES.iter().filter(suits);
    Entry {
        name: config.recipe.name.clone(),
        title: config.recipe.title.clone(),
        task: config.recipe.task,
        summary: config.recipe.summary.clone(),
        strategies: suited.map(|strategy| strategy.name.into()).collect(),
        params: model.weights.n_parameters(),
        bytes,
        adapters: Vec::new(),
    }
}

/// Whether a model that was trained in a form can be decoded by a strategy.
fn suits(form: SequenceLayout, strategy: &Strategy, capabilities: ModelCapabilities) -> bool {
    match form {
        // The mixtures of a model of words are what Soft Thinking is about.
        SequenceLayout::Cot => {
            strategy.start == Some(Marker::ThinkStart) && !strategy.contemplates()
        }
        SequenceLayout::Soft => strategy.name == "soft",
        SequenceLayout::Coconut => {
            strategy.start == Some(Marker::Bot)
                && (capabilities.end_classifier || !strategy.asks_end_classifier())
        }
        SequenceLayout::Pause => strategy.name == "pause",
        SequenceLayout::Ccot => strategy.contemplates() && capabilities.contemplation.is_some(),
        SequenceLayout::NoCot => strategy.think.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use latent_model::hub::hub_files;

    use super::*;

    #[test]
    fn the_catalogue_that_ships_is_that_of_the_folders() {
        let models = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../public/models"));
        let index = fs::read_to_string(models.join("index.json")).expect("it ships");
        let catalogue: Catalogue = serde_json::from_str(&index).expect("well-formed");
        for listed in &catalogue.models {
            let folder = models.join(&listed.name);
            let model = load_model(&folder).unwrap_or_else(|error| panic!("{error:#}"));
            let found = super::listed(&folder).unwrap_or_else(|error| panic!("{error:#}"));
            assert_eq!(*listed, found);
            let max_positions = model.config.max_position_embeddings;
            for (name, expected) in hub_files(&listed.task.markers(), max_positions) {
                let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
                let expected = serde_json::to_string_pretty(&expected).expect("JSON") + "\n";
                assert_eq!(text, expected, "{}: {name}", listed.name);
            }
        }
        let folders = fs::read_dir(models).expect("it ships").filter(|entry| {
            let path = entry.as_ref().expect("the folder can be listed").path();
            path.join("config.json").exists()
        });
        assert_eq!(
            folders.count(),
            catalogue.models.len(),
            "a folder is not listed"
        );
    }
}
