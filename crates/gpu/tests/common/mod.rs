//! What the GPU tests share: the device, random models, and running one kernel.
#![allow(dead_code)] // Every test file uses its own part.

#[path = "../../../model/tests/common/mod.rs"]
pub mod random;
pub mod twins;

use std::sync::Arc;

use latent_gpu::{GpuContext, GpuEngine, kernels::Pipeline};
use latent_model::{
    checkpoint::Weights,
    config::ModelConfig,
    input::Feed,
    program::{Adapter, Phase, Program, Role, Sampler, Until},
    strategy::{Setting, Settings, Strategy},
    tokenizer::{Marker, Tokenizer},
};
use pollster::block_on;

/// The device, or `None` where `LATENT_SKIP_GPU=1` says that there is none to be had. A machine
/// without an adapter fails: a test that silently tests nothing is worse than a red one.
pub fn context() -> Option<GpuContext> {
    if std::env::var("LATENT_SKIP_GPU").is_ok_and(|value| value == "1") {
        eprintln!("SKIPPED: LATENT_SKIP_GPU=1");
        return None;
    }
    Some(block_on(GpuContext::request()).expect("a GPU adapter, or LATENT_SKIP_GPU=1"))
}

/// The number that a variable of the environment asks for, else `few`.
pub fn asked<T: std::str::FromStr>(variable: &str, few: T) -> T {
    match std::env::var(variable) {
        Ok(text) => {
            let number = text.parse().ok();
            number.unwrap_or_else(|| panic!("{variable} is a number, found {text}"))
        }
        Err(_) => few,
    }
}

/// The smallest model that has everything: grouped queries, an untied head, odd widths, adapters.
pub fn small() -> (ModelConfig, Arc<Weights>) {
    let (config, plain) = plain();
    let weights = random::contemplating(&config, &plain);
    (config, Arc::new(weights))
}

/// The same without adapters.
pub fn plain() -> (ModelConfig, Arc<Weights>) {
    let config = random::config();
    (config.clone(), random::weights(&config))
}

/// Random weights in the shape of a model that ships: tied embeddings, heads wider than
/// d / n_heads.
pub fn shipped() -> (ModelConfig, Arc<Weights>) {
    let json = include_str!("../../../../public/models/prosqa-coconut/config.json");
    let config = ModelConfig::from_json(json).expect("the config of a model that ships");
    (config.clone(), random::weights(&config))
}

/// A phase of so many inputs, under the base's weights.
pub fn phase(role: Role, feed: Feed, sampler: Sampler, max_steps: u32) -> Phase {
    Phase {
        role,
        feed,
        sampler,
        until: Until::steps(max_steps),
        then_force: Vec::new(),
        adapter: Adapter::Base,
    }
}

/// A word-level tokenizer whose last six ids are the markers.
pub fn tokenizer(vocab_size: usize) -> Tokenizer {
    let n_words = vocab_size - Marker::ALL.len();
    let words: Vec<String> = (0..n_words).map(|id| format!("\"w{id}\":{id}")).collect();
    let markers: Vec<String> = (n_words..)
        .zip(Marker::ALL)
        .map(|(id, marker)| {
            format!(
                r#"{{"id":{id},"content":"{}","single_word":false,"lstrip":false,
                "rstrip":false,"normalized":false,"special":true}}"#,
                marker.text()
            )
        })
        .collect();
    let json = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{}],
        "normalizer":null,"pre_tokenizer":{{"type":"WhitespaceSplit"}},"post_processor":null,
        "decoder":null,"model":{{"type":"WordLevel","vocab":{{{}}},"unk_token":"w0"}}}}"#,
        markers.join(","),
        words.join(",")
    );
    Tokenizer::from_json(&json).expect("a tokenizer")
}

/// The strategy with few steps, so that the caps are met.
pub fn program(strategy: &Strategy, config: &ModelConfig) -> Program {
    let mut settings = Settings::default();
    for (setting, value) in [(Setting::MaxThink, 7.0), (Setting::MaxAnswer, 4.0)] {
        if strategy.settings.iter().any(|(known, _)| *known == setting) {
            settings.set(setting, value);
        }
    }
    let tokenizer = tokenizer(config.vocab_size);
    let (_, weights) = small();
    let program = strategy.program(&settings, &tokenizer, weights.capabilities());
    program.expect("a program")
}

pub fn engine(context: &GpuContext, model: &(ModelConfig, Arc<Weights>)) -> GpuEngine {
    block_on(GpuEngine::new(&model.0, &model.1, context)).expect("an engine")
}

/// Numbers between −2 and 2, different for every `seed`.
pub fn noise(seed: u32, n: usize) -> Vec<f32> {
    let bits = |i: u32| latent_model::rng::pcg4d([seed, i, 1, 2])[0];
    (0..n as u32)
        .map(|i| 4.0 * latent_model::rng::uniform(bits(i)) - 2.0)
        .collect()
}

/// A storage buffer with contents, of at least one vec4.
pub fn buffer<T: bytemuck::NoUninit>(context: &GpuContext, contents: &[T]) -> wgpu::Buffer {
    let mut bytes: Vec<u8> = bytemuck::cast_slice(contents).to_vec();
    bytes.resize(bytes.len().max(16), 0);
    let buffer = context.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes.len() as u64,
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    context.queue().write_buffer(&buffer, 0, &bytes);
    buffer
}

/// Runs one dispatch over `buffers`, bound in order.
pub fn dispatch(
    context: &GpuContext,
    pipeline: &Pipeline,
    buffers: &[&wgpu::Buffer],
    grid: [u32; 2],
) {
    let bind_group = pipeline.bind(context, buffers);
    let mut encoder = context.device().create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(pipeline.compiled());
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(grid[0], grid[1], 1);
    }
    context.queue().submit([encoder.finish()]);
    context.check().expect("a dispatch without errors");
}

/// The contents of buffers, read back at once.
pub fn bytes_of<const N: usize>(context: &GpuContext, buffers: [&wgpu::Buffer; N]) -> [Vec<u8>; N] {
    let staging = context.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: buffers.iter().map(|buffer| buffer.size()).sum(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = context.device().create_command_encoder(&Default::default());
    let mut offset = 0;
    for buffer in buffers {
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, offset, buffer.size());
        offset += buffer.size();
    }
    context.queue().submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |mapped| {
        mapped.expect("a mapped buffer")
    });
    context
        .device()
        .poll(wgpu::PollType::wait_indefinitely())
        .expect("finished work");
    let view = staging.get_mapped_range(..).expect("a mapped buffer");
    let mut rest = &view[..];
    buffers.map(|buffer| {
        let (bytes, after) = rest.split_at(buffer.size() as usize);
        rest = after;
        bytes.to_vec()
    })
}

/// The contents of one buffer.
pub fn contents<T: bytemuck::Pod>(context: &GpuContext, buffer: &wgpu::Buffer) -> Vec<T> {
    bytemuck::pod_collect_to_vec(&bytes_of(context, [buffer])[0])
}
