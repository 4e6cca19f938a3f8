//! What a device can do at best: one matmul kernel over and over, and a copy. The caller has the
//! clock; a run of either ends when the device is through.

use latent_model::checkpoint::WeightFormat;

use crate::{
    context::{GpuContext, GpuError},
    forward::Dispatch,
    kernels::{
        PROJECT, Table,
        cost::{Cost, RowWork},
        tile_for,
    },
    layout::Row,
    packing::packed_words,
    readback,
};

/// A matmul of `outputs` × `inputs` weights with a batch of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulShape {
    /// Columns of the matrix.
    pub n_inputs: usize,
    /// Its rows.
    pub n_outputs: usize,
    /// Vectors.
    pub n_rows: usize,
    /// How the weights are kept.
    pub format: WeightFormat,
}

/// The plainest matmul kernel on made-up numbers: no norm before it, nothing behind it.
#[derive(Debug)]
pub struct MicroKernel {
    context: GpuContext,
    dispatch: Dispatch,
    work: Vec<RowWork>,
    output: wgpu::Buffer,
    staging: wgpu::Buffer,
}

impl MicroKernel {
    /// Compiles the kernel of the context's table for a shape with `threads` threads a workgroup, of
    /// which each slice has `quads` where sums are split.
    pub async fn new(
        context: &GpuContext,
        shape: MatmulShape,
        (threads, quads): (u32, u32),
    ) -> Result<Self, GpuError> {
        let create = || Self::create(context, shape, (threads, quads));
        context.checked("a micro-kernel", create).await
    }

    fn create(
        context: &GpuContext,
        shape: MatmulShape,
        (threads, quads): (u32, u32),
    ) -> Result<Self, GpuError> {
        let tile = tile_for(shape.n_rows);
        let n_rows = shape.n_rows.next_multiple_of(tile as usize);
        let n_quads = shape.n_outputs.div_ceil(4);
        let mut constants = vec![
            ("TILE", f64::from(tile)),
            ("WIDTH", shape.n_inputs.div_ceil(4) as f64),
            ("N_QUADS", n_quads as f64),
            ("N_SETS", 1.0),
            ("BIAS", 0.0),
        ];
        if context.table() == Table::Gpu {
            constants.push(("QUADS", f64::from(quads)));
        }
        let kernel = PROJECT.of(context.table(), shape.format);
        let pipeline = kernel.pipeline(context, threads, &constants)?;
        let row = Row {
            live: 1,
            ..Row::default()
        };
        let words = |n: usize| (n * size_of::<u32>()) as u64;
        let n_words = packed_words(shape.format, shape.n_outputs, shape.n_inputs);
        let rows = context.storage_of("rows", &vec![row; n_rows])?;
        let input = context.storage("inputs", words(n_rows * shape.n_inputs))?;
        let weights = context.storage("weights", words(n_words))?;
        let output = context.storage("outputs", words(n_rows * 4 * n_quads))?;
        let dispatch_quads = pipeline.quads_per_group();
        // Without a bias its binding is not read.
        let bind_group = pipeline.bind(context, &[&rows, &input, &weights, &input, &output]);
        let n_groups = n_quads.div_ceil(dispatch_quads as usize);
        let live = RowWork {
            is_live: true,
            ..RowWork::default()
        };
        Ok(Self {
            context: context.clone(),
            dispatch: Dispatch {
                pipeline,
                bind_group,
                grid: [n_groups as u32, n_rows as u32 / tile],
            },
            work: vec![live; n_rows],
            staging: context.staging(4),
            output,
        })
    }

    /// Declared work of one dispatch.
    pub fn cost(&self) -> Cost {
        self.dispatch.pipeline.cost(&self.work)
    }

    /// Dispatches it `n_times` in one pass, and waits.
    pub async fn run(&self, n_times: u32) -> Result<(), GpuError> {
        let device = self.context.device();
        let mut encoder = device.create_command_encoder(&Default::default());
        let dispatch = std::slice::from_ref(&self.dispatch);
        self.context.record(&mut encoder, dispatch, n_times);
        encoder.copy_buffer_to_buffer(&self.output, 0, &self.staging, 0, 4);
        self.context.submit(encoder);
        readback::read(&self.context, &self.staging, 4).await?;
        Ok(())
    }
}

/// A copy from one buffer of the device to another.
#[derive(Debug)]
pub struct DeviceCopy {
    context: GpuContext,
    buffers: [wgpu::Buffer; 2],
    staging: wgpu::Buffer,
}

impl DeviceCopy {
    /// Buffers of `n_bytes`, a multiple of 4.
    pub async fn new(context: &GpuContext, n_bytes: u64) -> Result<Self, GpuError> {
        let create = || {
            let [from, to] = ["copied", "the copy"];
            let buffers = [
                context.storage(from, n_bytes)?,
                context.storage(to, n_bytes)?,
            ];
            Ok(Self {
                context: context.clone(),
                buffers,
                staging: context.staging(4),
            })
        };
        context.checked("a copy", create).await
    }

    /// Bytes read and written by one copy.
    pub fn n_bytes(&self) -> u64 {
        2 * self.buffers[0].size()
    }

    /// Copies `n_times`, and waits.
    pub async fn run(&self, n_times: u32) -> Result<(), GpuError> {
        let device = self.context.device();
        let mut encoder = device.create_command_encoder(&Default::default());
        let [from, to] = &self.buffers;
        for _ in 0..n_times {
            encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        }
        encoder.copy_buffer_to_buffer(to, 0, &self.staging, 0, 4);
        self.context.submit(encoder);
        readback::read(&self.context, &self.staging, 4).await?;
        Ok(())
    }
}
