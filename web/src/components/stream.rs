//! A lane's stream: a row for each step, words, mixtures and thoughts as chips.

use leptos::{either::EitherOf3, ev, html, prelude::*};
use wasm_bindgen::JsCast;

use super::roving::{led_to, tabindex};
use crate::{
    browser::in_next_frame,
    focus::{Cursor, Focus},
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    run_state::RunNumber,
    view::{
        arrival::contemplates,
        chart::words_at_once,
        sentences::{Sentence, judgement},
        shares::{Shares, shares},
        steps::{Chip, ONE_WORD, RowKind, StepView},
    },
    words::{fill, tables::change_word, words},
};

/// Words narrower than this share of the bar are left to the line below it.
const LEAST_LABELLED: f32 = 0.2;

/// From this share on, the kept tokens are all there is, as far as anybody can read.
const ALL_KEPT: f32 = 0.995;

/// All steps of a lane so far; the step that is looked at is kept in sight, else the newest.
#[component]
pub fn Stream(lane: Lane) -> impl IntoView {
    let cursor = expect_context::<Cursor>();
    let list = NodeRef::<html::Ol>::new();
    // Which run, and how many rows: a row is drawn once, when it is new.
    let rows = Memo::new(move |_| lane.run.with(|run| (run.run, run.view.rows.len())));
    Effect::new(move |_| {
        rows.track();
        let step = cursor.get();
        // The new rows have no height before the browser has laid them out.
        in_next_frame(move || {
            if let Some(list) = list.get_untracked() {
                show_row(&list, step);
            }
        });
    });
    let mean_norm = Memo::new(move |_| lane.run.with(|run| run.mean_embedding_norm));
    // The list is one stop of the Tab key; arrows go from row to row.
    let tab_stop = Memo::new(move |_| {
        let last = rows.get().1.saturating_sub(1) as u32;
        cursor.pinned().map_or(last, |step| step.min(last))
    });
    let on_key = move |event: ev::KeyboardEvent| {
        let last = rows.get_untracked().1.saturating_sub(1);
        let Some(to) = led_to(&event, tab_stop.get_untracked() as usize, last) else {
            return;
        };
        let to = to as u32;
        cursor.pin(to);
        if let Some(row) = list.get_untracked().and_then(|list| row_element(&list, to)) {
            // An element that cannot be focused stays as it is.
            let _ = row.focus();
        }
    };
    let keys = move || {
        let (run, n_rows) = rows.get();
        (0..n_rows).map(move |row| (run, row))
    };
    let row = move |(_, row): (RunNumber, usize)| {
        let drawn = |run: &LaneRun| {
            let row = run.view.rows.get(row)?.clone();
            let completed = run.view.sentences.at(row.step).cloned();
            let record = run.records.get(row.step as usize)?;
            let program = run.program.as_ref()?;
            // A contemplation token is no step of a search.
            let contemplated = contemplates(record, program).then_some(record.phase_step);
            let shares = contemplated.is_none().then(|| shares(record));
            // A row decodes the state that its step leaves: before the first contemplation token that is
            // the query's, and after the last one the row of the marker that follows.
            let read = contemplated.and_then(|n_made| n_made.checked_sub(1));
            let stands_for = read.and_then(|nth| run.stands_for.get(nth as usize));
            let stands_for = stands_for.map(|&id| run.word(id));
            Some((row, completed, shares, stands_for))
        };
        let drawn = lane.run.with_untracked(drawn);
        drawn.map(|(row, completed, shares, stands_for)| {
            view! { <Row lane row completed shares stands_for mean_norm tab_stop/> }
        })
    };
    view! {
        <ol class="stream" node_ref=list on:keydown=on_key>
            <For each=keys key=|key| *key children=row/>
        </ol>
    }
}

/// The row of a step, counted from 0.
fn row_element(list: &web_sys::HtmlElement, step: u32) -> Option<web_sys::HtmlElement> {
    list.children().item(step)?.dyn_into().ok()
}

/// Scrolls the list, and nothing around it, until a step's row is in sight; the newest for `None`.
fn show_row(list: &web_sys::HtmlElement, step: Option<u32>) {
    let Some(row) = step.and_then(|step| row_element(list, step)) else {
        list.set_scroll_top(list.scroll_height());
        return;
    };
    let (top, bottom) = (row.offset_top(), row.offset_top() + row.offset_height());
    if top < list.scroll_top() {
        list.set_scroll_top(top);
    } else if bottom > list.scroll_top() + list.client_height() {
        list.set_scroll_top(bottom - list.client_height());
    }
}

#[component]
fn Row(
    lane: Lane,
    row: StepView,
    /// The sentence that this step completed.
    completed: Option<Sentence>,
    /// How much of each word is in it, where it is a step of a search.
    shares: Option<Shares>,
    /// The word of the written solution that this contemplation token stands for.
    stands_for: Option<String>,
    mean_norm: Memo<f32>,
    tab_stop: Memo<u32>,
) -> impl IntoView {
    let cursor = expect_context::<Cursor>();
    let focus = expect_context::<Focus>();
    let step = row.step;
    let preview = move |is_over: bool| {
        focus.preview(is_over.then_some(lane.id));
        cursor.preview(is_over.then_some(step));
    };
    let pin = move || {
        focus.choose(lane.id);
        cursor.pin(step);
    };
    let kept = row.kept_share.filter(|share| *share < ALL_KEPT).map(|share| {
        view! { <span class="kept" data-testid="kept-share" title=kept_title(share)>{format!("Σ {}", percent(share))}</span> }
    });
    let entropy = row.entropy.map(|nats| {
        let n_words = words_at_once(nats);
        let sampler = row.sampler_entropy.map_or(String::new(), |nats| {
            fill(
                words().row_sampler_title,
                &[("nats", &format!("{nats:.2}"))],
            )
        });
        let parts = [("words", &*n_words), ("sampler", &sampler)];
        let title = fill(words().row_entropy_title, &parts);
        view! { <span class="nats" title=title>{format!("{nats:.2}")} {kept}</span> }
    });
    let end_probability = row.end_probability.map(|probability| {
        view! {
            <span
                class="norm enough"
                data-testid="end-probability"
                title=words().enough_title
            >
                {fill(words().enough, &[("share", &percent(probability))])}
            </span>
        }
    });
    let marks = row.marks.iter().map(|mark| {
        view! { <span class="mark-tag" data-mark=mark.label() title=mark.explanation()>{mark.label()}</span> }
    });
    let marks = marks.collect_view();
    // A change of the lane's choice forgets the run, and its rows with it.
    let changes = lane.choice.with_untracked(|choice| choice.changes.clone());
    let changes = changes.into_iter().filter(|change| change.step == step);
    let changed = changes
        .map(|change| view! { <span class="mark-tag" data-mark="changed">{change_word(&change.kind)}</span> })
        .collect_view();
    let norm = row.hidden_norm;
    let content = match row.kind {
        RowKind::Concept if !row.is_one_word() => EitherOf3::A(mixtures(&row)),
        RowKind::Thought => EitherOf3::B(view! {
            {stands_for.map(stands_for_view)}
            {thought(&row)}
            {shares.map(|shares| view! { <Reached row=row.clone() shares/> })}
            <span class="norm" title=words().norms_title>
                {move || {
                    let (norm, mean) = (format!("{norm:.2}"), format!("{:.2}", mean_norm.get()));
                    fill(words().norms, &[("norm", &norm), ("mean", &mean)])
                }}
            </span>
        }),
        _ => EitherOf3::C(view! {
            {chosen_word(&row)}
            {stands_for.map(stands_for_view)}
            {completed.map(|sentence| view! { <Judged sentence/> })}
        }),
    };
    view! {
        <li
            class="row"
            data-kind=kind_name(row.kind)
            class:is-cursor=move || cursor.get() == Some(step)
            class:is-pinned=move || cursor.pinned() == Some(step)
            tabindex=move || tabindex(tab_stop.get() == step)
            aria-label=row.sentence()
            on:pointerenter=move |_| preview(true)
            on:pointerleave=move |_| preview(false)
            on:click=move |_| pin()
        >
            <span class="step">{step}</span>
            <div class="content">{content} {end_probability} {marks} {changed}</div>
            {entropy}
        </li>
    }
}

/// What a breadth-first search would hold after as many thoughts, and how much of this thought
/// lies there.
#[component]
fn Reached(row: StepView, shares: Shares) -> impl IntoView {
    let oracle = expect_context::<PageSignals>().oracle;
    let thought = row.thought();
    // Another problem forgets the run, and its rows with it.
    oracle.with_untracked(|oracle| {
        let oracle = oracle.as_ref()?;
        let ring = oracle.ring(thought?);
        let search = match ring.is_empty() {
            true => words().search_over.to_string(),
            false => fill(words().search_ring, &[("words", &ring.join(", "))]),
        };
        let mass = oracle.mass(&shares, thought).sentence();
        Some(view! {
            <div
                class="norm reached"
                data-testid="reached"
                title=words().search_title
            >
                {format!("{search} | {mass}")}
            </div>
        })
    })
}

/// Name of a row's kind for the style sheet.
fn kind_name(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Marker => "marker",
        RowKind::Token => "token",
        RowKind::Concept => "concept",
        RowKind::Thought => "thought",
        RowKind::Pause => "pause",
        RowKind::Answer => "answer",
    }
}

/// A sentence, and whether it holds.
#[component]
pub fn Judged(sentence: Sentence) -> impl IntoView {
    let question = expect_context::<PageSignals>().question;
    // Another problem forgets the run, and its sentences with it.
    let judged = question.with_untracked(|question| {
        judgement(question.task, question.problem.as_ref().ok(), &sentence)
    });
    let holds = judged.as_ref().map(|judged| judged.holds);
    let mark = match holds {
        Some(true) => "✓ ",
        Some(false) => "✗ ",
        None => "",
    };
    view! {
        <span
            class="sentence"
            lang="en"
            data-holds=holds.map(|holds| holds.to_string())
            title=judged.map(|judged| judged.reason)
        >
            {mark}
            {sentence.text}
        </span>
    }
}

fn kept_title(share: f32) -> String {
    fill(words().kept_share, &[("share", &percent(share))])
}

/// What is told of every chip of a row: how much of the probability the tokens that were kept hold.
fn chip_title(row: &StepView) -> Option<String> {
    row.kept_share.map(kept_title)
}

fn percent(share: f32) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// One word, and after it the words that it was chosen among.
fn chosen_word(row: &StepView) -> impl IntoView + use<> {
    let chosen = row.chips.first().map(|chip| {
        view! { <b class="word" title=chip_title(row)>{chip.word.clone()}</b> }
    });
    let own_share = row
        .chips
        .first()
        .filter(|chip| row.chips.len() > 1 && chip.share < ONE_WORD);
    let own_share =
        own_share.map(|chip| view! { <span class="share">{percent(chip.share)}</span> });
    let others = if row.kind == RowKind::Marker {
        &[]
    } else {
        row.chips.get(1..).unwrap_or_default()
    };
    let others = ghosts(others.get(..4).unwrap_or(others), row);
    view! { {chosen} {own_share} {others} }
}

/// Words with their shares.
fn ghosts(chips: &[Chip], row: &StepView) -> impl IntoView + use<> {
    let ghost = |chip: &Chip| {
        view! {
            <span class="ghost" title=chip_title(row)>{chip.word.clone()} " " {percent(chip.share)}</span>
        }
    };
    chips.iter().map(ghost).collect_view()
}

/// What is fed, and under it where there is noise what the noise was put on.
fn mixtures(row: &StepView) -> impl IntoView + use<> {
    let is_noisy = !row.before_noise.is_empty();
    let label = |text| is_noisy.then(|| view! { <span class="bar-label">{text}</span> });
    let before = is_noisy.then(|| {
        let shown: f32 = row.before_noise.iter().map(|chip| chip.share).sum();
        view! {
            <div class="bars is-before" data-testid="before-noise" title=words().before_noise_title>
                {label(words().before_noise)} {bar(&row.before_noise, (1.0 - shown).max(0.0), row.kept_share)}
            </div>
        }
    });
    let weights = ghosts(row.chips.get(..6).unwrap_or(&row.chips), row);
    view! {
        {before}
        <div class="bars">{label(words().fed)} {bar(&row.chips, row.rest, row.kept_share)}</div>
        <div class="weights">{weights}</div>
    }
}

/// A bar whose parts are words, as wide as they weigh.
fn bar(chips: &[Chip], rest: f32, kept_share: Option<f32>) -> impl IntoView + use<> {
    let part = |(index, chip): (usize, &Chip)| {
        let label = (chip.share >= LEAST_LABELLED).then(|| chip.word.clone());
        let kept = kept_share.map_or(String::new(), |share| format!("; {}", kept_title(share)));
        let title = format!("{} {}{kept}", chip.word, percent(chip.share));
        view! {
            <span class="part" data-rank=index.min(4) style:flex-grow=chip.share.to_string() title=title>
                {label}
            </span>
        }
    };
    let parts = chips.iter().enumerate().map(part).collect_view();
    let rest = (rest > 0.01).then(|| {
        view! {
            <span class="part rest" style:flex-grow=rest.to_string() title=words().all_others></span>
        }
    });
    view! { <div class="mixture">{parts} {rest}</div> }
}

/// What a contemplation token stands for, beside what it decodes to.
fn stands_for_view(word: String) -> impl IntoView {
    view! {
        <span
            class="norm"
            data-testid="stands-for"
            title=words().stands_for_title
        >
            {fill(words().stands_for, &[("word", &word)])}
        </span>
    }
}

/// The concepts that a thought decodes to, the likelier the fuller.
fn thought(row: &StepView) -> impl IntoView + use<> {
    let chip = |chip: &Chip| {
        let fill = format!("{:.0}%", 85.0 * chip.share.sqrt());
        view! {
            <span class="concept" style:--fill=fill title=chip_title(row)>
                {chip.word.clone()}
                <small>{percent(chip.share)}</small>
            </span>
        }
    };
    let chips = row.chips.iter().map(chip).collect_view();
    view! { <div class="thought">{chips}</div> }
}
