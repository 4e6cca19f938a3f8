//! A model that knows every byte.

use super::gguf_file::{GgufFile, tiny};

/// One token a byte, and one that ends a text.
pub const N_TOKENS: usize = 257;

/// A model of one layer that reads and writes bytes, so many at most.
pub fn of_bytes(context: u32) -> GgufFile {
    let mut file = tiny();
    file.tokens = (0..=255).map(|byte| spelled(byte).to_string()).collect();
    file.tokens.push("<|end|>".into());
    file.set("llama.context_length", 4, context.to_le_bytes().to_vec());
    file.set(
        "tokenizer.ggml.eos_token_id",
        4,
        256_u32.to_le_bytes().to_vec(),
    );
    file.tensor("token_embd.weight").dimensions = vec![16, N_TOKENS as u64];
    let mut state = 1_u32;
    for tensor in &mut file.tensors {
        let n_values: u64 = tensor.dimensions.iter().product();
        let mut value = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let values = (0..n_values).flat_map(|_| value().to_le_bytes());
        tensor.bytes = values.collect();
    }
    file
}

/// How vocabularies of bytes write one: letters as they are, the others as letters far behind.
fn spelled(byte: u8) -> char {
    let is_letter = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    match is_letter(byte) {
        true => char::from(byte),
        false => {
            let nth = (0..byte).filter(|byte| !is_letter(*byte)).count() as u32;
            char::from_u32(256 + nth).expect("a letter")
        }
    }
}
