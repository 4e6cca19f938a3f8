//! The page without a network: what was loaded once runs with the server stopped.

use anyhow::{Result, ensure};
use xtask::server::{Host, StaticServer};
use xtask::workspace;

use super::{LIMIT, address, finished_run, in_browser};
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
        Ok(())
    });
}

/// The worker answers for its own folder and for nothing beside it.
#[test]
fn the_worker_keeps_to_its_own_folder() -> Result<()> {
    let worker = std::fs::read_to_string(workspace::dist().join("sw.js"))?;
    ensure!(!worker.contains("unpackaged"), "its list is filled in");
    ensure!(
        worker.contains("\"./\",") && worker.contains(".wasm\","),
        "the page itself"
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
