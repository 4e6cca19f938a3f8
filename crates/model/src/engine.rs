//! The engine's contract: begin a run of lanes, then advance it and read its records.

use crate::{
    config::ModelConfig,
    contemplation::ContemplationSpec,
    input::Input,
    program::{MAX_KEPT, Program, ProgramError},
    record::{StepRecord, flag},
    select::LaneState,
};

/// One lane of a run: what it is given, and the program that continues it.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneSpec {
    /// What is fed before the program begins, at least one input: a prompt of tokens, or a prompt
    /// and somebody's thinking up to a step.
    pub inputs: Vec<Input>,
    /// The strategy.
    pub program: Program,
    /// Seed of the lane's random draws.
    pub seed: u32,
    /// Tells lanes with the same seed apart: the second word of their draws' key. Not the lane's
    /// index, so that a lane's run does not change with what runs beside it.
    pub stream: u32,
    /// Whether thoughts are decoded through the LM head for their records, which costs a head
    /// per thought and changes nothing else.
    pub decode_thoughts: bool,
}

/// Where a lane stands between two steps: enough to go on from there.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneCursor {
    /// Where it is in its program.
    pub state: LaneState,
    /// What is fed at `state.position`; `None` where the lane is done.
    pub input: Option<Input>,
}

/// A failed run. Each text names what was expected and what was found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// No lanes, or too many.
    #[error("a run has 1 to {max} lanes, found {found}")]
    LaneCount {
        /// The engine's limit.
        max: usize,
        /// Lanes given.
        found: usize,
    },
    /// A lane that is given nothing.
    #[error("lane {lane}: the prompt is empty")]
    NoInputs {
        /// The lane's index.
        lane: usize,
    },
    /// A token outside of the vocabulary.
    #[error("lane {lane}: token {token} is outside of the vocabulary of {vocab_size} tokens")]
    UnknownToken {
        /// The lane's index.
        lane: usize,
        /// The token's id.
        token: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// An input that cannot be fed.
    #[error("lane {lane}, input {index}: expected {expected}, found {found}")]
    BadInput {
        /// The lane's index.
        lane: usize,
        /// The input's index.
        index: usize,
        /// What may be fed, in words.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A prompt and program that do not fit the context.
    #[error(
        "lane {lane}: the prompt's {given} tokens and up to {continuation} more \
         do not fit the model's context of {context} positions"
    )]
    ContextTooShort {
        /// The lane's index.
        lane: usize,
        /// Inputs given.
        given: usize,
        /// Largest number of positions that the program can take.
        continuation: usize,
        /// Positions of the model.
        context: usize,
    },
    /// A program that cannot run.
    #[error("lane {lane}: {reason}")]
    Program {
        /// The lane's index.
        lane: usize,
        /// What is wrong.
        reason: ProgramError,
    },
    /// A program that ends a phase by what the checkpoint lacks.
    #[error(
        "lane {lane}: phase {phase} ends by the end classifier; expected the tensors \
         end_classifier.weight and end_classifier.bias in the checkpoint, found neither"
    )]
    NoEndClassifier {
        /// The lane's index.
        lane: usize,
        /// The phase's index.
        phase: usize,
    },
    /// A program of CCOT on another checkpoint.
    #[error(
        "lane {lane}: phase {phase} contemplates; expected a checkpoint with a folder of adapters, \
         such as ccot/ccot.json, found none"
    )]
    NoContemplation {
        /// The lane's index.
        lane: usize,
        /// The phase's index.
        phase: usize,
    },
    /// A program that feeds the state of a layer that the model lacks.
    #[error(
        "lane {lane}: phase {phase} feeds the state after layer {layer}; the model's layers are 0 to {last}"
    )]
    NoLayer {
        /// The lane's index.
        lane: usize,
        /// The phase's index.
        phase: usize,
        /// The layer asked for.
        layer: u32,
        /// The model's last layer.
        last: usize,
    },
    /// `advance` without `begin`.
    #[error("no run has begun: call begin first")]
    NotBegun,
    /// NaN or infinite logits.
    #[error("lane {lane}, step {step}: the logits are not finite (NaN or infinite weights?)")]
    NonFinite {
        /// The lane's index.
        lane: u32,
        /// The lane's step.
        step: u32,
    },
    /// A record that no right sampler writes.
    #[error("{engine} computes wrong numbers: lane {lane}, step {step}: {what}")]
    Implausible {
        /// Description of the engine, with the adapter's name.
        engine: String,
        /// The lane's index.
        lane: u32,
        /// The lane's step.
        step: u32,
        /// The number, and what it may be.
        what: String,
    },
    /// The device cannot run this model, was lost, or refused a command.
    #[error("{0}")]
    Device(String),
}

impl EngineError {
    /// The same error with `number` in place of its lane's index, for callers whose lanes are
    /// counted otherwise than the engine's.
    pub fn with_lane(mut self, number: impl FnOnce(usize) -> usize) -> Self {
        match &mut self {
            Self::NoInputs { lane }
            | Self::UnknownToken { lane, .. }
            | Self::BadInput { lane, .. }
            | Self::ContextTooShort { lane, .. }
            | Self::Program { lane, .. }
            | Self::NoEndClassifier { lane, .. }
            | Self::NoContemplation { lane, .. }
            | Self::NoLayer { lane, .. } => *lane = number(*lane),
            Self::NonFinite { lane, .. } | Self::Implausible { lane, .. } => {
                *lane = number(*lane as usize) as u32;
            }
            Self::LaneCount { .. } | Self::NotBegun | Self::Device(_) => {}
        }
        self
    }
}

/// Runs programs on one checkpoint. One engine, one run at a time.
#[allow(async_fn_in_trait)] // Engines live on one thread, in the browser too: no `Send` is wanted.
pub trait Engine {
    /// The shape of the model that it runs.
    fn config(&self) -> &ModelConfig;

    /// Name for people: which engine, on which adapter.
    fn description(&self) -> String;

    /// Prefills what every lane is given, but for its last input, which the first step feeds, and
    /// loads the lanes' programs. Lanes that are given the same share the prefill. A run that was
    /// under way is dropped.
    async fn begin(&mut self, lanes: &[LaneSpec]) -> Result<(), EngineError>;

    /// Runs up to `n_steps` positions on every live lane and reads all their records back once,
    /// ordered by step, then lane. Empty when every lane is done.
    async fn advance(&mut self, n_steps: usize) -> Result<Vec<StepRecord>, EngineError>;

    /// Puts lanes where `cursors` say, each by its `state.lane`; what they were fed before stays.
    fn set_cursors(&mut self, cursors: &[LaneCursor]) -> Result<(), EngineError>;
}

/// What a checkpoint brings beside its language model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelCapabilities {
    /// A classifier that says when thinking ends.
    pub end_classifier: bool,
    /// Adapters that contemplate and answer from it (CCOT, arXiv 2412.13171).
    pub contemplation: Option<ContemplationSpec>,
}

/// What an engine and its model can run.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The model's shape.
    pub config: &'a ModelConfig,
    /// What the checkpoint brings.
    pub capabilities: ModelCapabilities,
    /// Lanes of one run.
    pub max_lanes: usize,
}

/// What every engine checks before it touches a device.
pub fn check_lanes(lanes: &[LaneSpec], limits: &Limits<'_>) -> Result<(), EngineError> {
    let (config, max) = (limits.config, limits.max_lanes);
    if lanes.is_empty() || lanes.len() > max {
        let found = lanes.len();
        return Err(EngineError::LaneCount { max, found });
    }
    for (lane, spec) in lanes.iter().enumerate() {
        spec.program
            .validate(config.vocab_size)
            .map_err(|reason| EngineError::Program { lane, reason })?;
        if let Some(phase) = spec.program.end_classifier_phase()
            && !limits.capabilities.end_classifier
        {
            return Err(EngineError::NoEndClassifier { lane, phase });
        }
        if let Some(phase) = spec.program.contemplation_phase()
            && limits.capabilities.contemplation.is_none()
        {
            return Err(EngineError::NoContemplation { lane, phase });
        }
        if let Some((phase, layer)) = spec.program.deepest_tap()
            && layer as usize >= config.n_layers
        {
            let last = config.n_layers - 1;
            return Err(EngineError::NoLayer {
                lane,
                phase,
                layer,
                last,
            });
        }
        if spec.inputs.is_empty() {
            return Err(EngineError::NoInputs { lane });
        }
        for (index, input) in spec.inputs.iter().enumerate() {
            check_input(lane, index, input, config)?;
        }
        let (given, continuation) = (spec.inputs.len(), spec.program.max_positions());
        let context = config.max_position_embeddings;
        if given + continuation > context {
            return Err(EngineError::ContextTooShort {
                lane,
                given,
                continuation,
                context,
            });
        }
    }
    Ok(())
}

/// Whether an engine can feed `input`: tokens of the vocabulary, weights that sum to 1, vectors
/// of the model's width.
pub fn check_input(
    lane: usize,
    index: usize,
    input: &Input,
    config: &ModelConfig,
) -> Result<(), EngineError> {
    let vocab_size = config.vocab_size;
    let unknown = |&id: &u32| id as usize >= vocab_size;
    let bad = |expected: String, found: String| {
        Err(EngineError::BadInput {
            lane,
            index,
            expected,
            found,
        })
    };
    let ids: Vec<u32> = match input {
        Input::Token(id) => vec![*id],
        Input::Mixture(mixture) => mixture.iter().map(|&(id, _)| id).collect(),
        Input::Vector(_) => Vec::new(),
    };
    if let Some(token) = ids.into_iter().find(unknown) {
        return Err(EngineError::UnknownToken {
            lane,
            token,
            vocab_size,
        });
    }
    match input {
        Input::Mixture(mixture) => {
            let sum: f32 = mixture.iter().map(|&(_, weight)| weight).sum();
            let n = mixture.len();
            if !(1..=MAX_KEPT).contains(&n) {
                return bad(
                    format!("a mixture of 1 to {MAX_KEPT} tokens"),
                    n.to_string(),
                );
            }
            // Not its opposite, so that a NaN is refused.
            let is_whole = (sum - 1.0).abs() <= MASS_TOLERANCE;
            if !is_whole || mixture.iter().any(|&(_, weight)| weight < 0.0) {
                let found = format!("weights that sum to {sum}");
                return bad("weights of at least 0 that sum to 1".into(), found);
            }
            Ok(())
        }
        Input::Vector(vector) if vector.len() != config.hidden_size => bad(
            format!("a vector of {} numbers", config.hidden_size),
            vector.len().to_string(),
        ),
        Input::Vector(vector) if vector.iter().any(|x| !x.is_finite()) => {
            bad("finite numbers".into(), "a NaN or an infinity".into())
        }
        Input::Token(_) | Input::Vector(_) => Ok(()),
    }
}

/// How far rounding may carry a sum of probabilities past 1.
const MASS_TOLERANCE: f32 = 1e-3;

/// Turns records that report bad numbers, or that hold numbers which no right sampler over
/// `vocab_size` tokens writes, into an error that names `engine`.
pub fn check_records(
    records: Vec<StepRecord>,
    vocab_size: usize,
    engine: impl Fn() -> String,
) -> Result<Vec<StepRecord>, EngineError> {
    for record in &records {
        let StepRecord { lane, step, .. } = *record;
        if record.has(flag::NON_FINITE) {
            return Err(EngineError::NonFinite { lane, step });
        }
        if let Some(what) = implausible(record, vocab_size) {
            return Err(EngineError::Implausible {
                engine: engine(),
                lane,
                step,
                what,
            });
        }
    }
    Ok(records)
}

/// What is wrong with a record's numbers, in words.
fn implausible(record: &StepRecord, vocab_size: usize) -> Option<String> {
    let most = 1.0 + MASS_TOLERANCE;
    let outside = |name: &str, found: f32, most: f32| {
        // Not `contains` alone: a NaN lies outside of every range.
        (!(0.0..=most).contains(&found))
            .then(|| format!("{name} must be in 0 ..= {most}, found {found}"))
    };
    if record.n_kept as usize > MAX_KEPT.min(vocab_size) {
        let most = MAX_KEPT.min(vocab_size);
        return Some(format!(
            "at most {most} tokens are kept, found {}",
            record.n_kept
        ));
    }
    let unknown = record.kept().map(|kept| kept.id).chain([record.token]);
    if let Some(id) = unknown.into_iter().find(|&id| id as usize >= vocab_size) {
        return Some(format!(
            "token {id} is outside of the vocabulary of {vocab_size} tokens"
        ));
    }
    let most_entropy = (vocab_size as f32).ln() * most + MASS_TOLERANCE;
    let (mut prob_mass, mut weight_mass) = (0.0, 0.0);
    for kept in record.kept() {
        prob_mass += kept.prob;
        weight_mass += kept.weight;
        let prob = outside("a probability", kept.prob, most);
        let wrong = prob.or_else(|| outside("a weight", kept.weight, most));
        if wrong.is_some() {
            return wrong;
        }
    }
    outside("the kept probability mass", prob_mass, most)
        .or_else(|| outside("the kept weights' sum", weight_mass, most))
        .or_else(|| outside("the entropy", record.entropy, most_entropy))
        .or_else(|| outside("the raw entropy", record.raw_entropy, most_entropy))
        .or_else(|| outside("the end probability", record.end_probability, most))
}

/// Runs all lanes to their end, `chunk` steps at a time, and hands each chunk to `on_records`.
pub async fn run_to_end<E: Engine>(
    engine: &mut E,
    lanes: &[LaneSpec],
    chunk: usize,
    mut on_records: impl FnMut(&[StepRecord]),
) -> Result<Vec<Vec<StepRecord>>, EngineError> {
    engine.begin(lanes).await?;
    let mut traces = vec![Vec::new(); lanes.len()];
    loop {
        let records = engine.advance(chunk).await?;
        if records.is_empty() {
            return Ok(traces);
        }
        on_records(&records);
        for record in records {
            traces[record.lane as usize].push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_can_name_its_lane_as_the_caller_counts() {
        let members = [2, 5];
        let error = EngineError::NoInputs { lane: 1 }.with_lane(|lane| members[lane]);
        assert_eq!(error, EngineError::NoInputs { lane: 5 });
        let error = EngineError::NonFinite { lane: 0, step: 7 }.with_lane(|lane| members[lane]);
        assert_eq!(error, EngineError::NonFinite { lane: 2, step: 7 });
    }

    #[test]
    fn what_no_right_sampler_writes_is_refused() {
        let right = StepRecord {
            n_kept: 2,
            step: 3,
            entropy: 1.0,
            raw_entropy: 1.1,
            ids: std::array::from_fn(|i| i as u32),
            probs: std::array::from_fn(|i| [0.6, 0.4].get(i).copied().unwrap_or(0.0)),
            weights: std::array::from_fn(|i| [0.7, 0.3].get(i).copied().unwrap_or(0.0)),
            ..bytemuck::Zeroable::zeroed()
        };
        let check = |record| check_records(vec![record], 64, || "GPU engine on X".into());
        assert_eq!(check(right).map(|records| records.len()), Ok(1));
        type Change = fn(&mut StepRecord);
        let changes: [(&str, Change); 11] = [
            ("a probability", |record| record.probs[1] = 3.7e7),
            ("a probability", |record| record.probs[1] = -0.1),
            ("a probability", |record| record.probs[0] = f32::NAN),
            ("a weight", |record| record.weights[0] = 1e15),
            ("kept probability mass", |record| record.probs[1] = 0.41),
            ("kept weights' sum", |record| record.weights[1] = 0.31),
            ("the entropy", |record| record.entropy = 64_f32.ln() + 0.1),
            ("the entropy", |record| record.entropy = f32::NAN),
            ("raw entropy", |record| record.raw_entropy = -1.0),
            ("tokens are kept", |record| record.n_kept = 33),
            ("outside of the vocabulary", |record| record.ids[1] = 64),
        ];
        for (what, change) in changes {
            let mut wrong = right;
            change(&mut wrong);
            let error = check(wrong).expect_err(what).to_string();
            assert!(error.contains(what), "{error}");
            assert!(
                error.contains("GPU engine on X") && error.contains("step 3"),
                "{error}"
            );
        }
    }

    #[test]
    fn inputs_that_cannot_be_fed_are_refused() {
        let config = ModelConfig::from_json(include_str!(
            "../../../public/models/prosqa-coconut/config.json"
        ))
        .expect("a config that ships");
        let d = config.hidden_size;
        let fits = [
            Input::Token(3),
            Input::Mixture(vec![(1, 0.25), (2, 0.75)]),
            Input::Vector(vec![0.5; d]),
        ];
        for input in fits {
            assert_eq!(check_input(0, 1, &input, &config), Ok(()), "{input:?}");
        }
        let unfit = [
            (Input::Token(64), "outside of the vocabulary"),
            (Input::Mixture(vec![(64, 1.0)]), "outside of the vocabulary"),
            (Input::Mixture(Vec::new()), "1 to 32 tokens, found 0"),
            (
                Input::Mixture(vec![(1, 0.02); 50]),
                "1 to 32 tokens, found 50",
            ),
            (
                Input::Mixture(vec![(1, 0.5)]),
                "sum to 1, found weights that sum to 0.5",
            ),
            (Input::Mixture(vec![(1, -0.5), (2, 1.5)]), "at least 0"),
            (Input::Mixture(vec![(1, f32::NAN)]), "sum to 1"),
            (Input::Vector(vec![0.5; d - 1]), "vector of"),
            (Input::Vector(vec![f32::INFINITY; d]), "finite"),
        ];
        for (input, what) in unfit {
            let error = check_input(0, 1, &input, &config)
                .expect_err(what)
                .to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
