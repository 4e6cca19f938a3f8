//! What the visitor looks at: a step, and the lane that shades the graph.

use leptos::prelude::*;

use crate::lanes::{Lane, LaneId, Lanes};

/// The step that is looked at: under the pointer for as long as that is there, else the one that a
/// click, a key or the slider has pinned, else the newest.
#[derive(Clone, Copy)]
pub struct Cursor {
    pinned: RwSignal<Option<u32>>,
    previewed: RwSignal<Option<u32>>,
}

/// The lane that shades the graph: under the pointer, else the chosen one, else the last.
#[derive(Clone, Copy)]
pub struct Focus {
    chosen: RwSignal<Option<LaneId>>,
    previewed: RwSignal<Option<LaneId>>,
}

impl Default for Cursor {
    fn default() -> Self {
        Self {
            pinned: RwSignal::new(None),
            previewed: RwSignal::new(None),
        }
    }
}

impl Cursor {
    /// The step that is looked at; `None` is the newest.
    pub fn get(self) -> Option<u32> {
        self.previewed.get().or(self.pinned.get())
    }

    /// The step that stays when the pointer leaves.
    pub fn pinned(self) -> Option<u32> {
        self.pinned.get()
    }

    /// Looks at a step for as long as the pointer is over it.
    pub fn preview(self, step: Option<u32>) {
        self.previewed.set(step);
    }

    /// Looks at a step until another one is pinned or the run is followed again.
    pub fn pin(self, step: u32) {
        self.pinned.set(Some(step));
    }

    /// Looks at the newest step, and at every newer one as it comes.
    pub fn follow(self) {
        self.previewed.set(None);
        self.pinned.set(None);
    }

    /// Pins the step so many further on; `last` is the newest.
    pub fn walk(self, by: i32, last: u32) {
        self.pin(walked(self.pinned.get_untracked(), by, last));
    }
}

/// The step `by` further than a pinned one, or than the newest; inside the run.
fn walked(from: Option<u32>, by: i32, last: u32) -> u32 {
    from.unwrap_or(last).saturating_add_signed(by).min(last)
}

impl Default for Focus {
    fn default() -> Self {
        Self {
            chosen: RwSignal::new(None),
            previewed: RwSignal::new(None),
        }
    }
}

impl Focus {
    /// The lane that shades the graph, where there is one.
    pub fn lane(self, lanes: Lanes) -> Option<Lane> {
        let previewed = self.previewed.get();
        let found = lanes
            .get()
            .into_iter()
            .find(|lane| Some(lane.id) == previewed);
        found.or_else(|| self.chosen(lanes))
    }

    /// The lane that stays when the pointer leaves.
    pub fn chosen(self, lanes: Lanes) -> Option<Lane> {
        let list = lanes.get();
        let chosen = self.chosen.get();
        let found = list.iter().find(|lane| Some(lane.id) == chosen);
        found.or(list.last()).copied()
    }

    /// The place of the lane that was chosen; `None` where none was.
    pub fn place(self, lanes: Lanes) -> Option<usize> {
        let chosen = self.chosen.get()?;
        lanes.get().iter().position(|lane| lane.id == chosen)
    }

    /// Chooses a lane, or none.
    pub fn set(self, lane: Option<LaneId>) {
        self.previewed.set(None);
        self.chosen.set(lane);
    }

    /// Shades the graph by a lane for as long as the pointer is over it.
    pub fn preview(self, lane: Option<LaneId>) {
        self.previewed.set(lane);
    }

    /// Shades the graph by a lane until another one is chosen.
    pub fn choose(self, lane: LaneId) {
        self.chosen.set(Some(lane));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_begins_at_the_newest_step_and_stays_inside_the_run() {
        assert_eq!(walked(None, -1, 7), 6);
        assert_eq!(walked(None, 1, 7), 7);
        assert_eq!(walked(Some(3), 1, 7), 4);
        assert_eq!(walked(Some(0), -1, 7), 0);
        assert_eq!(walked(Some(9), 1, 7), 7, "a step of a longer run");
    }

    #[test]
    fn a_pinned_step_survives_the_pointer() {
        let owner = Owner::new();
        owner.set();
        let cursor = Cursor::default();
        cursor.pin(3);
        cursor.preview(Some(5));
        assert_eq!((cursor.get(), cursor.pinned()), (Some(5), Some(3)));
        cursor.preview(None);
        assert_eq!(cursor.get(), Some(3));
        cursor.follow();
        assert_eq!(cursor.get(), None);
    }
}
