//! A model's weights on the device, in the order in which the kernels read them.

use latent_model::{
    checkpoint::{
        EndClassifierWeights, LayerWeights, Linear, Matrix, NormWeights, WeightFormat, Weights,
    },
    config::ModelConfig,
    contemplation::InputMap,
    engine::ModelCapabilities,
    turns::{Breathe, turn},
};

use crate::{
    buffer::DeviceBuffer,
    context::{GpuContext, GpuError},
    memory::ids_per_shard,
    packing::{MatrixRow, packed_in_turns, rotation_order, rotation_places, rows},
};

/// The weights of one model; they live as long as the engine.
#[derive(Debug)]
pub(crate) struct DeviceWeights {
    /// How matrices are packed.
    pub format: WeightFormat,
    pub tables: Tables,
    /// (positions, d), where they are learned
    pub positions: Option<DeviceBuffer>,
    /// (d), then the bias of LayerNorm, (d)
    pub final_norm: DeviceBuffer,
    /// (sets, d + 4), see [`classifier_values`]
    pub end_classifier: DeviceBuffer,
    /// Sets of layers, in the order of [`Adapter::ALL`]: the base alone, or all.
    pub n_sets: usize,
    /// Makes contemplation tokens, where the checkpoint has adapters and a map for them.
    pub input_map: Option<DeviceInputMap>,
    /// What the checkpoint brings.
    pub capabilities: ModelCapabilities,
    /// One per layer.
    pub layers: Vec<DeviceLayer>,
    /// Bound where a kernel has a binding that this model's constants leave unread.
    pub unread: DeviceBuffer,
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
    pub buffer: DeviceBuffer,
    /// The first row's token, a multiple of 4.
    pub first_id: u32,
    /// Rows, a multiple of 4.
    pub n_ids: u32,
}

/// The map that makes an input of a layer's state.
#[derive(Debug)]
pub(crate) struct DeviceInputMap {
    /// (d, d), packed as f32, the scale of embeddings multiplied in
    pub weight: DeviceBuffer,
    /// (d)
    pub bias: DeviceBuffer,
}

/// The weights of one layer, packed by [`packed`], one set after the other: a kernel reads the set
/// of each row, so that one dispatch serves rows of all. A norm's gain is multiplied into f32
/// matrices and comes beside others; its bias goes through the matrix and into the matrix's own.
#[derive(Debug)]
pub(crate) struct DeviceLayer {
    /// (sets, q + k + v rows, d)
    pub qkv: DeviceBuffer,
    /// The gain, (d), and the biases, (sets, q + k + v rows); `None` where there are neither.
    pub qkv_vectors: Option<DeviceBuffer>,
    /// (2, head_dim): the gains of the norms of queries and of keys
    pub qk_norm: Option<DeviceBuffer>,
    /// (sets, d, heads · head_dim)
    pub output: DeviceBuffer,
    /// (d)
    pub output_bias: Option<DeviceBuffer>,
    /// (sets, intermediate, d); `None` where the MLP has no gate
    pub gate: Option<DeviceBuffer>,
    /// (sets, intermediate, d)
    pub up: DeviceBuffer,
    /// The gain, (d), and the biases, (sets, 2, intermediate), the gate's first.
    pub mlp_vectors: Option<DeviceBuffer>,
    /// (sets, d, intermediate)
    pub down: DeviceBuffer,
    /// (d)
    pub down_bias: Option<DeviceBuffer>,
}

impl DeviceWeights {
    /// Packs and writes one matrix after the other, with turns for others where there are any.
    pub async fn upload(
        context: &GpuContext,
        config: &ModelConfig,
        weights: &Weights,
        breathe: Option<Breathe>,
    ) -> Result<Self, GpuError> {
        let format = weights.format;
        let upload = Upload {
            context,
            config,
            format,
            breathe,
        };
        let embedding = upload
            .table("the embedding table", &weights.embedding)
            .await?;
        let head = match &weights.lm_head {
            Some(head) => upload.table("the LM head", head).await?,
            None => embedding.clone(),
        };
        let sets = weights.adapters();
        let mut layers = Vec::new();
        for index in 0..config.n_layers {
            let layer = |&adapter| &weights.layers_under(adapter)[index];
            let sets: Vec<&LayerWeights> = sets.iter().map(layer).collect();
            layers.push(upload.layer(&sets).await?);
        }
        let d = config.hidden_size;
        let classifier = |&adapter| classifier_values(d, weights.end_classifier_under(adapter));
        let classifiers: Vec<f32> = sets.iter().flat_map(classifier).collect();
        let contemplation = weights.contemplation.as_ref();
        let input_map = contemplation.and_then(|set| set.input_map.as_ref());
        let final_norm = [&weights.final_norm.gain[..], norm_bias(&weights.final_norm)].concat();
        let positions = weights.positions.as_ref();
        let positions = positions.map(|table| table.to_f32().into_owned());
        Ok(Self {
            format,
            tables: Tables { embedding, head },
            positions: upload.optional("positions", &positions).await?,
            final_norm: upload.buffer("the final norm", &final_norm).await?,
            end_classifier: upload.buffer("the end classifier", &classifiers).await?,
            n_sets: sets.len(),
            input_map: match input_map {
                Some(map) => Some(upload.input_map(map).await?),
                None => None,
            },
            capabilities: weights.capabilities(),
            layers,
            unread: upload.buffer("nothing", &[0_u32; 4]).await?,
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
        all.chain(layers).map(|buffer| buffer.size()).sum()
    }
}

impl DeviceLayer {
    fn buffers(&self) -> impl Iterator<Item = &DeviceBuffer> {
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

/// Bytes that are written between two turns for others.
const BYTES_AT_ONCE: usize = 8 << 20;

/// Where a model goes, and how.
struct Upload<'a> {
    context: &'a GpuContext,
    config: &'a ModelConfig,
    format: WeightFormat,
    breathe: Option<Breathe>,
}

impl Upload<'_> {
    /// A buffer that holds these words. Nothing else is made while the device is asked about it, so
    /// that engines that are made at the same time do not answer for each other.
    async fn buffer<T: bytemuck::NoUninit>(
        &self,
        what: &str,
        words: &[T],
    ) -> Result<DeviceBuffer, GpuError> {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        let create = || self.context.storage(what, bytes.len() as u64);
        let told = format!("the model's weights ({what})");
        let buffer = self.context.checked(&told, create).await?;
        for (index, part) in bytes.chunks(BYTES_AT_ONCE).enumerate() {
            let offset = (index * BYTES_AT_ONCE) as u64;
            self.context.write(&buffer, offset, part);
            if part.len() == BYTES_AT_ONCE {
                // What was written waits in memory for a submit.
                self.context.flush();
                turn(self.breathe).await;
            }
        }
        Ok(buffer)
    }

    async fn optional<T: bytemuck::NoUninit>(
        &self,
        what: &str,
        words: &Option<Vec<T>>,
    ) -> Result<Option<DeviceBuffer>, GpuError> {
        match words {
            Some(words) => self.buffer(what, words).await.map(Some),
            None => Ok(None),
        }
    }

    async fn packed(&self, rows: &[MatrixRow<'_>], gain: Option<&[f32]>) -> Vec<u32> {
        packed_in_turns(rows, self.format, gain, self.breathe).await
    }

    /// A table in as few shards as the device's bindings allow.
    async fn table(&self, what: &str, table: &Matrix) -> Result<Vec<Shard>, GpuError> {
        let n_rows = ids_per_shard(self.format, table.cols, self.context.max_binding());
        let mut shards = Vec::new();
        for first in (0..table.rows).step_by(n_rows) {
            let last = table.rows.min(first + n_rows);
            let part = in_format(&table.slice_rows(first..last), self.format);
            let words = self.packed(&rows(&part), None).await;
            shards.push(Shard {
                buffer: self.buffer(what, &words).await?,
                first_id: first as u32,
                n_ids: (last - first).next_multiple_of(4) as u32,
            });
            self.context.flush();
        }
        Ok(shards)
    }

    async fn input_map(&self, map: &InputMap) -> Result<DeviceInputMap, GpuError> {
        let scale = vec![map.scale; map.weight.cols];
        let weight = rows(&map.weight);
        let weight = packed_in_turns(&weight, WeightFormat::F32, Some(&scale), self.breathe).await;
        Ok(DeviceInputMap {
            weight: self.buffer("the input map", &weight).await?,
            bias: self.buffer("the input map's bias", &map.bias).await?,
        })
    }

    /// One layer of every set.
    async fn layer(&self, sets: &[&LayerWeights]) -> Result<DeviceLayer, GpuError> {
        let first = sets[0];
        let (attention_norm, mlp_norm) = (&first.attention_norm, &first.mlp_norm);
        let all = |part: fn(&LayerWeights) -> Vec<&Linear>| -> Vec<Vec<&Linear>> {
            sets.iter().map(|layer| part(layer)).collect()
        };
        let [gates, ups] = [
            all(|layer| layer.gate.iter().collect()),
            all(|layer| vec![&layer.up]),
        ];
        let [outputs, downs] = [all(|layer| vec![&layer.o]), all(|layer| vec![&layer.down])];
        let qkv_biases = sets.iter().flat_map(|layer| self.qkv_biases(layer));
        let mlp_biases = sets.iter().flat_map(|layer| mlp_biases(layer));
        let qk_norm = first.qk_norm.as_ref().map(|gains| {
            let in_order = gains.each_ref().map(|gain| self.in_rotation_order(gain));
            in_order.concat()
        });
        let qkv_vectors = self.vectors(attention_norm, qkv_biases);
        let mlp_vectors = self.vectors(mlp_norm, mlp_biases);
        let layer = DeviceLayer {
            qkv: self.qkv(sets).await?,
            qkv_vectors: self
                .optional("a layer's q, k and v biases", &qkv_vectors)
                .await?,
            qk_norm: self.optional("a layer's q and k norms", &qk_norm).await?,
            output: self.matrices("a layer's o", &outputs, None).await?,
            output_bias: self.optional("a layer's o bias", &first.o.bias).await?,
            gate: match &first.gate {
                Some(_) => Some(
                    self.matrices("a layer's gate", &gates, Some(mlp_norm))
                        .await?,
                ),
                None => None,
            },
            up: self.matrices("a layer's up", &ups, Some(mlp_norm)).await?,
            mlp_vectors: self.optional("a layer's MLP biases", &mlp_vectors).await?,
            down: self.matrices("a layer's down", &downs, None).await?,
            down_bias: self
                .optional("a layer's down bias", &first.down.bias)
                .await?,
        };
        self.context.flush();
        Ok(layer)
    }

    /// q, k and v of every set, their heads in the order in which they turn.
    async fn qkv(&self, sets: &[&LayerWeights]) -> Result<DeviceBuffer, GpuError> {
        let head_dim = self.config.head_dim;
        let mut words = Vec::new();
        for layer in sets {
            let matrices =
                [&layer.q, &layer.k, &layer.v].map(|linear| in_format(&linear.weight, self.format));
            let in_order = |matrix| rotation_order(matrix, head_dim);
            let rows: Vec<_> = matrices.iter().flat_map(in_order).collect();
            let gain = self.gain(&layer.attention_norm);
            words.extend(self.packed(&rows, gain).await);
        }
        self.buffer("a layer's q, k and v", &words).await
    }

    /// Matrices of every set, one below the other, behind a norm or not.
    async fn matrices(
        &self,
        what: &str,
        sets: &[Vec<&Linear>],
        norm: Option<&NormWeights>,
    ) -> Result<DeviceBuffer, GpuError> {
        let gain = norm.and_then(|norm| self.gain(norm));
        let mut words = Vec::new();
        for linear in sets.iter().flatten() {
            let matrix = in_format(&linear.weight, self.format);
            words.extend(self.packed(&rows(&matrix), gain).await);
        }
        self.buffer(what, &words).await
    }

    /// A norm's gain, where it is multiplied into the matrices.
    fn gain<'b>(&self, norm: &'b NormWeights) -> Option<&'b [f32]> {
        (self.format == WeightFormat::F32).then_some(&norm.gain[..])
    }

    fn qkv_biases(&self, layer: &LayerWeights) -> [Option<Vec<f32>>; 3] {
        let bias = |linear| bias(linear, &layer.attention_norm);
        let in_order = |bias: Vec<f32>| self.in_rotation_order(&bias);
        [&layer.q, &layer.k, &layer.v].map(|linear| bias(linear).map(in_order))
    }

    /// Values of heads in the order of qkv's rows.
    fn in_rotation_order(&self, values: &[f32]) -> Vec<f32> {
        let places = rotation_places(values.len(), self.config.head_dim);
        places.map(|place| values[place]).collect()
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

/// The gate's bias and that of the other matrix; a gate that is not there has its place all the same.
fn mlp_biases(layer: &LayerWeights) -> [Option<Vec<f32>>; 2] {
    let up = bias(&layer.up, &layer.mlp_norm);
    let gate = match &layer.gate {
        Some(gate) => bias(gate, &layer.mlp_norm),
        None => up.as_ref().map(|up| vec![0.0; up.len()]),
    };
    [gate, up]
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
