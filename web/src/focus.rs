//! Which step and which lane the visitor looks at: shared by chart, graph and streams.

use leptos::prelude::*;

use crate::lanes::{Lane, LaneId, Lanes};

/// The step under the pointer or the slider; `None` follows the run.
#[derive(Clone, Copy)]
pub struct Cursor(pub RwSignal<Option<u32>>);

/// The lane that shades the graph; `None` is the last lane.
#[derive(Clone, Copy)]
pub struct Focus(pub RwSignal<Option<LaneId>>);

impl Focus {
    /// The lane that shades the graph, where there is one.
    pub fn lane(&self, lanes: Lanes) -> Option<Lane> {
        let list = lanes.get();
        let wished = self.0.get();
        let found = list.iter().find(|lane| Some(lane.id) == wished);
        found.or(list.last()).copied()
    }
}
