//! The header: which engine runs, whether it agrees with the CPU, and how the page looks.

use gloo::storage::{LocalStorage, Storage};
use latent_model::address::Language;
use leptos::prelude::*;

use crate::{
    page_signals::PageSignals,
    page_state::EngineChoice,
    startup::{EngineReport, Mood, Reports, TestReport, UseEngine},
    words::{current_language, fill, tag, words},
};

/// Where the browser keeps the choice of language, which `start.js` reads, of theme and letter size.
const LANGUAGE_KEY: &str = "latent-playground.language";
const THEME_KEY: &str = "latent-playground.theme";
const LARGE_KEY: &str = "latent-playground.large";

/// Title, engine, self-test, and the switches for light, dark and large letters.
#[component]
pub fn Header() -> impl IntoView {
    view! {
        <header class="top" data-testid="header">
            <h1>"Latent Playground"</h1>
            <p class="tagline">{words().tagline}</p>
            <span class="spring"></span>
            <div class="badges">
                <EngineBadge/>
                <SelfTestBadge/>
            </div>
            <Looks/>
        </header>
    }
}

/// Which engine runs and why, with the visitor's own choice.
#[component]
fn EngineBadge() -> impl IntoView {
    let reports = expect_context::<Reports>();
    let use_engine = expect_context::<UseEngine>();
    let chosen = expect_context::<PageSignals>().engine;
    let is_reference = move || matches!(reports.engine.get(), EngineReport::Reference(_));
    let text = move || match reports.engine.get() {
        EngineReport::Opening => words().opening_gpu.to_string(),
        EngineReport::Trying => words().trying_gpu.to_string(),
        EngineReport::Gpu { adapter, .. } => fill(words().engine_gpu, &[("adapter", &adapter)]),
        EngineReport::Reference(_) => words().engine_reference.to_string(),
        EngineReport::Playing => words().engine_plays.to_string(),
    };
    let title = move || match reports.engine.get() {
        EngineReport::Reference(why) => fill(words().no_gpu_used, &[("reason", &why.text())]),
        EngineReport::Gpu { measured, .. } => {
            let measured = measured.map_or(String::new(), |found| found.sentence());
            format!("{}. {measured}", words().engine_gpu_title)
        }
        EngineReport::Opening | EngineReport::Trying | EngineReport::Playing => String::new(),
    };
    let option = move |(choice, label): (EngineChoice, &'static str)| {
        let is_selected = move || chosen.get() == choice;
        view! { <option value=choice.to_string() selected=is_selected>{label}</option> }
    };
    let options = [
        (EngineChoice::Auto, words().engine_auto),
        (EngineChoice::Gpu, words().engine_choose_gpu),
        (EngineChoice::Reference, words().engine_choose_cpu),
    ];
    let on_change = move |event| {
        if let Ok(choice) = event_target_value(&event).parse() {
            use_engine.0.run(choice);
        }
    };
    view! {
        <span class="badge" class:is-slow=is_reference title=title>
            <span data-testid="engine">{text}</span>
            <select data-testid="engine-choice" aria-label=words().engine_choice on:change=on_change>
                {options.map(option).collect_view()}
            </select>
        </span>
    }
}

#[component]
fn SelfTestBadge() -> impl IntoView {
    let reports = expect_context::<Reports>();
    let text = move || reports.self_test.with(TestReport::sentence);
    let looks = move || match reports.self_test.with(TestReport::mood) {
        Mood::Good => ("good", "✓ "),
        Mood::Bad => ("bad", "✗ "),
        Mood::Plain => ("plain", ""),
    };
    view! {
        <span class="badge" data-mood=move || looks().0>
            <span aria-hidden="true">{move || looks().1}</span>
            <span data-testid="self-test" role="status">{text}</span>
        </span>
    }
}

/// The other of the page's two languages.
fn other(language: Language) -> Language {
    match language {
        Language::English => Language::German,
        Language::German => Language::English,
    }
}

/// The page's languages, light or dark, and letters for a projector.
#[component]
fn Looks() -> impl IntoView {
    let prefers_dark = window()
        .match_media("(prefers-color-scheme: dark)")
        .ok()
        .flatten()
        .is_some_and(|query| query.matches());
    let kept: Option<String> = LocalStorage::get(THEME_KEY).ok();
    let was_dark = kept.map_or(prefers_dark, |theme| theme == "dark");
    let was_large = LocalStorage::get(LARGE_KEY).unwrap_or(false);
    // What the address says, which is what somebody wanted to show, comes before what was kept.
    let signals = expect_context::<PageSignals>();
    let is_dark = Memo::new(move |_| signals.is_dark.get().unwrap_or(was_dark));
    let is_large = Memo::new(move |_| signals.is_large.get().unwrap_or(was_large));
    let theme = move || if is_dark.get() { "dark" } else { "light" };
    Effect::new(move |_| {
        let Some(root) = document().document_element() else {
            return;
        };
        let size = if is_large.get() { "large" } else { "normal" };
        // Setting an attribute with a valid name cannot fail.
        let _ = root.set_attribute("data-theme", theme());
        let _ = root.set_attribute("data-size", size);
    });
    let toggle_theme = move |_| {
        signals.is_dark.set(Some(!is_dark.get_untracked()));
        // A browser that keeps nothing forgets the choice; that is all.
        let _ = LocalStorage::set(THEME_KEY, theme());
    };
    let toggle_size = move |_| {
        signals.is_large.set(Some(!is_large.get_untracked()));
        let _ = LocalStorage::set(LARGE_KEY, is_large.get_untracked());
    };
    let other_language = move || match signals.language.get() {
        Some(language) => other(language),
        None => other(current_language()),
    };
    let toggle_language = move |_| {
        let language = untrack(other_language);
        let _ = LocalStorage::set(LANGUAGE_KEY, tag(language));
        signals.language.set(Some(language));
    };
    view! {
        <button
            class="quiet"
            data-testid="language"
            title=words().language
            aria-label=move || {
                format!("{}: {}", words().language, tag(other_language()).to_uppercase())
            }
            on:click=toggle_language
        >
            {move || tag(other_language()).to_uppercase()}
        </button>
        <button
            class="quiet"
            data-testid="size"
            aria-pressed=move || is_large.get().to_string()
            title=words().large_title
            aria-label=words().large
            on:click=toggle_size
        >
            "A"<span class="big-a">"A"</span>
        </button>
        <button
            class="quiet"
            data-testid="theme"
            title=words().theme_title
            aria-label=words().theme_label
            on:click=toggle_theme
        >
            {move || if is_dark.get() { "☀" } else { "☾" }}
        </button>
    }
}
