//! Fetches checkpoints and examples from the page's own site, with progress.

use gloo::net::http::{Request, Response};
use latent_model::{
    checkpoint::{CheckpointError, shard_names},
    model::{Model, ModelError, ModelFiles},
};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::ReadableStreamDefaultReader;

/// A file that did not arrive, or that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The site did not answer.
    #[error("cannot fetch {url}: {reason}")]
    Network {
        /// Relative to the page.
        url: String,
        /// The browser's words.
        reason: String,
    },
    /// The site answered with an error.
    #[error("cannot fetch {url}: the site answered with status {status}")]
    Status {
        /// Relative to the page.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// Not what the name promises.
    #[error("{url}: {reason}")]
    Json {
        /// Relative to the page.
        url: String,
        /// The parser's words.
        reason: serde_json::Error,
    },
    /// A text that is not UTF-8.
    #[error("{url} is not UTF-8 text")]
    Utf8 {
        /// Relative to the page.
        url: String,
    },
    /// A checkpoint that cannot be used.
    #[error("checkpoint {name}: {reason}")]
    Model {
        /// The checkpoint's name.
        name: String,
        /// What is wrong.
        reason: Box<ModelError>,
    },
}

/// How far one file has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Download {
    /// Which file, for people.
    pub name: String,
    /// Bytes so far.
    pub received: u64,
    /// Bytes in all, where the site says so.
    pub total: Option<u64>,
}

/// Reads a JSON file of the site.
pub async fn fetch_json<T: serde::de::DeserializeOwned>(url: &str) -> Result<T, LoadError> {
    let bytes = fetch_bytes(url, |_| {}).await?;
    serde_json::from_slice(&bytes).map_err(|reason| LoadError::Json {
        url: url.into(),
        reason,
    })
}

/// Reads the checkpoint in the folder `models/name`, weights last.
pub async fn fetch_model(
    name: &str,
    mut on_progress: impl FnMut(Download),
) -> Result<Model, LoadError> {
    let url = |file: &str| format!("models/{name}/{file}");
    let config = fetch_text(&url("config.json")).await?;
    let tokenizer = fetch_text(&url("tokenizer.json")).await?;
    let generation_config = match fetch_text(&url("generation_config.json")).await {
        // A checkpoint from elsewhere may do without.
        Err(LoadError::Status { status: 404, .. }) => None,
        found => Some(found?),
    };
    let mut fetch_weights = async |file: String| {
        let url = url(&file);
        let on_bytes = |(received, total)| {
            on_progress(Download {
                name: format!("{name}/{file}"),
                received,
                total,
            });
        };
        let bytes = fetch_bytes(&url, on_bytes).await?;
        Ok((file.clone(), bytes.into()))
    };
    let weights = match fetch_weights("model.safetensors".into()).await {
        // A large checkpoint comes in shards instead.
        Err(LoadError::Status { status: 404, .. }) => {
            let mut weights = Vec::new();
            for file in shards(name).await? {
                weights.push(fetch_weights(file).await?);
            }
            weights
        }
        single => vec![single?],
    };
    let files = ModelFiles {
        config,
        tokenizer,
        generation_config,
        weights,
    };
    let wrong = |reason: ModelError| LoadError::Model {
        name: name.into(),
        reason: reason.into(),
    };
    Model::from_files(&files).map_err(wrong)
}

/// The shards that stand in place of `model.safetensors`.
async fn shards(name: &str) -> Result<Vec<String>, LoadError> {
    let json = fetch_text(&format!("models/{name}/model.safetensors.index.json")).await?;
    shard_names(&json).map_err(|reason: CheckpointError| LoadError::Model {
        name: name.into(),
        reason: Box::new(reason.into()),
    })
}

async fn fetch_text(url: &str) -> Result<String, LoadError> {
    let bytes = fetch_bytes(url, |_| {}).await?;
    String::from_utf8(bytes).map_err(|_| LoadError::Utf8 { url: url.into() })
}

/// Reads a file piece by piece; `on_bytes` gets the bytes so far, and in all if that is known.
async fn fetch_bytes(
    url: &str,
    mut on_bytes: impl FnMut((u64, Option<u64>)),
) -> Result<Vec<u8>, LoadError> {
    let failed = |reason: String| LoadError::Network {
        url: url.into(),
        reason,
    };
    let response = Request::get(url).send().await;
    let response = response.map_err(|error| failed(error.to_string()))?;
    if !response.ok() {
        return Err(LoadError::Status {
            url: url.into(),
            status: response.status(),
        });
    }
    let total = content_length(&response);
    let Some(stream) = response.body() else {
        return Ok(Vec::new());
    };
    let reader = ReadableStreamDefaultReader::new(&stream).map_err(|error| failed(text(&error)))?;
    let mut bytes = Vec::with_capacity(total.unwrap_or(0) as usize);
    on_bytes((0, total));
    loop {
        let read = JsFuture::from(reader.read()).await;
        let read = read.map_err(|error| failed(text(&error)))?;
        let field = |name: &str| js_sys::Reflect::get(&read, &JsValue::from_str(name));
        let is_done = field("done").map_err(|error| failed(text(&error)))?;
        if is_done.is_truthy() {
            return Ok(bytes);
        }
        let piece = field("value").map_err(|error| failed(text(&error)))?;
        bytes.extend(piece.unchecked_into::<js_sys::Uint8Array>().to_vec());
        on_bytes((bytes.len() as u64, total));
    }
}

/// The size that the site announces; a compressed answer announces another one.
fn content_length(response: &Response) -> Option<u64> {
    if response.headers().get("content-encoding").is_some() {
        return None;
    }
    response.headers().get("content-length")?.parse().ok()
}

fn text(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(
        || format!("{error:?}"),
        |error| String::from(error.message()),
    )
}
