//! The command `latent`.
fn main() {}
