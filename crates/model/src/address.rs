//! The address of a set-up: what a link to the page holds, written and read.

mod touched;

use std::{fmt, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{
    strategy::{Setting, Settings, Strategy, StrategyError},
    tasks::{Difficulty, TASKS, Task, UnknownName},
};
use touched::{tidied, unescaped_once, without_sentence};

/// The task of an address that names none, as the first addresses did.
pub const DEFAULT_TASK: Task = TASKS[0];

/// Everything but what reads well in an address and separates nothing in ours.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'?');

/// How often an address may have been escaped as a whole on its way.
const MOST_ESCAPINGS: usize = 3;

/// What an address holds: `task=…&problem=…&lanes=…&seed=…&speed=…&engine=…`, every part optional.
///
/// [`fmt::Display`] writes it and [`FromStr`] reads it. What is written is read again exactly; what
/// a chat, a mail or a wiki has made of it is read too, where it can still be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// The task that the problem and every lane's checkpoint belong to.
    pub task: Task,
    /// The problem.
    pub problem: Option<ProblemChoice>,
    /// The lanes, in order.
    pub lanes: Option<Vec<LaneChoice>>,
    /// Seed of the lanes' random draws.
    pub seed: Option<u32>,
    /// How fast the run is shown.
    pub speed: Option<Speed>,
    /// Which engine runs it.
    pub engine: Option<EngineChoice>,
}

/// Where the problem comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemChoice {
    /// Drawn by the task's generator.
    Drawn {
        /// How large it is.
        difficulty: Difficulty,
        /// Seed of the generator.
        seed: u64,
    },
    /// One of the task's shipped official problems, counted from 0.
    Example(usize),
    /// Written by the visitor.
    Typed(String),
}

/// One lane before it runs: a checkpoint and how it shall reason.
#[derive(Clone, Debug)]
pub struct LaneChoice {
    /// Name of the checkpoint.
    pub model: String,
    /// The way of reasoning.
    pub strategy: &'static Strategy,
    /// Only what differs from the strategy's defaults.
    pub settings: Settings,
}

/// How fast a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// So many steps a second.
    PerSecond(u32),
    /// As fast as the engine goes.
    #[default]
    Max,
}

/// Which engine runs the lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The GPU where there is one, else the reference engine.
    #[default]
    Auto,
    /// The reference engine, whatever there is.
    Reference,
}

/// An address that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// A part that is not `key=value`.
    #[error("the address has a part {0:?}; every part is written key=value")]
    Part(String),
    /// An unknown key.
    #[error("the address has a key {0:?}; there are: task, problem, lanes, seed, speed, engine")]
    Key(String),
    /// A value that does not fit its key.
    #[error("in the address, {key} must be {expected}, found {found:?}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is understood.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A strategy or setting that does not exist.
    #[error("in the address, lane {number}: {reason}")]
    Lane {
        /// The lane's place, counted from 1.
        number: usize,
        /// What is wrong.
        reason: StrategyError,
    },
    /// A task or difficulty that does not exist.
    #[error("in the address, {0}")]
    Task(UnknownName),
}

impl Address {
    /// An address that names nothing but its task.
    pub fn of_task(task: Task) -> Self {
        Self {
            task,
            problem: None,
            lanes: None,
            seed: None,
            speed: None,
            engine: None,
        }
    }
}

impl Default for Address {
    fn default() -> Self {
        Self::of_task(DEFAULT_TASK)
    }
}

impl ProblemChoice {
    /// The problem that a page begins with.
    pub const FIRST: Self = Self::Drawn {
        difficulty: Difficulty::Class,
        seed: 1,
    };
}

impl PartialEq for LaneChoice {
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model
            && self.strategy.name == other.strategy.name
            && self.settings == other.settings
    }
}

impl LaneChoice {
    /// A lane with the strategy's default settings.
    pub fn new(model: &str, strategy: &'static Strategy) -> Self {
        Self {
            model: model.into(),
            strategy,
            settings: Settings::default(),
        }
    }

    /// Its number of continuous thoughts, where the strategy has one.
    pub fn thoughts(&self) -> Option<f32> {
        self.strategy.value(&self.settings, Setting::Thoughts)
    }

    /// The strategy's title, with the settings that differ from its defaults.
    pub fn label(&self) -> String {
        let normalised = self.clone().normalised();
        let differing = normalised.settings.iter();
        let texts: String = differing
            .map(|(setting, value)| format!(", {} {value}", setting.spec().label.to_lowercase()))
            .collect();
        format!("{}{texts}", self.strategy.title)
    }

    /// The same lane with the settings that equal the defaults left out.
    pub fn normalised(mut self) -> Self {
        let mut settings = Settings::default();
        for (setting, value) in self.settings.iter() {
            let default = self.strategy.value(&Settings::default(), setting);
            if default != Some(value) {
                settings.set(setting, value);
            }
        }
        self.settings = settings;
        self
    }
}

impl Speed {
    /// What the page offers.
    pub const OFFERED: [Self; 6] = [
        Self::PerSecond(1),
        Self::PerSecond(2),
        Self::PerSecond(4),
        Self::PerSecond(8),
        Self::PerSecond(16),
        Self::Max,
    ];
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.task != DEFAULT_TASK {
            parts.push(format!("task={}", self.task.name()));
        }
        if let Some(problem) = &self.problem {
            parts.push(format!("problem={problem}"));
        }
        if let Some(lanes) = &self.lanes {
            let lanes: Vec<String> = lanes.iter().map(LaneChoice::to_string).collect();
            parts.push(format!("lanes={}", lanes.join(";")));
        }
        if let Some(seed) = self.seed {
            parts.push(format!("seed={seed}"));
        }
        if let Some(speed) = self.speed {
            parts.push(format!("speed={speed}"));
        }
        if let Some(engine) = self.engine {
            parts.push(format!("engine={engine}"));
        }
        f.write_str(&parts.join("&"))
    }
}

impl fmt::Display for ProblemChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn { difficulty, seed } => write!(f, "{}:{seed}", difficulty.name()),
            Self::Example(index) => write!(f, "example:{index}"),
            Self::Typed(text) => write!(f, "text:{}", escaped(text)),
        }
    }
}

/// `checkpoint:strategy,key=value,…`
impl fmt::Display for LaneChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", escaped(&self.model), self.strategy.name)?;
        for (setting, value) in self.settings.iter() {
            write!(f, ",{setting}={value}")?;
        }
        Ok(())
    }
}

/// `4` or `max`.
impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(steps) => write!(f, "{steps}"),
            Self::Max => f.write_str("max"),
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Reference => "reference",
        })
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads the text behind an address's `#`, or the whole address. The error is of the text as
    /// it was last understood: its foreign characters taken away, its escapes undone.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut text = match text.split_once('#') {
            Some((_, hash)) => hash.to_string(),
            None => text.to_string(),
        };
        let mut n_escapings = 0;
        loop {
            // What Display has written stays as it is.
            text = tidied(&text);
            let error = match read(&text) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if let Ok(found) = read(without_sentence(&text)) {
                return Ok(found);
            }
            let next = unescaped_once(&text);
            if next == text || n_escapings == MOST_ESCAPINGS {
                return Err(error);
            }
            (text, n_escapings) = (next, n_escapings + 1);
        }
    }
}

impl FromStr for Speed {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let per_second = || text.parse().ok().filter(|steps| (1..=1000).contains(steps));
        match text {
            "max" => Ok(Self::Max),
            _ => per_second()
                .map(Self::PerSecond)
                .ok_or_else(|| wrong("speed", "steps per second, 1 to 1000, or max", text)),
        }
    }
}

impl FromStr for EngineChoice {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text {
            "auto" => Ok(Self::Auto),
            "reference" => Ok(Self::Reference),
            _ => Err(wrong("engine", "auto or reference", text)),
        }
    }
}

impl FromStr for ProblemChoice {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || {
            let expected = "class:SEED, official:SEED, example:N or text:TEXT";
            wrong("problem", expected, text)
        };
        let (source, rest) = text.split_once(':').ok_or_else(wrong)?;
        match source {
            "example" => rest.parse().map(Self::Example).map_err(|_| wrong()),
            // A `=` is always escaped in a text: this one belongs to another part.
            "text" if rest.contains('=') => Err(wrong()),
            "text" => unescaped(rest).map(Self::Typed).ok_or_else(wrong),
            _ => {
                let difficulty = source.parse().map_err(AddressError::Task)?;
                let seed = rest.parse().map_err(|_| wrong())?;
                Ok(Self::Drawn { difficulty, seed })
            }
        }
    }
}

/// Reads an address whose parts are those that [`Address`] has.
fn read(text: &str) -> Result<Address, AddressError> {
    let mut address = Address::default();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| AddressError::Part(part.into()))?;
        match key {
            "task" => address.task = value.parse().map_err(AddressError::Task)?,
            "problem" => address.problem = Some(value.parse()?),
            "lanes" => {
                let lanes = value.split(';').filter(|lane| !lane.is_empty());
                let lanes = lanes.zip(1..).map(|(lane, number)| read_lane(lane, number));
                address.lanes = Some(lanes.collect::<Result<_, _>>()?);
            }
            "seed" => {
                let seed = value.parse();
                let seed = seed.map_err(|_| wrong("seed", "a whole number below 2^32", value));
                address.seed = Some(seed?);
            }
            "speed" => address.speed = Some(value.parse()?),
            "engine" => address.engine = Some(value.parse()?),
            _ => return Err(AddressError::Key(key.into())),
        }
    }
    Ok(address)
}

fn read_lane(text: &str, number: usize) -> Result<LaneChoice, AddressError> {
    let wrong = || wrong("lanes", "checkpoint:strategy,key=value…;…", text);
    let (model, rest) = text.split_once(':').ok_or_else(wrong)?;
    let model = unescaped(model).ok_or_else(wrong)?;
    if model.is_empty() || model.contains(touched::is_foreign) {
        return Err(wrong());
    }
    let mut rest = rest.split(',');
    let in_lane = |reason| AddressError::Lane { number, reason };
    let strategy = Strategy::by_name(rest.next().unwrap_or_default()).map_err(in_lane)?;
    let settings = Settings::parse(strategy, rest).map_err(in_lane)?;
    strategy.check(&settings).map_err(in_lane)?;
    Ok(LaneChoice {
        model,
        strategy,
        settings,
    })
}

fn wrong(key: &'static str, expected: &'static str, found: &str) -> AddressError {
    AddressError::Value {
        key,
        expected,
        found: found.into(),
    }
}

/// Escaped so that `%25` before two hexadecimal digits never comes of it: where that stands, the
/// escapes have themselves been escaped on the way.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut follows_percent = false;
    for character in text.chars() {
        if follows_percent && character.is_ascii_hexdigit() {
            escaped += &format!("%{:02X}", character as u32);
        } else {
            let mut bytes = [0; 4];
            let utf8 = character.encode_utf8(&mut bytes);
            escaped.extend(utf8_percent_encode(utf8, ESCAPED));
        }
        follows_percent = character == '%';
    }
    escaped
}

fn unescaped(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, strategy::Strategy as Values};

    use super::*;
    use crate::strategy::{STRATEGIES, Strategy};

    fn any_problem() -> impl Values<Value = ProblemChoice> {
        prop_oneof![
            any::<u64>().prop_map(|seed| ProblemChoice::Drawn {
                difficulty: Difficulty::Official,
                seed
            }),
            any::<usize>().prop_map(ProblemChoice::Example),
            any::<String>().prop_map(ProblemChoice::Typed),
            // Much that means something in an address.
            "[%25aF&=+;:,.#? ]{0,12}".prop_map(ProblemChoice::Typed),
        ]
    }

    fn any_lane() -> impl Values<Value = LaneChoice> {
        let strategy = 0..STRATEGIES.len();
        let model = "[a-zA-Z0-9ü%25&=+;:,.#?/_-]{1,12}";
        (model, strategy, 0.0..1.0_f32, any::<bool>()).prop_map(|(model, strategy, at, set)| {
            let mut lane = LaneChoice::new(&model, &STRATEGIES[strategy]);
            for (setting, _) in lane.strategy.settings.iter().filter(|_| set) {
                let spec = setting.spec();
                let (low, high) = spec.range;
                let value = low + at * (high - low);
                let value = if spec.step >= 1.0 {
                    value.round()
                } else {
                    value
                };
                lane.settings.set(*setting, value);
            }
            lane
        })
    }

    pub(super) fn any_address() -> impl Values<Value = Address> {
        let speed = prop_oneof![Just(Speed::Max), (1..=1000_u32).prop_map(Speed::PerSecond)];
        let engine = prop_oneof![Just(EngineChoice::Auto), Just(EngineChoice::Reference)];
        (
            0..TASKS.len(),
            prop::option::of(any_problem()),
            prop::option::of(prop::collection::vec(any_lane(), 0..9)),
            prop::option::of(any::<u32>()),
            prop::option::of(speed),
            prop::option::of(engine),
        )
            .prop_map(|(task, problem, lanes, seed, speed, engine)| Address {
                task: TASKS[task],
                problem,
                lanes,
                seed,
                speed,
                engine,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(address in any_address()) {
            let written = address.to_string();
            let found: Address = written
                .parse()
                .map_err(|e: AddressError| TestCaseError::fail(format!("{written}: {e}")))?;
            prop_assert_eq!(found, address, "{}", written);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = text.parse::<Address>();
        }
    }

    fn read(text: &str) -> Address {
        text.parse()
            .unwrap_or_else(|e: AddressError| panic!("{text}: {e}"))
    }

    #[test]
    fn an_empty_address_names_nothing() {
        for empty in ["", "#", "#&"] {
            assert_eq!(read(empty), Address::default());
        }
    }

    #[test]
    fn an_address_of_the_first_version_is_of_the_first_task_and_is_written_as_it_was() {
        let old = "problem=class:13&lanes=prosqa-coconut:coconut,thoughts=2&seed=1&speed=max";
        assert_eq!(read(old).task, crate::tasks::prosqa::TASK);
        assert_eq!(read(old).to_string(), old);
    }

    #[test]
    fn the_task_comes_first_wherever_it_stood() {
        let address = read("seed=3&task=prontoqa&engine=reference");
        assert_eq!(address.to_string(), "task=prontoqa&seed=3&engine=reference");
    }

    #[test]
    fn errors_name_what_was_expected_and_found() {
        let error = |text: &str| text.parse::<Address>().expect_err(text).to_string();
        assert!(error("task=sudoku").contains("\"sudoku\"; there are: prosqa, prontoqa"));
        assert!(error("seed=x").contains("whole number"));
        assert!(error("sead=1").contains("task, problem, lanes, seed"));
        assert!(error("seed").contains("key=value"));
        assert!(error("speed=0").contains("1 to 1000"));
        assert!(error("problem=clas:1").contains("\"clas\"; there are: class, official"));
        assert!(error("problem=class:-1").contains("class:SEED"));
        assert!(error("lanes=a:sofd").contains("soft-gumbel"));
        assert!(error("lanes=:soft").contains("checkpoint:strategy"));
        assert!(error("lanes=a:soft,patience=3").contains("max_concepts"));
        assert!(error("lanes=b:soft;a:soft,thoughts=3").contains("lane 2"));
        assert!(error("lanes=a:coconut,thoughts=13").contains("0 ..= 12"));
        assert!(error("lanes=a:soft,temperature=NaN").contains("temperature"));
        // Escaped on the way, and wrong all the same: the error is of what was meant.
        assert!(error("lanes%3Da%3Asofd").contains("soft-gumbel"));
    }

    #[test]
    fn the_label_names_what_was_changed() {
        let coconut = Strategy::by_name("coconut").expect("in the table");
        let mut lane = LaneChoice::new("a", coconut);
        assert_eq!(lane.label(), "Coconut");
        lane.settings.set(Setting::Thoughts, 3.0);
        assert_eq!(lane.label(), "Coconut, thoughts 3");
    }

    #[test]
    fn a_setting_at_its_default_is_left_out() {
        let strategy = Strategy::by_name("soft").expect("in the table");
        let plain = LaneChoice::new("a", strategy);
        let mut lane = plain.clone();
        let (setting, default) = strategy.settings[0];
        lane.settings.set(setting, default);
        assert_eq!(lane.normalised(), plain);
    }
}
