//! A lane's stream: a row for each step, words, mixtures and thoughts as chips.

use leptos::{either::EitherOf3, html, prelude::*};

use crate::{
    browser::in_next_frame,
    focus::{Cursor, Focus},
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    run_state::RunNumber,
    view::{
        sentences::{Sentence, judgement},
        steps::{Chip, RowKind, StepView},
    },
};

/// A mixture this one-sided is shown as its one word.
const PURE: f32 = 0.985;
/// Words narrower than this share of the bar are left to the line below it.
const LEAST_LABELLED: f32 = 0.2;

/// All steps of a lane so far; the latest is kept in sight.
#[component]
pub fn Stream(lane: Lane) -> impl IntoView {
    let list = NodeRef::<html::Ol>::new();
    // Which run, and how many rows: a row is drawn once, when it is new.
    let rows = Memo::new(move |_| lane.run.with(|run| (run.run, run.view.rows.len())));
    Effect::new(move |_| {
        rows.track();
        // The new rows have no height before the browser has laid them out.
        in_next_frame(move || {
            if let Some(list) = list.get_untracked() {
                list.set_scroll_top(list.scroll_height());
            }
        });
    });
    let mean_norm = Memo::new(move |_| lane.run.with(|run| run.mean_embedding_norm));
    let keys = move || {
        let (run, n_rows) = rows.get();
        (0..n_rows).map(move |row| (run, row))
    };
    let row = move |(_, row): (RunNumber, usize)| {
        let drawn = |run: &LaneRun| {
            let row = run.view.rows.get(row)?.clone();
            let completed = run.view.sentences.at(row.step).cloned();
            let stands_for = row.thought.and_then(|nth| run.stands_for.get(nth as usize));
            let stands_for = stands_for.map(|&id| run.word(id));
            Some((row, completed, stands_for))
        };
        let drawn = lane.run.with_untracked(drawn);
        drawn.map(|(row, completed, stands_for)| {
            view! { <Row lane row completed stands_for mean_norm/> }
        })
    };
    view! {
        <ol class="stream" node_ref=list>
            <For each=keys key=|key| *key children=row/>
        </ol>
    }
}

#[component]
fn Row(
    lane: Lane,
    row: StepView,
    /// The sentence that this step completed.
    completed: Option<Sentence>,
    /// The word of the written solution that this contemplation token stands for.
    stands_for: Option<String>,
    mean_norm: Memo<f32>,
) -> impl IntoView {
    let cursor = expect_context::<Cursor>().0;
    let focus = expect_context::<Focus>().0;
    let step = row.step;
    let look = move || {
        focus.set(Some(lane.id));
        cursor.set(Some(step));
    };
    let entropy = row.entropy.map(|nats| {
        view! { <span class="nats" title="Entropy of this step, nats">{format!("{nats:.2}")}</span> }
    });
    let end_probability = row.end_probability.map(|probability| {
        view! {
            <span
                class="norm enough"
                data-testid="end-probability"
                title="How sure the model's own classifier is that it has thought enough"
            >
                {format!("enough: {}", percent(probability))}
            </span>
        }
    });
    let marks = row.marks.iter().map(|mark| {
        view! { <span class="mark-tag" data-mark=mark.label() title=mark.explanation()>{mark.label()}</span> }
    });
    let marks = marks.collect_view();
    let norm = row.hidden_norm;
    let content = match row.kind {
        RowKind::Concept if !is_pure(&row) => EitherOf3::A(mixture(&row)),
        RowKind::Thought => EitherOf3::B(view! {
            {stands_for.map(stands_for_view)}
            {thought(&row)}
            <span class="norm" title="Norm of this hidden state, beside the mean norm of a word's embedding">
                {move || format!("‖h‖ {norm:.2} · words {:.2}", mean_norm.get())}
            </span>
        }),
        _ => EitherOf3::C(view! {
            {words(&row)}
            {completed.map(|sentence| view! { <Judged sentence/> })}
        }),
    };
    view! {
        <li
            class="row"
            data-kind=kind_name(row.kind)
            class:is-cursor=move || cursor.get() == Some(step)
            tabindex="0"
            on:pointerenter=move |_| look()
            on:focus=move |_| look()
            on:pointerleave=move |_| cursor.set(None)
            on:blur=move |_| cursor.set(None)
        >
            <span class="step">{step}</span>
            <div class="content">{content} {end_probability} {marks}</div>
            {entropy}
        </li>
    }
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
            data-holds=holds.map(|holds| holds.to_string())
            title=judged.map(|judged| judged.reason)
        >
            {mark}
            {sentence.text}
        </span>
    }
}

fn is_pure(row: &StepView) -> bool {
    row.chips.first().is_some_and(|chip| chip.share >= PURE)
}

fn percent(share: f32) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// One word, and after it the words that it was chosen among.
fn words(row: &StepView) -> impl IntoView + use<> {
    let chosen = row.chips.first().map(|chip| {
        view! { <b class="word">{chip.word.clone()}</b> }
    });
    let other = |chip: &Chip| {
        view! {
            <span class="ghost">{chip.word.clone()} " " {percent(chip.share)}</span>
        }
    };
    let own_share = row
        .chips
        .first()
        .filter(|chip| row.chips.len() > 1 && chip.share < PURE);
    let own_share =
        own_share.map(|chip| view! { <span class="share">{percent(chip.share)}</span> });
    let others = if row.kind == RowKind::Marker {
        &[]
    } else {
        row.chips.get(1..).unwrap_or_default()
    };
    let others = others.iter().take(4).map(other).collect_view();
    view! { {chosen} {own_share} {others} }
}

/// A bar whose parts are the words of a mixture, as wide as they weigh, and their weights.
fn mixture(row: &StepView) -> impl IntoView + use<> {
    let part = |(index, chip): (usize, &Chip)| {
        let label = (chip.share >= LEAST_LABELLED).then(|| chip.word.clone());
        let title = format!("{} {}", chip.word, percent(chip.share));
        view! {
            <span class="part" data-rank=index.min(4) style:flex-grow=chip.share.to_string() title=title>
                {label}
            </span>
        }
    };
    let parts = row.chips.iter().enumerate().map(part).collect_view();
    let rest = (row.rest > 0.01).then(|| {
        view! {
            <span class="part rest" style:flex-grow=row.rest.to_string() title="all others"></span>
        }
    });
    let weight = |chip: &Chip| {
        view! {
            <span class="ghost">{chip.word.clone()} " " {percent(chip.share)}</span>
        }
    };
    let weights = row.chips.iter().take(6).map(weight).collect_view();
    view! {
        <div class="mixture">{parts} {rest}</div>
        <div class="weights">{weights}</div>
    }
}

/// What a contemplation token stands for, beside what it decodes to.
fn stands_for_view(word: String) -> impl IntoView {
    view! {
        <span
            class="norm"
            data-testid="stands-for"
            title="The token of the written solution that this contemplation token was trained to stand for"
        >
            {format!("for {word}")}
        </span>
    }
}

/// The concepts that a thought decodes to, the likelier the fuller.
fn thought(row: &StepView) -> impl IntoView + use<> {
    let chip = |chip: &Chip| {
        let fill = format!("{:.0}%", 85.0 * chip.share.sqrt());
        view! {
            <span class="concept" style:--fill=fill>
                {chip.word.clone()}
                <small>{percent(chip.share)}</small>
            </span>
        }
    };
    let chips = row.chips.iter().map(chip).collect_view();
    view! { <div class="thought">{chips}</div> }
}
