//! Markup in what others write is shown as text, wherever it is shown.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::server::{Host, StaticServer};
use xtask::workspace;

use super::brought::{FREE_TEXT, drop_files};
use super::brought_files::gguf;
use super::{LIMIT, finished_run, in_browser, site::Site};
use crate::chromium::{Browser, WebGpu};

/// What would run if it were markup: by an attribute, and as a script.
const MARKUP: &str = "<img src=x onerror=window.hit=1><script>window.hit=1</script>";
/// The part of it that a file's name can have.
const FILE: &str = "<img src=x onerror=window.hit=1>";
/// The same as an address holds it.
const ESCAPED: &str =
    "%3Cimg%20src%3Dx%20onerror%3Dwindow.hit%3D1%3E%3Cscript%3Ewindow.hit%3D1%3C%2Fscript%3E";

/// Nothing of the markup became an element or ran, and where it `is_shown`, it is text.
async fn check_is_text(browser: &Browser, what: &str, is_shown: bool) -> Result<()> {
    let script = "const shown = [document.body.innerText, ...Array.from( \
                      document.querySelectorAll('input, textarea'), field => field.value)]; \
                  return [shown.some(text => text.includes(arguments[0])), \
                      document.querySelectorAll('[onerror], img[src=x]').length, \
                      window.hit === undefined]";
    let start = Value::from(MARKUP.split(' ').next());
    let found = browser.execute(script, start).await?;
    ensure!(
        found[1] == 0 && found[2] == true && (found[0] == true || !is_shown),
        "{what}: expected text and no element, found {found}"
    );
    Ok(())
}

/// A recording of the site, every text of which ends with markup.
fn marked_recording() -> Result<Vec<u8>> {
    let path = workspace::root().join("public/recordings/smollm2-sum.latent");
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let mut lines = bytes.splitn(3, |&byte| byte == b'\n');
    let [magic, header, records] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let mut header: Value = serde_json::from_slice(header)?;
    let mark = |value: &mut Value| {
        let text = value.as_str().unwrap_or_default();
        *value = format!("{text}{MARKUP}").into();
    };
    mark(&mut header["prompt"]);
    for lane in header["lanes"].as_array_mut().context("lanes")? {
        for field in ["engine", "answer"] {
            mark(&mut lane[field]);
        }
        lane["words"]
            .as_object_mut()
            .context("words")?
            .values_mut()
            .for_each(mark);
        lane["texts"]
            .as_array_mut()
            .context("texts")?
            .iter_mut()
            .for_each(mark);
    }
    Ok([magic, header.to_string().as_bytes(), records].join(&b'\n'))
}

#[test]
fn markup_of_others_is_text() {
    in_browser(WebGpu::Off, async |browser| {
        // A problem's text is shown. A model, adapters, a strategy, a setting, a task, a file and a measurement
        // have no such names: for them an address ends where a `<` begins.
        for (hash, is_shown) in [
            (format!("problem=text:{ESCAPED}"), true),
            (format!("lanes={ESCAPED}:coconut"), false),
            (format!("lanes=prosqa-cot/{ESCAPED}:coconut"), false),
            (format!("lanes=prosqa-cot:{ESCAPED}"), false),
            (format!("lanes=prosqa-cot:soft,{ESCAPED}"), false),
            (format!("task={ESCAPED}"), false),
            (format!("play={ESCAPED}"), false),
            (format!("arena={ESCAPED}"), false),
        ] {
            browser.open(&hash).await?;
            browser.wait_text("engine", |_| true, LIMIT).await?;
            let script = "const done = arguments[1]; setTimeout(() => done(0), 1500)";
            browser.execute_async(script, Value::Null).await?;
            check_is_text(browser, &hash, is_shown).await?;
        }
        browser.open(FREE_TEXT).await?;
        // A model's name is its file's without what names of models do not have.
        let name = format!("{FILE}.gguf");
        drop_files(browser, &[(name.clone(), gguf())]).await?;
        let is_named = |text: &str| text.contains("img-src-x-onerror");
        browser.wait_text("known-model", is_named, LIMIT).await?;
        check_is_text(browser, "a file that is a model", false).await?;
        drop_files(browser, &[(name, b"no model".to_vec())]).await?;
        let told = browser.wait_text("error", |_| true, LIMIT).await?;
        check_is_text(browser, "a file that is none", told.contains(FILE)).await?;
        let address = format!("http://127.0.0.1:1/{FILE}");
        browser.unfold("open-model").await?;
        browser.fill("model-address", &address).await?;
        check_is_text(browser, "an address that is typed", true).await?;
        browser.click("load-address").await?;
        let is_new = |text: &str| text != told;
        browser.wait_text("error", is_new, LIMIT).await?;
        check_is_text(browser, "an address that does not answer", true).await?;
        let site = Site::of_dist()?;
        site.write("run.latent", &marked_recording()?)?;
        let server = StaticServer::start(site.folder(), 0, "/", Host::default())?;
        browser
            .open_on(&server, "play=run.latent&run=yes&speed=max")
            .await?;
        finished_run(browser).await?;
        check_is_text(browser, "a recording", true).await
    });
}
