//! The models that were brought before, and those that ship in parts.

use latent_model::{
    catalogue::{Catalogue, Entry},
    tasks::free_text,
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use super::{kept_in, kept_models};
use crate::load::fetch_json;

/// The strategies that need nothing that a model was taught for them.
const STRATEGIES: [&str; 7] = [
    "token-cot",
    "token-cot-sampled",
    "token-cot-cold-stop",
    "soft",
    "soft-gumbel",
    "soft-dirichlet",
    "no-cot",
];

/// A model with what the page has to know of it before it is loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name in addresses and lists.
    pub name: String,
    /// Where its files are kept: another place each time, so that what is kept is there until what
    /// replaces it is whole.
    pub folder: String,
    /// Where it came from, for people.
    pub from: String,
    /// Its files; one is a GGUF file, several are a folder of Hugging Face's.
    pub files: Vec<ModelFile>,
    /// The name of the number format of its matrices here.
    pub format: String,
    /// How many parameters it has.
    pub params: usize,
    /// What its weights take, in a sentence.
    pub memory: String,
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// A model that ships beside the page in parts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SiteModel {
    /// Its name.
    pub name: String,
    /// The file that the parts make.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// The names of the parts, in order.
    pub parts: Vec<String>,
}

/// `brought/index.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct SiteModels {
    /// The models.
    pub models: Vec<SiteModel>,
}

/// Where models are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In the origin's private files.
    Opfs,
    /// In Cache Storage, for this browser gives this page no files.
    Cache,
    /// Nowhere.
    #[default]
    Nowhere,
}

/// All models of this kind that are known when the page opens.
#[derive(Clone, Debug, Default)]
pub struct KnownModels {
    /// Kept from an earlier visit.
    pub kept: Vec<Manifest>,
    /// Beside the page.
    pub on_site: Vec<SiteModel>,
    /// Where models are kept here.
    pub storage: Storage,
}

impl KnownModels {
    /// Looks for what is kept and for what is beside the page; what cannot be read is not there.
    pub async fn find() -> Self {
        let storage = match kept_in().await.as_string().as_deref() {
            Some("opfs") => Storage::Opfs,
            Some("cache") => Storage::Cache,
            _ => Storage::Nowhere,
        };
        let texts = kept_models().await;
        let texts = texts.map(|texts| js_sys::Array::from(&texts).to_vec());
        let manifest = |text: JsValue| serde_json::from_str(&text.as_string()?).ok();
        let on_site = fetch_json::<SiteModels>("brought/index.json").await;
        Self {
            kept: texts
                .unwrap_or_default()
                .into_iter()
                .filter_map(manifest)
                .collect(),
            on_site: on_site.unwrap_or_default().models,
            storage,
        }
    }

    /// Puts the models into the list of checkpoints, behind those that ship.
    pub fn list(&self, catalogue: &mut Catalogue) {
        for manifest in &self.kept {
            catalogue.put(manifest.entry());
        }
        for model in &self.on_site {
            if catalogue.entry(&model.name).is_none() {
                catalogue.put(model.entry());
            }
        }
    }
}

impl Manifest {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The model among the checkpoints.
    pub(super) fn entry(&self) -> Entry {
        entry(&self.name, &self.from, self.params, self.bytes())
    }
}

impl SiteModel {
    pub(super) fn entry(&self) -> Entry {
        entry(&self.name, &self.file, 0, self.bytes)
    }
}

fn entry(name: &str, from: &str, params: usize, bytes: u64) -> Entry {
    Entry {
        name: name.into(),
        title: name.into(),
        task: free_text::TASK,
        summary: from.into(),
        strategies: STRATEGIES.map(String::from).to_vec(),
        params,
        bytes,
        adapters: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_brought_stands_among_the_checkpoints_of_free_text() {
        let manifest = Manifest {
            name: "mine".into(),
            folder: "mine~1".into(),
            from: "mine.gguf".into(),
            files: vec![ModelFile {
                name: "mine.gguf".into(),
                bytes: 7,
            }],
            format: "f16".into(),
            params: 3,
            memory: String::new(),
        };
        let json = serde_json::to_string(&manifest).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Manifest>(&json).expect("its own"),
            manifest
        );
        let mut catalogue = crate::catalogue::shipped_catalogue();
        let known = KnownModels {
            kept: vec![manifest],
            ..KnownModels::default()
        };
        known.list(&mut catalogue);
        let entry = catalogue.entry("mine").expect("it is listed");
        assert_eq!((entry.task, entry.bytes), (free_text::TASK, 7));
        let lanes = crate::default_lanes::default_lanes(free_text::TASK, &catalogue);
        let names: Vec<&str> = lanes.iter().map(|lane| lane.strategy.name).collect();
        assert_eq!(
            names,
            ["token-cot", "soft", "soft-gumbel", "token-cot-cold-stop"]
        );
        assert!(lanes.iter().all(|lane| lane.model == "mine"));
    }
}
