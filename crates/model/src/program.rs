//! Programs: a decoding strategy as a list of phases, which both engines interpret.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::error::ProgramError;
pub use crate::input::{Feed, Tap};

mod error;

/// The largest number of tokens that a mixture, a top-k filter or a trace record can hold.
pub const MAX_KEPT: usize = 32;

/// The largest number of phases in a program.
pub const MAX_PHASES: usize = 8;

/// The largest number of tokens at which a phase ends. Llama 3 names three.
pub const MAX_STOP_TOKENS: usize = 8;

/// The largest number of tokens of a text that is forced, or at which a phase ends.
pub const MAX_TEXT: usize = 16;

/// The least temperature and min-p beside 0. Devices may take an f32 below 1.2e-38 for 0, and what
/// is computed of these two is up to 1e8 times smaller.
pub const LEAST_POSITIVE: f32 = 1e-30;

/// A decoding strategy, ready to run: what is fed, how it is chosen, when it ends.
///
/// A lane's prompt is followed by `start` (a marker such as `<think>` or `<bot>`, or a text, where
/// the strategy has one), then the phases run in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// The tokens that are forced after the prompt, before the first phase: a marker or a text, at
    /// most [`MAX_TEXT`] of them.
    pub start: Vec<u32>,
    /// At least one phase, at most [`MAX_PHASES`]; the last one gives the answer.
    pub phases: Vec<Phase>,
}

/// One stretch of a program with one kind of input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Whether its steps count as thinking or as the answer.
    pub role: Role,
    /// What enters the transformer at this phase's positions.
    pub feed: Feed,
    /// How the next token or mixture is chosen.
    pub sampler: Sampler,
    /// When the phase ends.
    pub until: Until,
    /// The tokens that are fed one after the other when the phase ends by its cap, Cold Stop, the
    /// end classifier or a stop token that is [dropped](Until::drops_stop): a marker or a text, at
    /// most [`MAX_TEXT`] of them.
    pub then_force: Vec<u32>,
    /// The weights under which its inputs run.
    pub adapter: Adapter,
}

/// Which weights an input runs under. A checkpoint of CCOT (arXiv 2412.13171) has three sets of
/// layers, the keys and values of which lie in one cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
pub enum Adapter {
    /// θ: the checkpoint's own, which every checkpoint has.
    #[default]
    Base = 0,
    /// θ + φ: makes contemplation tokens.
    Generator = 1,
    /// θ + ψ: answers from them.
    Decoder = 2,
}

impl Adapter {
    /// Every set, by its code.
    pub const ALL: [Self; 3] = [Self::Base, Self::Generator, Self::Decoder];

    /// Its name: `base`, `generator` or `decoder`, as the folder of an adapter is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Generator => "generator",
            Self::Decoder => "decoder",
        }
    }
}

impl FromStr for Adapter {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|adapter| adapter.name() == name);
        let names = Self::ALL.map(Self::name).join(", ");
        found.ok_or_else(|| format!("there is no {name:?}; there are: {names}"))
    }
}

/// What a phase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reasoning, in words or not.
    Think,
    /// The answer, always in tokens.
    Answer,
}

/// How the next token or mixture is chosen, in the order of the sampler that was released with
/// Soft Thinking (arXiv 2505.15778).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampler {
    /// Divides the logits, 0 or at least [`LEAST_POSITIVE`]; 0 means a one-hot distribution on the
    /// largest logit.
    pub temperature: f32,
    /// Keeps the k most probable tokens, 1 ..= [`MAX_KEPT`].
    pub top_k: u32,
    /// Keeps the smallest prefix of them with at least this mass, in (0, 1].
    pub top_p: f32,
    /// Drops tokens below this fraction of the largest probability: 0, or at least
    /// [`LEAST_POSITIVE`] and below 1.
    pub min_p: f32,
    /// Mixes at most this many tokens, 1 ..= [`MAX_KEPT`] (the paper's `max_topk`).
    pub max_concepts: u32,
    /// Randomness on the mixture (Stochastic Soft Thinking, arXiv 2508.03440).
    pub noise: Noise,
    /// Picks the most probable token instead of drawing one.
    pub greedy: bool,
}

/// Noise on a concept token's weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// Vanilla Soft Thinking.
    None,
    /// w ← softmax((ln w + g) / tau), g standard Gumbel, on the kept tokens.
    Gumbel {
        /// The Gumbel-Softmax temperature.
        tau: f32,
    },
    /// w ~ Dirichlet(alpha · w), on the kept tokens, before `max_concepts`.
    Dirichlet {
        /// The concentration; larger means less noise.
        alpha: f32,
    },
}

/// When a phase ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Until {
    /// At most this many inputs are fed.
    pub max_steps: u32,
    /// Ends when one of these tokens, at most [`MAX_STOP_TOKENS`], is chosen; that token itself is
    /// fed next.
    pub stop_tokens: Vec<u32>,
    /// Ends when the newest tokens chosen are these, at most [`MAX_TEXT`]: a marker that is no
    /// token of its own. Its first token does not come again in it.
    pub stop_text: Vec<u32>,
    /// Whether, in place of a stop token, the phase's [`Phase::then_force`] is fed: a model that
    /// has ended its turn is made to answer. Not in the last phase, where nothing is fed.
    pub drops_stop: bool,
    /// Ends when the model has been sure for long enough.
    pub cold_stop: Option<ColdStop>,
    /// Ends when the checkpoint's classifier says that it has thought enough.
    pub end_classifier: Option<EndClassifier>,
}

/// Coconut's mode switch (arXiv 2412.06769): σ(w·h + b) at or above `threshold` ends the phase.
///
/// h is the hidden state, after the final norm, of the phase's newest input: in a phase of
/// thoughts, what would be the next thought. The classifier is asked after every input that the
/// phase has fed, its last one included, and never before the first one; so at least one input
/// is fed, and a state that ends the phase is not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndClassifier {
    /// A probability, in \[0, 1\].
    pub threshold: f32,
}

/// Soft Thinking's stop rule: `patience` steps in a row with an entropy below `entropy`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColdStop {
    /// Threshold in nats, on the full distribution after temperature, before truncation.
    pub entropy: f32,
    /// Number of consecutive steps, at least 1.
    pub patience: u32,
}

impl Program {
    /// Checks that both engines can run this program with a vocabulary of `vocab_size` tokens.
    pub fn validate(&self, vocab_size: usize) -> Result<(), ProgramError> {
        if self.phases.is_empty() || self.phases.len() > MAX_PHASES {
            return Err(ProgramError::PhaseCount {
                found: self.phases.len(),
            });
        }
        for (index, phase) in self.phases.iter().enumerate() {
            phase.validate(index, vocab_size)?;
        }
        check_text(
            0,
            "the length of the program's start",
            &self.start,
            vocab_size,
        )?;
        let last = self.phases.last().filter(|phase| {
            phase.role == Role::Answer && phase.feed == Feed::Token && phase.until.max_steps > 0
        });
        match last.ok_or(ProgramError::LastPhase)?.until.end_classifier {
            Some(_) => Err(ProgramError::EndClassifierOfAnswer {
                phase: self.phases.len() - 1,
            }),
            None => Ok(()),
        }
    }

    /// The first phase that ends by the checkpoint's own end classifier, which not every one has.
    /// A phase of the generator asks the classifier that came with it.
    pub fn end_classifier_phase(&self) -> Option<usize> {
        let asks = |phase: &Phase| {
            phase.until.end_classifier.is_some() && phase.adapter != Adapter::Generator
        };
        self.phases.iter().position(asks)
    }

    /// The first phase that runs under an adapter or feeds contemplation tokens, which takes a
    /// checkpoint of CCOT.
    pub fn contemplation_phase(&self) -> Option<usize> {
        let needs = |phase: &Phase| {
            let feed = Feed::CONTEMPLATION;
            phase.adapter != Adapter::Base || phase.feed == feed
        };
        self.phases.iter().position(needs)
    }

    /// The deepest layer, counted from 0, that a phase names to feed its state, with that phase.
    pub fn deepest_tap(&self) -> Option<(usize, u32)> {
        let named = |(phase, tap)| match tap {
            Tap::Layer(layer) => Some((phase, layer)),
            Tap::FinalNorm | Tap::Contemplation => None,
        };
        self.taps()
            .filter_map(named)
            .max_by_key(|&(_, layer)| layer)
    }

    /// Every state that a phase feeds, as (phase, tap), in the order of phases.
    pub fn taps(&self) -> impl Iterator<Item = (usize, Tap)> + '_ {
        let tap = |(index, phase): (usize, &Phase)| match phase.feed {
            Feed::Hidden { tap } => Some((index, tap)),
            _ => None,
        };
        self.phases.iter().enumerate().filter_map(tap)
    }

    /// The largest number of positions that a lane can take after its prompt.
    pub fn max_positions(&self) -> usize {
        let forced: usize = self.phases.iter().map(|phase| phase.then_force.len()).sum();
        let fed: usize = self
            .phases
            .iter()
            .map(|phase| phase.until.max_steps as usize)
            .sum();
        self.start.len() + forced + fed
    }
}

impl Until {
    /// After `max_steps` inputs and by nothing else.
    pub const fn steps(max_steps: u32) -> Self {
        Self {
            max_steps,
            stop_tokens: Vec::new(),
            stop_text: Vec::new(),
            drops_stop: false,
            cold_stop: None,
            end_classifier: None,
        }
    }
}

impl Phase {
    fn validate(&self, phase: usize, vocab_size: usize) -> Result<(), ProgramError> {
        let kept = 1.0..=MAX_KEPT as f32;
        let sampler = &self.sampler;
        let n_stop_tokens = self.until.stop_tokens.len() as f32;
        let mut checks = vec![
            ("top_k", sampler.top_k as f32, kept.clone()),
            ("top_p", sampler.top_p, f32::MIN_POSITIVE..=1.0),
            ("max_concepts", sampler.max_concepts as f32, kept),
            (
                "the number of stop tokens",
                n_stop_tokens,
                0.0..=MAX_STOP_TOKENS as f32,
            ),
        ];
        match sampler.noise {
            Noise::None => {}
            Noise::Gumbel { tau } => checks.push(("tau", tau, 1e-3..=1e3)),
            Noise::Dirichlet { alpha } => checks.push(("alpha", alpha, 1e-3..=1e20)),
        }
        if let Some(cold_stop) = self.until.cold_stop {
            checks.push(("cold_stop.entropy", cold_stop.entropy, 0.0..=100.0));
            checks.push(("cold_stop.patience", cold_stop.patience as f32, 1.0..=1e6));
        }
        if let Some(end) = self.until.end_classifier {
            checks.push(("end_classifier.threshold", end.threshold, 0.0..=1.0));
        }
        for (field, found, range) in checks {
            if !range.contains(&found) {
                let expected = format!("in {} ..= {}", range.start(), range.end());
                return Err(ProgramError::OutOfRange {
                    phase,
                    field,
                    expected,
                    found,
                });
            }
        }
        for (field, found, most) in [
            ("temperature", sampler.temperature, 100.0),
            ("min_p", sampler.min_p, 0.999),
        ] {
            if found != 0.0 && !(LEAST_POSITIVE..=most).contains(&found) {
                return Err(ProgramError::OutOfRange {
                    phase,
                    field,
                    expected: format!("0 or in {LEAST_POSITIVE:e} ..= {most}"),
                    found,
                });
            }
        }
        let stop_text = &self.until.stop_text;
        check_text(
            phase,
            "the length of then_force",
            &self.then_force,
            vocab_size,
        )?;
        check_text(phase, "the length of stop_text", stop_text, vocab_size)?;
        if let Some((first, rest)) = stop_text.split_first()
            && rest.contains(first)
        {
            return Err(ProgramError::RepeatedStart {
                phase,
                token: *first,
            });
        }
        for &token in &self.until.stop_tokens {
            check_token(phase, token, vocab_size)?;
        }
        match self.feed {
            Feed::Pause(token) => check_token(phase, token, vocab_size),
            Feed::Token | Feed::Concept | Feed::Hidden { .. } => Ok(()),
        }
    }
}

fn check_token(phase: usize, token: u32, vocab_size: usize) -> Result<(), ProgramError> {
    match (token as usize) < vocab_size {
        true => Ok(()),
        false => Err(ProgramError::UnknownToken {
            phase,
            token,
            vocab_size,
        }),
    }
}

/// Whether a text is short enough, and of known tokens.
fn check_text(
    phase: usize,
    field: &'static str,
    text: &[u32],
    vocab_size: usize,
) -> Result<(), ProgramError> {
    if text.len() > MAX_TEXT {
        return Err(ProgramError::OutOfRange {
            phase,
            field,
            expected: format!("at most {MAX_TEXT} tokens"),
            found: text.len() as f32,
        });
    }
    let mut tokens = text.iter();
    tokens.try_for_each(|&token| check_token(phase, token, vocab_size))
}

impl Sampler {
    /// Greedy decoding: the most probable token.
    pub const GREEDY: Self = Self {
        temperature: 1.0,
        top_k: MAX_KEPT as u32,
        top_p: 1.0,
        min_p: 0.0,
        max_concepts: 1,
        noise: Noise::None,
        greedy: true,
    };
}
