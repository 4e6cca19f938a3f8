//! The reference engine's noise has the distributions that it is to have.

mod common;
#[path = "common/noise.rs"]
mod noise;

use latent_model::reference::{Precision, ReferenceEngine};

#[test]
fn gumbel_and_dirichlet_noise_are_distributed_as_they_should() {
    let config = common::config();
    let weights = common::weights(&config);
    noise::assert_distributed(&mut ReferenceEngine::new(&config, weights, Precision::Fast));
}
