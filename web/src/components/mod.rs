//! The components: each places what the views compute.

mod analysis;
mod app;
mod arena;
mod chart;
mod composition;
mod controls;
mod evidence;
mod first_steps;
mod graph;
mod graph_editor;
mod graph_node;
mod guide;
mod header;
mod intervene;
mod lane;
mod lane_settings;
mod lane_table;
mod lanes_panel;
mod messages;
mod offline;
mod open_model;
mod panel;
mod picture;
mod playback;
mod problem;
mod roving;
mod screen;
mod speed;
mod story;
mod stream;
mod take_away;
mod teacher;
mod tour;

pub use app::App;
pub use panel::{Panel, draw};
pub use tour::Guide;
