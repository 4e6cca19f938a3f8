//! Studies of mixtures in the page's Evidence: fetched when they are opened, and said as
//! `docs/results.md` says them.

use std::fs;

use anyhow::ensure;
use latent_model::analysis::report::{AnalysisRow, AnalysisStudy};
use serde_json::{Value, json};
use xtask::workspace;

use super::{LIMIT, address, check_quiet, in_browser};
use crate::chromium::WebGpu;

#[test]
fn a_study_is_fetched_when_it_is_opened_and_says_what_the_results_say() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let fetched = "return performance.getEntriesByType('resource')\
                       .filter(entry => entry.name.endsWith('analysis.json')).length";
        browser.unfold("evidence").await?;
        let table = "evidence-coconut-prosqa";
        browser.wait_text(table, |_| true, LIMIT).await?;
        let before = browser.execute(fetched, Value::Null).await?;
        ensure!(before == 0, "nobody has opened a study, found {before}");
        for (n_fetched, name) in [(1, "analysis"), (2, "smollm2")] {
            let section = format!("study-{name}");
            browser.unfold(&section).await?;
            let is_there = |text: &str| text.contains("ROUGE-L");
            browser.wait_text(&section, is_there, LIMIT).await?;
            let found = browser.execute(fetched, Value::Null).await?;
            ensure!(found == n_fetched, "found {found}");

            let folder = workspace::root().join("public/evidence").join(name);
            let study = fs::read_to_string(folder.join("analysis.json"))?;
            let study: AnalysisStudy = serde_json::from_str(&study)?;
            let said = study.rows.iter().flat_map(AnalysisRow::sentences);
            let results = fs::read_to_string(workspace::root().join("docs/results.md"))?;
            let said: Vec<String> = said.filter(|text| results.contains(text)).collect();
            let expected: Vec<String> = said.iter().map(|text| text.replace('`', "")).collect();
            ensure!(!expected.is_empty(), "{name}: nothing is said");
            let script = "return [...document.querySelectorAll(`[data-testid=${arguments[0]}] li`)]\
                          .map(item => item.textContent)";
            let found = browser.execute(script, json!(section)).await?;
            let found: Vec<String> = serde_json::from_value(found)?;
            ensure!(found == expected, "{name}: found {found:#?}");
            let script = "const picture = document.querySelector(`[data-testid=${arguments[0]}] img`); \
                          picture.loading = 'eager'; \
                          picture.decode().then(() => arguments[1](picture.naturalWidth), arguments[1])";
            let width = browser.execute_async(script, json!(section)).await?;
            ensure!(
                width.as_u64().is_some_and(|width| width > 100),
                "found {width}"
            );
            let row = &study.rows[0];
            let n = format!("n {}", row.subject.n);
            let texts = browser.texts(&section).await?.concat();
            ensure!(
                texts.contains(&n) && texts.contains(&row.subject.model),
                "{texts}"
            );
        }
        check_quiet(browser).await
    });
}
