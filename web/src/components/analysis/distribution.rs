//! The distribution of one step at each stage of its sampler, and draws of a noise on it.

use latent_model::{
    program::Noise,
    record::InputKind,
    rng::DrawKey,
    strategy::{STRATEGIES, Setting, SettingSpec, Settings},
};
use leptos::prelude::*;

use super::{LookedStep, Looking};
use crate::{
    view::looks::{Drawn, N_BINS, N_DRAWS, Stage, drawn},
    words::{fill, tables::setting_words, words},
};

/// Most tokens that are drawn.
const MOST_TOKENS: usize = 12;

/// The step's tokens as bars, at the stage that the visitor chooses.
#[component]
pub fn Distributions() -> impl IntoView {
    let looking = Looking::of_page();
    let stage = RwSignal::new(Stage::default());
    let option = move |offered: Stage| {
        let is_selected = move || stage.get() == offered;
        view! { <option value=offered.name() selected=is_selected>{stage_title(offered)}</option> }
    };
    let on_stage = move |event| {
        let name = event_target_value(&event);
        if let Some(new) = Stage::ALL.into_iter().find(|stage| stage.name() == name) {
            stage.set(new);
        }
    };
    let label = move || {
        looking.step().map(
            |LookedStep {
                 record, sampler, ..
             }| {
                let temperature = match stage.get() {
                    Stage::Raw => 1.0,
                    _ => sampler.temperature,
                };
                let noise = match (stage.get(), sampler.noise) {
                    (Stage::Noised, Noise::None) => words().stage_no_noise.to_string(),
                    (Stage::Noised, Noise::Gumbel { tau }) => format!(", τ = {tau}"),
                    (Stage::Noised, Noise::Dirichlet { alpha }) => format!(", α = {alpha}"),
                    _ => String::new(),
                };
                fill(
                    words().stage_label,
                    &[
                        ("n", &record.step.to_string()),
                        ("stage", stage_title(stage.get())),
                        ("temperature", &temperature.to_string()),
                        ("noise", &noise),
                    ],
                )
            },
        )
    };
    let bar = move |(id, share): (u32, f64)| {
        let percent = format!("{:.1} %", 100.0 * share);
        view! {
            <li>
                <span class="name">{looking.word(id)}</span>
                <span class="track"><span class="fill" style:width=format!("{:.2}%", 100.0 * share)></span></span>
                <span class="share">{percent}</span>
            </li>
        }
    };
    let bars = move || {
        looking.step().map(
            |LookedStep {
                 record,
                 sampler,
                 logits,
             }| {
                let tokens = stage.get().tokens(&logits, &record, &sampler, MOST_TOKENS);
                tokens.into_iter().map(bar).collect_view()
            },
        )
    };
    view! {
        <section aria-label=words().stages>
            <div class="panel-head">
                <h3>{words().stages}</h3>
                <label class="field">
                    {words().stage}
                    <select data-testid="stage" on:change=on_stage>{Stage::ALL.map(option).collect_view()}</select>
                </label>
            </div>
            <p class="hint" data-testid="stage-label">{label}</p>
            <ul class="shares" data-testid="stage-tokens">{bars}</ul>
        </section>
    }
}

fn stage_title(stage: Stage) -> &'static str {
    match stage {
        Stage::Raw => words().stage_raw,
        Stage::Tempered => words().stage_tempered,
        Stage::Truncated => words().stage_truncated,
        Stage::Noised => words().stage_noised,
    }
}

/// Sliders for both noises, and what they make of the step's mixture.
#[component]
pub fn Draws() -> impl IntoView {
    let looking = Looking::of_page();
    let mixes = Memo::new(move |_| {
        let step = looking.step();
        step.is_some_and(|step| step.record.input_kind() == InputKind::Concept)
    });
    let hint = move || match mixes.get() {
        true => fill(words().draws_hint, &[("n", &N_DRAWS.to_string())]),
        false => words().draws_no_mixture.to_string(),
    };
    view! {
        <section aria-label=words().draws>
            <h3>{words().draws}</h3>
            <p class="hint">{hint}</p>
            <Show when=move || mixes.get()>
                <div class="two">
                    <OfNoise setting=Setting::Tau testid="draws-tau" noise=|tau| Noise::Gumbel { tau }/>
                    <OfNoise setting=Setting::Alpha testid="draws-alpha" noise=|alpha| Noise::Dirichlet { alpha }/>
                </div>
            </Show>
        </section>
    }
}

#[component]
fn OfNoise(setting: Setting, testid: &'static str, noise: fn(f32) -> Noise) -> impl IntoView {
    let looking = Looking::of_page();
    let spec: &SettingSpec = setting.spec();
    let (label, explanation) = setting_words(setting);
    let defaults = Settings::default();
    let of_strategies = STRATEGIES.iter();
    let first = of_strategies
        .filter_map(|strategy| strategy.value(&defaults, setting))
        .next();
    let value = RwSignal::new(first.unwrap_or(spec.range.0));
    let seed = looking.signals.seed;
    let drawn = Memo::new(move |_| {
        let LookedStep {
            record,
            sampler,
            logits,
        } = looking.step()?;
        let key = DrawKey {
            seed: seed.get(),
            stream: 0,
            step: record.step,
        };
        Some(drawn(&logits, &sampler, noise(value.get()), key))
    });
    let on_input = move |event| {
        if let Ok(new) = event_target_value(&event).parse() {
            value.set(new);
        }
    };
    let token = move |token: Drawn| {
        let text = fill(
            words().draws_token,
            &[
                ("word", &looking.word(token.id)),
                ("clean", &percent(token.clean)),
                ("mean", &percent(token.mean)),
            ],
        );
        view! {
            <li>
                <span class="name">{looking.word(token.id)}</span>
                {histogram(&token, &text)}
                <span class="share">{percent(token.clean)} " · ⌀ " {percent(token.mean)}</span>
            </li>
        }
    };
    let tokens = move || {
        let drawn = drawn.get().unwrap_or_default().into_iter();
        drawn.take(MOST_TOKENS).map(token).collect_view()
    };
    view! {
        <div>
            <label class="setting">
                {label}
                <input
                    type="range"
                    data-testid=testid
                    min=spec.range.0.to_string()
                    max=spec.range.1.to_string()
                    step=spec.step.to_string()
                    title=explanation
                    prop:value=move || value.get().to_string()
                    on:input=on_input
                />
                <output>{move || value.get().to_string()}</output>
            </label>
            <ul class="shares" data-testid=format!("{testid}-tokens")>{tokens}</ul>
        </div>
    }
}

fn percent(share: f32) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// The classes of a token's weights, with a mark at the weight that it has without noise.
fn histogram(token: &Drawn, text: &str) -> impl IntoView + use<> {
    const WIDTH: f32 = 100.0;
    const HEIGHT: f32 = 20.0;
    let most = token.bins.iter().copied().max().unwrap_or(0).max(1) as f32;
    let bar = |(bin, &n): (usize, &u32)| {
        let height = HEIGHT * (n as f32 / most).sqrt();
        let width = WIDTH / N_BINS as f32;
        view! {
            <rect class="bin" x=width * bin as f32 y=HEIGHT - height width=width - 0.5 height=height></rect>
        }
    };
    let x = WIDTH * token.clean;
    view! {
        <svg
            class="histogram"
            viewBox=format!("0 0 {WIDTH} {HEIGHT}")
            preserveAspectRatio="none"
            role="img"
            aria-label=text.to_string()
        >
            {token.bins.iter().enumerate().map(bar).collect_view()}
            <line class="clean" x1=x x2=x y1="0" y2=HEIGHT></line>
        </svg>
    }
}
