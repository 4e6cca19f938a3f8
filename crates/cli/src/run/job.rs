//! What `latent run` is told to run: lanes, and what they are asked.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use latent_model::{
    address::{Address, AllExamples, Asked, DEFAULT_SEED, LaneChoice, ProblemChoice},
    analysis::treatment::streams,
    catalogue::folder_and_adapters,
    chat::{ChatRole, Message},
    evaluation::RunResult,
    model::Model,
    strategy::{Settings, Strategy},
    tasks::{Problem, TASKS, Task},
    text,
};

use super::RunArgs;
use crate::{
    asking,
    folder::{LoadingArgs, ModelArgs},
    results_file::{self, Measured},
};

/// What is run: lanes, and a problem or a text.
pub struct Job {
    /// Those that were asked for, then the unchanged ones that they are compared with.
    pub lanes: Vec<LaneChoice>,
    /// The stream of each lane's random draws.
    pub streams: Vec<u32>,
    /// Where their checkpoints lie, by the names that lanes have for them.
    pub checkpoints: BTreeMap<String, ModelArgs>,
    /// What models are asked.
    pub question: Question,
    /// The problem, where the answer can be graded.
    pub problem: Option<Problem>,
    /// The task, where something says it; else a model's words do.
    pub task: Option<Task>,
    /// How an address says what is asked, where one did.
    pub choice: Option<ProblemChoice>,
    /// Seed of the lanes' noise.
    pub seed: u32,
}

/// What models are asked, which each of them reads in its own way.
pub enum Question {
    /// A text, as it stands or in the model's chat.
    Text { text: String, is_said: bool },
    /// One of several problems, after worked ones or in a chat.
    Problem { asked: asking::Asked, index: usize },
}

impl Question {
    /// What a model reads, as text.
    pub fn text(&self, model: &Model) -> Result<String> {
        match self {
            Self::Text { text, is_said } if *is_said => {
                let (role, content) = (ChatRole::User, text.clone());
                Ok(model.chat(&[Message { role, content }])?)
            }
            Self::Text { text, .. } => Ok(text.clone()),
            Self::Problem { asked, index } => asked.text(model, &asked.problems[*index]),
        }
    }

    /// Its tokens.
    pub fn prompt(&self, model: &Model) -> Result<Vec<u32>> {
        match self {
            // The template writes every token that a chat begins with.
            Self::Text { is_said, .. } if *is_said => {
                Ok(model.tokenizer.encode(&self.text(model)?)?)
            }
            Self::Text { text, .. } => Ok(model.prompt(text)?),
            Self::Problem { asked, index } => asked.prompt(model, &asked.problems[*index]),
        }
    }
}

impl Job {
    /// What the arguments say to run.
    pub fn new(args: &RunArgs) -> Result<Self> {
        let job = match (&args.address, &args.from) {
            (Some(link), _) => Self::of_address(args, link)?,
            (None, Some(results)) => Self::replayed(args, results)?,
            (None, None) => Self::of_options(args)?,
        };
        Ok(job.with_unchanged_lanes())
    }

    /// What a link to the page holds.
    fn of_address(args: &RunArgs, link: &str) -> Result<Self> {
        let address: Address = link.parse()?;
        let lanes = some_lanes(address.lanes)?;
        let task = address.task;
        let choice = address.problem.unwrap_or(ProblemChoice::first(task));
        let examples = match choice {
            ProblemChoice::Example(_) => examples(&args.models)?,
            _ => AllExamples::default(),
        };
        let Asked {
            text,
            is_said,
            problem,
            ..
        } = Asked::new(task, &choice, &examples);
        if let (true, Err(reason)) = (text.is_empty(), &problem) {
            bail!("in the address, the problem: {reason}");
        }
        Ok(Self {
            checkpoints: checkpoints(args, &lanes),
            streams: streams(&lanes),
            lanes,
            question: Question::Text { text, is_said },
            problem: problem.ok(),
            task: Some(task),
            choice: Some(choice),
            seed: address.seed.unwrap_or(DEFAULT_SEED),
        })
    }

    /// What `--model` with its strategies, or lanes, shall do with a problem.
    fn of_options(args: &RunArgs) -> Result<Self> {
        let (lanes, checkpoints) = match args.lane.is_empty() {
            true => {
                let settings = args.set.iter().map(String::as_str);
                let model = model(args)?;
                let lane = |name: &String| {
                    let strategy = Strategy::by_name(name)?;
                    let mut lane = LaneChoice::new(&model.name(), strategy);
                    lane.settings = Settings::parse(strategy, settings.clone())?;
                    Ok(lane)
                };
                let lanes: Result<Vec<LaneChoice>> = args.strategy.iter().map(lane).collect();
                (lanes?, BTreeMap::from([(model.name(), model)]))
            }
            false => {
                let address: Address = format!("lanes={}", args.lane.join(";")).parse()?;
                let lanes = some_lanes(address.lanes)?;
                let checkpoints = checkpoints(args, &lanes);
                (lanes, checkpoints)
            }
        };
        let (question, problem) = asked(args)?;
        Ok(Self {
            streams: streams(&lanes),
            lanes,
            checkpoints,
            task: problem.as_ref().map(Problem::task),
            question,
            problem,
            choice: None,
            seed: args.seed,
        })
    }

    /// A run of a file of results, as it was counted.
    fn replayed(args: &RunArgs, path: &Path) -> Result<Self> {
        let (measured, runs) = results_file::read(path)?;
        let is_it = |run: &&RunResult| (run.problem, run.sample) == (args.problem, args.sample);
        let Some(run) = runs.iter().find(is_it) else {
            bail!(
                "{} has no run {} of problem {}",
                path.display(),
                args.sample,
                args.problem
            );
        };
        let model = model(args)?;
        let digest = model.weights_digest()?;
        ensure!(
            digest == measured.weights,
            "{} was measured on {} with weights {}; found {digest}",
            path.display(),
            measured.model,
            measured.weights
        );
        let Measured { n, seed, .. } = measured;
        let asked = measured.asking.problems(&measured.problems, seed, n)?;
        let problem = asked.problems.get(run.problem).cloned();
        let problem = problem.with_context(|| format!("there is no problem {}", run.problem))?;
        let strategy = Strategy::by_name(&measured.strategy)?;
        let mut lane = LaneChoice::new(&model.name(), strategy);
        lane.settings = Settings::parse(strategy, measured.settings.iter().map(String::as_str))?;
        Ok(Self {
            lanes: vec![lane],
            streams: vec![run.stream],
            checkpoints: BTreeMap::from([(model.name(), model)]),
            question: Question::Problem {
                asked,
                index: run.problem,
            },
            task: Some(problem.task()),
            problem: Some(problem),
            choice: None,
            seed,
        })
    }

    /// Where a changed lane runs without the same lane as it would be unchanged, that runs too.
    fn with_unchanged_lanes(mut self) -> Self {
        for index in 0..self.lanes.len() {
            if !self.lanes[index].changes.is_empty() && self.unchanged(index).is_none() {
                self.lanes.push(LaneChoice {
                    changes: Vec::new(),
                    ..self.lanes[index].clone()
                });
                self.streams.push(self.streams[index]);
            }
        }
        self
    }

    /// The lane that a changed one would be unchanged, with the same draws.
    pub fn unchanged(&self, index: usize) -> Option<usize> {
        let unchanged = LaneChoice {
            changes: Vec::new(),
            ..self.lanes[index].clone()
        };
        let mut lanes = self.lanes.iter().zip(&self.streams);
        lanes.position(|lane| lane == (&unchanged, &self.streams[index]))
    }
}

/// The checkpoint of `--model`.
fn model(args: &RunArgs) -> Result<ModelArgs> {
    Ok(ModelArgs {
        model: args.model.clone().context("--model is missing")?,
        loading: args.loading.clone(),
    })
}

/// The checkpoints that lanes name, in the folder of checkpoints.
fn checkpoints(args: &RunArgs, lanes: &[LaneChoice]) -> BTreeMap<String, ModelArgs> {
    let of = |lane: &LaneChoice| {
        let (folder, adapters) = folder_and_adapters(&lane.model);
        let checkpoint = ModelArgs {
            model: args.models.join(folder),
            loading: LoadingArgs {
                adapters: adapters.map(str::to_string),
                ..args.loading.clone()
            },
        };
        (lane.model.clone(), checkpoint)
    };
    lanes.iter().map(of).collect()
}

fn some_lanes(lanes: Option<Vec<LaneChoice>>) -> Result<Vec<LaneChoice>> {
    lanes
        .filter(|lanes| !lanes.is_empty())
        .context("the address names no lane; expected lanes=checkpoint:strategy,key=value…;… in it")
}

/// The page's examples, which lie beside its checkpoints.
fn examples(models: &Path) -> Result<AllExamples> {
    let path = models.with_file_name("examples").join("index.json");
    let json =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text::clean(&json)).with_context(|| format!("in {}", path.display()))
}

/// What the options ask, and the problem that it is, where it is one.
fn asked(args: &RunArgs) -> Result<(Question, Option<Problem>)> {
    if let Some(prompt) = &args.prompt {
        // The model gets a whole problem in its official form, and the answer is graded.
        let problem = TASKS.iter().find_map(|task| task.read(prompt).ok());
        let text = match &problem {
            Some(problem) => problem.question().into(),
            None => prompt.clone(),
        };
        let is_said = args.asking.chat && problem.is_none();
        return Ok((Question::Text { text, is_said }, problem));
    }
    let n = args.index + 1 + args.asking.shots;
    let asked = args.asking.problems(&args.problems, args.seed, n)?;
    let (n, index) = (asked.problems.len(), args.index);
    ensure!(index < n, "--index must be below {n}, found {index}");
    let problem = asked.problems[index].clone();
    Ok((Question::Problem { asked, index }, Some(problem)))
}
