//! Addresses and names of models, as people type them and as the page needs them.

use super::files::{is_gguf, last_part};
use crate::load::LoadError;

/// What people copy out of their browser, as the address of the files.
pub(super) fn hub_address(typed: &str) -> String {
    let address = typed.trim().trim_end_matches('/');
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let address = address
        .replace("/blob/", "/resolve/")
        .replace("/tree/", "/resolve/");
    let host = "https://huggingface.co/";
    match address.strip_prefix(host) {
        Some(path) if path.split('/').count() == 2 => format!("{address}/resolve/main"),
        _ => address,
    }
}

/// Whether another host may be asked: over https, or on this machine.
pub(super) fn check_address(address: &str) -> Result<(), LoadError> {
    let starts = ["https://", "http://127.0.0.1", "http://localhost"];
    let is_asked = starts.iter().any(|start| address.starts_with(start));
    is_asked.then_some(()).ok_or_else(|| LoadError::Address {
        found: address.into(),
    })
}

/// The host that an address asks; `None` where it cannot be asked.
pub fn host_of(address: &str) -> Option<String> {
    let address = hub_address(address);
    check_address(&address).ok()?;
    let (_, rest) = address.split_once("://")?;
    let host = rest.split('/').next()?;
    (!host.is_empty()).then(|| host.into())
}

pub(super) fn stem(path: &str) -> &str {
    let name = last_part(path);
    match is_gguf(name) {
        true => &name[..name.len() - ".gguf".len()],
        false => name,
    }
}

/// A name that can stand in an address and be a folder.
pub(super) fn plain(name: &str) -> String {
    let kept = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '-',
    };
    let name: String = name.chars().map(kept).collect();
    match name.trim_matches(['.', '-']) {
        "" => "model".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brought::Source;

    #[test]
    fn an_address_is_asked_where_its_files_lie() {
        let files = "https://huggingface.co/a/B-1/resolve/main";
        for typed in [
            "https://huggingface.co/a/B-1",
            " https://huggingface.co/a/B-1/tree/main/ ",
            "https://huggingface.co/a/B-1/resolve/main?download=true",
        ] {
            assert_eq!(hub_address(typed), files, "{typed}");
            let name = Source::Address(typed.into()).name();
            assert_eq!(name.expect("an address"), "B-1");
        }
        let gguf = Source::Address("https://host/x/blob/main/q4_1.gguf".into());
        assert_eq!(gguf.name().expect("an address"), "q4_1");
        assert_eq!(host_of("https://host/x"), Some("host".into()));
        assert_eq!(host_of("http://host/x"), None);
        let error = Source::Address("ftp://x".into()).name().expect_err("no");
        assert!(error.to_string().contains("https://"));
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(plain("Smol LM:2;é"), "Smol-LM-2");
        assert_eq!(plain(".."), "model");
    }
}
