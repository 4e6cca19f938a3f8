//! Drives headless Chromium through its WebDriver, on a page served from this machine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fantoccini::wd::{Locator, WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use xtask::server::{Host, StaticServer};
use xtask::{setup, workspace};

use crate::profile::Profile;

/// Where the tests serve the page: not at `/`, so that an absolute address in it shows.
const MOUNT: &str = "/some/class/";

/// A name for this machine that browsers do not take for it, as the address in a classroom's network.
pub const LAN_HOST: &str = "classroom.test";

/// How often a page is asked again while a test waits for it.
const POLL: Duration = Duration::from_millis(50);

/// Until the driver answers one command: it was seen to wait for ever after the GPU's process had
/// crashed.
const COMMAND_LIMIT: Duration = Duration::from_secs(240);

/// Keeps what a page's policy refuses, from before the page's first line on.
const RECORD_REFUSED: &str = "window.refused = []; \
    addEventListener('securitypolicyviolation', event => \
        window.refused.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`))";

/// Which WebGPU the browser offers to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebGpu {
    /// In software: the same on every machine.
    SwiftShader,
    /// None, as in a browser that does not know it.
    Off,
}

/// Set: the tests run on the machine's GPU, where a failure may be that machine's.
pub const ON_GPU: &str = "LATENT_BROWSER_ON_GPU";

/// What Chromium is started with to offer WebGPU.
fn adapter_args() -> &'static [&'static str] {
    match std::env::var_os(ON_GPU) {
        None => &["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
        // What headless Chromium needs to find a GPU on Linux.
        Some(_) => &[
            "--enable-unsafe-webgpu",
            "--ignore-gpu-blocklist",
            "--enable-features=Vulkan",
            "--use-angle=vulkan",
            "--disable-vulkan-surface",
        ],
    }
}

/// A browser with the page's server behind it.
pub struct Browser {
    client: Client,
    server: StaticServer,
    // Held so that they outlive the session, and end with it.
    _driver: Driver,
    _profile: Profile,
}

impl Browser {
    /// Starts a server that treats the page as `host` says, the driver and the browser, whose V8 gets
    /// `js_flags`; names whichever is missing.
    pub async fn start(webgpu: WebGpu, js_flags: &str, host: Host) -> Result<Self> {
        let server = StaticServer::start(&workspace::dist(), 0, MOUNT, host)?;
        let chromium =
            setup::chromium().context("expected Chromium, found none: run `cargo xtask setup`")?;
        let driver = Driver::start()?;
        let profile = Profile::create()?;
        let mut args = vec![
            // Debian's Chromium does not start as root inside its own sandbox.
            "--no-sandbox".to_owned(),
            "--headless=new".to_owned(),
            "--window-size=1280,800".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--host-resolver-rules=MAP {LAN_HOST} 127.0.0.1"),
            format!("--user-data-dir={}", profile.0.display()),
            format!("--js-flags={js_flags}"),
        ];
        // A browser that telephones home stalls on a machine that has no network.
        args.extend(
            [
                "quic",
                "background-networking",
                "component-update",
                "sync",
                "default-apps",
            ]
            .map(|what| format!("--disable-{what}")),
        );
        args.push("--no-first-run".to_owned());
        match webgpu {
            WebGpu::SwiftShader => args.extend(adapter_args().iter().map(|arg| (*arg).to_owned())),
            WebGpu::Off => args.push("--disable-features=WebGPU,WebGPUService".to_owned()),
        }
        let capabilities = json!({
            "goog:chromeOptions": { "binary": chromium, "args": args },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else {
            bail!("the capabilities are an object");
        };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let session = builder.capabilities(capabilities).connect(&driver.url);
        let client = answered("a session", session)
            .await
            .with_context(|| format!("cannot start {} with {args:?}", chromium.display()))?;
        let browser = Self {
            client,
            server,
            _driver: driver,
            _profile: profile,
        };
        browser.before_page(RECORD_REFUSED).await?;
        Ok(browser)
    }

    /// Opens the page with `hash` (without its `#`) in the address.
    pub async fn open(&self, hash: &str) -> Result<()> {
        self.open_on(&self.server, hash).await
    }

    /// Opens the page as another server serves it.
    pub async fn open_on(&self, server: &StaticServer, hash: &str) -> Result<()> {
        // An address that differs only in its hash would not load the page anew.
        self.go_to("about:blank").await?;
        self.go_to(&format!("{}#{hash}", server.url())).await
    }

    /// Opens the page under another name of this machine.
    pub async fn open_as(&self, host: &str, hash: &str) -> Result<()> {
        let url = self.server.url().replace("127.0.0.1", host);
        self.go_to(&format!("{url}#{hash}")).await
    }

    async fn go_to(&self, url: &str) -> Result<()> {
        answered(url, self.client.goto(url)).await
    }

    /// Loads the page that is open again, with the address that it has now.
    pub async fn reload(&self) -> Result<()> {
        answered("refresh", self.client.refresh()).await
    }

    /// Changes the hash of the page that is open, as a visitor does in the address bar.
    pub async fn set_hash(&self, hash: &str) -> Result<()> {
        self.execute("location.hash = arguments[0]", json!(hash))
            .await?;
        Ok(())
    }

    /// The window that commands go to.
    pub async fn window(&self) -> Result<WindowHandle> {
        answered("window", self.client.window()).await
    }

    /// Opens another window, which is seen beside the first one; commands go to it from now on.
    pub async fn open_window(&self) -> Result<WindowHandle> {
        let opened = answered("new window", self.client.new_window(false)).await?;
        let window = opened.handle;
        self.switch_to(&window).await?;
        self.before_page(RECORD_REFUSED).await?;
        Ok(window)
    }

    /// Sends commands to another window.
    pub async fn switch_to(&self, window: &WindowHandle) -> Result<()> {
        let switched = self.client.switch_to_window(window.clone());
        answered("switch to window", switched).await
    }

    /// Opens another tab in front of this one, which nobody sees then; what [`Browser::show`] takes
    /// to end that. Commands still go to this one.
    pub async fn hide(&self) -> Result<String> {
        let blank = json!({ "url": "about:blank" });
        let opened = self.devtools("Target.createTarget", blank).await?;
        self.wait_visibility("hidden").await?;
        Ok(text_of(&opened, "targetId").to_owned())
    }

    /// Closes the tab in front of this one.
    pub async fn show(&self, other: &str) -> Result<()> {
        let other = json!({ "targetId": other });
        self.devtools("Target.closeTarget", other).await?;
        self.devtools("Page.bringToFront", json!({})).await?;
        self.wait_visibility("visible").await
    }

    async fn wait_visibility(&self, expected: &str) -> Result<()> {
        let state = "return document.visibilityState";
        let limit = Duration::from_secs(10);
        self.wait_value(state, &json!(expected), limit).await
    }

    /// Waits until a script returns what is expected of it.
    pub async fn wait_value(&self, script: &str, expected: &Value, limit: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let found = self.execute(script, Value::Null).await?;
            if found == *expected {
                return Ok(());
            }
            ensure!(
                started.elapsed() < limit,
                "waited {limit:?} for {script:?} to be {expected}, found {found}"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Runs `script` in every page that is opened from now on, before the page's own.
    pub async fn before_page(&self, script: &str) -> Result<()> {
        let command = "Page.addScriptToEvaluateOnNewDocument";
        self.devtools(command, json!({ "source": script })).await?;
        Ok(())
    }

    /// What the page's policy has refused since it was opened: directive and source.
    pub async fn refused(&self) -> Result<Vec<String>> {
        let refused = self.execute("return window.refused", Value::Null).await?;
        serde_json::from_value(refused).context("expected a list of what was refused")
    }

    /// Gives the page a window of this size, in CSS pixels.
    pub async fn resize(&self, [width, height]: [u32; 2]) -> Result<()> {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let command = "Emulation.setDeviceMetricsOverride";
        self.devtools(command, size).await?;
        // The page hears of it with the next frame.
        let frame = "requestAnimationFrame(() => requestAnimationFrame(arguments[1]))";
        self.execute_async(frame, Value::Null).await?;
        Ok(())
    }

    /// What a command of the DevTools protocol answers.
    pub async fn devtools(&self, command: &str, params: Value) -> Result<Value> {
        let asked = DriverCommand {
            path: "goog/cdp/execute",
            body: json!({ "cmd": command, "params": params }),
        };
        answered(command, self.client.issue_cmd(asked)).await
    }

    /// What `script` returns, with `argument` as its `arguments[0]`.
    pub async fn execute(&self, script: &str, argument: Value) -> Result<Value> {
        self.evaluate(&format!("(function () {{ {script}\n }})({argument})"))
            .await
    }

    /// What `script` gives to the function `arguments[1]`, with `argument` as its `arguments[0]`.
    pub async fn execute_async(&self, script: &str, argument: Value) -> Result<Value> {
        let kept = format!("new Promise(done => (function () {{ {script}\n }})({argument}, done))");
        self.evaluate(&kept).await
    }

    /// What an expression comes to in the page, a promise when it is kept. The driver has a command
    /// for scripts, too, which leaves 64 bytes in the page's heap each time (found with `soak`).
    async fn evaluate(&self, expression: &str) -> Result<Value> {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut told = self.devtools("Runtime.evaluate", asked).await?;
        let failure = &told["exceptionDetails"];
        ensure!(failure.is_null(), "{expression}: {failure}");
        Ok(told["result"]["value"].take())
    }

    /// The hash of the page's address as it stands now, without its `#`.
    pub async fn hash(&self) -> Result<String> {
        let hash = self.execute("return location.hash", Value::Null).await?;
        let hash = hash.as_str().unwrap_or_default();
        Ok(hash.trim_start_matches('#').to_owned())
    }

    /// Waits for an address whose hash, without its `#`, satisfies `expect`; returns it.
    pub async fn wait_hash(
        &self,
        expect: impl Fn(&str) -> bool,
        limit: Duration,
    ) -> Result<String> {
        let started = Instant::now();
        loop {
            let hash = self.hash().await?;
            if expect(&hash) {
                return Ok(hash);
            }
            ensure!(
                started.elapsed() < limit,
                "waited {limit:?} for another address than #{hash}"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Shows pages as to a visitor whose system is dark, or light.
    pub async fn prefer_dark(&self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        let features = json!({ "features": [feature] });
        self.devtools("Emulation.setEmulatedMedia", features)
            .await?;
        Ok(())
    }

    /// Waits for an element whose `data-testid` is `testid` and whose text satisfies `expect`;
    /// returns the text.
    pub async fn wait_text(
        &self,
        testid: &str,
        expect: impl Fn(&str) -> bool,
        limit: Duration,
    ) -> Result<String> {
        let started = Instant::now();
        loop {
            let found = self.texts(testid).await?;
            if let Some(text) = found.iter().find(|text| expect(text)) {
                return Ok(text.clone());
            }
            if started.elapsed() > limit {
                let console = self.console().await?.join("\n");
                let page = "return document.body.innerText.slice(0, 200)";
                let page = self.execute(page, Value::Null).await?;
                bail!(
                    "waited {limit:?} for [data-testid={testid}], found {found:?}\n\
                     the page begins with {page}\nconsole:\n{console}"
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The texts of all elements with this `data-testid`, hidden ones and scripts too.
    pub async fn texts(&self, testid: &str) -> Result<Vec<String>> {
        let script = "return Array.from(document.querySelectorAll(`[data-testid=\"${arguments[0]}\"]`), \
                      element => element.textContent.trim())";
        let texts = self.execute(script, json!(testid)).await?;
        serde_json::from_value(texts).context("expected a list of texts from the page")
    }

    /// An attribute of all elements that a selector finds inside those with this `data-testid`.
    pub async fn attributes(
        &self,
        testid: &str,
        selector: &str,
        attribute: &str,
    ) -> Result<Vec<String>> {
        let script = "const [testid, selector, name] = arguments[0]; \
                      return Array.from(document.querySelectorAll(`[data-testid=\"${testid}\"] ${selector}`), \
                      element => element.getAttribute(name) ?? '')";
        let found = self.execute(script, json!([testid, selector, attribute]));
        serde_json::from_value(found.await?).context("expected a list of texts from the page")
    }

    /// The name of the WebGPU adapter that the browser offers to pages, if it offers one.
    pub async fn webgpu_adapter(&self) -> Result<Option<String>> {
        let script = "const done = arguments[1]; \
                      const name = info => `${info.vendor} ${info.architecture}`; \
                      navigator.gpu?.requestAdapter().then(found => done(found && name(found.info))) \
                        ?? done(null)";
        let adapter = self.execute_async(script, Value::Null).await?;
        Ok(adapter.as_str().map(str::to_owned))
    }

    /// Makes the page ask for `url`, whatever comes of it.
    pub async fn request_from_page(&self, url: &str) -> Result<()> {
        let script = "fetch(arguments[0], { mode: 'no-cors' }).then(arguments[1], arguments[1])";
        self.execute_async(script, json!(url)).await?;
        Ok(())
    }

    /// Waits until the element with this `data-testid` can be clicked.
    pub async fn wait_enabled(&self, testid: &str, limit: Duration) -> Result<()> {
        let script =
            format!("return document.querySelector('[data-testid=\"{testid}\"]:enabled') !== null");
        self.wait_value(&script, &json!(true), limit).await
    }

    /// Clicks the element with this `data-testid`.
    pub async fn click(&self, testid: &str) -> Result<()> {
        let selector = format!("[data-testid=\"{testid}\"]");
        let element = answered("find", self.client.find(Locator::Css(&selector)))
            .await
            .with_context(|| format!("expected an element {selector}"))?;
        answered("click", element.click()).await
    }

    /// Presses the buttons with these `data-testid`s one after the other, before the page can do
    /// anything in between; one that is disabled does nothing.
    pub async fn press_at_once(&self, testids: &[&str]) -> Result<()> {
        let script = "for (const id of arguments[0]) \
                      document.querySelector(`[data-testid=\"${id}\"]`).click()";
        self.execute(script, json!(testids)).await?;
        Ok(())
    }

    /// Presses a key where the keyboard is, or on the page where it is nowhere.
    pub async fn press_key(&self, key: &str) -> Result<()> {
        let script = "const event = new KeyboardEvent('keydown', { key: arguments[0], bubbles: true, cancelable: true }); \
                      document.activeElement.dispatchEvent(event)";
        self.execute(script, json!(key)).await?;
        Ok(())
    }

    /// Presses and lets go of a key as a keyboard does, which moves the focus and presses buttons.
    pub async fn type_key(&self, key: &str) -> Result<()> {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            " " => (32, " "),
            "End" => (35, ""),
            "Home" => (36, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            _ => bail!("expected a key that a test presses, found {key:?}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind,
                "key": key,
                "windowsVirtualKeyCode": code,
                "text": if kind == "keyDown" { text } else { "" },
            });
            self.devtools("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// The `data-testid` of what has the keyboard; empty where that is nothing, or has none.
    pub async fn focused(&self) -> Result<String> {
        let script = "return document.activeElement?.dataset?.testid ?? ''";
        let found = self.execute(script, Value::Null).await?;
        Ok(found.as_str().unwrap_or_default().to_owned())
    }

    /// Opens what is folded away under this `data-testid`, and waits for what comes then.
    pub async fn unfold(&self, testid: &str) -> Result<()> {
        // The page hears of it in a task of its own, and asks for the panel's code.
        let script = "const [testid, done] = arguments; \
                      const folded = document.querySelector(`[data-testid=\"${testid}\"]`); \
                      const comes = () => folded.querySelector('[data-testid=panel-comes]') !== null; \
                      const wait = () => comes() ? setTimeout(wait, 10) : done(); \
                      folded.open = true; \
                      setTimeout(wait, 50)";
        self.execute_async(script, json!(testid)).await?;
        Ok(())
    }

    /// Puts a text into a field, as somebody who types it and goes on.
    pub async fn fill(&self, testid: &str, text: &str) -> Result<()> {
        let script = "const [testid, text] = arguments[0]; \
                      const field = document.querySelector(`[data-testid=\"${testid}\"]`); \
                      field.value = text; \
                      for (const kind of ['input', 'change']) \
                          field.dispatchEvent(new Event(kind, { bubbles: true }))";
        self.execute(script, json!([testid, text])).await?;
        Ok(())
    }

    /// Clicks what a selector finds first, wherever it is: a part of a drawing, too.
    pub async fn click_on(&self, selector: &str) -> Result<()> {
        let script = "document.querySelector(arguments[0]).dispatchEvent(new MouseEvent('click', { bubbles: true }))";
        self.execute(script, json!(selector)).await?;
        Ok(())
    }

    /// Chooses a value of the select with this `data-testid`, as a visitor does.
    pub async fn choose(&self, testid: &str, value: &str) -> Result<()> {
        let script = "const [testid, value] = arguments[0]; \
                      const select = document.querySelector(`[data-testid=\"${testid}\"]`); \
                      select.value = value; select.dispatchEvent(new Event('change', { bubbles: true }))";
        self.execute(script, json!([testid, value])).await?;
        Ok(())
    }

    /// How many elements a selector finds.
    pub async fn count(&self, selector: &str) -> Result<usize> {
        let script = "return document.querySelectorAll(arguments[0]).length";
        let found = self.execute(script, json!(selector)).await?;
        found
            .as_u64()
            .map(|n| n as usize)
            .context("expected a number")
    }

    /// The console's lines since the last call, with their level.
    pub async fn console(&self) -> Result<Vec<String>> {
        let entries = self.log("browser").await?;
        Ok(entries
            .iter()
            .map(|entry| format!("{} {}", text_of(entry, "level"), text_of(entry, "message")))
            .collect())
    }

    /// Fails when a request since the last call left the page's origin.
    pub async fn check_no_request_left(&self) -> Result<()> {
        let requested = self.requested_urls().await?;
        ensure!(
            requested
                .iter()
                .any(|url| url.starts_with(self.server.url())),
            "expected the page's own requests in the log, found {requested:?}"
        );
        let origin = self.server.url().trim_end_matches(MOUNT);
        let foreign: Vec<_> = requested
            .iter()
            .filter(|url| {
                !["data:", "blob:", "about:"]
                    .iter()
                    .any(|own| url.starts_with(own))
            })
            .filter(|url| {
                !url.strip_prefix(origin)
                    .is_some_and(|path| path.starts_with('/'))
            })
            .collect();
        ensure!(
            foreign.is_empty(),
            "expected requests to {origin} only, found {foreign:?}"
        );
        Ok(())
    }

    /// Ends the browser.
    pub async fn close(self) -> Result<()> {
        answered("close", self.client.close())
            .await
            .context("cannot end the session")
    }

    async fn requested_urls(&self) -> Result<Vec<String>> {
        let mut urls = Vec::new();
        for entry in self.log("performance").await? {
            let event: Value = serde_json::from_str(text_of(&entry, "message"))?;
            let event = &event["message"];
            // The browser's own new tab, open before the page, is none of the page's doing.
            if text_of(&event["params"], "documentURL").starts_with("chrome://") {
                continue;
            }
            if event["method"] == "Network.requestWillBeSent" {
                urls.push(text_of(&event["params"]["request"], "url").to_owned());
            }
            if event["method"] == "Network.webSocketCreated" {
                urls.push(text_of(&event["params"], "url").to_owned());
            }
        }
        Ok(urls)
    }

    async fn log(&self, kind: &'static str) -> Result<Vec<Value>> {
        let asked = DriverCommand {
            path: "se/log",
            body: json!({ "type": kind }),
        };
        match answered("log", self.client.issue_cmd(asked)).await? {
            Value::Array(entries) => Ok(entries),
            other => bail!("expected a list of log entries, found {other}"),
        }
    }
}

/// What a command comes to within its limit.
async fn answered<T, E>(name: &str, command: impl Future<Output = Result<T, E>>) -> Result<T>
where
    Result<T, E>: Context<T, E>,
{
    tokio::time::timeout(COMMAND_LIMIT, command)
        .await
        .with_context(|| format!("waited {COMMAND_LIMIT:?} for the driver to answer {name:?}"))?
        .with_context(|| format!("the driver refused {name:?}"))
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A command of chromedriver's that the WebDriver standard does not have.
#[derive(Debug)]
struct DriverCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for DriverCommand {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// A running chromedriver; killed when dropped.
struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    fn start() -> Result<Self> {
        let program = setup::chromedriver()
            .context("expected chromedriver, found none: run `cargo xtask setup`")?;
        let mut child = Command::new(&program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child
            .stdout
            .take()
            .context("the driver's output is piped")?;
        // "ChromeDriver was started successfully on port 38927."
        let mut lines = BufReader::new(stdout).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            Some(
                line.split_once("successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .to_owned(),
            )
        });
        // Read on, so that the driver never blocks on a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let Some(port) = port else {
            let _ = child.kill();
            bail!(
                "expected {} to say its port, it ended instead",
                program.display()
            );
        };
        Ok(Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A browser that a driver has not ended would outlive it.
        let browser = ["-KILL", "-P", &self.child.id().to_string()];
        let _ = Command::new("pkill").args(browser).status();
        // Nothing more can be done for a driver that cannot be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
