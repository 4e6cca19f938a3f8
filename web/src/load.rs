//! Fetches checkpoints and examples from the page's own site, with progress.

use std::fmt;

use futures::StreamExt;
use gloo::net::http::{Request, Response};
use latent_model::{
    checkpoint::{CheckpointError, shard_names},
    contemplation::{self, ContemplationFiles},
    model::{Model, ModelError, ModelFiles},
};
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_streams::ReadableStream;

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
    /// The site has no such file.
    #[error("missing: {url} ({absence})")]
    Missing {
        /// Relative to the page.
        url: String,
        /// How the site says so.
        absence: Absence,
    },
    /// The site answered with another error.
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

/// How a site says that it has no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// With status 404 or 410.
    Status(u16),
    /// With a page in its place and status 200, as hosts of single-page programs do.
    Page,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answered with status {status}"),
            Self::Page => f.write_str("the server answered with a page"),
        }
    }
}

/// What is being downloaded, if anything.
#[derive(Clone, Copy, Default)]
pub struct Downloading(pub RwSignal<Option<Download>>);

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

/// Reads a file of the site.
pub async fn fetch_file(url: &str) -> Result<Vec<u8>, LoadError> {
    fetch_bytes(url, |_| {}).await
}

/// Reads the checkpoint in the folder `models/name`, with CCOT's adapters of a folder in it where
/// one is named, and tells how far it has come.
pub async fn fetch_model(
    name: &str,
    adapters: Option<&str>,
    downloading: Downloading,
) -> Result<Model, LoadError> {
    let on_progress = |download| downloading.0.set(Some(download));
    let fetched = fetch_files(name, adapters, on_progress).await;
    downloading.0.set(None);
    let wrong = |reason: ModelError| LoadError::Model {
        name: name.into(),
        reason: reason.into(),
    };
    Model::from_files(&fetched?).map_err(wrong)
}

/// The files of a checkpoint, weights last.
async fn fetch_files(
    name: &str,
    adapters: Option<&str>,
    mut on_progress: impl FnMut(Download),
) -> Result<ModelFiles, LoadError> {
    let url = |file: &str| format!("models/{name}/{file}");
    let config = fetch_text(&url("config.json")).await?;
    let tokenizer = fetch_text(&url("tokenizer.json")).await?;
    let generation_config = match fetch_text(&url("generation_config.json")).await {
        // A checkpoint from elsewhere may do without.
        Err(LoadError::Missing { .. }) => None,
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
        Err(missing @ LoadError::Missing { .. }) => {
            let files = match shards(name).await {
                // Of the two, this is the file that people expect.
                Err(LoadError::Missing { .. }) => return Err(missing),
                files => files?,
            };
            let mut weights = Vec::new();
            for file in files {
                weights.push(fetch_weights(file).await?);
            }
            weights
        }
        single => vec![single?],
    };
    let contemplation = match adapters {
        None => None,
        Some(folder) => {
            let mut files = ContemplationFiles {
                folder: folder.into(),
                contents: Default::default(),
            };
            for (file, contents) in contemplation::FILES.iter().zip(&mut files.contents) {
                (_, *contents) = fetch_weights(format!("{folder}/{file}")).await?;
            }
            Some(files)
        }
    };
    Ok(ModelFiles {
        config,
        tokenizer,
        tokenizer_config: None,
        chat_template: None,
        generation_config,
        weights,
        contemplation,
    })
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
    let missing = |absence| LoadError::Missing {
        url: url.into(),
        absence,
    };
    match response.status() {
        status @ (404 | 410) => return Err(missing(Absence::Status(status))),
        _ if response.ok() => {}
        status => {
            let url = url.into();
            return Err(LoadError::Status { url, status });
        }
    }
    let total = content_length(&response);
    let content_type = response.headers().get("content-type");
    let Some(body) = response.body() else {
        return Ok(Vec::new());
    };
    let mut pieces = ReadableStream::from_raw(body).into_stream();
    let mut bytes: Vec<u8> = Vec::with_capacity(total.unwrap_or(0) as usize);
    on_bytes((0, total));
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| failed(text(&error)))?;
        let piece: js_sys::Uint8Array = piece.unchecked_into();
        let n_received = bytes.len();
        bytes.resize(n_received + piece.length() as usize, 0);
        piece.copy_to(&mut bytes[n_received..]);
        on_bytes((bytes.len() as u64, total));
    }
    if is_page(content_type.as_deref(), &bytes) {
        return Err(missing(Absence::Page));
    }
    Ok(bytes)
}

/// Whether an answer is a page of HTML, which no file that the page asks for is.
fn is_page(content_type: Option<&str>, bytes: &[u8]) -> bool {
    let is_html = |text: &str| {
        text.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    };
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).to_ascii_lowercase();
    let head = head.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    content_type.is_some_and(is_html)
        || head.starts_with("<!doctype html")
        || head.starts_with("<html")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_place_of_a_file_is_told_from_the_file() {
        let page = b"\xef\xbb\xbf\n<!DOCTYPE html><html lang=\"en\">";
        let json = Some("application/json");
        assert!(is_page(Some("text/html; charset=utf-8"), b""));
        assert!(is_page(Some("TEXT/HTML"), b"{}"));
        assert!(is_page(None, page));
        assert!(is_page(json, page), "whatever the server calls it");
        assert!(!is_page(json, b"{\"models\": []}"));
        // The length of a safetensors header may begin as a tag does.
        assert!(!is_page(
            Some("application/octet-stream"),
            b"<\0\0\0\0\0\0\0{\"a\""
        ));
        assert!(!is_page(None, b""));
    }

    #[test]
    fn a_missing_file_is_called_missing() {
        let url = "models/a/model.safetensors";
        let text = |absence| {
            LoadError::Missing {
                url: url.into(),
                absence,
            }
            .to_string()
        };
        assert_eq!(
            text(Absence::Page),
            format!("missing: {url} (the server answered with a page)")
        );
        assert!(text(Absence::Status(404)).ends_with("(the server answered with status 404)"));
    }
}
