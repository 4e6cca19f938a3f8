//! Hosts that are strict, and hosts that lack a file: the page says what is wrong, by its cause.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::server::{Host, Missing, StaticServer};
use xtask::workspace;

use super::{address, in_browser, in_browser_with};
use crate::chromium::{Browser, WebGpu};

/// Until what is missing is known: before anything has to be computed.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn what_keeps_the_page_from_starting_is_named() {
    let program = built_file("_bg.wasm").unwrap_or_else(|error| panic!("{error:#}"));
    let module = program.replace("_bg.wasm", ".js");
    let policy = |policy: &str| Host {
        policy: Some(policy.into()),
        ..Host::default()
    };
    let lacks = |file: &str, missing| Host {
        absent: vec![file.into()],
        missing,
        ..Host::default()
    };
    let cases = [
        (
            policy("script-src 'self'"),
            vec!["was told not to run", "'wasm-unsafe-eval'"],
            vec!["wurde untersagt", "'wasm-unsafe-eval'"],
        ),
        // Nothing has run that knows a language.
        (
            policy("script-src 'none'"),
            vec!["If this stays", "refuses it"],
            vec!["Bleibt das stehen", "verbietet es"],
        ),
        (
            lacks(&program, Missing::NotFound),
            vec![&program, "is missing", "404"],
            vec![&program, "fehlt", "404"],
        ),
        (
            lacks(&program, Missing::Index),
            vec![&program, "is missing", "a page in its place"],
            vec![&program, "fehlt", "einer Seite an seiner Stelle"],
        ),
        (
            lacks(&module, Missing::NotFound),
            vec![&module, "is missing", "404"],
            vec![&module, "fehlt", "404"],
        ),
        (
            lacks(&module, Missing::Index),
            vec![&module, "is missing", "a page in its place"],
            vec![&module, "fehlt", "einer Seite an seiner Stelle"],
        ),
    ];
    in_browser(WebGpu::Off, async |browser| {
        for (host, english, german) in cases {
            expect_text(browser, host.clone(), "", "arriving", &english).await?;
            expect_text(browser, host, "lang=de", "arriving", &german).await?;
        }
        Ok(())
    });
}

/// A browser without WebAssembly, and one on a processor whose vectors it does not know.
#[test]
fn what_a_browser_lacks_is_named() {
    for (flags, lacks) in [
        ("--jitless", "does not run WebAssembly"),
        (
            "--no-enable-sse4-1",
            "does not know WebAssembly's 128-bit instructions",
        ),
    ] {
        in_browser_with(WebGpu::Off, flags, async |browser| {
            expect_text(browser, Host::default(), "", "arriving", &[lacks])
                .await
                .context(flags)
        });
    }
}

#[test]
fn a_missing_file_of_a_checkpoint_is_called_missing() {
    let file = "models/prosqa-unified/model.safetensors";
    in_browser(WebGpu::Off, async |browser| {
        for missing in [Missing::NotFound, Missing::Index] {
            let host = Host {
                absent: vec![file.into(), format!("{file}.index.json")],
                missing,
                ..Host::default()
            };
            let expect = [file, "missing"];
            expect_text(browser, host, &address("max"), "error", &expect)
                .await
                .with_context(|| format!("{missing:?}"))?;
        }
        Ok(())
    });
}

/// A part of the program that does not come is told, and comes when it is asked for again.
#[test]
fn a_panel_whose_code_is_missing_says_so_and_opens_later() {
    const OFFLINE: &str = "globalThis.isOffline = true; const online = fetch; \
                           globalThis.fetch = (...asked) => \
                           isOffline && String(asked[0]).includes('split_panels') \
                           ? Promise.reject(new TypeError('no network')) : online(...asked)";
    let is_told =
        |text: &str| text.contains("did not arrive") && text.contains("Check the network");
    in_browser(WebGpu::Off, async |browser| {
        for missing in [Missing::NotFound, Missing::Index] {
            let server = serve(Host {
                absent: vec!["split_panels.wasm".into()],
                missing,
                ..Host::default()
            })?;
            browser.open_on(&server, &address("max")).await?;
            browser.wait_enabled("run", SOON).await?;
            browser.unfold("guide").await?;
            let told = browser.wait_text("error", is_told, SOON).await;
            told.with_context(|| format!("{missing:?}"))?;
        }
        browser.before_page(OFFLINE).await?;
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", SOON).await?;
        browser.unfold("guide").await?;
        browser.wait_text("error", is_told, SOON).await?;
        browser.execute("isOffline = false", Value::Null).await?;
        browser.click("fetch-again").await?;
        browser.wait_text("glossary", |_| true, SOON).await?;
        let errors = browser.count("[data-testid=error]").await?;
        ensure!(errors == 0, "what has come is missed no longer");
        Ok(())
    });
}

/// Guards the tests themselves: what a policy refuses must be found.
#[test]
fn what_a_policy_refuses_is_found() {
    in_browser(WebGpu::Off, async |browser| {
        let policy = "style-src 'none'; script-src 'self' 'wasm-unsafe-eval'";
        let server = serve(Host {
            policy: Some(policy.into()),
            ..Host::default()
        })?;
        browser.open_on(&server, "").await?;
        let refused = browser.refused().await?;
        ensure!(
            refused.iter().any(|what| what.starts_with("style-src")),
            "expected the style sheet among what was refused, found {refused:?}"
        );
        Ok(())
    });
}

/// Opens the page of such a host, and waits for a text that holds all of `expect`.
async fn expect_text(
    browser: &Browser,
    host: Host,
    hash: &str,
    testid: &str,
    expect: &[&str],
) -> Result<()> {
    let what = format!("{host:?}");
    let server = serve(host)?;
    browser.open_on(&server, hash).await?;
    let holds_all = |text: &str| expect.iter().all(|part| text.contains(part));
    let found = browser.wait_text(testid, holds_all, SOON).await;
    found.with_context(|| format!("expected {expect:?} of {what}"))?;
    Ok(())
}

fn serve(host: Host) -> Result<StaticServer> {
    StaticServer::start(&workspace::dist(), 0, "/", host)
}

/// The file of the built page whose name ends so: trunk puts a hash in the middle.
fn built_file(end: &str) -> Result<String> {
    let dist = workspace::dist();
    let entries = std::fs::read_dir(&dist)
        .with_context(|| format!("cannot read {}: run `cargo xtask dist`", dist.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let found = names.into_iter().find(|name| name.ends_with(end));
    found.with_context(|| format!("expected a file …{end} in {}", dist.display()))
}
