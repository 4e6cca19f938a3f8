//! Messages of the page: what is being loaded, what went wrong, what is not used and why.

use leptos::prelude::*;

use crate::{
    browser::now_ms,
    load::{Download, Downloading},
    notice::{Notice, Notices, Topic},
    page_state::EngineChoice,
    startup::{EngineReport, Reports, UseEngine, WhyReference},
    words::{fill, words},
};

/// Everything that the page has to tell, above the panels.
#[component]
pub fn Messages() -> impl IntoView {
    let notices = expect_context::<Notices>();
    let downloading = expect_context::<Downloading>();
    view! {
        {move || downloading.now.get().map(|download| view! { <Loading download/> })}
        {move || {
            let shown = notices.get().into_iter();
            shown.map(|(topic, notice)| view! { <ErrorBox topic notice/> }).collect_view()
        }}
        <FallbackNote/>
    }
}

#[component]
fn Loading(download: Download) -> impl IntoView {
    let megabytes = |bytes: u64| format!("{:.2} MB", bytes as f64 / 1e6);
    let left = download.seconds_left(now_ms());
    let left = left.map_or(String::new(), |seconds| {
        let seconds = format!("{:.0}", seconds.ceil());
        format!(", {}", fill(words().time_left, &[("seconds", &seconds)]))
    });
    let (name, received) = (&*download.name, megabytes(download.received));
    let so_far = [("name", name), ("received", &received)];
    let text = match download.total.map(megabytes) {
        Some(total) => {
            let [name, received] = so_far;
            fill(
                words().loading_file_of,
                &[name, received, ("total", &total)],
            )
        }
        None => fill(words().loading_file, &so_far),
    };
    let text = format!("{text}{left}");
    let downloading = expect_context::<Downloading>();
    let stop = download.can_stop.then(|| {
        view! {
            <button data-testid="stop-loading" on:click=move |_| downloading.stop()>
                {words().stop_loading}
            </button>
        }
    });
    // Without a size, the bar only shows that something moves.
    let value = download.total.map(|_| download.received.to_string());
    let max = download.total.unwrap_or(1).to_string();
    view! {
        <div class="message loading" data-testid="loading" role="status">
            <span>{text}</span>
            <progress max=max value=value aria-label=download.name></progress>
            {stop}
        </div>
    }
}

#[component]
fn ErrorBox(topic: Topic, notice: Notice) -> impl IntoView {
    let notices = expect_context::<Notices>();
    let use_engine = expect_context::<UseEngine>();
    let offer = notice.offers_reference.then(|| {
        view! {
            <button
                class="primary"
                data-testid="use-reference"
                on:click=move |_| use_engine.0.run(EngineChoice::Reference)
            >
                {words().go_on_reference}
            </button>
        }
    });
    view! {
        <div class="message error" role="alert">
            <div data-testid="error">
                <strong>{notice.title}</strong>
                <p>{notice.detail}</p>
                <p class="advice">{notice.advice}</p>
            </div>
            {offer}
            <button class="quiet" aria-label=words().dismiss on:click=move |_| notices.clear(topic)>
                "✕"
            </button>
        </div>
    }
}

/// Says plainly that no GPU is used.
#[component]
fn FallbackNote() -> impl IntoView {
    let reports = expect_context::<Reports>();
    move || match reports.engine.get() {
        EngineReport::Reference(why) => Some(view! {
            <div class="message note" data-testid="fallback">
                <details>
                    <summary>
                        <strong>{words().fallback_title}</strong>
                        {match &why {
                            WhyReference::Faster { .. } => words().fallback_same_faster,
                            WhyReference::NoGpu(_) => words().fallback_same_slower,
                            WhyReference::Asked => words().fallback_same,
                        }}
                    </summary>
                    <span lang=matches!(why, WhyReference::NoGpu(_)).then_some("en")>{why.text()}</span>
                </details>
            </div>
        }),
        _ => None,
    }
}
