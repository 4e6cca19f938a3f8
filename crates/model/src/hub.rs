//! The files by which Hugging Face's libraries know what `config.json` and `tokenizer.json` leave
//! open; the trainer writes them into every model folder, and they ship.

use serde_json::{Value, json};

use crate::{tasks::Markers, tokenizer::Marker};

/// `tokenizer_config.json` and `generation_config.json` of a checkpoint of ours.
///
/// Without the first, `AutoTokenizer` takes the tokenizer for Llama's: transformers 4.57 then adds
/// `<s>`, `</s>` and `<unk>` behind the last row of the embedding, and neither 4.57 nor 5 knows a
/// token to pad with. Padding goes to the left, where a decoder's continuation is not; there are
/// no token types, which `generate` would refuse.
pub fn hub_files(markers: &Markers, max_positions: usize) -> [(&'static str, Value); 2] {
    let tokenizer_config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": max_positions,
        "padding_side": "left",
        "eos_token": Marker::Eos.text(),
        "pad_token": "<pad>",
        "clean_up_tokenization_spaces": false,
    });
    let generation_config = json!({
        "do_sample": false,
        "eos_token_id": markers.eos,
        "pad_token_id": markers.pad,
    });
    [
        ("tokenizer_config.json", tokenizer_config),
        ("generation_config.json", generation_config),
    ]
}
