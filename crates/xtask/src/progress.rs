//! Says what a step does while it does it: a spinner on a terminal, plain lines elsewhere.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal a long step says at this pace that it still runs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How much of a failed command's output is shown.
const N_TAIL_LINES: usize = 40;

/// One step out of several, such as `[3/7] trunk`.
pub struct Step {
    label: String,
    started: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    /// Announces step `number` of `n_steps`.
    pub fn start(number: usize, n_steps: usize, what: &str) -> Self {
        let label = format!("[{number}/{n_steps}] {what}");
        let spinner = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(label.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            label,
            started: Instant::now(),
            spinner,
        }
    }

    /// Says that nothing is left to do.
    pub fn present(self) {
        self.close("present");
    }

    /// Says that the step is done, and how long it took.
    pub fn done(self) {
        let took = duration_text(self.started.elapsed());
        self.close(&format!("done in {took}"));
    }

    /// Says that the step failed; why is told once, by the error.
    pub fn failed(self) {
        self.close("FAILED");
    }

    /// Says in one line what the step is about to do.
    pub fn say(&self, what: &str) {
        match &self.spinner {
            Some(bar) => bar.set_message(what.to_owned()),
            None => eprintln!("{}: {what}", self.label),
        }
    }

    /// Runs `command`, showing its newest line; on failure the end of its output is the error.
    pub fn run(&self, command: &mut Command) -> Result<()> {
        let shown = command_text(command);
        if self.spinner.is_none() {
            eprintln!("{}: {shown}", self.label);
        }
        let (mut child, stdout, stderr) = spawn_piped(command)?;
        let (sender, lines) = mpsc::channel();
        send_lines(stdout, sender.clone());
        send_lines(stderr, sender);

        let mut tail: Vec<String> = Vec::new();
        let mut heartbeat = Instant::now();
        loop {
            match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    if let Some(bar) = &self.spinner {
                        bar.set_message(line.clone());
                    }
                    tail.push(line);
                    if tail.len() > N_TAIL_LINES {
                        tail.remove(0);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.spinner.is_none() && heartbeat.elapsed() > HEARTBEAT {
                heartbeat = Instant::now();
                let elapsed = duration_text(self.started.elapsed());
                let newest = tail.last().map(|line| format!(", {}", line.trim()));
                let newest = newest.unwrap_or_default();
                eprintln!("{}: {elapsed}{newest}", self.label);
            }
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("`{shown}` failed ({status}):\n{}", tail.join("\n"));
        }
        Ok(())
    }

    fn close(self, verdict: &str) {
        if let Some(bar) = &self.spinner {
            bar.finish_and_clear();
        }
        eprintln!("{}: {verdict}", self.label);
    }
}

/// `4 min 07 s`, `12.3 s`.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

/// A command as one would type it.
pub fn command_text(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let args = command
        .get_args()
        .map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(name)
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Starts `command` without input, and gives its output and its errors to read.
pub fn spawn_piped(command: &mut Command) -> Result<(Child, ChildStdout, ChildStderr)> {
    let shown = command_text(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    Ok((
        child,
        stdout.context("the command's output is piped")?,
        stderr.context("the command's errors are piped")?,
    ))
}

/// Hands each line of `stream` to `on_line` on a thread of its own, for as long as it is true.
pub fn read_lines(
    stream: impl Read + Send + 'static,
    mut on_line: impl FnMut(&[u8]) -> bool + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        // Split as bytes: a line that is no UTF-8 must not stop the reading, or the command blocks.
        let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
        while lines.next().is_some_and(|line| on_line(&line)) {}
    })
}

fn send_lines(stream: impl Read + Send + 'static, lines: Sender<String>) {
    read_lines(stream, move |line| {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        lines.send(text).is_ok()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration_text(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(duration_text(Duration::from_secs(247)), "4 min 07 s");
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_command_shows_its_output() {
        let step = Step::start(1, 1, "test");
        let error = step
            .run(Command::new("sh").args(["-c", "echo on stdout; echo on stderr >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        for expect in ["exit status: 3", "on stdout", "on stderr", "sh -c"] {
            assert!(error.contains(expect), "{error}");
        }
    }
}
