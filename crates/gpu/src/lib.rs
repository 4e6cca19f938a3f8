//! latent-gpu.
