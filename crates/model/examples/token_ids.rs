//! Prints the token ids of a text, to be compared with another library's.
//!
//!     cargo run --release --example token_ids -- MODEL.gguf|tokenizer.json < TEXT

use std::{
    env,
    error::Error,
    fs,
    io::{self, Read},
};

use latent_model::{gguf::is_gguf, model::ModelFiles, tokenizer::Tokenizer};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("expected a file")?;
    let bytes = fs::read(&path)?;
    let json = match is_gguf(&bytes) {
        true => ModelFiles::from_gguf(&path, bytes.into())?.tokenizer,
        false => String::from_utf8(bytes)?,
    };
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    for id in Tokenizer::from_json(&json)?.encode(&text)? {
        println!("{id}");
    }
    Ok(())
}
