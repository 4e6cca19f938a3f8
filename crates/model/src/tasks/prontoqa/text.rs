//! The English of ProntoQA, written and read.

use crate::tasks::sketch::Sketch;

use super::{CONCEPTS, NAMES, Problem, Statement, Word, vocabulary::NOT};

/// Opens the question.
const QUESTION: &str = "True or false:";

/// How a statement about a concept is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `Every wumpus is a tumpus.`; also how a statement about an entity is stored.
    #[default]
    Every,
    /// `Each wumpus is a tumpus.`
    Each,
    /// `Wumpuses are tumpuses.`
    Plural,
}

/// Text that is not a ProntoQA question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A sentence of another form.
    #[error(
        "expected \"Every wumpus is a tumpus.\", \"Tumpuses are not red.\", \"Fae is a wumpus.\" \
         or, at the end, \"True or false: Fae is red.\", found {found:?}"
    )]
    Sentence {
        /// The sentence.
        found: String,
    },
    /// A word that is no name, concept or property.
    #[error("{word:?} is not a name, concept or property of ProntoQA")]
    UnknownWord {
        /// The word.
        word: String,
    },
    /// A word where another kind of word must stand.
    #[error("expected {expected}, found {word:?}")]
    Misplaced {
        /// The word.
        word: String,
        /// What can stand there.
        expected: &'static str,
    },
    /// The text ends without a question.
    #[error("the text must end with a question, such as \"True or false: Fae is red.\"")]
    NoQuestion,
    /// The statements do not decide the question.
    #[error(
        "exactly one of the asked property and its opposite must follow from the statements, \
         found {n_reached}"
    )]
    Undecided {
        /// How many of the two follow.
        n_reached: usize,
    },
}

impl Statement {
    /// The statement as a sentence.
    pub fn english(&self) -> String {
        let subject = self.subject.bare_name();
        if let Word::Name(_) = self.subject {
            return format!("{subject} is {}.", predicate(self.object));
        }
        match self.form {
            Form::Every => format!("Every {subject} is {}.", predicate(self.object)),
            Form::Each => format!("Each {subject} is {}.", predicate(self.object)),
            Form::Plural => {
                let object = match self.object {
                    Word::Concept(_) => plural(self.object.bare_name()),
                    _ => predicate(self.object),
                };
                let subject = plural(subject);
                let (first, rest) = subject.split_at(1);
                format!("{}{rest} are {object}.", first.to_uppercase())
            }
        }
    }
}

/// `a wumpus`, `an impus`, `red` or `not red`.
fn predicate(word: Word) -> String {
    let name = word.bare_name();
    match word {
        Word::Property {
            is_negated: true, ..
        } => format!("not {name}"),
        Word::Property { .. } => name.into(),
        _ if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

/// The generator's authors write `worpus` for one and for many.
fn plural(concept: &str) -> String {
    let ending = if concept == "worpus" { "" } else { "es" };
    format!("{concept}{ending}")
}

/// Tokens as English: pairs become statements, `?` opens the question, `###` stays in front of
/// its answer. What does not pair up is printed as it is, so that mistakes stay visible.
pub(super) fn render(tokens: &[&str]) -> String {
    let mut sentences = Vec::new();
    let mut rest = tokens;
    loop {
        let words = [rest.first(), rest.get(1)].map(|token| Word::from_name(token?));
        match (words, rest) {
            (_, []) => return sentences.join(" "),
            (
                [
                    Some(subject @ (Word::Name(_) | Word::Concept(_))),
                    Some(object @ (Word::Concept(_) | Word::Property { .. })),
                ],
                _,
            ) => {
                let form = Form::Every;
                let statement = Statement {
                    subject,
                    object,
                    form,
                };
                sentences.push(statement.english());
                rest = &rest[2..];
            }
            (_, [token, ..]) => {
                sentences.push(if *token == "?" { QUESTION } else { token }.to_string());
                rest = &rest[1..];
            }
        }
    }
}

impl Problem {
    /// The statements and the question in English.
    pub fn question(&self) -> String {
        let asked = Statement {
            subject: self.entity,
            object: self.query,
            form: Form::Every,
        };
        let statements = self.statements.iter().map(Statement::english);
        let question = format!("{QUESTION} {}", asked.english());
        statements.chain([question]).collect::<Vec<_>>().join(" ")
    }

    /// The right answer: `True` or `False`.
    pub fn answer(&self) -> String {
        Word::Truth(self.is_true).to_string()
    }

    /// The reasoning in English, one sentence a step.
    pub fn steps(&self) -> Vec<String> {
        self.chain().iter().map(Statement::english).collect()
    }

    /// Reads statements and a question in English, whatever its case, spaces and line ends; the
    /// statements decide the answer. [`Problem::question`] then is the same in official English.
    pub fn parse(text: &str) -> Result<Problem, ParseError> {
        let mut problem = Self::parse_undecided(text)?;
        let asked = [Some(problem.query), problem.query.opposite()];
        match asked.map(|word| word.is_some_and(|word| problem.follows(word))) {
            [true, false] => {}
            [false, true] => problem.is_true = false,
            reached => {
                let n_reached = reached.into_iter().filter(|&reached| reached).count();
                return Err(ParseError::Undecided { n_reached });
            }
        }
        Ok(problem)
    }

    /// The same whatever follows from the statements; what is asked stands for what is true.
    pub(super) fn parse_undecided(text: &str) -> Result<Problem, ParseError> {
        let (statements, asked) = Self::parse_statements(text)?;
        let asked = asked.ok_or(ParseError::NoQuestion)?;
        let (Word::Name(_), Some(_)) = (asked.subject, asked.object.opposite()) else {
            let found = asked.english();
            return Err(ParseError::Sentence { found });
        };
        Ok(Problem {
            statements,
            entity: asked.subject,
            query: asked.object,
            is_true: true,
        })
    }

    /// The statements of a text, and what it asks, if anything.
    pub(super) fn parse_statements(
        text: &str,
    ) -> Result<(Vec<Statement>, Option<Statement>), ParseError> {
        let mut statements = Vec::new();
        let mut asked = None;
        let sentences = text.split(['.', '?']).map(str::trim);
        for sentence in sentences.filter(|sentence| !sentence.is_empty()) {
            let found = || ParseError::Sentence {
                found: sentence.into(),
            };
            if asked.is_some() {
                return Err(found());
            }
            let lower = sentence.to_lowercase().replace(':', " : ");
            let words: Vec<&str> = lower.split_whitespace().collect();
            match words.strip_prefix(&["true", "or", "false", ":"]) {
                None => statements.push(statement(&words, sentence)?),
                Some(claim) => asked = Some(statement(claim, sentence).map_err(|_| found())?),
            }
        }
        Ok((statements, asked))
    }
}

/// A sketch as English; the second option is always the opposite of the first.
///
/// # Errors
/// If a word stands where no sentence can have it.
pub(super) fn write_sketch(sketch: &Sketch) -> Result<String, ParseError> {
    let misplaced = |word: &str, expected| ParseError::Misplaced {
        word: word.into(),
        expected,
    };
    let statement = |subject: &str, object: &str| {
        let statement = Statement {
            subject: word(subject)?,
            object: word(object)?,
            form: Form::Every,
        };
        match (statement.subject, statement.object) {
            (Word::Name(_) | Word::Concept(_), Word::Concept(_) | Word::Property { .. }) => {
                Ok(statement.english())
            }
            (Word::Name(_) | Word::Concept(_), _) => {
                Err(misplaced(object, "a concept or a property to lead to"))
            }
            _ => Err(misplaced(subject, "a name or a concept to lead from")),
        }
    };
    let mut sentences = Vec::new();
    for [subject, object] in &sketch.statements {
        sentences.push(statement(subject, object)?);
    }
    let (root, asked) = (&sketch.root, &sketch.options[0]);
    if !matches!(word(root)?, Word::Name(_)) {
        return Err(misplaced(root, "a name to ask about"));
    }
    if word(asked)?.opposite().is_none() {
        return Err(misplaced(asked, "a property to ask for"));
    }
    sentences.push(format!("{QUESTION} {}", statement(root, asked)?));
    Ok(sentences.join(" "))
}

/// Reads the words, in small letters, of one sentence without its full stop.
fn statement(words: &[&str], sentence: &str) -> Result<Statement, ParseError> {
    let (subject, object, form) = match *words {
        ["every", subject, "is", ref object @ ..] => (subject, object, Form::Every),
        ["each", subject, "is", ref object @ ..] => (subject, object, Form::Each),
        [subject, "are", ref object @ ..] => (subject, object, Form::Plural),
        [subject, "is", ref object @ ..] => {
            let subject = word(subject)?;
            let object = read_object(object, sentence)?;
            if !matches!(subject, Word::Name(_)) {
                return Err(ParseError::Sentence {
                    found: sentence.into(),
                });
            }
            return Ok(Statement {
                subject,
                object,
                form: Form::Every,
            });
        }
        _ => {
            return Err(ParseError::Sentence {
                found: sentence.into(),
            });
        }
    };
    let is_plural = form == Form::Plural;
    let subject = if is_plural {
        word(&singular(subject))?
    } else {
        word(subject)?
    };
    let object = match object {
        [object] if is_plural && object.contains("pus") => word(&singular(object))?,
        object => read_object(object, sentence)?,
    };
    if !matches!(subject, Word::Concept(_)) {
        return Err(ParseError::Sentence {
            found: sentence.into(),
        });
    }
    Ok(Statement {
        subject,
        object,
        form,
    })
}

/// Reads `a wumpus`, `red` or `not red`.
fn read_object(words: &[&str], sentence: &str) -> Result<Word, ParseError> {
    let object = match words {
        ["a" | "an", concept] => word(concept)?,
        ["not", property] => word(&format!("{NOT}{property}"))?,
        [property] => word(property)?,
        _ => Word::Truth(false),
    };
    let is_object = match object {
        Word::Concept(_) => words.len() == 2,
        Word::Property { .. } => !matches!(words, ["a" | "an", _]),
        _ => false,
    };
    is_object
        .then_some(object)
        .ok_or_else(|| ParseError::Sentence {
            found: sentence.into(),
        })
}

/// The word of a name in small letters.
fn word(lower: &str) -> Result<Word, ParseError> {
    let name = NAMES.iter().find(|name| name.eq_ignore_ascii_case(lower));
    Word::from_name(name.unwrap_or(&lower))
        .ok_or_else(|| ParseError::UnknownWord { word: lower.into() })
}

fn singular(plural: &str) -> String {
    match plural.strip_suffix("puses") {
        Some(stem) => format!("{stem}pus"),
        None => plural.into(),
    }
}

/// What a tokenizer replaces, in this order: a regular expression and what comes in its place.
///
/// Every form of a statement becomes two words, `wumpus not-red`, and the question
/// `? Fae not-red`.
pub(super) fn normalizer() -> Vec<(String, &'static str)> {
    let mut rules: Vec<(String, &'static str)> = vec![
        (QUESTION.into(), " ? "),
        ("###".into(), " ### "),
        (r"\bnot\s+".into(), NOT),
        (r"\b(?:Every|Each|is|are|an?)\b".into(), " "),
        (r"(?<=pus)es\b".into(), ""),
    ];
    // A replacement cannot change case, so there is a rule for each letter that opens a plural.
    for letter in LETTERS {
        let capital = letter.to_uppercase();
        if CONCEPTS.iter().any(|concept| concept.starts_with(letter)) {
            rules.push((format!(r"\b{capital}(?=[a-z]*pus\b)"), letter));
        }
    }
    rules.push((r"[.\s]+".into(), " "));
    rules
}

const LETTERS: [&str; 26] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
    "t", "u", "v", "w", "x", "y", "z",
];

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Wumpuses are impuses. Each impus is not red. Every tumpus is red. \
                        Fae is a wumpus. True or false: Fae is red.";

    #[test]
    fn every_form_is_read_and_written() {
        let problem = Problem::parse(TEXT).expect("a decided question");
        assert!(!problem.is_true);
        assert_eq!(problem.question(), TEXT);
        let steps = [
            "Fae is a wumpus.",
            "Wumpuses are impuses.",
            "Each impus is not red.",
        ];
        assert_eq!(problem.steps(), steps);
    }

    #[test]
    fn what_people_type_is_read_as_the_official_form() {
        let typed = [
            TEXT.replace(". ", " .\r\n"),
            TEXT.replace(' ', "  \n"),
            TEXT.replace("red.", "red ?"),
            TEXT.replace("false:", "false :"),
            TEXT.to_lowercase(),
            TEXT.to_uppercase(),
            TEXT.trim_end_matches('.').into(),
        ];
        for text in typed {
            let problem = Problem::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(problem.question(), TEXT, "{text}");
        }
    }

    #[test]
    fn tokens_render_as_english_and_mistakes_stay_visible() {
        let tokens = ["Fae", "wumpus", "wumpus", "not-red", "###", "False"];
        let english = "Fae is a wumpus. Every wumpus is not red. ### False";
        assert_eq!(render(&tokens), english);
        let broken = ["wumpus", "Fae", "red", "?", "###", "wumpus"];
        assert_eq!(
            render(&broken),
            "wumpus Fae is red. True or false: ### wumpus"
        );
    }

    #[test]
    fn bad_text_is_named() {
        let sentence = |found: &str| ParseError::Sentence {
            found: found.into(),
        };
        let unknown = |word: &str| ParseError::UnknownWord { word: word.into() };
        let cases = [
            ("Every blorpus is red.", unknown("blorpus")),
            ("Wumpuses are blue-ish.", unknown("blue-ish")),
            ("Fae likes red.", sentence("Fae likes red")),
            ("Every Fae is red.", sentence("Every Fae is red")),
            (
                "Every wumpus is tumpus.",
                sentence("Every wumpus is tumpus"),
            ),
            ("Every wumpus is a red.", sentence("Every wumpus is a red")),
            (
                "Every wumpus is not a tumpus.",
                sentence("Every wumpus is not a tumpus"),
            ),
            ("wumpus is red.", sentence("wumpus is red")),
            ("Fae is red.", ParseError::NoQuestion),
            ("", ParseError::NoQuestion),
            (
                "True or false: Fae is a wumpus.",
                sentence("Fae is a wumpus."),
            ),
            (
                "True or false: Fae is red. Fae is red.",
                sentence("Fae is red"),
            ),
            (
                "Fae is a wumpus. True or false: Fae is red.",
                ParseError::Undecided { n_reached: 0 },
            ),
            (
                "Fae is red. Fae is not red. True or false: Fae is red.",
                ParseError::Undecided { n_reached: 2 },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Problem::parse(text), Err(expected), "{text}");
        }
    }
}
