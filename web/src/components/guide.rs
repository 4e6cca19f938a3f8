//! What am I looking at: a sentence for each input, and one for each strategy of the table.

use latent_model::strategy::STRATEGIES;
use leptos::prelude::*;

/// Folded away until somebody asks.
#[component]
pub fn Guide() -> impl IntoView {
    let strategy = |strategy: &'static latent_model::strategy::Strategy| {
        view! {
            <dt>{strategy.title}</dt>
            <dd>{strategy.summary} " " <cite>{strategy.paper}</cite></dd>
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
                 token chain of thought, several in a mixture, and in a thought all that the model can \
                 reach so far. A word problem is a story; what a lane computes in words stands below \
                 it, digits joined and checked. The chart shows how unsure each step was."
            </p>
            <dl>{STRATEGIES.iter().map(strategy).collect_view()}</dl>
        </details>
    }
}
