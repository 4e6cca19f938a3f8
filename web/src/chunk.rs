//! The parts of the program that come when they are asked for: `cargo xtask split` makes a chunk of
//! all functions of a name here and of whatever they alone need.
//!
//! What calls one of them waits for its chunk; one that did not come is asked for again by the next
//! call. The code that the page starts with must reach what is in a chunk by these functions alone,
//! or else it is no longer there: `most_gzip_kb` in `crates/cli/bench/page.json` notices.

use futures::future::LocalBoxFuture;
use latent_model::model::{Model, ModelFiles};
use leptos::prelude::AnyView;
use wasm_split_helpers::{SplitLoaderError, wasm_split};

use crate::{
    analysis::Analysis,
    brought::{Brought, Opened, Source, read},
    components::{self, Guide, Panel},
    load::LoadError,
    session::SessionError,
};

/// A part of the program that did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of the page's program did not arrive")]
pub struct MissingChunk;

impl From<SplitLoaderError> for MissingChunk {
    fn from(_: SplitLoaderError) -> Self {
        // The browser's console has the details.
        Self
    }
}

impl From<SplitLoaderError> for LoadError {
    fn from(error: SplitLoaderError) -> Self {
        Self::Chunk(error.into())
    }
}

impl From<SplitLoaderError> for SessionError {
    fn from(error: SplitLoaderError) -> Self {
        LoadError::from(error).into()
    }
}

type Reading = LocalBoxFuture<'static, Result<Model, LoadError>>;

/// Reads a model out of a folder's files, whatever its tokenizer; the page draws in between.
#[wasm_split(
    models,
    fallible,
    return_wrapper(let reading = _; { reading.await } -> Result<Model, LoadError>)
)]
pub fn any_model(name: String, files: ModelFiles) -> Reading {
    Box::pin(async move { read(&name, &files).await })
}

/// Reads a model that was brought before, or is beside the page.
#[wasm_split(
    models,
    fallible,
    return_wrapper(let reading = _; { reading.await } -> Result<Model, LoadError>)
)]
pub fn brought_model(brought: Brought, name: String) -> Reading {
    Box::pin(async move { brought.read_known(&name).await })
}

/// Reads what somebody opens, and keeps it on the way.
#[wasm_split(
    models,
    fallible,
    return_wrapper(let opening = _; { opening.await } -> Result<Opened, LoadError>)
)]
pub fn open_model(
    brought: Brought,
    source: Source,
) -> LocalBoxFuture<'static, Result<Opened, LoadError>> {
    Box::pin(brought.open(source))
}

/// The tokens of a user's message in a model's chat.
#[wasm_split(models, fallible)]
pub fn chat_prompt(model: &Model, message: &str) -> Result<Vec<u32>, SessionError> {
    model.chat_prompt(message).map_err(SessionError::Chat)
}

/// Draws a panel.
pub type Draw = fn(Panel) -> AnyView;

/// What draws the panels that nobody sees at first.
#[wasm_split(panels, fallible)]
pub fn draw() -> Result<Draw, MissingChunk> {
    Ok(components::draw)
}

/// Puts a chapter's set-up in place of the page's.
#[wasm_split(panels, fallible)]
pub fn open_chapter(guide: Guide, number: usize) -> Result<(), MissingChunk> {
    guide.open(number);
    Ok(())
}

/// Asks about the lanes of the page's finished run.
#[wasm_split(
    panels,
    fallible,
    return_wrapper(let looking = _; { looking.await } -> Result<(), SessionError>)
)]
pub fn look(analysis: Analysis, turn: u32) -> LocalBoxFuture<'static, Result<(), SessionError>> {
    Box::pin(analysis.look(turn))
}
