//! What is drawn, as pure functions of records and problems; components only place it.

pub mod accuracies;
pub mod arrival;
pub mod chart;
pub mod csv;
pub mod lane;
pub mod lane_names;
pub mod layout;
pub mod looks;
pub mod patches;
pub mod prediction;
pub mod reach;
pub mod score;
pub mod sentences;
pub mod shares;
pub mod solution;
pub mod speed;
pub mod steps;
#[cfg(test)]
pub mod test_records;
