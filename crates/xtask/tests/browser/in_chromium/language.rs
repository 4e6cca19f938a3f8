//! The page in German: what the tables say, and nothing of them in English.

use anyhow::ensure;
use serde_json::json;

use super::{LIMIT, check_quiet, in_browser};
use crate::chromium::WebGpu;

#[test]
fn a_german_page_speaks_german_to_its_glossary() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open("lang=de&chapter=4&engine=reference").await?;
        browser.wait_enabled("run", LIMIT).await?;
        let chapter = browser.texts("chapter").await?.concat();
        ensure!(
            chapter == "4 von 8: Ein Gedanke hält die Front",
            "found {chapter:?}"
        );
        for panel in ["guide", "take-away"] {
            browser.unfold(panel).await?;
        }
        for (testid, german) in [
            ("guide", "Wo die Aufgabe ein Graph ist"),
            ("guide", "Denkt in stetigen Gedanken"),
            ("glossary", "Ein verborgener Zustand des Modells"),
            ("take-away", "Graph als SVG"),
        ] {
            // Folded parts have a text, too.
            let script =
                "return document.querySelector(`[data-testid=${arguments[0]}]`).textContent";
            let text = browser.execute(script, json!(testid)).await?.to_string();
            ensure!(
                text.contains(german),
                "{testid}: expected {german:?} in {text}"
            );
        }
        check_quiet(browser).await?;
        browser
            .open("lang=de&lanes=no-such-checkpoint:soft")
            .await?;
        let is_german = |text: &str| text.contains("nicht auf dieser Website");
        browser.wait_text("error", is_german, LIMIT).await?;
        Ok(())
    });
}
