//! Patching in the drawer: its cells are those of `latent_model::analysis::patching` on the same runs,
//! on both engines, and the cone of a cell goes on through what is fed back.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use latent_model::{
    address::Address,
    analysis::{
        lens::Lens,
        patching::{Contrast, Standing, WatchedLane, cone, patched_runs, run_watched},
    },
    engine::LaneSpec,
    input::Input,
    reference::{Precision, ReferenceEngine},
    tasks::{Difficulty, prosqa, sketch::twin},
};
use serde_json::Value;

use super::{
    LIMIT,
    analysis::{cells, model_that_ships, unfold_tables, wait_until_done},
    check_quiet, finished_run, in_browser,
};
use crate::chromium::{Browser, WebGpu};

const COCONUT: &str = "prosqa-coconut:coconut";
const PAUSES: &str = "prosqa-pause-as-thought:pause";
/// Of the problem and of every lane's draws.
const SEED: u32 = 8;

#[test]
fn every_cell_is_a_run_with_one_state_of_the_other_and_its_cone_is_drawn() {
    in_browser(WebGpu::Off, async |browser| {
        open(browser, &format!("{COCONUT};{PAUSES}"), "reference").await?;
        let run = finished_run(browser).await?;
        browser.click("analyse-lane-0").await?;
        patch(browser).await?;
        let native = Native::of(COCONUT).await?;
        let found = table(browser).await?;
        ensure!(found == native.percents(), "found {found:#?}");
        let measured = browser.texts("patch-measured").await?.concat();
        let [own, other] = &native.answers;
        for answer in [own, other] {
            ensure!(
                measured.contains(&format!("“{answer}”")),
                "found {measured}"
            );
        }

        // The second thought after the first layer: what it reaches, and how.
        browser.click_on("[data-testid=patch-2-0]").await?;
        let told = browser.texts("patch-cell").await?.concat();
        let reached = native.reached((2, 0));
        ensure!(
            told.starts_with("thought 2, layer 1: the lane answers")
                && told.ends_with(&format!("reaches {} other states.", reached - 1)),
            "found {told}, expected {reached}"
        );
        let outlined = browser.count("[data-testid=patches] .cone").await?;
        ensure!(
            outlined == reached,
            "{outlined} outlined, {reached} reached"
        );
        let ways = browser
            .attributes("patches", ".feedback", "d")
            .await?
            .concat();
        let n_ways = ways.matches('M').count();
        ensure!(
            n_ways == 4,
            "thoughts 3 to 6 are fed what it moved, found {n_ways}"
        );

        // The control: pauses are fed whatever the states are.
        browser.click("analyse-lane-1").await?;
        patch(browser).await?;
        let measured = browser.texts("patch-measured").await?.concat();
        ensure!(measured.contains("It is the control"), "found {measured}");
        let found = table(browser).await?;
        let native = Native::of(PAUSES).await?;
        ensure!(found == native.percents(), "found {found:#?}");
        browser.click_on("[data-testid=patch-2-0]").await?;
        let outlined = browser.count("[data-testid=patches] .cone").await?;
        ensure!(outlined == native.reached((2, 0)), "found {outlined}");
        let arrows = browser
            .attributes("patches", ".feedback", "d")
            .await?
            .concat();
        ensure!(arrows.is_empty(), "nothing is fed back, found {arrows}");

        // The other lane has another checkpoint, so it is no source; the next problem is one.
        let sources = browser.count("[data-testid=patch-source] option").await?;
        ensure!(sources == 2, "found {sources}");
        ensure!(finished_run(browser).await? == run, "the run stays");
        check_quiet(browser).await
    });
}

#[test]
fn patching_stops_where_it_is_asked_to_and_its_lane_can_be_another_ones_source() {
    in_browser(WebGpu::Off, async |browser| {
        open(
            browser,
            &format!("{COCONUT};{COCONUT},at=1-zero"),
            "reference",
        )
        .await?;
        browser.choose("patch-source", "2").await?;
        browser.press_at_once(&["patch", "patch"]).await?;
        let label = browser.texts("patch").await?.concat();
        ensure!(label == "Replace each state", "found {label}");
        let stopped = browser.texts("patch-progress").await?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let later = browser.texts("patch-progress").await?;
        ensure!(later == stopped, "found {later:?} after {stopped:?}");

        patch(browser).await?;
        // Up to the thought that the source's lane was denied both are fed the same, so that a
        // state of the one is the other's.
        let script = "return document.querySelector('[data-testid=patch-0-3] text').textContent";
        let first = browser.execute(script, Value::Null).await?;
        ensure!(first == "0 %", "found {first}");
        browser
            .execute(
                "document.querySelector('[data-testid=patches]').parentNode.focus()",
                Value::Null,
            )
            .await?;
        for key in ["ArrowRight", "ArrowDown"] {
            browser.press_key(key).await?;
        }
        let told = browser.texts("patch-cell").await?.concat();
        ensure!(told.starts_with("thought 1, layer 3: "), "found {told}");
        check_quiet(browser).await
    });
}

#[test]
fn the_gpu_patches_as_the_reference_does() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        open(browser, COCONUT, "gpu").await?;
        patch(browser).await?;
        let native = Native::of(COCONUT).await?;
        let found = table(browser).await?;
        ensure!(found.len() == native.cells.len(), "found {found:#?}");
        for (found, expected) in found
            .iter()
            .flatten()
            .zip(native.percents().iter().flatten())
        {
            let number = |text: &str| text.strip_suffix(" %")?.parse::<f64>().ok();
            let apart = match (number(found), number(expected)) {
                (Some(found), Some(expected)) => (found - expected).abs(),
                _ => f64::from(u8::from(found != expected)),
            };
            ensure!(apart <= 1.0, "found {found}, expected {expected}");
        }
        check_quiet(browser).await
    });
}

async fn open(browser: &Browser, lanes: &str, engine: &str) -> Result<()> {
    let hash = format!(
        "problem=class:{SEED}&lanes={lanes}&seed={SEED}&engine={engine}&speed=max&analysis=yes&run=yes"
    );
    browser.open(&hash).await?;
    wait_until_done(browser).await
}

async fn patch(browser: &Browser) -> Result<()> {
    browser.click("patch").await?;
    let is_whole = |text: &str| {
        let (done, rest) = text.split_once(" of ").unwrap_or_default();
        !done.is_empty() && rest == format!("{done} states replaced")
    };
    browser.wait_text("patch-progress", is_whole, LIMIT).await?;
    Ok(())
}

async fn table(browser: &Browser) -> Result<Vec<Vec<String>>> {
    unfold_tables(browser, "patch-table").await?;
    let mut rows = cells(browser, "patch-table").await?;
    for row in &mut rows {
        row.remove(0);
    }
    Ok(rows)
}

/// The same, here: the lane on the problem, with the states of its run on the problem's twin.
struct Native {
    answers: [String; 2],
    /// Per step but the first, per layer.
    cells: Vec<Vec<Standing>>,
    /// Per step but the first, per layer: how far each state was moved, as `cone` has it.
    cones: Vec<Vec<Vec<Vec<f64>>>>,
}

impl Native {
    async fn of(lane: &str) -> Result<Self> {
        let address: Address = format!("lanes={lane}").parse()?;
        let choice = address.lanes.unwrap_or_default().remove(0);
        let model = model_that_ships(&choice.model)?;
        let program = choice.program(&model.tokenizer, model.capabilities())?;
        let problem = prosqa::TASK.generate(SEED.into(), Difficulty::Class);
        let other = twin(&problem).context("a graph has a twin")?;
        let watched = |question: &str| -> Result<WatchedLane> {
            Ok(WatchedLane::new(LaneSpec {
                inputs: Input::tokens(&model.tokenizer.encode(question)?),
                program: program.clone(),
                seed: SEED,
                stream: 0,
                decode_thoughts: true,
            }))
        };
        let lanes = [watched(problem.question())?, watched(other.question())?];
        let weights = Arc::clone(&model.weights);
        let mut engine = ReferenceEngine::new(&model.config, weights, Precision::Fast);
        let of_model = (&model.config, &model.weights);
        let runs = run_watched(&mut engine, of_model, &lanes).await?;
        let lens = Lens::new(&model.config, &model.weights, Precision::Fast);
        let contrast = Contrast::new(lens, (&program, &runs[0]), (&program, &runs[1]));
        let n_steps = runs[0].records.len().min(runs[1].records.len()) as u32;
        let (mut cells, mut cones) = (Vec::new(), Vec::new());
        for step in 1..n_steps {
            let layers = 0..model.config.n_layers;
            let places: Vec<(u32, usize)> = layers.map(|layer| (step, layer)).collect();
            let found = patched_runs(&mut engine, of_model, &lanes[0], &runs[1], &places).await?;
            let standings = found.iter().map(|found| contrast.standing(&found.run));
            cells.push(standings.collect());
            cones.push(
                found
                    .iter()
                    .map(|found| cone(&runs[0], &found.run))
                    .collect(),
            );
        }
        Ok(Self {
            answers: [&problem, &other]
                .map(|problem| problem.answer().trim_end_matches('.').into()),
            cells,
            cones,
        })
    }

    fn percents(&self) -> Vec<Vec<String>> {
        let percent = |standing: &Standing| {
            let moved = standing
                .moved
                .map(|moved| format!("{} %", (100.0 * moved).round() + 0.0));
            moved.unwrap_or_default()
        };
        let row = |row: &Vec<Standing>| row.iter().map(percent).collect();
        self.cells.iter().map(row).collect()
    }

    /// States of the map that a patch moves by more than rounding, itself among them.
    fn reached(&self, (column, layer): (usize, usize)) -> usize {
        let cone = &self.cones[column][layer];
        let moved = cone[1..].iter().flatten().filter(|moved| **moved >= 1e-4);
        moved.count()
    }
}
