//! A recording in place of an engine: what it shows of each lane, step by step.

use std::sync::Arc;

use latent_model::{
    record::StepRecord,
    recording::{RecordedLane, Recording},
    tasks::Task,
    tokenizer::{Tokenizer, TokenizerError},
};

use leptos::prelude::Callback;

use crate::{
    lanes::{LaneRun, Words},
    page_state::PageState,
    run_state::{LaneRecord, RunNumber},
};

/// Leaves a recording, and opens what runs in its place.
#[derive(Clone, Copy)]
pub struct LeaveRecording(pub Callback<()>);

/// Puts the recording of these bytes in place of an engine.
#[derive(Clone, Copy)]
pub struct OpenRecording(pub Callback<Vec<u8>>);

/// A recording with the page that it is shown on.
#[derive(Clone, Debug)]
pub struct Playing {
    /// The recording.
    pub recording: Arc<Recording>,
    /// The page's state that it is of.
    pub state: PageState,
    /// Its vocabulary's, to render answers with.
    pub tokenizer: Arc<Tokenizer>,
}

impl Playing {
    /// A recording of a task's lanes.
    ///
    /// # Errors
    /// If the task's own tokenizer cannot be made, which a test looks after.
    pub fn new(recording: Recording, state: PageState) -> Result<Self, TokenizerError> {
        Ok(Self {
            tokenizer: tokenizer_of(state.task)?.into(),
            recording: recording.into(),
            state,
        })
    }

    /// Each lane before its first step.
    pub fn lanes(&self, run: RunNumber) -> Vec<LaneRun> {
        let lanes = self.recording.header.lanes.iter();
        let lane = |lane: &RecordedLane| LaneRun {
            run,
            program: Some(Arc::new(lane.program.clone())),
            words: Words::Shown(Arc::new(lane.words.clone())),
            mean_embedding_norm: lane.mean_embedding_norm,
            stands_for: lane.stands_for.clone().into(),
            texts: lane.texts.clone().into(),
            engine: lane.engine.clone(),
            ..LaneRun::default()
        };
        lanes.map(lane).collect()
    }

    /// Every lane's records from step `from` on, `n_steps` of them at most, by step, then lane.
    pub fn records(&self, from: u32, n_steps: usize) -> Vec<LaneRecord> {
        let steps = from as usize..(from as usize).saturating_add(n_steps);
        let longest = self.recording.records.iter().map(Vec::len).max();
        let steps = steps.start..steps.end.min(longest.unwrap_or(0));
        let of_step = |step: usize| {
            let lanes = self.recording.records.iter().enumerate();
            lanes.filter_map(move |(lane, records): (usize, &Vec<StepRecord>)| {
                Some((lane, *records.get(step)?))
            })
        };
        steps.flat_map(of_step).collect()
    }

    /// Time that the engine took for a step of all lanes, on average.
    pub fn seconds_a_step(&self) -> f64 {
        let lanes = self.recording.header.lanes.iter();
        let of_lane = lanes.map(|lane| lane.seconds / lane.n_records.max(1) as f64);
        of_lane.fold(0.0, f64::max)
    }
}

fn tokenizer_of(task: Task) -> Result<Tokenizer, TokenizerError> {
    let read = Tokenizer::of_words(&task.tokenizer_json().to_string());
    read.ok_or_else(|| TokenizerError::Format(format!("expected words, of {}", task.name())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use latent_model::{
        program::Feed,
        record::{InputKind, flag},
        recording::Header,
        tasks::NAMED,
    };

    use super::*;
    use crate::{
        catalogue::shipped_catalogue,
        view::test_records::{program, record},
    };

    fn playing(lengths: [usize; 2]) -> Playing {
        let lane = |n_records: usize| RecordedLane {
            model: "a".into(),
            model_sha256: None,
            program: program(Feed::Token),
            engine: "GPU engine".into(),
            seconds: 3.0,
            mean_embedding_norm: 1.0,
            stands_for: Vec::new(),
            words: BTreeMap::from([(2, "terpus".into())]),
            texts: Vec::new(),
            answer: String::new(),
            n_records,
        };
        let records = |n_records: usize| {
            let of = |step: u32| {
                let mut record = record(step, InputKind::Token, 0, &[(2, 1.0, 1.0)]);
                record.flags = if step + 1 == n_records as u32 {
                    flag::DONE
                } else {
                    0
                };
                record
            };
            (0..n_records as u32).map(of).collect()
        };
        let recording = Recording {
            header: Header {
                version: "0".into(),
                address: "seed=2".into(),
                prompt: String::new(),
                lanes: lengths.map(lane).into(),
            },
            records: lengths.map(records).into(),
        };
        let state = PageState::from_hash("seed=2", &shipped_catalogue()).expect("an address");
        Playing::new(recording, state.state).expect("the task's own tokenizer")
    }

    #[test]
    fn steps_come_as_an_engine_gives_them_until_every_lane_is_done() {
        let playing = playing([3, 2]);
        let at = |from, n| -> Vec<(usize, u32)> {
            let records = playing.records(from, n);
            records
                .iter()
                .map(|(lane, record)| (*lane, record.step))
                .collect()
        };
        assert_eq!(at(0, 2), [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert_eq!(at(2, 9), [(0, 2)]);
        assert_eq!(at(3, usize::MAX), []);
        assert_eq!(playing.seconds_a_step(), 1.5);
    }

    #[test]
    fn words_that_were_not_recorded_are_shown_by_their_number() {
        let lanes = playing([1, 1]).lanes(7);
        assert_eq!((lanes[0].run, lanes[0].word(2)), (7, "terpus".to_string()));
        for unknown in [1, 9, u32::MAX] {
            assert_eq!(lanes[0].word(unknown), format!("⟨{unknown}⟩"));
        }
    }

    #[test]
    fn a_word_of_any_id_takes_no_more_room_than_its_own() {
        let mut playing = playing([1, 1]);
        let recording = Arc::make_mut(&mut playing.recording);
        recording.header.lanes[0].words = BTreeMap::from([(u32::MAX, "last".into())]);
        let lanes = playing.lanes(0);
        assert_eq!(lanes[0].word(u32::MAX), "last");
        assert_eq!(lanes[0].words.id("Last"), Some(u32::MAX));
    }

    #[test]
    fn every_task_has_a_tokenizer_to_render_with() {
        for task in NAMED {
            tokenizer_of(*task).expect("the task's own");
        }
    }
}
