//! Measures several ways of decoding on one checkpoint, problem by problem, and can be resumed
//! after each.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use latent_model::{
    analysis::{
        lens::{Lens, LensMap},
        observe::{Observed, observe},
        report::{AnalysisRow, MethodReport, ProblemOutcome, StepOutcome, Subject, WINDOW},
        similarity::{repeated, repeated_by, rouge_l},
    },
    engine::{Engine, LaneSpec},
    input::Input,
    model::Model,
    program::Program,
    record::StepRecord,
    reference::{LayerStates, MAX_LANES, Precision},
    strategy::{Settings, Strategy},
    tasks::{Grade, Problem},
    trace::{StepKind, answer_ids, emitted, step_kind, summary},
};

use super::{AnalyzeArgs, Method};
use crate::{
    asking::Asked,
    engines::open_engine,
    folder::{load_model, model_name, weights_digest},
    table::cache::Cache,
};

/// What is run.
pub enum Questions {
    /// Problems, which are graded.
    Asked(Asked),
    /// A text.
    Text(String),
}

impl Questions {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Asked(asked) => asked.problems.len(),
            Self::Text(_) => 1,
        }
    }

    /// Their tokens, each with the problem that it is, if it is one.
    fn prompts(self, args: &AnalyzeArgs, model: &Model) -> Result<Vec<Prompt>> {
        match self {
            Self::Asked(asked) => {
                let tokens = asked.prompts(model)?.into_iter();
                let problems = asked.problems.into_iter().map(Some);
                let prompt = |(tokens, problem)| Prompt { tokens, problem };
                Ok(tokens.zip(problems).map(prompt).collect())
            }
            Self::Text(text) => {
                let tokens = match args.asking.chat {
                    true => model.chat_prompt(&text)?,
                    false => model.prompt(&text)?,
                };
                let problem = None;
                Ok(vec![Prompt { tokens, problem }])
            }
        }
    }
}

/// One question.
struct Prompt {
    tokens: Vec<u32>,
    problem: Option<Problem>,
}

/// Everything that a row needs.
pub struct Bench<'a> {
    args: &'a AnalyzeArgs,
    folder: &'a Path,
    model: Model,
    prompts: Vec<Prompt>,
    described: String,
    methods: &'a [Method],
    programs: Vec<Program>,
    part: &'a str,
    lens_every: usize,
    kept: PathBuf,
}

/// A row, and of its first problem what is not summed up.
pub struct Measured {
    /// The row.
    pub row: AnalysisRow,
    /// Which engine computed it.
    pub engine: String,
    /// Per problem, per method.
    pub outcomes: Vec<Vec<ProblemOutcome>>,
    /// Of the first problem's first run that was asked about.
    pub first: First,
    /// What each token is shown as.
    pub names: Vec<String>,
}

/// What the layers make of one run.
#[derive(Default)]
pub struct First {
    /// The states after every layer, a row for each step.
    pub states: Option<LayerStates>,
    /// Read through the lens.
    pub lens: Option<LensMap>,
}

/// Tokens shown in a cell of the lens.
const N_SHOWN: usize = 5;

impl<'a> Bench<'a> {
    /// Loads the model and finds what was measured before.
    pub fn open(
        args: &'a AnalyzeArgs,
        folder: &'a Path,
        (questions, described): (Questions, String),
        (methods, part, lens_every): (&'a [Method], &'a str, usize),
    ) -> Result<Self> {
        let model = load_model(folder)?;
        let prompts = questions.prompts(args, &model)?;
        ensure!(!prompts.is_empty(), "there are no problems");
        let program = |method: &Method| -> Result<Program> {
            let strategy = Strategy::by_name(&method.strategy)?;
            let settings = Settings::parse(strategy, method.set.iter().map(String::as_str))?;
            Ok(strategy.program(&settings, &model.tokenizer, model.capabilities())?)
        };
        let programs: Vec<Program> = methods.iter().map(program).collect::<Result<_>>()?;
        let n_lanes: usize = methods.iter().map(|method| method.samples).sum();
        ensure!(
            n_lanes <= MAX_LANES,
            "the methods' runs of a problem are at most {MAX_LANES}, found {n_lanes}"
        );
        let tokens: Vec<&Vec<u32>> = prompts.iter().map(|prompt| &prompt.tokens).collect();
        let parts = [
            weights_digest(folder, None)?,
            beside_weights(folder, "config.json")?,
            beside_weights(folder, "tokenizer.json")?,
            format!("{programs:?} {methods:?}"),
            format!("{tokens:?}"),
            format!("{} {:?} {lens_every}", args.seed, args.engine),
        ];
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let key = Cache::open(args.cache.clone())?.key(&parts);
        Ok(Self {
            args,
            folder,
            model,
            prompts,
            described,
            methods,
            programs,
            part,
            lens_every,
            kept: args.cache.join(format!("{key}.jsonl")),
        })
    }

    /// Measures what has not been measured yet, and sums up.
    pub async fn measure(&self, bar: &ProgressBar) -> Result<Measured> {
        let mut engine = open_engine(self.args.engine, &self.model).await?;
        let mut outcomes = self.known()?;
        let mut first = First::default();
        bar.inc(outcomes.len() as u64);
        for (index, prompt) in self.prompts.iter().enumerate().skip(outcomes.len()) {
            let lanes = self.lanes(prompt, index)?;
            let observed = self.observe(&mut engine, &lanes).await?;
            if index == 0 {
                first = self.first(&lanes, &observed);
            }
            let of_problem = self.outcomes(prompt, observed);
            self.keep(&of_problem)?;
            outcomes.push(of_problem);
            bar.inc(1);
        }
        if first.states.is_none() && self.args.out.is_some() {
            let lanes = self.lanes(&self.prompts[0], 0)?;
            first = self.first(&lanes, &self.observe(&mut engine, &lanes).await?);
        }
        let by_method = |method: usize| -> Vec<ProblemOutcome> {
            outcomes.iter().map(|all| all[method].clone()).collect()
        };
        let compared_with = by_method(0);
        let reports = self.methods.iter().enumerate().map(|(index, method)| {
            let named = (method.strategy.as_str(), &method.set[..]);
            MethodReport::new(named, &by_method(index), &compared_with)
        });
        let row = AnalysisRow {
            part: self.part.into(),
            subject: Subject {
                model: model_name(self.folder),
                weights_sha256: weights_digest(self.folder, None)?,
                problems: self.described.clone(),
                n: outcomes.len(),
                seed: self.args.seed,
            },
            methods: reports.collect(),
        };
        Ok(Measured {
            row,
            engine: engine.description(),
            outcomes,
            first,
            names: (0..self.model.config.vocab_size as u32)
                .map(|id| self.model.tokenizer.token(id))
                .collect(),
        })
    }

    /// One lane for each run of each method.
    fn lanes(&self, prompt: &Prompt, index: usize) -> Result<Vec<LaneSpec>> {
        let inputs = Input::tokens(&prompt.tokens);
        let lanes = self.methods.iter().zip(&self.programs);
        let lanes = lanes.flat_map(|(method, program)| {
            let inputs = &inputs;
            (0..method.samples).map(move |sample| LaneSpec {
                inputs: inputs.clone(),
                program: program.clone(),
                seed: self.args.seed,
                // As `latent eval` has it.
                stream: (index * method.samples + sample) as u32,
                decode_thoughts: false,
            })
        });
        Ok(lanes.collect())
    }

    async fn observe(
        &self,
        engine: &mut latent_gpu::AnyEngine,
        lanes: &[LaneSpec],
    ) -> Result<Vec<Observed>> {
        let lens = Lens::new(&self.model.config, &self.model.weights, Precision::Fast);
        let every = self.lens_every;
        let lens = (every > 0).then_some((&lens, every));
        let mut first_lane = 0;
        let asked = self.methods.iter().filter_map(|method| {
            let lane = first_lane;
            first_lane += method.samples;
            method.ask.then_some(lane)
        });
        let asked: Vec<usize> = asked.collect();
        Ok(observe(engine, lanes, &asked, lens).await?)
    }

    /// States and lens of the first lane that was asked about.
    fn first(&self, lanes: &[LaneSpec], observed: &[Observed]) -> First {
        let Some(lane) = observed.iter().position(|lane| !lane.steps.is_empty()) else {
            return First::default();
        };
        let lens = Lens::new(&self.model.config, &self.model.weights, Precision::Fast);
        let n_layers = self.model.config.n_layers;
        let mut map = LensMap::new(n_layers);
        let mut states = LayerStates::new(n_layers);
        let tokenizer = &self.model.tokenizer;
        let program = &lanes[lane].program;
        for step in &observed[lane].steps {
            let record = observed[lane].records.iter().find(|r| r.step == step.step);
            let shown = record.map_or(String::new(), |record| shown(record, program, tokenizer));
            let by_layer: Vec<Vec<f32>> = step
                .probed
                .layers
                .iter()
                .map(|state| lens.logits(state))
                .collect();
            map.push(&shown, &by_layer, N_SHOWN);
            for (rows, state) in states.layers.iter_mut().zip(&step.probed.layers) {
                rows.push(state.clone());
            }
            states.embedded.push(step.probed.embedded.clone());
            states.logits.push(step.probed.logits.clone());
        }
        First {
            states: Some(states),
            lens: Some(map),
        }
    }

    /// What every method's runs say, against the first run of the first method.
    fn outcomes(&self, prompt: &Prompt, observed: Vec<Observed>) -> Vec<ProblemOutcome> {
        let mut rest = observed.into_iter();
        let greedy = rest.as_slice().first().map(|lane| lane.records.clone());
        let greedy = greedy.map_or(Vec::new(), |records| emitted(&records, &self.programs[0]));
        let methods = self.methods.iter().zip(&self.programs);
        let of_method = |(method, program): (&Method, &Program)| {
            let mut outcome = ProblemOutcome::default();
            for lane in rest.by_ref().take(method.samples) {
                self.add_run(&mut outcome, prompt, program, (&lane.records, &greedy));
                outcome.steps.extend(lane.steps.iter().map(|step| {
                    StepOutcome {
                        step: step.step,
                        top: step.probed.top,
                        top1_top2: step.probed.top1_top2,
                        noised_clean: step.noised_clean,
                        overlap: step
                            .probed
                            .overlap
                            .iter()
                            .map(|sizes| sizes.to_vec())
                            .collect(),
                    }
                }));
            }
            outcome
        };
        methods.map(of_method).collect()
    }

    fn add_run(
        &self,
        outcome: &mut ProblemOutcome,
        prompt: &Prompt,
        program: &Program,
        (records, greedy): (&[StepRecord], &[u32]),
    ) {
        let tokenizer = &self.model.tokenizer;
        let grade = prompt.problem.as_ref().map(|problem| {
            let answer = answer_ids(records, program);
            problem.grade(&problem.task().render(tokenizer, &answer))
        });
        let tokens = emitted(records, program);
        let counted = summary(records, program);
        outcome.right.push(grade.map(|grade| grade == Grade::Right));
        outcome.malformed.push(grade == Some(Grade::Malformed));
        outcome.think_steps.push(counted.think_steps as f64);
        outcome
            .tokens
            .push((counted.think_steps + counted.answer_tokens) as f64);
        outcome.entropy.push(counted.mean_entropy.map(f64::from));
        outcome.rouge_l.push(rouge_l(greedy, &tokens).f1);
        outcome
            .exact_match
            .push(f64::from(u8::from(tokens == greedy)));
        outcome.repeated_4_grams.push(repeated(&tokens, 4));
        outcome.repeated_by.push(repeated_by(&tokens, 4, WINDOW));
    }

    /// What was measured before, in order.
    fn known(&self) -> Result<Vec<Vec<ProblemOutcome>>> {
        let Ok(text) = fs::read_to_string(&self.kept) else {
            return Ok(Vec::new());
        };
        // A run that was cut off may have left half a line, which goes.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        if whole.len() < text.len() {
            fs::write(&self.kept, whole)?;
        }
        let known = whole
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>();
        known.with_context(|| format!("in {}", self.kept.display()))
    }

    fn keep(&self, of_problem: &[ProblemOutcome]) -> Result<()> {
        let path = &self.kept;
        let line = serde_json::to_string(of_problem)? + "\n";
        fs::create_dir_all(&self.args.cache)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(path))
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A file of a model's folder; a GGUF file holds all of it with its weights.
fn beside_weights(folder: &Path, name: &str) -> Result<String> {
    match folder.is_file() {
        true => Ok(String::new()),
        false => Ok(fs::read_to_string(folder.join(name))?),
    }
}

/// What a position is called: what is fed there.
fn shown(
    record: &StepRecord,
    program: &Program,
    tokenizer: &latent_model::tokenizer::Tokenizer,
) -> String {
    let token = tokenizer.shown(record.token);
    let mixed = record.kept().filter(|kept| kept.weight > 0.0).count();
    match step_kind(record, program) {
        StepKind::Think if mixed > 1 => format!("{token} +{}", mixed - 1),
        StepKind::Think if mixed == 0 => "thought".into(),
        _ => token,
    }
}
