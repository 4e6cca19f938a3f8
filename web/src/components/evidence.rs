//! What was measured: the papers' tables at small scale, which of their findings hold, and the
//! accuracy against the number of thoughts.

use latent_model::{
    analysis::report::{Mixing, sentences},
    evidence::{Finding, Origin, RowOfTable, SetOfTable, Table, Verdict},
};
use leptos::{prelude::*, task::spawn_local};
use serde_json::Value;

use crate::{
    evidence::{
        CaseStudy, RowOfStudy, STUDIES, SUITES, Study, Suite, cell, checkpoint, mean, next_link,
        paper, rows_of_study, text, tokens,
    },
    load::fetch_json,
    words::{fill, words},
};

/// All of it, fetched when it is drawn.
#[component]
pub fn Measurements() -> impl IntoView {
    let tables = RwSignal::new(None::<Result<Vec<(Suite, Table)>, String>>);
    let case = RwSignal::new(None::<CaseStudy>);
    spawn_local(async move {
        let _ = tables.try_set(Some(fetch_tables().await));
        let _ = case.try_set(fetch_json("evidence/case-study.json").await.ok());
    });
    let content = move || match tables.get() {
        None => view! { <p>{words().evidence_fetching}</p> }.into_any(),
        Some(Err(error)) => view! {
            <p role="alert">{fill(words().evidence_failed, &[("error", &error)])}</p>
        }
        .into_any(),
        Some(Ok(tables)) => tables
            .into_iter()
            .map(|(suite, table)| view! { <OfSuite suite table case/> })
            .collect_view()
            .into_any(),
    };
    view! {
        {content}
        {STUDIES.map(|study| view! { <Mixtures study/> }).collect_view()}
    }
}

/// The tables of all suites.
async fn fetch_tables() -> Result<Vec<(Suite, Table)>, String> {
    let mut tables = Vec::new();
    for suite in SUITES {
        let found = fetch_json(&suite.path("table.json")).await;
        tables.push((suite, found.map_err(|error| error.to_string())?));
    }
    Ok(tables)
}

/// A study of mixtures, folded away and fetched like all of it: its picture, its sentences, and the
/// figures that they are made of.
#[component]
fn Mixtures(study: Study) -> impl IntoView {
    let found = RwSignal::new(None::<Result<Value, String>>);
    let is_asked = StoredValue::new(false);
    let fetch = move |_| {
        if !is_asked.get_value() {
            is_asked.set_value(true);
            spawn_local(async move {
                let fetched = fetch_json(&study.path("analysis.json")).await;
                found.set(Some(fetched.map_err(|error| error.to_string())));
            });
        }
    };
    let content = move || match found.get()? {
        Err(error) => Some(
            view! { <p role="alert">{fill(words().evidence_failed, &[("error", &error)])}</p> }
                .into_any(),
        ),
        Ok(measured) => Some(study_view(study, &measured).into_any()),
    };
    view! {
        <details data-testid=format!("study-{}", study.name) on:toggle=fetch>
            <summary lang="en" id=label(study)>{study.title}</summary>
            {content}
        </details>
    }
}

/// The element that names a study's table.
fn label(study: Study) -> String {
    format!("title-of-{}", study.name)
}

fn study_view(study: Study, measured: &Value) -> impl IntoView + use<> {
    let rows = rows_of_study(measured);
    let sentence = |text: String| view! { <li>{with_code(&text)}</li> };
    let said = rows
        .iter()
        .flat_map(|row| sentences(&row.model, &row.methods));
    let said = said.map(sentence).collect_view();
    let line = |row: &RowOfStudy, method: &Mixing| {
        let means = [&method.top1_of_several, &method.top2, &method.rouge_l];
        let means = means.map(|found| view! { <td>{mean(found.as_ref())}</td> });
        view! {
            <tr>
                <th scope="row" lang="en"><code>{row.model.clone()}</code> " " {method.title.clone()}</th>
                <td lang="en">{row.problems.clone()}</td>
                {means.collect_view()}
            </tr>
        }
    };
    // The first method is what the others are compared with.
    let of_row = |row: &RowOfStudy| {
        let others = row.methods.iter().skip(1);
        others.map(|method| line(row, method)).collect_view()
    };
    let lines = rows.iter().map(of_row).collect_view();
    let [command, engine] = ["command", "engine"].map(|name| text(&measured[name]).to_string());
    view! {
        <figure>
            <img src=study.path("analysis.svg") alt=words().study_figure loading="lazy"/>
        </figure>
        <ul class="findings" lang="en">{said}</ul>
        <div class="scrolling" role="region" aria-labelledby=label(study) tabindex="0">
            <table>
                <thead>
                    <tr>
                        <th>{words().evidence_checkpoint}</th>
                        <th>{words().study_problems}</th>
                        <th>{words().study_first}</th>
                        <th>{words().study_second}</th>
                        <th>{words().study_rouge}</th>
                    </tr>
                </thead>
                <tbody>{lines}</tbody>
            </table>
        </div>
        <p class="source">
            {words().study_how} " " <code>{command}</code> " (" <span lang="en">{engine}</span> ")."
        </p>
    }
}

#[component]
fn OfSuite(suite: Suite, table: Table, case: RwSignal<Option<CaseStudy>>) -> impl IntoView {
    let tasks = table.tasks().into_iter();
    let tasks = tasks
        .map(|task| task_table(suite, &table, task))
        .collect_view();
    let Table {
        title,
        introduction,
        origin,
        findings,
        ..
    } = table;
    let Origin {
        command,
        engine,
        seed,
        ..
    } = origin;
    let finding = |finding: &Finding| {
        let class = match finding.verdict {
            Verdict::Holds => "finding is-holds",
            Verdict::Fails => "finding is-fails",
            Verdict::Undecided => "finding is-undecided",
            Verdict::NotMeasured => "finding",
        };
        view! { <li class=class>{finding.sentence.clone()}</li> }
    };
    let findings = findings.iter().map(finding).collect_view();
    let preset = move || {
        case.get().map(|case| {
            let text = fill(words().case_study_link, &[("n", &case.hops.to_string())]);
            view! {
                <p>
                    {words().case_study} " "
                    <a href=format!("#{}", case.hash) data-testid="case-study">{text}</a>
                </p>
            }
        })
    };
    let thoughts = suite.has_thoughts.then(|| {
        view! {
            {preset}
            <figure>
                <img
                    src=suite.path("thoughts.svg")
                    alt=words().thoughts_figure
                    loading="lazy"
                />
            </figure>
        }
    });
    view! {
        <h3 lang="en">{title}</h3>
        <p class="source" lang="en">{with_links(&introduction)}</p>
        {tasks}
        <ul class="findings" lang="en">{findings}</ul>
        {thoughts}
        <p class="source">
            {words().evidence_how} " " <code>{command}</code> " (seed " {seed} ", " <span lang="en">{engine}</span> ")."
        </p>
    }
}

/// The methods on one task.
fn task_table(suite: Suite, table: &Table, task: &str) -> impl IntoView + use<> {
    let sets = table.sets_of(task);
    let heads = sets
        .iter()
        .map(|set| view! { <th lang="en">{format!("{}, n {}", set.name, set.n)}</th><th>{words().evidence_tokens}</th> })
        .collect_view();
    let row = |row: &RowOfTable| {
        let cells = sets
            .iter()
            .map(|set| view! { <td>{cell(row, &set.name)}</td><td>{tokens(row, &set.name)}</td> })
            .collect_view();
        view! {
            <tr>
                <th scope="row" lang="en">{row.method.clone()}</th>
                <td>{paper(row.paper)}</td>
                {cells}
                <td><code>{checkpoint(row)}</code></td>
            </tr>
        }
    };
    let rows = table.rows_of(task).map(row).collect_view();
    let source = |set: &&SetOfTable| format!("{}: {}. ", set.name, set.source);
    let sources: String = sets.iter().map(source).collect();
    let note = table.notes.get(task).map_or("", String::as_str);
    let sources = with_code(&(sources + note));
    view! {
        <div class="scrolling" role="region" aria-label=fill(words().evidence_table, &[("suite", suite.name), ("task", task)]) tabindex="0">
            <table data-testid=format!("evidence-{}-{task}", suite.name)>
                <thead>
                    <tr><th>{task.to_string()}</th><th>{words().evidence_paper}</th>{heads}<th>{words().evidence_checkpoint}</th></tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <p class="source" lang="en">{sources}</p>
    }
}

/// Markdown's one inline form that the notes use: `code` between backticks.
fn with_code(markdown: &str) -> impl IntoView + use<> {
    let part = |(index, text): (usize, &str)| {
        let text = text.to_string();
        match index % 2 {
            0 => text.into_any(),
            _ => view! { <code>{text}</code> }.into_any(),
        }
    };
    markdown.split('`').enumerate().map(part).collect_view()
}

/// The form of Markdown that introductions use: `[a link](to an address)`.
fn with_links(markdown: &str) -> impl IntoView + use<> {
    let mut parts = Vec::new();
    let mut rest = markdown;
    while let Some((before, text, address, after)) = next_link(rest) {
        let (text, address) = (text.to_string(), address.to_string());
        parts.push(before.to_string().into_any());
        parts.push(view! { <a href=address>{text}</a> }.into_any());
        rest = after;
    }
    parts.push(rest.to_string().into_any());
    parts.collect_view()
}
