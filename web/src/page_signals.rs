//! The page's state as signals: what the address holds, and what the controls set.

use std::collections::BTreeMap;

use latent_model::{address::ArenaChoice, catalogue::Catalogue, tasks::Task};
use leptos::prelude::*;

use crate::{
    catalogue::SiteCatalogue,
    default_lanes::default_lanes,
    focus::{Cursor, Focus},
    lanes::Lanes,
    page_state::{EngineChoice, LaneChoice, Language, PageState, ProblemChoice, Shown, Speed},
    question::Question,
    view::reach::Oracle,
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
    /// What a breadth-first search says of the problem, where it is a graph.
    pub oracle: Memo<Option<Oracle>>,
    /// The lanes.
    pub lanes: Lanes,
    /// Seed of the lanes' random draws.
    pub seed: RwSignal<u32>,
    /// How fast a run is shown.
    pub speed: RwSignal<Speed>,
    /// Which engine runs it.
    pub engine: RwSignal<EngineChoice>,
    /// A recording beside the page that is played in place of an engine.
    pub play: RwSignal<Option<String>>,
    /// The step that is looked at.
    pub cursor: Cursor,
    /// The lane that shades the graph.
    pub focus: Focus,
    /// Whether the graph is coloured by first arrival.
    pub by_arrival: RwSignal<bool>,
    /// The chapter of the tour, counted from 1.
    pub chapter: RwSignal<Option<usize>>,
    /// What the address says of letters; the visitor's own choice otherwise.
    pub is_large: RwSignal<Option<bool>>,
    /// What the address says of light and dark; the visitor's own choice otherwise.
    pub is_dark: RwSignal<Option<bool>>,
    /// What the address says of the language; the visitor's own choice otherwise.
    pub language: RwSignal<Option<Language>>,
    /// What the arena is to run, while it is open.
    pub arena: RwSignal<Option<ArenaChoice>>,
    /// Whether the analysis drawer is open.
    pub analysis: RwSignal<bool>,
    /// Whether answers and verdicts are covered.
    pub hides_answers: RwSignal<bool>,
    /// Whether a run waits for the visitor's prediction.
    pub predicts_first: RwSignal<bool>,
    /// Whether all controls but the run's own are hidden.
    pub hides_controls: RwSignal<bool>,
    /// Whether the first press on the page fills the screen with it.
    pub fills_screen: RwSignal<bool>,
    /// Only graph, chart and lanes, for a frame in another page.
    pub is_embedded: RwSignal<bool>,
    /// Whether the run begins by itself.
    pub runs_at_once: RwSignal<bool>,
    /// Whether covered answers have been uncovered, until the next run.
    pub is_revealed: RwSignal<bool>,
    /// What the visitor has predicted of this question.
    pub prediction: RwSignal<Option<String>>,
    memory: StoredValue<TaskMemory>,
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
        let oracle = Memo::new(move |_| {
            question.with(|question| {
                let graph = question.graph().filter(|graph| graph.is_asked);
                graph.map(Oracle::of)
            })
        });
        let signals = Self {
            task,
            problem,
            question,
            oracle,
            lanes: Lanes::new(state.lanes),
            seed: RwSignal::new(state.seed),
            speed: RwSignal::new(state.speed),
            engine: RwSignal::new(state.engine),
            play: RwSignal::new(state.play),
            cursor: Cursor::default(),
            focus: Focus::default(),
            by_arrival: RwSignal::new(false),
            chapter: RwSignal::new(None),
            is_large: RwSignal::new(None),
            is_dark: RwSignal::new(None),
            language: RwSignal::new(None),
            arena: RwSignal::new(None),
            analysis: RwSignal::new(false),
            hides_answers: RwSignal::new(false),
            predicts_first: RwSignal::new(false),
            hides_controls: RwSignal::new(false),
            fills_screen: RwSignal::new(false),
            is_embedded: RwSignal::new(false),
            runs_at_once: RwSignal::new(false),
            is_revealed: RwSignal::new(false),
            prediction: RwSignal::new(None),
            memory: StoredValue::default(),
        };
        signals.show(state.shown);
        signals
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
            play: self.play.get(),
            shown: Shown {
                step: self.cursor.pinned(),
                shade: self.focus.place(self.lanes).map(|place| place + 1),
                by_arrival: self.by_arrival.get(),
                chapter: self.chapter.get(),
                is_large: self.is_large.get(),
                is_dark: self.is_dark.get(),
                language: self.language.get(),
                arena: self.arena.get(),
                shows_analysis: self.analysis.get(),
                hides_answers: self.hides_answers.get(),
                predicts_first: self.predicts_first.get(),
                hides_controls: self.hides_controls.get(),
                fills_screen: self.fills_screen.get(),
                is_embedded: self.is_embedded.get(),
                runs_at_once: self.runs_at_once.get(),
            },
        }
    }

    /// Puts another state in place of all but the engine, which a running page keeps.
    pub fn set(self, state: PageState) {
        self.task.set(state.task);
        self.problem.set(state.problem);
        self.lanes.replace(state.lanes);
        self.seed.set(state.seed);
        self.speed.set(state.speed);
        self.play.set(state.play);
        self.show(state.shown);
    }

    /// Whether answers and verdicts are to be covered now.
    pub fn covers_answers(self) -> bool {
        self.hides_answers.get() && !self.is_revealed.get()
    }

    /// Whether a run waits for the visitor's prediction; a chapter asks for its own, and a
    /// question without an answer for none.
    pub fn waits_for_prediction(self) -> bool {
        let is_problem = self.question.with(|question| question.problem.is_ok());
        let asks = self.predicts_first.get() && self.chapter.get().is_none() && is_problem;
        asks && self.prediction.with(Option::is_none)
    }

    /// Puts in place what is shown of the run, which stays the same.
    pub fn show(self, shown: Shown) {
        match shown.step {
            Some(step) => self.cursor.pin(step),
            None => self.cursor.follow(),
        }
        let lanes = self.lanes.get_untracked();
        let shading = shown
            .shade
            .and_then(|number| lanes.get(number.checked_sub(1)?));
        self.focus.set(shading.map(|lane| lane.id));
        self.by_arrival.set(shown.by_arrival);
        self.chapter.set(shown.chapter);
        self.is_large.set(shown.is_large);
        self.is_dark.set(shown.is_dark);
        self.language.set(shown.language);
        self.arena.set(shown.arena);
        self.analysis.set(shown.shows_analysis);
        self.hides_answers.set(shown.hides_answers);
        self.predicts_first.set(shown.predicts_first);
        self.hides_controls.set(shown.hides_controls);
        self.fills_screen.set(shown.fills_screen);
        self.is_embedded.set(shown.is_embedded);
        self.runs_at_once.set(shown.runs_at_once);
    }

    /// Goes on with another task, where the visitor left it, or with its first problem and its
    /// default lanes. Problems and checkpoints belong to a task; seed, speed and engine stay as
    /// they are.
    pub fn begin_task(self, task: Task, catalogue: &Catalogue) {
        let left = (self.problem.get_untracked(), self.lanes.choices_untracked());
        let before = self.task.get_untracked();
        let found = self
            .memory
            .try_update_value(|memory| memory.change(before, left, task))
            .flatten();
        let (problem, lanes) =
            found.unwrap_or_else(|| (ProblemChoice::first(task), default_lanes(task, catalogue)));
        self.task.set(task);
        self.problem.set(problem);
        self.lanes.replace(lanes);
    }

    /// What the visitor has typed on this task, or the text of the problem that is shown.
    pub fn begin_typing(self) {
        let task = self.task.get_untracked();
        let typed = self.memory.with_value(|memory| memory.typed(task));
        let shown = || {
            self.question
                .with_untracked(|q| (q.text.clone(), q.is_said))
        };
        let (text, is_said) = typed.unwrap_or_else(shown);
        self.problem.set(typed_problem(text, is_said));
    }

    /// Another problem of the same task; what was typed can be had again.
    pub fn choose_problem(self, problem: ProblemChoice) {
        let task = self.task.get_untracked();
        let before = self.problem.get_untracked();
        self.memory
            .update_value(|memory| memory.keep_typed(task, &before));
        self.problem.set(problem);
    }
}

/// What somebody has typed, as a choice.
pub fn typed_problem(text: String, is_said: bool) -> ProblemChoice {
    match is_said {
        true => ProblemChoice::Said(text),
        false => ProblemChoice::Typed(text),
    }
}

/// What a visitor left on each task, by its name, to be found again.
#[derive(Debug, Default)]
struct TaskMemory {
    left: BTreeMap<&'static str, (ProblemChoice, Vec<LaneChoice>)>,
    /// Each with whether it was said to the model in its chat.
    typed: BTreeMap<&'static str, (String, bool)>,
}

impl TaskMemory {
    /// Keeps what is left on one task, and gives what was left on another.
    fn change(
        &mut self,
        before: Task,
        left: (ProblemChoice, Vec<LaneChoice>),
        after: Task,
    ) -> Option<(ProblemChoice, Vec<LaneChoice>)> {
        self.keep_typed(before, &left.0);
        self.left.insert(before.name(), left);
        self.left.get(after.name()).cloned()
    }

    fn keep_typed(&mut self, task: Task, problem: &ProblemChoice) {
        let typed = match problem {
            ProblemChoice::Typed(text) => (text.clone(), false),
            ProblemChoice::Said(text) => (text.clone(), true),
            ProblemChoice::Drawn { .. } | ProblemChoice::Example(_) => return,
        };
        self.typed.insert(task.name(), typed);
    }

    fn typed(&self, task: Task) -> Option<(String, bool)> {
        self.typed.get(task.name()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::{prontoqa, prosqa};

    use super::*;

    #[test]
    fn what_was_typed_on_a_task_is_found_again() {
        let mut memory = TaskMemory::default();
        let typed = || ProblemChoice::Typed("Tom is".into());
        let found = memory.change(prosqa::TASK, (typed(), Vec::new()), prontoqa::TASK);
        assert_eq!(found, None, "nothing was left there");
        let first = (ProblemChoice::FIRST, Vec::new());
        let found = memory.change(prontoqa::TASK, first.clone(), prosqa::TASK);
        assert_eq!(found, Some((typed(), Vec::new())));
        // Looking at a drawn problem in between loses nothing.
        memory.change(prosqa::TASK, first, prontoqa::TASK);
        let expected = Some(("Tom is".to_string(), false));
        assert_eq!(memory.typed(prosqa::TASK), expected);
        assert_eq!(memory.typed(prontoqa::TASK), None);
    }
}
