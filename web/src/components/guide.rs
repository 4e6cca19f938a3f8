//! What am I looking at: a sentence for each input, and one for each strategy of the table.

use latent_model::strategy::STRATEGIES;
use leptos::{either::Either, prelude::*};

/// Words of this page and what they mean.
const GLOSSARY: &[(&str, &str)] = &[
    (
        "Lane",
        "One way of thinking about the problem: a checkpoint, a strategy and its settings.",
    ),
    (
        "Step",
        "One input that a lane is fed, and the distribution over words that comes of it.",
    ),
    (
        "Concept token",
        "A weighted mean of word embeddings, fed as one input.",
    ),
    (
        "Thought",
        "A hidden state of the model, fed back as its next input; it is no word.",
    ),
    (
        "Decoded",
        "What a thought's hidden state would say if it were asked for a word.",
    ),
    (
        "Entropy",
        "How spread a distribution over words is; 0 nats is one word.",
    ),
    (
        "e^H, words at once",
        "How many equally likely words have the same entropy.",
    ),
    (
        "Temperature",
        "Divides the logits before probabilities are made of them: below 1 sharpens.",
    ),
    (
        "Cold Stop",
        "Soft Thinking's stop rule: so many steps in a row with a low entropy end the thinking.",
    ),
    (
        "Frontier",
        "The words as many arrows from the start as steps of a search were made.",
    ),
    (
        "Marker",
        "A token that separates phases, such as <think> or <eot>; forced by the program or chosen.",
    ),
];

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

/// Folded away until somebody asks.
#[component]
pub fn Guide() -> impl IntoView {
    let strategy = |strategy: &'static latent_model::strategy::Strategy| {
        view! {
            <dt>{strategy.title}</dt>
            <dd>{strategy.summary} " " <cite>{cited(strategy.paper)}</cite></dd>
        }
    };
    let entry = |(word, meaning): &'static (&'static str, &'static str)| {
        view! {
            <dt>{*word}</dt>
            <dd>{*meaning}</dd>
        }
    };
    view! {
        <details class="guide panel" data-testid="guide">
            <summary>"What am I looking at?"</summary>
            <p>
                "A transformer reads vectors, one a position. Usually each is the embedding of a word. \
                 But it can also be fed a mixture of words (a concept token), or its own last hidden \
                 state (a continuous thought), which stands for no word at all. Every lane reads the \
                 same problem and differs only in what it is fed while it thinks."
            </p>
            <p>
                "Where the problem is a graph, every arrow says that one thing is \
                 another, and the question asks which of the two marked ends follows from the start. \
                 The shading shows how much of each word is in the step that you look at: one word in \
                 token chain of thought, several in a mixture, and in a thought the words that its \
                 hidden state decodes to. Words that the start does not reach are hatched. The line \
                 below the graph measures the step: how much of it lies on words that can be reached, \
                 on the frontier (as many arrows away as thoughts were made), on a shortest way, and \
                 outside. A word problem is a story; what a lane computes in words stands below it, \
                 digits joined and checked."
            </p>
            <p>
                "The chart shows the entropy H of each step's distribution at temperature 1, for every \
                 lane alike, before any truncation or noise. e^H is how many equally likely words \
                 have that entropy: how many words at once. For a word it tells how unsure the choice \
                 was, for a thought how broad it is. A lane's sampler draws at a temperature of its \
                 own; its entropy is a thin line on demand, and it is what Cold Stop looks at."
            </p>
            <h3>"The lanes"</h3>
            <dl>{STRATEGIES.iter().map(strategy).collect_view()}</dl>
            <h3>"Glossary"</h3>
            <dl data-testid="glossary">{GLOSSARY.iter().map(entry).collect_view()}</dl>
        </details>
    }
}
