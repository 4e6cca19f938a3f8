//! Text as tokens: words, and numbers digit by digit.

use std::fmt;

use super::{Problem, Step};
use crate::tasks::MARKERS;

/// Characters that are tokens of their own wherever they stand.
const SINGLE: &str = "0123456789+-*/=().?";

impl Problem {
    /// The right answer as text.
    pub fn answer(&self) -> String {
        self.answer.to_string()
    }

    /// The steps as text, `<<48/2=24>>`.
    pub fn steps(&self) -> Vec<String> {
        self.steps.iter().map(Step::to_string).collect()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<<{}={}>>", self.expression, self.result)
    }
}

/// Splits a text as the tokenizer does: at spaces, and around digits, signs and markers.
pub fn pieces(text: &str) -> Vec<&str> {
    text.split_whitespace().flat_map(pieces_of_chunk).collect()
}

fn pieces_of_chunk(chunk: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = chunk;
    while !rest.is_empty() {
        // A word goes on until something begins that is a piece of its own.
        let starts = rest.char_indices().map(|(start, _)| start);
        let own_piece = |start: usize| piece_at_start(&rest[start..]).map(|len| (start, len));
        let (start, length) = starts
            .into_iter()
            .find_map(own_piece)
            .unwrap_or((rest.len(), 0));
        pieces.extend((start > 0).then_some(&rest[..start]));
        pieces.extend((length > 0).then_some(&rest[start..start + length]));
        rest = &rest[start + length..];
    }
    pieces
}

/// The length of the digit, sign or marker that a text begins with.
fn piece_at_start(text: &str) -> Option<usize> {
    let long = MARKERS.into_iter().chain(["<<", ">>"]);
    let single = text.chars().next().filter(|&c| SINGLE.contains(c));
    let mut long = long.filter(|&token| text.starts_with(token));
    long.next().map(str::len).or(single.map(char::len_utf8))
}

/// Tokens as text: digits join to numbers, and a step is printed without spaces.
pub(super) fn render(tokens: &[&str]) -> String {
    let is_digit = |token: &str| token.len() == 1 && token.as_bytes()[0].is_ascii_digit();
    let mut text = String::new();
    let mut previous = "";
    let mut is_in_step = false;
    for &token in tokens {
        let joins = is_in_step
            || matches!(token, "." | "?")
            || is_digit(token) && (is_digit(previous) || previous == "-");
        if !text.is_empty() && !joins {
            text.push(' ');
        }
        text.push_str(token);
        match token {
            "<<" => is_in_step = true,
            ">>" | "###" | "</think>" => is_in_step = false,
            _ => {}
        }
        previous = token;
    }
    text
}

/// What a tokenizer replaces, in this order: a regular expression and what comes in its place.
/// Numbers fall apart into digits, and signs stand by themselves.
pub(super) fn normalizer() -> Vec<(String, &'static str)> {
    SPACED
        .into_iter()
        .map(|[pattern, content]| (pattern.into(), content))
        .collect()
}

const SPACED: [[&str; 2]; 22] = [
    ["0", " 0 "],
    ["1", " 1 "],
    ["2", " 2 "],
    ["3", " 3 "],
    ["4", " 4 "],
    ["5", " 5 "],
    ["6", " 6 "],
    ["7", " 7 "],
    ["8", " 8 "],
    ["9", " 9 "],
    [r"\+", " + "],
    ["-", " - "],
    [r"\*", " * "],
    ["/", " / "],
    ["=", " = "],
    [r"\(", " ( "],
    [r"\)", " ) "],
    [r"\.", " . "],
    [r"\?", " ? "],
    ["<<", " << "],
    [">>", " >> "],
    ["###", " ### "],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_falls_apart_into_tokens_and_comes_back() {
        let text = "Tom has 48 pens. <think> <<48/2=24>> <<(24+1)*2=50>> </think> ### -50 <eos>";
        let tokens = [
            "Tom", "has", "4", "8", "pens", ".", "<think>", "<<", "4", "8", "/", "2", "=", "2",
            "4", ">>", "<<", "(", "2", "4", "+", "1", ")", "*", "2", "=", "5", "0", ">>",
            "</think>", "###", "-", "5", "0", "<eos>",
        ];
        assert_eq!(pieces(text), tokens);
        assert_eq!(render(&tokens), text);
        assert_eq!(
            pieces("a<bot><eot>é?###5"),
            ["a", "<bot>", "<eot>", "é", "?", "###", "5"]
        );
        assert_eq!(render(&["<<", "3", "###", "5"]), "<<3### 5");
    }
}
