//! Recordings on the page: the note that one plays, and the ways to open one.

use leptos::{prelude::*, task::spawn_local};

use crate::{
    playback::{LeaveRecording, OpenRecording},
    runner::Runner,
    take_away::{offer_bytes, picked_bytes},
    words::{fill, words},
};

/// Says that nothing is computed.
#[component]
pub fn PlayingNote() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let leave = expect_context::<LeaveRecording>();
    let text = move || {
        let playing = runner.playing.get()?;
        let lanes = &playing.recording.header.lanes;
        let mut engines: Vec<&str> = lanes.iter().map(|lane| &*lane.engine).collect();
        engines.dedup();
        let version = playing.recording.header.version.as_str();
        let engines = engines.join(", ");
        Some(fill(
            words().playing,
            &[("engine", &engines), ("version", version)],
        ))
    };
    view! {
        {move || text().map(|text| view! {
            <div class="message note" role="status" data-testid="playing">
                <span>{text}</span>
                <button class="primary" data-testid="leave-recording" on:click=move |_| leave.0.run(())>
                    {words().playing_leave}
                </button>
            </div>
        })}
    }
}

/// Saves the finished run, and opens a saved one.
#[component]
pub fn Recordings() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let open = expect_context::<OpenRecording>();
    let has_run = move || runner.trace_json.with(|json| !json.is_empty());
    let save = move |_| {
        spawn_local(async move {
            if let Some(bytes) = runner.recording().await {
                offer_bytes("run.latent", &bytes);
            }
        });
    };
    let on_pick = move |event: leptos::ev::Event| {
        spawn_local(async move {
            if let Some(bytes) = picked_bytes(&event).await {
                open.0.run(bytes);
            }
        });
    };
    view! {
        <button data-testid="run-recording" disabled=move || !has_run() on:click=save>
            {words().recording_save}
        </button>
        <label class="field">
            {words().recording_open}
            <input type="file" accept=".latent" data-testid="open-recording" on:change=on_pick/>
        </label>
    }
}
