//! The state that defines a run: which task and problem, which lanes, which seed.

use latent_model::{
    catalogue::Catalogue,
    strategy::{Setting, Settings, Strategy},
    tasks::{Difficulty, Task},
};

use crate::default_lanes::default_lanes;

/// Where the problem comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemChoice {
    /// Drawn by the task's generator.
    Drawn {
        /// How large it is.
        difficulty: Difficulty,
        /// Seed of the generator.
        seed: u64,
    },
    /// One of the task's shipped official problems, counted from 0.
    Example(usize),
    /// Written by the visitor.
    Typed(String),
}

/// One lane before it runs: a checkpoint and how it shall reason.
#[derive(Clone, Debug)]
pub struct LaneChoice {
    /// Name of the checkpoint.
    pub model: String,
    /// The way of reasoning.
    pub strategy: &'static Strategy,
    /// Only what differs from the strategy's defaults.
    pub settings: Settings,
}

impl PartialEq for LaneChoice {
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model
            && self.strategy.name == other.strategy.name
            && self.settings == other.settings
    }
}

impl LaneChoice {
    /// A lane with the strategy's default settings.
    pub fn new(model: &str, strategy: &'static Strategy) -> Self {
        Self {
            model: model.into(),
            strategy,
            settings: Settings::default(),
        }
    }

    /// Its number of continuous thoughts, where the strategy has one.
    pub fn thoughts(&self) -> Option<f32> {
        self.strategy.value(&self.settings, Setting::Thoughts)
    }

    /// The strategy's title, with the settings that differ from its defaults.
    pub fn label(&self) -> String {
        let normalised = self.clone().normalised();
        let differing = normalised.settings.iter();
        let texts: String = differing
            .map(|(setting, value)| format!(", {} {value}", setting.spec().label.to_lowercase()))
            .collect();
        format!("{}{texts}", self.strategy.title)
    }

    /// The same lane with the settings that equal the defaults left out.
    pub fn normalised(mut self) -> Self {
        let mut settings = Settings::default();
        for (setting, value) in self.settings.iter() {
            let default = self.strategy.value(&Settings::default(), setting);
            if default != Some(value) {
                settings.set(setting, value);
            }
        }
        self.settings = settings;
        self
    }
}

/// How fast a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// So many steps a second.
    PerSecond(u32),
    /// As fast as the engine goes.
    #[default]
    Max,
}

impl Speed {
    /// What the page offers.
    pub const OFFERED: [Self; 6] = [
        Self::PerSecond(1),
        Self::PerSecond(2),
        Self::PerSecond(4),
        Self::PerSecond(8),
        Self::PerSecond(16),
        Self::Max,
    ];
}

/// Which engine runs the lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The GPU where there is one, else the reference engine.
    #[default]
    Auto,
    /// The reference engine, whatever there is.
    Reference,
}

/// Everything that the address of the page holds.
#[derive(Clone, Debug, PartialEq)]
pub struct PageState {
    /// The task that the problem and every lane's checkpoint belong to.
    pub task: Task,
    /// The problem.
    pub problem: ProblemChoice,
    /// The lanes, in order.
    pub lanes: Vec<LaneChoice>,
    /// Seed of the lanes' random draws.
    pub seed: u32,
    /// How fast the run is shown.
    pub speed: Speed,
    /// Which engine runs it.
    pub engine: EngineChoice,
}

impl PageState {
    /// The page of a task that was opened without an address.
    pub fn of_task(task: Task, catalogue: &Catalogue) -> Self {
        Self {
            task,
            problem: ProblemChoice::FIRST,
            lanes: default_lanes(task, catalogue),
            seed: 1,
            speed: Speed::PerSecond(4),
            engine: EngineChoice::Auto,
        }
    }
}

/// A lane that a page cannot have: its checkpoint does not know the words of the page's task.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignLane {
    /// Its place, counted from 1.
    pub number: usize,
    /// The lane.
    pub choice: LaneChoice,
    /// Its checkpoint's task.
    pub task: Task,
}

impl PageState {
    /// Takes away the lanes on checkpoints of another task; where none is left, the task's default
    /// lanes take their place. A checkpoint that is not in the catalogue may be of any task.
    pub fn take_foreign_lanes(&mut self, catalogue: &Catalogue) -> Vec<ForeignLane> {
        let (mut foreign, mut own) = (Vec::new(), Vec::new());
        for (index, choice) in std::mem::take(&mut self.lanes).into_iter().enumerate() {
            match catalogue.entry(&choice.model).map(|entry| entry.task) {
                Some(task) if task != self.task => foreign.push(ForeignLane {
                    number: index + 1,
                    choice,
                    task,
                }),
                _ => own.push(choice),
            }
        }
        let is_bare = own.is_empty() && !foreign.is_empty();
        self.lanes = if is_bare {
            default_lanes(self.task, catalogue)
        } else {
            own
        };
        foreign
    }
}

impl ProblemChoice {
    /// The problem that a page begins with.
    pub const FIRST: Self = Self::Drawn {
        difficulty: Difficulty::Class,
        seed: 1,
    };
}

/// The fewest and the most continuous thoughts of the lanes that have any.
pub fn thoughts_range(lanes: &[LaneChoice]) -> Option<(f32, f32)> {
    let of_lanes = lanes.iter().filter_map(LaneChoice::thoughts);
    of_lanes.fold(None, |range, thoughts| {
        let (fewest, most) = range.unwrap_or((thoughts, thoughts));
        Some((fewest.min(thoughts), most.max(thoughts)))
    })
}

/// The stream of each lane's random draws: equal lanes count up, so that they differ, and a lane
/// that stands alone has stream 0, as in `latent run`.
pub fn streams(lanes: &[LaneChoice]) -> Vec<u32> {
    let equal_before = |index: usize| {
        let earlier = lanes[..index].iter();
        earlier.filter(|lane| **lane == lanes[index]).count() as u32
    };
    (0..lanes.len()).map(equal_before).collect()
}

#[cfg(test)]
mod tests {
    use latent_model::strategy::STRATEGIES;

    use latent_model::tasks::{arithmetic, prontoqa, prosqa};

    use super::*;
    use crate::shipped::shipped_catalogue;

    #[test]
    fn equal_lanes_get_streams_of_their_own() {
        let soft = LaneChoice::new("a", &STRATEGIES[0]);
        let other = LaneChoice::new("b", &STRATEGIES[0]);
        let lanes = [soft.clone(), other, soft.clone(), soft];
        assert_eq!(streams(&lanes), [0, 0, 1, 2]);
    }

    fn lane(name: &str) -> LaneChoice {
        LaneChoice::new("a", Strategy::by_name(name).expect("in the table"))
    }

    #[test]
    fn the_label_names_what_was_changed() {
        let mut coconut = lane("coconut");
        assert_eq!(coconut.label(), "Coconut");
        coconut.settings.set(Setting::Thoughts, 3.0);
        assert_eq!(coconut.label(), "Coconut, thoughts 3");
    }

    #[test]
    fn a_lane_of_another_task_is_taken_away_and_named() {
        let catalogue = shipped_catalogue();
        let mut foreign = lane("coconut");
        foreign.model = "prosqa-coconut".into();
        let mut state = PageState::of_task(arithmetic::TASK, &catalogue);
        state.lanes = vec![lane("soft"), foreign.clone()];
        let found = state.take_foreign_lanes(&catalogue);
        let expected = ForeignLane {
            number: 2,
            choice: foreign.clone(),
            task: prosqa::TASK,
        };
        assert_eq!(found, [expected]);
        assert_eq!(state.lanes, [lane("soft")], "an unknown checkpoint stays");
        let mut of_its_task = PageState::of_task(prosqa::TASK, &catalogue);
        of_its_task.lanes = vec![foreign];
        assert_eq!(of_its_task.take_foreign_lanes(&catalogue), []);
        assert_eq!(of_its_task.lanes.len(), 1);
    }

    #[test]
    fn where_no_lane_is_left_the_default_ones_come() {
        let catalogue = shipped_catalogue();
        let mut state = PageState::of_task(prosqa::TASK, &catalogue);
        let default = state.lanes.clone();
        state.task = prontoqa::TASK;
        assert_eq!(state.take_foreign_lanes(&catalogue).len(), default.len());
        assert_eq!(state.lanes, default_lanes(prontoqa::TASK, &catalogue));
    }

    #[test]
    fn lanes_that_differ_in_thoughts_give_a_range() {
        assert_eq!(thoughts_range(&[lane("soft")]), None);
        let mut short = lane("coconut");
        short.settings.set(Setting::Thoughts, 1.0);
        let lanes = [lane("coconut"), lane("soft"), short];
        assert_eq!(thoughts_range(&lanes), Some((1.0, 6.0)));
        assert_eq!(thoughts_range(&lanes[..2]), Some((6.0, 6.0)));
    }

    #[test]
    fn a_setting_at_its_default_is_left_out() {
        let strategy = Strategy::by_name("soft").expect("in the table");
        let (setting, default) = strategy.settings[0];
        let mut soft = lane("soft");
        soft.settings.set(setting, default);
        assert_eq!(soft.normalised(), lane("soft"));
    }
}
