//! What a device can do at best: one matmul kernel over and over, on as many matrices as a step reads,
//! and a copy. The caller has the clock; a run of either ends when the device is through.

use latent_model::checkpoint::WeightFormat;

use crate::{
    buffer::DeviceBuffer,
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

/// A matmul of `outputs` × `inputs` weights with a batch of vectors, once for each of a step's matrices of
/// this shape: a matrix that is read again and again would come out of a cache that a step finds cold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulShape {
    /// Columns of the matrix.
    pub n_inputs: usize,
    /// Its rows.
    pub n_outputs: usize,
    /// Vectors.
    pub n_rows: usize,
    /// Matrices of a step. What caches hold no more is not made twice, so there may be fewer.
    pub n_matrices: usize,
    /// How the weights are kept.
    pub format: WeightFormat,
}

/// The plainest matmul kernel on made-up numbers: no norm before it, nothing behind it.
#[derive(Debug)]
struct MicroKernel {
    context: GpuContext,
    /// One for each matrix.
    dispatches: Vec<Dispatch>,
    work: Vec<RowWork>,
    output: DeviceBuffer,
    /// What is bound beside it, for as long as it is dispatched.
    _inputs: Vec<DeviceBuffer>,
    staging: DeviceBuffer,
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
        constants.extend(context.sharing_constant(quads));
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
        let output = context.storage("outputs", words(n_rows * 4 * n_quads))?;
        let n_groups = n_quads.div_ceil(pipeline.quads_per_group() as usize);
        let n_cold = MORE_THAN_CACHES.div_ceil(words(n_words)) as usize;
        let mut inputs = vec![rows, input];
        let mut dispatches = Vec::new();
        for _ in 0..shape.n_matrices.clamp(1, n_cold) {
            let weights = context.storage("weights", words(n_words))?;
            let [rows, input] = [&inputs[0], &inputs[1]];
            dispatches.push(Dispatch {
                pipeline: pipeline.clone(),
                // Without a bias its binding is not read.
                bind_group: pipeline.bind(context, &[rows, input, &weights, input, &output]),
                grid: [n_groups as u32, n_rows as u32 / tile],
            });
            inputs.push(weights);
        }
        let live = RowWork {
            is_live: true,
            ..RowWork::default()
        };
        Ok(Self {
            context: context.clone(),
            dispatches,
            work: vec![live; n_rows],
            staging: context.staging(4),
            output,
            _inputs: inputs,
        })
    }

    /// Declared work of one dispatch.
    pub fn cost(&self) -> Cost {
        self.dispatches[0].pipeline.cost(&self.work)
    }

    /// How many matrices are multiplied.
    pub fn n_matrices(&self) -> f64 {
        self.dispatches.len() as f64
    }

    /// Dispatches every matrix `n_times` in one pass, and waits.
    pub async fn run(&self, n_times: u32) -> Result<(), GpuError> {
        let device = self.context.device();
        let mut encoder = device.create_command_encoder(&Default::default());
        self.context.record(&mut encoder, &self.dispatches, n_times);
        encoder.copy_buffer_to_buffer(&self.output, 0, &self.staging, 0, 4);
        self.context.submit(encoder);
        readback::read(&self.context, &self.staging, 4).await?;
        Ok(())
    }
}

/// A copy from one buffer of the device to another.
#[derive(Debug)]
struct DeviceCopy {
    context: GpuContext,
    buffers: [DeviceBuffer; 2],
    staging: DeviceBuffer,
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

/// A run lasts as long, if so many repeats are enough: beside it, what a submit and its answer take is
/// little.
const LEAST_SECONDS: f64 = 4e-3;
const MOST_REPEATS: u32 = 4096;
/// Runs, of which the quickest counts.
const PASSES: usize = 5;
/// What is tried: tables, threads of a workgroup, and threads of a slice where sums are split.
const VARIANTS: [(Table, u32, u32); 13] = [
    (Table::CpuSubgroups, 8, 1),
    (Table::CpuSubgroups, 16, 1),
    (Table::CpuSubgroups, 32, 1),
    (Table::CpuSubgroups, 64, 1),
    (Table::Cpu, 8, 1),
    (Table::Cpu, 16, 1),
    (Table::Cpu, 32, 1),
    (Table::Cpu, 64, 1),
    (Table::Gpu, 32, 4),
    (Table::Gpu, 128, 2),
    (Table::Gpu, 64, 4),
    (Table::Gpu, 128, 4),
    (Table::Gpu, 128, 8),
];
/// Bytes that are more than caches hold, and less than a binding of the smallest device.
const MORE_THAN_CACHES: u64 = 64 << 20;

/// Seconds of one repeat, of each of several runs that are long enough.
async fn timed(
    run: impl AsyncFn(u32) -> Result<(), GpuError>,
    clock: &impl Fn() -> f64,
) -> Result<[f64; PASSES], GpuError> {
    let seconds = async |n: u32| {
        let started = clock();
        run(n).await?;
        Ok::<f64, GpuError>((clock() - started) / f64::from(n))
    };
    // The first run compiles what the driver has put off.
    run(1).await?;
    let mut n = 1;
    while n < MOST_REPEATS && seconds(n).await? * f64::from(n) < LEAST_SECONDS {
        n *= 2;
    }
    let mut found = [0.0; PASSES];
    for pass in &mut found {
        *pass = seconds(n).await?;
    }
    Ok(found)
}

/// The quickest way to a product.
#[derive(Clone, Copy, Debug)]
pub struct Best {
    /// Of one dispatch.
    pub seconds: f64,
    /// Declared work of one dispatch.
    pub cost: Cost,
    /// Whose kernel.
    pub table: Table,
    /// Threads of a workgroup.
    pub threads: u32,
}

/// The quickest of all variants of the micro-kernel; `clock` tells seconds.
pub async fn quickest(
    context: &GpuContext,
    shape: MatmulShape,
    clock: impl Fn() -> f64,
) -> Result<Best, GpuError> {
    let mut best: Option<Best> = None;
    let runs = |(table, threads, _): &(Table, u32, u32)| context.runs(*table, *threads);
    for (table, threads, quads) in VARIANTS.into_iter().filter(runs) {
        let context = context.with_table(table);
        let kernel = MicroKernel::new(&context, shape, (threads, quads)).await?;
        for of_all in timed(async |n| kernel.run(n).await, &clock).await? {
            let seconds = of_all / kernel.n_matrices();
            if best.is_none_or(|best| seconds < best.seconds) {
                best = Some(Best {
                    seconds,
                    cost: kernel.cost(),
                    table,
                    threads,
                });
            }
        }
    }
    Ok(best.expect("there are variants and passes"))
}

/// Bytes read and written by a copy within the device, and the seconds of several.
pub async fn copies(
    context: &GpuContext,
    clock: impl Fn() -> f64,
) -> Result<(u64, Vec<f64>), GpuError> {
    let copy = DeviceCopy::new(context, MORE_THAN_CACHES.min(context.max_binding())).await?;
    let seconds = timed(async |n| copy.run(n).await, &clock).await?;
    Ok((copy.n_bytes(), seconds.to_vec()))
}
