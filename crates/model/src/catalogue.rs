//! Which checkpoints ship and what each can do: `public/models/index.json`, which `latent ship`
//! writes and the page reads.

use serde::{Deserialize, Serialize};

use crate::{
    contemplation::{self, ContemplationSpec},
    strategy::Strategy,
    tasks::{TASKS, Task},
};

/// `models/index.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The checkpoints, in the order in which they are offered.
    pub models: Vec<Entry>,
}

/// One checkpoint of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its folder below `models/`, and its name in addresses.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The task that it was trained on.
    pub task: Task,
    /// What it can do and how it learned it.
    pub summary: String,
    /// Names of the strategies that it was trained for.
    pub strategies: Vec<String>,
    /// Number of parameters.
    pub params: usize,
    /// Size of its weights' files.
    pub bytes: u64,
    /// Its folders of CCOT's adapters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<AdapterFolder>,
}

/// A folder of adapters beside a checkpoint's own files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterFolder {
    /// Its name.
    pub folder: String,
    /// How they were trained.
    #[serde(flatten)]
    pub spec: ContemplationSpec,
}

/// The two parts of a name under which a checkpoint is loaded: its folder, and behind a slash the
/// folder of adapters, where those are not the default ones (`arithmetic-ccot/ccot-r1`).
pub fn folder_and_adapters(name: &str) -> (&str, Option<&str>) {
    match name.split_once('/') {
        Some((folder, adapters)) => (folder, Some(adapters)),
        None => (name, None),
    }
}

impl Catalogue {
    /// The checkpoint of this name, whatever adapters it names.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        let (folder, _) = folder_and_adapters(name);
        self.models.iter().find(|entry| entry.name == folder)
    }

    /// The checkpoints of a task.
    pub fn of_task(&self, task: Task) -> impl Iterator<Item = &Entry> {
        self.models.iter().filter(move |entry| entry.task == task)
    }

    /// The checkpoint for a strategy: the current one if it was trained for it, else the first
    /// one of the task that was, else the current one all the same.
    pub fn model_for<'a>(&'a self, task: Task, strategy: &str, current: &'a str) -> &'a str {
        let knows = |entry: &&Entry| entry.suits(strategy);
        let is_of_task = |entry: &Entry| entry.task == task;
        if (self.entry(current)).is_some_and(|entry| is_of_task(entry) && knows(&entry)) {
            return current;
        }
        let found = self.of_task(task).find(knows);
        found.map_or(current, |entry| &entry.name)
    }

    /// The tasks that have a checkpoint.
    pub fn tasks(&self) -> Vec<Task> {
        let has_one = |task: &Task| self.of_task(*task).next().is_some();
        TASKS.iter().copied().filter(has_one).collect()
    }

    /// Why no checkpoint that a lane can have runs a strategy: neither its current one nor any of
    /// the task.
    pub fn lacks(&self, task: Task, strategy: &Strategy, current: &str) -> Option<&'static str> {
        let entry = self.entry(self.model_for(task, strategy.name, current))?;
        entry.lacks(strategy)
    }

    /// The checkpoints of a task by name, each with the reason where it cannot run a strategy.
    pub fn offered(&self, task: Task, strategy: &str) -> Vec<(String, Option<&'static str>)> {
        let lacks = |entry: &Entry| {
            let strategy = Strategy::by_name(strategy).ok()?;
            entry.lacks(strategy)
        };
        let entries = self.of_task(task);
        entries
            .map(|entry| (entry.name.clone(), lacks(entry)))
            .collect()
    }

    /// Puts an entry in the place of the one of its name, or after the last one of its task.
    pub fn put(&mut self, entry: Entry) {
        if let Some(known) = self.models.iter_mut().find(|e| e.name == entry.name) {
            *known = entry;
            return;
        }
        let last = self.models.iter().rposition(|e| e.task == entry.task);
        let place = last.map_or(self.models.len(), |last| last + 1);
        self.models.insert(place, entry);
    }
}

impl Entry {
    /// Whether the checkpoint was trained for a strategy.
    pub fn suits(&self, strategy: &str) -> bool {
        self.strategies.iter().any(|known| known == strategy)
    }

    /// How the adapters were trained that the checkpoint is loaded with where nobody names others.
    pub fn contemplation(&self) -> Option<ContemplationSpec> {
        self.contemplation_of(&self.name)
    }

    /// How the adapters were trained that a name of this checkpoint stands for.
    pub fn contemplation_of(&self, name: &str) -> Option<ContemplationSpec> {
        let (_, adapters) = folder_and_adapters(name);
        let folder = adapters.unwrap_or(contemplation::FOLDER);
        let found = self.adapters.iter().find(|known| known.folder == folder);
        found.map(|adapters| adapters.spec)
    }

    /// The names of this checkpoint, one for each folder of adapters by rising r, with how they
    /// were trained.
    pub fn contemplations(&self) -> Vec<(String, ContemplationSpec)> {
        let name = |adapters: &AdapterFolder| match adapters.folder == contemplation::FOLDER {
            true => self.name.clone(),
            false => format!("{}/{}", self.name, adapters.folder),
        };
        let adapters = self.adapters.iter();
        let mut all: Vec<_> = adapters.map(|known| (name(known), known.spec)).collect();
        all.sort_by(|(_, a), (_, b)| a.ratio.total_cmp(&b.ratio));
        all
    }

    /// Why the checkpoint cannot run a strategy at all: it lacks a part that the strategy asks.
    pub fn lacks(&self, strategy: &Strategy) -> Option<&'static str> {
        let why = match strategy {
            _ if self.suits(strategy.name) => return None,
            _ if strategy.contemplates() && self.contemplation().is_none() => {
                "Needs adapters that contemplate, which this checkpoint lacks"
            }
            _ if strategy.asks_end_classifier() => {
                "Needs a classifier that says when to stop, which this checkpoint lacks"
            }
            _ => return None,
        };
        Some(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::{arithmetic, prontoqa, prosqa};

    fn entry(name: &str, task: Task, strategies: &[&str]) -> Entry {
        Entry {
            name: name.into(),
            title: String::new(),
            task,
            summary: String::new(),
            strategies: strategies.iter().map(|&name| name.into()).collect(),
            params: 0,
            bytes: 0,
            adapters: Vec::new(),
        }
    }

    #[test]
    fn an_entry_comes_after_its_task_and_replaces_its_own_kind() {
        let mut catalogue = Catalogue::default();
        for (name, task) in [
            ("a", prosqa::TASK),
            ("b", arithmetic::TASK),
            ("c", prosqa::TASK),
            ("b", arithmetic::TASK),
        ] {
            let bytes = catalogue.models.len() as u64;
            let entry = entry(name, task, &[]);
            catalogue.put(Entry { bytes, ..entry });
        }
        let found: Vec<(&str, u64)> = catalogue
            .models
            .iter()
            .map(|entry| (entry.name.as_str(), entry.bytes))
            .collect();
        assert_eq!(found, [("a", 0), ("c", 2), ("b", 3)]);
    }

    #[test]
    fn a_strategy_moves_to_a_checkpoint_of_the_task_that_was_trained_for_it() {
        let models = vec![
            entry("pronto", prontoqa::TASK, &["coconut", "pause"]),
            entry("words", prosqa::TASK, &["soft"]),
            entry("thoughts", prosqa::TASK, &["coconut"]),
        ];
        let catalogue = Catalogue { models };
        let model_for = |strategy| catalogue.model_for(prosqa::TASK, strategy, "words");
        assert_eq!(model_for("coconut"), "thoughts");
        assert_eq!(model_for("soft"), "words");
        assert_eq!(model_for("pause"), "words");
        assert!(!catalogue.models[1].suits("coconut"));
    }

    #[test]
    fn a_strategy_that_needs_a_classifier_is_for_checkpoints_that_have_one() {
        let by_itself = Strategy::by_name("coconut-classifier").expect("in the table");
        let coconut = Strategy::by_name("coconut").expect("in the table");
        let mut models = vec![entry("thoughts", prosqa::TASK, &["coconut"])];
        let lacks = |models: &[Entry], strategy| {
            let catalogue = Catalogue {
                models: models.to_vec(),
            };
            catalogue.lacks(prosqa::TASK, strategy, "thoughts")
        };
        assert!(lacks(&models, by_itself).is_some_and(|why| why.contains("classifier")));
        assert_eq!(lacks(&models, coconut), None);
        // The lane can move to a checkpoint that has one, but to none of another task.
        let both = ["coconut", by_itself.name];
        models.push(entry("other", prontoqa::TASK, &both));
        assert!(lacks(&models, by_itself).is_some());
        models.push(entry("unified", prosqa::TASK, &both));
        assert_eq!(lacks(&models, by_itself), None);
        assert!(models[0].lacks(by_itself).is_some());
    }

    #[test]
    fn contemplation_is_for_checkpoints_with_the_default_adapters() {
        let ccot = Strategy::by_name("ccot").expect("in the table");
        let plain = entry("words", arithmetic::TASK, &["token-cot"]);
        assert!(
            plain
                .lacks(ccot)
                .is_some_and(|why| why.contains("adapters"))
        );
        let with = |folder: &str| {
            let spec = ContemplationSpec {
                layer: 2,
                ratio: 0.5,
            };
            let folder = folder.into();
            Entry {
                adapters: vec![AdapterFolder { folder, spec }],
                ..plain.clone()
            }
        };
        assert_eq!(with("ccot").lacks(ccot), None);
        let mut both = with("ccot");
        both.adapters.extend(with("ccot-r0.2").adapters);
        both.adapters[1].spec.ratio = 0.2;
        let named: Vec<_> = both.contemplations();
        let named: Vec<(&str, f64)> = named.iter().map(|(n, spec)| (&**n, spec.ratio)).collect();
        assert_eq!(named, [("words/ccot-r0.2", 0.2), ("words", 0.5)]);
        let ratio = |name| both.contemplation_of(name).map(|spec| spec.ratio);
        assert_eq!(ratio("words"), Some(0.5));
        assert_eq!(ratio("words/ccot-r0.2"), Some(0.2));
        assert_eq!(ratio("words/ccot-r9"), None);
        let catalogue = Catalogue { models: vec![both] };
        assert!(catalogue.entry("words/ccot-r0.2").is_some());
        let current = "words/ccot-r0.2";
        assert_eq!(
            catalogue.model_for(arithmetic::TASK, "token-cot", current),
            current
        );
        assert!(with("ccot-r0.2").lacks(ccot).is_some());
        let json = serde_json::to_value(with("ccot")).expect("JSON");
        let expected = serde_json::json!([{"folder": "ccot", "layer": 2, "ratio": 0.5}]);
        assert_eq!(json["adapters"], expected);
        let json = serde_json::to_value(&plain).expect("JSON");
        assert_eq!(
            json.get("adapters"),
            None,
            "the others' lines stay as they were"
        );
    }
}
