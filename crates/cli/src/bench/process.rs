//! A program that decodes beside the engines, in any language.
//!
//! A round is a line of JSON each way: asked are `{"prompt": [tokens], "lanes": n, "steps": n}`, and
//! answered is `{"first_token": s, "seconds": s, "tokens": [tokens]}`: the first token and those of so
//! many steps more of the first lane, chosen greedily, with the seconds from the prompt to the first
//! token and those of a step behind it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    str::FromStr,
};

use anyhow::{Context, Result, ensure};
use latent_model::engine::pace::Job;
use serde::{Deserialize, Serialize};

use super::contestant::Round;

/// A value of `--peer`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessArg {
    pub name: String,
    /// What the shell runs.
    pub command: String,
}

impl FromStr for ProcessArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && !command.is_empty() => Ok(Self {
                name: name.into(),
                command: command.into(),
            }),
            _ => Err(format!("expected NAME=COMMAND, found `{text}`")),
        }
    }
}

/// A program that has been started; it ends with this.
pub struct Process {
    command: String,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

#[derive(Serialize)]
struct Asked<'a> {
    prompt: &'a [u32],
    lanes: usize,
    steps: usize,
}

#[derive(Deserialize)]
struct Answered {
    first_token: f64,
    seconds: f64,
    tokens: Vec<u32>,
}

impl Process {
    /// Starts what the shell makes of a command.
    pub fn start(command: &str) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{command}`"))?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self {
            command: command.into(),
            child,
            stdin,
            stdout,
        })
    }

    /// Runs a job once, with the seconds to the first token.
    pub fn round(&mut self, job: Job, prompt: &[u32]) -> Result<(Round, f64)> {
        let round = self.ask(job, prompt);
        round.with_context(|| format!("in `{}`", self.command))
    }

    fn ask(&mut self, job: Job, prompt: &[u32]) -> Result<(Round, f64)> {
        let asked = Asked {
            prompt,
            lanes: job.n_lanes,
            steps: job.n_steps,
        };
        let asked = serde_json::to_string(&asked)?;
        // A program that has ended takes nothing, and answers nothing.
        let sent = writeln!(self.stdin, "{asked}").and_then(|()| self.stdin.flush());
        let mut line = String::new();
        ensure!(
            self.stdout.read_line(&mut line)? > 0,
            "it ended without an answer"
        );
        sent?;
        let answered: Answered = serde_json::from_str(&line)
            .with_context(|| format!("it answered `{}`", line.trim_end()))?;
        ensure!(
            answered.tokens.len() == job.n_steps + 1
                && answered.seconds > 0.0
                && answered.first_token > 0.0,
            "it answered {} tokens, the first after {} s and then one in {} s, expected {} tokens",
            answered.tokens.len(),
            answered.first_token,
            answered.seconds,
            job.n_steps + 1
        );
        let round = Round {
            seconds: answered.seconds,
            tokens: answered.tokens,
        };
        Ok((round, answered.first_token))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(script: &str) -> Result<(Round, f64)> {
        let job = Job::tokens(2, 1, 1);
        Process::start(&format!("sh -c '{script}'"))?.round(job, &[5, 6])
    }

    #[test]
    fn a_program_decodes() {
        let round = process(
            r#"read -r asked; [ "$asked" = "{\"prompt\":[5,6],\"lanes\":2,\"steps\":1}" ] && \
            echo "{\"first_token\": 2.5, \"seconds\": 0.5, \"tokens\": [7, 8]}""#,
        );
        let (round, first_token) = round.unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!((round.seconds, round.tokens), (0.5, vec![7, 8]));
        assert_eq!(first_token, 2.5);
    }

    #[test]
    fn what_is_no_answer_is_an_error_that_names_the_program() {
        let answers = [
            ("true", "ended without an answer"),
            ("read -r asked; echo what", "answered `what`"),
            (
                r#"read -r asked; echo "{\"first_token\": 1, \"seconds\": 1, \"tokens\": [7]}""#,
                "expected 2 tokens",
            ),
            (
                r#"read -r asked; echo "{\"seconds\": 1, \"tokens\": [7, 8]}""#,
                "missing field `first_token`",
            ),
        ];
        for (script, expected) in answers {
            let Err(error) = process(script) else {
                panic!("`{script}` passed");
            };
            let said = format!("{error:#}");
            assert!(said.contains(expected) && said.contains(script), "{said}");
        }
        assert!("llama.cpp".parse::<ProcessArg>().is_err());
    }
}
