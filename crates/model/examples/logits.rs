//! Writes the reference engine's logits of a GGUF file, to be compared with another program's.
//!
//!     cargo run --release --example logits -- MODEL.gguf IDS.txt LOGITS.f32
//!
//! IDS.txt holds token ids with spaces between them; LOGITS.f32 gets (positions, V) numbers.

use std::{env, error::Error, fs};

use latent_model::{
    model::{Model, ModelFiles},
    program::Adapter,
    reference::layer_states,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [model, ids, to] = &args[..] else {
        return Err("expected MODEL.gguf IDS.txt LOGITS.f32".into());
    };
    let files = ModelFiles::from_gguf(model, fs::read(model)?.into())?;
    let model = Model::from_files(&files)?;
    let ids = fs::read_to_string(ids)?;
    let ids: Vec<u32> = ids
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let states = layer_states(&model.config, (&model.weights, Adapter::Base), &ids);
    let logits = states.logits.iter().flatten();
    fs::write(
        to,
        logits.flat_map(|z| z.to_le_bytes()).collect::<Vec<u8>>(),
    )?;
    Ok(())
}
