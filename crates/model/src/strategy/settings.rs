//! Numbers that a strategy lets its user set, and what they mean.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{Strategy, StrategyError};
use crate::program::MAX_KEPT;

/// A number that a strategy lets its user set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Each one is explained in SETTINGS, where the page reads it too.
pub enum Setting {
    Temperature,
    TopK,
    TopP,
    MinP,
    MaxConcepts,
    Tau,
    Alpha,
    ColdEntropy,
    ColdPatience,
    EndThreshold,
    Thoughts,
    Pauses,
    ContemplationTokens,
    MaxChain,
    MaxThink,
    MaxAnswer,
}

/// What a [`Setting`] is, for people and for checks.
#[derive(Debug)]
pub struct SettingSpec {
    /// The setting that this line is about.
    pub setting: Setting,
    /// Name in `--set key=value` and in URLs.
    pub key: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// One line on what it does, with the paper's own value.
    pub explanation: &'static str,
    /// Smallest and largest value.
    pub range: (f32, f32),
    /// Step of a slider; 1 means whole numbers.
    pub step: f32,
}

/// Every setting.
pub const SETTINGS: &[SettingSpec] = &[
    spec(
        Setting::Temperature,
        "temperature",
        "Temperature",
        "Divides the logits; 0 is greedy. Paper: 0.6.",
        (0.0, 2.0),
        0.05,
    ),
    spec(
        Setting::TopK,
        "top_k",
        "Top-k",
        "Keeps the k most probable tokens. Paper: 30.",
        (1.0, MAX_KEPT as f32),
        1.0,
    ),
    spec(
        Setting::TopP,
        "top_p",
        "Top-p",
        "Keeps the smallest set of tokens with this mass. Paper: 0.95.",
        (0.05, 1.0),
        0.01,
    ),
    spec(
        Setting::MinP,
        "min_p",
        "Min-p",
        "Drops tokens below this fraction of the most probable one. Paper: 0.001 or 0.",
        (0.0, 0.5),
        0.001,
    ),
    spec(
        Setting::MaxConcepts,
        "max_concepts",
        "Concepts per mixture",
        "Largest number of tokens mixed into one concept token. Paper: 10 to 15.",
        (1.0, MAX_KEPT as f32),
        1.0,
    ),
    spec(
        Setting::Tau,
        "tau",
        "Gumbel τ",
        "Temperature of Gumbel-Softmax: small is nearly one token, large is nearly even. Paper: 0.5.",
        (0.05, 5.0),
        0.05,
    ),
    spec(
        Setting::Alpha,
        "alpha",
        "Dirichlet α",
        "Concentration: small is much noise, large is none. Paper: 4.",
        (0.1, 100.0),
        0.1,
    ),
    spec(
        Setting::ColdEntropy,
        "cold_entropy",
        "Cold Stop entropy",
        "Thinking is cut when entropy (nats) stays below this; 0 is off. Paper: 0.01.",
        (0.0, 2.0),
        0.01,
    ),
    spec(
        Setting::ColdPatience,
        "cold_patience",
        "Cold Stop patience",
        "For this many steps in a row. Paper: 256 on chains of thousands of tokens; ours have a dozen.",
        (1.0, 256.0),
        1.0,
    ),
    spec(
        Setting::EndThreshold,
        "end_threshold",
        "End threshold",
        "Thinking ends once the end classifier is at least this sure. It is trained for 0.5.",
        (0.0, 1.0),
        0.01,
    ),
    spec(
        Setting::Thoughts,
        "thoughts",
        "Thoughts",
        "Number of continuous thoughts between <bot> and <eot>. Paper: 6.",
        (0.0, 12.0),
        1.0,
    ),
    spec(
        Setting::Pauses,
        "pauses",
        "Pauses",
        "Number of <pause> tokens before the answer. Paper: as many as thoughts.",
        (0.0, 12.0),
        1.0,
    ),
    spec(
        Setting::ContemplationTokens,
        "contemplation_tokens",
        "Contemplation tokens",
        "Number of contemplation tokens. Paper: r times the chain's, which only its writer knows.",
        (0.0, 72.0),
        1.0,
    ),
    spec(
        Setting::MaxChain,
        "max_chain",
        "Longest chain",
        "Thinking is cut after as many steps as stand for a chain of this many tokens: r times it. Paper: 200.",
        (0.0, 256.0),
        1.0,
    ),
    spec(
        Setting::MaxThink,
        "max_think",
        "Longest thinking",
        "Thinking is cut after this many steps.",
        (1.0, 256.0),
        1.0,
    ),
    spec(
        Setting::MaxAnswer,
        "max_answer",
        "Longest answer",
        "The answer is cut after this many tokens.",
        (1.0, 256.0),
        1.0,
    ),
];

const fn spec(
    setting: Setting,
    key: &'static str,
    label: &'static str,
    explanation: &'static str,
    range: (f32, f32),
    step: f32,
) -> SettingSpec {
    SettingSpec {
        setting,
        key,
        label,
        explanation,
        range,
        step,
    }
}

/// Values that differ from a strategy's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(pub(super) BTreeMap<Setting, f32>);

impl SettingSpec {
    /// Whether it counts something, so that only whole numbers mean anything.
    pub fn is_whole(&self) -> bool {
        self.step == 1.0
    }
}

impl Setting {
    /// Its line in [`SETTINGS`].
    pub fn spec(self) -> &'static SettingSpec {
        let found = SETTINGS.iter().find(|spec| spec.setting == self);
        found.expect("a test checks that every setting has its line in SETTINGS")
    }
}

impl FromStr for Setting {
    type Err = ();

    fn from_str(key: &str) -> Result<Self, ()> {
        SETTINGS
            .iter()
            .find(|spec| spec.key == key)
            .map(|spec| spec.setting)
            .ok_or(())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().key)
    }
}

impl Settings {
    /// Sets one value; range and fit are checked by [`Strategy::program`].
    pub fn set(&mut self, setting: Setting, value: f32) {
        self.0.insert(setting, value);
    }

    /// The values set so far.
    pub fn iter(&self) -> impl Iterator<Item = (Setting, f32)> + '_ {
        self.0.iter().map(|(&setting, &value)| (setting, value))
    }

    /// Reads `key=value` texts, such as `["thoughts=6"]`.
    pub fn parse<'a>(
        strategy: &Strategy,
        pairs: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, StrategyError> {
        let mut settings = Self::default();
        for pair in pairs {
            let syntax = || StrategyError::Syntax { found: pair.into() };
            let (key, value) = pair.split_once('=').ok_or_else(syntax)?;
            let value: f32 = value.trim().parse().map_err(|_| syntax())?;
            let key = key.trim();
            let setting = key.parse().map_err(|()| strategy.unknown_setting(key))?;
            settings.set(setting, value);
        }
        Ok(settings)
    }
}
