//! Which tensors of a Hugging Face folder each of our weights holds.

use crate::parameters::{EMBEDDING, Kind};

/// The tensors that a weight of this name, kind and shape `[rows, columns]` holds below one
/// another, each with its shape in the folder.
pub fn hub_tensors(
    weight: &str,
    kind: Kind,
    [rows, columns]: [usize; 2],
) -> Vec<(String, Vec<usize>)> {
    let layer = weight
        .strip_prefix("layers.")
        .and_then(|rest| rest.split_once('.'));
    let parts: &[&str] = match layer.map_or(weight, |(_, part)| part) {
        EMBEDDING => &["embed_tokens"],
        "attention_norm" => &["input_layernorm"],
        "qkv" => &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        "o" => &["self_attn.o_proj"],
        "mlp_norm" => &["post_attention_layernorm"],
        "gate_up" => &["mlp.gate_proj", "mlp.up_proj"],
        "down" => &["mlp.down_proj"],
        "final_norm" => &["norm"],
        other => unreachable!("a model has no weight {other:?}"),
    };
    let shape = match kind {
        Kind::Norm => vec![columns],
        Kind::Embedding | Kind::Matrices(_) => vec![rows / parts.len(), columns],
    };
    let name = |part: &&str| match layer {
        Some((index, _)) => format!("model.layers.{index}.{part}.weight"),
        None => format!("model.{part}.weight"),
    };
    parts
        .iter()
        .map(|part| (name(part), shape.clone()))
        .collect()
}
