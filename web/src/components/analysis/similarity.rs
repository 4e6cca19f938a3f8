//! What every lane says beside what the greedy words say.

use latent_model::{record::StepRecord, trace::emitted};
use leptos::prelude::*;

use super::Looking;
use crate::{
    lanes::{Lane, LaneRun},
    view::looks::{Strip, strip},
    words::{fill, words},
};

/// The name in the table of the strategy that the others are compared with.
const GREEDY: &str = "token-cot";

/// A strip for each lane, aligned with that of the first lane that thinks in greedy words.
#[component]
pub fn Similarity() -> impl IntoView {
    let lanes = Looking::of_page().signals.lanes;
    let greedy_lane = Memo::new(move |_| {
        let is_greedy = |lane: &Lane| {
            let is_plain = |choice: &crate::page_state::LaneChoice| {
                choice.strategy.name == GREEDY && choice.is_plain()
            };
            lane.choice.with(is_plain)
        };
        lanes.get().into_iter().find(is_greedy)
    });
    let tokens = move || {
        let lane = greedy_lane.get()?;
        let emitted = |run: &LaneRun| {
            let program = run.program.as_ref()?;
            Some(emitted(&run.records, program))
        };
        lane.run.with(emitted)
    };
    let of_lane = move |(index, lane): (usize, Lane)| {
        let greedy = tokens()?;
        let found = lane.run.with(|run| {
            let program = run.program.clone()?;
            let records: &[StepRecord] = &run.records;
            Some(strip(&greedy, records, &program))
        })?;
        let Strip {
            tokens,
            rouge,
            is_equal,
        } = found;
        let word = |(id, partner): (u32, Option<usize>)| {
            let text = lane.run.with_untracked(|run| run.word(id));
            let title =
                partner.map(|at| fill(words().strip_partner, &[("n", &(at + 1).to_string())]));
            view! { <span class="strip-word" class:is-aligned=partner.is_some() title=title>{text}</span> }
        };
        let told = match is_equal {
            _ if greedy_lane.get() == Some(lane) => words().strip_itself.to_string(),
            true => words().strip_equal.to_string(),
            false => fill(words().strip_rouge, &[("f1", &format!("{:.3}", rouge.f1))]),
        };
        Some(view! {
            <div class="strip" data-lane-colour=lane.colour>
                <p>
                    <b>{lanes.name(lane).text()}</b>
                    " "
                    <span data-testid=format!("rouge-{index}")>{told}</span>
                </p>
                <p class="strip-words" data-testid=format!("strip-{index}")>
                    {tokens.into_iter().map(word).collect_view()}
                </p>
            </div>
        })
    };
    let strips = move || {
        let numbered = lanes.get().into_iter().enumerate();
        numbered.map(of_lane).collect_view()
    };
    view! {
        <section aria-label=words().strips>
            <h3>{words().strips}</h3>
            <p class="hint">
                {move || match greedy_lane.get() {
                    Some(_) => words().strips_hint,
                    None => words().strips_no_greedy,
                }}
            </p>
            {strips}
        </section>
    }
}
