//! A model's weights on the device, in the order in which the kernels read them.

use std::{borrow::Cow, ops::Deref};

use latent_model::{
    checkpoint::{EndClassifierWeights, LayerWeights, Matrix, Weights},
    config::ModelConfig,
};

use crate::context::{GpuContext, GpuError};

/// The weights of one model; they live as long as the engine.
#[derive(Debug)]
pub(crate) struct DeviceWeights {
    /// (V rounded up to 4, d); rows past V are zeros.
    pub embedding: wgpu::Buffer,
    /// (V rounded up to 4, d); the embedding's own buffer where the two are tied.
    pub head: wgpu::Buffer,
    /// (2 · d + 4), see [`norm_and_classifier`]
    pub final_norm: wgpu::Buffer,
    /// Whether that buffer's classifier is the checkpoint's and not zeros.
    pub has_end_classifier: bool,
    /// One per layer.
    pub layers: Vec<DeviceLayer>,
}

/// The weights of one layer, packed by [`packed`].
#[derive(Debug)]
pub(crate) struct DeviceLayer {
    /// (d / 4, (q + k + v rows) / 4), the attention norm's gain multiplied in
    pub qkv: wgpu::Buffer,
    /// (heads · head_dim / 4, d / 4)
    pub output: wgpu::Buffer,
    /// (d / 4, intermediate / 4), the MLP norm's gain multiplied in
    pub gate: wgpu::Buffer,
    /// (d / 4, intermediate / 4), the MLP norm's gain multiplied in
    pub up: wgpu::Buffer,
    /// (intermediate / 4, d / 4)
    pub down: wgpu::Buffer,
}

impl DeviceWeights {
    pub fn upload(
        context: &GpuContext,
        config: &ModelConfig,
        weights: &Weights,
    ) -> Result<Self, GpuError> {
        let embedding = context.storage_of("the embedding table", &padded(&weights.embedding))?;
        let head = match &weights.lm_head {
            Some(head) => context.storage_of("the LM head", &padded(head))?,
            None => embedding.clone(),
        };
        let layers = weights
            .layers
            .iter()
            .map(|layer| upload_layer(context, config, layer));
        Ok(Self {
            embedding,
            head,
            final_norm: context.storage_of(
                "the final norm",
                &norm_and_classifier(&weights.final_norm, weights.end_classifier.as_ref()),
            )?,
            has_end_classifier: weights.end_classifier.is_some(),
            layers: layers.collect::<Result<_, _>>()?,
        })
    }
}

fn upload_layer(
    context: &GpuContext,
    config: &ModelConfig,
    layer: &LayerWeights,
) -> Result<DeviceLayer, GpuError> {
    let (attention_norm, mlp_norm) = (Some(&layer.attention_norm), Some(&layer.mlp_norm));
    let qkv: Vec<Cow<[f32]>> = [&layer.q, &layer.k, &layer.v]
        .into_iter()
        .flat_map(|matrix| rotation_order(matrix, config.head_dim))
        .collect();
    Ok(DeviceLayer {
        qkv: context.storage_of("a layer's q, k and v", &packed(&qkv, attention_norm))?,
        output: context.storage_of("a layer's o", &packed(&rows(&layer.o), None))?,
        gate: context.storage_of("a layer's gate", &packed(&rows(&layer.gate), mlp_norm))?,
        up: context.storage_of("a layer's up", &packed(&rows(&layer.up), mlp_norm))?,
        down: context.storage_of("a layer's down", &packed(&rows(&layer.down), None))?,
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

/// The final norm's gain (d), the end classifier's weight (d) and its bias (1), up to a whole
/// vec4; zeros where there is none. One buffer, because the select stage binds as many as a
/// stage may.
pub fn norm_and_classifier(gain: &[f32], classifier: Option<&EndClassifierWeights>) -> Vec<f32> {
    let mut values = gain.to_vec();
    if let Some(EndClassifierWeights { weight, bias }) = classifier {
        values.extend(weight);
        values.push(*bias);
    }
    values.resize(2 * gain.len() + 4, 0.0);
    values
}

/// A table's values, with rows of zeros up to a multiple of four rows.
fn padded(table: &Matrix) -> Vec<f32> {
    let mut values = table.to_f32().into_owned();
    values.resize(table.rows.next_multiple_of(4) * table.cols, 0.0);
    values
}
