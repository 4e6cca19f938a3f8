//! The lanes on the page: each one's choice and what its run has brought so far.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use latent_model::{
    address::LaneChoice,
    program::Program,
    record::{StepRecord, flag},
    tasks::{Grade, Picture},
    tokenizer::{TextStream, Tokenizer},
    trace::{StepKind, step_kind},
};
use leptos::prelude::*;

use crate::{
    page_state::MAX_LANES,
    question::Question,
    run_state::RunNumber,
    view::{
        lane::LaneView,
        lane_names::{LaneName, lane_names},
    },
};

/// The signals of a lane.
type LaneSignals = (RwSignal<LaneChoice>, RwSignal<LaneRun>);

/// Lanes that are removed before a removed one's signals are another lane's: nobody looks at them by
/// then, for the page holds at most half as many.
const LEFT_ALONE: usize = 2 * MAX_LANES;

/// Number of a lane for as long as the page is open; never used again after it is removed.
pub type LaneId = u32;

/// What a lane's run has brought so far.
#[derive(Clone, Debug, Default)]
pub struct LaneRun {
    /// Tells a lane's runs apart.
    pub run: RunNumber,
    /// The program that runs; `None` before a run.
    pub program: Option<Arc<Program>>,
    /// The tokens of its checkpoint.
    pub words: Words,
    /// What a thought's norm is compared with.
    pub mean_embedding_norm: f32,
    /// The tokens of the problem's written solution that its contemplation tokens stand for, in
    /// order; none where it does not contemplate, or no solution is known.
    pub stands_for: Arc<[u32]>,
    /// Which engine runs it.
    pub engine: String,
    /// The records so far.
    pub records: Vec<StepRecord>,
    /// What is drawn of them.
    pub view: LaneView,
    /// What each record adds to the text, where it is known already: of a recording.
    pub texts: Arc<[String]>,
    /// What was thought so far as text, of a model whose tokens are parts of words; of mixtures the
    /// word that has most of each.
    pub thought: String,
    /// The answer so far, as the task's text.
    pub answer: String,
    /// Tokens that are no whole character yet.
    pub stream: TextStream,
    /// The grader's word, once the lane is done and where the question is a problem.
    pub verdict: Option<Grade>,
    /// Time spent in the engine that this lane shares, pauses left out.
    pub elapsed_secs: f64,
}

impl LaneRun {
    /// Whether the lane has come to its end.
    pub fn is_done(&self) -> bool {
        self.records
            .last()
            .is_some_and(|record| record.has(flag::DONE))
    }

    /// Takes up new records, and grades the answer when the lane is done.
    pub fn append(
        &mut self,
        new: &[StepRecord],
        took_secs: f64,
        question: &Question,
        tokenizer: &Tokenizer,
    ) {
        let Some(program) = self.program.clone().filter(|_| !new.is_empty()) else {
            return;
        };
        self.records.extend_from_slice(new);
        let word = |id| self.words.word(id);
        self.view.append(new, &program, question.task, word);
        self.elapsed_secs += took_secs;
        match question.task.picture() {
            Picture::Text => self.append_text(new, &program, tokenizer),
            _ => self.answer = question.task.render(tokenizer, &self.view.answer),
        }
        if self.is_done() {
            self.verdict = question.grade(&self.answer);
        }
    }

    /// Goes on with what is thought and answered as text, by whole characters.
    fn append_text(&mut self, new: &[StepRecord], program: &Program, tokenizer: &Tokenizer) {
        for record in new {
            let text = match self.texts.get(record.step as usize) {
                Some(text) => text.clone(),
                None if tokenizer.end_tokens().contains(&record.token) => String::new(),
                None => self.stream.push(tokenizer, record.token),
            };
            match step_kind(record, program) {
                StepKind::Answer => self.answer.push_str(&text),
                // What is forced in the place of a stop token is text like any other.
                StepKind::Think | StepKind::Marker | StepKind::Stop => self.thought.push_str(&text),
            }
        }
    }

    /// The number of the last step, as its row shows it; steps are counted from 0.
    pub fn last_step(&self) -> Option<u32> {
        self.records.last().map(|record| record.step)
    }

    /// The token of this id, as it stands in the vocabulary.
    pub fn word(&self, id: u32) -> String {
        self.words.word(id)
    }
}

/// The tokens of a checkpoint as people read them.
#[derive(Clone, Debug)]
pub enum Words {
    /// All of them, by id.
    All(Arc<[String]>),
    /// Those that a recording shows. Its file says which ids they have, and there may be few of them: room
    /// for every id below the last one is not to be had for any file.
    Shown(Arc<BTreeMap<u32, String>>),
}

impl Default for Words {
    fn default() -> Self {
        Self::All(Arc::default())
    }
}

impl Words {
    /// The token of this id; its number where it is not known.
    pub fn word(&self, id: u32) -> String {
        let known = match self {
            Self::All(words) => words.get(id as usize),
            Self::Shown(words) => words.get(&id),
        };
        known.cloned().unwrap_or_else(|| format!("⟨{id}⟩"))
    }

    /// The id of a token that somebody has typed, in letters of either case.
    pub fn id(&self, typed: &str) -> Option<u32> {
        let is_it = |word: &String| word.eq_ignore_ascii_case(typed);
        match self {
            Self::All(words) => words.iter().position(is_it).map(|id| id as u32),
            Self::Shown(words) => words
                .iter()
                .find(|(_, word)| is_it(word))
                .map(|(id, _)| *id),
        }
    }
}

/// One lane: its choice and its run, a signal each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its number.
    pub id: LaneId,
    /// Its colour, dash and marker: an index into the palette.
    pub colour: usize,
    /// How it shall reason.
    pub choice: RwSignal<LaneChoice>,
    /// What came of it; written once per animation frame.
    pub run: RwSignal<LaneRun>,
}

/// All lanes, in order.
#[derive(Clone, Copy)]
pub struct Lanes {
    list: RwSignal<Vec<Lane>>,
    next_id: StoredValue<LaneId>,
    /// Signals belong to the page, not to the button that made them.
    owner: StoredValue<Owner>,
    /// Those of lanes that were removed, the oldest first: signals are never freed, but used again.
    removed: StoredValue<VecDeque<LaneSignals>>,
}

impl Lanes {
    /// Lanes that live as long as the component that calls this.
    pub fn new(choices: Vec<LaneChoice>) -> Self {
        let lanes = Self {
            list: RwSignal::new(Vec::new()),
            next_id: StoredValue::new(0),
            owner: StoredValue::new(Owner::current().unwrap_or_default()),
            removed: StoredValue::new(VecDeque::new()),
        };
        lanes.replace(choices);
        lanes
    }

    /// The lanes; tracks additions and removals only.
    pub fn get(&self) -> Vec<Lane> {
        self.list.get()
    }

    /// The lanes, untracked.
    pub fn get_untracked(&self) -> Vec<Lane> {
        self.list.get_untracked()
    }

    /// Each lane's choice; tracks them all.
    pub fn choices(&self) -> Vec<LaneChoice> {
        self.get().iter().map(|lane| lane.choice.get()).collect()
    }

    /// Each lane's choice, untracked.
    pub fn choices_untracked(&self) -> Vec<LaneChoice> {
        let lanes = self.get_untracked();
        lanes
            .iter()
            .map(|lane| lane.choice.get_untracked())
            .collect()
    }

    /// What a lane is called beside the others; tracks them all.
    pub fn name(&self, lane: Lane) -> LaneName {
        let place = self.get().iter().position(|other| *other == lane);
        let mut names = lane_names(&self.choices());
        match place {
            Some(place) => names.swap_remove(place),
            // It has just been removed, and nobody looks at it for long.
            None => LaneName::default(),
        }
    }

    /// Puts other lanes in place of all.
    pub fn replace(&self, choices: Vec<LaneChoice>) {
        self.get_untracked()
            .into_iter()
            .for_each(|lane| self.retire(lane));
        self.list.set(Vec::new());
        for choice in choices.into_iter().take(MAX_LANES) {
            self.add(choice);
        }
    }

    /// Adds a lane at the end, in the first colour that is free.
    pub fn add(&self, choice: LaneChoice) {
        let used: Vec<usize> = self
            .get_untracked()
            .iter()
            .map(|lane| lane.colour)
            .collect();
        let Some(colour) = (0..MAX_LANES).find(|colour| !used.contains(colour)) else {
            return;
        };
        let id = self.next_id.get_value();
        self.next_id.set_value(id + 1);
        let (choice, run) = self.signals(choice);
        let lane = Lane {
            id,
            colour,
            choice,
            run,
        };
        self.list.update(|list| list.push(lane));
    }

    fn signals(&self, choice: LaneChoice) -> LaneSignals {
        let oldest = |removed: &mut VecDeque<_>| {
            let is_free = removed.len() > LEFT_ALONE;
            is_free.then(|| removed.pop_front()).flatten()
        };
        match self.removed.try_update_value(oldest).flatten() {
            Some((known, run)) => {
                known.set(choice);
                (known, run)
            }
            None => self.owner.get_value().with(|| {
                let run = RwSignal::new(LaneRun::default());
                (RwSignal::new(choice), run)
            }),
        }
    }

    /// Takes a lane's run away, and keeps its signals for another one.
    fn retire(&self, lane: Lane) {
        lane.run.set(LaneRun::default());
        let signals = (lane.choice, lane.run);
        self.removed
            .update_value(|removed| removed.push_back(signals));
    }

    /// Removes a lane. Its signals stay, for those who still look at them, without its run.
    pub fn remove(&self, id: LaneId) {
        let place = self.get_untracked().iter().position(|lane| lane.id == id);
        let Some(place) = place else {
            return;
        };
        self.retire(self.get_untracked()[place]);
        self.list.update(|list| list.retain(|lane| lane.id != id));
        for lane in self.get_untracked() {
            let before = lane.choice.get_untracked();
            let after = before.clone().without_lane(place + 1);
            if after != before {
                lane.choice.set(after);
            }
        }
    }

    /// Forgets every lane's run.
    pub fn clear_runs(&self) {
        for lane in self.get_untracked() {
            lane.run.set(LaneRun::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use latent_model::{
        address::ProblemChoice,
        program::{Feed, Role},
        record::InputKind,
        strategy::{Setting, Strategy},
        tasks::prosqa,
    };

    use super::*;
    use crate::{
        question::AllExamples,
        view::test_records::{phase, record},
    };

    #[test]
    fn lanes_that_come_and_go_take_no_more_signals_than_there_are_lanes() {
        let choice = |seed: u32| {
            let mut choice = LaneChoice::new("a", Strategy::by_name("coconut").expect("a row"));
            choice.settings.set(Setting::Thoughts, 1.0 + seed as f32);
            choice
        };
        Owner::new().with(|| {
            let lanes = Lanes::new(Vec::new());
            let mut signals = Vec::new();
            let mut ids = Vec::new();
            for seed in 0..100 {
                let before = lanes.get_untracked();
                lanes.replace(
                    (0..MAX_LANES as u32)
                        .map(|lane| choice(seed + lane))
                        .collect(),
                );
                lanes.remove(lanes.get_untracked()[1].id);
                let now = lanes.get_untracked();
                assert_eq!(now[1].choice.get_untracked(), choice(seed + 2));
                assert!(now.iter().all(|lane| !lane.run.get_untracked().is_done()));
                for lane in now {
                    assert!(!ids.contains(&lane.id), "never used again");
                    assert!(
                        before.iter().all(|old| old.run != lane.run),
                        "still looked at"
                    );
                    ids.push(lane.id);
                    if !signals.contains(&lane.run) {
                        signals.push(lane.run);
                    }
                }
            }
            assert!(
                signals.len() <= LEFT_ALONE + 2 * MAX_LANES,
                "{}",
                signals.len()
            );
        });
    }

    #[test]
    fn a_lane_is_graded_when_it_is_done_and_its_last_step_is_its_last_row() {
        let question = Question::new(prosqa::TASK, &ProblemChoice::FIRST, &AllExamples::default());
        let vocabulary = prosqa::TASK.vocabulary();
        let tokenizer = Tokenizer::from_json(&prosqa::TASK.tokenizer_json().to_string());
        let tokenizer = tokenizer.expect("the task's own");
        let mark = vocabulary.iter().position(|word| word == "###");
        let mark = mark.expect("the answer's mark") as u32;
        let problem = question.problem.as_ref().expect("it is drawn");
        let mut ids = vec![mark];
        ids.extend(problem.answer_tokens());
        let kept = ids.iter().zip(0..).map(|(&id, step)| {
            let mut record = record(step, InputKind::Token, 0, &[(id, 1.0, 1.0)]);
            record.flags = if step + 1 == ids.len() as u32 {
                flag::DONE
            } else {
                0
            };
            record
        });
        let records: Vec<_> = kept.collect();
        let mut run = LaneRun {
            program: Some(Arc::new(Program {
                start: Vec::new(),
                phases: vec![phase(Role::Answer, Feed::Token)],
            })),
            words: Words::All(vocabulary.into()),
            ..LaneRun::default()
        };
        assert_eq!(run.last_step(), None);
        let (last, before) = records.split_last().expect("an answer has words");
        run.append(before, 0.5, &question, &tokenizer);
        assert_eq!((run.verdict, run.is_done()), (None, false));
        run.append(&[*last], 0.25, &question, &tokenizer);
        assert_eq!(run.answer, format!("### {}", problem.answer()));
        assert_eq!((run.verdict, run.is_done()), (Some(Grade::Right), true));
        assert_eq!(run.elapsed_secs, 0.75);
        assert_eq!(run.last_step(), run.view.rows.last().map(|row| row.step));
        assert_eq!(run.last_step(), Some(last.step));
    }
}
