//! Files are poured once, into memory and onto the shelf at the same time.

use wasm_bindgen::JsValue;

use super::{
    Brought, SiteModel,
    files::{TEXTS, last_part, shards_of, wanted},
    shelf::Shelf,
    size_of_file, stream_of,
};
use crate::load::{Absence, Download, LoadError, answer, append, is_page, room_for};

impl Brought {
    pub(super) async fn picked(
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
    pub(super) async fn parts(
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
    pub(super) async fn fetched(
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
