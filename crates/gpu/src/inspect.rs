//! Activations of every layer, read back: for comparison with the reference, and to look into runs.

use latent_model::{
    engine::{EngineError, checks::check_inputs},
    input::Input,
    program::Adapter,
    reference::LayerStates,
};

use crate::{
    batch::{Batch, KvCache},
    buffer::DeviceBuffer,
    context::GpuError,
    engine::GpuEngine,
    forward::Dispatch,
    kernels::tile_for,
    layout::Row,
    readback,
};

impl GpuEngine {
    /// Runs tokens through the kernels that decoding uses, and reads back what each layer, the
    /// final norm and the head made of them, all under one adapter. A run that was under way goes
    /// on afterwards.
    pub async fn layer_states(
        &mut self,
        adapter: Adapter,
        tokens: &[u32],
    ) -> Result<LayerStates, EngineError> {
        if adapter != Adapter::Base && self.weights.capabilities.contemplation.is_none() {
            return Err(EngineError::NoContemplation { lane: 0, phase: 0 });
        }
        let inputs = Input::tokens(tokens);
        check_inputs(0, &inputs, 0, &self.config)?;
        let pipelines = self.tile_pipelines(tile_for(tokens.len())).await?;
        pipelines.attention(tokens.len())?;
        let create = || KvCache::new(&self.context, &self.config, 1, tokens.len());
        let cache = self.context.checked("the self-test", create).await?;
        let row = |(position, input)| {
            let row = Row {
                position,
                write_row: position,
                live: 1,
                wants_logits: 1,
                adapter: adapter as u32,
                ..Row::default()
            };
            (row, input)
        };
        let rows: Vec<(Row, &Input)> = (0..).zip(&inputs).map(row).collect();
        Ok(self.states_of(&rows, &cache).await?)
    }

    /// Runs rows over a cache as one batch, and reads back what each stage made of each.
    pub(crate) async fn states_of(
        &mut self,
        rows: &[(Row, &Input)],
        cache: &KvCache,
    ) -> Result<LayerStates, GpuError> {
        let tile_pipelines = self.tile_pipelines(tile_for(rows.len())).await?;
        let create = || {
            let (context, config) = (&self.context, &self.config);
            let n_positions = cache.n_positions as usize;
            let batch = Batch::new(context, config, rows.len(), n_positions, 1)?;
            let stride = config.vocab_size.next_multiple_of(4);
            let bytes = batch.n_rows as usize * stride * size_of::<f32>();
            Ok((batch, context.storage("logits", bytes as u64)?))
        };
        let (batch, logits) = self.context.checked("the rows' states", create).await?;
        batch.write_rows(&self.context, rows);

        let forward = self.forward(&tile_pipelines, &batch, cache)?;
        let mut stages = vec![(forward.embed(), &batch.residual)];
        let layers = (0..self.config.n_layers).map(|index| forward.layer(index));
        stages.extend(layers.map(|layer| (layer, &batch.residual)));
        stages.push((vec![forward.final_norm()], &batch.hidden));
        stages.push((forward.head(&logits), &logits));
        self.read_stages(&stages, rows.len()).await
    }

    /// Runs the stages and keeps what each leaves in its buffer.
    async fn read_stages(
        &self,
        stages: &[(Vec<Dispatch>, &DeviceBuffer)],
        n_rows: usize,
    ) -> Result<LayerStates, GpuError> {
        let n_bytes = stages.iter().map(|(_, result)| result.size()).sum();
        let create = || Ok(self.context.staging(n_bytes));
        let staging = self.context.checked("the rows' states", create).await?;
        let device = self.context.device();
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut copied = 0;
        for (dispatches, result) in stages {
            self.context.record(&mut encoder, dispatches, 1);
            encoder.copy_buffer_to_buffer(result, 0, &staging, copied, result.size());
            copied += result.size();
        }
        self.context.submit(encoder);
        let bytes = readback::read(&self.context, &staging, n_bytes).await?;

        let (d, vocab_size) = (self.config.hidden_size, self.config.vocab_size);
        let mut rest = &bytes[..];
        let mut read = |stage: &(Vec<Dispatch>, &DeviceBuffer), stride: usize, width: usize| {
            let (bytes, after) = rest.split_at(stage.1.size() as usize);
            rest = after;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
            let rows = values.chunks_exact(stride).take(n_rows);
            rows.map(|row| row[..width].to_vec()).collect::<Vec<_>>()
        };
        let mut vectors: Vec<Vec<Vec<f32>>> = stages[..stages.len() - 1]
            .iter()
            .map(|stage| read(stage, d, d))
            .collect();
        let logits = read(
            &stages[stages.len() - 1],
            vocab_size.next_multiple_of(4),
            vocab_size,
        );
        let hidden = vectors.pop().unwrap_or_default();
        let layers = vectors.split_off(1);
        Ok(LayerStates {
            embedded: vectors.pop().unwrap_or_default(),
            layers,
            hidden,
            logits,
        })
    }
}
