//! The lanes on the page: each one's choice and what its run has brought so far.

use std::sync::Arc;

use latent_model::{
    program::Program,
    record::{StepRecord, flag},
    tasks::Grade,
};
use leptos::prelude::*;

use crate::page_state::LaneChoice;

/// Number of a lane for as long as the page is open; never used again after it is removed.
pub type LaneId = u32;

/// What a lane's run has brought so far.
#[derive(Clone, Debug, Default)]
pub struct LaneRun {
    /// The program that runs; `None` before a run.
    pub program: Option<Arc<Program>>,
    /// Every token of its checkpoint by id.
    pub words: Arc<[String]>,
    /// What a thought's norm is compared with.
    pub mean_embedding_norm: f32,
    /// Which engine runs it.
    pub engine: String,
    /// The records so far.
    pub records: Vec<StepRecord>,
    /// The answer so far, as the task's text.
    pub answer: String,
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

    /// The token of this id, as it stands in the vocabulary.
    pub fn word(&self, id: u32) -> String {
        self.words
            .get(id as usize)
            .cloned()
            .unwrap_or_else(|| format!("⟨{id}⟩"))
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

/// How many lanes a page can hold: as many as there are colours that can be told apart.
pub const MAX_LANES: usize = 6;

/// All lanes, in order.
#[derive(Clone, Copy)]
pub struct Lanes {
    list: RwSignal<Vec<Lane>>,
    next_id: StoredValue<LaneId>,
    /// Signals belong to the page, not to the button that made them.
    owner: StoredValue<Owner>,
}

impl Lanes {
    /// Lanes that live as long as the component that calls this.
    pub fn new(choices: Vec<LaneChoice>) -> Self {
        let lanes = Self {
            list: RwSignal::new(Vec::new()),
            next_id: StoredValue::new(0),
            owner: StoredValue::new(Owner::current().unwrap_or_default()),
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

    /// Puts other lanes in place of all.
    pub fn replace(&self, choices: Vec<LaneChoice>) {
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
        let lane = self.owner.get_value().with(|| Lane {
            id,
            colour,
            choice: RwSignal::new(choice),
            run: RwSignal::new(LaneRun::default()),
        });
        self.list.update(|list| list.push(lane));
    }

    /// Removes a lane.
    pub fn remove(&self, id: LaneId) {
        self.list.update(|list| list.retain(|lane| lane.id != id));
    }

    /// Forgets every lane's run.
    pub fn clear_runs(&self) {
        for lane in self.get_untracked() {
            lane.run.set(LaneRun::default());
        }
    }
}
