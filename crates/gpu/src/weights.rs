//! A model's weights on the device, in the order in which the kernels read them.

use latent_model::{
    checkpoint::{
        EndClassifierWeights, LayerWeights, Linear, Matrix, NormWeights, WeightFormat, Weights,
    },
    config::ModelConfig,
    contemplation::InputMap,
    engine::ModelCapabilities,
};

use crate::{
    context::{GpuContext, GpuError},
    memory::ids_per_shard,
    packing::{packed, rotation_order, rotation_places, rows},
};

/// The weights of one model; they live as long as the engine.
#[derive(Debug)]
pub(crate) struct DeviceWeights {
    /// How matrices are packed.
    pub format: WeightFormat,
    pub tables: Tables,
    /// (positions, d), where they are learned
    pub positions: Option<wgpu::Buffer>,
    /// (d), then the bias of LayerNorm, (d)
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
    /// Bound where a kernel has a binding that this model's constants leave unread.
    pub unread: wgpu::Buffer,
}

/// The two tables with a row per token.
#[derive(Debug)]
pub(crate) struct Tables {
    /// V rounded up to 4 tokens, packed; rows past V are zeros.
    pub embedding: Vec<Shard>,
    /// V rounded up to 4 tokens, packed; the embedding's own buffers where the two are tied.
    pub head: Vec<Shard>,
}

/// Some rows of a table: as many as one binding can hold.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    /// (n_ids, d), packed
    pub buffer: wgpu::Buffer,
    /// The first row's token, a multiple of 4.
    pub first_id: u32,
    /// Rows, a multiple of 4.
    pub n_ids: u32,
}

/// The map that makes an input of a layer's state.
#[derive(Debug)]
pub(crate) struct DeviceInputMap {
    /// (d, d), packed as f32, the scale of embeddings multiplied in
    pub weight: wgpu::Buffer,
    /// (d)
    pub bias: wgpu::Buffer,
}

/// The weights of one layer, packed by [`packed`], one set after the other: a kernel reads the set
/// of each row, so that one dispatch serves rows of all. A norm's gain is multiplied into f32
/// matrices and comes beside others; its bias goes through the matrix and into the matrix's own.
#[derive(Debug)]
pub(crate) struct DeviceLayer {
    /// (sets, q + k + v rows, d)
    pub qkv: wgpu::Buffer,
    /// The gain, (d), and the biases, (sets, q + k + v rows); `None` where there are neither.
    pub qkv_vectors: Option<wgpu::Buffer>,
    /// (2, head_dim): the gains of the norms of queries and of keys
    pub qk_norm: Option<wgpu::Buffer>,
    /// (sets, d, heads · head_dim)
    pub output: wgpu::Buffer,
    /// (d)
    pub output_bias: Option<wgpu::Buffer>,
    /// (sets, intermediate, d); `None` where the MLP has no gate
    pub gate: Option<wgpu::Buffer>,
    /// (sets, intermediate, d)
    pub up: wgpu::Buffer,
    /// The gain, (d), and the biases, (sets, 2, intermediate), the gate's first.
    pub mlp_vectors: Option<wgpu::Buffer>,
    /// (sets, d, intermediate)
    pub down: wgpu::Buffer,
    /// (d)
    pub down_bias: Option<wgpu::Buffer>,
}

impl DeviceWeights {
    pub fn upload(
        context: &GpuContext,
        config: &ModelConfig,
        weights: &Weights,
    ) -> Result<Self, GpuError> {
        let format = weights.format;
        let embedding = upload_table(context, "the embedding table", &weights.embedding, format)?;
        let head = match &weights.lm_head {
            Some(head) => upload_table(context, "the LM head", head, format)?,
            None => embedding.clone(),
        };
        let sets = weights.adapters();
        let layers = (0..config.n_layers).map(|index| {
            let layer = |&adapter| &weights.layers_under(adapter)[index];
            let sets: Vec<&LayerWeights> = sets.iter().map(layer).collect();
            let uploaded = Upload {
                context,
                config,
                format,
            }
            .layer(&sets);
            // What was written waits in memory for a submit.
            context.flush();
            uploaded
        });
        let d = config.hidden_size;
        let classifier = |&adapter| classifier_values(d, weights.end_classifier_under(adapter));
        let classifiers: Vec<f32> = sets.iter().flat_map(classifier).collect();
        let contemplation = weights.contemplation.as_ref();
        let input_map = contemplation.and_then(|set| set.input_map.as_ref());
        let final_norm = [&weights.final_norm.gain[..], norm_bias(&weights.final_norm)].concat();
        let positions = weights.positions.as_ref();
        let positions = positions.map(|table| context.storage_of("positions", &table.to_f32()));
        Ok(Self {
            format,
            tables: Tables { embedding, head },
            positions: positions.transpose()?,
            final_norm: context.storage_of("the final norm", &final_norm)?,
            end_classifier: context.storage_of("the end classifier", &classifiers)?,
            n_sets: sets.len(),
            input_map: input_map
                .map(|map| upload_input_map(context, map))
                .transpose()?,
            capabilities: weights.capabilities(),
            layers: layers.collect::<Result<_, _>>()?,
            unread: context.storage("nothing", 16)?,
        })
    }
}

impl DeviceWeights {
    /// Bytes of all buffers, one that two tables share counted once.
    pub fn n_bytes(&self) -> u64 {
        let Tables { embedding, head } = &self.tables;
        let is_tied = embedding[0].buffer == head[0].buffer;
        let untied = head.iter().filter(|_| !is_tied);
        let tables = embedding.iter().chain(untied).map(|shard| &shard.buffer);
        let maps = self.input_map.iter();
        let maps = maps.flat_map(|map| [&map.weight, &map.bias]);
        let others = [&self.final_norm, &self.end_classifier, &self.unread];
        let layers = self.layers.iter().flat_map(DeviceLayer::buffers);
        let all = tables.chain(&self.positions).chain(maps).chain(others);
        all.chain(layers).map(wgpu::Buffer::size).sum()
    }
}

impl DeviceLayer {
    fn buffers(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        let optional = [
            &self.qkv_vectors,
            &self.qk_norm,
            &self.output_bias,
            &self.gate,
            &self.mlp_vectors,
            &self.down_bias,
        ];
        let always = [&self.qkv, &self.output, &self.up, &self.down];
        optional.into_iter().flatten().chain(always)
    }
}

/// A table in as few shards as the device's bindings allow.
fn upload_table(
    context: &GpuContext,
    what: &str,
    table: &Matrix,
    format: WeightFormat,
) -> Result<Vec<Shard>, GpuError> {
    let n_rows = ids_per_shard(format, table.cols, context.max_binding());
    let mut shards = Vec::new();
    for first in (0..table.rows).step_by(n_rows) {
        let last = table.rows.min(first + n_rows);
        let part = in_format(&table.slice_rows(first..last), format);
        shards.push(Shard {
            buffer: context.storage_of(what, &packed(&rows(&part), format, None))?,
            first_id: first as u32,
            n_ids: (last - first).next_multiple_of(4) as u32,
        });
        context.flush();
    }
    Ok(shards)
}

fn upload_input_map(context: &GpuContext, map: &InputMap) -> Result<DeviceInputMap, GpuError> {
    let scale = vec![map.scale; map.weight.cols];
    let weight = packed(&rows(&map.weight), WeightFormat::F32, Some(&scale));
    Ok(DeviceInputMap {
        weight: context.storage_of("the input map", &weight)?,
        bias: context.storage_of("the input map's bias", &map.bias)?,
    })
}

/// Where layers go, and how.
struct Upload<'a> {
    context: &'a GpuContext,
    config: &'a ModelConfig,
    format: WeightFormat,
}

impl Upload<'_> {
    /// One layer of every set.
    fn layer(&self, sets: &[&LayerWeights]) -> Result<DeviceLayer, GpuError> {
        let (context, head_dim) = (self.context, self.config.head_dim);
        let first = sets[0];
        let attention_gain = Some(&first.attention_norm.gain[..]);
        let mlp_gain = Some(&first.mlp_norm.gain[..]);
        let in_order = |values: &[f32]| -> Vec<f32> {
            let places = rotation_places(values.len(), head_dim);
            places.map(|place| values[place]).collect()
        };
        let qkv_biases = sets.iter().flat_map(|layer| {
            let linears = [&layer.q, &layer.k, &layer.v];
            linears.map(|linear| bias(linear, &layer.attention_norm).map(|bias| in_order(&bias)))
        });
        let mlp_biases = sets.iter().flat_map(|layer| {
            let of = |linear: &Linear| bias(linear, &layer.mlp_norm);
            // A gate that is not there has its place all the same.
            let up = of(&layer.up);
            let none = up.as_ref().map(|up| vec![0.0; up.len()]);
            [layer.gate.as_ref().map_or(none, of), up]
        });
        let head_gains = first.qk_norm.as_ref();
        let head_gains = head_gains.map(|gains| gains.each_ref().map(|g| in_order(g)).concat());
        let gate = |layer: &&LayerWeights| layer.gate.clone();
        let gates: Option<Vec<Linear>> = sets.iter().map(gate).collect();
        let gate = |gates: Vec<Linear>| {
            let gates: Vec<[&Linear; 1]> = gates.iter().map(|gate| [gate]).collect();
            self.matrices("a layer's gate", &gates, mlp_gain, None)
        };
        let all = |of: fn(&LayerWeights) -> [&Linear; 1]| -> Vec<[&Linear; 1]> {
            sets.iter().map(|layer| of(layer)).collect()
        };
        let qkv = sets.iter().map(|layer| [&layer.q, &layer.k, &layer.v]);
        let qkv: Vec<[&Linear; 3]> = qkv.collect();
        let optional = |what: &str, values: Option<&Vec<f32>>| {
            let upload = |values: &Vec<f32>| context.storage_of(what, values);
            values.map(upload).transpose()
        };
        let qkv_vectors = self.vectors(&first.attention_norm, qkv_biases);
        let mlp_vectors = self.vectors(&first.mlp_norm, mlp_biases);
        let [output, up, down] = [
            all(|layer| [&layer.o]),
            all(|layer| [&layer.up]),
            all(|layer| [&layer.down]),
        ];
        Ok(DeviceLayer {
            qkv: self.matrices("a layer's q, k and v", &qkv, attention_gain, Some(head_dim))?,
            qkv_vectors: optional("a layer's q, k and v biases", qkv_vectors.as_ref())?,
            qk_norm: optional("a layer's q and k norms", head_gains.as_ref())?,
            output: self.matrices("a layer's o", &output, None, None)?,
            output_bias: optional("a layer's o bias", first.o.bias.as_ref())?,
            gate: gates.map(gate).transpose()?,
            up: self.matrices("a layer's up", &up, mlp_gain, None)?,
            mlp_vectors: optional("a layer's MLP biases", mlp_vectors.as_ref())?,
            down: self.matrices("a layer's down", &down, None, None)?,
            down_bias: optional("a layer's down bias", first.down.bias.as_ref())?,
        })
    }

    /// Matrices of every set, one below the other, with the gain of the norm before them; the heads
    /// of q, k and v in the order in which they turn.
    fn matrices<const N: usize>(
        &self,
        what: &str,
        sets: &[[&Linear; N]],
        gain: Option<&[f32]>,
        head_dim: Option<usize>,
    ) -> Result<wgpu::Buffer, GpuError> {
        let gain = gain.filter(|_| self.format == WeightFormat::F32);
        let mut words = Vec::new();
        for set in sets {
            let matrices = set.map(|linear| in_format(&linear.weight, self.format));
            let rows: Vec<_> = match head_dim {
                Some(head_dim) => {
                    let in_order = |matrix| rotation_order(matrix, head_dim);
                    matrices.iter().flat_map(in_order).collect()
                }
                None => matrices.iter().flat_map(rows).collect(),
            };
            let packed = packed(&rows, self.format, gain);
            match words.is_empty() {
                true => words = packed,
                false => words.extend(packed),
            }
        }
        self.context.storage_of(what, &words)
    }

    /// What a matmul behind a norm reads beside its matrices: the gain, where the matrices do not
    /// have it, and the biases; `None` where it reads neither.
    fn vectors(
        &self,
        norm: &NormWeights,
        biases: impl Iterator<Item = Option<Vec<f32>>>,
    ) -> Option<Vec<f32>> {
        let biases: Option<Vec<Vec<f32>>> = biases.collect();
        let is_read = self.format != WeightFormat::F32 || biases.is_some();
        let biases = biases.unwrap_or_default().concat();
        is_read.then(|| [norm.gain.clone(), biases].concat())
    }
}

/// The matrix as [`packed`] reads it: for f32 as it is, because its rows are widened one by one.
fn in_format(matrix: &Matrix, format: WeightFormat) -> Matrix {
    match format {
        WeightFormat::F32 => matrix.clone(),
        _ => matrix.converted(format),
    }
}

/// A norm's bias; nothing where it has none.
fn norm_bias(norm: &NormWeights) -> &[f32] {
    norm.bias.as_deref().unwrap_or_default()
}

/// What is added to W·(g ⊙ x): the linear map's own bias, and W times that of the norm before it.
/// `None` where there is neither.
fn bias(linear: &Linear, norm: &NormWeights) -> Option<Vec<f32>> {
    let Some(through) = &norm.bias else {
        return linear.bias.clone();
    };
    let mut biases = Vec::with_capacity(linear.weight.rows);
    linear.weight.for_each_row(|row| {
        let own = linear.bias.as_ref().map_or(0.0, |bias| bias[biases.len()]);
        let products = row.iter().zip(through);
        let sum: f64 = products.map(|(&w, &b)| f64::from(w) * f64::from(b)).sum();
        biases.push((f64::from(own) + sum) as f32);
    });
    Some(biases)
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
