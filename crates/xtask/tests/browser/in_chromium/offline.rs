//! The page without a network: what was loaded once runs with the server stopped.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use xtask::server::{Host, StaticServer};
use xtask::workspace;

use super::{LIMIT, address, finished_run, in_browser, site::Site};
use crate::chromium::WebGpu;

#[test]
fn a_page_that_was_opened_once_runs_with_its_server_stopped() {
    in_browser(WebGpu::Off, async |browser| {
        let server = StaticServer::start(&workspace::dist(), 0, "/kept/", Host::default())?;
        browser.open_on(&server, &address("max")).await?;
        let is_kept = |text: &str| text.starts_with("Kept on this device");
        browser.wait_text("offline", is_kept, LIMIT).await?;
        drop(server);
        browser.reload().await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        let run = finished_run(browser).await?;
        let n_lanes = run["lanes"].as_array().map_or(0, Vec::len);
        ensure!(n_lanes == 4, "expected the default lanes, found {n_lanes}");
        // Its code was kept, and nobody had opened it.
        browser.unfold("guide").await?;
        browser.wait_text("glossary", |_| true, LIMIT).await?;
        Ok(())
    });
}

/// What the browser has no room to keep is answered all the same.
#[test]
fn a_page_whose_storage_is_full_runs_what_it_cannot_keep() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        let is_kept = |text: &str| text.starts_with("Kept on this device");
        browser.wait_text("offline", is_kept, LIMIT).await?;
        let origin = browser.execute("return location.origin", Value::Null);
        let full = json!({ "origin": origin.await?, "quotaSize": 1 });
        browser
            .devtools("Storage.overrideQuotaForOrigin", full)
            .await?;
        let other_task = format!("task=prontoqa&{}", address("max"));
        browser.open(&other_task).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        finished_run(browser).await?;
        let prontoqa = "const done = arguments[1]; caches.match('models/prontoqa-unified/model.safetensors')\
                        .then(found => done(found !== undefined))";
        let is_kept = browser.execute_async(prontoqa, Value::Null).await?;
        ensure!(is_kept == false, "there was room for it");
        Ok(())
    });
}

/// A newer version waits until the visitor wants it.
#[test]
fn another_version_is_offered_and_loaded_on_request() {
    in_browser(WebGpu::Off, async |browser| {
        let site = Site::of_dist()?;
        let server = StaticServer::start(site.folder(), 0, "/kept/", Host::default())?;
        browser.open_on(&server, &address("max")).await?;
        let is_kept = |text: &str| text.starts_with("Kept on this device");
        browser.wait_text("offline", is_kept, LIMIT).await?;
        let worker = std::fs::read_to_string(workspace::dist().join("sw.js"))?;
        site.write(
            "sw.js",
            worker.replace("version: \"", "version: \"b").as_bytes(),
        )?;
        browser.reload().await?;
        browser.wait_text("update", |_| true, LIMIT).await?;
        // The page that is left says that it is kept, too.
        let mark = "window.isOldPage = true";
        browser.execute(mark, Value::Null).await?;
        browser.click("use-update").await?;
        let is_new = "return window.isOldPage === undefined";
        browser.wait_value(is_new, &json!(true), LIMIT).await?;
        browser.wait_text("offline", is_kept, LIMIT).await?;
        let offers = browser.count("[data-testid=update]").await?;
        ensure!(offers == 0, "the newest version has nothing to offer");
        Ok(())
    });
}

/// The worker answers for its own folder and for nothing beside it.
#[test]
fn the_worker_keeps_to_its_own_folder() -> Result<()> {
    let worker = std::fs::read_to_string(workspace::dist().join("sw.js"))?;
    ensure!(!worker.contains("unpackaged"), "its list is filled in");
    ensure!(
        worker.contains("\"./\",") && worker.contains("_bg.wasm\","),
        "the page itself"
    );
    ensure!(
        worker.contains("/split_panels.wasm\",") && worker.contains("/split_models.wasm\","),
        "its parts that come later"
    );
    ensure!(
        !worker.contains(".safetensors"),
        "checkpoints are kept when they are used"
    );
    ensure!(
        worker.contains("startsWith(registration.scope)"),
        "its scope"
    );
    Ok(())
}
