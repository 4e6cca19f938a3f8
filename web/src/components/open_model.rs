//! Models that visitors bring: the ways to open one, those that are kept, and recorded runs for
//! whoever has none.

use latent_model::{checkpoint::WeightFormat, tasks::Picture};
use leptos::{ev, prelude::*, task::spawn_local};

use crate::{
    brought::{Brought, FormatChoice, Manifest, SiteModel, Source, Storage, host_of},
    browser::{focus_test_id, in_next_frame_of_page},
    catalogue::{ShippedRecording, SiteCatalogue},
    load::fetch_file,
    notice::{Notice, Notices, Topic},
    page_signals::PageSignals,
    playback::OpenRecording,
    words::{fill, words},
};

/// Opens a model that somebody brings, and puts it on the page.
#[derive(Clone, Copy)]
pub struct OpenModel(pub Callback<Source>);

/// Shows a model that is known on the page.
#[derive(Clone, Copy)]
pub struct ShowModel(pub Callback<String>);

/// Forgets a model.
#[derive(Clone, Copy)]
pub struct ForgetModel(pub Callback<String>);

/// Takes up what is picked or dropped: a recording plays, anything else is a model.
#[derive(Clone, Copy)]
pub struct Taker {
    recording: OpenRecording,
    model: OpenModel,
    notices: Notices,
}

impl Taker {
    /// Of the page that a component is on.
    pub fn of_page() -> Self {
        Self {
            recording: expect_context(),
            model: expect_context(),
            notices: expect_context(),
        }
    }

    /// Takes up the files of an event.
    pub fn take(self, event: web_sys::Event) {
        spawn_local(async move {
            match Source::picked(&event).await {
                Some(Ok(source)) => match source.recording().await {
                    Some(bytes) => self.recording.0.run(bytes),
                    None => self.model.0.run(source),
                },
                Some(Err(error)) => {
                    self.notices
                        .show(Topic::Brought, Notice::not_opened(&error));
                }
                None => {}
            }
        });
    }
}

/// Whether nothing can run before somebody opens a model.
pub fn needs_model(signals: PageSignals) -> bool {
    signals.task.get().picture() == Picture::Text && signals.lanes.get().is_empty()
}

/// The panel: open where nothing runs without a model, folded elsewhere.
#[component]
pub fn OpenModelPanel() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let is_open = move || needs_model(signals);
    let taker = Taker::of_page();
    view! {
        <details class="take-away open-model panel" data-testid="open-model" prop:open=is_open>
            <summary>{words().open_model}</summary>
            <p class="hint">{words().open_model_hint}</p>
            <div class="options">
                <label class="field">
                    {words().open_files}
                    <input
                        type="file"
                        multiple=true
                        data-testid="pick-files"
                        on:change=move |event| taker.take(event)
                    />
                </label>
                <label class="field">
                    {words().open_folder}
                    <input
                        type="file"
                        prop:webkitdirectory=true
                        data-testid="pick-folder"
                        on:change=move |event| taker.take(event)
                    />
                </label>
                <FormatPicker/>
            </div>
            <AddressForm/>
            <Known/>
            <Recorded/>
        </details>
    }
}

#[component]
fn FormatPicker() -> impl IntoView {
    let chosen = expect_context::<Brought>().format;
    let name = |choice: FormatChoice| match choice {
        FormatChoice::Fitting => words().format_fitting,
        FormatChoice::Of(format) => format.name(),
    };
    let all = || {
        let formats = WeightFormat::ALL.map(FormatChoice::Of);
        [FormatChoice::Fitting].into_iter().chain(formats)
    };
    let option = move |choice: FormatChoice| {
        let is_selected = move || chosen.get() == choice;
        view! { <option value=name(choice) selected=is_selected>{name(choice)}</option> }
    };
    let on_change = move |event| {
        let value = event_target_value(&event);
        if let Some(choice) = all().find(|choice| name(*choice) == value) {
            chosen.set(choice);
        }
    };
    view! {
        <label class="field" title=words().format_title>
            {words().format}
            <select data-testid="weights" on:change=on_change>{all().map(option).collect_view()}</select>
        </label>
    }
}

/// An address that is typed, and before anything is asked, which host will be.
#[component]
fn AddressForm() -> impl IntoView {
    let open = expect_context::<OpenModel>();
    let address = RwSignal::new(String::new());
    let host = Memo::new(move |_| address.with(|address| host_of(address)));
    let told = move || match (host.get(), address.with(String::is_empty)) {
        (Some(host), _) => fill(words().address_asks, &[("host", &host)]),
        (None, true) => words().address_alone.to_string(),
        (None, false) => words().address_https.to_string(),
    };
    let load = move || open.0.run(Source::Address(address.get_untracked()));
    let on_key = move |event: ev::KeyboardEvent| {
        if event.key() == "Enter" && host.get_untracked().is_some() {
            load();
        }
    };
    view! {
        <div class="options">
            <label class="field wide">
                {words().open_address}
                <input
                    type="url"
                    data-testid="model-address"
                    placeholder="https://huggingface.co/…/resolve/main"
                    prop:value=address
                    on:input=move |event| address.set(event_target_value(&event))
                    on:keydown=on_key
                />
            </label>
            <button data-testid="load-address" disabled=move || host.get().is_none() on:click=move |_| load()>
                {words().load}
            </button>
        </div>
        <p class="hint" role="status" data-testid="address-asks">{told}</p>
    }
}

/// The models that are known, each with what it takes.
#[component]
fn Known() -> impl IntoView {
    let brought = expect_context::<Brought>();
    let show = expect_context::<ShowModel>();
    let forget = expect_context::<ForgetModel>();
    let kept_where = move || match brought.storage.get_value() {
        Storage::Opfs => words().kept_in_files,
        Storage::Cache => words().kept_in_cache,
        Storage::Nowhere => words().no_storage,
    };
    let known = move |manifest: Manifest| {
        let Manifest { name, memory, .. } = manifest.clone();
        let size = megabytes(manifest.bytes());
        let place = match brought.is_unkept(&name) {
            true => words().only_now,
            false => words().kept,
        };
        let (shown, forgotten) = (name.clone(), name.clone());
        let forget = move |_| {
            forget.0.run(forgotten.clone());
            // The button is gone; what opens another model is near.
            in_next_frame_of_page(|| focus_test_id(&["pick-files"]));
        };
        view! {
            <li data-testid="known-model">
                <b>{name.clone()}</b>
                <span>{format!("{size}, {place}. {memory}.")}</span>
                <button
                    data-testid=format!("show-{name}")
                    aria-label=format!("{} {name}", words().use_model)
                    on:click=move |_| show.0.run(shown.clone())
                >
                    {words().use_model}
                </button>
                <button
                    class="quiet"
                    data-testid=format!("forget-{name}")
                    aria-label=format!("{} {name}", words().forget_model)
                    on:click=forget
                >
                    {words().forget_model}
                </button>
            </li>
        }
    };
    let on_site = move |model: SiteModel| {
        let name = model.name.clone();
        view! {
            <li data-testid="site-model">
                <b>{model.name.clone()}</b>
                <span>{fill(words().beside_the_page, &[("size", &megabytes(model.bytes))])}</span>
                <button
                    data-testid=format!("load-{name}")
                    aria-label=format!("{} {name}", words().load)
                    on:click=move |_| show.0.run(name.clone())
                >
                    {words().load}
                </button>
            </li>
        }
    };
    let unloaded = move || {
        let loaded = brought.models.get();
        let mut models = brought.on_site.get_value();
        models.retain(|model| loaded.iter().all(|known| known.name != model.name));
        models
    };
    let is_empty = move || brought.models.with(Vec::is_empty);
    view! {
        <ul class="known-models">
            {move || unloaded().into_iter().map(on_site).collect_view()}
            {move || brought.models.get().into_iter().map(known).collect_view()}
        </ul>
        <Show when=move || !is_empty()>
            <p class="hint" data-testid="kept-where">{kept_where}</p>
        </Show>
    }
}

/// Runs that were recorded, for whoever has no model yet.
#[component]
fn Recorded() -> impl IntoView {
    let site = expect_context::<SiteCatalogue>();
    let brought = expect_context::<Brought>();
    let open = expect_context::<OpenRecording>();
    let notices = expect_context::<Notices>();
    let recordings = site.recordings.get_value();
    let is_shown = !recordings.is_empty();
    let play = move |file: String| {
        spawn_local(async move {
            match fetch_file(&format!("recordings/{file}")).await {
                Ok(bytes) => open.0.run(bytes),
                Err(error) => notices.show(Topic::Run, Notice::bad_recording(&error)),
            }
        });
    };
    let button = move |recording: ShippedRecording| {
        let ShippedRecording {
            file,
            title,
            model,
            command,
        } = recording;
        let testid = format!("play-{}", file.trim_end_matches(".latent"));
        view! {
            <button data-testid=testid lang="en" title=command on:click=move |_| play(file.clone())>
                {format!("▶ {title} ({model})")}
            </button>
        }
    };
    let has_model = move || brought.models.with(|models| !models.is_empty());
    is_shown.then(move || {
        view! {
            <Show when=move || !has_model()>
                <p class="hint">{words().recorded_runs}</p>
                <div class="options" data-testid="recorded-runs">
                    {recordings.clone().into_iter().map(button).collect_view()}
                </div>
            </Show>
        }
    })
}

fn megabytes(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        size if size < 10.0 => format!("{size:.1} MB"),
        size => format!("{size:.0} MB"),
    }
}
