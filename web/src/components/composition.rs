//! The editor of a composed strategy: its name, and its parts in order.

use latent_model::{
    address::LaneChoice,
    strategy::{
        COMPOSED, Composition, Part, PartKind,
        composition::{MAX_PARTS, MAX_STEPS},
    },
};
use leptos::prelude::*;

use crate::{
    lanes::Lane,
    words::{tables::part_word, words},
};

/// What a lane composes at first: soft, then hard.
pub fn first_composition(model: &str) -> LaneChoice {
    let part = |kind, steps| Part { kind, steps };
    LaneChoice {
        composition: Some(Composition {
            name: String::new(),
            parts: vec![part(PartKind::Mixtures, 4), part(PartKind::Words, 60)],
        }),
        ..LaneChoice::new(model, &COMPOSED)
    }
}

/// For a lane that is composed; nothing for others.
#[component]
pub fn CompositionEditor(lane: Lane) -> impl IntoView {
    let is_composed = Memo::new(move |_| lane.choice.with(|choice| choice.composition.is_some()));
    view! {
        <Show when=move || is_composed.get()>
            <Editor lane/>
        </Show>
    }
}

#[component]
fn Editor(lane: Lane) -> impl IntoView {
    let edit = move |change: &dyn Fn(&mut Composition)| {
        lane.choice.update(|choice| {
            if let Some(composition) = &mut choice.composition {
                change(composition);
            }
        });
    };
    let name = move || {
        lane.choice
            .with(|choice| choice.composition.as_ref().map(|known| known.name.clone()))
    };
    let n_parts = Memo::new(move |_| {
        let n = |choice: &LaneChoice| choice.composition.as_ref().map(|known| known.parts.len());
        lane.choice.with(n).unwrap_or_default()
    });
    let add = move |_| {
        edit(&|composition| {
            composition.parts.push(Part {
                kind: PartKind::Words,
                steps: 4,
            });
        });
    };
    view! {
        <fieldset class="composition" data-testid="composition">
            <legend>{words().compose}</legend>
            <label class="field wide">
                {words().compose_name}
                <input
                    data-testid="compose-name"
                    maxlength="40"
                    prop:value=name
                    on:change=move |event| {
                        let name = event_target_value(&event);
                        edit(&|composition| composition.name = name.trim().to_string());
                    }
                />
            </label>
            <ol class="parts">
                {move || (0..n_parts.get()).map(|index| view! { <PartRow lane index/> }).collect_view()}
            </ol>
            <button
                class="quiet"
                data-testid="compose-add"
                disabled=move || { n_parts.get() >= MAX_PARTS }
                on:click=add
            >
                {words().compose_add}
            </button>
            <p class="hint">{words().compose_hint}</p>
        </fieldset>
    }
}

#[component]
fn PartRow(lane: Lane, index: usize) -> impl IntoView {
    let part = move || {
        let of = |choice: &LaneChoice| choice.composition.as_ref()?.parts.get(index).copied();
        lane.choice.with(of)
    };
    let edit = move |change: &dyn Fn(&mut Vec<Part>)| {
        lane.choice.update(|choice| {
            let parts = choice.composition.as_mut().map(|known| &mut known.parts);
            if let Some(parts) = parts.filter(|parts| index < parts.len()) {
                change(parts);
            }
        });
    };
    let option = move |kind: PartKind| {
        let is_selected = move || part().is_some_and(|part| part.kind == kind);
        view! { <option value=kind.name() selected=is_selected>{part_word(kind)}</option> }
    };
    let on_kind = move |event| {
        let name = event_target_value(&event);
        if let Some(kind) = PartKind::ALL.into_iter().find(|kind| kind.name() == name) {
            edit(&|parts| parts[index].kind = kind);
        }
    };
    let on_steps = move |event| {
        // Text that is no number is put back to the one that counts.
        let steps = event_target_value(&event).trim().parse::<u32>();
        edit(&|parts| {
            if let Ok(steps) = steps {
                parts[index].steps = steps.clamp(1, MAX_STEPS);
            }
        });
    };
    view! {
        <li>
            <select
                data-testid=format!("part-{index}-kind")
                aria-label=words().compose_kind
                on:change=on_kind
            >
                {PartKind::ALL.map(option).collect_view()}
            </select>
            <input
                type="number"
                min="1"
                max=MAX_STEPS.to_string()
                data-testid=format!("part-{index}-steps")
                aria-label=words().compose_steps
                prop:value=move || part().map(|part| part.steps.to_string())
                on:change=on_steps
            />
            <button
                class="quiet"
                data-testid=format!("part-{index}-remove")
                aria-label=words().compose_remove
                on:click=move |_| edit(&|parts| {
                    parts.remove(index);
                })
            >
                "✕"
            </button>
        </li>
    }
}
