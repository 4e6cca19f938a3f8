//! Runs one training config: `train CONFIG [--resume]`.
fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let resume = args.iter().any(|arg| arg == "--resume");
    latent_train::run(args[1].as_ref(), resume)
}
