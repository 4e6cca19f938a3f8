//! The kernels' sources and pipelines, with the constants that a model's shape gives them.

use latent_model::config::ModelConfig;

/// One file of `shaders/`.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The file's name without `.wgsl`.
    pub name: &'static str,
    /// The prelude and the file.
    pub source: &'static str,
}

macro_rules! kernel {
    ($name:literal) => {
        Kernel {
            name: $name,
            source: concat!(
                include_str!("../../../shaders/prelude.wgsl"),
                include_str!(concat!("../../../shaders/", $name, ".wgsl"))
            ),
        }
    };
}

/// Token embeddings of prompts.
pub const EMBED: Kernel = kernel!("embed");
/// Attention norm, query, key and value projections, rotation.
pub const QKV: Kernel = kernel!("qkv");
/// Attention over the cache.
pub const ATTENTION: Kernel = kernel!("attention");
/// Output and down projections, added to the residual stream.
pub const PROJECT: Kernel = kernel!("project");
/// MLP norm, gate and up projections, activation.
pub const SWIGLU: Kernel = kernel!("swiglu");
/// Final norm and LM head.
pub const HEAD: Kernel = kernel!("head");
/// The select stage and the next input.
pub const SELECT: Kernel = kernel!("select");

/// Every kernel: `tests/shaders.rs` compares this with the folder.
pub const KERNELS: [Kernel; 7] = [EMBED, QKV, ATTENTION, PROJECT, SWIGLU, HEAD, SELECT];

/// Steps that the ring of records holds: the most that one submit runs.
pub const RING_STEPS: u32 = 64;

/// Columns that one thread of a matmul can hold.
pub const MAX_TILE: u32 = 8;

/// A pipeline and what is needed to dispatch it.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The kernel's name.
    pub name: &'static str,
    /// Threads of one workgroup.
    pub threads: u32,
    inner: wgpu::ComputePipeline,
}

impl Kernel {
    /// Compiles the kernel with `threads` threads a workgroup and its other constants.
    pub fn pipeline(
        &self,
        device: &wgpu::Device,
        threads: u32,
        constants: &[(&str, f64)],
    ) -> Pipeline {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(self.name),
            source: wgpu::ShaderSource::Wgsl(self.source.into()),
        });
        let mut all = vec![("THREADS", f64::from(threads))];
        all.extend_from_slice(constants);
        let inner = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(self.name),
            // Bindings exist in WGSL only; every dispatch has a bind group of its own.
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &all,
                ..Default::default()
            },
            cache: None,
        });
        Pipeline {
            name: self.name,
            threads,
            inner,
        }
    }
}

impl Pipeline {
    /// The compiled kernel.
    pub fn compiled(&self) -> &wgpu::ComputePipeline {
        &self.inner
    }

    /// Binds `buffers` to the bindings 0, 1, …
    pub fn bind(&self, device: &wgpu::Device, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.inner.get_bind_group_layout(0),
            entries: &entries,
        })
    }
}

/// Threads of a workgroup for `n_items` equal pieces of work.
///
/// Small shapes are cut into about eight workgroups, so that the cores of a CPU adapter and the
/// processors of a GPU all get one; large shapes get workgroups of two warps.
pub fn threads_for(n_items: u32) -> u32 {
    (n_items / 8).next_power_of_two().clamp(8, 64)
}

/// Columns per thread for a batch of `n_columns`.
pub fn tile_for(n_columns: usize) -> u32 {
    match n_columns {
        1 => 1,
        2..=4 => 4,
        _ => MAX_TILE,
    }
}

/// The pipelines that do not depend on the batch.
#[derive(Clone, Debug)]
pub(crate) struct ColumnPipelines {
    pub embed: Pipeline,
    pub attention: Pipeline,
    pub select: Pipeline,
}

/// The pipelines of matmuls, for one number of columns per thread.
#[derive(Clone, Debug)]
pub(crate) struct TilePipelines {
    pub tile: u32,
    pub qkv: Pipeline,
    pub output: Pipeline,
    pub swiglu: Pipeline,
    pub down: Pipeline,
    pub head: Pipeline,
}

impl ColumnPipelines {
    pub fn new(device: &wgpu::Device, config: &ModelConfig) -> Self {
        let width = config.hidden_size as f64 / 4.0;
        let head_dim = config.head_dim as u32;
        Self {
            embed: EMBED.pipeline(
                device,
                threads_for(config.hidden_size as u32 / 4),
                &[("WIDTH", width)],
            ),
            // As many threads as the weighted sum of values has vec4s: none idles, and on CPU
            // adapters a workgroup is one subgroup, whose barriers cost nothing.
            attention: ATTENTION.pipeline(
                device,
                (head_dim / 4).next_power_of_two().clamp(8, 64),
                &[
                    ("N_HEADS", config.n_heads as f64),
                    ("N_KV_HEADS", config.n_kv_heads as f64),
                    ("HEAD_DIM", config.head_dim as f64),
                ],
            ),
            select: SELECT.pipeline(
                device,
                threads_for(config.vocab_size as u32),
                &[
                    ("VOCAB_SIZE", config.vocab_size as f64),
                    ("WIDTH", width),
                    ("EPSILON", f64::from(config.rms_norm_eps)),
                    ("RING_STEPS", f64::from(RING_STEPS)),
                ],
            ),
        }
    }
}

impl TilePipelines {
    pub fn new(device: &wgpu::Device, config: &ModelConfig, tile: u32) -> Self {
        let quads = |width: usize| width.div_ceil(4) as f64;
        let columns = ("COLUMNS", f64::from(tile));
        let epsilon = ("EPSILON", f64::from(config.rms_norm_eps));
        let width = ("WIDTH", quads(config.hidden_size));
        let threads = |rows: usize| threads_for(rows.div_ceil(4) as u32);
        let project = |input_width: usize| {
            let constants = [
                columns,
                ("WIDTH", quads(input_width)),
                ("N_QUADS", quads(config.hidden_size)),
            ];
            PROJECT.pipeline(device, threads(config.hidden_size), &constants)
        };
        Self {
            tile,
            qkv: QKV.pipeline(
                device,
                threads(config.q_width() + 2 * config.kv_width()),
                &[
                    columns,
                    width,
                    epsilon,
                    ("N_HEADS", config.n_heads as f64),
                    ("N_KV_HEADS", config.n_kv_heads as f64),
                    ("HEAD_DIM", config.head_dim as f64),
                ],
            ),
            output: project(config.q_width()),
            swiglu: SWIGLU.pipeline(
                device,
                threads(config.intermediate_size),
                &[
                    columns,
                    width,
                    epsilon,
                    ("N_QUADS", quads(config.intermediate_size)),
                ],
            ),
            down: project(config.intermediate_size),
            head: HEAD.pipeline(
                device,
                threads(config.vocab_size),
                &[
                    columns,
                    width,
                    epsilon,
                    ("N_QUADS", quads(config.vocab_size)),
                ],
            ),
        }
    }
}
