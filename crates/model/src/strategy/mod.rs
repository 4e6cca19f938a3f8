//! The strategy table: every way of reasoning, by name, as data.
//!
//! The CLI, the page's picker, the tests and the documentation loop over [`STRATEGIES`].

mod bounds;
pub mod composition;
mod settings;
mod table;

pub use composition::{COMPOSED, Composition, Part, PartKind};
pub use settings::{SETTINGS, Setting, SettingSpec, Settings};
pub use table::STRATEGIES;

use crate::{
    engine::ModelCapabilities,
    input::Feed,
    program::{Adapter, ColdStop, EndClassifier, Noise, Phase, Program, Role, Sampler, Until},
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
    feed: Feed<Marker>,
    greedy: bool,
    /// Ends the phase when chosen, and is forced when the phase is cut short. On a model without
    /// it two texts take the places of the strategy's start and of this ([`Thinking`](crate::tokenizer::Thinking)).
    end: Option<Marker>,
}

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
    /// A part of something that is counted.
    #[error("{key} must be a whole number, found {found}")]
    Fraction {
        /// The key.
        key: &'static str,
        /// The value given.
        found: f32,
    },
    /// The checkpoint lacks the adapters.
    #[error(
        "{strategy}: expected a checkpoint with a folder of CCOT's adapters, such as \
         arithmetic-ccot with its ccot/ccot.json, found none"
    )]
    NoContemplation {
        /// The strategy's name.
        strategy: &'static str,
    },
    /// The tokenizer lacks a marker.
    #[error("{strategy}: {reason}")]
    Tokenizer {
        /// The strategy's name.
        strategy: &'static str,
        /// What is missing.
        reason: TokenizerError,
    },
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.collect::<Vec<_>>().join(", ")
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

    /// The program that runs this strategy on a checkpoint, of which it takes the tokenizer's
    /// markers and what it brings beside its language model.
    ///
    /// # Errors
    /// If a setting is none of the strategy's or out of its range, or the checkpoint lacks a marker
    /// or the adapters. An end classifier is asked for by the engine, as a part of any program.
    pub fn program(
        &self,
        settings: &Settings,
        tokenizer: &Tokenizer,
        capabilities: ModelCapabilities,
    ) -> Result<Program, StrategyError> {
        self.check(settings)?;
        let max_think_steps = self.max_think_steps(settings, capabilities)?;
        let adapters = match self.contemplates() {
            true => [Adapter::Generator, Adapter::Decoder],
            false => [Adapter::Base; 2],
        };
        let strategy = self.name;
        let wrong = |reason| StrategyError::Tokenizer { strategy, reason };
        let marker = |marker: Marker| tokenizer.marker(marker).map_err(wrong);
        let bounds = self.bounds(tokenizer).map_err(wrong)?;
        let mut phases = Vec::new();
        if let Some(think) = &self.think {
            let feed = think.feed.try_map(marker)?;
            let stops = match feed.needs_logits() {
                true => bounds.stops,
                false => Until::steps(0),
            };
            phases.push(Phase {
                role: Role::Think,
                feed,
                sampler: self.sampler(settings, think.greedy),
                until: Until {
                    max_steps: max_think_steps,
                    cold_stop: self.cold_stop(settings),
                    end_classifier: self.end_classifier(settings),
                    ..stops
                },
                then_force: bounds.end,
                adapter: adapters[0],
            });
        }
        // A model whose files name no end, and whose vocabulary has none, could not stop.
        marker(Marker::Eos)?;
        let max_answer = self.value(settings, Setting::MaxAnswer);
        let max_answer = max_answer.unwrap_or(table::MAX_ANSWER.1);
        phases.push(Phase {
            role: Role::Answer,
            feed: Feed::Token,
            sampler: Sampler::GREEDY,
            until: Until {
                stop_tokens: tokenizer.end_tokens().to_vec(),
                ..Until::steps(max_answer as u32)
            },
            then_force: Vec::new(),
            adapter: adapters[1],
        });
        Ok(Program {
            start: bounds.start,
            phases,
        })
    }

    /// Checks that the strategy has these settings and that each lies in its range.
    pub fn check(&self, settings: &Settings) -> Result<(), StrategyError> {
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
            if spec.is_whole() && found.fract() != 0.0 {
                let key = spec.key;
                return Err(StrategyError::Fraction { key, found });
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

    /// A strategy has one of these settings: thinking has a fixed length or a largest one, or one
    /// that depends on how many words a step of the checkpoint stands for.
    fn max_think_steps(
        &self,
        settings: &Settings,
        capabilities: ModelCapabilities,
    ) -> Result<u32, StrategyError> {
        let strategy = self.name;
        let lacks = StrategyError::NoContemplation { strategy };
        let spec = match (capabilities.contemplation, self.contemplates()) {
            (None, true) => return Err(lacks),
            (spec, _) => spec,
        };
        if let (Some(max_chain), Some(spec)) = (self.value(settings, Setting::MaxChain), spec) {
            return Ok(spec.cap(max_chain as u32));
        }
        let counts = [
            Setting::MaxThink,
            Setting::Thoughts,
            Setting::Pauses,
            Setting::ContemplationTokens,
        ];
        let mut values = counts
            .into_iter()
            .map(|setting| self.value(settings, setting));
        Ok(values.find_map(|value| value).unwrap_or(0.0) as u32)
    }

    /// Whether it needs a checkpoint's own end classifier; that of CCOT comes with its adapters.
    pub fn asks_end_classifier(&self) -> bool {
        let mut settings = self.settings.iter();
        settings.any(|(setting, _)| *setting == Setting::EndThreshold) && !self.contemplates()
    }

    /// Whether it needs a checkpoint with CCOT's adapters.
    pub fn contemplates(&self) -> bool {
        let mut think = self.think.iter();
        think.any(|think| think.feed == Feed::CONTEMPLATION)
    }

    fn end_classifier(&self, settings: &Settings) -> Option<EndClassifier> {
        let threshold = self.value(settings, Setting::EndThreshold)?;
        Some(EndClassifier { threshold })
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
    use crate::contemplation::ContemplationSpec;
    use crate::tasks::{Difficulty, TASKS};

    /// Steps of thinking by default, at most, on a checkpoint that brings everything.
    fn n_think_steps(strategy: &Strategy) -> u32 {
        let spec = ContemplationSpec {
            layer: 0,
            ratio: 0.1,
        };
        let capabilities = ModelCapabilities {
            end_classifier: true,
            contemplation: Some(spec),
        };
        let steps = strategy.max_think_steps(&Settings::default(), capabilities);
        steps.expect("nothing is missing")
    }

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
    fn every_strategy_that_thinks_says_for_how_long() {
        let lengths = [
            Setting::MaxThink,
            Setting::Thoughts,
            Setting::Pauses,
            Setting::ContemplationTokens,
            Setting::MaxChain,
        ];
        for strategy in STRATEGIES {
            let known = |(setting, _): &&(Setting, f32)| lengths.contains(setting);
            let n_lengths = strategy.settings.iter().filter(known).count();
            let expected = usize::from(strategy.think.is_some());
            assert_eq!(n_lengths, expected, "{}", strategy.name);
            let n_steps = n_think_steps(strategy);
            assert_eq!(n_steps > 0, strategy.think.is_some(), "{}", strategy.name);
        }
    }

    #[test]
    fn by_default_there_is_room_for_the_longest_solution_of_any_task() {
        let words = Strategy::by_name("token-cot").expect("in the table");
        let most = n_think_steps(words) as usize;
        for task in TASKS {
            let solutions = (0..1000).map(|seed| task.generate(seed, Difficulty::Official));
            // With the marker that ends it.
            let lengths = solutions.map(|problem| problem.step_tokens().concat().len() + 1);
            let longest = lengths.max().unwrap_or(0);
            assert!(longest <= most, "{task:?}: {longest} of {most}");
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
    fn a_fraction_of_something_counted_is_refused() {
        for strategy in STRATEGIES {
            for (setting, default) in strategy.settings {
                let mut settings = Settings::default();
                settings.set(*setting, default + 0.5);
                let verdict = strategy.check(&settings);
                let is_fraction = matches!(verdict, Err(StrategyError::Fraction { .. }));
                assert_eq!(
                    is_fraction,
                    setting.spec().is_whole(),
                    "{setting}: {verdict:?}"
                );
            }
        }
        let coconut = Strategy::by_name("coconut").expect("in the table");
        let settings = Settings::parse(coconut, ["thoughts=2.5"]).expect("a number");
        let error = coconut.check(&settings).expect_err("2.5 thoughts");
        assert_eq!(
            error.to_string(),
            "thoughts must be a whole number, found 2.5"
        );
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
