//! What am I looking at: a sentence for each input, and one for each strategy of the table.

use latent_model::strategy::STRATEGIES;
use leptos::{either::Either, prelude::*};

use crate::words::{current_language, glossary::glossary, tables::strategy_summary, words};

/// Where the page's source lies, if whoever built it said so.
const SOURCE: Option<&str> = option_env!("LATENT_SOURCE");

/// A paper's name with its link, where an arXiv number stands in it.
pub fn cited(paper: &'static str) -> impl IntoView + use<> {
    match paper.split_once("arXiv ") {
        Some((before, number)) => Either::Left(view! {
            {before}
            <a href=format!("https://arxiv.org/abs/{number}") rel="noreferrer" target="_blank">
                {format!("arXiv {number}")}
            </a>
        }),
        None => Either::Right(paper),
    }
}

/// All of it.
#[component]
pub fn Meanings() -> impl IntoView {
    let strategy = |strategy: &'static latent_model::strategy::Strategy| {
        view! {
            <dt>{strategy.title}</dt>
            <dd>{strategy_summary(strategy)} " " <cite>{cited(strategy.paper)}</cite></dd>
        }
    };
    let entry = |(word, meaning): (&'static str, &'static str)| {
        view! {
            <dt>{word}</dt>
            <dd>{meaning}</dd>
        }
    };
    let source = SOURCE.map(|address| {
        view! {
            <p>
                <a href=address rel="noreferrer" target="_blank">
                    {words().guide_source}
                </a>
            </p>
        }
    });
    let entries = glossary(current_language()).map(entry).collect_view();
    view! {
        <p>{words().guide_inputs}</p>
        <p>{words().guide_graph}</p>
        <p>{words().guide_chart}</p>
        <h3>{words().guide_lanes}</h3>
        <dl>{STRATEGIES.iter().map(strategy).collect_view()}</dl>
        <h3>{words().guide_glossary}</h3>
        <dl data-testid="glossary">{entries}</dl>
        {source}
    }
}
