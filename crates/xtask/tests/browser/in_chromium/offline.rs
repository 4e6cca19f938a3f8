//! The page without a network: what was loaded once runs with the server stopped.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use xtask::server::{Host, StaticServer};
use xtask::workspace;

use super::{
    LIMIT, address, finished_run, in_browser, leave_room_for, site::Site, wait_until_kept,
};
use crate::chromium::WebGpu;

#[test]
fn a_page_that_was_opened_once_runs_with_its_server_stopped() {
    in_browser(WebGpu::Off, async |browser| {
        let server = StaticServer::start(&workspace::dist(), 0, "/kept/", Host::default())?;
        browser.open_on(&server, &address("max")).await?;
        wait_until_kept(browser).await?;
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
        wait_until_kept(browser).await?;
        leave_room_for(browser, 1).await?;
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
        wait_until_kept(browser).await?;
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
        wait_until_kept(browser).await?;
        let offers = browser.count("[data-testid=update]").await?;
        ensure!(offers == 0, "the newest version has nothing to offer");
        Ok(())
    });
}

/// On a host with other pages, the worker is its own folder's: what it keeps lies there, and a page beside
/// it is not its client.
#[test]
fn pages_beside_it_are_left_alone() {
    in_browser(WebGpu::Off, async |browser| {
        let site = Site::of_dist()?;
        let server = StaticServer::start(site.folder(), 0, "/kept/", Host::default())?;
        browser.open_on(&server, &address("max")).await?;
        wait_until_kept(browser).await?;
        let script = "const done = arguments[1]; (async () => { \
                          const scopes = (await navigator.serviceWorker.getRegistrations()) \
                              .map(registration => new URL(registration.scope).pathname); \
                          const beside = await fetch('/beside.json'); \
                          const paths = []; \
                          for (const name of await caches.keys()) \
                              for (const { url } of await (await caches.open(name)).keys()) \
                                  paths.push(new URL(url).pathname); \
                          const frame = document.body.appendChild(document.createElement('iframe')); \
                          frame.src = '/beside.html'; \
                          await new Promise(loaded => frame.onload = loaded); \
                          const { controller } = frame.contentWindow.navigator.serviceWorker; \
                          done([scopes, beside.status, paths.length, \
                              paths.filter(path => !path.startsWith('/kept/')), controller]) })()";
        let found = browser.execute_async(script, Value::Null).await?;
        ensure!(
            found[0] == json!(["/kept/"]) && found[1] == 404 && found[3] == json!([]),
            "expected a worker of /kept/ that keeps nothing else, found {found}"
        );
        ensure!(found[2].as_u64() > Some(10), "it keeps the page: {found}");
        ensure!(found[4].is_null(), "a page beside it has a worker: {found}");
        Ok(())
    });
}

/// The worker's list is filled in: the page itself, and its parts that come later.
#[test]
fn the_worker_knows_the_page_and_its_parts() -> Result<()> {
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
    Ok(())
}
