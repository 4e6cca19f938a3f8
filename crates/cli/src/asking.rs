//! How a problem is put to a model: as it stands, after worked ones, or in a chat.

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_model::{
    chat::{ChatRole, Message},
    model::Model,
    tasks::{Problem, free_text},
};
use serde::{Deserialize, Serialize};

use crate::problems::ProblemArgs;

/// How problems are put to the model.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskingArgs {
    /// Speaks to the model through its chat template.
    #[arg(long)]
    pub chat: bool,
    /// Shows the first N problems of --data with their solutions first; they are not counted.
    #[arg(long, default_value_t = 0)]
    pub shots: usize,
}

/// Problems to run, and the worked ones that are shown before each.
pub struct Asked {
    pub problems: Vec<Problem>,
    shots: Vec<Problem>,
    /// Whether they are said to the model in its chat.
    pub chat: bool,
}

impl AskingArgs {
    /// The problems that `source` names, `n` where they are generated; a chat and worked problems
    /// are for free text, unless another task is named.
    pub fn problems(&self, source: &ProblemArgs, seed: u32, n: usize) -> Result<Asked> {
        let source = self.source(source);
        let mut shots = match source.read_file()? {
            Some(problems) => problems,
            None => source.generated(seed.into(), n)?,
        };
        ensure!(
            self.shots < shots.len(),
            "--shots must be below {}, the number of problems, found {}",
            shots.len(),
            self.shots
        );
        let problems = shots.split_off(self.shots);
        let are_free = problems.iter().all(|p| p.task() == free_text::TASK);
        ensure!(
            self.shots == 0 || are_free,
            "--shots is for the task {}",
            free_text::TASK.name()
        );
        Ok(Asked {
            problems,
            shots,
            chat: self.chat,
        })
    }

    /// Where problems come from, of which task if nobody says.
    pub fn source(&self, source: &ProblemArgs) -> ProblemArgs {
        let mut source = source.clone();
        if self.chat || self.shots > 0 {
            source.task.get_or_insert(free_text::TASK);
        }
        source
    }
}

impl Asked {
    /// What the model reads of a problem, as text.
    pub fn text(&self, model: &Model, problem: &Problem) -> Result<String> {
        if self.chat {
            let mut messages = Vec::new();
            for shot in &self.shots {
                messages.push(message(ChatRole::User, shot.question().into()));
                messages.push(message(ChatRole::Assistant, solution(shot)));
            }
            messages.push(message(ChatRole::User, problem.question().into()));
            return Ok(model.chat(&messages)?);
        }
        if problem.task() != free_text::TASK {
            return Ok(problem.question().into());
        }
        let question = |problem: &Problem| format!("Question: {}\nAnswer:", problem.question());
        let shown = |shot: &Problem| format!("{} {}\n\n", question(shot), solution(shot));
        let shown: String = self.shots.iter().map(shown).collect();
        Ok(shown + &question(problem))
    }

    /// The tokens of [`Asked::text`].
    pub fn prompt(&self, model: &Model, problem: &Problem) -> Result<Vec<u32>> {
        let text = self.text(model, problem)?;
        Ok(match self.chat {
            // The template writes every token that a chat begins with.
            true => model.tokenizer.encode(&text)?,
            false => model.prompt(&text)?,
        })
    }

    /// The tokens of every problem, in order.
    pub fn prompts(&self, model: &Model) -> Result<Vec<Vec<u32>>> {
        let prompt = |(index, problem)| {
            let prompt = self.prompt(model, problem);
            prompt.with_context(|| format!("problem {index}"))
        };
        self.problems.iter().enumerate().map(prompt).collect()
    }
}

fn message(role: ChatRole, content: String) -> Message {
    Message { role, content }
}

/// A worked solution, which ends as the strategy makes a model end its own.
fn solution(problem: &Problem) -> String {
    format!(
        "{}{} {}.",
        problem.steps().join("\n"),
        latent_model::tokenizer::ANSWER_TEXT,
        problem.answer()
    )
}
