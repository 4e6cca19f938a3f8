//! The analysis drawer: what would follow other inputs, what every layer says, how alike lanes are,
//! and what a step's sampler and noise make of a distribution.

mod distribution;
mod divergences;
mod grid;
mod lens_map;
mod patch_map;
mod similarity;

use latent_model::{
    program::Sampler,
    record::{InputKind, StepRecord},
};
use leptos::prelude::*;

use self::{
    distribution::{Distributions, Draws},
    divergences::Divergences,
    lens_map::LensHeat,
    patch_map::PatchHeat,
    similarity::Similarity,
};
use super::{
    intervene::event_target_open,
    lanes_panel::LaneChips,
    panel::{Inside, Panel},
};
use crate::{
    analysis::{Analysis, AnalysisStatus, Looked},
    focus::{Cursor, Focus},
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    words::{fill, words},
};

/// So that lines differ without colour.
const DASHES: [&str; 4] = ["none", "7 4", "2 3", "10 3 2 3"];

/// Folded away until somebody asks; nothing is computed before.
#[component]
pub fn AnalysisDrawer() -> impl IntoView {
    let is_open = expect_context::<PageSignals>().analysis;
    let on_toggle = move |event: leptos::web_sys::ToggleEvent| {
        let now = event_target_open(&event);
        if now != is_open.get_untracked() {
            is_open.set(now);
        }
    };
    view! {
        <details
            class="panel analysis"
            data-testid="analysis"
            prop:open=is_open
            on:toggle=on_toggle
        >
            <summary>{words().analysis}</summary>
            <Inside panel=Panel::Analysis is_open/>
        </details>
    }
}

/// All that is in it.
#[component]
pub fn AnalysisParts() -> impl IntoView {
    let is_open = expect_context::<PageSignals>().analysis;
    let analysis = expect_context::<Analysis>();
    let told = move || match analysis.status.get() {
        AnalysisStatus::Waiting => words().analysis_waits.to_string(),
        AnalysisStatus::NotPossible => words().analysis_not_possible.to_string(),
        AnalysisStatus::Looking => words().analysis_looks.to_string(),
        AnalysisStatus::Done => words().analysis_done.to_string(),
        AnalysisStatus::Failed(error) => fill(words().analysis_failed, &[("error", &error)]),
    };
    let status = move || match analysis.status.get() {
        AnalysisStatus::Waiting => "waiting",
        AnalysisStatus::NotPossible => "not-possible",
        AnalysisStatus::Looking => "looking",
        AnalysisStatus::Done => "done",
        AnalysisStatus::Failed(_) => "failed",
    };
    let has_some = move || analysis.looked.with(|looked| !looked.is_empty());
    view! {
        <p class="hint">{words().analysis_hint}</p>
        <p class="hint" role="status" data-testid="analysis-status" data-status=status>{told}</p>
        <Show when=move || is_open.get() && has_some()>
            <div class="lane-chips" role="group" aria-label=words().analysis_lane>
                <LaneChips testid="analyse-lane"/>
            </div>
            <div class="analysis-parts">
                <PatchHeat/>
                <Divergences/>
                <LensHeat/>
                <Distributions/>
                <Draws/>
                <Similarity/>
            </div>
        </Show>
    }
}

/// The lane that is looked at, and what it was asked.
#[derive(Clone, Copy)]
struct Looking {
    analysis: Analysis,
    signals: PageSignals,
    focus: Focus,
    cursor: Cursor,
}

/// What the parts tell of: a step, the sampler that its phase has, and the logits that it was made
/// of, (V).
struct LookedStep {
    record: StepRecord,
    sampler: Sampler,
    logits: Vec<f32>,
}

impl Looking {
    fn of_page() -> Self {
        Self {
            analysis: expect_context(),
            signals: expect_context(),
            focus: expect_context(),
            cursor: expect_context(),
        }
    }

    /// The lane that was chosen; a lane under the pointer would draw all anew.
    fn lane(self) -> Option<Lane> {
        self.focus.chosen(self.signals.lanes)
    }

    /// Something of what the lane was asked; tracks it.
    fn with<T>(self, of: impl FnOnce(Lane, &Looked) -> T) -> Option<T> {
        let lane = self.lane()?;
        self.analysis
            .looked
            .with(|all| Some(of(lane, all.get(&lane.id)?)))
    }

    /// The step that is pinned, or else the broadest one.
    fn step(self) -> Option<LookedStep> {
        let pinned = self.cursor.pinned();
        self.with(|lane, looked| {
            let found = |run: &LaneRun| {
                let program = run.program.clone()?;
                let record = match pinned {
                    Some(step) => run.records.get(step as usize)?,
                    None => broadest(&run.records)?,
                };
                Some((*record, program.phases[record.phase as usize].sampler))
            };
            let (record, sampler) = lane.run.with(found)?;
            let logits = looked.logits(record.step)?.to_vec();
            Some(LookedStep {
                record,
                sampler,
                logits,
            })
        })
        .flatten()
    }

    /// A token, as the chosen lane's checkpoint has it.
    fn word(self, id: u32) -> String {
        let lane = untrack(|| self.lane());
        lane.map_or(String::new(), |lane| {
            lane.run.with_untracked(|run| run.word(id))
        })
    }
}

/// The record of the highest entropy, of those that feed a mixture where any does.
fn broadest(records: &[StepRecord]) -> Option<&StepRecord> {
    let mixes = |record: &&StepRecord| record.input_kind() == InputKind::Concept;
    let by_entropy = |a: &&StepRecord, b: &&StepRecord| a.raw_entropy.total_cmp(&b.raw_entropy);
    let mixed = records.iter().filter(mixes).max_by(by_entropy);
    mixed.or_else(|| records.iter().max_by(by_entropy))
}
