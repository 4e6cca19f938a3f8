//! The page: a transformer reasons in front of a class in several ways, side by side.

pub mod browser;
pub mod components;
pub mod default_lanes;
pub mod evidence;
pub mod focus;
pub mod lanes;
pub mod load;
pub mod notice;
pub mod pace;
pub mod page_state;
pub mod question;
pub mod runner;
pub mod self_test;
pub mod session;
pub mod shipped;
pub mod startup;
pub mod stated;
pub mod url_state;
pub mod view;
