//! latent-model.
