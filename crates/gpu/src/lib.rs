//! The same runs as handwritten WGSL on wgpu, natively and in the browser.
//!
//! # How a run works
//!
//! A **row** is one vector of the batch that the forward pass works on: a lane's newest input, or
//! one position of a prompt that is prefilled ([`layout::Row`]). The same kernels serve both; a
//! matmul thread holds four outputs of a weight times a tile of 1, 4 or 8 rows in registers, so
//! every weight is read once for up to eight lanes or positions. A row names its lane and the
//! cache row that its key and value go to; one that does not commit leaves both lane and cache as
//! they are.
//!
//! [`GpuEngine::new`](engine::GpuEngine::new) uploads the weights and compiles the pipelines.
//! `begin` allocates what the run needs, runs every distinct prompt (but its last input) through
//! the layers once, and builds the list of one step's dispatches:
//!
//! ```text
//!   first       embed
//!   per layer   qkv [→ qk_norm] → attention → project (output) → expand → project (down)
//!               [→ tap | contemplate]
//!   then        final_norm → head → distribution → select
//! ```
//!
//! That is 5 · layers + 5 dispatches for all lanes and all strategies together; a table in several
//! shards takes one more a shard, a layer whose state is fed back one more, and so does every layer of
//! a model whose heads have norms of their own. What a model is made of
//! ([`Architecture`](latent_model::config::Architecture)) comes as constants of the pipelines, so
//! that what it lacks is not there once they are compiled. Where a checkpoint has adapters, matmuls
//! read each row's own set of weights in the same dispatch. The select stage decides, writes the record and what is fed next, and advances the lane, so that the next step
//! can follow at once: the commands of a step never change, nothing is uploaded or read between
//! steps, and a lane that is done makes its workgroups return early. `advance(n)` is the list n
//! times in one pass, one submit, and one readback of the records.
//!
//! # Tables of kernels
//!
//! On CPU adapters a thread sums whole outputs, without barriers, and where the device has subgroups
//! their threads read inputs for each other; on GPUs the threads of a workgroup share every sum and every
//! head's positions ([`kernels::Table`]). The adapter's type decides where it is told; in browsers it is not,
//! so the page measures ([`GpuContext::is_of_known_kind`]). [`GpuContext::with_table`] lets tests and the
//! benchmark run any of them anywhere.
//!
//! # Three lifetimes
//!
//! | struct | lives | holds |
//! |---|---|---|
//! | `DeviceWeights` | as long as the engine | weights, packed for the kernels |
//! | `Batch` | a run, or its prefill | rows and activations |
//! | `KvCache` | a run | keys, values, rotations |
//!
//! Lanes with the same prompt read one copy of its keys and values. Every buffer is checked
//! against WebGPU's default limits before it is made ([`GpuError::Limit`]), and no optional
//! feature is needed.
//!
//! # Adding a kernel
//!
//! 1. `shaders/<name>.wgsl`, entry point `main`: the header gives the formula and what one
//!    thread or workgroup does; bindings carry their shapes; dimensions are `override` constants.
//! 2. A constant in [`kernels`] with the iterations of its loops and its cost, and its place in
//!    [`kernels::KERNELS`]; `tests/shaders.rs` fails until the table and the folder agree.
//! 3. A case in `tests/kernels.rs` (or `attention.rs`, `select.rs`) against an f64 twin, at
//!    sizes 1, odd, and a real model's.
//! 4. Its dispatch in `forward.rs`; `tests/layers.rs` and `tests/programs.rs` then cover it.
//!
//! # Backends
//!
//! The code is the same everywhere; a binary picks the feature `native` (Vulkan, Metal, DX12)
//! or `web` (WebGPU).

pub mod any_engine;
pub mod ceiling;
pub mod context;
pub mod engine;
pub mod kernels;
pub mod layout;
pub mod memory;
pub mod packing;
pub mod self_test;
pub mod weights;

mod batch;
mod buffer;
mod counts;
mod fault;
mod forward;
mod inspect;
mod pipelines;
mod profile;
mod readback;
mod run;

pub use any_engine::AnyEngine;
pub use context::{GpuContext, GpuError};
pub use counts::DeviceCounts;
pub use engine::{EngineStats, GpuEngine, MAX_LANES};
pub use kernels::cost::Cost;
pub use memory::WeightMemory;
pub use profile::KernelTime;
