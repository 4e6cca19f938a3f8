//! What a free text says the answer is, and whether two answers are the same.
//!
//! The rules, in order:
//! 1. The content of the last `\boxed{…}` is the answer.
//! 2. Else it is in the first line that holds anything: models go on talking afterwards.
//! 3. Where the right answer is a number, that line as a whole, if it is a number; else the last
//!    formula between `$` in it, if that is one; else the last number in it.
//! 4. Where it is not, the last formula between `$` in that line; else the line.
//!
//! Numbers are compared as fractions: `1,080`, `$1080.00` and `1080` are the same, and so are
//! `\frac{7}{2}`, `7/2` and `3.5`. Units, degrees and per cent are not compared. Other answers are
//! compared without what LaTeX says of their looks, spaces and case; a word that is the answer may
//! stand in a sentence.

/// An answer in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A fraction in its lowest terms; the denominator is positive.
    Number(i128, i128),
    /// Anything else, cleaned.
    Text(String),
}

impl Answer {
    /// Reads an answer that stands alone, such as the right one.
    pub fn new(text: &str) -> Self {
        let cleaned = cleaned(text);
        match number(&cleaned) {
            Some((numerator, denominator)) => Self::Number(numerator, denominator),
            None => Self::Text(cleaned),
        }
    }
}

/// What a text says the answer is, as it stands there, where the right one is `right`; `None`
/// where it says nothing that could be an answer.
pub fn said(text: &str, right: &Answer) -> Option<String> {
    if let Some(boxed) = last_boxed(text) {
        return Some(boxed.into());
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let formula = last_formula(line);
    let is_number = |text: &&str| matches!(Answer::new(text), Answer::Number(..));
    match right {
        Answer::Number(..) => {
            let whole = Some(line).filter(is_number);
            let found = whole.or(formula.filter(is_number)).map(String::from);
            found.or_else(|| last_number(line))
        }
        Answer::Text(word) => {
            let words = cleaned_words(line);
            let is_word = !word.contains(|c: char| !c.is_alphanumeric());
            let says_it = is_word && words.iter().any(|said| said == word);
            Some(match (says_it, formula) {
                (true, _) => word.clone(),
                (false, Some(formula)) => formula.into(),
                (false, None) => line.into(),
            })
        }
    }
}

/// The content of the last `\boxed{…}` whose braces close.
fn last_boxed(text: &str) -> Option<&str> {
    let mut places: Vec<usize> = text.match_indices("\\boxed{").map(|(at, _)| at).collect();
    places.extend(text.match_indices("\\fbox{").map(|(at, _)| at));
    places.sort_unstable();
    places.into_iter().rev().find_map(|at| {
        let open = at + text[at..].find('{')?;
        Some(&text[open + 1..open + braced(&text[open..])?])
    })
}

/// Where the brace that opens a text is closed.
fn braced(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The last `$…$` of a line; a single `$` is a currency.
fn last_formula(line: &str) -> Option<&str> {
    let marks: Vec<usize> = line
        .match_indices('$')
        .filter(|(at, _)| !line[..*at].ends_with('\\'))
        .map(|(at, _)| at)
        .collect();
    let [.., open, close] = marks[..] else {
        return None;
    };
    let is_paired = marks.len().is_multiple_of(2);
    Some(line[open + 1..close].trim()).filter(|formula| is_paired && !formula.is_empty())
}

/// The last number of a line, as it stands there.
fn last_number(line: &str) -> Option<String> {
    let bytes = line.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut found = None;
    let mut at = 0;
    while at < bytes.len() {
        let is_start = digit(at) || (bytes[at] == b'.' && digit(at + 1));
        if !is_start {
            at += 1;
            continue;
        }
        let mut start = at;
        // A sign belongs to the number unless something is taken away from something.
        let before = line[..start].trim_end_matches(['$', '\\']);
        if let Some(rest) = before.strip_suffix('-')
            && !rest
                .trim_end()
                .ends_with(|c: char| c.is_alphanumeric() || c == ')')
        {
            start = rest.len();
        }
        let mut seen_point = false;
        while at < bytes.len() {
            let thousands = bytes[at] == b',' && (1..=3).all(|n| digit(at + n)) && !digit(at + 4);
            let point = bytes[at] == b'.' && digit(at + 1) && !seen_point;
            let over = bytes[at] == b'/' && digit(at + 1);
            seen_point |= point;
            if !(digit(at) || thousands || point || over) {
                break;
            }
            at += 1;
        }
        let text = line[start..at].replace(['$', '\\'], "");
        if number(&cleaned(&text)).is_some() {
            found = Some(text);
        }
    }
    found
}

/// An answer without what says only how it looks.
fn cleaned(text: &str) -> String {
    let mut text = text
        .trim()
        .trim_end_matches(['.', ',', ';', '!'])
        .to_string();
    for (from, to) in [
        ("\\dfrac", "\\frac"),
        ("\\tfrac", "\\frac"),
        ("\\left", ""),
        ("\\right", ""),
        ("\\!", ""),
        ("\\,", ""),
        ("\\;", ""),
        ("\\ ", ""),
        ("\\$", ""),
        ("$", ""),
        ("^\\circ", ""),
        ("^{\\circ}", ""),
        ("\\%", ""),
        ("%", ""),
        ("\\(", ""),
        ("\\)", ""),
        ("**", ""),
        ("−", "-"),
    ] {
        text = text.replace(from, to);
    }
    let text = without_texts(&text);
    let text: String = text.split_whitespace().collect();
    let text = text.to_lowercase();
    // `x=5` answers as 5 does.
    match text.split_once('=') {
        Some((name, value)) if name.chars().count() == 1 && !value.is_empty() => value.into(),
        _ => text,
    }
}

/// `\text{…}` as its content, where that is all there is; else, a unit or a remark, left out.
fn without_texts(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = String::new();
    let mut rest = text;
    while let Some((at, command)) = ["\\text{", "\\mbox{", "\\textbf{", "\\mathrm{"]
        .iter()
        .filter_map(|command| Some((rest.find(command)?, command)))
        .min()
    {
        let open = at + command.len() - 1;
        let Some(close) = braced(&rest[open..]) else {
            break;
        };
        kept.push_str(&rest[..at]);
        inside.push_str(&rest[open + 1..open + close]);
        rest = &rest[open + close + 1..];
    }
    kept.push_str(rest);
    match kept.trim().is_empty() {
        true => inside,
        false => kept,
    }
}

fn cleaned_words(line: &str) -> Vec<String> {
    let words = line.split(|c: char| !c.is_alphanumeric());
    words.map(str::to_lowercase).collect()
}

/// A cleaned text as a fraction.
fn number(text: &str) -> Option<(i128, i128)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (numerator, denominator) = match text.strip_prefix("\\frac") {
        Some(rest) => {
            let (above, rest) = argument(rest)?;
            let (below, rest) = argument(rest)?;
            if !rest.is_empty() {
                return None;
            }
            over(number(above)?, number(below)?)?
        }
        None => match text.split_once('/') {
            Some((above, below)) => over(decimal(above)?, decimal(below)?)?,
            None => decimal(text)?,
        },
    };
    lowest(sign * numerator, denominator)
}

/// What a LaTeX command takes first, and what comes behind it: a group or one character.
fn argument(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('{') {
        let close = braced(text)?;
        return Some((&text[1..close], &text[close + 1..]));
    }
    let end = text.chars().next()?.len_utf8();
    Some(text.split_at(end))
}

fn over(above: (i128, i128), below: (i128, i128)) -> Option<(i128, i128)> {
    let numerator = above.0.checked_mul(below.1)?;
    let denominator = above.1.checked_mul(below.0)?;
    Some((numerator * denominator.signum(), denominator.checked_abs()?))
}

/// Digits, with commas between thousands and a point.
fn decimal(text: &str) -> Option<(i128, i128)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let groups: Vec<&str> = groups.collect();
    let is_grouped = groups.iter().all(|group| group.len() == 3);
    let digits = format!("{first}{}{part}", groups.concat());
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || digits.len() > 18 || !is_plain || !is_grouped {
        return None;
    }
    Some((digits.parse().ok()?, 10_i128.pow(part.len() as u32)))
}

fn lowest(numerator: i128, denominator: i128) -> Option<(i128, i128)> {
    if denominator == 0 {
        return None;
    }
    let (mut a, mut b) = (numerator.abs(), denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    Some((numerator / a, denominator / a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grades(text: &str, right: &str) -> Option<bool> {
        let right = Answer::new(right);
        said(text, &right).map(|said| Answer::new(&said) == right)
    }

    #[test]
    fn equal_answers_are_equal_however_they_are_written() {
        for (a, b) in [
            ("1,080", "1080"),
            ("$1080.00", "1080"),
            ("\\$1{,}080".replace("{,}", ",").as_str(), "1080"),
            ("-7", "−7"),
            (".5", "\\frac12"),
            ("\\dfrac{7}{2}", "3.5"),
            ("-\\frac{14}{4}", "-7/2"),
            ("50\\%", "50"),
            ("36^\\circ", "36"),
            ("12\\text{ cm}", "12"),
            ("x = 5", "5"),
            ("\\text{Evelyn}", "evelyn"),
            ("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\frac{\\pi}{2})"),
            ("p - q", "p-q"),
        ] {
            assert_eq!(Answer::new(a), Answer::new(b), "{a} and {b}");
        }
        for (a, b) in [
            ("1080", "108"),
            ("7", "-7"),
            ("1,2", "12"),
            ("p-q", "p+q"),
            ("1/0", "1"),
            ("3.14", "\\pi"),
        ] {
            assert_ne!(Answer::new(a), Answer::new(b), "{a} and {b}");
        }
    }

    #[test]
    fn an_answer_is_found_by_the_rules() {
        for (text, right, expected) in [
            (" 42.", "42", Some(true)),
            (" $18.\n\nTom has 3 apples", "18", Some(true)),
            (" 12 * 3 = 36 dollars", "36", Some(true)),
            ("\n\n $\\frac{14}{3}$.", "\\frac{14}{3}", Some(true)),
            (" about 1,080 of them", "1080", Some(true)),
            (" 8-15 = -7", "-7", Some(true)),
            (" 8 - 15", "15", Some(true)),
            (" from 3 to 4", "3", Some(false)),
            ("so \\boxed{12}, or 13", "12", Some(true)),
            ("\\boxed{11} no \\boxed{\\frac{1}{2}}", "0.5", Some(true)),
            ("\\boxed{never closed 7", "7", Some(true)),
            (" that there is none", "7", None),
            ("", "7", None),
            (" a piano.", "piano", Some(true)),
            (" Paris, of course", "Paris", Some(true)),
            (" parish", "Paris", Some(false)),
            (" $p - q$", "p-q", Some(true)),
            (" p - q", "p-q", Some(true)),
            (" $5 and $7", "7", Some(true)),
        ] {
            assert_eq!(grades(text, right), expected, "{text:?} for {right}");
        }
    }
}
