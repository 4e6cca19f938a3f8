//! Every check and every test, in order, with a summary at the end.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::deny;
use crate::page::{self, PageBuild};
use crate::progress::{command_text, duration_text, read_lines, spawn_piped};
use crate::requirement;
use crate::setup;
use crate::size::{self, Size, Sizes};
use crate::wasm::{Route, TARGET, WasmToolchain};
use crate::workspace;

/// The browser tests' modules: they need the built page, so they run after the others.
const BROWSER_TESTS: [&str; 2] = ["in_chromium", "in_firefox"];

/// How many lines of a panic's message the summary repeats.
const PANIC_LINES: usize = 4;

/// The trainer's GPU backend: checked, and built by no test.
const TRAINER_ON_GPU: &str = "latent-cli/wgpu";

/// One check of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckName {
    /// rustfmt.
    Fmt,
    /// Licences, bans and sources of all dependencies.
    Deny,
    /// clippy, natively.
    Clippy,
    /// clippy on the page for wasm32.
    ClippyWasm,
    /// rustdoc.
    Doc,
    /// All native tests but those in a browser.
    Test,
    /// The examples in the documentation.
    Doctest,
    /// The page's release build.
    Page,
    /// The page in a real browser.
    Browser,
}

/// How a check ended.
struct Outcome {
    check: CheckName,
    verdict: Result<()>,
    duration: Duration,
}

/// Sets up, then runs the checks in `only`, or all; an error names each check that failed.
pub fn run(toolchain: WasmToolchain, only: &[CheckName]) -> Result<()> {
    let started = Instant::now();
    requirement::ensure(&setup::everything(toolchain))?;
    let set_up = started.elapsed();
    let route = Route::of(toolchain);
    let selected = CheckName::value_variants()
        .iter()
        .filter(|check| only.is_empty() || only.contains(check));

    let mut closing_lines = Vec::new();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for &check in selected {
        let started = Instant::now();
        let page_failed = outcomes
            .iter()
            .any(|outcome| outcome.check == CheckName::Page && outcome.verdict.is_err());
        let verdict = if check == CheckName::Browser && page_failed {
            // A page of an earlier build would be tested in its place.
            Err(anyhow::anyhow!("not run: the page was not built"))
        } else {
            run_check(check, route, &mut closing_lines)
        };
        outcomes.push(Outcome {
            check,
            verdict,
            duration: started.elapsed(),
        });
    }
    summarise(set_up, &outcomes, &closing_lines)
}

fn run_check(check: CheckName, route: Route, closing_lines: &mut Vec<String>) -> Result<()> {
    let Some(mut command) = command_of(check, route) else {
        eprintln!("\n==> {}: what deny.toml allows", name_of(check));
        return deny::run();
    };
    let shown = command_text(&command);
    eprintln!("\n==> {}: {shown}", name_of(check));
    let (status, lines) = run_watched(&mut command)?;
    closing_lines.extend(lines);
    ensure!(status.success(), "`{shown}` failed ({status})");
    match check {
        CheckName::Page => {
            page::write_worker()?;
            let Sizes { first, all } = size::check(&workspace::dist())?;
            let text = |Size { raw_kb, gzip_kb }| format!("{raw_kb} kB, {gzip_kb} kB gzip");
            closing_lines.push(format!(
                "page: it starts with {} of program and glue; all of it is {}",
                text(first),
                text(all)
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The command of a check; `None` for the one that is made in this process.
fn command_of(check: CheckName, route: Route) -> Option<Command> {
    let mut command = workspace::cargo();
    match check {
        CheckName::Deny => return None,
        CheckName::Fmt => command.args(["fmt", "--all", "--check"]),
        CheckName::Clippy => command.args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            TRAINER_ON_GPU,
            "--",
            "-D",
            "warnings",
        ]),
        CheckName::ClippyWasm => return Some(wasm_lint(route)),
        CheckName::Doc => command
            // The features of clippy, whose dependencies are checked by then.
            .args(["doc", "--workspace", "--no-deps"])
            .args(["--features", TRAINER_ON_GPU])
            .env("RUSTDOCFLAGS", "-D warnings"),
        CheckName::Test if has_nextest() => command
            .args(["nextest", "run", "--workspace", "--no-fail-fast", "-E"])
            .arg(format!("not test(/^({})/)", BROWSER_TESTS.join("|"))),
        CheckName::Test => command
            .args([
                "test",
                "--workspace",
                "--no-fail-fast",
                "--lib",
                "--bins",
                "--tests",
            ])
            .arg("--")
            .args(BROWSER_TESTS.iter().flat_map(|module| ["--skip", module])),
        CheckName::Doctest => command.args(["test", "--workspace", "--doc", "--no-fail-fast"]),
        CheckName::Page => return Some(page::build_command(route, &PageBuild::default())),
        // Two at a time: a browser waits half of its time, and more than two on software WebGPU would
        // slow each other past their limits.
        CheckName::Browser => command
            .args(["test", "--workspace", "--test", "browser", "--"])
            .args(["--test-threads", "2", "--show-output"]),
    };
    Some(command)
}

/// Clippy must match the standard library it reads, and Debian has no clippy for its compiler:
/// there the compiler's own warnings are the check.
fn wasm_lint(route: Route) -> Command {
    let page = ["--package", "latent-web", "--target", TARGET];
    match route {
        Route::Current => {
            let mut command = workspace::cargo();
            command
                .arg("clippy")
                .args(page)
                .args(["--", "-D", "warnings"]);
            command
        }
        Route::Debian => {
            eprintln!(
                "\nDebian's compiler has no clippy: `cargo check`, its warnings being errors"
            );
            let mut command = workspace::command("cargo");
            command.arg("check").args(page).env(
                "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
                "-Dwarnings",
            );
            route.apply(&mut command);
            command
        }
    }
}

fn has_nextest() -> bool {
    workspace::find_program("cargo-nextest").is_some()
}

/// Runs `command` with its output visible, and returns what the summary repeats of it.
fn run_watched(command: &mut Command) -> Result<(ExitStatus, Vec<String>)> {
    let (mut child, stdout, stderr) = spawn_piped(command)?;
    let found = Arc::new(Mutex::new(Vec::new()));
    let readers = [
        pass_on(stdout, std::io::stdout(), found.clone()),
        pass_on(stderr, std::io::stderr(), found.clone()),
    ];
    let status = child.wait()?;
    for reader in readers {
        // A reader that panicked has printed why; the check's verdict is the exit status.
        let _ = reader.join();
    }
    let lines = found.lock().map(|lines| lines.clone()).unwrap_or_default();
    Ok((status, lines))
}

fn pass_on(
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    found: Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    let mut repeated = Repeated::default();
    read_lines(from, move |line| {
        // Nobody may be reading any more; the check goes on all the same.
        let _ = to.write_all(line).and_then(|()| to.write_all(b"\n"));
        let text = String::from_utf8_lossy(line);
        if repeated.has(&text)
            && let Ok(mut found) = found.lock()
        {
            found.push(text.trim().to_owned());
        }
        true
    })
}

/// Which lines of a runner's output the summary repeats: its closing ones, and why a test panicked,
/// for of a long output often no more than the end is kept.
#[derive(Default)]
struct Repeated {
    of_message: usize,
}

impl Repeated {
    fn has(&mut self, line: &str) -> bool {
        let line = line.trim_start();
        if line.starts_with("thread '") && line.contains("panicked at ") {
            self.of_message = PANIC_LINES;
            return true;
        }
        if line.is_empty() || line.starts_with("stack backtrace:") || line.starts_with("note: ") {
            self.of_message = 0;
        }
        let in_message = self.of_message > 0;
        self.of_message = self.of_message.saturating_sub(1);
        in_message || is_closing_line(line)
    }
}

/// `test result: ok. 3 passed; …` of cargo test, `Summary [ 0.2s] 3 tests run: …` of nextest.
fn is_closing_line(line: &str) -> bool {
    line.starts_with("test result: ") || (line.starts_with("Summary [") && line.contains(" run: "))
}

fn summarise(set_up: Duration, outcomes: &[Outcome], closing_lines: &[String]) -> Result<()> {
    println!("\n{:<12} {:>12}", "step", "time");
    println!("{:<12} {:>12}", "set-up", duration_text(set_up));
    for outcome in outcomes {
        let (name, time) = (name_of(outcome.check), duration_text(outcome.duration));
        match &outcome.verdict {
            Ok(()) => println!("{name:<12} {time:>12}  ok"),
            Err(error) => println!("{name:<12} {time:>12}  FAILED: {error:#}"),
        }
    }
    for switch in ["LATENT_SKIP_GPU", "LATENT_SKIP_BROWSER"] {
        if std::env::var_os(switch).is_some() {
            println!("{switch} is set: those tests were skipped, not passed");
        }
    }
    println!();
    for line in closing_lines {
        println!("{line}");
    }
    let failed: BTreeSet<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.verdict.is_err())
        .map(|outcome| name_of(outcome.check))
        .collect();
    ensure!(
        failed.is_empty(),
        "failed: {}",
        Vec::from_iter(failed).join(", ")
    );
    Ok(())
}

fn name_of(check: CheckName) -> &'static str {
    match check {
        CheckName::Fmt => "fmt",
        CheckName::Deny => "deny",
        CheckName::Clippy => "clippy",
        CheckName::ClippyWasm => "clippy-wasm",
        CheckName::Doc => "doc",
        CheckName::Test => "test",
        CheckName::Doctest => "doctest",
        CheckName::Page => "page",
        CheckName::Browser => "browser",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_repeated() {
        for (line, expect) in [
            (
                "test result: ok. 3 passed; 0 failed; 0 ignored; finished in 0.10s",
                true,
            ),
            (
                "     Summary [   0.010s] 12 tests run: 12 passed, 0 skipped",
                true,
            ),
            ("test suite::tests::x ... ok", false),
            ("Summary of the year", false),
        ] {
            assert_eq!(Repeated::default().has(line), expect, "{line}");
        }
    }

    #[test]
    fn why_a_test_panicked_is_repeated() {
        let output = "before\n\
            \x20   thread 'a_test' (7) panicked at src/lib.rs:1:1:\n\
            \x20   expected 1,\n\
            found 2\n\
            stack backtrace:\n\
            \x20  0: core::panicking::panic\n\
            thread 'another' panicked at src/lib.rs:2:1:\n\
            1\n2\n3\n4\n5\n";
        let mut repeated = Repeated::default();
        let found = Vec::from_iter(output.lines().filter(|line| repeated.has(line)));
        let expected = [
            "    thread 'a_test' (7) panicked at src/lib.rs:1:1:",
            "    expected 1,",
            "found 2",
            "thread 'another' panicked at src/lib.rs:2:1:",
            "1",
            "2",
            "3",
            "4",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn watched_output_is_passed_on_and_its_closing_lines_kept() {
        let output: &[u8] = b"noise\nSummary [ 0.1s] 2 tests run: 2 passed\nnot \xff UTF-8\n";
        let (path, found) = (std::env::temp_dir().join("xtask-watched"), Arc::default());
        let sink = std::fs::File::create(&path).unwrap();
        pass_on(output, sink, Arc::clone(&found)).join().unwrap();
        assert_eq!(
            *found.lock().unwrap(),
            ["Summary [ 0.1s] 2 tests run: 2 passed"]
        );
        assert_eq!(std::fs::read(&path).unwrap(), output);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_failed_check_is_named() {
        let outcomes = [CheckName::Fmt, CheckName::Clippy].map(|check| Outcome {
            check,
            verdict: match check {
                CheckName::Fmt => Ok(()),
                _ => Err(anyhow::anyhow!("two warnings")),
            },
            duration: Duration::ZERO,
        });
        let error = summarise(Duration::ZERO, &outcomes, &[]).unwrap_err();
        assert_eq!(error.to_string(), "failed: clippy");
    }
}
