//! How the page looks and reads: nothing lies over anything else at any width, and axe-core finds
//! nothing in light and dark.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::setup;

use super::{LIMIT, address, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

/// A phone, a tablet, a laptop and a large screen, in CSS pixels, and how many of four lanes show.
const SIZES: [([u32; 2], usize); 4] = [
    ([390, 844], 1),
    ([768, 1024], 4),
    ([1366, 768], 4),
    ([1920, 1080], 4),
];

/// Returns what is wrong with the layout, a sentence each.
const LAYOUT: &str = include_str!("layout.js");

#[test]
fn nothing_overlaps_or_scrolls_sideways_at_any_width() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        check_layout(browser, "before a run").await?;
        browser.click("run").await?;
        finished_run(browser).await?;
        check_layout(browser, "after a run").await?;
        open_all(browser).await?;
        check_layout(browser, "with everything open").await?;
        browser.click("size").await?;
        check_layout(browser, "in large letters").await?;
        browser.click("size").await?;
        browser.open("lanes=no-such-checkpoint:soft").await?;
        browser.wait_text("error", |_| true, LIMIT).await?;
        check_layout(browser, "with a message").await?;
        browser
            .open(&format!("task=arithmetic&{}", address("max")))
            .await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        finished_run(browser).await?;
        check_layout(browser, "with a story").await
    });
}

#[test]
fn a_phone_shows_the_lane_that_was_chosen() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        for (size, n_lanes) in SIZES {
            browser.resize(size).await?;
            let shown = shown_lanes(browser).await?;
            ensure!(
                shown.len() == n_lanes,
                "at {size:?}: expected {n_lanes} lanes, found {shown:?}"
            );
        }
        browser.resize(SIZES[0].0).await?;
        for lane in [0, 2] {
            browser.click(&format!("show-lane-{lane}")).await?;
            let expected = [format!("lane-{lane}")];
            let shown = shown_lanes(browser).await?;
            ensure!(shown == expected, "expected {expected:?}, found {shown:?}");
        }
        check_quiet(browser).await
    });
}

/// A phone's settings of the run are a sheet, which its buttons open and close.
#[test]
fn a_phone_has_the_settings_of_the_run_in_a_sheet() {
    const SETTINGS: [&str; 4] = ["speed", "thoughts", "seed", "copy-link"];
    in_browser(WebGpu::Off, async |browser| {
        browser.resize(SIZES[2].0).await?;
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        ensure!(are_visible(browser, &SETTINGS).await?, "a laptop has room");
        ensure!(!are_visible(browser, &["run-settings"]).await?, "no sheet");
        browser.resize(SIZES[0].0).await?;
        for button in ["close-sheet", "run-settings"] {
            ensure!(!are_visible(browser, &["speed"]).await?, "it is closed");
            browser.click("run-settings").await?;
            ensure!(are_visible(browser, &SETTINGS).await?, "it is open");
            let faults = layout_faults(browser).await?;
            ensure!(faults.is_empty(), "found {faults:#?}");
            browser.choose("speed", "8").await?;
            browser.click(button).await?;
        }
        let is_set = |hash: &str| hash.contains("speed=8");
        browser.wait_hash(is_set, LIMIT).await?;
        ensure!(!are_visible(browser, &["speed"]).await?, "it is closed");
        check_quiet(browser).await
    });
}

async fn are_visible(browser: &Browser, testids: &[&str]) -> Result<bool> {
    let script = "return arguments[0].every(id => \
                  document.querySelector(`[data-testid=${id}]`).checkVisibility())";
    let visible = browser.execute(script, json!(testids)).await?;
    Ok(visible == json!(true))
}

/// What tells the states of nodes and edges apart beside their colours, a text each, by the state.
const GRAPH_STATES: &str = "const looks = (element, names) => { \
        const style = getComputedStyle(element); return names.map(name => style[name]).join(' ') }; \
    const found = {}; \
    const note = (selector, name, part, names) => { \
        const element = document.querySelector(`.graph ${selector}`); \
        found[name] = element === null ? null \
            : looks(part === '' ? element : element.querySelector(part), names) }; \
    const lines = ['strokeWidth', 'strokeDasharray']; \
    const other = ':not(.is-root, .is-option, .is-oracle)'; \
    note(`.node${other}`, 'node', '.pill', lines); \
    note('.node.is-root', 'root', '.pill', lines); \
    note('.node.is-option:not(.is-oracle)', 'option', '.pill', lines); \
    note(`.node.is-oracle:not(.is-root, .is-option)`, 'way', '.pill', lines); \
    note('.edge:not(.is-walked, .is-oracle)', 'edge', '', lines); \
    note('.edge.is-walked:not(.is-oracle)', 'walked edge', '', lines); \
    note('.edge.is-oracle:not(.is-walked)', 'edge of the way', '', lines); \
    return found";

/// Colours that the system has replaced tell nothing: lines and their dashes do.
#[test]
fn states_of_the_graph_are_told_apart_without_colours() {
    in_browser(WebGpu::Off, async |browser| {
        let feature = json!({ "name": "forced-colors", "value": "active" });
        let features = json!({ "features": [feature] });
        browser
            .devtools("Emulation.setEmulatedMedia", features)
            .await?;
        // Words go another way than the shortest here, so that every state is there.
        browser
            .open("problem=class:4&lanes=prosqa-cot:token-cot&speed=max&run=yes")
            .await?;
        finished_run(browser).await?;
        browser.click("oracle").await?;
        let is_forced = "return matchMedia('(forced-colors: active)').matches";
        ensure!(browser.execute(is_forced, Value::Null).await? == json!(true));
        let found = browser.execute(GRAPH_STATES, Value::Null).await?;
        for states in [
            &["node", "root", "option", "way"][..],
            &["edge", "walked edge", "edge of the way"],
        ] {
            let looks: Vec<&str> = states
                .iter()
                .filter_map(|name| found[name].as_str())
                .collect();
            let different: std::collections::BTreeSet<&str> = looks.iter().copied().collect();
            ensure!(
                different.len() == states.len(),
                "expected {states:?} to differ, found {found:#}"
            );
        }
        check_quiet(browser).await
    });
}

fn axe_script() -> String {
    let axe = setup::axe_script().and_then(|path| {
        std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}: run `cargo xtask setup`", path.display()))
    });
    axe.unwrap_or_else(|error| panic!("{error:#}"))
}

/// What opens on request: a step's actions, a chapter, the graph's editor.
#[test]
fn axe_finds_nothing_in_what_is_opened_on_request() {
    let axe = axe_script();
    in_browser(WebGpu::Off, async |browser| {
        for dark in [false, true] {
            browser.prefer_dark(dark).await?;
            for state in ["a pinned step", "the tour", "the graph's editor"] {
                // A chapter has a set-up of its own, in which the run waits for a prediction.
                let hash = match state {
                    "the tour" => "chapter=1".into(),
                    _ => address("max"),
                };
                browser.open(&hash).await?;
                browser.wait_enabled("reset", LIMIT).await?;
                browser.execute(&axe, Value::Null).await?;
                match state {
                    "a pinned step" => {
                        browser.wait_enabled("run", LIMIT).await?;
                        browser.click("run").await?;
                        finished_run(browser).await?;
                        browser.click_on("[data-testid=lane-3] .row").await?;
                        browser.wait_text("step-actions", |_| true, LIMIT).await?;
                        browser.unfold("step-actions").await?;
                    }
                    "the tour" => {
                        browser.wait_text("chapter", |_| true, LIMIT).await?;
                    }
                    _ => {
                        browser.click("edit-graph").await?;
                        browser.click_on(".graph .node").await?;
                        browser.wait_enabled("edit-root", LIMIT).await?;
                    }
                }
                axe_agrees(browser, &format!("{state}, dark: {dark}")).await?;
                browser.resize(SIZES[2].0).await?;
            }
        }
        check_quiet(browser).await
    });
}

#[test]
fn axe_finds_nothing() {
    let axe = axe_script();
    in_browser(WebGpu::Off, async |browser| {
        for dark in [false, true] {
            browser.prefer_dark(dark).await?;
            browser.open(&address("max")).await?;
            browser.wait_enabled("run", LIMIT).await?;
            browser.execute(&axe, Value::Null).await?;
            for state in ["before a run", "after a run, with everything open"] {
                if state != "before a run" {
                    browser.click("run").await?;
                    finished_run(browser).await?;
                    open_all(browser).await?;
                }
                axe_agrees(browser, &format!("{state}, dark: {dark}")).await?;
            }
        }
        Ok(())
    });
}

/// Guards the tests themselves: what they look for must be found where it is.
#[test]
fn faults_of_layout_are_found() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        for (style, expect) in [
            ("[data-testid=reset] { margin-left: -3rem }", "reset"),
            ("[data-testid=step] { min-height: 0; height: 20px }", "step"),
            ("[data-testid=guide] { width: 120vw }", "wide"),
        ] {
            let added = "const sheet = new CSSStyleSheet(); sheet.replaceSync(arguments[0]); \
                         document.adoptedStyleSheets = [sheet]";
            browser.execute(added, json!(style)).await?;
            let found = layout_faults(browser).await?.join("\n");
            ensure!(
                found.contains(expect),
                "with {style}: expected {expect:?} in the faults, found {found:?}"
            );
        }
        Ok(())
    });
}

/// Opens what is folded away, and the settings of the lane that every screen shows.
async fn open_all(browser: &Browser) -> Result<()> {
    let settings = "document.querySelector('[data-testid=lane-3-settings]').click()";
    browser.execute(settings, Value::Null).await?;
    let open = "for (const folded of document.querySelectorAll('details')) folded.open = true";
    browser.execute(open, Value::Null).await?;
    let is_there = |text: &str| text.contains("checkpoint");
    browser.wait_text("evidence", is_there, LIMIT).await?;
    // What is folded away in a panel comes with it.
    browser.execute(open, Value::Null).await?;
    let is_at_rest = |text: &str| text.starts_with("All steps") || text.starts_with("Waits");
    browser
        .wait_text("analysis-status", is_at_rest, LIMIT)
        .await?;
    Ok(())
}

/// Fails where the layout has faults at one of the sizes.
async fn check_layout(browser: &Browser, state: &str) -> Result<()> {
    for (size, _) in SIZES {
        browser.resize(size).await?;
        let faults = layout_faults(browser).await?;
        ensure!(
            faults.is_empty(),
            "{state}, at {size:?}: expected no faults, found {faults:#?}"
        );
    }
    Ok(())
}

async fn layout_faults(browser: &Browser) -> Result<Vec<String>> {
    let faults = browser.execute(LAYOUT, Value::Null).await?;
    serde_json::from_value(faults).context("expected a list of faults")
}

/// The `data-testid`s of the lanes that the page shows.
async fn shown_lanes(browser: &Browser) -> Result<Vec<String>> {
    let script = "return Array.from(document.querySelectorAll('article')) \
                  .filter(lane => lane.checkVisibility()).map(lane => lane.dataset.testid)";
    let lanes = browser.execute(script, Value::Null).await?;
    serde_json::from_value(lanes).context("expected a list of lanes")
}

/// What axe-core has to say, its rule for the size of buttons included.
/// At three sizes axe finds nothing in the `state` that the page is in.
async fn axe_agrees(browser: &Browser, state: &str) -> Result<()> {
    for (size, _) in &SIZES[..3] {
        browser.resize(*size).await?;
        let found = axe_findings(browser).await?;
        ensure!(
            found.is_empty(),
            "{state}, at {size:?}: expected no findings, found {found:#?}"
        );
    }
    Ok(())
}

async fn axe_findings(browser: &Browser) -> Result<Vec<String>> {
    let script = "axe.run({ rules: { 'target-size': { enabled: true } } }).then(found => \
                  arguments[1](found.violations.flatMap(rule => rule.nodes.map(node => \
                      `${rule.id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`))))";
    let findings = browser.execute_async(script, Value::Null).await?;
    serde_json::from_value(findings).context("expected a list of findings")
}
