//! The analysis drawer: its numbers are those of `latent_model::analysis` on the same run, and
//! looking changes no record.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use latent_model::{
    address::LaneChoice,
    analysis::{
        divergence::distribution,
        lens::{Lens, LensMap},
        observe::{Observed, observe},
        similarity::rouge_l,
    },
    engine::LaneSpec,
    input::Input,
    model::Model,
    program::Program,
    reference::{Precision, ReferenceEngine},
    tasks::{Difficulty, prosqa},
    trace::emitted,
};
use serde_json::{Value, json};

use self::shipped::shipped_files;
use super::{KEEP, LIMIT, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};
use crate::reference_run::compare_lanes;

#[allow(dead_code)] // The folder itself is for others.
#[path = "../../../../model/tests/common/shipped.rs"]
mod shipped;

const LANES: &str = "prosqa-cot:token-cot;prosqa-soft:soft-gumbel";
/// Of the problem and of every lane's draws.
const SEED: u32 = 8;
/// Tokens that a cell of the drawer's lens tells of.
const N_TOP: usize = 5;

#[test]
fn the_drawers_numbers_are_those_of_the_analysis_and_change_no_record() {
    in_browser(WebGpu::Off, async |browser| {
        let hash = format!("problem=class:{SEED}&lanes={LANES}&seed={SEED}&speed=max");
        browser.before_page(KEEP).await?;
        browser.open(&hash).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        let run = finished_run(browser).await?;
        browser.unfold("analysis").await?;
        browser
            .wait_hash(|hash| hash.ends_with("&analysis=yes"), LIMIT)
            .await?;
        wait_until_done(browser).await?;
        let native = Native::of(LANES).await?;

        let divergences = cells(browser, "divergence-table").await?;
        ensure!(
            divergences == native.divergences(),
            "found {divergences:#?}"
        );
        unfold_tables(browser, "lens-table").await?;
        let lens = cells(browser, "lens-table").await?;
        ensure!(lens == native.lens(), "found {lens:#?}");
        let rouge = browser.texts("rouge-1").await?.concat();
        ensure!(
            rouge == native.rouge(),
            "expected {}, found {rouge}",
            native.rouge()
        );

        browser.click("lens-json").await?;
        let read = "window.taken[0].text().then(text => arguments[1](JSON.parse(text)))";
        let taken = browser.execute_async(read, Value::Null).await?;
        ensure!(taken["meta"]["version"] == 2, "found {taken}");
        let names: Vec<String> = serde_json::from_value(taken["input"].clone())?;
        ensure!(
            names.len() == native.lens().len(),
            "a name for each position: {names:?}"
        );

        // Pointing, choosing, sliding: all of it only looks.
        browser.click_on("[data-testid=lens-2-0]").await?;
        let told = browser.texts("lens-cell").await?.concat();
        ensure!(told.contains("layer 1: "), "found {told}");
        check_pins(browser, &native).await?;
        for stage in ["tempered", "truncated", "noised"] {
            browser.choose("stage", stage).await?;
            let tokens = browser.count("[data-testid=stage-tokens] li").await?;
            ensure!(tokens > 0, "{stage}: the step's tokens");
        }
        browser.fill("draws-tau", "2").await?;
        let drawn = browser.count("[data-testid=draws-tau-tokens] li").await?;
        ensure!(drawn > 1, "a mixture's tokens, found {drawn}");

        ensure!(finished_run(browser).await? == run, "the run stays");
        browser.click("run").await?;
        wait_until_done(browser).await?;
        let again = finished_run(browser).await?;
        for lane in 0..2 {
            compare_lanes(&again["lanes"][lane], &run["lanes"][lane])?;
        }
        check_quiet(browser).await
    });
}

/// A click pins the first token of a cell, a chip another one; their lines are those of the whole
/// distribution, at every position that is looked at.
async fn check_pins(browser: &Browser, native: &Native) -> Result<()> {
    let lines = async || -> Result<String> {
        let script =
            "return document.querySelector('[data-testid=pins]')?.getAttribute('aria-label') ?? ''";
        let found = browser.execute(script, Value::Null).await?;
        Ok(found.as_str().unwrap_or_default().into())
    };
    // The cell that was clicked on before is position 2 after layer 1.
    let pinned = native.top(2, 0);
    let found = lines().await?;
    ensure!(
        found == native.trajectories(2, &pinned[..1]),
        "found {found}"
    );
    browser.click("pin-1").await?;
    let found = lines().await?;
    ensure!(
        found == native.trajectories(2, &pinned[..2]),
        "found {found}"
    );
    // Another position: what it follows need not be among the first tokens there.
    browser.click_on("[data-testid=lens-0-3]").await?;
    let mut followed = pinned[..2].to_vec();
    let first = native.top(0, 3)[0];
    if !followed.contains(&first) {
        followed.push(first);
    }
    let found = lines().await?;
    ensure!(
        found == native.trajectories(0, &followed),
        "found {found}, expected {}",
        native.trajectories(0, &followed)
    );
    browser.click("pin-0").await?;
    let found = lines().await?;
    ensure!(
        found == native.trajectories(0, &followed[1..]),
        "found {found}"
    );
    browser.click_on("[data-testid=lens-2-0]").await?;
    Ok(())
}

#[test]
fn a_thought_is_read_layer_by_layer_and_by_keys() {
    in_browser(WebGpu::Off, async |browser| {
        let hash = "problem=class:8&lanes=prosqa-coconut:coconut&speed=max&analysis=yes&run=yes";
        browser.open(hash).await?;
        wait_until_done(browser).await?;
        let empty = browser.texts("divergences").await?.concat();
        ensure!(empty.contains("mixes no words"), "found {empty}");
        let script = "document.querySelector('.lens').focus()";
        browser.execute(script, Value::Null).await?;
        for key in ["ArrowRight", "ArrowRight", "ArrowDown"] {
            let script = "document.activeElement.dispatchEvent(\
                          new KeyboardEvent('keydown', { key: arguments[0], bubbles: true }))";
            browser.execute(script, json!(key)).await?;
        }
        let told = browser.texts("lens-cell").await?.concat();
        ensure!(told.starts_with("thought 2, layer "), "found {told}");
        let step = browser.texts("shown-step").await?.concat();
        ensure!(step == "Newest", "the page's own keys rest, found {step}");
        check_quiet(browser).await
    });
}

pub(super) async fn wait_until_done(browser: &Browser) -> Result<()> {
    let is_done = |text: &str| text.starts_with("All steps");
    browser.wait_text("analysis-status", is_done, LIMIT).await?;
    Ok(())
}

pub(super) async fn unfold_tables(browser: &Browser, testid: &str) -> Result<()> {
    let script = "for (const folded of document.querySelectorAll('.analysis .as-table')) \
                  folded.open = true";
    browser.execute(script, Value::Null).await?;
    browser.wait_text(testid, |_| true, LIMIT).await?;
    Ok(())
}

/// The texts of a table's body, row by row.
pub(super) async fn cells(browser: &Browser, testid: &str) -> Result<Vec<Vec<String>>> {
    let script = "return [...document.querySelectorAll(`[data-testid=${arguments[0]}] tbody tr`)]\
                  .map(row => [...row.children].map(cell => cell.textContent.trim()))";
    let cells = browser.execute(script, json!(testid)).await?;
    serde_json::from_value(cells).context("expected rows of texts")
}

/// The same lanes on the reference engine, asked here.
struct Native {
    /// Each with its program.
    lanes: Vec<(Model, Program, Observed)>,
}

impl Native {
    async fn of(lanes: &str) -> Result<Self> {
        let address: latent_model::address::Address = format!("lanes={lanes}").parse()?;
        let question = prosqa::TASK.generate(SEED.into(), Difficulty::Class);
        let mut all = Vec::new();
        for lane in address.lanes.unwrap_or_default() {
            let LaneChoice { model, .. } = &lane;
            let model = model_that_ships(model)?;
            let program = lane.program(&model.tokenizer, model.capabilities())?;
            let spec = LaneSpec {
                inputs: Input::tokens(&model.tokenizer.encode(question.question())?),
                program: program.clone(),
                seed: SEED,
                stream: 0,
                decode_thoughts: true,
            };
            let weights = Arc::clone(&model.weights);
            let mut engine = ReferenceEngine::new(&model.config, weights, Precision::Fast);
            let observed = observe(&mut engine, &[spec], &[0], None).await?.remove(0);
            all.push((model, program, observed));
        }
        Ok(Self { lanes: all })
    }

    /// The rows of the drawer's table of divergences, of the second lane.
    fn divergences(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for step in &self.lanes[1].2.steps {
            let [a, b, c] = step.probed.top;
            let js = [a, b, c, step.noised_clean];
            if js.iter().any(Option::is_some) {
                let cell = |nats: Option<f64>| nats.map_or("–".into(), |n| format!("{n:.4}"));
                let mut row = vec![step.step.to_string()];
                row.extend(js.map(cell));
                rows.push(row);
            }
        }
        rows
    }

    /// The rows of the drawer's table of the lens, coloured by probability.
    fn lens(&self) -> Vec<Vec<String>> {
        let (model, program, observed) = &self.lanes[1];
        let lens = Lens::new(&model.config, &model.weights, Precision::Fast);
        let mut map = LensMap::new(model.config.n_layers);
        for (step, record) in observed.steps.iter().zip(&observed.records) {
            let layers = step.probed.layers.iter();
            let by_layer: Vec<Vec<f32>> = layers.map(|state| lens.logits(state)).collect();
            let mixed = record.kept().filter(|kept| kept.weight > 0.0).count();
            let word = model.tokenizer.shown(record.token);
            let thinks = latent_model::trace::step_kind(record, program)
                == latent_model::trace::StepKind::Think;
            let name = match thinks && mixed > 1 {
                true => format!("{word} +{}", mixed - 1),
                false => word,
            };
            map.push(&name, &by_layer, N_TOP);
        }
        let row = |(at, name): (usize, &String)| {
            let mut row = vec![format!("{at} {name}")];
            for layer in &map.cells {
                let cell = &layer[at];
                let word = model.tokenizer.shown(cell.top[0].0);
                row.push(format!("{word} {:.3}", cell.probability));
            }
            row
        };
        map.positions.iter().enumerate().map(row).collect()
    }

    /// The tokens of a cell of the second lane.
    fn top(&self, position: usize, layer: usize) -> Vec<u32> {
        let logits = &self.logits(position)[layer];
        latent_model::analysis::lens::top_k(logits, N_TOP)
    }

    /// The logits after every layer at a position of the second lane.
    fn logits(&self, position: usize) -> Vec<Vec<f32>> {
        let (model, _, observed) = &self.lanes[1];
        let lens = Lens::new(&model.config, &model.weights, Precision::Fast);
        let layers = observed.steps[position].probed.layers.iter();
        layers.map(|state| lens.logits(state)).collect()
    }

    /// How the drawer says the lines of tokens.
    fn trajectories(&self, position: usize, ids: &[u32]) -> String {
        let (model, ..) = &self.lanes[1];
        let logits = self.logits(position);
        let line = |id: &u32| {
            let at = |z: &Vec<f32>| format!("{:.3}", distribution(z, 1.0)[*id as usize]);
            let values: Vec<String> = logits.iter().map(at).collect();
            let word = model.tokenizer.shown(*id);
            format!("{}: {}", word.trim(), values.join(" → "))
        };
        ids.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    /// What the drawer says of the second lane beside the first.
    fn rouge(&self) -> String {
        let tokens = |lane: usize| {
            let (_, program, observed) = &self.lanes[lane];
            emitted(&observed.records, program)
        };
        let (greedy, soft) = (tokens(0), tokens(1));
        match greedy == soft {
            true => "the same words".into(),
            false => format!("ROUGE-L F1 {:.3}", rouge_l(&greedy, &soft).f1),
        }
    }
}

pub(super) fn model_that_ships(name: &str) -> Result<Model> {
    Ok(Model::from_files(&shipped_files(name))?)
}
