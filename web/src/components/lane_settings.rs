//! What a lane is set up with: its checkpoint and adapters, what it composes, and a control for
//! every setting of its strategy, made from the strategy table.

use latent_model::{
    catalogue::{Catalogue, Entry, folder_and_adapters},
    contemplation::ContemplationSpec,
    strategy::{Setting, Settings},
    tasks::Picture,
};
use leptos::prelude::*;

use super::{composition::CompositionEditor, guide::cited, lane::Accuracies};
use crate::{
    catalogue::SiteCatalogue,
    lanes::Lane,
    page_signals::PageSignals,
    words::{
        fill,
        tables::{lacks_text, setting_words, strategy_summary},
        words,
    },
};

/// Everything that a lane is set up with.
#[component]
pub fn LaneSettings(lane: Lane) -> impl IntoView {
    let strategy = move || lane.choice.with(|choice| choice.strategy);
    view! {
        <CheckpointPicker lane/>
        <CompositionEditor lane/>
        <SettingControls lane/>
        <p class="paper">{move || strategy_summary(strategy())} " " {move || cited(strategy().paper)}</p>
    }
}

/// All settings of the lane's strategy.
#[component]
fn SettingControls(lane: Lane) -> impl IntoView {
    let strategy = Memo::new(move |_| lane.choice.with(|choice| choice.strategy.name));
    let controls = move || {
        // Made anew for another strategy only, so that a slider in use stays.
        strategy.track();
        let settings = lane
            .choice
            .with_untracked(|choice| choice.strategy.settings);
        settings
            .iter()
            .map(|&(setting, _)| view! { <SettingControl lane setting/> })
            .collect_view()
    };
    let differs = move || {
        lane.choice
            .with(|choice| choice.clone().normalised().settings.iter().count() > 0)
    };
    view! {
        {controls}
        <button
            class="quiet"
            disabled=move || !differs()
            on:click=move |_| lane.choice.update(|choice| choice.settings = Settings::default())
        >
            {words().to_defaults}
        </button>
    }
}

#[component]
fn SettingControl(lane: Lane, setting: Setting) -> impl IntoView {
    let spec = setting.spec();
    let (label, explanation) = setting_words(setting);
    let value = move || {
        let value = lane
            .choice
            .with(|choice| choice.strategy.value(&choice.settings, setting));
        value.map_or(String::new(), |value| value.to_string())
    };
    let set = move |text: String| match text.trim().parse::<f32>() {
        Ok(new) => {
            let new = new.clamp(spec.range.0, spec.range.1);
            let new = if spec.step >= 1.0 { new.round() } else { new };
            lane.choice
                .update(|choice| choice.settings.set(setting, new));
        }
        // Text that is no number is put back to the value that counts.
        Err(_) => lane.choice.update(|_| {}),
    };
    let (low, high) = (spec.range.0.to_string(), spec.range.1.to_string());
    let step = spec.step.to_string();
    view! {
        <div class="setting">
            <label>
                {label}
                <input
                    type="range"
                    min=low.clone()
                    max=high.clone()
                    step=step.clone()
                    aria-label=label
                    prop:value=value
                    on:input=move |event| set(event_target_value(&event))
                />
                <input
                    type="number"
                    min=low
                    max=high
                    step=step
                    aria-label=fill(words().as_number, &[("label", label)])
                    prop:value=value
                    on:change=move |event| set(event_target_value(&event))
                />
            </label>
            <p>{explanation}</p>
        </div>
    }
}

/// The task's checkpoints, and how the lane's own was evaluated.
#[component]
fn CheckpointPicker(lane: Lane) -> impl IntoView {
    let catalogue = expect_context::<SiteCatalogue>().catalogue;
    let task = expect_context::<PageSignals>().task;
    let full_name = Memo::new(move |_| lane.choice.with(|choice| choice.model.clone()));
    let model = Memo::new(move |_| full_name.with(|name| folder_and_adapters(name).0.to_string()));
    let strategy = Memo::new(move |_| lane.choice.with(|choice| choice.strategy.name));
    let site = expect_context::<SiteCatalogue>();
    let offered = move || {
        site.track();
        let mut offered = catalogue.with_value(|known| known.offered(task.get(), strategy.get()));
        // An address may name a checkpoint that does not ship; it stays visible.
        if offered.iter().all(|(name, _)| *name != model.get()) {
            offered.push((model.get(), None));
        }
        offered
    };
    let option = move |(name, lacks): (String, Option<&'static str>)| {
        let is_selected = name == model.get();
        view! {
            <option
                value=name.clone()
                selected=is_selected
                disabled=lacks.is_some() && !is_selected
                title=lacks.map(lacks_text)
            >
                {name.clone()}
            </option>
        }
    };
    let on_change = move |event| {
        let name = event_target_value(&event);
        lane.choice.update(|choice| choice.model = name);
    };
    let about = move || {
        let told = |entry: &Entry| {
            // Of a model that somebody brought, nothing but where it came from is known.
            let (summary, language) = match entry.task.picture() {
                Picture::Text => (
                    fill(words().brought_from, &[("from", &entry.summary)]),
                    None,
                ),
                _ => (entry.summary.clone(), Some("en")),
            };
            view! {
                <p class="paper" lang=language>{summary}</p>
                <p class="paper">{entry.contemplation_of(&full_name.get()).map(contemplation_text)}</p>
            }
        };
        catalogue.with_value(|known| known.entry(&model.get()).map(told))
    };
    view! {
        <label class="field wide">
            {words().checkpoint}
            <select on:change=on_change>
                {move || offered().into_iter().map(option).collect_view()}
            </select>
        </label>
        <AdaptersPicker lane full_name/>
        {about}
        <Accuracies lane model/>
    }
}

/// Which of a checkpoint's adapters contemplate: a choice of r, where it has several folders of them.
#[component]
fn AdaptersPicker(lane: Lane, full_name: Memo<String>) -> impl IntoView {
    let catalogue = expect_context::<SiteCatalogue>().catalogue;
    let named = Memo::new(move |_| {
        let contemplates = lane.choice.with(|choice| choice.strategy.contemplates());
        let of = |known: &Catalogue| Some(known.entry(&full_name.get())?.contemplations());
        let named = catalogue.with_value(of).filter(|_| contemplates);
        named.filter(|named| named.len() > 1)
    });
    let option = move |(name, spec): (String, ContemplationSpec)| {
        let is_selected = name == full_name.get();
        view! { <option value=name selected=is_selected>{format!("r = {}", spec.ratio)}</option> }
    };
    let on_change = move |event| {
        let name = event_target_value(&event);
        lane.choice.update(|choice| choice.model = name);
    };
    move || {
        named.get().map(|named| {
            view! {
                <label class="field wide">
                    {words().adapters}
                    <select data-testid="adapters" on:change=on_change>
                        {named.into_iter().map(option).collect_view()}
                    </select>
                </label>
            }
        })
    }
}

/// How a checkpoint contemplates, in words.
fn contemplation_text(ContemplationSpec { layer, ratio }: ContemplationSpec) -> String {
    let (layer, ratio) = (layer.to_string(), ratio.to_string());
    fill(
        words().contemplates_with,
        &[("layer", &layer), ("ratio", &ratio)],
    )
}
