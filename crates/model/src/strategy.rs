//! The strategy table: every way of reasoning, by name, as data.
//!
//! The CLI, the page's picker, the tests and the documentation loop over [`STRATEGIES`].

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{
    program::{ColdStop, Feed, MAX_KEPT, Noise, Phase, Program, Role, Sampler, Until},
    tokenizer::{Marker, Tokenizer, TokenizerError},
};

/// One way of reasoning.
#[derive(Debug)]
pub struct Strategy {
    /// Name in the CLI, in URLs and in results.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// One sentence on what it does.
    pub summary: &'static str,
    /// The paper.
    pub paper: &'static str,
    /// The marker after the prompt.
    pub start: Option<Marker>,
    /// How it thinks; `None` answers at once.
    pub think: Option<Think>,
    /// What can be set, with the default of this strategy.
    pub settings: &'static [(Setting, f32)],
}

/// A strategy's thinking phase.
#[derive(Debug)]
pub struct Think {
    feed: ThinkFeed,
    greedy: bool,
    /// Ends the phase when chosen, and is forced when the phase is cut short.
    end: Option<Marker>,
}

#[derive(Debug)]
enum ThinkFeed {
    Token,
    Concept,
    Thought,
    Pause,
}

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
    Thoughts,
    Pauses,
    MaxThink,
    MaxAnswer,
}

/// What a [`Setting`] is, for people and for checks.
#[derive(Debug)]
pub struct SettingSpec {
    /// Which.
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

const MAX_THINK: (Setting, f32) = (Setting::MaxThink, 24.0);
const MAX_ANSWER: (Setting, f32) = (Setting::MaxAnswer, 8.0);
const TEMPERATURE: (Setting, f32) = (Setting::Temperature, 0.6);
const TOP_K: (Setting, f32) = (Setting::TopK, 30.0);
const TOP_P: (Setting, f32) = (Setting::TopP, 0.95);
const MIN_P: (Setting, f32) = (Setting::MinP, 0.0);
const MAX_CONCEPTS: (Setting, f32) = (Setting::MaxConcepts, 15.0);
const COLD_ENTROPY: (Setting, f32) = (Setting::ColdEntropy, 0.01);
const COLD_PATIENCE: (Setting, f32) = (Setting::ColdPatience, 8.0);

/// Every strategy, in the order in which they are offered.
pub const STRATEGIES: &[Strategy] = &[
    Strategy {
        name: "token-cot",
        title: "Token CoT",
        summary: "Thinks in words, taking the most probable one each time.",
        paper: "Wei et al. 2022, arXiv 2201.11903",
        start: Some(Marker::ThinkStart),
        think: Some(Think {
            feed: ThinkFeed::Token,
            greedy: true,
            end: Some(Marker::ThinkEnd),
        }),
        settings: &[MAX_THINK, MAX_ANSWER],
    },
    Strategy {
        name: "token-cot-sampled",
        title: "Token CoT, sampled",
        summary: "Thinks in words drawn at random from the model's distribution.",
        paper: "Wei et al. 2022, arXiv 2201.11903",
        start: Some(Marker::ThinkStart),
        think: Some(Think {
            feed: ThinkFeed::Token,
            greedy: false,
            end: Some(Marker::ThinkEnd),
        }),
        settings: &[TEMPERATURE, TOP_K, TOP_P, MIN_P, MAX_THINK, MAX_ANSWER],
    },
    Strategy {
        name: "token-cot-cold-stop",
        title: "Token CoT + Cold Stop",
        summary: "Control for Soft Thinking: plain greedy words, but with its stop rule.",
        paper: "Control for arXiv 2505.15778",
        start: Some(Marker::ThinkStart),
        think: Some(Think {
            feed: ThinkFeed::Token,
            greedy: true,
            end: Some(Marker::ThinkEnd),
        }),
        settings: &[
            TEMPERATURE,
            COLD_ENTROPY,
            COLD_PATIENCE,
            MAX_THINK,
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "soft",
        title: "Soft Thinking",
        summary: "Thinks in mixtures of words, weighted by probability.",
        paper: "Soft Thinking, arXiv 2505.15778",
        start: Some(Marker::ThinkStart),
        think: Some(Think {
            feed: ThinkFeed::Concept,
            greedy: false,
            end: Some(Marker::ThinkEnd),
        }),
        settings: &[
            TEMPERATURE,
            TOP_K,
            TOP_P,
            MIN_P,
            MAX_CONCEPTS,
            COLD_ENTROPY,
            COLD_PATIENCE,
            MAX_THINK,
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "soft-gumbel",
        title: "Soft + Gumbel",
        summary: "Soft Thinking with Gumbel-Softmax noise on the mixture.",
        paper: "Stochastic Soft Thinking, arXiv 2508.03440",
        start: Some(Marker::ThinkStart),
        think: Some(Think {
            feed: ThinkFeed::Concept,
            greedy: false,
            end: Some(Marker::ThinkEnd),
        }),
        settings: &[
            TEMPERATURE,
            TOP_K,
            TOP_P,
            MIN_P,
            MAX_CONCEPTS,
            (Setting::Tau, 0.5),
            MAX_THINK,
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "soft-dirichlet",
        title: "Soft + Dirichlet",
        summary: "Soft Thinking with weights drawn around the probabilities.",
        paper: "Stochastic Soft Thinking, arXiv 2508.03440",
        start: Some(Marker::ThinkStart),
        think: Some(Think {
            feed: ThinkFeed::Concept,
            greedy: false,
            end: Some(Marker::ThinkEnd),
        }),
        settings: &[
            TEMPERATURE,
            TOP_K,
            TOP_P,
            MIN_P,
            MAX_CONCEPTS,
            (Setting::Alpha, 4.0),
            MAX_THINK,
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "no-cot",
        title: "No CoT",
        summary: "Answers at once.",
        paper: "Baseline of Coconut, arXiv 2412.06769",
        start: None,
        think: None,
        settings: &[MAX_ANSWER],
    },
    Strategy {
        name: "pause",
        title: "Pause tokens",
        summary: "Waits for a few <pause> tokens, then answers.",
        paper: "Goyal et al. 2023, arXiv 2310.02226",
        start: None,
        think: Some(Think {
            feed: ThinkFeed::Pause,
            greedy: true,
            end: None,
        }),
        settings: &[(Setting::Pauses, 6.0), MAX_ANSWER],
    },
    Strategy {
        name: "coconut",
        title: "Coconut",
        summary: "Thinks in continuous thoughts: its last hidden state is its next input.",
        paper: "Coconut, arXiv 2412.06769",
        start: Some(Marker::Bot),
        think: Some(Think {
            feed: ThinkFeed::Thought,
            greedy: true,
            end: Some(Marker::Eot),
        }),
        settings: &[(Setting::Thoughts, 6.0), MAX_ANSWER],
    },
];

/// Values that differ from a strategy's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(BTreeMap<Setting, f32>);

/// A strategy or setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StrategyError {
    /// No such strategy.
    #[error("there is no strategy {found:?}; there are: {}", names(STRATEGIES.iter().map(|s| s.name)))]
    UnknownStrategy {
        /// The name given.
        found: String,
    },
    /// Not `key=value` with a number.
    #[error("a setting is written key=value with a number, found {found:?}")]
    Syntax {
        /// The text given.
        found: String,
    },
    /// No such setting, or not for this strategy.
    #[error("{strategy} has no setting {key:?}; it has: {expected}")]
    UnknownSetting {
        /// The strategy's name.
        strategy: String,
        /// The key given.
        key: String,
        /// The strategy's keys.
        expected: String,
    },
    /// Out of range.
    #[error("{key} must be in {} ..= {}, found {found}", range.0, range.1)]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// Smallest and largest value.
        range: (f32, f32),
        /// The value given.
        found: f32,
    },
    /// The tokenizer lacks a marker.
    #[error("{strategy}: {source}")]
    Tokenizer {
        /// The strategy's name.
        strategy: &'static str,
        /// What is missing.
        source: TokenizerError,
    },
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.collect::<Vec<_>>().join(", ")
}

impl Setting {
    /// What it is.
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

impl Strategy {
    /// The strategy of this name.
    pub fn by_name(name: &str) -> Result<&'static Self, StrategyError> {
        let found = STRATEGIES.iter().find(|strategy| strategy.name == name);
        found.ok_or_else(|| StrategyError::UnknownStrategy { found: name.into() })
    }

    /// The value of a setting, or this strategy's default, or `None` if it has no such setting.
    pub fn value(&self, settings: &Settings, setting: Setting) -> Option<f32> {
        let default = self.settings.iter().find(|(known, _)| *known == setting)?.1;
        Some(settings.0.get(&setting).copied().unwrap_or(default))
    }

    /// The program that runs this strategy with a tokenizer's markers.
    pub fn program(
        &self,
        settings: &Settings,
        tokenizer: &Tokenizer,
    ) -> Result<Program, StrategyError> {
        self.check(settings)?;
        let marker = |marker: Marker| {
            let strategy = self.name;
            let id = tokenizer.marker(marker);
            id.map_err(|source| StrategyError::Tokenizer { strategy, source })
        };
        let mut phases = Vec::new();
        if let Some(think) = &self.think {
            let end = think.end.map(marker).transpose()?;
            let (feed, max_steps) = match think.feed {
                ThinkFeed::Token => (Feed::Token, Setting::MaxThink),
                ThinkFeed::Concept => (Feed::Concept, Setting::MaxThink),
                ThinkFeed::Thought => (Feed::Thought, Setting::Thoughts),
                ThinkFeed::Pause => (Feed::Pause(marker(Marker::Pause)?), Setting::Pauses),
            };
            let speaks = matches!(think.feed, ThinkFeed::Token | ThinkFeed::Concept);
            phases.push(Phase {
                role: Role::Think,
                feed,
                sampler: self.sampler(settings, think.greedy),
                until: Until {
                    max_steps: self.value(settings, max_steps).unwrap_or(0.0) as u32,
                    stop_token: end.filter(|_| speaks),
                    cold_stop: self.cold_stop(settings),
                },
                then_force: end,
            });
        }
        phases.push(Phase {
            role: Role::Answer,
            feed: Feed::Token,
            sampler: Sampler::GREEDY,
            until: Until {
                max_steps: self
                    .value(settings, Setting::MaxAnswer)
                    .unwrap_or(MAX_ANSWER.1) as u32,
                stop_token: Some(marker(Marker::Eos)?),
                cold_stop: None,
            },
            then_force: None,
        });
        Ok(Program {
            start: self.start.map(marker).transpose()?,
            phases,
        })
    }

    fn check(&self, settings: &Settings) -> Result<(), StrategyError> {
        for (setting, found) in settings.iter() {
            let spec = setting.spec();
            if self.value(settings, setting).is_none() {
                return Err(self.unknown_setting(spec.key));
            }
            if !(spec.range.0..=spec.range.1).contains(&found) {
                return Err(StrategyError::OutOfRange {
                    key: spec.key,
                    range: spec.range,
                    found,
                });
            }
        }
        Ok(())
    }

    fn sampler(&self, settings: &Settings, greedy: bool) -> Sampler {
        let value = |setting| self.value(settings, setting);
        let tau = value(Setting::Tau).map(|tau| Noise::Gumbel { tau });
        let alpha = value(Setting::Alpha).map(|alpha| Noise::Dirichlet { alpha });
        let full = Sampler::GREEDY;
        Sampler {
            temperature: value(Setting::Temperature).unwrap_or(full.temperature),
            top_k: value(Setting::TopK).map_or(full.top_k, |k| k as u32),
            top_p: value(Setting::TopP).unwrap_or(full.top_p),
            min_p: value(Setting::MinP).unwrap_or(full.min_p),
            max_concepts: value(Setting::MaxConcepts).map_or(full.max_concepts, |n| n as u32),
            noise: tau.or(alpha).unwrap_or(Noise::None),
            greedy,
        }
    }

    fn cold_stop(&self, settings: &Settings) -> Option<ColdStop> {
        let entropy = self.value(settings, Setting::ColdEntropy)?;
        let patience = self.value(settings, Setting::ColdPatience)? as u32;
        (entropy > 0.0).then_some(ColdStop { entropy, patience })
    }

    fn unknown_setting(&self, key: &str) -> StrategyError {
        StrategyError::UnknownSetting {
            strategy: self.name.into(),
            key: key.into(),
            expected: names(self.settings.iter().map(|(setting, _)| setting.spec().key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_every_strategy_has_a_spec_and_a_default_in_range() {
        for strategy in STRATEGIES {
            for (setting, default) in strategy.settings {
                let spec = SETTINGS.iter().find(|spec| spec.setting == *setting);
                let spec = spec.unwrap_or_else(|| panic!("{setting:?} has no line in SETTINGS"));
                assert!(
                    (spec.range.0..=spec.range.1).contains(default),
                    "{} {setting}",
                    strategy.name
                );
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = STRATEGIES.iter().map(|strategy| strategy.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STRATEGIES.len());
    }

    #[test]
    fn a_setting_of_another_strategy_is_refused_by_name() {
        let soft = Strategy::by_name("soft").expect("in the table");
        let error = Settings::parse(soft, ["thoughts=6"])
            .and_then(|settings| soft.check(&settings))
            .expect_err("soft has no thoughts");
        assert!(error.to_string().contains("thoughts"), "{error}");
        assert!(error.to_string().contains("max_concepts"), "{error}");
    }
}
