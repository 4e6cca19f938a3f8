//! Whatever the bytes are, every reader of files of others gives what they hold or an error, and
//! takes memory in proportion to them. The bytes are changed files of the fuzz targets' corpora.

#[path = "common/allocator.rs"]
mod allocator;
#[path = "../../../fuzz/src/lib.rs"]
#[allow(missing_docs)]
mod fuzz;

use std::fs;

use allocator::most_held;
use fuzz::TARGETS;
use proptest::prelude::*;

/// What a reader may hold of a file of `n` bytes: JSON and templates grow by two orders of
/// magnitude in memory, and some things are there whatever the file is.
fn allowed(n: usize) -> usize {
    (8 << 20) + 256 * n
}

/// Files of a target's corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    let read = |path| fs::read(path).expect("a file of the corpus");
    paths.into_iter().map(read).collect()
}

/// A change of a file.
#[derive(Clone, Debug)]
enum Change {
    /// A byte becomes another one.
    Byte(usize, u8),
    /// Eight bytes become as large as they can be.
    Ones(usize),
    /// The next number that is written in digits becomes large.
    Number(usize),
    /// What is behind a place is gone.
    Cut(usize),
    /// A stretch stands there twice.
    Twice(usize, usize),
}

fn changed(mut bytes: Vec<u8>, change: &Change) -> Vec<u8> {
    let n = bytes.len();
    if n == 0 {
        return bytes;
    }
    match *change {
        Change::Byte(place, byte) => bytes[place % n] = byte,
        Change::Ones(place) => bytes[place % n..]
            .iter_mut()
            .take(8)
            .for_each(|b| *b = 0xff),
        Change::Number(place) => {
            let place = place % n;
            let is_digit = u8::is_ascii_digit;
            if let Some(further) = bytes[place..].iter().position(is_digit) {
                let start = place + further;
                let length = bytes[start..].iter().take_while(|b| is_digit(b)).count();
                bytes.splice(start..start + length, *b"4294967295");
            }
        }
        Change::Cut(place) => bytes.truncate(place % n),
        Change::Twice(place, length) => {
            let (start, end) = (place % n, (place % n + length % 64).min(n));
            let stretch = bytes[start..end].to_vec();
            bytes.splice(start..start, stretch);
        }
    }
    bytes
}

fn change() -> impl Strategy<Value = Change> {
    let place = || any::<usize>();
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(place, byte)| Change::Byte(place, byte)),
        place().prop_map(Change::Ones),
        place().prop_map(Change::Number),
        place().prop_map(Change::Cut),
        (place(), place()).prop_map(|(place, length)| Change::Twice(place, length)),
    ]
}

fn assert_read(target: &str, read: fn(&[u8]), bytes: &[u8]) {
    let held = most_held(|| read(bytes));
    let (n, most) = (bytes.len(), allowed(bytes.len()));
    assert!(
        held <= most,
        "{target}: {held} bytes held for a file of {n}, at most {most} expected"
    );
}

#[test]
fn whole_files_of_every_corpus_are_read() {
    for (target, read) in TARGETS {
        let files = corpus(target);
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            assert_read(target, read, &file);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn changed_files_are_read_or_refused(
        changes in prop::collection::vec(change(), 1..4),
        which in any::<prop::sample::Index>(),
    ) {
        for (target, read) in TARGETS {
            let files = corpus(target);
            let file = which.get(&files).clone();
            let bytes = changes.iter().fold(file, changed);
            assert_read(target, read, &bytes);
        }
    }
}
