//! The components: each places what the views compute.

mod app;
mod chart;
mod controls;
mod evidence;
mod graph;
mod guide;
mod header;
mod lane;
mod lane_settings;
mod lanes_panel;
mod messages;
mod picture;
mod problem;
mod screen;
mod story;
mod stream;

pub use app::App;
