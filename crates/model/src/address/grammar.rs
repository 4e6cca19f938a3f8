//! How an address is written, and how it is read.

use std::{fmt, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{
    Address, AddressError, ArenaChoice, DEFAULT_TASK, EngineChoice, LaneChoice, Language,
    ProblemChoice, Shown, Speed,
    touched::{self, tidied, unescaped_once, without_sentence},
};
use crate::strategy::{COMPOSED, Composition, Settings, Strategy};

/// Everything but what reads well in an address and separates nothing in ours.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'?');

const SIZES: [&str; 2] = ["normal", "large"];
const THEMES: [&str; 2] = ["light", "dark"];
const SWITCH: [&str; 2] = ["no", "yes"];
const PAINTS: [&str; 2] = ["share", "arrival"];
const COVERS: [&str; 2] = ["shown", "hidden"];
const SCREENS: [&str; 2] = ["window", "full"];
const LANGUAGES: [&str; 2] = ["en", "de"];

/// How often an address may have been escaped as a whole on its way.
const MOST_ESCAPINGS: usize = 3;

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
        if let Some(file) = &self.play {
            parts.push(format!("play={}", escaped(file)));
        }
        self.shown.write(&mut parts);
        f.write_str(&parts.join("&"))
    }
}

impl fmt::Display for ProblemChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn { difficulty, seed } => write!(f, "{}:{seed}", difficulty.name()),
            Self::Example(index) => write!(f, "example:{index}"),
            Self::Typed(text) => write!(f, "text:{}", escaped(text)),
            Self::Said(text) => write!(f, "chat:{}", escaped(text)),
        }
    }
}

/// `checkpoint:strategy,key=value,…`, then `name=…,parts=…` of what was composed, `at=…` for each
/// change and `from=…` for a fork.
impl fmt::Display for LaneChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Other adapters than the default ones stand behind a slash, which separates nothing here.
        let model = escaped(&self.model).replace("%2F", "/");
        write!(f, "{model}:{}", self.strategy.name)?;
        for (setting, value) in self.settings.iter() {
            write!(f, ",{setting}={value}")?;
        }
        if let Some(composition) = &self.composition {
            if !composition.name.is_empty() {
                write!(f, ",name={}", escaped(&composition.name))?;
            }
            write!(f, ",parts={composition}")?;
        }
        for change in &self.changes {
            write!(f, ",at={change}")?;
        }
        match self.fork {
            Some(fork) => write!(f, ",from={fork}"),
            None => Ok(()),
        }
    }
}

/// `class-100-1` or `official-50-5-sweep`.
impl fmt::Display for ArenaChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            difficulty,
            n,
            samples,
            sweeps,
        } = self;
        let sweep = if *sweeps { "-sweep" } else { "" };
        write!(f, "{}-{n}-{samples}{sweep}", difficulty.name())
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
            Self::Gpu => "gpu",
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

impl FromStr for ArenaChoice {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || {
            let expected = "SIZE-PROBLEMS-RUNS, such as class-100-1, or the same with -sweep";
            wrong("arena", expected, text)
        };
        let number = |text: &str, most: usize| {
            let number = text.parse().ok();
            let number = number.filter(|number| (1..=most).contains(number));
            number.ok_or_else(wrong)
        };
        let parts: Vec<&str> = text.split('-').collect();
        let (difficulty, n, samples, sweeps) = match parts[..] {
            [difficulty, n, samples] => (difficulty, n, samples, false),
            [difficulty, n, samples, "sweep"] => (difficulty, n, samples, true),
            _ => return Err(wrong()),
        };
        Ok(Self {
            difficulty: difficulty.parse().map_err(AddressError::Task)?,
            n: number(n, Self::MOST_PROBLEMS)?,
            samples: number(samples, Self::MOST_SAMPLES)?,
            sweeps,
        })
    }
}

impl FromStr for EngineChoice {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "reference" => Ok(Self::Reference),
            _ => Err(wrong("engine", "auto, gpu or reference", text)),
        }
    }
}

impl FromStr for ProblemChoice {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || {
            let expected = "class:SEED, official:SEED, example:N, text:TEXT or chat:TEXT";
            wrong("problem", expected, text)
        };
        let (source, rest) = text.split_once(':').ok_or_else(wrong)?;
        match source {
            "example" => rest.parse().map(Self::Example).map_err(|_| wrong()),
            // A `=` is always escaped in a text: this one belongs to another part.
            "text" | "chat" if rest.contains('=') => Err(wrong()),
            "text" => unescaped(rest).map(Self::Typed).ok_or_else(wrong),
            "chat" => unescaped(rest).map(Self::Said).ok_or_else(wrong),
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
            "play" => {
                let file = unescaped(value).filter(|file| is_beside_the_page(file));
                let expected = "the path of a file beside the page, such as recordings/a.latent";
                address.play = Some(file.ok_or_else(|| wrong("play", expected, value))?);
            }
            "step" => address.shown.step = Some(read_number("step", value, 0)?),
            "shade" => address.shown.shade = Some(read_number("shade", value, 1)? as usize),
            "paint" => address.shown.by_arrival = read_word("paint", value, PAINTS)?,
            "chapter" => address.shown.chapter = Some(read_number("chapter", value, 1)? as usize),
            "size" => address.shown.is_large = Some(read_word("size", value, SIZES)?),
            "theme" => address.shown.is_dark = Some(read_word("theme", value, THEMES)?),
            "lang" => {
                let is_german = read_word("lang", value, LANGUAGES)?;
                address.shown.language = Some(match is_german {
                    true => Language::German,
                    false => Language::English,
                });
            }
            "arena" => address.shown.arena = Some(value.parse()?),
            "analysis" => address.shown.shows_analysis = read_word("analysis", value, SWITCH)?,
            "answers" => address.shown.hides_answers = read_word("answers", value, COVERS)?,
            "predict" => address.shown.predicts_first = read_word("predict", value, SWITCH)?,
            "controls" => address.shown.hides_controls = read_word("controls", value, COVERS)?,
            "screen" => address.shown.fills_screen = read_word("screen", value, SCREENS)?,
            "embed" => address.shown.is_embedded = read_word("embed", value, SWITCH)?,
            "run" => address.shown.runs_at_once = read_word("run", value, SWITCH)?,
            _ => return Err(AddressError::Key(key.into())),
        }
    }
    Ok(address)
}

impl Shown {
    fn write(&self, parts: &mut Vec<String>) {
        let word = |is: bool, [no, yes]: [&'static str; 2]| if is { yes } else { no };
        let Self {
            step,
            shade,
            by_arrival,
            chapter,
            is_large,
            is_dark,
            language,
            arena,
            shows_analysis,
            hides_answers,
            predicts_first,
            hides_controls,
            fills_screen,
            is_embedded,
            runs_at_once,
        } = self;
        parts.extend(step.map(|step| format!("step={step}")));
        parts.extend(shade.map(|lane| format!("shade={lane}")));
        let switch = |key: &str, is: bool, words: [&'static str; 2]| {
            is.then(|| format!("{key}={}", word(true, words)))
        };
        parts.extend(switch("paint", *by_arrival, PAINTS));
        parts.extend(chapter.map(|chapter| format!("chapter={chapter}")));
        parts.extend(is_large.map(|is| format!("size={}", word(is, SIZES))));
        parts.extend(is_dark.map(|is| format!("theme={}", word(is, THEMES))));
        let is_german = |language: &Language| *language == Language::German;
        let language = language.as_ref().map(is_german);
        parts.extend(language.map(|is| format!("lang={}", word(is, LANGUAGES))));
        parts.extend(arena.map(|arena| format!("arena={arena}")));
        for (key, is_set, words) in [
            ("analysis", shows_analysis, SWITCH),
            ("answers", hides_answers, COVERS),
            ("predict", predicts_first, SWITCH),
            ("controls", hides_controls, COVERS),
            ("screen", fills_screen, SCREENS),
            ("embed", is_embedded, SWITCH),
            ("run", runs_at_once, SWITCH),
        ] {
            parts.extend(switch(key, *is_set, words));
        }
    }
}

/// Whether a path leads to a file of the page's own folder, and nowhere else.
fn is_beside_the_page(file: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(is_plain)
    };
    file.split('/').all(is_part)
}

fn read_number(key: &'static str, text: &str, least: u32) -> Result<u32, AddressError> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| {
        wrong(
            key,
            if least == 0 {
                "a whole number"
            } else {
                "a whole number from 1 on"
            },
            text,
        )
    })
}

/// Whether the second of two words stands there.
fn read_word(
    key: &'static str,
    text: &str,
    words: [&'static str; 2],
) -> Result<bool, AddressError> {
    let place = words.iter().position(|word| *word == text);
    let expected = match words {
        SIZES => "normal or large",
        THEMES => "light or dark",
        PAINTS => "share or arrival",
        COVERS => "shown or hidden",
        SCREENS => "window or full",
        LANGUAGES => "en or de",
        _ => "no or yes",
    };
    place
        .map(|place| place == 1)
        .ok_or_else(|| wrong(key, expected, text))
}

fn read_lane(text: &str, number: usize) -> Result<LaneChoice, AddressError> {
    let wrong = || wrong("lanes", "checkpoint:strategy,key=value…;…", text);
    let (model, rest) = text.split_once(':').ok_or_else(wrong)?;
    let model = unescaped(model).ok_or_else(wrong)?;
    if model.is_empty() || model.contains(touched::is_foreign) {
        return Err(wrong());
    }
    let (name, rest) = rest.split_once(',').unwrap_or((rest, ""));
    let in_lane = |reason| AddressError::Lane { number, reason };
    let strategy = match name == COMPOSED.name {
        true => &COMPOSED,
        false => Strategy::by_name(name).map_err(in_lane)?,
    };
    let mut lane = LaneChoice::new(&model, strategy);
    let mut composition = Composition::default();
    let mut settings = Vec::new();
    for part in rest.split(',').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("parts", value)) if lane.strategy.name == COMPOSED.name => {
                let read: Result<Composition, _> = value.parse();
                let in_lane = |reason| AddressError::Composition { number, reason };
                composition.parts = read.map_err(in_lane)?.parts;
            }
            Some(("name", value)) if lane.strategy.name == COMPOSED.name => {
                composition.name = unescaped(value).ok_or_else(wrong)?;
            }
            Some(("at", value)) => lane.changes.push(value.parse().map_err(|_| {
                self::wrong(
                    "at",
                    "STEP-CHANGE, such as 5-zero, 5-noise-0.5-1, 5-swap-2 or 5-swap-class-9",
                    value,
                )
            })?),
            Some(("from", value)) => {
                let fork = value.parse().map_err(|_| {
                    self::wrong("from", "LANE-STEP or LANE-STEP-answer, such as 1-5", value)
                });
                lane.fork = Some(fork?);
            }
            _ => settings.push(part),
        }
    }
    lane.settings = Settings::parse(strategy, settings).map_err(in_lane)?;
    strategy.check(&lane.settings).map_err(in_lane)?;
    lane.composition = (lane.strategy.name == COMPOSED.name).then_some(composition);
    Ok(lane)
}

fn wrong(key: &'static str, expected: &'static str, found: &str) -> AddressError {
    AddressError::Value {
        key,
        expected,
        found: found.into(),
    }
}

/// Escaped so that neither `%25` before two hexadecimal digits comes of it, where escapes have
/// themselves been escaped on the way, nor `=3D` of a value, where a mail has escaped what is
/// between a key and it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut must_escape_digit = text.starts_with("3D");
    for character in text.chars() {
        if must_escape_digit && character.is_ascii_hexdigit() {
            escaped += &format!("%{:02X}", character as u32);
        } else {
            let mut bytes = [0; 4];
            let utf8 = character.encode_utf8(&mut bytes);
            escaped.extend(utf8_percent_encode(utf8, ESCAPED));
        }
        must_escape_digit = character == '%';
    }
    escaped
}

fn unescaped(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.ok().map(|text| text.into_owned())
}
