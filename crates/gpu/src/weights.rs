//! A model's weights on the device, in the order in which the kernels read them.

use std::{borrow::Cow, ops::Deref};

use latent_model::{
    checkpoint::{EndClassifierWeights, LayerWeights, Matrix, Weights},
    config::ModelConfig,
    contemplation::InputMap,
    engine::ModelCapabilities,
};

use crate::context::{GpuContext, GpuError};

/// The weights of one model; they live as long as the engine.
#[derive(Debug)]
pub(crate) struct DeviceWeights {
    pub tables: Tables,
    /// (d)
    pub final_norm: wgpu::Buffer,
    /// (sets, d + 4), see [`classifier_values`]
    pub end_classifier: wgpu::Buffer,
    /// Sets of layers, in the order of [`Adapter::ALL`]: the base alone, or all.
    pub n_sets: usize,
    /// Makes contemplation tokens, where the checkpoint has adapters and a map for them.
    pub input_map: Option<DeviceInputMap>,
    /// What the checkpoint brings.
    pub capabilities: ModelCapabilities,
    /// One per layer.
    pub layers: Vec<DeviceLayer>,
}

/// The two tables with a row per token.
#[derive(Debug)]
pub(crate) struct Tables {
    /// (V rounded up to 4, d); rows past V are zeros.
    pub embedding: Vec<Shard>,
    /// (V rounded up to 4, d); the embedding's own buffers where the two are tied.
    pub head: Vec<Shard>,
}

/// Some rows of a table: as many as one binding can hold.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    /// (n_ids, d)
    pub buffer: wgpu::Buffer,
    /// The first row's token, a multiple of 4.
    pub first_id: u32,
    /// Rows, a multiple of 4.
    pub n_ids: u32,
}

/// The map that makes an input of a layer's state.
#[derive(Debug)]
pub(crate) struct DeviceInputMap {
    /// (d / 4, d / 4), packed, the scale of embeddings multiplied in
    pub weight: wgpu::Buffer,
    /// (d)
    pub bias: wgpu::Buffer,
}

/// The weights of one layer, packed by [`packed`], one set after the other: a kernel reads the set
/// of each row, so that one dispatch serves rows of all.
#[derive(Debug)]
pub(crate) struct DeviceLayer {
    /// (sets, d / 4, (q + k + v rows) / 4), the attention norm's gain multiplied in
    pub qkv: wgpu::Buffer,
    /// (sets, heads · head_dim / 4, d / 4)
    pub output: wgpu::Buffer,
    /// (sets, d / 4, intermediate / 4), the MLP norm's gain multiplied in
    pub gate: wgpu::Buffer,
    /// (sets, d / 4, intermediate / 4), the MLP norm's gain multiplied in
    pub up: wgpu::Buffer,
    /// (sets, intermediate / 4, d / 4)
    pub down: wgpu::Buffer,
}

impl DeviceWeights {
    pub fn upload(
        context: &GpuContext,
        config: &ModelConfig,
        weights: &Weights,
    ) -> Result<Self, GpuError> {
        let embedding = upload_table(context, "the embedding table", &weights.embedding)?;
        let head = match &weights.lm_head {
            Some(head) => upload_table(context, "the LM head", head)?,
            None => embedding.clone(),
        };
        let sets = weights.adapters();
        let layers = (0..config.n_layers).map(|index| {
            let layer = |&adapter| &weights.layers_under(adapter)[index];
            upload_layer(context, config, &sets.iter().map(layer).collect::<Vec<_>>())
        });
        let d = config.hidden_size;
        let classifier = |&adapter| classifier_values(d, weights.end_classifier_under(adapter));
        let classifiers: Vec<f32> = sets.iter().flat_map(classifier).collect();
        let contemplation = weights.contemplation.as_ref();
        let input_map = contemplation.and_then(|set| set.input_map.as_ref());
        Ok(Self {
            tables: Tables { embedding, head },
            final_norm: context.storage_of("the final norm", &weights.final_norm.gain)?,
            end_classifier: context.storage_of("the end classifier", &classifiers)?,
            n_sets: sets.len(),
            input_map: input_map
                .map(|map| upload_input_map(context, map))
                .transpose()?,
            capabilities: weights.capabilities(),
            layers: layers.collect::<Result<_, _>>()?,
        })
    }
}

/// A table in as few shards as the device's bindings allow.
fn upload_table(context: &GpuContext, what: &str, table: &Matrix) -> Result<Vec<Shard>, GpuError> {
    let row_bytes = (table.cols * size_of::<f32>()) as u64;
    let n_rows = ((context.max_binding() / row_bytes) as usize / 4 * 4).max(4);
    let mut shards = Vec::new();
    for first in (0..table.rows).step_by(n_rows) {
        let last = table.rows.min(first + n_rows);
        let mut values = table.rows_f32(first..last).into_owned();
        let n_ids = (last - first).next_multiple_of(4);
        values.resize(n_ids * table.cols, 0.0);
        shards.push(Shard {
            buffer: context.storage_of(what, &values)?,
            first_id: first as u32,
            n_ids: n_ids as u32,
        });
    }
    Ok(shards)
}

fn upload_input_map(context: &GpuContext, map: &InputMap) -> Result<DeviceInputMap, GpuError> {
    let scale = vec![map.scale; map.weight.cols];
    let weight = packed(&rows(&map.weight), Some(&scale));
    Ok(DeviceInputMap {
        weight: context.storage_of("the input map", &weight)?,
        bias: context.storage_of("the input map's bias", &map.bias)?,
    })
}

/// One layer of every set.
fn upload_layer(
    context: &GpuContext,
    config: &ModelConfig,
    sets: &[&LayerWeights],
) -> Result<DeviceLayer, GpuError> {
    type Pack = fn(&LayerWeights, &ModelConfig) -> Vec<f32>;
    let upload = |what: &str, pack: Pack| {
        let all: Vec<f32> = sets.iter().flat_map(|layer| pack(layer, config)).collect();
        context.storage_of(what, &all)
    };
    Ok(DeviceLayer {
        qkv: upload("a layer's q, k and v", |layer, config| {
            let qkv: Vec<Cow<[f32]>> = [&layer.q, &layer.k, &layer.v]
                .into_iter()
                .flat_map(|linear| rotation_order(&linear.weight, config.head_dim))
                .collect();
            packed(&qkv, Some(&layer.attention_norm.gain))
        })?,
        output: upload("a layer's o", |layer, _| {
            packed(&rows(&layer.o.weight), None)
        })?,
        gate: upload("a layer's gate", |layer, _| {
            packed(
                &rows(&layer.gate.as_ref().expect("SwiGLU").weight),
                Some(&layer.mlp_norm.gain),
            )
        })?,
        up: upload("a layer's up", |layer, _| {
            packed(&rows(&layer.up.weight), Some(&layer.mlp_norm.gain))
        })?,
        down: upload("a layer's down", |layer, _| {
            packed(&rows(&layer.down.weight), None)
        })?,
    })
}

/// The rows of a matrix, in order.
pub fn rows(matrix: &Matrix) -> Vec<Cow<'_, [f32]>> {
    (0..matrix.rows).map(|row| matrix.row(row)).collect()
}

/// The rows of q, k or v, such that four in a row are two rotation pairs of one head:
/// 2p, 2p + 1, 2p + head_dim/2, 2p + 1 + head_dim/2.
pub fn rotation_order(matrix: &Matrix, head_dim: usize) -> Vec<Cow<'_, [f32]>> {
    let heads = (0..matrix.rows / head_dim).map(|head| head * head_dim);
    let quads = heads.flat_map(|head| (0..head_dim / 4).map(move |pair| head + 2 * pair));
    let order = quads.flat_map(|row| {
        let turned = row + head_dim / 2;
        [row, row + 1, turned, turned + 1]
    });
    order.map(|row| matrix.row(row)).collect()
}

/// Rows in fours and columns in fours, as 4×4 blocks (column block, row block): a block is a
/// WGSL `mat4x4` whose product with four inputs gives four outputs. Threads side by side, which
/// own row blocks side by side, so read memory side by side.
///
/// `gain` is a norm's, which multiplies the columns: W·(g ⊙ x) = (W·diag(g))·x.
pub fn packed(rows: &[impl Deref<Target = [f32]>], gain: Option<&Vec<f32>>) -> Vec<f32> {
    let n_columns = rows.first().map_or(0, |row| row.len());
    let mut blocks = Vec::with_capacity(rows.len() * n_columns);
    for first_column in (0..n_columns).step_by(4) {
        for quad in rows.chunks_exact(4) {
            for column in first_column..first_column + 4 {
                let gain = gain.map_or(1.0, |gain| gain[column]);
                blocks.extend(quad.iter().map(|row| row[column] * gain));
            }
        }
    }
    blocks
}

/// The end classifier's weight (d) and its bias, up to a whole vec4; zeros where there is none.
pub fn classifier_values(d: usize, classifier: Option<&EndClassifierWeights>) -> Vec<f32> {
    let mut values = vec![0.0; d + 4];
    if let Some(EndClassifierWeights { weight, bias }) = classifier {
        values[..d].copy_from_slice(weight);
        values[d] = *bias;
    }
    values
}
