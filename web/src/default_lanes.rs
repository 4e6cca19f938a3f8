//! The lanes that a page of a task begins with.

use latent_model::{
    address::LaneChoice,
    catalogue::{Catalogue, Entry},
    strategy::{Setting, Strategy},
    tasks::{Difficulty, Picture, Problem, Task},
};

/// Each lane's strategy, and how the name of a checkpoint trained for it alone ends.
const LANES: [(&str, &str); 4] = [
    ("token-cot", "cot"),
    ("soft", "cot"),
    ("soft-gumbel", "cot"),
    ("coconut", "coconut"),
];

/// The strategies of the lanes on a model that was brought, which nobody has trained for any.
const BROUGHT_LANES: [&str; 4] = ["token-cot", "soft", "soft-gumbel", "token-cot-cold-stop"];

/// Steps of thinking, and of an answer, that are enough to see something of a model of some
/// hundred million parameters without a long wait.
const BROUGHT_STEPS: [(Setting, f32); 2] = [(Setting::MaxThink, 64.0), (Setting::MaxAnswer, 32.0)];

/// How many drawn problems tell how long a task's statements are.
const N_MEASURED: u64 = 20;

/// How the name of a checkpoint ends that was trained for all of them: its lanes share every batch.
const UNIFIED: &str = "unified";

/// Words, mixtures and thoughts side by side, on the task's unified checkpoint where there is one,
/// else on `TASK-cot` and `TASK-coconut`, as far as they ship. A task that has none of these
/// begins with one lane on its first checkpoint; one without checkpoints, with none.
pub fn default_lanes(task: Task, catalogue: &Catalogue) -> Vec<LaneChoice> {
    if task.picture() == Picture::Text {
        let first = catalogue.of_task(task).next();
        return first.map_or_else(Vec::new, |entry| brought_lanes(&entry.name));
    }
    let shipped = |ending: &str| {
        let name = format!("{}-{ending}", task.name());
        catalogue.of_task(task).find(|entry| entry.name == name)
    };
    let lane = |entry: &Entry, strategy: &str| {
        let strategy = Strategy::by_name(strategy).ok()?;
        Some(at_its_best(LaneChoice::new(&entry.name, strategy), task))
    };
    let wished = LANES.into_iter().filter_map(|(strategy, ending)| {
        let entry = shipped(UNIFIED).or_else(|| shipped(ending))?;
        lane(entry, strategy)
    });
    let lanes: Vec<LaneChoice> = wished.collect();
    if !lanes.is_empty() {
        return lanes;
    }
    let mut entries = catalogue.of_task(task);
    let first = entries.find_map(|entry| lane(entry, entry.strategies.first()?));
    first.into_iter().collect()
}

/// Words, mixtures and noise side by side, on a model that was brought.
pub fn brought_lanes(model: &str) -> Vec<LaneChoice> {
    let lane = |name: &str| {
        let strategy = Strategy::by_name(name).ok()?;
        let mut lane = LaneChoice::new(model, strategy);
        for (setting, value) in BROUGHT_STEPS {
            lane.settings.set(setting, value);
        }
        Some(lane)
    };
    BROUGHT_LANES.into_iter().filter_map(lane).collect()
}

/// Without Cold Stop where it would cut statements in two: after a patience shorter than a single
/// statement of the task, a model that is sure of every word of one has not thought it to its end.
fn at_its_best(mut lane: LaneChoice, task: Task) -> LaneChoice {
    let value = |setting| lane.strategy.value(&lane.settings, setting);
    let stops = value(Setting::ColdEntropy).is_some();
    if stops && value(Setting::ColdPatience).is_some_and(|n| n < longest_statement(task) as f32) {
        lane.settings.set(Setting::ColdEntropy, 0.0);
    }
    lane
}

/// Tokens of the longest statement in the worked solutions of some problems.
fn longest_statement(task: Task) -> usize {
    let problems = (0..N_MEASURED).map(|seed| task.generate(seed, Difficulty::Class));
    let longest = |problem: Problem| problem.step_tokens().iter().map(Vec::len).max();
    problems.filter_map(longest).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::{arithmetic, prontoqa, prosqa};

    use super::*;
    use crate::catalogue::shipped_catalogue;

    fn lanes(task: Task, catalogue: &Catalogue) -> Vec<String> {
        let lanes = default_lanes(task, catalogue);
        let text = |lane: LaneChoice| format!("{}:{}", lane.model, lane.strategy.name);
        lanes.into_iter().map(text).collect()
    }

    fn catalogue(entries: &[(&str, &str, &str)]) -> Catalogue {
        let entry = |&(name, task, strategy): &(&str, &str, &str)| Entry {
            name: name.into(),
            title: String::new(),
            task: task.parse().expect("a task"),
            summary: String::new(),
            strategies: vec![strategy.into()],
            params: 0,
            bytes: 0,
            adapters: Vec::new(),
        };
        Catalogue {
            models: entries.iter().map(entry).collect(),
        }
    }

    #[test]
    fn the_first_task_begins_with_four_lanes_on_one_checkpoint() {
        let found = lanes(prosqa::TASK, &shipped_catalogue());
        let expected = ["token-cot", "soft", "soft-gumbel", "coconut"];
        assert_eq!(found, expected.map(|name| format!("prosqa-unified:{name}")));
    }

    #[test]
    fn cold_stop_is_off_where_it_would_cut_a_statement_in_two() {
        let is_off = |task| {
            let lanes = default_lanes(task, &shipped_catalogue());
            let soft = lanes.into_iter().find(|lane| lane.strategy.name == "soft");
            let soft = soft.expect("one of the default lanes");
            soft.strategy.value(&soft.settings, Setting::ColdEntropy) == Some(0.0)
        };
        assert!(is_off(arithmetic::TASK), "a computation has more tokens");
        assert!(!is_off(prosqa::TASK) && !is_off(prontoqa::TASK));
    }

    #[test]
    fn without_a_unified_checkpoint_each_lane_takes_the_one_trained_for_it() {
        let cot = ("prontoqa-cot", "prontoqa", "token-cot");
        let coconut = ("prontoqa-coconut", "prontoqa", "coconut");
        let in_words = ["token-cot", "soft", "soft-gumbel"].map(|s| format!("prontoqa-cot:{s}"));
        let both = lanes(prontoqa::TASK, &catalogue(&[cot, coconut]));
        assert_eq!(both[..3], in_words);
        assert_eq!(both[3..], ["prontoqa-coconut:coconut"]);
        assert_eq!(lanes(prontoqa::TASK, &catalogue(&[cot])), in_words);
        let unified = ("prontoqa-unified", "prontoqa", "token-cot");
        let found = lanes(prontoqa::TASK, &catalogue(&[cot, coconut, unified]));
        assert!(
            found
                .iter()
                .all(|lane| lane.starts_with("prontoqa-unified:")),
            "{found:?}"
        );
    }

    #[test]
    fn a_task_with_other_checkpoints_alone_begins_with_one_of_them() {
        let other = ("arithmetic-no-cot", "arithmetic", "no-cot");
        // A name alone does not make a checkpoint one of the task.
        let foreign = ("arithmetic-cot", "prosqa", "token-cot");
        let known = catalogue(&[foreign, other]);
        assert_eq!(
            lanes(arithmetic::TASK, &known),
            ["arithmetic-no-cot:no-cot"]
        );
        assert!(lanes(prontoqa::TASK, &known).is_empty());
    }
}
