//! What ships beside the page: which checkpoints and examples there are, and how well each
//! checkpoint did.

use std::collections::BTreeMap;

use latent_model::{
    catalogue::Catalogue,
    training_record::{Accuracy, TrainingRecord},
};
use leptos::{prelude::*, task::spawn_local};

use crate::{
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
    /// By checkpoint, for those that were asked about.
    accuracies: RwSignal<BTreeMap<String, Known>>,
}

impl Lists {
    /// Fetches both; what does not arrive stays empty, and the first failure is told.
    pub async fn fetch() -> (Self, Option<LoadError>) {
        let catalogue = fetch_json("models/index.json");
        let examples = fetch_json("examples/index.json");
        let (catalogue, examples) = futures::join!(catalogue, examples);
        let mut lists = Self::default();
        let failed = [
            catalogue.map(|found| lists.catalogue = found).err(),
            examples.map(|found| lists.examples = found).err(),
        ];
        (lists, failed.into_iter().flatten().next())
    }
}

impl SiteCatalogue {
    /// Of these lists, and nothing asked yet.
    pub fn new(lists: Lists) -> Self {
        Self {
            catalogue: StoredValue::new(lists.catalogue),
            examples: StoredValue::new(lists.examples),
            accuracies: RwSignal::default(),
        }
    }

    /// How often a checkpoint was right; tracks it. A `training.json` is large beside what the page
    /// shows of it, so it is fetched when somebody looks, once.
    pub fn accuracies(self, name: &str) -> Known {
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
