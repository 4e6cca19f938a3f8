//! The state that defines a run: which task and problem, which lanes, which seed.

use latent_model::{
    address::{Address, AddressError, DEFAULT_SEED},
    catalogue::Catalogue,
    strategy::Setting,
    tasks::{Picture, Task},
};

pub use latent_model::analysis::treatment::streams;

pub use latent_model::address::{
    DEFAULT_TASK, EngineChoice, LaneChoice, Language, ProblemChoice, Shown, Speed,
};

use crate::{
    default_lanes::default_lanes,
    view::lane_names::lane_label,
    words::{fill, tables::task_title, words},
};

/// How many lanes a page can hold: as many as there are colours that can be told apart.
pub const MAX_LANES: usize = 6;

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
    /// A recording beside the page that is played in place of an engine.
    pub play: Option<String>,
    /// What is shown of it.
    pub shown: Shown,
}

/// What a page can have of an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The state.
    pub state: PageState,
    /// A sentence on everything of the address that is not in the state.
    pub left_out: Vec<String>,
}

impl PageState {
    /// The page of a task that was opened without an address.
    pub fn of_task(task: Task, catalogue: &Catalogue) -> Self {
        Self {
            task,
            problem: ProblemChoice::first(task),
            lanes: default_lanes(task, catalogue),
            seed: DEFAULT_SEED,
            speed: Speed::PerSecond(4),
            engine: EngineChoice::Auto,
            play: None,
            shown: Shown::default(),
        }
    }

    /// The page that the hash of an address stands for; what it leaves out is as a page of its
    /// task begins.
    pub fn from_hash(hash: &str, catalogue: &Catalogue) -> Result<Opened, AddressError> {
        let address: Address = hash.parse()?;
        let mut left_out = Vec::new();
        let begins = Self::of_task(address.task, catalogue);
        let lanes = match address.lanes {
            Some(lanes) => own_lanes(lanes, address.task, catalogue, &mut left_out),
            None => begins.lanes,
        };
        let known = catalogue.tasks();
        let is_taught = address.task.picture() != Picture::Text;
        if lanes.is_empty() && is_taught && !known.is_empty() && !known.contains(&address.task) {
            let known: Vec<&str> = known.iter().map(|task| task_title(*task)).collect();
            left_out.push(fill(
                words().left_out_task,
                &[
                    ("task", task_title(address.task)),
                    ("known", &known.join(", ")),
                ],
            ));
        }
        let state = Self {
            task: address.task,
            problem: address.problem.unwrap_or(begins.problem),
            lanes,
            seed: address.seed.unwrap_or(begins.seed),
            speed: address.speed.unwrap_or(begins.speed),
            engine: address.engine.unwrap_or(begins.engine),
            play: address.play,
            shown: address.shown,
        };
        Ok(Opened { state, left_out })
    }

    /// The address of the page, as it stands behind the `#`.
    pub fn hash(&self) -> String {
        let address = Address {
            task: self.task,
            problem: Some(self.problem.clone()),
            lanes: Some(self.lanes.clone()),
            seed: Some(self.seed),
            speed: Some(self.speed),
            engine: Some(self.engine).filter(|engine| *engine != EngineChoice::Auto),
            play: self.play.clone(),
            shown: self.shown.clone(),
        };
        address.to_string()
    }

    /// Whether a run of one state is none of the other: what is shown of it and how fast, and by
    /// which engine it is computed, does not count.
    pub fn is_other_run(&self, other: &Self) -> bool {
        let alike = Self {
            speed: other.speed,
            engine: other.engine,
            play: other.play.clone(),
            shown: other.shown.clone(),
            ..self.clone()
        };
        alike != *other
    }
}

/// The lanes that a page of the task can have, at most as many as it holds; where none of them is
/// left, the task's default lanes. A checkpoint that is not in the catalogue may be of any task.
fn own_lanes(
    lanes: Vec<LaneChoice>,
    task: Task,
    catalogue: &Catalogue,
    left_out: &mut Vec<String>,
) -> Vec<LaneChoice> {
    let n_lanes = lanes.len();
    let (mut own, mut dropped) = (Vec::new(), Vec::new());
    for (lane, number) in lanes.into_iter().zip(1..) {
        match catalogue.entry(&lane.model).map(|entry| entry.task) {
            Some(other) if other != task => {
                dropped.push(number);
                left_out.push(fill(
                    words().left_out_lane,
                    &[
                        ("n", &number.to_string()),
                        ("label", &lane_label(&lane)),
                        ("model", &lane.model),
                        ("of", task_title(other)),
                        ("task", task_title(task)),
                    ],
                ));
            }
            _ => own.push((number, lane)),
        }
    }
    let mut own = renumbered(own, &dropped, left_out);
    if own.len() > MAX_LANES {
        left_out.push(fill(
            words().left_out_rest,
            &[
                ("n", &n_lanes.to_string()),
                ("most", &MAX_LANES.to_string()),
            ],
        ));
        own.truncate(MAX_LANES);
    }
    if own.is_empty() && n_lanes > 0 {
        return default_lanes(task, catalogue);
    }
    own
}

/// Lanes, each with its number in the address, as they look at each other once the dropped ones are
/// gone.
fn renumbered(
    own: Vec<(usize, LaneChoice)>,
    dropped: &[usize],
    left_out: &mut Vec<String>,
) -> Vec<LaneChoice> {
    let mut renumbered = |(number, lane): (usize, LaneChoice)| {
        let looks_at = lane.looks_at();
        if let Some(source) = looks_at.iter().find(|source| dropped.contains(source)) {
            let (n, of) = (number.to_string(), source.to_string());
            left_out.push(fill(words().left_out_source, &[("n", &n), ("of", &of)]));
        }
        // From the last on, so that the numbers before it still count.
        let gone = dropped.iter().rev();
        gone.fold(lane, |lane, &gone| lane.without_lane(gone))
    };
    own.into_iter().map(&mut renumbered).collect()
}

/// The fewest and the most continuous thoughts of the lanes that have any.
pub fn thoughts_range(lanes: &[LaneChoice]) -> Option<(f32, f32)> {
    let of_lanes = lanes.iter().filter_map(LaneChoice::thoughts);
    of_lanes.fold(None, |range, thoughts| {
        let (fewest, most) = range.unwrap_or((thoughts, thoughts));
        Some((fewest.min(thoughts), most.max(thoughts)))
    })
}

/// Each lane's thoughts once the lane with the most has `most`: all move by as many, and stay in
/// the setting's range. `None` for a lane that has no such number.
pub fn moved_thoughts(lanes: &[LaneChoice], most: f32) -> Vec<Option<f32>> {
    let (low, high) = Setting::Thoughts.spec().range;
    let by = thoughts_range(lanes).map_or(0.0, |(_, before)| most - before);
    let moved = |lane: &LaneChoice| Some((lane.thoughts()? + by).clamp(low, high));
    lanes.iter().map(moved).collect()
}

#[cfg(test)]
mod tests {
    use latent_model::{
        strategy::Strategy,
        tasks::{prontoqa, prosqa},
    };

    use super::*;
    use crate::catalogue::shipped_catalogue;

    fn open(hash: &str) -> Opened {
        PageState::from_hash(hash, &shipped_catalogue()).expect(hash)
    }

    fn lane(name: &str) -> LaneChoice {
        LaneChoice::new("a", Strategy::by_name(name).expect("in the table"))
    }

    #[test]
    fn an_empty_address_is_the_default_page() {
        let opened = open("#");
        let default = PageState::of_task(prosqa::TASK, &shipped_catalogue());
        assert_eq!(opened.state, default);
        assert_eq!(opened.state.lanes.len(), 4);
        assert!(opened.left_out.is_empty());
    }

    #[test]
    fn the_address_of_a_page_opens_it_again() {
        for hash in [
            "",
            "seed=3&task=prontoqa",
            "problem=text:Every%20gerpus%3F&lanes=&speed=max&engine=reference",
            "lanes=elsewhere:soft,top_k=3;elsewhere:soft,top_k=3",
            "seed=2&step=5&shade=2&chapter=4&size=large&theme=dark&embed=yes&run=yes",
            "paint=arrival&lang=de&answers=hidden&predict=yes&controls=hidden&screen=full&engine=gpu",
            "play=recordings%2Fa.latent",
            "arena=official-50-5-sweep&analysis=yes",
            "task=arithmetic&lanes=arithmetic-ccot/ccot-r1:ccot",
        ] {
            let state = open(hash).state;
            assert_eq!(open(&state.hash()).state, state, "{hash}");
        }
        let hash = open("").state.hash();
        let begins = "problem=class:29&lanes=prosqa-unified:token-cot;";
        assert!(hash.starts_with(begins), "{hash}");
        let old = "problem=class:13&lanes=prosqa-coconut:coconut,thoughts=2&seed=1&speed=max";
        assert_eq!(open(old).state.hash(), old);
    }

    #[test]
    fn a_lane_of_another_task_is_left_out_by_name() {
        let opened = open("task=arithmetic&lanes=elsewhere:soft;prosqa-coconut:coconut");
        assert_eq!(
            opened.left_out,
            [
                "Lane 2 (Coconut) was left out: prosqa-coconut is a checkpoint of the task ProsQA, \
              and the page's task is Word problems."
            ]
        );
        let models: Vec<&str> = opened.state.lanes.iter().map(|lane| &*lane.model).collect();
        assert_eq!(models, ["elsewhere"], "an unknown checkpoint stays");
        let of_its_task = open("lanes=prosqa-coconut:coconut");
        assert!(of_its_task.left_out.is_empty());
        assert_eq!(of_its_task.state.lanes.len(), 1);
    }

    #[test]
    fn forks_and_swaps_follow_their_lane_when_one_before_it_is_left_out() {
        let opened = open(
            "lanes=prontoqa-cot:soft;prosqa-coconut:coconut;prosqa-coconut:coconut,from=2-3;\
             prosqa-coconut:coconut,at=1-swap-2;prosqa-cot:soft,from=1-2",
        );
        let lanes: Vec<String> = opened.state.lanes.iter().map(ToString::to_string).collect();
        let expected = [
            "prosqa-coconut:coconut",
            "prosqa-coconut:coconut,from=1-3",
            "prosqa-coconut:coconut,at=1-swap-1",
            "prosqa-cot:soft",
        ];
        assert_eq!(lanes, expected);
        let told = "Lane 5 looked at lane 1, which was left out; it runs on its own.";
        assert_eq!(opened.left_out[1..], [told]);
    }

    #[test]
    fn where_no_lane_is_left_the_default_ones_come() {
        let catalogue = shipped_catalogue();
        let opened = open("task=prontoqa&lanes=prosqa-cot:soft");
        assert_eq!(opened.left_out.len(), 1);
        assert_eq!(
            opened.state.lanes,
            default_lanes(prontoqa::TASK, &catalogue)
        );
        assert!(open("lanes=").state.lanes.is_empty(), "none were asked for");
    }

    #[test]
    fn lanes_beyond_what_a_page_holds_are_told_of() {
        let lanes = ["prosqa-cot:soft"; 8].join(";");
        let opened = open(&format!("lanes={lanes}"));
        assert_eq!(opened.state.lanes.len(), MAX_LANES);
        let told = "The address has 8 lanes and a page holds 6; the rest was left out.";
        assert_eq!(opened.left_out, [told]);
    }

    #[test]
    fn a_task_without_checkpoints_is_told_of() {
        let mut catalogue = shipped_catalogue();
        catalogue.models.retain(|entry| entry.task == prosqa::TASK);
        let opened = PageState::from_hash("task=prontoqa", &catalogue).expect("a task");
        assert!(opened.left_out[0].contains("there are some of: ProsQA"));
        // A page whose list of checkpoints did not arrive knows of none.
        let opened = PageState::from_hash("task=prontoqa", &Catalogue::default());
        assert!(opened.expect("a task").left_out.is_empty());
    }

    #[test]
    fn a_run_is_the_same_at_any_speed_and_on_any_engine() {
        let state = open("").state;
        let fast = open("speed=max&engine=reference&step=3&theme=dark").state;
        assert!(!state.is_other_run(&fast));
        assert!(state.is_other_run(&open("seed=2").state));
    }

    #[test]
    fn lanes_that_differ_in_thoughts_give_a_range() {
        assert_eq!(thoughts_range(&[lane("soft")]), None);
        let mut short = lane("coconut");
        short.settings.set(Setting::Thoughts, 1.0);
        let lanes = [lane("coconut"), lane("soft"), short];
        assert_eq!(thoughts_range(&lanes), Some((1.0, 6.0)));
        assert_eq!(thoughts_range(&lanes[..2]), Some((6.0, 6.0)));
        // They differ on purpose: a slider that moves keeps them apart.
        assert_eq!(moved_thoughts(&lanes, 4.0), [Some(4.0), None, Some(0.0)]);
        assert_eq!(moved_thoughts(&lanes, 7.0), [Some(7.0), None, Some(2.0)]);
    }
}
