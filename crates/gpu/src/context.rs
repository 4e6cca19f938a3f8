//! The device that engines share, and what goes wrong on one.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use latent_model::engine::EngineError;

use crate::{
    counts::DeviceCounts,
    fault::Fault,
    kernels::{Compiled, Kernel, MOST_THREADS, Table},
};

/// A GPU that cannot be used, or stopped being usable. Each text says what to expect of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GpuError {
    /// The program was built without any backend for this platform.
    #[error("this build has no GPU backend: turn on the feature `native` or `web` of latent-gpu")]
    NoBackend,
    /// No adapter.
    #[error("no GPU adapter was found: {0}")]
    NoAdapter(String),
    /// The adapter refused a device with WebGPU's default limits.
    #[error("the adapter {adapter} gives no device with WebGPU's default limits: {reason}")]
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// Its words.
        reason: String,
    },
    /// A model or run that does not fit the device's limits.
    #[error("{what} needs {needed} bytes, but this device's {limit} is {available}")]
    Limit {
        /// The buffer.
        what: String,
        /// Its size.
        needed: u64,
        /// The limit's WebGPU name.
        limit: &'static str,
        /// Its value.
        available: u64,
    },
    /// A shape at which some drivers end a kernel's loops before they are through.
    #[error(
        "the kernel {kernel} takes {iterations} loop iterations at {shape}, and drivers may end \
         an invocation's loops after {} without a word",
        crate::kernels::MOST_ITERATIONS
    )]
    TooManyIterations {
        /// The kernel's name.
        kernel: &'static str,
        /// Its constants, in words.
        shape: String,
        /// All loops of one invocation.
        iterations: u64,
    },
    /// A shape that takes more workgroups than WebGPU lets a dispatch have in one dimension.
    #[error(
        "the kernel {kernel} takes {needed} workgroups in a dispatch, and devices run at most {}",
        crate::kernels::MOST_WORKGROUPS
    )]
    TooManyWorkgroups {
        /// The kernel's name.
        kernel: &'static str,
        /// Its workgroups.
        needed: u64,
    },
    /// A vocabulary that the select stage cannot merge.
    #[error("the GPU engine runs vocabularies of at most {most} tokens, found {found}")]
    TooManyTokens {
        /// Tokens of the model.
        found: usize,
        /// The engine's limit.
        most: usize,
    },
    /// Not enough memory on the device, which does not tell how much it has.
    #[error(
        "the GPU has not enough memory for {what}, which takes {needed} bytes; this device allows \
         buffers of up to {available} bytes, and does not tell how much memory it has"
    )]
    OutOfMemory {
        /// What was to be made.
        what: String,
        /// Bytes of the buffers that were to be made at once.
        needed: u64,
        /// The device's maxBufferSize.
        available: u64,
    },
    /// The device is gone: driver reset, sleep, or another tab's fault.
    #[error("the GPU device was lost ({0})")]
    Lost(String),
    /// What the device refused; a defect of this program.
    #[error("the GPU refused {what}: {reason}")]
    Refused {
        /// What it was told.
        what: String,
        /// Its words.
        reason: String,
    },
}

impl GpuError {
    /// Whether something smaller would do on the same device.
    pub fn is_of_size(&self) -> bool {
        match self {
            Self::Limit { .. }
            | Self::TooManyIterations { .. }
            | Self::TooManyWorkgroups { .. }
            | Self::TooManyTokens { .. }
            | Self::OutOfMemory { .. } => true,
            Self::NoBackend
            | Self::NoAdapter(_)
            | Self::NoDevice { .. }
            | Self::Lost(_)
            | Self::Refused { .. } => false,
        }
    }
}

impl From<GpuError> for EngineError {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::Lost(_) => Self::DeviceLost(error.to_string()),
            error if error.is_of_size() => Self::NoRoom(error.to_string()),
            error => Self::Device(error.to_string()),
        }
    }
}

/// One device and its queue. Cheap to clone; any number of engines may share it.
#[derive(Clone, Debug)]
pub struct GpuContext {
    device: wgpu::Device,
    queue: wgpu::Queue,
    adapter: wgpu::AdapterInfo,
    fault: Arc<Fault>,
    /// The kernels that engines on it run.
    table: Table,
    /// Threads of every subgroup, where they are used.
    subgroup_size: Option<u32>,
    /// What is wrong with them on purpose.
    mutation: Option<Mutation>,
    counts: Arc<Mutex<DeviceCounts>>,
    compiled: Arc<Compiled>,
    /// How many are making resources that the device is asked about.
    n_scopes: Arc<AtomicUsize>,
}

/// A shader that is wrong on purpose: one text put in place of another in the sources of some
/// kernels, or of all of them where none is named. For tests of what must find it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mutation {
    /// The kernels' names.
    pub kernels: &'static [&'static str],
    /// What is replaced, wherever it stands.
    pub from: &'static str,
    /// What stands there instead.
    pub to: &'static str,
}

impl Mutation {
    /// The kernel's source with the mutation; `None` where it does not concern it.
    pub fn applied(&self, kernel: &Kernel) -> Option<String> {
        let named = self.kernels.is_empty() || self.kernels.contains(&kernel.name);
        let source = kernel.source();
        let concerned = named && source.contains(self.from);
        concerned.then(|| source.replace(self.from, self.to))
    }
}

impl GpuContext {
    /// Asks for the fastest adapter, and a device with WebGPU's default limits and no optional
    /// feature but subgroups on CPU adapters, which run without them too ([`Table::Cpu`]); so what runs
    /// here runs on every device that has WebGPU.
    pub async fn request() -> Result<Self, GpuError> {
        Self::request_with(wgpu::Features::empty()).await
    }

    /// [`GpuContext::request`], with timestamps where the adapter has them.
    pub async fn request_profiling() -> Result<Self, GpuError> {
        Self::request_with(wgpu::Features::TIMESTAMP_QUERY).await
    }

    async fn request_with(optional: wgpu::Features) -> Result<Self, GpuError> {
        if wgpu::Instance::enabled_backend_features().is_empty() {
            return Err(GpuError::NoBackend);
        }
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        Self::request_from(&instance, optional).await
    }

    /// [`GpuContext::request`] of an instance that is there, such as one of wgpu's noop backend, which
    /// computes nothing. `optional` are features that are taken where they are.
    pub async fn request_from(
        instance: &wgpu::Instance,
        optional: wgpu::Features,
    ) -> Result<Self, GpuError> {
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|error| GpuError::NoAdapter(error.to_string()))?;
        Self::from_adapter(&adapter, optional & adapter.features()).await
    }

    async fn from_adapter(
        adapter: &wgpu::Adapter,
        mut required_features: wgpu::Features,
    ) -> Result<Self, GpuError> {
        let subgroup_size = subgroup_size(adapter);
        if subgroup_size.is_some() {
            required_features |= wgpu::Features::SUBGROUP;
        }
        let description = wgpu::DeviceDescriptor {
            label: Some("latent"),
            required_features,
            required_limits: wgpu::Limits::default(),
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&description)
            .await
            .map_err(|error| GpuError::NoDevice {
                adapter: adapter.get_info().name,
                reason: error.to_string(),
            })?;
        let fault = Arc::<Fault>::default();
        let lost = Arc::clone(&fault);
        device.set_device_lost_callback(move |reason, message| {
            lost.report(GpuError::Lost(format!("{reason:?}: {message}")));
        });
        let refused = Arc::clone(&fault);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            refused.report(GpuError::Refused {
                what: "a command".into(),
                reason: error.to_string(),
            });
        }));
        Ok(Self {
            device,
            queue,
            table: match (adapter.get_info().device_type, subgroup_size) {
                (wgpu::DeviceType::Cpu, Some(_)) => Table::CpuSubgroups,
                (wgpu::DeviceType::Cpu, None) => Table::Cpu,
                // What does not say that it is a CPU is taken for a GPU.
                _ => Table::Gpu,
            },
            subgroup_size,
            adapter: adapter.get_info(),
            fault,
            mutation: None,
            counts: Arc::default(),
            compiled: Arc::default(),
            n_scopes: Arc::default(),
        })
    }

    /// Name of the adapter and its backend, for people.
    pub fn adapter_name(&self) -> String {
        let name = match self.adapter.name.trim() {
            // Browsers may hide the name; this much they tell.
            "" if self.is_software() => "software adapter",
            "" => "unnamed adapter",
            name => name,
        };
        format!("{name} ({:?})", self.adapter.backend)
    }

    /// What the adapter says of its driver; empty in browsers.
    pub fn driver(&self) -> String {
        let wgpu::AdapterInfo {
            driver,
            driver_info,
            ..
        } = &self.adapter;
        format!("{driver} {driver_info}").trim().to_owned()
    }

    /// Whether passes can be timed.
    pub fn has_timestamps(&self) -> bool {
        let features = self.device.features();
        features.contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// The device, for tests of single kernels.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The device's queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Whether the adapter runs on the CPU (lavapipe, SwiftShader, WARP).
    pub fn is_software(&self) -> bool {
        self.adapter.device_type == wgpu::DeviceType::Cpu
    }

    /// Whether the adapter tells its kind. Browsers tell of software adapters alone, and not all do.
    pub fn is_of_known_kind(&self) -> bool {
        self.adapter.device_type != wgpu::DeviceType::Other
    }

    /// The table of kernels that engines on this context run: that of the adapter's kind, if no other
    /// one was put in its place.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The tables that this device can run.
    pub fn tables(&self) -> Vec<Table> {
        let runs = |table: &Table| self.runs(*table, MOST_THREADS);
        Table::ALL.into_iter().filter(runs).collect()
    }

    /// Whether this device runs a table's matmuls with so many threads a workgroup.
    pub fn runs(&self, table: Table, threads: u32) -> bool {
        let whole_subgroups = |size: u32| threads.is_multiple_of(size);
        table != Table::CpuSubgroups || self.subgroup_size.is_some_and(whole_subgroups)
    }

    /// The constant that tells a matmul of this table how threads share it, which have `quads` fours of
    /// outputs a workgroup where sums are split.
    pub fn sharing_constant(&self, quads: u32) -> Option<(&'static str, f64)> {
        match self.table {
            Table::Cpu => None,
            Table::CpuSubgroups => Some(("SUBGROUP", f64::from(self.subgroup_size?))),
            Table::Gpu => Some(("QUADS", f64::from(quads))),
        }
    }

    /// Threads of every subgroup; `None` where kernels must do without them.
    pub fn subgroup_size(&self) -> Option<u32> {
        self.subgroup_size
    }

    /// The same device with another of [`GpuContext::tables`] than that of its kind: to test one without
    /// the adapters that it is for, to measure all of them, and to run the quickest one.
    pub fn with_table(&self, table: Table) -> Self {
        Self {
            table,
            ..self.clone()
        }
    }

    /// The same device with kernels that are wrong.
    pub fn with_mutation(&self, mutation: Mutation) -> Self {
        Self {
            mutation: Some(mutation),
            ..self.clone()
        }
    }

    /// What the device has compiled for this context and its clones.
    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// What is wrong with a kernel on purpose.
    pub(crate) fn mutation_of(&self, kernel: &Kernel) -> Option<Mutation> {
        self.mutation
            .filter(|wrong| wrong.applied(kernel).is_some())
    }

    /// The same device, counting from nothing what is asked of it through this context and its
    /// clones.
    pub fn counting(&self) -> Self {
        Self {
            counts: Arc::default(),
            ..self.clone()
        }
    }

    /// What was asked of the device through this context and its clones.
    pub fn counts(&self) -> DeviceCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, add: impl FnOnce(&mut DeviceCounts)) {
        add(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The error that ended the device, if one did.
    pub fn check(&self) -> Result<(), GpuError> {
        self.fault.check()
    }

    /// The error that ended the device: this one, if nothing did before. Whoever asks for the device
    /// from now on is told, too, so that no engine is made again on what does not answer.
    pub(crate) fn lost(&self, reason: String) -> GpuError {
        self.fault.report(GpuError::Lost(reason.clone()));
        self.check().err().unwrap_or(GpuError::Lost(reason))
    }

    /// What the device answers, or the error that ended it before.
    pub(crate) async fn answer<T>(&self, answer: impl Future<Output = T>) -> Result<T, GpuError> {
        self.fault.or_answer(answer).await
    }

    /// Ends the device, as a driver reset would. For tests and for freeing memory at once.
    pub fn destroy(&self) {
        self.lost("it was destroyed".into());
        self.device.destroy();
    }

    /// Whether what is made now is asked about.
    pub(crate) fn is_checked(&self) -> bool {
        self.n_scopes.load(Ordering::Relaxed) > 0
    }

    /// Runs `create`, which makes resources, and reports what the device says about them. What it
    /// refuses ends nothing else: engines that share the device go on.
    pub(crate) async fn checked<T>(
        &self,
        what: &str,
        create: impl FnOnce() -> Result<T, GpuError>,
    ) -> Result<T, GpuError> {
        self.check()?;
        let scope = |filter| self.device.push_error_scope(filter);
        let internal = scope(wgpu::ErrorFilter::Internal);
        let invalid = scope(wgpu::ErrorFilter::Validation);
        let memory = scope(wgpu::ErrorFilter::OutOfMemory);
        let before = self.counts();
        self.n_scopes.fetch_add(1, Ordering::Relaxed);
        let created = create();
        self.n_scopes.fetch_sub(1, Ordering::Relaxed);
        let room = Room {
            needed: (self.counts() - before).buffer_bytes,
            available: self.device.limits().max_buffer_size,
        };
        // Innermost first: scopes are a stack.
        let answers = [memory.pop(), invalid.pop(), internal.pop()];
        let mut refusal = None;
        for answer in answers {
            refusal = refusal.or(self.answer(answer).await?);
        }
        if let Some(error) = refusal {
            self.compiled.clear();
            return Err(gpu_error(&error, what, room));
        }
        self.check()?;
        created
    }

    /// Bytes of the largest storage buffer that a kernel can read.
    pub fn max_binding(&self) -> u64 {
        let limits = self.device.limits();
        limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size)
    }

    pub(crate) fn check_size(&self, what: &str, needed: u64) -> Result<(), GpuError> {
        let limits = self.device.limits();
        let checks = [
            (
                "maxStorageBufferBindingSize",
                limits.max_storage_buffer_binding_size,
            ),
            ("maxBufferSize", limits.max_buffer_size),
        ];
        match checks
            .into_iter()
            .find(|&(_, available)| needed > available)
        {
            Some((limit, available)) => Err(GpuError::Limit {
                what: what.into(),
                needed,
                limit,
                available,
            }),
            None => Ok(()),
        }
    }
}

/// Threads of every subgroup of a CPU adapter: where they are as many in all kernels, and fit the
/// workgroups of matmuls. A page has no kernels for them.
fn subgroup_size(adapter: &wgpu::Adapter) -> Option<u32> {
    if cfg!(target_arch = "wasm32") {
        return None;
    }
    let info = adapter.get_info();
    let size = info.subgroup_min_size;
    let is_fixed = size == info.subgroup_max_size;
    let fits = size.is_power_of_two() && size <= MOST_THREADS;
    let has_them = adapter.features().contains(wgpu::Features::SUBGROUP);
    let is_cpu = info.device_type == wgpu::DeviceType::Cpu;
    (is_cpu && has_them && is_fixed && fits).then_some(size)
}

/// Bytes that were asked for at once, and those that one buffer may have.
#[derive(Clone, Copy, Debug)]
struct Room {
    needed: u64,
    available: u64,
}

fn gpu_error(error: &wgpu::Error, what: &str, room: Room) -> GpuError {
    let what = what.to_owned();
    match error {
        wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory {
            what,
            needed: room.needed,
            available: room.available,
        },
        wgpu::Error::Validation { .. } | wgpu::Error::Internal { .. } => GpuError::Refused {
            what,
            reason: error.to_string(),
        },
    }
}
