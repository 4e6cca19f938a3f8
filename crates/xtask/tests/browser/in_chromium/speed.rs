//! "How fast is this device?": every engine is measured, and the report can be copied.

use anyhow::{Result, ensure};

use super::{LIMIT, address, check_quiet, in_browser};
use crate::chromium::{Browser, WebGpu};

/// Measures, and gives the engines of the table's rows.
async fn measured(browser: &Browser, engine: &str) -> Result<Vec<String>> {
    browser
        .open(&format!("{}&engine={engine}", address("max")))
        .await?;
    browser.wait_enabled("run", LIMIT).await?;
    browser.unfold("device-speed").await?;
    browser.click("speed-measure").await?;
    browser.wait_enabled("speed-copy", LIMIT).await?;
    let script = "return [...document.querySelectorAll('[data-testid=speed-table] tbody tr')]
        .map(row => [...row.children].map(cell => cell.textContent).join('|'))";
    let rows = browser.execute(script, serde_json::Value::Null).await?;
    let rows: Vec<String> = serde_json::from_value(rows)?;
    for row in &rows {
        let tokens: f64 = row.split('|').nth(2).unwrap_or_default().parse()?;
        ensure!(tokens > 0.0, "nobody decodes nothing: {row}");
    }
    Ok(rows)
}

#[test]
fn the_gpu_is_measured_beside_the_cpu_and_below_its_roof() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        let rows = measured(browser, "gpu").await?;
        let of = |name: &str| rows.iter().filter(|row| row.contains(name)).count();
        ensure!(
            of("GPU engine on") == 3 && of("Reference engine") == 3,
            "found {rows:?}"
        );
        let points = browser
            .count("[data-testid=speed-roofline] circle.point")
            .await?;
        ensure!(points == 3, "the roofline has {points} points");
        check_quiet(browser).await
    });
}

#[test]
fn without_a_gpu_the_reference_engine_is_measured_alone() {
    in_browser(WebGpu::Off, async |browser| {
        let rows = measured(browser, "reference").await?;
        ensure!(rows.len() == 3, "found {rows:?}");
        let drawn = browser.count("[data-testid=speed-roofline]").await?;
        ensure!(drawn == 0, "there is no roof to draw");
        check_quiet(browser).await
    });
}
