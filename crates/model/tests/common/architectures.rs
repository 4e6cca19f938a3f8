//! What Python `transformers` computes of tiny random models of every architecture that runs (their
//! origin is `fixtures/make_architectures.py`).
#![allow(dead_code)] // Every test file uses its own part.

use std::{fs, path::Path, sync::Arc};

use latent_model::{
    checkpoint::Weights,
    config::ModelConfig,
    engine::LaneSpec,
    input::{Feed, Input},
    program::{Adapter, Phase, Program, Role, Sampler, Until},
};
use safetensors::SafeTensors;

/// Tokens of a prompt, after which the greedy ones come.
const N_PROMPT: usize = 8;

/// How far logits may lie from those of `transformers`, which are of order 10.
pub const TOLERANCE: f32 = 1e-3;

/// A model of `transformers`, and what it computes.
pub struct Origin {
    /// The folder's name.
    pub name: String,
    pub config: ModelConfig,
    pub weights: Arc<Weights>,
    /// 64 tokens.
    pub ids: Vec<u32>,
    /// (64, V): the logits after each of `ids`.
    pub logits: Vec<f32>,
    /// The 64 greedy tokens after the first of `ids`.
    pub greedy: Vec<u32>,
}

/// The folder of the fixture's models.
pub const FOLDER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../model/tests/fixtures/architectures"
);

/// Their names.
pub const NAMES: [&str; 6] = [
    "gpt2",
    "gpt2-unprefixed",
    "llama-linear-tied",
    "llama-llama3-biased",
    "qwen2-tied",
    "qwen3",
];

/// Every model of the fixture.
pub fn origins() -> Vec<Origin> {
    NAMES.iter().map(|name| origin(name)).collect()
}

fn origin(name: &str) -> Origin {
    let folder = Path::new(FOLDER).join(name);
    let read = |name: &str| fs::read(folder.join(name)).expect("a file of the fixture");
    let config = String::from_utf8(read("config.json")).expect("text");
    let config = ModelConfig::from_json(&config).expect("written by transformers");
    let file = ("model.safetensors".into(), read("model.safetensors").into());
    let weights = Weights::from_safetensors(&config, &[file]).expect("written by transformers");
    let expected = read("expected.safetensors");
    let expected = SafeTensors::deserialize(&expected).expect("the fixture");
    let words = |name: &str| -> Vec<[u8; 4]> {
        let tensor = expected.tensor(name).expect("a tensor of the fixture");
        tensor.data().as_chunks().0.to_vec()
    };
    let ids = |name: &str| words(name).into_iter().map(u32::from_le_bytes).collect();
    Origin {
        name: name.into(),
        config,
        weights: weights.into(),
        ids: ids("ids"),
        logits: words("logits")
            .into_iter()
            .map(f32::from_le_bytes)
            .collect(),
        greedy: ids("greedy"),
    }
}

impl Origin {
    /// Fails where logits, one row for each of `ids`, are not those of `transformers`.
    pub fn assert_logits(&self, found: &[Vec<f32>]) {
        let expected = self.logits.chunks_exact(self.config.vocab_size);
        assert_eq!(found.len(), self.ids.len(), "{}", self.name);
        for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
            for (found, expected) in found.iter().zip(expected) {
                // Not `>`, which a NaN would pass.
                let is_near = (found - expected).abs() <= TOLERANCE;
                assert!(
                    is_near,
                    "{} at {position}: {found} for {expected}",
                    self.name
                );
            }
        }
    }

    /// Greedy words after the prompt, as many as `transformers` chose.
    pub fn greedy_lane(&self) -> LaneSpec {
        LaneSpec {
            inputs: Input::tokens(&self.ids[..N_PROMPT]),
            program: Program {
                start: Vec::new(),
                phases: vec![Phase {
                    role: Role::Answer,
                    feed: Feed::Token,
                    sampler: Sampler::GREEDY,
                    until: Until::steps(self.greedy.len() as u32),
                    then_force: Vec::new(),
                    adapter: Adapter::Base,
                }],
            },
            seed: 0,
            stream: 0,
            decode_thoughts: false,
        }
    }
}
