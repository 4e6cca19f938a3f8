//! Looking into runs and changing them: interventions, forks, probes, the logit lens, and the
//! statistics of comparing runs.
//!
//! All of it is made of five calls of an [`Engine`](crate::engine::Engine): `advance`, `cursors`,
//! `set_cursors`, `peek`, and `advance_watched`, with which patching reaches between the layers. So it
//! works on every engine, and a lane that nobody looks into costs nothing more.

pub mod divergence;
pub mod fork;
pub mod intervention;
pub mod lane_group;
pub mod lens;
pub mod observe;
pub mod patching;
pub mod probe;
pub mod report;
pub mod similarity;
pub mod statistics;
pub mod treatment;
