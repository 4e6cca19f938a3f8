//! Fetches checkpoints and examples from the page's own site, with progress.

use std::{fmt, pin::pin};

use futures::{
    StreamExt,
    future::{Either, select},
};
use gloo::net::http::{Request, Response};
use latent_model::{
    checkpoint::{CheckpointError, shard_names},
    contemplation::{self, ContemplationFiles},
    gguf::GgufError,
    model::{Model, ModelError, ModelFiles},
};
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_streams::ReadableStream;
use web_sys::{ReferrerPolicy, RequestCredentials};

use crate::{
    browser::{now_ms, sleep_ms},
    chunk::{MissingChunk, any_model},
};

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
    /// The network was cut before the end.
    #[error("{url} was cut off: expected {expected} bytes, found {found}")]
    Cut {
        /// What was asked for.
        url: String,
        /// As was announced.
        expected: u64,
        /// As arrived.
        found: u64,
    },
    /// More than this page can hold.
    #[error("{:.0} MB do not fit into this page's memory", *n_bytes as f64 / 1e6)]
    Memory {
        /// The size of the file.
        n_bytes: u64,
    },
    /// The visitor does not want it any more.
    #[error("{name} is not loaded: it was stopped")]
    Stopped {
        /// What was being loaded.
        name: String,
    },
    /// What was picked or dropped is no model.
    #[error(
        "expected a .gguf file, or config.json, tokenizer.json and *.safetensors; found {found}"
    )]
    NoModel {
        /// The names of the files.
        found: String,
    },
    /// An address that cannot be asked.
    #[error("expected an address that begins with https://, found {found:?}")]
    Address {
        /// What was typed.
        found: String,
    },
    /// A file that was picked cannot be read, or one that was kept is gone.
    #[error("cannot read {file}: {reason}")]
    File {
        /// Its name.
        file: String,
        /// The browser's words.
        reason: String,
    },
    /// A checkpoint that cannot be used.
    #[error("checkpoint {name}: {reason}")]
    Model {
        /// The checkpoint's name.
        name: String,
        /// What is wrong.
        reason: Box<ModelError>,
    },
    /// A GGUF file that cannot be used.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The part of the program that opens it.
    #[error(transparent)]
    Chunk(#[from] MissingChunk),
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

/// What is being downloaded, if anything, and whether it is still wanted.
#[derive(Clone, Copy, Default)]
pub struct Downloading {
    /// How far it has come.
    pub now: RwSignal<Option<Download>>,
    is_stopped: RwSignal<bool>,
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
    /// When it began.
    pub since_ms: f64,
    /// Whether the visitor may stop it.
    pub can_stop: bool,
}

impl Download {
    /// Nothing of a file yet.
    pub fn of(name: String, total: Option<u64>, can_stop: bool) -> Self {
        Self {
            name,
            received: 0,
            total,
            since_ms: now_ms(),
            can_stop,
        }
    }

    /// It, if all of it has come.
    ///
    /// # Errors
    /// If less has come than was announced.
    pub fn whole(self) -> Result<Self, LoadError> {
        match self.total {
            Some(expected) if expected > self.received => Err(LoadError::Cut {
                url: self.name,
                expected,
                found: self.received,
            }),
            _ => Ok(self),
        }
    }

    /// Seconds until it is there, at the speed so far; `None` while nobody can tell.
    pub fn seconds_left(&self, now_ms: f64) -> Option<f64> {
        let seconds = (now_ms - self.since_ms) / 1e3;
        let rest = self.total?.checked_sub(self.received)? as f64;
        (seconds > 1.0 && self.received > 0).then(|| rest * seconds / self.received as f64)
    }
}

impl Downloading {
    /// Another download begins, which is wanted.
    pub fn begin(self) {
        self.is_stopped.set(false);
    }

    /// Nothing is downloaded any more.
    pub fn end(self) {
        self.now.set(None);
    }

    /// The visitor does not want what is being downloaded.
    pub fn stop(self) {
        self.is_stopped.set(true);
    }

    /// Comes once the visitor has stopped it.
    async fn stopped(self) {
        while !self.is_stopped.get_untracked() {
            sleep_ms(100.0).await;
        }
    }

    /// Reads a stream to its end, piece by piece, unless it is stopped; shows `download` meanwhile,
    /// and returns it as it is then. What is whole is for the caller to say.
    ///
    /// # Errors
    /// If the stream breaks off, `take` refuses a piece, or the visitor has had enough.
    pub async fn pour(
        self,
        stream: web_sys::ReadableStream,
        mut download: Download,
        mut take: impl AsyncFnMut(js_sys::Uint8Array) -> Result<(), LoadError>,
    ) -> Result<Download, LoadError> {
        let mut pieces = ReadableStream::from_raw(stream).into_stream();
        let mut shown_ms = f64::NEG_INFINITY;
        loop {
            let next = pin!(pieces.next());
            let stopped = pin!(self.stopped());
            let name = || download.name.clone();
            let piece = match select(next, stopped).await {
                Either::Left((None, _)) => break,
                Either::Left((Some(piece), _)) => piece.map_err(|error| LoadError::Network {
                    url: name(),
                    reason: text(&error),
                })?,
                Either::Right(_) => return Err(LoadError::Stopped { name: name() }),
            };
            let piece: js_sys::Uint8Array = piece.unchecked_into();
            download.received += u64::from(piece.length());
            take(piece).await?;
            // Pieces may be small, and a bar needs no more than some pictures a second.
            if now_ms() - shown_ms > 50.0 {
                shown_ms = now_ms();
                self.now.set(Some(download.clone()));
            }
        }
        Ok(download)
    }
}

/// Reads a JSON file of the site.
pub async fn fetch_json<T: serde::de::DeserializeOwned>(url: &str) -> Result<T, LoadError> {
    let bytes = fetch_bytes(url).await?;
    serde_json::from_slice(&bytes).map_err(|reason| LoadError::Json {
        url: url.into(),
        reason,
    })
}

/// Reads a file of the site.
pub async fn fetch_file(url: &str) -> Result<Vec<u8>, LoadError> {
    fetch_bytes(url).await
}

/// Reads the checkpoint in the folder `models/name`, with CCOT's adapters of a folder in it where
/// one is named, and tells how far it has come.
pub async fn fetch_model(
    name: &str,
    adapters: Option<&str>,
    downloading: Downloading,
) -> Result<Model, LoadError> {
    downloading.begin();
    let fetched = fetch_files(name, adapters, downloading).await;
    downloading.end();
    let wrong = |reason: ModelError| LoadError::Model {
        name: name.into(),
        reason: reason.into(),
    };
    let files = fetched?;
    match Model::of_words(&files) {
        Some(read) => read.map_err(wrong),
        // Whoever builds a site may put any checkpoint there.
        None => any_model(name.into(), files).await,
    }
}

/// The files of a checkpoint, weights last.
async fn fetch_files(
    name: &str,
    adapters: Option<&str>,
    downloading: Downloading,
) -> Result<ModelFiles, LoadError> {
    let url = |file: &str| format!("models/{name}/{file}");
    let config = fetch_text(&url("config.json")).await?;
    let tokenizer = fetch_text(&url("tokenizer.json")).await?;
    let generation_config = match fetch_text(&url("generation_config.json")).await {
        // A checkpoint from elsewhere may do without.
        Err(LoadError::Missing { .. }) => None,
        found => Some(found?),
    };
    let fetch_weights = async |file: String| {
        let shown = Download::of(format!("{name}/{file}"), None, false);
        let bytes = fetch_shown(&url(&file), shown, downloading).await?;
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
    let bytes = fetch_bytes(url).await?;
    String::from_utf8(bytes).map_err(|_| LoadError::Utf8 { url: url.into() })
}

/// Reads a file and shows how far it has come.
async fn fetch_shown(
    url: &str,
    shown: Download,
    downloading: Downloading,
) -> Result<Vec<u8>, LoadError> {
    let answer = answer(url).await?;
    let download = Download {
        total: answer.total,
        ..shown
    };
    let mut bytes = room_for(answer.total.unwrap_or(0))?;
    if let Some(body) = answer.body {
        let take = async |piece: js_sys::Uint8Array| append(&mut bytes, &piece);
        downloading.pour(body, download, take).await?.whole()?;
    }
    match answer.is_page || is_page(&bytes) {
        true => Err(LoadError::missing(url, Absence::Page)),
        false => Ok(bytes),
    }
}

/// Room for a file of this size: what is announced may be anything, and a page that asks for more
/// memory than there is comes to an end.
///
/// # Errors
/// If there is not so much.
pub fn room_for(n_bytes: u64) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    let n_bytes_here = usize::try_from(n_bytes).unwrap_or(usize::MAX);
    let reserved = bytes.try_reserve_exact(n_bytes_here);
    reserved.map_err(|_| LoadError::Memory { n_bytes })?;
    Ok(bytes)
}

/// Appends a piece, which is copied once.
///
/// # Errors
/// If there is no memory left for it.
pub fn append(bytes: &mut Vec<u8>, piece: &js_sys::Uint8Array) -> Result<(), LoadError> {
    let n_received = bytes.len();
    let n_new = piece.length() as usize;
    let reserved = bytes.try_reserve(n_new);
    reserved.map_err(|_| LoadError::Memory {
        n_bytes: (n_received + n_new) as u64,
    })?;
    bytes.resize(n_received + n_new, 0);
    piece.copy_to(&mut bytes[n_received..]);
    Ok(())
}

/// What a site answers, before its bytes.
pub struct Answer {
    /// Its bytes, where there are any.
    pub body: Option<web_sys::ReadableStream>,
    /// How many it announces.
    pub total: Option<u64>,
    /// Whether it says that it is a page of HTML.
    pub is_page: bool,
}

/// Asks for a file, of this site or of another one, which is told nothing of the visitor.
///
/// # Errors
/// If the site does not answer, or answers with an error.
pub async fn answer(url: &str) -> Result<Answer, LoadError> {
    let request = Request::get(url)
        .credentials(RequestCredentials::SameOrigin)
        .referrer_policy(ReferrerPolicy::NoReferrer);
    let response = request.send().await;
    let response = response.map_err(|error| LoadError::Network {
        url: url.into(),
        reason: error.to_string(),
    })?;
    match response.status() {
        status @ (404 | 410) => return Err(LoadError::missing(url, Absence::Status(status))),
        _ if response.ok() => {}
        status => {
            let url = url.into();
            return Err(LoadError::Status { url, status });
        }
    }
    let content_type = response.headers().get("content-type");
    Ok(Answer {
        total: content_length(&response),
        is_page: content_type.is_some_and(|text| is_html(&text)),
        body: response.body(),
    })
}

impl LoadError {
    /// A file that is not there.
    pub fn missing(url: &str, absence: Absence) -> Self {
        let url = url.into();
        Self::Missing { url, absence }
    }
}

/// Reads a file that nobody waits for.
async fn fetch_bytes(url: &str) -> Result<Vec<u8>, LoadError> {
    let unseen = Downloading::default();
    fetch_shown(url, Download::of(url.into(), None, false), unseen).await
}

fn is_html(content_type: &str) -> bool {
    let content_type = content_type.trim_start().to_ascii_lowercase();
    content_type.starts_with("text/html")
}

/// Whether these bytes are a page of HTML, which no file that the page asks for is.
pub fn is_page(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).to_ascii_lowercase();
    let head = head.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    head.starts_with("<!doctype html") || head.starts_with("<html")
}

/// The size that the site announces; a compressed answer announces another one.
fn content_length(response: &Response) -> Option<u64> {
    if response.headers().get("content-encoding").is_some() {
        return None;
    }
    response.headers().get("content-length")?.parse().ok()
}

/// The browser's words for what went wrong, without a full stop: the page's sentence goes on behind them.
pub fn text(error: &JsValue) -> String {
    let mut text = error.dyn_ref::<js_sys::Error>().map_or_else(
        || format!("{error:?}"),
        |error| String::from(error.message()),
    );
    if text.ends_with('.') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_place_of_a_file_is_told_from_the_file() {
        let page = b"\xef\xbb\xbf\n<!DOCTYPE html><html lang=\"en\">";
        assert!(is_html("text/html; charset=utf-8") && is_html("TEXT/HTML"));
        assert!(!is_html("application/json"));
        assert!(is_page(page), "whatever the server calls it");
        assert!(!is_page(b"{\"models\": []}"));
        // The length of a safetensors header may begin as a tag does.
        assert!(!is_page(b"<\0\0\0\0\0\0\0{\"a\""));
        assert!(!is_page(b""));
    }

    #[test]
    fn the_time_that_is_left_follows_from_the_speed_so_far() {
        let mut download = Download {
            name: String::new(),
            received: 25,
            total: Some(100),
            since_ms: 1000.0,
            can_stop: true,
        };
        assert_eq!(download.seconds_left(3000.0), Some(6.0));
        assert_eq!(download.seconds_left(1500.0), None, "too soon to tell");
        download.total = None;
        assert_eq!(download.seconds_left(3000.0), None);
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
