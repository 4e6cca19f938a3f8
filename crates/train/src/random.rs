//! Random numbers keyed by seed and step, so that a resumed run draws what an unbroken one does.

pub use latent_model::tasks::random::SplitMix64 as Random;
