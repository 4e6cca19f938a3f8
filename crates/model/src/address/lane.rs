//! A lane of an address: its checkpoint, how it reasons, and what is done to it on its way.

use std::{fmt, str::FromStr};

use crate::{
    engine::ModelCapabilities,
    program::{MAX_KEPT, Program},
    strategy::{Composition, Setting, Settings, Strategy, StrategyError},
    tasks::Difficulty,
    tokenizer::Tokenizer,
};

/// One lane before it runs: a checkpoint and how it shall reason.
#[derive(Clone, Debug)]
pub struct LaneChoice {
    /// Name of the checkpoint.
    pub model: String,
    /// The way of reasoning.
    pub strategy: &'static Strategy,
    /// Only what differs from the strategy's defaults.
    pub settings: Settings,
    /// What a composed strategy consists of; `None` for every other one.
    pub composition: Option<Composition>,
    /// What becomes of its inputs, by rising step.
    pub changes: Vec<ChangeChoice>,
    /// The lane and step that it goes on from; its own prompt otherwise.
    pub fork: Option<ForkChoice>,
}

/// A change of the input that follows a step.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeChoice {
    /// The step.
    pub step: u32,
    /// What becomes of the input.
    pub kind: ChangeKind,
}

impl ChangeChoice {
    /// Whether it was made in a run that ended after so many steps: the last one is followed by no
    /// input that could be changed.
    pub fn is_made(&self, n_steps: usize) -> bool {
        (self.step as usize) + 1 < n_steps
    }
}

/// What becomes of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeKind {
    /// Zeros.
    Zero,
    /// Noise of so many times its own size, by this seed.
    Noise(f32, u32),
    /// Its numbers in another order, by this seed.
    Shuffle(u32),
    /// What was fed before, once more.
    Freeze,
    /// The nearest word.
    Nearest,
    /// Another word, by its id.
    Force(u32),
    /// A mixture of words, by id and weight.
    Mix(Vec<(u32, f32)>),
    /// What another lane, counted from 1, was fed after the same step.
    Swap(usize),
    /// What the same lane is fed after the same step on another problem of the task, which is
    /// generated of this size and from this seed.
    SwapProblem(Difficulty, u64),
}

/// Where a forked lane begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkChoice {
    /// The lane, counted from 1.
    pub lane: usize,
    /// The last step that it has in common with that lane.
    pub step: u32,
    /// Whether it stops thinking there and answers.
    pub answers: bool,
}

impl PartialEq for LaneChoice {
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model
            && self.strategy.name == other.strategy.name
            && self.settings == other.settings
            && self.composition == other.composition
            && self.changes == other.changes
            && self.fork == other.fork
    }
}

impl LaneChoice {
    /// A lane with the strategy's default settings.
    pub fn new(model: &str, strategy: &'static Strategy) -> Self {
        Self {
            model: model.into(),
            strategy,
            settings: Settings::default(),
            composition: None,
            changes: Vec::new(),
            fork: None,
        }
    }

    /// Its program on a checkpoint, changes and fork left out.
    ///
    /// # Errors
    /// As [`Strategy::program`].
    pub fn program(
        &self,
        tokenizer: &Tokenizer,
        capabilities: ModelCapabilities,
    ) -> Result<Program, StrategyError> {
        match &self.composition {
            Some(composition) => composition.program(tokenizer, capabilities),
            None => self
                .strategy
                .program(&self.settings, tokenizer, capabilities),
        }
    }

    /// Its number of continuous thoughts, where the strategy has one.
    pub fn thoughts(&self) -> Option<f32> {
        self.strategy.value(&self.settings, Setting::Thoughts)
    }

    /// The same lane with the settings that equal the defaults left out, and its changes in order.
    pub fn normalised(mut self) -> Self {
        let mut settings = Settings::default();
        for (setting, value) in self.settings.iter() {
            let default = self.strategy.value(&Settings::default(), setting);
            if default != Some(value) {
                settings.set(setting, value);
            }
        }
        self.settings = settings;
        self.changes.sort_by_key(|change| change.step);
        self
    }

    /// The lanes that its changes and its fork look at, counted from 1.
    pub fn looks_at(&self) -> Vec<usize> {
        let changes = self.changes.iter();
        let swaps = changes.filter_map(|change| match change.kind {
            ChangeKind::Swap(lane) => Some(lane),
            _ => None,
        });
        swaps.chain(self.fork.map(|fork| fork.lane)).collect()
    }

    /// The same once the lane of this number, from 1, is gone: what looked at it looks at nothing,
    /// and the lanes behind it have moved up.
    pub fn without_lane(mut self, removed: usize) -> Self {
        let moved = |lane: usize| match lane {
            _ if lane == removed => None,
            _ if lane > removed => Some(lane - 1),
            _ => Some(lane),
        };
        self.changes.retain_mut(|change| match &mut change.kind {
            ChangeKind::Swap(lane) => match moved(*lane) {
                Some(place) => {
                    *lane = place;
                    true
                }
                None => false,
            },
            _ => true,
        });
        self.fork = self.fork.and_then(|fork| {
            let lane = moved(fork.lane)?;
            Some(ForkChoice { lane, ..fork })
        });
        self
    }

    /// Whether what runs is a program of the table and nothing else.
    pub fn is_plain(&self) -> bool {
        self.composition.is_none() && self.changes.is_empty() && self.fork.is_none()
    }
}

impl ChangeKind {
    /// Its name in addresses.
    fn word(&self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Noise(..) => "noise",
            Self::Shuffle(_) => "shuffle",
            Self::Freeze => "freeze",
            Self::Nearest => "nearest",
            Self::Force(_) => "force",
            Self::Mix(_) => "mix",
            Self::Swap(_) | Self::SwapProblem(..) => "swap",
        }
    }
}

/// `5-zero`, `5-noise-0.5-1`, `5-swap-2`, `5-swap-class-9`, `5-mix-17-0.5-23-0.5`
impl fmt::Display for ChangeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.step, self.kind.word())?;
        match &self.kind {
            ChangeKind::Zero | ChangeKind::Freeze | ChangeKind::Nearest => Ok(()),
            ChangeKind::Noise(relative, seed) => write!(f, "-{relative}-{seed}"),
            ChangeKind::Shuffle(number) | ChangeKind::Force(number) => write!(f, "-{number}"),
            ChangeKind::Swap(lane) => write!(f, "-{lane}"),
            ChangeKind::SwapProblem(difficulty, seed) => {
                write!(f, "-{}-{seed}", difficulty.name())
            }
            ChangeKind::Mix(parts) => parts
                .iter()
                .try_for_each(|(id, weight)| write!(f, "-{id}-{weight}")),
        }
    }
}

/// `2-5` or `2-5-answer`
impl fmt::Display for ForkChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.answers { "-answer" } else { "" };
        write!(f, "{}-{}{how}", self.lane, self.step)
    }
}

/// A text that is none; the caller says where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl FromStr for ChangeChoice {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parts: Vec<&str> = text.split('-').collect();
        let [step, word, rest @ ..] = &parts[..] else {
            return Err(Malformed);
        };
        let whole = |text: &str| text.parse::<u32>().map_err(|_| Malformed);
        let size = |text: &str| {
            let size = text.parse().ok();
            size.filter(|size: &f32| (0.0..=100.0).contains(size))
                .ok_or(Malformed)
        };
        let kind = match (*word, rest) {
            ("zero", []) => ChangeKind::Zero,
            ("freeze", []) => ChangeKind::Freeze,
            ("nearest", []) => ChangeKind::Nearest,
            ("noise", [relative, seed]) => ChangeKind::Noise(size(relative)?, whole(seed)?),
            ("shuffle", [seed]) => ChangeKind::Shuffle(whole(seed)?),
            ("force", [id]) => ChangeKind::Force(whole(id)?),
            ("swap", [lane]) => match whole(lane)? {
                0 => return Err(Malformed),
                lane => ChangeKind::Swap(lane as usize),
            },
            ("swap", [difficulty, seed]) => ChangeKind::SwapProblem(
                difficulty.parse().map_err(|_| Malformed)?,
                seed.parse().map_err(|_| Malformed)?,
            ),
            ("mix", parts) if !parts.is_empty() && parts.len() <= 2 * MAX_KEPT => {
                let pair = |pair: &[&str]| match *pair {
                    [id, weight] => Ok((whole(id)?, size(weight)?)),
                    _ => Err(Malformed),
                };
                ChangeKind::Mix(parts.chunks(2).map(pair).collect::<Result<_, _>>()?)
            }
            _ => return Err(Malformed),
        };
        let step = whole(step)?;
        Ok(Self { step, kind })
    }
}

impl FromStr for ForkChoice {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parts: Vec<&str> = text.split('-').collect();
        let (lane, step, answers) = match parts[..] {
            [lane, step] => (lane, step, false),
            [lane, step, "answer"] => (lane, step, true),
            _ => return Err(Malformed),
        };
        let lane = lane.parse().ok().filter(|lane| *lane > 0);
        Ok(Self {
            lane: lane.ok_or(Malformed)?,
            step: step.parse().map_err(|_| Malformed)?,
            answers,
        })
    }
}
