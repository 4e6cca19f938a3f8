//! Where one model is kept while it is read.

use wasm_bindgen::JsValue;

use super::{
    Manifest, abort_file, begin_file, end_file, forget_model, keep_manifest, room_left, write_piece,
};
use crate::{
    load::text,
    words::{fill, words},
};

/// Where one model is kept while it is read; what goes wrong there ends the keeping, and not the
/// reading.
pub(super) struct Shelf {
    pub(super) folder: String,
    pub(super) failure: Option<String>,
    pub(super) is_begun: bool,
    pub(super) open: Option<JsValue>,
}

impl Shelf {
    pub(super) async fn begin(&mut self, file: &str, bytes: u64) {
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

    pub(super) async fn write(&mut self, piece: &js_sys::Uint8Array) {
        if let Some(file) = &self.open
            && let Err(error) = write_piece(file, piece).await
        {
            self.failure = Some(text(&error));
            self.abort().await;
        }
    }

    pub(super) async fn end(&mut self) {
        if let Some(file) = self.open.take()
            && let Err(error) = end_file(&file).await
        {
            self.failure = Some(text(&error));
        }
    }

    pub(super) async fn abort(&mut self) {
        if let Some(file) = self.open.take() {
            abort_file(&file).await;
        }
    }

    /// What was kept of it goes.
    pub(super) async fn give_up(&mut self) {
        self.abort().await;
        if self.is_begun {
            // What stays has no manifest, so the next visit takes it away.
            let _ = forget_model(&self.folder).await;
        }
    }

    /// Makes a model that is kept of all that was; why not, where it is not.
    pub(super) async fn finish(&mut self, manifest: &Manifest) -> Option<String> {
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
