//! The page: a transformer reasons in front of a class in several ways, side by side.

pub mod address_bar;
pub mod arena;
pub mod browser;
pub mod catalogue;
pub mod chapters;
pub mod chunk_size;
pub mod components;
pub mod default_lanes;
pub mod evidence;
pub mod focus;
pub mod lanes;
pub mod load;
pub mod measurement;
pub mod notice;
pub mod offline;
pub mod page_signals;
pub mod page_state;
pub mod question;
pub mod run_state;
pub mod runner;
pub mod self_test;
pub mod session;
pub mod startup;
pub mod take_away;
pub mod view;
pub mod words;
