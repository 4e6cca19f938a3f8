//! What somebody wants to open.

use wasm_bindgen::{JsCast, JsValue};

use super::{
    SiteModel, bytes_of,
    files::{is_gguf, last_part},
    gathered_files,
    names::{check_address, hub_address, plain, stem},
};
use crate::{
    load::{LoadError, text},
    words::words,
};

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
    pub(super) fn name(&self) -> Result<String, LoadError> {
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
    pub(super) fn told(&self) -> String {
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
