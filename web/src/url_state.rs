//! The page's state as the hash of its address, and back.

use latent_model::{
    catalogue::Catalogue,
    strategy::{Settings, Strategy, StrategyError},
    tasks::{TASKS, Task, UnknownName},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::page_state::{EngineChoice, LaneChoice, PageState, ProblemChoice, Speed};

/// The task of an address that names none, as the first addresses did.
pub const DEFAULT_TASK: Task = TASKS[0];

/// Everything but what reads well in an address and separates nothing in ours.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'?');

/// An address that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
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
    #[error("in the address, {0}")]
    Strategy(StrategyError),
    /// A task or difficulty that does not exist.
    #[error("in the address, {0}")]
    Task(UnknownName),
}

// `#[from]` would make the error the cause of a text that already holds it.
impl From<StrategyError> for UrlError {
    fn from(error: StrategyError) -> Self {
        Self::Strategy(error)
    }
}

impl From<UnknownName> for UrlError {
    fn from(error: UnknownName) -> Self {
        Self::Task(error)
    }
}

/// The hash that stands for `state`, without its `#`.
pub fn hash_from_state(state: &PageState) -> String {
    let lanes: Vec<String> = state.lanes.iter().map(lane_text).collect();
    let speed = match state.speed {
        Speed::PerSecond(steps) => steps.to_string(),
        Speed::Max => "max".into(),
    };
    let mut parts = vec![
        format!("problem={}", problem_text(&state.problem)),
        format!("lanes={}", lanes.join(";")),
        format!("seed={}", state.seed),
        format!("speed={speed}"),
    ];
    if state.task != DEFAULT_TASK {
        parts.insert(0, format!("task={}", state.task.name()));
    }
    if state.engine == EngineChoice::Reference {
        parts.push("engine=reference".into());
    }
    parts.join("&")
}

/// The state that a hash stands for; what it leaves out is as a page of its task begins.
pub fn state_from_hash(hash: &str, catalogue: &Catalogue) -> Result<PageState, UrlError> {
    let parts = key_values(hash)?;
    let named_task = parts.iter().find(|(key, _)| *key == "task");
    let task = named_task.map_or(Ok(DEFAULT_TASK), |(_, name)| name.parse())?;
    let mut state = PageState::of_task(task, catalogue);
    for (key, value) in parts {
        let wrong = |key, expected| UrlError::Value {
            key,
            expected,
            found: value.into(),
        };
        match key {
            "task" => {}
            "problem" => {
                let expected = "class:SEED, official:SEED, example:N or text:TEXT";
                let (source, rest) = value
                    .split_once(':')
                    .ok_or_else(|| wrong("problem", expected))?;
                state.problem =
                    problem_from_parts(source, rest)?.ok_or_else(|| wrong("problem", expected))?;
            }
            "lanes" => {
                let lanes = value.split(';').filter(|lane| !lane.is_empty());
                state.lanes = lanes.map(lane_from_text).collect::<Result<_, _>>()?;
            }
            "seed" => {
                let seed = value.parse();
                state.seed = seed.map_err(|_| wrong("seed", "a whole number below 2^32"))?;
            }
            "speed" => {
                let speed = speed_from_text(value);
                state.speed = speed.ok_or_else(|| wrong("speed", "steps per second, or max"))?;
            }
            "engine" => {
                state.engine = match value {
                    "auto" => EngineChoice::Auto,
                    "reference" => EngineChoice::Reference,
                    _ => return Err(wrong("engine", "auto or reference")),
                };
            }
            _ => return Err(UrlError::Key(key.into())),
        }
    }
    Ok(state)
}

/// The parts of a hash, each written `key=value`.
fn key_values(hash: &str) -> Result<Vec<(&str, &str)>, UrlError> {
    let hash = hash.trim_start_matches('#');
    let parts = hash.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').ok_or(UrlError::Part(part.into())))
        .collect()
}

/// `4` or `max`.
pub fn speed_from_text(text: &str) -> Option<Speed> {
    match text {
        "max" => Some(Speed::Max),
        _ => text
            .parse()
            .ok()
            .filter(|steps| (1..=1000).contains(steps))
            .map(Speed::PerSecond),
    }
}

fn problem_text(problem: &ProblemChoice) -> String {
    match problem {
        ProblemChoice::Drawn { difficulty, seed } => format!("{}:{seed}", difficulty.name()),
        ProblemChoice::Example(index) => format!("example:{index}"),
        ProblemChoice::Typed(text) => format!("text:{}", escaped(text)),
    }
}

/// `None` where the part after the colon does not fit the one before it.
fn problem_from_parts(source: &str, rest: &str) -> Result<Option<ProblemChoice>, UnknownName> {
    Ok(match source {
        "example" => rest.parse().ok().map(ProblemChoice::Example),
        "text" => unescaped(rest).map(ProblemChoice::Typed),
        _ => {
            let difficulty = source.parse()?;
            let seed = rest.parse().ok();
            seed.map(|seed| ProblemChoice::Drawn { difficulty, seed })
        }
    })
}

/// `checkpoint:strategy,key=value,…`
fn lane_text(lane: &LaneChoice) -> String {
    let mut text = format!("{}:{}", escaped(&lane.model), lane.strategy.name);
    for (setting, value) in lane.settings.iter() {
        text += &format!(",{setting}={value}");
    }
    text
}

fn lane_from_text(text: &str) -> Result<LaneChoice, UrlError> {
    let expected = "checkpoint:strategy,key=value…;…";
    let wrong = || UrlError::Value {
        key: "lanes",
        expected,
        found: text.into(),
    };
    let (model, rest) = text.split_once(':').ok_or_else(wrong)?;
    let mut rest = rest.split(',');
    let strategy = Strategy::by_name(rest.next().unwrap_or_default())?;
    let settings = Settings::parse(strategy, rest)?;
    strategy.check(&settings)?;
    Ok(LaneChoice {
        model: unescaped(model).ok_or_else(wrong)?,
        strategy,
        settings,
    })
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn unescaped(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use latent_model::{strategy::STRATEGIES, tasks::Difficulty};
    use proptest::prelude::*;

    use latent_model::tasks::prosqa;

    use super::*;
    use crate::shipped::shipped_catalogue;

    fn any_problem() -> impl Strategy_<Value = ProblemChoice> {
        prop_oneof![
            any::<u64>().prop_map(|seed| ProblemChoice::Drawn {
                difficulty: Difficulty::Official,
                seed
            }),
            any::<usize>().prop_map(ProblemChoice::Example),
            any::<String>().prop_map(ProblemChoice::Typed),
        ]
    }

    use proptest::strategy::Strategy as Strategy_;

    fn any_lane() -> impl Strategy_<Value = LaneChoice> {
        let strategy = 0..STRATEGIES.len();
        (any::<String>(), strategy, 0.0..1.0_f32, any::<bool>()).prop_map(
            |(model, strategy, at, set)| {
                let mut lane = LaneChoice::new(&model, &STRATEGIES[strategy]);
                for (setting, _) in lane.strategy.settings.iter().filter(|_| set) {
                    let (low, high) = setting.spec().range;
                    lane.settings.set(*setting, low + at * (high - low));
                }
                lane
            },
        )
    }

    proptest! {
        #[test]
        fn the_address_of_a_state_restores_it(
            task in 0..TASKS.len(),
            problem in any_problem(),
            lanes in prop::collection::vec(any_lane(), 0..6),
            seed in any::<u32>(),
            speed in prop_oneof![Just(Speed::Max), (1..1000_u32).prop_map(Speed::PerSecond)],
            on_reference in any::<bool>(),
        ) {
            let engine = if on_reference { EngineChoice::Reference } else { EngineChoice::Auto };
            let task = TASKS[task];
            let state = PageState { task, problem, lanes, seed, speed, engine };
            let hash = hash_from_state(&state);
            let restored = read(&hash).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(restored, state);
        }

        #[test]
        fn no_address_makes_it_panic(hash in any::<String>()) {
            let _ = read(&hash);
        }
    }

    fn read(hash: &str) -> Result<PageState, UrlError> {
        state_from_hash(hash, &shipped_catalogue())
    }

    #[test]
    fn an_empty_address_is_the_default_page() {
        let state = read("#").expect("an empty hash is fine");
        assert_eq!(
            state,
            PageState::of_task(prosqa::TASK, &shipped_catalogue())
        );
        assert_eq!(state.lanes.len(), 4);
    }

    #[test]
    fn an_address_reads_well() {
        let hash = hash_from_state(&read("").expect("an empty hash is fine"));
        assert!(
            hash.starts_with("problem=class:1&lanes=prosqa-unified:token-cot;"),
            "{hash}"
        );
        let hash = hash_from_state(&read("seed=3&task=prontoqa").expect("two good parts"));
        assert!(hash.starts_with("task=prontoqa&problem=class:1&"), "{hash}");
    }

    #[test]
    fn an_address_without_a_task_is_of_the_first_one() {
        let old = "problem=class:13&lanes=prosqa-coconut:coconut,thoughts=2&seed=1&speed=max";
        let state = read(old).expect("an address of the page's first version");
        assert_eq!(state.task, prosqa::TASK);
        assert_eq!(hash_from_state(&state), old);
    }

    #[test]
    fn errors_name_what_was_expected_and_found() {
        let error = |hash: &str| read(hash).expect_err(hash).to_string();
        assert!(error("task=sudoku").contains("\"sudoku\"; there are: prosqa, prontoqa"));
        assert!(error("seed=x").contains("whole number"));
        assert!(error("sead=1").contains("task, problem, lanes, seed"));
        assert!(error("seed").contains("key=value"));
        assert!(error("lanes=a:sofd").contains("soft-gumbel"));
        assert!(error("lanes=a:soft,patience=3").contains("max_concepts"));
        assert!(error("lanes=a:soft,thoughts=3").contains("max_concepts"));
        assert!(error("lanes=a:coconut,thoughts=13").contains("0 ..= 12"));
        assert!(error("lanes=a:soft,temperature=NaN").contains("temperature"));
    }
}
