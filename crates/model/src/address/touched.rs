//! What chats, mails and wikis do to a link on its way, undone as far as it can be told.
//!
//! An address as it is written has none of what is looked for here, so it stays as it is.

use percent_encoding::percent_decode_str;

use super::KEYS;

/// Brackets, quotes and marks around a link; no address begins or ends with them.
const AROUND: &[char] = &[
    '(', ')', '[', ']', '{', '}', '<', '>', '"', '\'', '`', ',', ';', '!', '*', '~', '|', '“', '”',
    '„', '‘', '’', '‚', '«', '»', '‹', '›', '…', '、', '。', '）', '】', '」',
];
/// Characters that may end an address, and may as well end the sentence around it.
const SENTENCE_ENDS: [char; 5] = ['.', '?', '_', '-', ':'];
/// Where one of these stands, the link has ended and its surroundings follow.
const ENDS_LINK: &[char] = &['<', '>', '"', '|', '`'];
/// HTML's names for characters, as they stand in a page's source.
const ENTITIES: &[(&str, &str)] = &[
    ("&amp;", "&"),
    ("&#38;", "&"),
    ("&#x26;", "&"),
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&apos;", "'"),
    ("&#39;", "'"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&nbsp;", " "),
];
/// Keys that sites add to links that they pass on.
const TRACKING: [&str; 4] = ["utm_", "fbclid=", "gclid=", "mc_cid="];
const TYPED: &str = "problem=text:";

/// Whether a character is none of an address: white space, or of no width.
pub fn is_foreign(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{fe0f}' | '\u{feff}'
        )
}

/// The address without what was put between and around its characters.
pub fn tidied(text: &str) -> String {
    let mut text = with_large_escapes(text);
    while escapes_are_escaped(&text) {
        let decoded = decoded(&text);
        if decoded == text {
            break;
        }
        text = with_large_escapes(&decoded);
    }
    text = without_soft_breaks(&text);
    // An ampersand may have been written as an entity more than once.
    while let Some((entity, character)) = ENTITIES.iter().find(|(name, _)| text.contains(name)) {
        text = text.replace(entity, character);
    }
    // As they stand behind a separator.
    for key in KEYS {
        for separator in ["%26amp%3B", "%26amp;", "%26"] {
            text = text.replace(&format!("{separator}{key}="), &format!("&{key}="));
        }
    }
    text = text.replace("problem=text%3A", TYPED);
    text = text
        .replace('\\', "")
        .replace(['\u{2010}', '\u{2011}'], "-");
    let text = text.trim_matches(is_around);
    let text = text.split(ENDS_LINK).next().unwrap_or_default();
    let text = text.replace("?utm_", "&utm_");
    let parts = text.split('&').filter(|part| !is_tracking(part));
    let parts: Vec<String> = parts.map(tidied_part).collect();
    parts.join("&").trim_matches(is_around).to_string()
}

/// Without the end of the sentence that the address may stand in: for an address that cannot be
/// understood with it.
pub fn without_sentence(text: &str) -> &str {
    text.trim_end_matches(|end| SENTENCE_ENDS.contains(&end) || is_around(end))
}

/// One layer of percent-escapes undone: of the whole where no part can be told from another, else
/// of every part but a typed text, whose own escapes these may be.
pub fn unescaped_once(text: &str) -> String {
    if !text.contains('=') {
        return decoded(text);
    }
    let part = |part: &str| match part.starts_with(TYPED) {
        true => part.to_string(),
        false => decoded(part),
    };
    let parts: Vec<String> = text.split('&').map(part).collect();
    parts.join("&")
}

/// With the escapes' digits as they are written, `%3A` and not `%3a`.
fn with_large_escapes(text: &str) -> String {
    let mut n_digits = 0;
    let large = |character: char| {
        n_digits = match character {
            '%' => 2,
            _ if n_digits > 0 && character.is_ascii_hexdigit() => {
                n_digits -= 1;
                return character.to_ascii_uppercase();
            }
            _ => 0,
        };
        character
    };
    text.chars().map(large).collect()
}

/// Whether `%25` stands before two hexadecimal digits, which is written nowhere.
fn escapes_are_escaped(text: &str) -> bool {
    let after = text.match_indices("%25").map(|(at, _)| &text[at + 3..]);
    let is_hex = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    after.into_iter().any(is_hex)
}

/// Without quoted-printable's line ends, and with its `=3D` as what it stands for.
fn without_soft_breaks(text: &str) -> String {
    let text = text.replace("=\r\n", "").replace("=\n", "");
    let n_equals = text.matches('=').count();
    match n_equals > 0 && text.matches("=3D").count() == n_equals {
        true => text.replace("=3D", "="),
        false => text,
    }
}

fn is_around(character: char) -> bool {
    AROUND.contains(&character) || is_foreign(character)
}

fn is_tracking(part: &str) -> bool {
    TRACKING.iter().any(|key| part.starts_with(key))
}

fn tidied_part(part: &str) -> String {
    let is_foreign_here: fn(char) -> bool = match part.trim_start().strip_prefix(TYPED) {
        // Nobody has escaped this text, so its spaces are its own.
        Some(text) if !text.contains('%') && !text.contains('+') => {
            return part.trim_matches(is_foreign).to_string();
        }
        _ => is_foreign,
    };
    let tidy = part.replace(is_foreign_here, "");
    match tidy.strip_prefix(TYPED) {
        // A form's way to write a space; a plus of the text's own is escaped.
        Some(text) if !text.contains("%20") => format!("{TYPED}{}", text.replace('+', "%20")),
        _ => tidy,
    }
}

/// Percent-escapes undone; as it was where that is no text.
fn decoded(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_or_else(|_| text.to_string(), |text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::super::{Address, AddressError, tests::any_address};
    use super::*;

    /// What JavaScript's `encodeURI` escapes, as far as an address has it.
    const URI: &AsciiSet = &CONTROLS.add(b'%').add(b' ').add(b'"').add(b'<').add(b'>');

    const DRAWN: &str = "problem=class:8&lanes=prosqa-cot:soft,max_think=72,top_p=0.9;\
                         prosqa-unified:coconut&seed=2&speed=max";
    const TYPED_TEXT: &str = "task=prontoqa&problem=text:Fae%20is%20a%20wumpus.%20True%20or%20\
                              false%3A%20Fae%20is%20100%25%20red%20%26%20so%20on.&lanes=a:soft&seed=1";

    fn read(text: &str) -> Result<Address, AddressError> {
        text.parse()
    }

    fn escaped(text: &str) -> String {
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
    }

    #[test]
    fn a_link_that_a_chat_a_mail_or_a_wiki_has_touched_is_understood() {
        for link in [DRAWN, TYPED_TEXT] {
            let expected = read(link).expect(link);
            let middle = link.find("&lanes").expect("every link has lanes") + 9;
            let (head, tail) = link.split_at(middle);
            let last = escaped("&seed=");
            let touched = [
                ("escaped", escaped(link)),
                ("escaped twice", escaped(&escaped(link))),
                (
                    "as encodeURI does",
                    utf8_percent_encode(link, URI).to_string(),
                ),
                (
                    "separators escaped",
                    link.replace(':', "%3A").replace([';'], "%3B"),
                ),
                (
                    "separators escaped in small letters",
                    link.replace(':', "%3a").replace('&', "%26"),
                ),
                ("commas escaped", link.replace(',', "%2C")),
                ("an ampersand escaped", link.replace("&seed=", &last)),
                (
                    "an ampersand half escaped",
                    link.replace("&seed", "%26seed"),
                ),
                ("a full stop", format!("{link}.")),
                ("an escaped full stop and quote", format!("{link}%2E%22")),
                ("a comma", format!("{link},")),
                ("a bracket", format!("({link})")),
                ("a bracket and a stop", format!("{link}).")),
                ("quotes", format!("“{link}”")),
                ("an escaped quote", format!("{link}%E2%80%9D")),
                ("Markdown", format!("**<{link}>**")),
                (
                    "Markdown's escapes",
                    link.replace('_', "\\_").replace('-', "\\-"),
                ),
                ("HTML", link.replace('&', "&amp;")),
                ("HTML twice", link.replace('&', "&amp;amp;")),
                ("HTML, then escaped", escaped(&link.replace('&', "&amp;"))),
                ("an anchor's end", format!("{link}\">the run</a>")),
                ("an entity behind it", format!("{link}&quot;&gt;")),
                ("a chat's label", format!("<{link}|the run>")),
                ("a soft line break", format!("{head}=\r\n{tail}")),
                ("quoted-printable", {
                    let quoted = link.replace('=', "=3D");
                    let (head, tail) = quoted.split_at(quoted.find("lanes").expect("lanes"));
                    format!("{head}=\r\n{tail}")
                }),
                (
                    "a line break and indentation",
                    format!("{head}\r\n    {tail}"),
                ),
                ("an escaped line break", format!("{head}%0D%0A{tail}")),
                (
                    "zero-width characters",
                    format!("\u{feff}{head}\u{200b}{tail}\u{200b}"),
                ),
                (
                    "an escaped zero-width character",
                    format!("{head}%E2%80%8B{tail}"),
                ),
                ("a soft hyphen", format!("{head}\u{ad}{tail}")),
                ("hyphens that do not break", link.replace('-', "\u{2011}")),
                ("tracking", format!("{link}&utm_source=mail&fbclid=x")),
                ("the whole address", format!("https://host/a/?b=c#{link}")),
            ];
            for (what, touched) in touched {
                let found = read(&touched).unwrap_or_else(|e| panic!("{what}: {touched}: {e}"));
                assert_eq!(found, expected, "{what}: {touched}");
            }
        }
    }

    /// A fuzzer found the name of a recording.
    #[test]
    fn what_begins_as_an_escape_of_mails_is_told_from_one() {
        for written in [
            "play=%33D3%20%2F0",
            "lanes=%33Da:soft",
            "lanes=%33Da:compose,name=%33Db,parts=words-3",
        ] {
            let found = read(written).expect(written);
            assert_eq!(found.to_string(), written);
            let by_mail = read(&written.replace('=', "=3D")).expect(written);
            assert_eq!(by_mail, found);
        }
    }

    #[test]
    fn a_form_writes_spaces_as_plus_signs() {
        let form = read("problem=text:Fae+is+red.&lanes=a:soft").expect("understood");
        let ours = read("problem=text:Fae%20is%20red.&lanes=a:soft").expect("understood");
        assert_eq!(form, ours);
        let sum = read("problem=text:3%20%2B%204&lanes=a:soft").expect("understood");
        assert!(format!("{sum:?}").contains("3 + 4"), "{sum:?}");
    }

    #[test]
    fn a_text_that_nobody_has_escaped_keeps_its_spaces() {
        let raw = read(" problem=text:Fae is red. &lanes=a:soft").expect("understood");
        let ours = read("problem=text:Fae%20is%20red.&lanes=a:soft").expect("understood");
        assert_eq!(raw, ours);
    }

    proptest! {
        #[test]
        fn what_is_written_stays_as_it_is(address in any_address()) {
            let written = address.to_string();
            prop_assert_eq!(tidied(&written), written);
        }

        #[test]
        fn any_address_may_be_escaped_and_put_between_brackets(
            address in any_address(),
            n_escapings in 0..3_usize,
            around in prop::sample::select(vec![("", ""), ("(", ")"), ("<", ">"), ("\"", "\","), ("\u{200b}", "\u{200b}")]),
        ) {
            let mut touched = address.to_string();
            for _ in 0..n_escapings {
                touched = escaped(&touched);
            }
            let touched = format!("{}{touched}{}", around.0, around.1);
            let found = read(&touched).map_err(|e| TestCaseError::fail(format!("{touched}: {e}")))?;
            prop_assert_eq!(found, address, "{}", touched);
        }
    }
}
