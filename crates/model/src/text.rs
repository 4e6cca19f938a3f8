//! Text from other systems: byte order marks and line ends.

use std::borrow::Cow;

/// Bytes that are no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected UTF-8 text, found other bytes from byte {position} on")]
pub struct NotText {
    /// The first byte that is not UTF-8.
    pub position: usize,
}

/// The text of a file: UTF-8, or UTF-16 with its byte order mark, cleaned by [`clean`].
///
/// Every reader of a text file goes through this or through [`clean`].
///
/// # Errors
/// If the bytes are neither.
pub fn decode(bytes: &[u8]) -> Result<String, NotText> {
    let utf16 = |from_bytes: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..]
            .chunks(2)
            .map(|pair| from_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))
            .collect();
        String::from_utf16(&units).map_err(|_| NotText { position: 2 })
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => Cow::from(utf16(u16::from_le_bytes)?),
        [0xfe, 0xff, ..] => Cow::from(utf16(u16::from_be_bytes)?),
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|error| NotText {
                position: error.valid_up_to(),
            })?;
            Cow::from(text)
        }
    };
    Ok(clean(&text).into_owned())
}

/// The text without its byte order mark, and with `\n` for every line end: `\r\n` of Windows and
/// `\r` of old Macs.
pub fn clean(text: &str) -> Cow<'_, str> {
    let text = strip_bom(text);
    match text.contains('\r') {
        true => text.replace("\r\n", "\n").replace('\r', "\n").into(),
        false => text.into(),
    }
}

/// The text without its byte order mark: all that JSON and TOML need, for which `\r` is a space.
pub fn strip_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_other_systems_reads_like_our_own() {
        let expected = "{\n\"é\": 1\n}\n\n";
        let windows = "{\r\n\"é\": 1\r\n}\r\n\r\n";
        assert_eq!(clean(&format!("\u{feff}{windows}")), expected);
        assert_eq!(clean(&windows.replace('\n', "")), expected);
        assert!(matches!(clean(expected), Cow::Borrowed(_)));
        let units = "\u{feff}".encode_utf16().chain(windows.encode_utf16());
        let little: Vec<u8> = units.clone().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
        let marked = format!("\u{feff}{windows}").into_bytes();
        for bytes in [windows.as_bytes(), &marked, &little, &big] {
            assert_eq!(decode(bytes).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        for (bytes, position) in [(&b"ab\xff"[..], 2), (b"\xff\xfe\x00\xd8", 2)] {
            let error = decode(bytes).expect_err("no text");
            assert_eq!(error.position, position);
        }
        assert_eq!(decode(b""), Ok(String::new()));
    }
}
