//! What the benchmark found, as it stands in its JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measured::Measured;

/// A run of `latent bench`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub adapter: Adapter,
    pub machine: Machine,
    /// Of this program and of the libraries that are measured.
    pub versions: BTreeMap<String, String>,
    pub model: ModelSize,
    pub parity: Parity,
    pub settings: Settings,
    pub decode: Vec<Decode>,
    pub prefill: Prefill,
    /// From a file to an engine that has decoded, each in a program of its own.
    pub loading: Vec<Loading>,
    pub peers: Vec<Peer>,
    /// How many times as quick one is as another, by a name that says which; the floors' names.
    pub ratios: BTreeMap<String, Measured>,
    pub counters: Counters,
    pub memory: Memory,
    /// Nothing where the device has no timestamps.
    pub kernels: Vec<KernelShare>,
    pub ceiling: Vec<Ceiling>,
    /// Bytes a second, read and written, of a copy within the device.
    pub copy_bytes_per_second: Measured,
}

/// The device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    pub name: String,
    pub driver: String,
    /// Whether it runs on the CPU.
    pub is_software: bool,
    /// The table of kernels that is chosen for it.
    pub kernels: String,
}

/// Where it ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub system: String,
    pub n_cpus: usize,
    /// Programs that ran or waited to, over the minute before and over the last one; nothing where
    /// the system does not tell.
    pub load: Option<[f64; 2]>,
    /// Whether the program was built for speed.
    pub is_release: bool,
}

/// What was run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSize {
    pub name: String,
    pub n_parameters: usize,
    pub n_layers: usize,
    pub hidden_size: usize,
    pub vocab_size: usize,
    /// How matrices are kept.
    pub weights: String,
}

/// The engine beside the oracle, before anything was timed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parity {
    pub agrees: bool,
    /// The largest difference of any activation.
    pub max_difference: f64,
    /// Strategies whose every step was compared.
    pub n_strategies: usize,
}

impl Parity {
    /// Both of two engines.
    pub fn and(self, other: Self) -> Self {
        Self {
            agrees: self.agrees && other.agrees,
            max_difference: self.max_difference.max(other.max_difference),
            n_strategies: self.n_strategies,
        }
    }
}

/// How it was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Rounds that count; one more goes before them.
    pub rounds: usize,
    pub prompt_tokens: usize,
    pub steps: usize,
}

/// The GPU engine's decoding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decode {
    /// What every step feeds: token or mixture.
    pub feed: String,
    pub lanes: usize,
    pub steps_per_submit: usize,
    /// Of all lanes together.
    pub tokens_per_second: Measured,
    pub tokens_per_second_per_lane: Measured,
    /// Declared bytes of a step over its time.
    pub bytes_per_second: Measured,
    pub flops_per_second: Measured,
}

/// Reading a prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefill {
    pub prompt_tokens: usize,
    pub tokens_per_second: Measured,
    /// From the prompt to the first token of a model that is loaded.
    pub first_token_seconds: Measured,
    /// Tokens a second of everybody else who read the same prompt in the same rounds.
    pub peers: BTreeMap<String, Measured>,
}

/// What it takes until a model that lies on the disk decodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loading {
    pub engine: String,
    /// Until the model is read and checked.
    pub read_seconds: f64,
    /// From there until the engine is made.
    pub engine_seconds: f64,
    /// From there until the first token behind a prompt of eight: kernels are compiled meanwhile.
    pub first_token_seconds: f64,
    /// The most memory that the program held; nothing where the system does not tell.
    pub peak_bytes: Option<u64>,
    /// Bytes of the model's file or files.
    pub file_bytes: u64,
}

/// Somebody else on the same weights in the same rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    pub name: String,
    pub lanes: usize,
    pub tokens_per_second: Measured,
    /// Tokens from the first on that are those of the GPU engine.
    pub same_tokens: usize,
    /// Of so many.
    pub tokens: usize,
}

/// What steady decoding asks of the device, whatever the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Steps of the submit that was counted, of one lane.
    pub steps: usize,
    pub dispatches: u64,
    pub passes: u64,
    pub submits: u64,
    pub maps: u64,
    pub buffers_made: u64,
    pub bind_groups_made: u64,
    pub pipelines_made: u64,
    pub bytes_written: u64,
    pub bytes_read_back: u64,
    /// Declared work of one step.
    pub bytes_per_step: u64,
    pub flops_per_step: u64,
}

/// Bytes of buffers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub weights: u64,
    /// All that one run of eight lanes makes, its prefill among it, on top of the weights.
    pub run: u64,
}

/// One kernel's part of a step of one lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelShare {
    pub name: String,
    pub dispatches: f64,
    pub microseconds: f64,
    pub share: f64,
    pub bytes_per_second: f64,
    pub flops_per_second: f64,
}

/// The quickest micro-kernel at one of the model's matmuls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    pub matmul: String,
    pub inputs: usize,
    pub outputs: usize,
    pub lanes: usize,
    /// Matmuls of this shape in a step.
    pub n: usize,
    pub microseconds: f64,
    pub bytes_per_second: f64,
    pub flops_per_second: f64,
    /// Threads of a workgroup that were quickest.
    pub threads: u32,
    /// The table that was.
    pub kernels: String,
}
