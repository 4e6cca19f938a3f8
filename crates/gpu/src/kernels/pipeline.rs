//! Kernels compiled for a shape, and bound to buffers.

use std::{
    borrow::Borrow,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Kernel, MOST_ITERATIONS, MOST_WORKGROUPS, Parts, Shape,
    cost::{Cost, RowWork, Work},
};
use crate::context::{GpuContext, GpuError, Mutation};

/// A kernel that is compiled for a shape.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Threads of one workgroup.
    pub threads: u32,
    kernel: Kernel,
    constants: Arc<[(&'static str, f64)]>,
    compiled: wgpu::ComputePipeline,
}

/// What a device has compiled, as long as it is there: models of one shape share all kernels, and others
/// some.
#[derive(Debug, Default)]
pub(crate) struct Compiled(Mutex<Vec<(Key, wgpu::ComputePipeline)>>);

/// What is compiled: constants by their bits, what is wrong on purpose, and a source.
#[derive(Debug, PartialEq)]
struct Key(Vec<(&'static str, u64)>, Option<Mutation>, Parts);

impl Compiled {
    /// What was compiled of this, or what `compile` makes of it.
    fn get_or_make(
        &self,
        key: Key,
        compile: impl FnOnce() -> wgpu::ComputePipeline,
    ) -> wgpu::ComputePipeline {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = all.iter().find(|(other, _)| *other == key) {
            return known.clone();
        }
        let compiled = compile();
        all.push((key, compiled.clone()));
        compiled
    }

    /// Forgets all of it, of which a device has refused something.
    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Kernel {
    /// Whether a dispatch may have so many workgroups in one dimension.
    pub fn check_grid(&self, n_groups: usize) -> Result<(), GpuError> {
        let needed = n_groups as u64;
        if needed <= MOST_WORKGROUPS {
            return Ok(());
        }
        Err(GpuError::TooManyWorkgroups {
            kernel: self.name,
            needed,
        })
    }

    /// The most iterations that all loops of one invocation take together.
    pub fn iterations(&self, shape: &Shape<'_>) -> u64 {
        (self.loops)(shape).into_iter().sum()
    }

    /// Whether every driver runs the kernel to its end at this shape.
    pub fn check(&self, shape: &Shape<'_>) -> Result<(), GpuError> {
        let iterations = self.iterations(shape);
        if iterations <= MOST_ITERATIONS {
            return Ok(());
        }
        let constants = shape.constants.iter();
        let constants: Vec<String> = constants
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        Err(GpuError::TooManyIterations {
            kernel: self.name,
            shape: format!(
                "{} threads, {} positions, {}",
                shape.threads,
                shape.n_positions,
                constants.join(", ")
            ),
            iterations,
        })
    }

    /// The kernel compiled with `threads` threads a workgroup and its other constants.
    pub fn pipeline(
        &self,
        context: &GpuContext,
        threads: u32,
        constants: &[(&'static str, f64)],
    ) -> Result<Pipeline, GpuError> {
        self.check(&Shape {
            threads,
            constants,
            n_positions: 1,
        })?;
        let mut all = vec![("THREADS", f64::from(threads))];
        all.extend_from_slice(constants);
        let bits = all.iter().map(|&(name, value)| (name, value.to_bits()));
        let mutation = context.mutation_of(self);
        let key = Key(bits.collect(), mutation, self.parts);
        let compile = || self.compiled(context, mutation, &all);
        Ok(Pipeline {
            threads,
            kernel: *self,
            constants: constants.into(),
            compiled: context.compiled().get_or_make(key, compile),
        })
    }

    fn compiled(
        &self,
        context: &GpuContext,
        mutation: Option<Mutation>,
        constants: &[(&'static str, f64)],
    ) -> wgpu::ComputePipeline {
        context.count(|counts| counts.pipelines += 1);
        let mutated = mutation.and_then(|wrong| wrong.applied(self));
        let source = mutated.unwrap_or_else(|| self.source());
        let device = context.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(self.name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(self.name),
            // Bindings exist in WGSL only; every dispatch has a bind group of its own.
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                // Kernels write what they read of workgroup memory. A browser empties it all the same,
                // which some compile as a store for every element: arrays are as small as they can be.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        })
    }
}

impl Pipeline {
    /// The kernel's name.
    pub fn name(&self) -> &'static str {
        self.kernel.name
    }

    /// The compiled kernel.
    pub fn compiled(&self) -> &wgpu::ComputePipeline {
        &self.compiled
    }

    /// Fours of outputs of one workgroup of a matmul: QUADS where sums are split, else one a thread.
    pub fn quads_per_group(&self) -> u32 {
        self.constant("QUADS").unwrap_or(self.threads)
    }

    /// Rows of one workgroup: TILE where it has several.
    pub fn tile(&self) -> u32 {
        self.constant("TILE").unwrap_or(1)
    }

    fn constant(&self, name: &str) -> Option<u32> {
        let found = self.constants.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value as u32)
    }

    /// Whether every driver runs it to its end over `n_positions` positions.
    pub fn check(&self, n_positions: usize) -> Result<(), GpuError> {
        self.kernel.check(&Shape {
            threads: self.threads,
            constants: &self.constants,
            n_positions,
        })
    }

    /// What one dispatch over a batch moves and computes.
    pub fn cost(&self, rows: &[RowWork]) -> Cost {
        let shape = Shape {
            threads: self.threads,
            constants: &self.constants,
            n_positions: 1,
        };
        (self.kernel.cost)(&Work {
            shape: &shape,
            format: self.kernel.format,
            rows,
        })
    }

    /// Binds `buffers` to the bindings 0, 1, …
    pub fn bind<B: Borrow<wgpu::Buffer>>(
        &self,
        context: &GpuContext,
        buffers: &[&B],
    ) -> wgpu::BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: (*buffer).borrow().as_entire_binding(),
            })
            .collect();
        context.count(|counts| counts.bind_groups += 1);
        context
            .device()
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(self.name()),
                layout: &self.compiled.get_bind_group_layout(0),
                entries: &entries,
            })
    }
}
