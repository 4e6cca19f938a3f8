//! The few regular expressions that the tasks' own tokenizers use, without an engine for all of them.

/// A regular expression of literals, classes (`[a-z]`, `\s`) with `?`, `*` and `+`, word boundaries
/// (`\b`), groups (`(?:a|b)`) and looks around (`(?=a)`, `(?<=a)`), all of ASCII. It matches what the
/// first way through it matches, as in Perl.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Way>);

/// Items one after the other.
type Way = Vec<Item>;

#[derive(Debug)]
enum Item {
    /// A character, at least `min` and at most `max` times, as often as can be.
    Chars {
        class: Class,
        min: usize,
        max: usize,
    },
    /// Between a letter or digit and something else.
    Boundary,
    /// One of several ways.
    Group(Vec<Way>),
    /// What follows, which is not taken.
    Ahead(Vec<Way>),
    /// The characters before.
    Behind(Vec<Class>),
}

#[derive(Debug, Default)]
struct Class {
    ranges: Vec<(char, char)>,
    has_spaces: bool,
}

impl Class {
    fn of(char: char) -> Self {
        Self {
            ranges: vec![(char, char)],
            has_spaces: false,
        }
    }

    fn has(&self, char: char) -> bool {
        let is_in = |&(first, last): &(char, char)| (first..=last).contains(&char);
        self.ranges.iter().any(is_in) || self.has_spaces && char.is_whitespace()
    }
}

impl Pattern {
    /// Reads an expression; `None` where it holds anything else, or may match nothing at all.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut rest = text;
        let ways = ways(&mut rest)?;
        let is_all = rest.is_empty() && text.is_ascii();
        (is_all && !ways.iter().any(|way| may_be_empty(way))).then_some(Self(ways))
    }

    /// The text with `content` in place of every match.
    pub(super) fn replace(&self, text: &str, content: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let mut replaced = String::with_capacity(text.len());
        let mut at = 0;
        while at < chars.len() {
            match self.end_of_match(&chars, at) {
                Some(end) => {
                    replaced += content;
                    at = end;
                }
                None => {
                    replaced.push(chars[at]);
                    at += 1;
                }
            }
        }
        replaced
    }

    fn end_of_match(&self, text: &[char], at: usize) -> Option<usize> {
        let mut found = None;
        any_way(&self.0, text, at, &mut |end| {
            found = Some(end);
            true
        });
        found
    }
}

/// Whether a way leads from `at` to somewhere that `then` agrees to; it is asked in the order in
/// which Perl tries.
fn any_way(ways: &[Way], text: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    ways.iter().any(|way| leads(way, text, at, then))
}

fn leads(items: &[Item], text: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    let Some((item, rest)) = items.split_first() else {
        return then(at);
    };
    match item {
        Item::Chars { class, min, max } => {
            let fits = |char: &&char| class.has(**char);
            let most = text[at..].iter().take(*max).take_while(fits).count();
            (*min..=most)
                .rev()
                .any(|count| leads(rest, text, at + count, then))
        }
        Item::Boundary => {
            let is_word = |char: Option<&char>| {
                char.is_some_and(|&char| char.is_alphanumeric() || char == '_')
            };
            let before = at.checked_sub(1).and_then(|before| text.get(before));
            is_word(before) != is_word(text.get(at)) && leads(rest, text, at, then)
        }
        Item::Group(ways) => any_way(ways, text, at, &mut |end| leads(rest, text, end, then)),
        Item::Ahead(ways) => any_way(ways, text, at, &mut |_| true) && leads(rest, text, at, then),
        Item::Behind(classes) => {
            let before = at.checked_sub(classes.len()).map(|from| &text[from..at]);
            let fits = |before: &[char]| classes.iter().zip(before).all(|(class, &c)| class.has(c));
            before.is_some_and(fits) && leads(rest, text, at, then)
        }
    }
}

fn may_be_empty(way: &[Item]) -> bool {
    way.iter().all(|item| match item {
        Item::Chars { min, .. } => *min == 0,
        Item::Group(ways) => ways.iter().any(|way| may_be_empty(way)),
        Item::Boundary | Item::Ahead(_) | Item::Behind(_) => true,
    })
}

/// Reads ways, up to the end or the parenthesis that closes them.
fn ways(rest: &mut &str) -> Option<Vec<Way>> {
    let mut ways = vec![Vec::new()];
    while let Some(next) = rest.chars().next().filter(|&next| next != ')') {
        if next == '|' {
            *rest = &rest[1..];
            ways.push(Vec::new());
            continue;
        }
        let item = item(rest)?;
        ways.last_mut()?.push(item);
    }
    Some(ways)
}

fn item(rest: &mut &str) -> Option<Item> {
    if take(rest, r"\b") {
        return Some(Item::Boundary);
    }
    if take(rest, "(?:") {
        return Some(Item::Group(closed(rest)?));
    }
    if take(rest, "(?=") {
        return Some(Item::Ahead(closed(rest)?));
    }
    if take(rest, "(?<=") {
        return behind(closed(rest)?);
    }
    let class = match take(rest, "[") {
        true => class(rest)?,
        false => one(rest)?,
    };
    let (min, max) = match () {
        () if take(rest, "?") => (0, 1),
        () if take(rest, "*") => (0, usize::MAX),
        () if take(rest, "+") => (1, usize::MAX),
        () => (1, 1),
    };
    Some(Item::Chars { class, min, max })
}

/// Ways up to the parenthesis that closes them, which is taken.
fn closed(rest: &mut &str) -> Option<Vec<Way>> {
    let ways = ways(rest)?;
    take(rest, ")").then_some(ways)
}

/// A look back, which has one length here.
fn behind(mut ways: Vec<Way>) -> Option<Item> {
    let way = ways.pop().filter(|_| ways.is_empty())?;
    let one_char = |item| match item {
        Item::Chars {
            class,
            min: 1,
            max: 1,
        } => Some(class),
        _ => None,
    };
    let classes = way.into_iter().map(one_char).collect::<Option<_>>()?;
    Some(Item::Behind(classes))
}

/// Characters and ranges of them up to the bracket that closes them.
fn class(rest: &mut &str) -> Option<Class> {
    let mut class = Class::default();
    while !take(rest, "]") {
        // Any other one, and what stands for all that is not there.
        if rest.starts_with(['[', '^', '&', '~', '-']) {
            return None;
        }
        let one = in_class(rest)?;
        class.has_spaces |= one.has_spaces;
        let [(first, mut last)] = one.ranges[..] else {
            continue;
        };
        if take(rest, "-") {
            let [(end, _)] = in_class(rest)?.ranges[..] else {
                return None;
            };
            last = end;
        }
        class.ranges.push((first, last));
    }
    Some(class)
}

/// A character that stands for itself, or all spaces.
fn one(rest: &mut &str) -> Option<Class> {
    match rest.starts_with(['.', '^', '$', '?', '*', '+', '{', '}', ']', '(', ')']) {
        true => None,
        false => in_class(rest),
    }
}

/// The same where these mean nothing else.
fn in_class(rest: &mut &str) -> Option<Class> {
    if take(rest, r"\s") {
        return Some(Class {
            ranges: Vec::new(),
            has_spaces: true,
        });
    }
    let is_escaped = take(rest, r"\");
    let char = rest.chars().next()?;
    if is_escaped && !char.is_ascii_punctuation() {
        return None;
    }
    *rest = &rest[char.len_utf8()..];
    Some(Class::of(char))
}

/// Whether this comes next, which is then behind.
fn take(rest: &mut &str, text: &str) -> bool {
    let after = rest.strip_prefix(text);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_part_of_the_subset_is_left_to_others() {
        for text in [
            "a.",
            "^a",
            "a$",
            "a{2}",
            "(a)",
            "(?i)a",
            "(?!a)",
            "[^a]",
            r"\w",
            r"\d+",
            "a+?",
            "(a",
            "a)",
            "[a",
            "a*",
            r"\b",
            "(?=a)",
            "a|",
            "(?<=a|b)c",
            "(?<=a+)c",
            "é",
            "[a&&b]",
            r"a\",
            "a++",
        ] {
            assert!(Pattern::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_first_way_through_it_counts_and_it_may_turn_back() {
        for (pattern, text, expected) in [
            ("a|ab", "ab", "_b"),
            ("(?:a|ab)c", "abc ac", "_ _"),
            ("a+ab", "aaab", "_"),
            (r"\bis\b", "is this is", "_ this _"),
            ("(?<=pus)es", "pushes puses es", "pushes pus_ es"),
            (r"[.\s]+", "a. \u{a0}b", "a_b"),
        ] {
            let read = Pattern::read(pattern).expect("of the subset");
            assert_eq!(read.replace(text, "_"), expected, "{pattern}");
        }
    }
}
