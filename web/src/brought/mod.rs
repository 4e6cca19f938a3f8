//! Models that visitors bring: read from files, from this site or from an address, kept in the
//! browser for the next visit.

mod files;
mod known;
mod names;
mod pour;
mod shelf;
mod source;

pub use files::read;
pub use known::{KnownModels, Manifest, ModelFile, SiteModel, Storage};
pub use names::host_of;
pub use source::Source;

use latent_gpu::WeightMemory;
use latent_model::{checkpoint::WeightFormat, model::Model, tasks::free_text};
use leptos::prelude::*;
use wasm_bindgen::{JsCast, prelude::*};

use self::{
    files::{BINDING, fitting_format, is_weights, model_in},
    names::hub_address,
    shelf::Shelf,
};
use crate::{
    browser::{breathe, webgpu_obstacle},
    catalogue::SiteCatalogue,
    chunk::brought_model,
    load::{Download, Downloading, LoadError, append, room_for, text},
    notice::{Notice, Notices, Topic},
    take_away::streams_digest,
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
        let is_on_site = self
            .on_site
            .with_value(|models| models.iter().any(|model| model.name == name));
        match is_on_site || self.manifest(name).is_some() {
            true => Some(brought_model(self, name.into()).await),
            false => None,
        }
    }

    fn manifest(self, name: &str) -> Option<Manifest> {
        self.models
            .with_untracked(|models| models.iter().find(|known| known.name == name).cloned())
    }

    /// Reads a model of this name that was kept, or is beside the page.
    ///
    /// # Errors
    /// If there is none, or it does not arrive.
    pub async fn read_known(self, name: &str) -> Result<Model, LoadError> {
        if let Some(manifest) = self.manifest(name) {
            return self.load_kept(&manifest).await;
        }
        let mut on_site = self.on_site.get_value().into_iter();
        match on_site.find(|model| model.name == name) {
            Some(model) => Ok(self.open(Source::Site(model)).await?.model),
            None => Err(LoadError::NoModel { found: name.into() }),
        }
    }

    async fn load_kept(self, manifest: &Manifest) -> Result<Model, LoadError> {
        self.downloading.begin();
        let files = self.kept_files(manifest).await;
        self.downloading.end();
        let mut formats = WeightFormat::ALL.into_iter();
        let format = formats.find(|format| format.name() == manifest.format);
        model_in(&manifest.name, files?, |_| format.unwrap_or_default()).await
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
        let choose = |model: &Model| match (self.format.get_untracked(), webgpu_obstacle()) {
            (FormatChoice::Of(format), _) => format,
            // The CPU reads files as they are.
            (FormatChoice::Fitting, Some(_)) => WeightFormat::F32,
            (FormatChoice::Fitting, None) => fitting_format(model),
        };
        let model = model_in(name, files, choose).await?;
        let format = model.weights.format;
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
        Ok(Opened { model, manifest })
    }

    /// SHA-256 of a model's weights as they are kept, file by file, as the command line has it; `None`
    /// where they are not kept, or the browser computes none.
    pub async fn digest(self, name: &str) -> Option<String> {
        let manifest = self.manifest(name)?;
        let mut streams = Vec::new();
        for file in manifest.files.iter().filter(|file| is_weights(&file.name)) {
            streams.push(kept_stream(&manifest.folder, &file.name).await.ok()?);
        }
        streams_digest(streams).await
    }

    /// The folder of a model that is known.
    fn folder_of(self, name: &str) -> Option<String> {
        self.manifest(name).map(|known| known.folder)
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
}
