//! What ships beside the page: which checkpoints, examples and recordings there are, and how well
//! each checkpoint did.

use std::collections::BTreeMap;

use latent_model::{
    catalogue::{Catalogue, Entry},
    tasks::Picture,
    training_record::{Accuracy, TrainingRecord},
};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    brought::KnownModels,
    load::{LoadError, fetch_json},
    question::AllExamples,
};

/// The lists that the page needs before it can say anything.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// The checkpoints on offer.
    pub catalogue: Catalogue,
    /// Official problems.
    pub examples: AllExamples,
    /// Runs that were recorded.
    pub recordings: Recordings,
    /// Models that are not of this project.
    pub brought: KnownModels,
}

/// `recordings/index.json`.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
pub struct Recordings {
    /// The recordings, in the order in which they are offered.
    pub recordings: Vec<ShippedRecording>,
}

/// A run that was recorded, and ships with the page.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ShippedRecording {
    /// The file, below `recordings/`.
    pub file: String,
    /// What it shows.
    pub title: String,
    /// The model that ran, for people.
    pub model: String,
    /// The command that made it.
    pub command: String,
}

/// What is known of a checkpoint's accuracy: nothing while it is fetched, or why not.
type Known = Option<Result<Vec<Accuracy>, String>>;

/// What ships, for every component.
#[derive(Clone, Copy)]
pub struct SiteCatalogue {
    /// The checkpoints on offer.
    pub catalogue: StoredValue<Catalogue>,
    /// Official problems.
    pub examples: StoredValue<AllExamples>,
    /// Runs that were recorded.
    pub recordings: StoredValue<Vec<ShippedRecording>>,
    /// Tells that the list of checkpoints has changed.
    changed: RwSignal<()>,
    /// By checkpoint, for those that were asked about.
    accuracies: RwSignal<BTreeMap<String, Known>>,
}

impl Lists {
    /// Fetches all of them; what does not arrive stays empty, and the first failure is told.
    pub async fn fetch() -> (Self, Option<LoadError>) {
        let catalogue = fetch_json("models/index.json");
        let examples = fetch_json("examples/index.json");
        let recordings = fetch_json("recordings/index.json");
        let (catalogue, examples, recordings, brought) =
            futures::join!(catalogue, examples, recordings, KnownModels::find());
        let mut lists = Self {
            brought,
            ..Self::default()
        };
        let failed = [
            catalogue.map(|found| lists.catalogue = found).err(),
            examples.map(|found| lists.examples = found).err(),
            recordings.map(|found| lists.recordings = found).err(),
        ];
        lists.brought.list(&mut lists.catalogue);
        (lists, failed.into_iter().flatten().next())
    }
}

impl SiteCatalogue {
    /// Of these lists, and nothing asked yet.
    pub fn new(lists: Lists) -> Self {
        Self {
            catalogue: StoredValue::new(lists.catalogue),
            examples: StoredValue::new(lists.examples),
            recordings: StoredValue::new(lists.recordings.recordings),
            changed: RwSignal::new(()),
            accuracies: RwSignal::default(),
        }
    }

    /// Tracks which checkpoints there are: some are brought while the page is open.
    pub fn track(self) {
        self.changed.track();
    }

    /// Adds a checkpoint, or replaces the one of its name.
    pub fn put(self, entry: Entry) {
        self.catalogue
            .update_value(|catalogue| catalogue.put(entry));
        self.changed.set(());
    }

    /// Takes a checkpoint away.
    pub fn remove(self, name: &str) {
        let is_other = |entry: &Entry| entry.name != name;
        self.catalogue
            .update_value(|catalogue| catalogue.models.retain(is_other));
        self.changed.set(());
    }

    /// How often a checkpoint was right; tracks it. A `training.json` is large beside what the page
    /// shows of it, so it is fetched when somebody looks, once.
    pub fn accuracies(self, name: &str) -> Known {
        self.track();
        // Nobody has measured what a visitor brings or what a recording was made with, and the site
        // is not asked about it.
        let ships = |catalogue: &Catalogue| {
            let entry = catalogue.entry(name);
            entry.is_some_and(|entry| entry.task.picture() != Picture::Text)
        };
        if !self.catalogue.with_value(ships) {
            return Some(Ok(Vec::new()));
        }
        let known = self.accuracies.with(|known| known.get(name).cloned());
        known.unwrap_or_else(|| {
            let name = name.to_string();
            self.accuracies
                .update_untracked(|known| known.insert(name.clone(), None));
            spawn_local(async move {
                let found = fetch_accuracies(&name).await;
                self.accuracies.update(|known| {
                    known.insert(name, Some(found));
                });
            });
            None
        })
    }
}

async fn fetch_accuracies(name: &str) -> Result<Vec<Accuracy>, String> {
    let training = fetch_json::<TrainingRecord>(&format!("models/{name}/training.json")).await;
    match training {
        Ok(training) => Ok(training.accuracies().to_vec()),
        // A checkpoint from elsewhere has no such file.
        Err(LoadError::Missing { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// The catalogue in this repository.
#[cfg(test)]
pub fn shipped_catalogue() -> Catalogue {
    let json = include_str!("../../public/models/index.json");
    serde_json::from_str(json).expect("well-formed")
}
