//! Models that visitors bring: read from files, from this site or from an address, kept in the
//! browser for the next visit.

use std::sync::Arc;

use latent_gpu::WeightMemory;
use latent_model::{
    catalogue::{Catalogue, Entry},
    checkpoint::{WeightFormat, Weights, shard_names},
    config::ModelConfig,
    model::{Model, ModelError, ModelFiles},
    tasks::free_text,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, prelude::*};

use crate::{
    browser::{breathe, webgpu_obstacle},
    catalogue::SiteCatalogue,
    load::{
        Absence, Download, Downloading, LoadError, answer, append, fetch_json, is_page, room_for,
        text,
    },
    notice::{Notice, Notices, Topic},
    words::{fill, words},
};

#[wasm_bindgen(module = "/src/brought.js")]
extern "C" {
    #[wasm_bindgen(js_name = gatheredFiles, catch)]
    async fn gathered_files(event: &web_sys::Event) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = sizeOf)]
    fn size_of_file(file: &JsValue) -> f64;
    #[wasm_bindgen(js_name = streamOf)]
    fn stream_of(file: &JsValue) -> web_sys::ReadableStream;
    #[wasm_bindgen(js_name = bytesOf, catch)]
    async fn bytes_of(file: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = keptIn)]
    async fn kept_in() -> JsValue;
    #[wasm_bindgen(js_name = keptModels, catch)]
    async fn kept_models() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = keptStream, catch)]
    async fn kept_stream(model: &str, file: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = forgetModel, catch)]
    async fn forget_model(model: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(js_name = roomLeft, catch)]
    async fn room_left() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = beginFile, catch)]
    async fn begin_file(model: &str, file: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = writePiece, catch)]
    async fn write_piece(file: &JsValue, piece: &js_sys::Uint8Array) -> Result<(), JsValue>;
    #[wasm_bindgen(js_name = endFile, catch)]
    async fn end_file(file: &JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(js_name = abortFile)]
    async fn abort_file(file: &JsValue);
    #[wasm_bindgen(js_name = keepManifest, catch)]
    async fn keep_manifest(model: &str, text: &str) -> Result<(), JsValue>;
}

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

/// Weights of up to so many bindings of the device are kept as exactly as they can be.
const MOST_BINDINGS: u64 = 2;

/// Bytes of a binding on every device of this page, which asks for WebGPU's default limits.
const BINDING: u64 = 128 << 20;

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

/// What somebody wants to open.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files that were picked or dropped: path and the browser's file.
    Files(Vec<(String, JsValue)>),
    /// A folder's address, or that of a GGUF file.
    Address(String),
    /// A model beside the page.
    Site(SiteModel),
}

/// How the weights of what is opened are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatChoice {
    /// As exactly as the device has room for.
    #[default]
    Fitting,
    /// In this one.
    Of(WeightFormat),
}

/// A model that was read, with how it is kept.
pub struct Opened {
    /// The model.
    pub model: Model,
    /// What the page knows of it from now on.
    pub manifest: Manifest,
}

/// The models that were brought, for every component and the session.
#[derive(Clone, Copy)]
pub struct Brought {
    /// Those that are known, kept or only for as long as the page is open.
    pub models: RwSignal<Vec<Manifest>>,
    /// Those beside the page.
    pub on_site: StoredValue<Vec<SiteModel>>,
    /// Where they are kept.
    pub storage: StoredValue<Storage>,
    /// How the next one's weights are kept.
    pub format: RwSignal<FormatChoice>,
    /// The names of those that could not be kept.
    unkept: RwSignal<Vec<String>>,
    site: SiteCatalogue,
    downloading: Downloading,
    notices: Notices,
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
    fn entry(&self) -> Entry {
        entry(&self.name, &self.from, self.params, self.bytes())
    }
}

impl SiteModel {
    fn entry(&self) -> Entry {
        entry(&self.name, &self.file, 0, self.bytes)
    }
}

fn entry(name: &str, from: &str, params: usize, bytes: u64) -> Entry {
    Entry {
        name: name.into(),
        title: name.into(),
        task: free_text::TASK,
        summary: format!("A model that was brought here: {from}"),
        strategies: STRATEGIES.map(String::from).to_vec(),
        params,
        bytes,
        adapters: Vec::new(),
    }
}

impl Brought {
    /// Of what is known when the page opens.
    pub fn new(
        known: KnownModels,
        site: SiteCatalogue,
        downloading: Downloading,
        notices: Notices,
    ) -> Self {
        Self {
            models: RwSignal::new(known.kept),
            on_site: StoredValue::new(known.on_site),
            storage: StoredValue::new(known.storage),
            format: RwSignal::default(),
            unkept: RwSignal::default(),
            site,
            downloading,
            notices,
        }
    }

    /// Whether a model is only there for as long as the page is open.
    pub fn is_unkept(self, name: &str) -> bool {
        self.unkept
            .with_untracked(|unkept| unkept.iter().any(|other| other == name))
    }

    /// Reads a model of this name that was brought, if there is one.
    pub async fn load(self, name: &str) -> Option<Result<Model, LoadError>> {
        let known = self
            .models
            .with_untracked(|models| models.iter().find(|known| known.name == name).cloned());
        if let Some(manifest) = known {
            return Some(self.load_kept(&manifest).await);
        }
        let on_site = self.on_site.get_value();
        let on_site = on_site.into_iter().find(|model| model.name == name)?;
        let opened = self.open(Source::Site(on_site)).await;
        Some(opened.map(|opened| opened.model))
    }

    async fn load_kept(self, manifest: &Manifest) -> Result<Model, LoadError> {
        self.downloading.begin();
        let files = self.kept_files(manifest).await;
        self.downloading.end();
        let model = model_of(&manifest.name, files?)?;
        let mut formats = WeightFormat::ALL.into_iter();
        let format = formats.find(|format| format.name() == manifest.format);
        Ok(in_format(model, format.unwrap_or_default()).await)
    }

    async fn kept_files(self, manifest: &Manifest) -> Result<Vec<(String, Vec<u8>)>, LoadError> {
        let mut files = Vec::new();
        for file in &manifest.files {
            let stream = kept_stream(&manifest.folder, &file.name).await;
            let stream = stream.map_err(|error| LoadError::File {
                file: file.name.clone(),
                reason: text(&error),
            })?;
            let name = format!("{}/{}", manifest.name, file.name);
            let shown = Download::of(name, Some(file.bytes), true);
            let mut bytes = room_for(file.bytes)?;
            let take = async |piece: js_sys::Uint8Array| append(&mut bytes, &piece);
            let stream = stream.unchecked_into();
            self.downloading.pour(stream, shown, take).await?.whole()?;
            files.push((file.name.clone(), bytes));
        }
        Ok(files)
    }

    /// Reads what somebody opens, and keeps it on the way.
    ///
    /// # Errors
    /// If a file does not arrive, or is not part of a model that runs here; then nothing is kept.
    pub async fn open(self, source: Source) -> Result<Opened, LoadError> {
        self.downloading.begin();
        self.notices.clear(Topic::Brought);
        let name = self.free_name(&source.name()?);
        let mut shelf = Shelf {
            folder: format!("{name}~{}", js_sys::Date::now() as u64),
            failure: None,
            is_begun: false,
            open: None,
        };
        if self.storage.get_value() == Storage::Nowhere {
            shelf.failure = Some(words().no_storage.into());
        }
        let opened = self.read(&name, &source, &mut shelf).await;
        self.downloading.end();
        match opened {
            Ok(opened) => {
                self.keep(&mut shelf, &opened.manifest).await;
                Ok(opened)
            }
            Err(error) => {
                shelf.give_up().await;
                Err(error)
            }
        }
    }

    async fn read(
        self,
        name: &str,
        source: &Source,
        shelf: &mut Shelf,
    ) -> Result<Opened, LoadError> {
        let files = match source {
            Source::Files(files) => self.picked(name, files, shelf).await?,
            Source::Site(model) => vec![self.parts(model, shelf).await?],
            Source::Address(address) => self.fetched(name, &hub_address(address), shelf).await?,
        };
        let listed = |(name, bytes): &(String, Vec<u8>)| ModelFile {
            name: name.clone(),
            bytes: bytes.len() as u64,
        };
        let listed = files.iter().map(listed).collect();
        breathe().await;
        let model = model_of(name, files)?;
        let format = match (self.format.get_untracked(), webgpu_obstacle()) {
            (FormatChoice::Of(format), _) => format,
            // The CPU reads files as they are.
            (FormatChoice::Fitting, Some(_)) => WeightFormat::F32,
            (FormatChoice::Fitting, None) => fitting_format(&model),
        };
        let capabilities = model.capabilities();
        let memory = WeightMemory::of(&model.config, format, capabilities, BINDING);
        let manifest = Manifest {
            name: name.into(),
            folder: shelf.folder.clone(),
            from: source.told(),
            files: listed,
            format: format.name().into(),
            params: model.weights.n_parameters(),
            memory: format!("{}: {memory}", format.name()),
        };
        let model = in_format(model, format).await;
        Ok(Opened { model, manifest })
    }

    /// The folder of a model that is known.
    fn folder_of(self, name: &str) -> Option<String> {
        self.models.with_untracked(|models| {
            let known = models.iter().find(|known| known.name == name);
            known.map(|known| known.folder.clone())
        })
    }

    /// Makes a model that was read one of those that are known, in place of the one of its name.
    async fn keep(self, shelf: &mut Shelf, manifest: &Manifest) {
        if let Some(before) = self.folder_of(&manifest.name) {
            // If it cannot be taken away, the next visit finds two of this name and shows one.
            let _ = forget_model(&before).await;
        }
        self.unkept
            .update(|unkept| unkept.retain(|known| *known != manifest.name));
        if let Some(reason) = shelf.finish(manifest).await {
            self.unkept
                .update(|unkept| unkept.push(manifest.name.clone()));
            let storage = fill(words().not_kept, &[("reason", &reason)]);
            self.notices.show(
                Topic::Brought,
                Notice::new(words().not_kept_title, &storage),
            );
        }
        self.models.update(|models| {
            models.retain(|known| known.name != manifest.name);
            models.push(manifest.clone());
        });
        self.site.put(manifest.entry());
    }

    /// Forgets a model, and frees what it took.
    pub async fn forget(self, name: &str) {
        let Some(folder) = self.folder_of(name) else {
            return;
        };
        if let Err(error) = forget_model(&folder).await {
            let error = text(&error);
            self.notices
                .show(Topic::Brought, Notice::new(words().not_forgotten, &error));
            return;
        }
        self.models
            .update(|models| models.retain(|known| known.name != name));
        self.unkept
            .update(|unkept| unkept.retain(|known| known != name));
        let on_site = self.on_site.get_value();
        match on_site.iter().find(|model| model.name == name) {
            Some(model) => self.site.put(model.entry()),
            None => self.site.remove(name),
        }
    }

    /// A name that no checkpoint of this page's own has; a model that was brought before under it
    /// is replaced.
    fn free_name(self, wished: &str) -> String {
        let is_taken = |name: &str| {
            self.site.catalogue.with_value(|catalogue| {
                let entry = catalogue.entry(name);
                entry.is_some_and(|entry| entry.task != free_text::TASK)
            })
        };
        match is_taken(wished) {
            true => format!("my-{wished}"),
            false => wished.into(),
        }
    }

    async fn picked(
        self,
        name: &str,
        files: &[(String, JsValue)],
        shelf: &mut Shelf,
    ) -> Result<Vec<(String, Vec<u8>)>, LoadError> {
        let mut read = Vec::new();
        for index in wanted(files.iter().map(|(path, _)| path.as_str()))? {
            let (path, file) = &files[index];
            let file_name = last_part(path).to_string();
            let total = size_of_file(file) as u64;
            let shown = Download::of(format!("{name}/{file_name}"), Some(total), true);
            let stream = stream_of(file);
            let bytes = self.take(shelf, &file_name, vec![(stream, shown)]).await?;
            read.push((file_name, bytes));
        }
        Ok(read)
    }

    /// A file that ships in parts, which are asked for one after the other.
    async fn parts(
        self,
        model: &SiteModel,
        shelf: &mut Shelf,
    ) -> Result<(String, Vec<u8>), LoadError> {
        let mut bytes = room_for(model.bytes)?;
        shelf.begin(&model.file, model.bytes).await;
        let mut shown = Download::of(model.name.clone(), Some(model.bytes), true);
        for part in &model.parts {
            let url = format!("brought/{part}");
            let answer = answer(&url).await?;
            if answer.is_page {
                return Err(LoadError::missing(&url, Absence::Page));
            }
            let Some(body) = answer.body else { continue };
            let take = async |piece: js_sys::Uint8Array| {
                append(&mut bytes, &piece)?;
                shelf.write(&piece).await;
                Ok(())
            };
            shown = self.downloading.pour(body, shown, take).await?;
        }
        shown.whole()?;
        shelf.end().await;
        Ok((model.file.clone(), bytes))
    }

    /// The files below an address, or the GGUF file that it is of.
    async fn fetched(
        self,
        name: &str,
        address: &str,
        shelf: &mut Shelf,
    ) -> Result<Vec<(String, Vec<u8>)>, LoadError> {
        if address.to_ascii_lowercase().ends_with(".gguf") {
            let file = last_part(address).to_string();
            let bytes = self.fetched_file(name, address, &file, shelf).await?;
            return Ok(vec![(file, bytes)]);
        }
        let url = |file: &str| format!("{}/{file}", address.trim_end_matches('/'));
        let mut files = Vec::new();
        for (file, is_needed) in TEXTS {
            match self.fetched_file(name, &url(file), file, shelf).await {
                Ok(bytes) => files.push((file.to_string(), bytes)),
                Err(LoadError::Missing { .. }) if !is_needed => {}
                Err(error) => return Err(error),
            }
        }
        let single = "model.safetensors";
        match self.fetched_file(name, &url(single), single, shelf).await {
            Ok(bytes) => files.push((single.to_string(), bytes)),
            Err(missing @ LoadError::Missing { .. }) => {
                let index = "model.safetensors.index.json";
                let json = match self.fetched_file(name, &url(index), index, shelf).await {
                    // Of the two, the single file is the one that people expect.
                    Err(LoadError::Missing { .. }) => return Err(missing),
                    found => found?,
                };
                for file in shards_of(name, &json)? {
                    let bytes = self.fetched_file(name, &url(&file), &file, shelf).await?;
                    files.push((file, bytes));
                }
                files.push((index.to_string(), json));
            }
            Err(error) => return Err(error),
        }
        Ok(files)
    }

    async fn fetched_file(
        self,
        name: &str,
        url: &str,
        file: &str,
        shelf: &mut Shelf,
    ) -> Result<Vec<u8>, LoadError> {
        let answer = answer(url).await?;
        if answer.is_page {
            return Err(LoadError::missing(url, Absence::Page));
        }
        let shown = Download::of(format!("{name}/{file}"), answer.total, true);
        let streams = answer.body.map(|body| (body, shown));
        let bytes = self
            .take(shelf, file, streams.into_iter().collect())
            .await?;
        match is_page(&bytes) {
            true => Err(LoadError::missing(url, Absence::Page)),
            false => Ok(bytes),
        }
    }

    /// Reads a file, and keeps it on the way: its pieces are in memory once.
    async fn take(
        self,
        shelf: &mut Shelf,
        file: &str,
        streams: Vec<(web_sys::ReadableStream, Download)>,
    ) -> Result<Vec<u8>, LoadError> {
        let total: u64 = streams.iter().filter_map(|(_, shown)| shown.total).sum();
        let mut bytes = room_for(total)?;
        shelf.begin(file, total).await;
        for (stream, shown) in streams {
            let take = async |piece: js_sys::Uint8Array| {
                append(&mut bytes, &piece)?;
                shelf.write(&piece).await;
                Ok(())
            };
            let poured = self.downloading.pour(stream, shown, take).await?;
            poured.whole()?;
        }
        shelf.end().await;
        Ok(bytes)
    }
}

/// Where one model is kept while it is read; what goes wrong there ends the keeping, and not the
/// reading.
struct Shelf {
    folder: String,
    failure: Option<String>,
    is_begun: bool,
    open: Option<JsValue>,
}

/// The files of a folder beside its weights, and whether a model needs them.
const TEXTS: [(&str, bool); 5] = [
    ("config.json", true),
    ("tokenizer.json", true),
    ("generation_config.json", false),
    ("tokenizer_config.json", false),
    ("chat_template.jinja", false),
];

impl Source {
    /// The files that somebody picked or dropped; `None` where there are none.
    pub async fn picked(event: &web_sys::Event) -> Option<Result<Self, LoadError>> {
        let files = match gathered_files(event).await {
            Ok(files) => js_sys::Array::from(&files),
            Err(error) => {
                let reason = text(&error);
                let file = words().dropped_files.into();
                return Some(Err(LoadError::File { file, reason }));
            }
        };
        let part =
            |file: &JsValue, key: &str| js_sys::Reflect::get(file, &JsValue::from_str(key)).ok();
        let file = |file: JsValue| Some((part(&file, "path")?.as_string()?, part(&file, "file")?));
        let files: Vec<(String, JsValue)> = files.iter().filter_map(file).collect();
        (!files.is_empty()).then_some(Ok(Self::Files(files)))
    }

    /// The bytes of the one file that was picked, where its name is
    /// none of a model's files: a recording says itself whether it is one.
    pub async fn recording(&self) -> Option<Vec<u8>> {
        let Self::Files(files) = self else {
            return None;
        };
        let [(path, file)] = &files[..] else {
            return None;
        };
        if is_gguf(path) || path.ends_with(".safetensors") || path.ends_with(".json") {
            return None;
        }
        let bytes: js_sys::Uint8Array = bytes_of(file).await.ok()?.dyn_into().ok()?;
        Some(bytes.to_vec())
    }

    /// What the model is called.
    fn name(&self) -> Result<String, LoadError> {
        let name = match self {
            Self::Site(model) => model.name.clone(),
            Self::Address(address) => {
                let address = hub_address(address);
                check_address(&address)?;
                match address.split_once("/resolve/") {
                    Some((folder, _)) if !is_gguf(&address) => stem(folder).into(),
                    _ => stem(address.trim_end_matches('/')).into(),
                }
            }
            Self::Files(files) => {
                let gguf = files.iter().find(|(path, _)| is_gguf(path));
                let path = gguf.or(files.first()).map_or("", |(path, _)| path.as_str());
                match (gguf, path.rsplit_once('/')) {
                    (None, Some((folder, _))) => last_part(folder).into(),
                    (None, None) => "model".into(),
                    _ => stem(path).into(),
                }
            }
        };
        Ok(plain(&name))
    }

    /// Where it comes from, for people.
    fn told(&self) -> String {
        match self {
            Self::Site(model) => model.file.clone(),
            Self::Address(address) => address.trim().into(),
            Self::Files(files) => match files.iter().find(|(path, _)| is_gguf(path)) {
                Some((path, _)) => last_part(path).into(),
                None => files
                    .first()
                    .map_or(String::new(), |(path, _)| path.clone()),
            },
        }
    }
}

impl Shelf {
    async fn begin(&mut self, file: &str, bytes: u64) {
        if self.failure.is_some() {
            return;
        }
        self.is_begun = true;
        let room = room_left().await.ok().and_then(|room| room.as_f64());
        if let Some(room) = room.filter(|room| *room >= 0.0 && *room < bytes as f64) {
            let megabytes = |bytes: f64| format!("{:.0} MB", bytes / 1e6);
            let needed = megabytes(bytes as f64);
            let room = megabytes(room);
            let said = [("needed", needed.as_str()), ("room", room.as_str())];
            self.failure = Some(fill(words().storage_full, &said));
            return;
        }
        match begin_file(&self.folder, file).await {
            Ok(file) => self.open = Some(file),
            Err(error) => self.failure = Some(text(&error)),
        }
    }

    async fn write(&mut self, piece: &js_sys::Uint8Array) {
        if let Some(file) = &self.open
            && let Err(error) = write_piece(file, piece).await
        {
            self.failure = Some(text(&error));
            self.abort().await;
        }
    }

    async fn end(&mut self) {
        if let Some(file) = self.open.take()
            && let Err(error) = end_file(&file).await
        {
            self.failure = Some(text(&error));
        }
    }

    async fn abort(&mut self) {
        if let Some(file) = self.open.take() {
            abort_file(&file).await;
        }
    }

    /// What was kept of it goes.
    async fn give_up(&mut self) {
        self.abort().await;
        if self.is_begun {
            // What stays has no manifest, so the next visit takes it away.
            let _ = forget_model(&self.folder).await;
        }
    }

    /// Makes a model that is kept of all that was; why not, where it is not.
    async fn finish(&mut self, manifest: &Manifest) -> Option<String> {
        let json = serde_json::to_string(manifest).unwrap_or_default();
        if self.failure.is_none()
            && let Err(error) = keep_manifest(&self.folder, &json).await
        {
            self.failure = Some(text(&error));
        }
        if self.failure.is_some() {
            self.give_up().await;
        }
        self.failure.clone()
    }
}

/// Which of some files make a model, by their places, in the order in which they are read: the
/// texts first, which are soon seen to be wrong.
fn wanted<'a>(paths: impl Iterator<Item = &'a str>) -> Result<Vec<usize>, LoadError> {
    let names: Vec<&str> = paths.map(last_part).collect();
    if let Some(gguf) = names.iter().position(|name| is_gguf(name)) {
        return Ok(vec![gguf]);
    }
    let place = |wished: &str| names.iter().position(|name| *name == wished);
    let texts = TEXTS.iter().filter_map(|(name, _)| place(name));
    let mut chosen: Vec<usize> = texts.collect();
    let is_needed = |(name, is_needed): &(&str, bool)| *is_needed && place(name).is_none();
    let weights = names.iter().enumerate();
    let is_weights = |(_, name): &(usize, &&str)| name.ends_with(".safetensors");
    let weights: Vec<usize> = weights.filter(is_weights).map(|(at, _)| at).collect();
    if weights.is_empty() || TEXTS.iter().any(is_needed) {
        let found = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        return Err(LoadError::NoModel { found });
    }
    match place("model.safetensors") {
        // Adapters and the like lie beside it.
        Some(single) => chosen.push(single),
        None => chosen.extend(weights),
    }
    Ok(chosen)
}

fn shards_of(name: &str, json: &[u8]) -> Result<Vec<String>, LoadError> {
    let json = String::from_utf8_lossy(json);
    shard_names(&json).map_err(|reason| LoadError::Model {
        name: name.into(),
        reason: Box::new(reason.into()),
    })
}

/// Reads a model out of its files.
fn model_of(name: &str, files: Vec<(String, Vec<u8>)>) -> Result<Model, LoadError> {
    let wrong = |reason: ModelError| LoadError::Model {
        name: name.into(),
        reason: Box::new(reason),
    };
    let mut read = ModelFiles {
        config: String::new(),
        generation_config: None,
        tokenizer: String::new(),
        tokenizer_config: None,
        chat_template: None,
        weights: Vec::new(),
        contemplation: None,
    };
    for (file, bytes) in files {
        if is_gguf(&file) {
            let files = ModelFiles::from_gguf(&file, bytes.into())?;
            return Model::from_files(&files).map_err(wrong);
        }
        if file.ends_with(".safetensors") {
            read.weights.push((file, bytes.into()));
            continue;
        }
        let url = format!("{name}/{file}");
        let text = String::from_utf8(bytes).map_err(|_| LoadError::Utf8 { url })?;
        match file.as_str() {
            "config.json" => read.config = text,
            "tokenizer.json" => read.tokenizer = text,
            "generation_config.json" => read.generation_config = Some(text),
            "tokenizer_config.json" => read.tokenizer_config = Some(text),
            "chat_template.jinja" => read.chat_template = Some(text),
            _ => {}
        }
    }
    Model::from_files(&read).map_err(wrong)
}

/// The most exact format in which the weights take no more than some bindings of the device; the
/// smallest one where none does.
fn fitting_format(model: &Model) -> WeightFormat {
    let fits = |format: &WeightFormat| {
        needed(&model.config, *format, &model.weights) <= MOST_BINDINGS * BINDING
    };
    let formats = WeightFormat::ALL;
    formats
        .into_iter()
        .find(fits)
        .unwrap_or(formats[formats.len() - 1])
}

fn needed(config: &ModelConfig, format: WeightFormat, weights: &Weights) -> u64 {
    WeightMemory::of(config, format, weights.capabilities(), BINDING).n_bytes
}

/// The same model with its matrices in a format, one after the other: the page draws in between.
async fn in_format(model: Model, format: WeightFormat) -> Model {
    if format == model.weights.format {
        return model;
    }
    // Nobody else has them yet.
    let mut weights = Arc::unwrap_or_clone(model.weights);
    weights.format = format;
    for layer in &mut weights.layers {
        for (_, matrix) in layer.matrices_mut() {
            *matrix = matrix.converted(format);
        }
        breathe().await;
    }
    weights.embedding = weights.embedding.converted(format);
    breathe().await;
    weights.lm_head = weights.lm_head.map(|head| head.converted(format));
    let weights = Arc::new(weights);
    Model { weights, ..model }
}

/// What people copy out of their browser, as the address of the files.
fn hub_address(typed: &str) -> String {
    let address = typed.trim().trim_end_matches('/');
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let address = address
        .replace("/blob/", "/resolve/")
        .replace("/tree/", "/resolve/");
    let host = "https://huggingface.co/";
    match address.strip_prefix(host) {
        Some(path) if path.split('/').count() == 2 => format!("{address}/resolve/main"),
        _ => address,
    }
}

/// Whether another host may be asked: over https, or on this machine.
fn check_address(address: &str) -> Result<(), LoadError> {
    let starts = ["https://", "http://127.0.0.1", "http://localhost"];
    let is_asked = starts.iter().any(|start| address.starts_with(start));
    is_asked.then_some(()).ok_or_else(|| LoadError::Address {
        found: address.into(),
    })
}

/// The host that an address asks; `None` where it cannot be asked.
pub fn host_of(address: &str) -> Option<String> {
    let address = hub_address(address);
    check_address(&address).ok()?;
    let (_, rest) = address.split_once("://")?;
    let host = rest.split('/').next()?;
    (!host.is_empty()).then(|| host.into())
}

fn is_gguf(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".gguf")
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn stem(path: &str) -> &str {
    let name = last_part(path);
    match is_gguf(name) {
        true => &name[..name.len() - ".gguf".len()],
        false => name,
    }
}

/// A name that can stand in an address and be a folder.
fn plain(name: &str) -> String {
    let kept = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '-',
    };
    let name: String = name.chars().map(kept).collect();
    match name.trim_matches(['.', '-']) {
        "" => "model".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(paths: &[&str]) -> Result<Vec<String>, String> {
        let wanted = wanted(paths.iter().copied()).map_err(|error| error.to_string())?;
        Ok(wanted.into_iter().map(|at| paths[at].to_string()).collect())
    }

    #[test]
    fn a_folder_is_read_texts_first_and_nothing_beside_it() {
        let folder = [
            "m/README.md",
            "m/model.safetensors",
            "m/tokenizer.json",
            "m/config.json",
            "m/ccot/contemplation.safetensors",
        ];
        let expected = ["m/config.json", "m/tokenizer.json", "m/model.safetensors"];
        assert_eq!(chosen(&folder).expect("a model"), expected);
        assert_eq!(
            chosen(&["a.GGUF", "notes.txt"]).expect("a file"),
            ["a.GGUF"]
        );
        let shards = [
            "b-2.safetensors",
            "b-1.safetensors",
            "config.json",
            "tokenizer.json",
        ];
        assert_eq!(chosen(&shards).expect("shards").len(), 4);
        let error = chosen(&["config.json", "model.safetensors"]).expect_err("no tokenizer");
        assert!(
            error.contains("found config.json, model.safetensors"),
            "{error}"
        );
    }

    #[test]
    fn an_address_is_asked_where_its_files_lie() {
        let files = "https://huggingface.co/a/B-1/resolve/main";
        for typed in [
            "https://huggingface.co/a/B-1",
            " https://huggingface.co/a/B-1/tree/main/ ",
            "https://huggingface.co/a/B-1/resolve/main?download=true",
        ] {
            assert_eq!(hub_address(typed), files, "{typed}");
            let name = Source::Address(typed.into()).name();
            assert_eq!(name.expect("an address"), "B-1");
        }
        let gguf = Source::Address("https://host/x/blob/main/q4_1.gguf".into());
        assert_eq!(gguf.name().expect("an address"), "q4_1");
        assert_eq!(host_of("https://host/x"), Some("host".into()));
        assert_eq!(host_of("http://host/x"), None);
        let error = Source::Address("ftp://x".into()).name().expect_err("no");
        assert!(error.to_string().contains("https://"));
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(plain("Smol LM:2;é"), "Smol-LM-2");
        assert_eq!(plain(".."), "model");
    }

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
