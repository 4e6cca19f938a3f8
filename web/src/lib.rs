//! The page: a transformer reasons in front of a class in several ways, side by side.

pub mod address_bar;
pub mod analysis;
pub mod arena;
pub mod brought;
pub mod browser;
pub mod candidate;
pub mod catalogue;
pub mod chapters;
pub mod chunk;
pub mod chunk_size;
pub mod components;
pub mod default_lanes;
pub mod evidence;
pub mod focus;
pub mod gpu;
pub mod lanes;
pub mod load;
pub mod measurement;
pub mod notice;
pub mod offline;
pub mod page_signals;
pub mod page_state;
pub mod patching;
pub mod playback;
pub mod question;
pub mod run_state;
pub mod runner;
pub mod self_test;
pub mod session;
pub mod speed;
pub mod startup;
pub mod take_away;
pub mod view;
pub mod words;

pub use latent_model::analysis::treatment;
