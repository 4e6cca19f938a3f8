//! A control for every setting of a lane's strategy, made from the strategy table.

use latent_model::strategy::{Setting, Settings};
use leptos::prelude::*;

use crate::{
    lanes::Lane,
    words::{fill, tables::setting_words, words},
};

/// All settings of the lane's strategy.
#[component]
pub fn LaneSettings(lane: Lane) -> impl IntoView {
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
