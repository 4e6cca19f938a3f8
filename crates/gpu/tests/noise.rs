//! The GPU engine's noise has the distributions that it is to have.

mod common;
#[path = "../../model/tests/common/noise.rs"]
mod noise;

#[test]
fn gumbel_and_dirichlet_noise_are_distributed_as_they_should() {
    let Some(context) = common::context() else {
        return;
    };
    noise::assert_distributed(&mut common::engine(&context, &common::small()));
}
