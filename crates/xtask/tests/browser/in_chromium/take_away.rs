//! What is taken away is what the page shows.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{KEEP, LIMIT, address, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

#[test]
fn a_run_is_taken_away_as_texts_and_pictures() {
    in_browser(WebGpu::Off, async |browser| {
        browser.before_page(KEEP).await?;
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        let run = finished_run(browser).await?;
        browser.unfold("take-away").await?;
        let (kind, json) = taken(browser, "run-json").await?;
        ensure!(kind == "application/json", "found {kind}");
        ensure!(serde_json::from_str::<Value>(&json)? == run, "another run");
        let (_, csv) = taken(browser, "run-csv").await?;
        let lanes = run["lanes"].as_array().context("lanes")?;
        let n_steps: usize = lanes
            .iter()
            .filter_map(|lane| Some(lane["steps"].as_array()?.len()))
            .sum();
        let n_lines = csv.lines().count();
        ensure!(
            n_lines == n_steps + 1,
            "expected {n_steps} steps and a head, found {n_lines} lines"
        );
        for name in ["graph", "chart"] {
            let (kind, svg) = taken(browser, &format!("{name}-svg")).await?;
            ensure!(
                kind == "image/svg+xml" && svg.contains("xmlns="),
                "{kind}: {svg}"
            );
            ensure!(!svg.contains("class="), "looks are part of the drawing");
            let (kind, _) = taken(browser, &format!("{name}-png")).await?;
            ensure!(
                kind == "image/png",
                "expected a PNG of the {name}, found {kind}"
            );
        }
        check_quiet(browser).await
    });
}

#[test]
fn a_frame_shows_graph_chart_and_lanes_alone() {
    in_browser(WebGpu::Off, async |browser| {
        browser
            .open(&format!("{}&embed=yes&run=yes", address("max")))
            .await?;
        finished_run(browser).await?;
        let shown = "return ['header', 'evidence', 'speed', 'graph', 'entropy-chart', 'lane-0', 'run'].filter(id => \
                     document.querySelector(`[data-testid=\"${id}\"]`).checkVisibility())";
        let shown = browser.execute(shown, Value::Null).await?;
        let expected = json!(["graph", "entropy-chart", "lane-0", "run"]);
        ensure!(shown == expected, "expected {expected}, found {shown}");
        check_quiet(browser).await
    });
}

/// What a button offers: the newest file, its type and its text.
pub async fn taken(browser: &Browser, testid: &str) -> Result<(String, String)> {
    let script = "const [testid, done] = arguments; const before = window.taken.length; \
                  document.querySelector(`[data-testid=\"${testid}\"]`).click(); \
                  const wait = async () => { \
                      const blob = window.taken.at(-1); \
                      const isPicture = testid.endsWith('png'); \
                      if (window.taken.length === before || isPicture && blob.type !== 'image/png') \
                          return setTimeout(wait, 50); \
                      done([blob.type, await blob.text()]) }; \
                  wait()";
    let found = browser.execute_async(script, json!(testid)).await?;
    serde_json::from_value(found).with_context(|| format!("expected a file of {testid}"))
}
