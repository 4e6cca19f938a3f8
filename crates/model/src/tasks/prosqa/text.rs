//! The official English of ProsQA, written and read.

use super::{Problem, Symbol};
use crate::tasks::{sentences, sketch::Sketch};

/// Text that is not a ProsQA question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A sentence of another form.
    #[error(
        "expected \"Every gerpus is a terpus.\", \"Tom is a terpus.\" or, at the end, \
         \"Is Tom a lempus or scrompus?\", found {found:?}"
    )]
    Sentence {
        /// The sentence.
        found: String,
    },
    /// A word that is no name and no concept.
    #[error("{word:?} is not one of the 17 names and 38 concepts of ProsQA")]
    UnknownWord {
        /// The word.
        word: String,
    },
    /// A name where only a concept can stand.
    #[error("{word:?} is a name; statements lead to concepts, and options are concepts")]
    NoConcept {
        /// The name.
        word: String,
    },
    /// The text ends without a question.
    #[error("the text must end with a question, such as \"Is Tom a lempus or scrompus?\"")]
    NoQuestion,
    /// The statements do not decide the question.
    #[error("exactly one of the two options must follow from the statements, found {n_reached}")]
    Undecided {
        /// How many options can be reached from the root.
        n_reached: usize,
    },
}

/// A sketch as English.
///
/// # Errors
/// If a word is none of the vocabulary, or the object of a statement or an option is a name.
pub(super) fn write_sketch(sketch: &Sketch) -> Result<String, ParseError> {
    let known = |word: &str| {
        let unknown = || ParseError::UnknownWord { word: word.into() };
        Symbol::from_name(word).ok_or_else(unknown)
    };
    let concept = |word: &str| {
        let no_concept = || ParseError::NoConcept { word: word.into() };
        Some(known(word)?)
            .filter(|symbol| !symbol.is_person())
            .ok_or_else(no_concept)
    };
    let mut sentences = Vec::new();
    for [subject, object] in &sketch.statements {
        known(subject)?;
        concept(object)?;
        sentences.push(statement(subject, object));
    }
    let [a, b] = &sketch.options;
    known(&sketch.root)?;
    concept(a)?;
    concept(b)?;
    sentences.push(format!("Is {} a {a} or {b}?", sketch.root));
    Ok(sentences.join(" "))
}

/// A statement as English: `Tom is a terpus.` or `Every gerpus is a terpus.`
fn statement(subject: &str, object: &str) -> String {
    let is_person = Symbol::from_name(subject).is_some_and(Symbol::is_person);
    let every = if is_person { "" } else { "Every " };
    format!("{every}{subject} is a {object}.")
}

/// Tokens as English: pairs become statements, `###` stays in front of its answer.
///
/// What does not pair up is printed as it is, so that a model's mistakes stay visible.
pub(super) fn render(tokens: &[&str]) -> String {
    let is_word = |token: &str| Symbol::from_name(token).is_some();
    let mut sentences = Vec::new();
    let mut rest = tokens;
    loop {
        match *rest {
            [] => return sentences.join(" "),
            [subject, object, ..] if is_word(subject) && is_word(object) => {
                sentences.push(statement(subject, object));
                rest = &rest[2..];
            }
            [token, ..] => {
                sentences.push(token.to_string());
                rest = &rest[1..];
            }
        }
    }
}

impl Problem {
    /// The statements in official English, in the order in which they are printed.
    pub fn statements(&self) -> impl Iterator<Item = String> {
        let name = |node: usize| self.symbols[node].name();
        self.statement_order.iter().map(move |&index| {
            let [subject, object] = self.edges[index];
            statement(name(subject), name(object))
        })
    }

    /// The statements and the question in official English.
    pub fn question(&self) -> String {
        let name = |node: usize| self.symbols[node].name();
        let [a, b] = self.options();
        let question = format!("Is {} a {} or {}?", name(self.root), name(a), name(b));
        let sentences = self.statements().chain([question]);
        sentences.collect::<Vec<_>>().join(" ")
    }

    /// The right answer in official English: `Tom is a lempus.`
    pub fn answer(&self) -> String {
        statement(
            self.symbols[self.root].name(),
            self.symbols[self.target].name(),
        )
    }

    /// A path as statements in official English.
    pub fn steps(&self, path: &[usize]) -> Vec<String> {
        let name = |node: usize| self.symbols[node].name();
        path.windows(2)
            .map(|pair| statement(name(pair[0]), name(pair[1])))
            .collect()
    }

    /// Reads statements and a question in English, whatever its case, spaces and line ends; the
    /// target is the option that follows from the statements. [`Problem::question`] then is the
    /// same in official English.
    pub fn parse(text: &str) -> Result<Problem, ParseError> {
        let mut problem = Self::parse_undecided(text)?;
        let [a, b] = problem.options();
        let distances = problem.successors().distances(problem.root);
        match (distances[a], distances[b]) {
            (Some(_), None) => {}
            (None, Some(_)) => {
                (problem.target, problem.neg_target, problem.target_first) = (b, a, false);
            }
            (reached_a, reached_b) => {
                let n_reached = reached_a.iter().chain(&reached_b).count();
                return Err(ParseError::Undecided { n_reached });
            }
        }
        Ok(problem)
    }

    /// The same whatever follows from the statements; the first option stands for the target.
    pub(super) fn parse_undecided(text: &str) -> Result<Problem, ParseError> {
        let (problem, is_asked) = Self::parse_statements(text)?;
        is_asked.then_some(problem).ok_or(ParseError::NoQuestion)
    }

    /// The same of a text that may ask nothing yet, and whether it asks; if not, the subject of the
    /// first statement stands for all that would be asked about.
    pub(super) fn parse_statements(text: &str) -> Result<(Problem, bool), ParseError> {
        let mut reader = Reader::default();
        let mut asked = None;
        for sentence in sentences(text) {
            let found = || ParseError::Sentence {
                found: sentence.into(),
            };
            if asked.is_some() {
                return Err(found());
            }
            let words: Vec<&str> = sentence
                .trim_end_matches(['.', '?'])
                .split_whitespace()
                .collect();
            let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
            let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
            let mut nodes = |places: &[usize]| -> Result<Vec<usize>, ParseError> {
                places.iter().map(|&at| reader.node(words[at])).collect()
            };
            match lower[..] {
                ["every", _, "is", "a" | "an", _] => {
                    let edge = nodes(&[1, 4])?;
                    reader.edges.push([edge[0], edge[1]]);
                }
                [_, "is", "a" | "an", _] => {
                    let edge = nodes(&[0, 3])?;
                    reader.edges.push([edge[0], edge[1]]);
                }
                ["is", _, "a" | "an", _, "or", _] => asked = Some(nodes(&[1, 3, 5])?),
                ["is", _, "a" | "an", _, "or", "a" | "an", _] => {
                    asked = Some(nodes(&[1, 3, 6])?);
                }
                _ => return Err(found()),
            }
        }
        let first = reader.edges.first().map(|[subject, _]| *subject);
        let is_asked = asked.is_some();
        let asked = asked.or(first.map(|first| vec![first; 3]));
        let asked = asked.ok_or(ParseError::NoQuestion)?;
        let (root, a, b) = (asked[0], asked[1], asked[2]);
        let problem = Problem {
            statement_order: (0..reader.edges.len()).collect(),
            symbols: reader.symbols,
            edges: reader.edges,
            root,
            target: a,
            neg_target: b,
            target_first: true,
        };
        Ok((problem, is_asked))
    }
}

/// What a tokenizer replaces, in this order: a regular expression and what comes in its place.
///
/// It drops what carries nothing ("Every", "is", "a", "or", full stops) and turns
/// `Is R a A or B?` into `? R A B`; what is left are the vocabulary's words between spaces.
pub(super) fn normalizer() -> Vec<(String, &'static str)> {
    let rules = [
        // The question's verb is its only capital "Is".
        (r"\bIs\b", " ? "),
        (r"(?<=[A-Za-z])\?", " "),
        ("###", " ### "),
        (r"\b(?:Every|every|is|a|or)\b", " "),
        (r"[.\s]+", " "),
    ];
    rules
        .map(|(pattern, content)| (pattern.into(), content))
        .to_vec()
}

/// Nodes in the order in which the text names them.
#[derive(Default)]
struct Reader {
    symbols: Vec<Symbol>,
    edges: Vec<[usize; 2]>,
}

impl Reader {
    fn node(&mut self, word: &str) -> Result<usize, ParseError> {
        let unknown = || ParseError::UnknownWord { word: word.into() };
        let symbol = Symbol::from_name_in_any_case(word).ok_or_else(unknown)?;
        if let Some(node) = self.symbols.iter().position(|&known| known == symbol) {
            return Ok(node);
        }
        self.symbols.push(symbol);
        Ok(self.symbols.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Difficulty, *};

    #[test]
    fn generated_problems_survive_english() {
        for seed in 0..200 {
            let problem = Problem::generate(seed, &Difficulty::OFFICIAL);
            let read = Problem::parse(&problem.question()).expect("own English");
            assert_eq!(read.question(), problem.question());
            assert_eq!(read.answer(), problem.answer());
            assert_eq!(read.encode(), problem.encode());
        }
    }

    #[test]
    fn what_people_type_is_read_as_the_official_form() {
        let official = "Tom is a terpus. Every terpus is a lempus. Bob is a gerpus. \
                        Is Tom a gerpus or lempus?";
        let typed = [
            official.replace("lempus?", "lempus ?"),
            official.replace("lempus?", "lempus"),
            official.replace("lempus?", "a lempus??"),
            official.replace(". ", " .\r\n"),
            official.replace(' ', "  \n"),
            official.to_lowercase(),
            official.to_uppercase(),
            official.replace("a terpus", "an terpus"),
        ];
        for text in typed {
            let problem = Problem::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(problem.question(), official, "{text}");
        }
    }

    #[test]
    fn tokens_render_as_official_english_and_mistakes_stay_visible() {
        let tokens = ["Tom", "terpus", "terpus", "gerpus", "###", "Tom", "gerpus"];
        let english = "Tom is a terpus. Every terpus is a gerpus. ### Tom is a gerpus.";
        assert_eq!(render(&tokens), english);
        assert_eq!(
            render(&["###", "Tom", "###", "gerpus"]),
            "### Tom ### gerpus"
        );
    }

    #[test]
    fn bad_text_is_named() {
        let error = Problem::parse("Every blorpus is a terpus. Is Tom a terpus or gerpus?");
        assert_eq!(
            error,
            Err(ParseError::UnknownWord {
                word: "blorpus".into()
            })
        );
        let error = Problem::parse("Tom is a terpus.");
        assert_eq!(error, Err(ParseError::NoQuestion));
        let error = Problem::parse("Tom is a terpus. Is Tom a gerpus or gorpus?");
        assert_eq!(error, Err(ParseError::Undecided { n_reached: 0 }));
        let error = Problem::parse("Tom likes terpus. Is Tom a gerpus or gorpus?");
        assert_eq!(
            error,
            Err(ParseError::Sentence {
                found: "Tom likes terpus.".into()
            })
        );
    }
}
