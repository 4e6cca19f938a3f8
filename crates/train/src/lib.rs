//! latent-train.
