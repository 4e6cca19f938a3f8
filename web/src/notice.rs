//! What the page has to tell when something went wrong, and what can be done about it.

use std::fmt::Display;

use latent_model::tasks::Task;
use leptos::prelude::*;

use crate::page_state::ForeignLane;

/// A message with advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened, in a few words.
    pub title: String,
    /// The error's own text: expected and found.
    pub detail: String,
    /// What to do.
    pub advice: String,
    /// Whether going on with the reference engine would help.
    pub offers_reference: bool,
}

impl Notice {
    /// A message about an error.
    pub fn new(title: &str, error: &dyn Display) -> Self {
        Self {
            title: title.into(),
            detail: error.to_string(),
            advice: String::new(),
            offers_reference: false,
        }
    }

    /// The same with advice.
    pub fn advice(mut self, advice: &str) -> Self {
        self.advice = advice.into();
        self
    }

    /// A file of the page did not arrive.
    pub fn missing_file(error: &dyn Display) -> Self {
        Self::new("The page did not load all of its files", error)
            .advice("Check the network, then reload the page.")
    }

    /// Lanes of the address are on checkpoints of another task than the page's.
    pub fn foreign_lanes(lanes: &[ForeignLane], task: Task) -> Self {
        let text = |lane: &ForeignLane| {
            let title = lane.choice.label();
            let of_task = lane.task.title();
            let (number, model) = (lane.number, &lane.choice.model);
            format!("lane {number} ({title}) is on {model}, a checkpoint of the task {of_task}")
        };
        let all: Vec<String> = lanes.iter().map(text).collect();
        let page = task.title();
        let detail = format!("The page's task is {page}; {}.", all.join("; "));
        Self::new(
            "A lane was left out: its checkpoint is of another task",
            &detail,
        )
        .advice("Everything else in the address was kept.")
    }

    /// A task without checkpoints was asked for.
    pub fn no_checkpoint(task: Task, known: &[Task]) -> Self {
        let known: Vec<&str> = known.iter().map(|task| task.title()).collect();
        let detail = format!(
            "No checkpoint of the task {} ships with this page; there are some of: {}.",
            task.title(),
            known.join(", ")
        );
        Self::new("No lane can run on this task", &detail).advice("Choose another task.")
    }

    /// The GPU was lost or refused its work.
    pub fn gpu_failed(error: &dyn Display) -> Self {
        Self {
            offers_reference: true,
            ..Self::new("The GPU stopped working", error).advice(
                "Reload the page to try the GPU again, or go on with the reference engine, \
                 which computes the same on the CPU. Nothing that you set or typed is lost.",
            )
        }
    }

    /// The self-test found a difference.
    pub fn gpu_disagrees(verdict: &str) -> Self {
        Self {
            offers_reference: true,
            ..Self::new("The GPU computes something else than the CPU", &verdict).advice(
                "Do not trust runs on this GPU; go on with the reference engine, and please \
                 report the adapter's name.",
            )
        }
    }
}

/// The message that is shown, if any.
#[derive(Clone, Copy)]
pub struct Notices(RwSignal<Option<Notice>>);

impl Notices {
    /// Nothing to tell.
    pub fn new() -> Self {
        Self(RwSignal::new(None))
    }

    /// Shows a message in place of the last one.
    pub fn show(&self, notice: Notice) {
        self.0.set(Some(notice));
    }

    /// Takes the message away.
    pub fn clear(&self) {
        self.0.set(None);
    }

    /// The message.
    pub fn get(&self) -> Option<Notice> {
        self.0.get()
    }
}

impl Default for Notices {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use latent_model::strategy::Strategy;

    use latent_model::tasks::{arithmetic, prosqa};

    use super::*;
    use crate::page_state::LaneChoice;

    #[test]
    fn a_lane_that_was_left_out_is_named_with_both_tasks() {
        let coconut = Strategy::by_name("coconut").expect("in the table");
        let lane = ForeignLane {
            number: 2,
            choice: LaneChoice::new("prosqa-coconut", coconut),
            task: prosqa::TASK,
        };
        let notice = Notice::foreign_lanes(&[lane], arithmetic::TASK);
        assert_eq!(
            notice.detail,
            "The page's task is Word problems; lane 2 (Coconut) is on prosqa-coconut, \
             a checkpoint of the task ProsQA."
        );
    }
}
