//! Drives headless Firefox by Marionette, its own side of WebDriver: each message is an array in JSON
//! behind its length. Chromium's client would need geckodriver, which takes minutes to compile and
//! which no Debian has.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use xtask::setup;

use crate::profile::Profile;

/// Until Firefox has started; then until it answers one command.
const LIMIT: Duration = Duration::from_secs(120);
/// How often it is asked again.
const POLL: Duration = Duration::from_millis(100);

/// A browser that telephones nowhere, whose driver takes any free port and writes it down.
const SETTINGS: &str = r#"
user_pref("marionette.port", 0);
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "http://127.0.0.1:9/");
user_pref("toolkit.telemetry.enabled", false);
"#;

/// A running Firefox; killed when dropped.
pub struct Firefox {
    child: Child,
    stream: TcpStream,
    n_sent: u64,
    // Held so that it outlives the browser.
    _profile: Profile,
}

impl Firefox {
    /// Starts it, or says that it is missing.
    pub fn start() -> Result<Self> {
        let program =
            setup::firefox().context("expected Firefox, found none: run `cargo xtask setup`")?;
        let profile = Profile::create()?;
        std::fs::write(profile.0.join("user.js"), SETTINGS)?;
        let mut child = Command::new(&program)
            .args(["--headless", "--marionette", "--no-remote", "--profile"])
            .arg(&profile.0)
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stream = match connect(&mut child, &profile.0) {
            Ok(stream) => stream,
            Err(error) => {
                let _ = child.kill();
                return Err(error.context(format!("{} gave no driver", program.display())));
            }
        };
        stream.set_read_timeout(Some(LIMIT))?;
        let mut firefox = Self {
            child,
            stream,
            n_sent: 0,
            _profile: profile,
        };
        // It introduces itself.
        firefox.receive()?;
        firefox.command("WebDriver:NewSession", json!({}))?;
        Ok(firefox)
    }

    /// Opens an address.
    pub fn goto(&mut self, url: &str) -> Result<()> {
        self.command("WebDriver:Navigate", json!({ "url": url }))?;
        Ok(())
    }

    /// Loads the page again.
    pub fn reload(&mut self) -> Result<()> {
        self.command("WebDriver:Refresh", json!({}))?;
        Ok(())
    }

    /// What `script` returns, with `argument` as its `arguments[0]`.
    pub fn execute(&mut self, script: &str, argument: Value) -> Result<Value> {
        let told = json!({ "script": script, "args": [argument] });
        let mut answer = self.command("WebDriver:ExecuteScript", told)?;
        Ok(answer["value"].take())
    }

    /// Waits until what `script` returns satisfies `expect`; returns it.
    pub fn wait(
        &mut self,
        script: &str,
        argument: Value,
        expect: impl Fn(&Value) -> bool,
        limit: Duration,
    ) -> Result<Value> {
        let started = Instant::now();
        loop {
            let found = self.execute(script, argument.clone())?;
            if expect(&found) {
                return Ok(found);
            }
            if started.elapsed() > limit {
                let page = "return document.body.innerText.slice(0, 500)";
                let page = self.execute(page, Value::Null)?;
                bail!(
                    "waited {limit:?} for `{script}` of {argument}, found {found}\n\
                     the page begins with {page}"
                );
            }
            std::thread::sleep(POLL);
        }
    }

    /// Waits for an element with this `data-testid` whose text satisfies `expect`; returns the text.
    pub fn wait_text(
        &mut self,
        testid: &str,
        expect: impl Fn(&str) -> bool,
        limit: Duration,
    ) -> Result<String> {
        let script = "return Array.from(document.querySelectorAll(`[data-testid=\"${arguments[0]}\"]`), \
                      element => element.textContent.trim())";
        let first = |texts: &Value| {
            let mut texts = texts.as_array()?.iter().filter_map(Value::as_str);
            texts.find(|text| expect(text)).map(str::to_owned)
        };
        let is_there = |texts: &Value| first(texts).is_some();
        let texts = self.wait(script, json!(testid), is_there, limit)?;
        first(&texts).context("it was there")
    }

    /// Presses the button with this `data-testid` once it can be pressed.
    pub fn press(&mut self, testid: &str, limit: Duration) -> Result<()> {
        let script = "const button = document.querySelector(`[data-testid=\"${arguments[0]}\"]:enabled`); \
                      button?.click(); return button !== null";
        self.wait(script, json!(testid), |found| *found == true, limit)?;
        Ok(())
    }

    fn command(&mut self, name: &str, given: Value) -> Result<Value> {
        self.n_sent += 1;
        let message = json!([0, self.n_sent, name, given]).to_string();
        write!(self.stream, "{}:{message}", message.len())?;
        let answer = self.receive().with_context(|| name.to_owned())?;
        ensure!(
            answer[1] == self.n_sent,
            "expected the answer to message {}, found {answer}",
            self.n_sent
        );
        ensure!(answer[2].is_null(), "{name}: {}", answer[2]["message"]);
        Ok(answer[3].clone())
    }

    fn receive(&mut self) -> Result<Value> {
        let mut length = 0;
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            match byte[0] {
                b':' => break,
                digit @ b'0'..=b'9' => length = 10 * length + usize::from(digit - b'0'),
                other => bail!("expected a message's length, found the byte {other}"),
            }
        }
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message)?;
        Ok(serde_json::from_slice(&message)?)
    }
}

/// Waits for the driver's port, which it writes into its profile.
fn connect(child: &mut Child, profile: &Path) -> Result<TcpStream> {
    let started = Instant::now();
    loop {
        let port = std::fs::read_to_string(profile.join("MarionetteActivePort"));
        if let Some(port) = port.ok().and_then(|text| text.trim().parse::<u16>().ok()) {
            return Ok(TcpStream::connect(("127.0.0.1", port))?);
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
        ensure!(started.elapsed() < LIMIT, "it did not start in {LIMIT:?}");
        std::thread::sleep(POLL);
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        // Nothing more can be done for a browser that cannot be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
