//! Recordings: a finished run as one small file, which plays back without a model or an engine.
//!
//! A line that says what the file is, a line of JSON with all that is known of the run, then every
//! lane's records as they are in memory, little-endian, lane after lane.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    program::{MAX_KEPT, Program, ProgramError},
    record::{StepRecord, flag},
};

/// The first line; its number is that of the layout.
const MAGIC: &str = "latent-recording 1";

/// Bytes of a record in the file.
const RECORD_BYTES: usize = size_of::<StepRecord>();

/// A run with all that is needed to show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What ran.
    pub header: Header,
    /// Each lane's records, in order.
    pub records: Vec<Vec<StepRecord>>,
}

/// What a run was of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the program that recorded it.
    pub version: String,
    /// The set-up, as an address holds it.
    pub address: String,
    /// What the lanes were given, as text.
    pub prompt: String,
    /// One for each lane, in order.
    pub lanes: Vec<RecordedLane>,
}

/// One lane of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedLane {
    /// Name of the checkpoint.
    pub model: String,
    /// SHA-256 of its weights' file, where that was known.
    pub model_sha256: Option<String>,
    /// What it ran.
    pub program: Program,
    /// Description of the engine.
    pub engine: String,
    /// Time in the engine.
    pub seconds: f64,
    /// Mean norm of the rows of the embedding table.
    pub mean_embedding_norm: f32,
    /// The tokens that its contemplation tokens stand for.
    pub stands_for: Vec<u32>,
    /// Every token that its records name, as it is shown.
    pub words: BTreeMap<u32, String>,
    /// What each of its records adds to its text, where the text is not one of a task's words:
    /// tokens may be parts of characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
    /// The answer as the task's text.
    pub answer: String,
    /// How many records it has.
    pub n_records: usize,
}

/// A file that is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Another file, or another layout.
    #[error("expected a file that begins with {MAGIC:?}, found {found:?}")]
    Magic {
        /// Its beginning.
        found: String,
    },
    /// The header cannot be read.
    #[error("the recording's header: {reason}")]
    Header {
        /// The parser's words.
        reason: serde_json::Error,
    },
    /// The file is cut short, or has something behind its end.
    #[error("expected {expected} bytes of records, found {found}")]
    Length {
        /// As the header says.
        expected: usize,
        /// As the file has.
        found: usize,
    },
    /// A program that no engine could have run.
    #[error("lane {lane}: {reason}")]
    Program {
        /// The lane's place, counted from 1.
        lane: usize,
        /// What is wrong.
        reason: ProgramError,
    },
    /// A record that no engine could have made.
    #[error("lane {lane}, record {index}: expected {expected}, found {found}")]
    Record {
        /// The lane's place, counted from 1.
        lane: usize,
        /// The record's, counted from 0.
        index: usize,
        /// What must stand there.
        expected: &'static str,
        /// What does.
        found: u32,
    },
}

impl RecordedLane {
    /// The tokens that records name.
    pub fn tokens(records: &[StepRecord]) -> impl Iterator<Item = u32> {
        let of = |record: &StepRecord| {
            let kept: Vec<u32> = record.kept().map(|kept| kept.id).collect();
            kept.into_iter().chain([record.token])
        };
        records.iter().flat_map(of)
    }
}

impl Recording {
    /// The file.
    ///
    /// # Errors
    /// If a number of the header cannot stand in JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RecordingError> {
        let header = serde_json::to_string(&self.header)
            .map_err(|reason| RecordingError::Header { reason })?;
        let mut bytes = format!("{MAGIC}\n{header}\n").into_bytes();
        for word in self.records.iter().flatten().flat_map(words_of) {
            bytes.extend(word.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Reads a file and checks that it can be shown.
    ///
    /// # Errors
    /// If it is no recording, is cut short, or holds what no engine makes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordingError> {
        let (magic, rest) = line(bytes);
        if magic != MAGIC.as_bytes() {
            let shown = &magic[..magic.len().min(MAGIC.len())];
            let found = String::from_utf8_lossy(shown).into_owned();
            return Err(RecordingError::Magic { found });
        }
        let (header, rest) = line(rest);
        let header: Header =
            serde_json::from_slice(header).map_err(|reason| RecordingError::Header { reason })?;
        let lengths = header.lanes.iter().map(|lane| lane.n_records);
        let n_records = lengths.fold(0, usize::saturating_add);
        let expected = n_records.saturating_mul(RECORD_BYTES);
        let found = rest.len();
        if found != expected {
            return Err(RecordingError::Length { expected, found });
        }
        let mut rest = rest;
        let mut records = Vec::new();
        for (lane, number) in header.lanes.iter().zip(1..) {
            let (own, others) = rest.split_at(lane.n_records * RECORD_BYTES);
            let own: Vec<StepRecord> = own.chunks_exact(RECORD_BYTES).map(record).collect();
            check(lane, number, &own)?;
            records.push(own);
            rest = others;
        }
        Ok(Self { header, records })
    }
}

/// A line without its end, and what follows.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// A record is numbers of four bytes each.
fn words_of(record: &StepRecord) -> Vec<u32> {
    bytemuck::cast_slice(std::slice::from_ref(record)).to_vec()
}

fn record(bytes: &[u8]) -> StepRecord {
    let mut record: StepRecord = bytemuck::Zeroable::zeroed();
    let words: &mut [u32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut record));
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    record
}

/// Whether what is drawn of a lane's records finds all that it looks for.
fn check(lane: &RecordedLane, number: usize, records: &[StepRecord]) -> Result<(), RecordingError> {
    // Which vocabulary it was is not known; every token that is shown has its word.
    let program = lane.program.validate(usize::MAX);
    program.map_err(|reason| RecordingError::Program {
        lane: number,
        reason,
    })?;
    for (record, index) in records.iter().zip(0..) {
        let wrong = |expected, found| RecordingError::Record {
            lane: number,
            index,
            expected,
            found,
        };
        if record.step as usize != index {
            return Err(wrong("steps that count up from 0", record.step));
        }
        if record.phase as usize >= lane.program.phases.len() {
            return Err(wrong("a phase of the program", record.phase));
        }
        if record.n_kept as usize > MAX_KEPT {
            return Err(wrong("at most 32 kept tokens", record.n_kept));
        }
        if record.has(flag::DONE) != (index + 1 == records.len()) {
            return Err(wrong("a run that ends with its last record", record.flags));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        program::{Adapter, Feed, Phase, Role, Sampler, Until},
        record::InputKind,
    };

    fn program() -> Program {
        Program {
            start: vec![3],
            phases: vec![Phase {
                role: Role::Answer,
                feed: Feed::Token,
                sampler: Sampler::GREEDY,
                until: Until::steps(9),
                then_force: Vec::new(),
                adapter: Adapter::Base,
            }],
        }
    }

    fn any_record() -> impl Strategy<Value = StepRecord> {
        (any::<[u32; 5]>(), any::<[f32; 6]>(), 0..=MAX_KEPT).prop_map(|(ids, numbers, n_kept)| {
            let mut record: StepRecord = bytemuck::Zeroable::zeroed();
            record.token = ids[0];
            record.position = ids[1];
            record.input = InputKind::Concept as u32;
            record.n_kept = n_kept as u32;
            record.entropy = numbers[0];
            record.hidden_norm = numbers[1];
            record.ids[..3].copy_from_slice(&ids[2..]);
            record.probs[MAX_KEPT - 2..].copy_from_slice(&numbers[2..4]);
            record.weights[..2].copy_from_slice(&numbers[4..]);
            record
        })
    }

    fn recording(mut lanes: Vec<Vec<StepRecord>>) -> Recording {
        for (lane, records) in lanes.iter_mut().enumerate() {
            let n_records = records.len();
            for (step, record) in records.iter_mut().enumerate() {
                (record.lane, record.step) = (lane as u32, step as u32);
                record.flags = if step + 1 == n_records { flag::DONE } else { 0 };
            }
        }
        let lane = |records: &Vec<StepRecord>| RecordedLane {
            model: "a".into(),
            model_sha256: Some("00ff".into()),
            program: program(),
            engine: "Reference engine on the CPU".into(),
            seconds: 0.25,
            mean_embedding_norm: 1.5,
            stands_for: vec![7],
            words: BTreeMap::from([(3, "<think>".into()), (9, "\"ü\n".into())]),
            texts: vec!["né".into(), String::new()],
            answer: "### Tom is a terpus.".into(),
            n_records: records.len(),
        };
        Recording {
            header: Header {
                version: "0.1.0".into(),
                address: "problem=class:29&lanes=a:coconut".into(),
                prompt: "Tom is a terpus.\nIs Tom?".into(),
                lanes: lanes.iter().map(lane).collect(),
            },
            records: lanes,
        }
    }

    fn bits(recording: &Recording) -> Vec<Vec<u32>> {
        recording.records.iter().flatten().map(words_of).collect()
    }

    proptest! {
        #[test]
        fn a_recording_is_read_as_it_was_written_to_the_bit(
            lanes in prop::collection::vec(prop::collection::vec(any_record(), 0..5), 0..4),
        ) {
            let written = recording(lanes);
            let bytes = written.to_bytes().expect("JSON holds it");
            let read = Recording::from_bytes(&bytes).expect("its own bytes");
            prop_assert_eq!(&read.header, &written.header);
            // Bits, for NaN is not equal to itself.
            prop_assert_eq!(bits(&read), bits(&written));
        }

        #[test]
        fn no_bytes_make_it_panic(cut in 0..2000_usize, at in 0..2000_usize, byte in any::<u8>()) {
            let written = recording(vec![vec![bytemuck::Zeroable::zeroed(); 2]]);
            let mut bytes = written.to_bytes().expect("JSON holds it");
            let n_bytes = bytes.len();
            bytes[at % n_bytes] = byte;
            bytes.truncate(n_bytes.min(cut));
            let _ = Recording::from_bytes(&bytes);
        }
    }

    #[test]
    fn what_is_no_recording_says_what_was_expected() {
        let text = |bytes: &[u8]| Recording::from_bytes(bytes).expect_err("none").to_string();
        assert!(text(b"<!DOCTYPE html>").contains("latent-recording 1"));
        assert!(text(b"latent-recording 1\n{}\n").contains("missing field"));
        let whole = recording(vec![vec![bytemuck::Zeroable::zeroed()]]);
        let bytes = whole.to_bytes().expect("JSON holds it");
        assert!(
            text(&bytes[..bytes.len() - 1]).contains("expected 440 bytes of records, found 439")
        );
        let mut other = whole.clone();
        other.records[0][0].phase = 1;
        let bytes = other.to_bytes().expect("JSON holds it");
        assert!(
            text(&bytes).contains("lane 1, record 0: expected a phase of the program, found 1")
        );
        let mut other = whole;
        other.records[0][0].n_kept = 33;
        let bytes = other.to_bytes().expect("JSON holds it");
        assert!(text(&bytes).contains("at most 32"));
    }
}
