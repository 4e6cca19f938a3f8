//! The page's state as signals: what the address holds, and what the controls set.

use latent_model::{catalogue::Catalogue, tasks::Task};
use leptos::prelude::*;

use crate::{
    catalogue::SiteCatalogue,
    default_lanes::default_lanes,
    lanes::Lanes,
    page_state::{EngineChoice, PageState, ProblemChoice, Speed},
    question::Question,
};

/// One signal for each part of [`PageState`], and what follows of them.
#[derive(Clone, Copy)]
pub struct PageSignals {
    /// The task.
    pub task: RwSignal<Task>,
    /// Where the problem comes from.
    pub problem: RwSignal<ProblemChoice>,
    /// What the lanes are asked: the problem that the choice stands for.
    pub question: Memo<Question>,
    /// The lanes.
    pub lanes: Lanes,
    /// Seed of the lanes' random draws.
    pub seed: RwSignal<u32>,
    /// How fast a run is shown.
    pub speed: RwSignal<Speed>,
    /// Which engine runs it.
    pub engine: RwSignal<EngineChoice>,
}

impl PageSignals {
    /// Signals that hold a state.
    pub fn new(state: PageState, site: SiteCatalogue) -> Self {
        let task = RwSignal::new(state.task);
        let problem = RwSignal::new(state.problem);
        let question = Memo::new(move |_| {
            let examples = site.examples;
            problem.with(|choice| {
                examples.with_value(|known| Question::new(task.get(), choice, known))
            })
        });
        Self {
            task,
            problem,
            question,
            lanes: Lanes::new(state.lanes),
            seed: RwSignal::new(state.seed),
            speed: RwSignal::new(state.speed),
            engine: RwSignal::new(state.engine),
        }
    }

    /// The state; tracks all of it.
    pub fn get(self) -> PageState {
        let lanes = self.lanes.choices();
        PageState {
            task: self.task.get(),
            problem: self.problem.get(),
            lanes: lanes.into_iter().map(|lane| lane.normalised()).collect(),
            seed: self.seed.get(),
            speed: self.speed.get(),
            engine: self.engine.get(),
        }
    }

    /// Puts another state in place of all but the engine, which a running page keeps.
    pub fn set(self, state: PageState) {
        self.task.set(state.task);
        self.problem.set(state.problem);
        self.lanes.replace(state.lanes);
        self.seed.set(state.seed);
        self.speed.set(state.speed);
    }

    /// Goes on with another task: its first problem and its default lanes. Problems and checkpoints
    /// belong to a task; seed, speed and engine stay as they are.
    pub fn begin_task(self, task: Task, catalogue: &Catalogue) {
        self.task.set(task);
        self.problem.set(ProblemChoice::FIRST);
        self.lanes.replace(default_lanes(task, catalogue));
    }
}
