//! Models that visitors bring: dropped, picked and loaded from an address; kept, stopped, and refused
//! with a reason of their own.

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use xtask::server::{Host, StaticServer};
use xtask::workspace;

use super::brought_files::{
    Answer, AnswersAsTold, faults, folder, gguf, gguf_of_all_formats, with_gguf,
};
use super::{
    LIMIT, check_quiet, finished_run, in_browser, leave_room_for, run_to_end, wait_until_kept,
};
use crate::chromium::{Browser, WebGpu};
use crate::reference_run::check_text_against_reference;

/// A page of free text whose lanes are those of whatever is brought.
pub const FREE_TEXT: &str = "task=free-text&problem=text:ab%20c&seed=1&speed=max";

/// What the browser says it would keep for this page: anything.
const STORAGE_IS_SAID_TO_BE_LARGE: &str =
    "StorageManager.prototype.estimate = async () => ({ quota: 1e12, usage: 0 })";

/// What the browser would keep for this page: nothing.
const STORAGE_IS_FULL: &str =
    "StorageManager.prototype.estimate = async () => ({ quota: 10, usage: 9 })";

/// The device's memory is full as soon as the page says so.
const MEMORY_IS_FULL: &str = "if (window.GPUDevice) { \
    const filters = [], { pushErrorScope, popErrorScope } = GPUDevice.prototype; \
    GPUDevice.prototype.pushErrorScope = function (filter) { \
        filters.push(filter); return pushErrorScope.call(this, filter) }; \
    GPUDevice.prototype.popErrorScope = async function () { \
        const is = filters.pop() === 'out-of-memory' && window.memoryIsFull; \
        const found = await popErrorScope.call(this); \
        return is ? new GPUOutOfMemoryError('full') : found } }";

/// Files as they are picked or dropped.
type Files<'a> = &'a [(String, Vec<u8>)];

#[test]
fn a_gguf_file_that_is_dropped_runs_and_is_there_without_a_network() {
    in_browser(WebGpu::Off, async |browser| {
        let server = StaticServer::start(&workspace::dist(), 0, "/kept/", Host::default())?;
        browser.open_on(&server, FREE_TEXT).await?;
        wait_until_kept(browser).await?;
        drop_files(browser, &[("small.gguf".into(), gguf())]).await?;
        let run = run_with(browser, "small").await?;
        let strategies: Vec<&str> = lanes(&run)
            .filter_map(|lane| lane["strategy"].as_str())
            .collect();
        ensure!(
            strategies == ["token-cot", "soft", "soft-gumbel", "token-cot-cold-stop"],
            "found {strategies:?}"
        );
        ensure!(run["prompt"] == "ab c", "found {}", run["prompt"]);
        let graded = lanes(&run)
            .filter(|lane| !lane["verdict"].is_null())
            .count();
        ensure!(graded == 0, "nobody knows the answer");
        drop(server);
        browser.reload().await?;
        let again = run_with(browser, "small").await?;
        for (before, after) in lanes(&run).zip(lanes(&again)) {
            ensure!(before["answer"] == after["answer"], "another answer");
        }
        browser.unfold("open-model").await?;
        browser.click("forget-small").await?;
        wait_until_none_is_kept(browser).await?;
        browser.reload().await?;
        let known = browser.count("[data-testid=known-model]").await?;
        ensure!(known == 0, "it was cleared");
        Ok(())
    });
}

#[test]
fn weights_of_every_format_are_read_in_the_page_as_they_are_natively() {
    in_browser(WebGpu::Off, async |browser| {
        // With this seed no answer ends within a character, whose half the page would not show.
        let seed = 2;
        let hash = format!("task=free-text&problem=text:ab%20c&seed={seed}&speed=max");
        browser.open(&hash).await?;
        let bytes = gguf_of_all_formats();
        drop_files(browser, &[("formats.gguf".into(), bytes.clone())]).await?;
        let run = run_with(browser, "formats").await?;
        let file = std::env::temp_dir().join(format!("formats-{}.gguf", std::process::id()));
        std::fs::write(&file, bytes)?;
        let hash = browser.hash().await?;
        let checked = check_text_against_reference(&run, &file, ("ab c", seed, &hash));
        std::fs::remove_file(file)?;
        checked
    });
}

#[test]
fn a_folder_that_is_picked_runs_beside_the_checkpoints_that_ship() {
    in_browser(WebGpu::Off, async |browser| {
        browser
            .open("task=free-text&problem=text:Tom%20is%20a%20terpus.&speed=max")
            .await?;
        let files = folder("prosqa-cot")?;
        pick(browser, "pick-folder", &files).await?;
        // A checkpoint that ships has that name.
        let run = run_with(browser, "my-prosqa-cot").await?;
        ensure!(lanes(&run).all(|lane| lane["model"] == "my-prosqa-cot"));
        check_quiet(browser).await
    });
}

/// What a browser makes of a folder that is dropped from a desktop: an entry whose files are read.
#[test]
fn a_folder_that_is_dropped_runs() {
    in_browser(WebGpu::Off, async |browser| {
        browser
            .open("task=free-text&problem=text:Tom%20is%20a%20terpus.&speed=max")
            .await?;
        browser.wait_enabled("theme", LIMIT).await?;
        let path = workspace::root().join("public/models/prosqa-no-cot");
        for event in ["dragEnter", "dragOver", "drop"] {
            let data = json!({ "items": [], "files": [path], "dragOperationsMask": 1 });
            let params = json!({ "type": event, "x": 300, "y": 300, "data": data });
            browser.devtools("Input.dispatchDragEvent", params).await?;
        }
        let run = run_with(browser, "my-prosqa-no-cot").await?;
        ensure!(lanes(&run).all(|lane| lane["model"] == "my-prosqa-no-cot"));
        check_quiet(browser).await
    });
}

/// A repository's address stands for the files that its folder would have, the weights in the parts that
/// its index names; what it need not have may be absent.
#[test]
fn a_repository_is_read_from_its_address() {
    in_browser(WebGpu::Off, async |browser| {
        let mut files = folder("prosqa-no-cot")?.into_iter().map(|(_, bytes)| bytes);
        let mut next = || Answer::Whole(files.next().unwrap_or_default());
        let index = r#"{"weight_map": {"model.norm.weight": "model-00001-of-00001.safetensors"}}"#;
        let host = AnswersAsTold::start(vec![
            ("/repo/config.json", next()),
            ("/repo/tokenizer.json", next()),
            ("/repo/model-00001-of-00001.safetensors", next()),
            (
                "/repo/model.safetensors.index.json",
                Answer::Whole(index.into()),
            ),
        ])?;
        browser
            .open("task=free-text&problem=text:Tom%20is%20a%20terpus.&speed=max")
            .await?;
        browser.wait_text("address-asks", |_| true, LIMIT).await?;
        browser.fill("model-address", &host.url("/repo")).await?;
        browser.click("load-address").await?;
        let run = run_with(browser, "repo").await?;
        ensure!(lanes(&run).all(|lane| lane["model"] == "repo"));
        Ok(())
    });
}

#[test]
fn an_address_is_asked_only_when_somebody_wants_it_and_can_be_stopped() {
    in_browser(WebGpu::Off, async |browser| {
        let file = gguf();
        let host = AnswersAsTold::start(vec![
            ("/half.gguf", Answer::Stalls(file.clone())),
            ("/whole.gguf", Answer::Whole(file)),
        ])?;
        browser.open(FREE_TEXT).await?;
        browser
            .wait_text("address-asks", |text| text.contains("only thing"), LIMIT)
            .await?;
        browser
            .fill("model-address", &host.url("/half.gguf"))
            .await?;
        browser
            .wait_text(
                "address-asks",
                |text| text.contains("will ask 127.0.0.1"),
                LIMIT,
            )
            .await?;
        ensure!(host.n_asked() == 0, "it was asked before anybody wanted it");
        browser.click("load-address").await?;
        browser
            .wait_text("loading", |text| text.contains("half"), LIMIT)
            .await?;
        browser.click("stop-loading").await?;
        browser
            .wait_text("error", |text| text.contains("it was stopped"), LIMIT)
            .await?;
        let kept = kept_names(browser).await?;
        ensure!(kept.is_empty(), "half of it was kept: {kept:?}");
        browser
            .fill("model-address", &host.url("/whole.gguf"))
            .await?;
        browser.click("load-address").await?;
        run_with(browser, "whole").await?;
        ensure!(kept_names(browser).await? == ["whole"]);
        Ok(())
    });
}

#[test]
fn every_fault_has_words_of_its_own_and_takes_nothing_away() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(FREE_TEXT).await?;
        drop_files(browser, &[("good.gguf".into(), gguf())]).await?;
        browser
            .wait_text("known-model", |text| text.contains("good"), LIMIT)
            .await?;
        let before = browser.hash().await?;
        for (fault, files, words) in faults()? {
            drop_files(browser, &files).await?;
            expect_error(browser, fault, words).await?;
        }
        let file = gguf();
        let host = AnswersAsTold::start(vec![
            ("/page/config.json", Answer::Page),
            ("/cut.gguf", Answer::Cut(file)),
        ])?;
        for (address, words) in [
            ("/absent", &["config.json", "404"][..]),
            (
                "/page",
                &["config.json", "the server answered with a page"][..],
            ),
            (
                "/cut.gguf",
                &["cannot fetch", "cut.gguf", "network error"][..],
            ),
        ] {
            browser.unfold("open-model").await?;
            browser.fill("model-address", &host.url(address)).await?;
            browser.click("load-address").await?;
            expect_error(browser, address, words).await?;
        }
        ensure!(browser.hash().await? == before, "something was changed");
        ensure!(
            kept_names(browser).await? == ["good"],
            "something else is kept"
        );
        // A prompt that the model has no room for, and then one that it has.
        let long = "a".repeat(400);
        browser
            .set_hash(&before.replace("text:ab%20c", &format!("text:{long}")))
            .await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        expect_error(
            browser,
            "a long prompt",
            &["do not fit the model's context of 256"],
        )
        .await?;
        browser.set_hash(&before).await?;
        run_with(browser, "good").await?;
        Ok(())
    });
}

#[test]
fn a_model_that_cannot_be_kept_runs_all_the_same_and_says_so() {
    in_browser(WebGpu::Off, async |browser| {
        browser.before_page(STORAGE_IS_FULL).await?;
        browser.open(FREE_TEXT).await?;
        drop_files(browser, &[("small.gguf".into(), gguf())]).await?;
        expect_error(
            browser,
            "full storage",
            &["storage is full", "until the page is closed"],
        )
        .await?;
        run_with(browser, "small").await?;
        // Another task, and back: it is still there.
        browser.choose("task", "prosqa").await?;
        browser.choose("task", "free-text").await?;
        run_with(browser, "small").await?;
        let kept = kept_names(browser).await?;
        ensure!(kept.is_empty(), "found {kept:?}");
        Ok(())
    });
}

/// The browser may have promised more than there is: then a write fails in the middle of a file.
#[test]
fn a_model_whose_keeping_fails_half_way_runs_all_the_same_and_says_so() {
    in_browser(WebGpu::Off, async |browser| {
        browser.before_page(STORAGE_IS_SAID_TO_BE_LARGE).await?;
        browser.open(FREE_TEXT).await?;
        leave_room_for(browser, 1000).await?;
        drop_files(browser, &[("small.gguf".into(), gguf())]).await?;
        let words = ["not kept", "until the page is closed"];
        expect_error(browser, "a write that fails", &words).await?;
        // The browser's words end in a full stop, and so does the page's sentence.
        let told = browser.texts("error").await?.concat();
        ensure!(!told.contains(".."), "found {told}");
        run_with(browser, "small").await?;
        let kept = kept_names(browser).await?;
        ensure!(kept.is_empty(), "found {kept:?}");
        Ok(())
    });
}

#[test]
fn what_another_tab_is_keeping_is_left_to_it_and_what_none_is_goes() {
    in_browser(WebGpu::Off, async |browser| {
        // Holds what a tab holds that keeps a model.
        let hold = "if (location.origin !== 'null' && sessionStorage.holds) \
                    navigator.locks.request('latent-models/half~1', () => new Promise(() => {}))";
        browser.before_page(hold).await?;
        browser.open(FREE_TEXT).await?;
        // This first page has looked through what is kept before it is drawn.
        browser.wait_enabled("theme", LIMIT).await?;
        let begin = "const done = arguments[1]; (async () => { \
                     const root = await navigator.storage.getDirectory(); \
                     const folder = await root.getDirectoryHandle('latent-models', { create: true }); \
                     await folder.getDirectoryHandle('half~1', { create: true }); \
                     sessionStorage.holds = 'yes'; done() })()";
        browser.execute_async(begin, Value::Null).await?;
        browser.reload().await?;
        wait_until_kept(browser).await?;
        let kept = kept_names(browser).await?;
        ensure!(
            kept == ["half"],
            "another tab was writing it, found {kept:?}"
        );
        let let_go = "sessionStorage.removeItem('holds')";
        browser.execute(let_go, Value::Null).await?;
        browser.reload().await?;
        wait_until_none_is_kept(browser).await
    });
}

#[test]
fn a_device_without_room_is_said_and_the_cpu_takes_over_when_asked() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.before_page(MEMORY_IS_FULL).await?;
        browser.open(&format!("{FREE_TEXT}&engine=gpu")).await?;
        // The adapter is tested first, which needs room, too.
        let agrees = |text: &str| text.starts_with("GPU agrees");
        browser.wait_text("self-test", agrees, LIMIT).await?;
        browser
            .execute("window.memoryIsFull = true", Value::Null)
            .await?;
        drop_files(browser, &[("small.gguf".into(), gguf())]).await?;
        browser
            .wait_text("known-model", |text| text.contains("small"), LIMIT)
            .await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        expect_error(
            browser,
            "full memory",
            &["not enough memory", "the model's weights"],
        )
        .await?;
        browser.click("use-reference").await?;
        run_with(browser, "small").await?;
        Ok(())
    });
}

/// Recorded runs are offered where there is no model, and play without WebGPU.
#[test]
fn recorded_runs_of_a_language_model_play_without_one() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open("task=free-text&speed=max").await?;
        browser
            .wait_text("recorded-runs", |text| text.contains("SmolLM2"), LIMIT)
            .await?;
        for file in ["smollm2-sum", "smollm2-riddle", "smollm2-story"] {
            browser.unfold("open-model").await?;
            browser.click(&format!("play-{file}")).await?;
            browser
                .wait_text(
                    "playing",
                    |text| text.contains("nothing is computed"),
                    LIMIT,
                )
                .await?;
            browser.choose("speed", "max").await?;
            browser.wait_enabled("run", LIMIT).await?;
            browser.click("run").await?;
            let run = finished_run(browser).await?;
            ensure!(lanes(&run).count() == 3, "{file}: three lanes");
            for lane in lanes(&run) {
                let answer = lane["answer"].as_str().unwrap_or_default();
                ensure!(
                    !answer.trim().is_empty(),
                    "{file}: {} says nothing",
                    lane["strategy"]
                );
                ensure!(
                    !answer.contains('\u{fffd}'),
                    "{file}: half a character in {answer:?}"
                );
            }
            let thought = browser.texts("lane-0-thought").await?;
            ensure!(
                thought.iter().any(|text| text.contains(' ')),
                "{file}: {thought:?}"
            );
        }
        check_quiet(browser).await
    });
}

fn lanes(run: &Value) -> impl Iterator<Item = &Value> {
    run["lanes"].as_array().into_iter().flatten()
}

/// Waits for a model to be among those that are known, and runs the lanes that are on it.
pub(super) async fn run_with(browser: &Browser, name: &str) -> Result<Value> {
    let is_it = |text: &str| text.contains(name);
    browser.wait_text("known-model", is_it, LIMIT).await?;
    let has_lanes = |hash: &str| hash.contains(&format!("={name}:"));
    browser.wait_hash(has_lanes, LIMIT).await?;
    run_to_end(browser).await
}

pub(super) async fn wait_until_none_is_kept(browser: &Browser) -> Result<()> {
    let started = std::time::Instant::now();
    while !kept_names(browser).await?.is_empty() {
        ensure!(started.elapsed() < LIMIT, "it is still kept");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn expect_error(browser: &Browser, fault: &str, words: &[&str]) -> Result<()> {
    let holds_all = |text: &str| words.iter().all(|word| text.contains(word));
    let found = browser.wait_text("error", holds_all, LIMIT).await;
    found.with_context(|| format!("{fault}: expected {words:?}"))?;
    Ok(())
}

/// The names of the models that the browser keeps for this page.
async fn kept_names(browser: &Browser) -> Result<Vec<String>> {
    let script = "const done = arguments[1]; (async () => { \
                  const root = await navigator.storage.getDirectory(), names = []; \
                  const folder = await root.getDirectoryHandle('latent-models', { create: true }); \
                  for await (const name of folder.keys()) { names.push(name.split('~')[0]) } done(names) })()";
    let names = browser.execute_async(script, Value::Null).await?;
    serde_json::from_value(names).context("expected names")
}

/// The files of a script's first argument.
const FILES: &str = "const files = new DataTransfer(); \
    for (const [path, text] of arguments[0].files) { \
        const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)); \
        const file = new File([bytes], path.split('/').at(-1)); \
        Object.defineProperty(file, 'webkitRelativePath', { value: path.includes('/') ? path : '' }); \
        files.items.add(file) }";

fn encoded(files: Files<'_>) -> Value {
    let file = |(path, bytes): &(String, Vec<u8>)| json!([path, BASE64_STANDARD.encode(bytes)]);
    files.iter().map(file).collect()
}

/// Drops files on the page.
pub(super) async fn drop_files(browser: &Browser, files: Files<'_>) -> Result<()> {
    let script = format!(
        "{FILES} document.querySelector('main').dispatchEvent( \
         new DragEvent('drop', {{ dataTransfer: files, bubbles: true, cancelable: true }}))"
    );
    browser.wait_enabled("theme", LIMIT).await?;
    browser
        .execute(&script, json!({ "files": encoded(files) }))
        .await?;
    Ok(())
}

/// Picks files in a field.
async fn pick(browser: &Browser, testid: &str, files: Files<'_>) -> Result<()> {
    let script = format!(
        "{FILES} const input = document.querySelector(`[data-testid=${{arguments[0].testid}}]`); \
         input.files = files.files; input.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    );
    browser.wait_enabled("theme", LIMIT).await?;
    let argument = json!({ "files": encoded(files), "testid": testid });
    browser.execute(&script, argument).await?;
    Ok(())
}

/// Guards the tests themselves: a file with a small change is another model, not a broken one.
#[test]
fn the_file_of_these_tests_is_a_model() {
    let bytes = gguf();
    ensure_model(&bytes);
    ensure_model(&with_gguf(|file| file.set_text("general.name", b"another")));
}

fn ensure_model(bytes: &[u8]) {
    let files = latent_model::model::ModelFiles::from_gguf("small.gguf", bytes.to_vec().into());
    let files = files.expect("its header");
    let model = latent_model::model::Model::from_files(&files).expect("a model");
    assert!(
        model.tokenizer.thinking().is_ok(),
        "every text is in its vocabulary"
    );
}
