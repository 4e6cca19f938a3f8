//! Which checkpoints ship: `public/models/index.json`, which `latent ship` writes and the page
//! reads.

use serde::{Deserialize, Serialize};

use crate::tasks::Task;

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
}

impl Catalogue {
    /// The checkpoint of this name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.models.iter().find(|entry| entry.name == name)
    }

    /// The checkpoints of a task.
    pub fn of_task(&self, task: Task) -> impl Iterator<Item = &Entry> {
        self.models.iter().filter(move |entry| entry.task == task)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, task: Task, bytes: u64) -> Entry {
        Entry {
            name: name.into(),
            title: String::new(),
            task,
            summary: String::new(),
            strategies: Vec::new(),
            params: 0,
            bytes,
        }
    }

    #[test]
    fn an_entry_comes_after_its_task_and_replaces_its_own_kind() {
        let mut catalogue = Catalogue::default();
        for (name, task) in [
            ("a", Task::ProsQa),
            ("b", Task::Arithmetic),
            ("c", Task::ProsQa),
            ("b", Task::Arithmetic),
        ] {
            let bytes = catalogue.models.len() as u64;
            catalogue.put(entry(name, task, bytes));
        }
        let found: Vec<(&str, u64)> = catalogue
            .models
            .iter()
            .map(|entry| (entry.name.as_str(), entry.bytes))
            .collect();
        assert_eq!(found, [("a", 0), ("c", 2), ("b", 3)]);
    }
}
