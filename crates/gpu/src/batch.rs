//! What one run needs on the device: rows, activations, and the KV cache.

use latent_model::{config::ModelConfig, input::Input, reference::Frequencies};

use crate::{
    buffer::DeviceBuffer,
    context::{GpuContext, GpuError},
    kernels::{score_places, tile_for},
    layout::{Row, RowInput, RowState},
};

/// The rows of a batch and the vectors that pass between kernels; one for the lanes of a run, one
/// for its prefill.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Number of rows, a multiple of the tile.
    pub n_rows: u32,
    /// Rows per thread of a matmul.
    pub tile: u32,
    /// (rows) of [`Row`]
    pub rows: DeviceBuffer,
    /// (rows) of [`RowInput`]
    pub inputs: DeviceBuffer,
    /// (rows, d): the residual stream
    pub residual: DeviceBuffer,
    /// (rows, heads · head_dim), rotated
    pub queries: DeviceBuffer,
    /// (rows, heads, positions)
    pub scores: DeviceBuffer,
    /// (rows, heads · head_dim)
    pub attended: DeviceBuffer,
    /// (rows, intermediate)
    pub expanded: DeviceBuffer,
    /// (taps, rows, d): the states that can be fed back; block 0 is the one after the final norm
    pub hidden: DeviceBuffer,
    /// (rows) of [`RowState`]
    pub states: DeviceBuffer,
}

impl Batch {
    /// Room for `n_rows` rows, rounded up to whole tiles, of which `n_taps` states each are kept;
    /// all of them are dead until [`Batch::write_rows`].
    pub fn new(
        context: &GpuContext,
        config: &ModelConfig,
        n_rows: usize,
        n_positions: usize,
        n_taps: usize,
    ) -> Result<Self, GpuError> {
        let tile = tile_for(n_rows);
        let n_rows = n_rows.next_multiple_of(tile as usize);
        let bytes = |width: usize, size: usize| (n_rows * width * size) as u64;
        let floats =
            |what: &str, width: usize| context.storage(what, bytes(width, size_of::<f32>()));
        let places = score_places(n_positions, context.subgroup_size());
        Ok(Self {
            n_rows: n_rows as u32,
            tile,
            rows: context.storage("rows", bytes(1, size_of::<Row>()))?,
            inputs: context.storage("inputs", bytes(1, size_of::<RowInput>()))?,
            residual: floats("the residual stream", config.hidden_size)?,
            queries: floats("queries", config.q_width())?,
            scores: floats("attention scores", config.n_heads * places)?,
            attended: floats("attention outputs", config.q_width())?,
            expanded: floats("MLP activations", config.intermediate_size)?,
            hidden: floats("hidden states", n_taps * config.hidden_size)?,
            states: context.storage("states", bytes(1, size_of::<RowState>()))?,
        })
    }

    /// Sets the rows and what enters them; rows past the end are dead.
    pub fn write_rows(&self, context: &GpuContext, rows: &[(Row, &Input)]) {
        let mut all: Vec<Row> = rows.iter().map(|(row, _)| *row).collect();
        all.resize(self.n_rows as usize, Row::default());
        share_positions(&mut all, self.tile);
        let inputs: Vec<RowInput> = rows.iter().map(|(_, input)| RowInput::new(input)).collect();
        context.write(&self.rows, 0, bytemuck::cast_slice(&all));
        context.write(&self.inputs, 0, bytemuck::cast_slice(&inputs));
        for (index, (_, input)) in rows.iter().enumerate() {
            self.write_vector(context, index, input);
        }
    }

    /// Sets one row and what enters it.
    pub fn write_row(&self, context: &GpuContext, index: usize, row: &Row, input: &Input) {
        let entry = RowInput::new(input);
        let (row_at, input_at) = (index * size_of::<Row>(), index * size_of::<RowInput>());
        context.write(&self.rows, row_at as u64, bytemuck::bytes_of(row));
        context.write(&self.inputs, input_at as u64, bytemuck::bytes_of(&entry));
        self.write_vector(context, index, input);
    }

    /// A vector is fed from its row's place in block 0 of the hidden states.
    fn write_vector(&self, context: &GpuContext, index: usize, input: &Input) {
        if let Input::Vector(vector) = input {
            let bytes: &[u8] = bytemuck::cast_slice(vector);
            let offset = (index * bytes.len()) as u64;
            context.write(&self.hidden, offset, bytes);
        }
    }
}

/// Tells the rows of every tile which positions they have in common; attention reads those once.
pub(crate) fn share_positions(rows: &mut [Row], tile: u32) {
    for tile in rows.chunks_mut(tile as usize) {
        let n_shared = shared_positions(tile);
        tile.iter_mut().for_each(|row| row.n_shared = n_shared);
    }
}

/// How many of the first positions all live rows of a tile see in the same rows of the cache, for as
/// long as they are its rows. A row that commits moves on in its lane's own part of the cache.
fn shared_positions(tile: &[Row]) -> u32 {
    let live = || tile.iter().filter(|row| row.live == 1);
    let Some(first) = live().next() else {
        return 0;
    };
    let least = live().map(|row| row.position).min().unwrap_or(0);
    if live().all(|row| row.base == first.base && row.commits == 0) {
        return least;
    }
    let n_prefix = live().map(|row| match row.prefix_base == first.prefix_base {
        true => row.n_prefix,
        false => 0,
    });
    least.min(n_prefix.min().unwrap_or(0))
}

/// Rows of a cache behind those of the lanes, for keys and values that nobody keeps.
pub(crate) const SCRATCH_ROWS: usize = 32;

/// Keys and values of a run, and the rotations of its positions. A clone is the same buffers.
#[derive(Clone, Debug)]
pub(crate) struct KvCache {
    /// Rows of the cache that one lane owns; lane l's position p has row l · positions + p.
    pub n_positions: u32,
    /// Where the [`SCRATCH_ROWS`] begin.
    pub scratch: u32,
    /// Per layer: (lanes · positions + scratch, kv heads · head_dim), rotated
    pub keys: Vec<DeviceBuffer>,
    /// Per layer: (lanes · positions + scratch, kv heads · head_dim)
    pub values: Vec<DeviceBuffer>,
    /// (positions, head_dim / 4) of (cos, sin, cos, sin) for the pairs 2i and 2i + 1. A table,
    /// because WGSL's own cos and sin promise nothing for large angles.
    pub rotations: DeviceBuffer,
}

impl KvCache {
    pub fn new(
        context: &GpuContext,
        config: &ModelConfig,
        n_lanes: usize,
        n_positions: usize,
    ) -> Result<Self, GpuError> {
        let scratch = n_lanes * n_positions;
        let n_values = (scratch + SCRATCH_ROWS) * config.kv_width();
        let bytes = (n_values * size_of::<f32>()) as u64;
        let per_layer = |what: &str| -> Result<Vec<DeviceBuffer>, GpuError> {
            (0..config.n_layers)
                .map(|_| context.storage(what, bytes))
                .collect()
        };
        let frequencies = config.rope();
        let frequencies = frequencies.map(|rope| Frequencies::new(config.head_dim, rope));
        let rotations = frequencies.map(|frequencies| {
            let rotations = (0..n_positions).map(|position| frequencies.at(position));
            let pairs = rotations.flat_map(|rotation| {
                let pairs = rotation.cos.into_iter().zip(rotation.sin);
                pairs.map(|(cos, sin)| [cos, sin])
            });
            pairs.collect::<Vec<[f32; 2]>>()
        });
        Ok(Self {
            n_positions: n_positions as u32,
            scratch: scratch as u32,
            keys: per_layer("a layer's keys")?,
            values: per_layer("a layer's values")?,
            // Where positions are learned, kernels have the binding and never read it.
            rotations: match rotations {
                Some(rotations) => context.storage_of("rotations", &rotations)?,
                None => context.storage("no rotations", 16)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(base: u32, n_prefix: u32, position: u32, commits: u32) -> Row {
        Row {
            base,
            n_prefix,
            position,
            live: 1,
            commits,
            ..Row::default()
        }
    }

    #[test]
    fn a_tiles_rows_share_what_all_of_them_see_and_none_will_write() {
        let dead = Row::default();
        let cases = [
            // Lanes of one prompt share it, wherever they stand.
            (vec![row(0, 7, 9, 1), row(50, 7, 30, 1), dead], 7),
            // One lane moves on, and may be put back to where its prompt ends.
            (vec![row(0, 7, 30, 1), dead], 7),
            // Of one prompt that is read, each row sees those before it.
            (vec![row(50, 0, 4, 0), row(50, 0, 5, 0)], 4),
            // Probes of one lane, and of two.
            (vec![row(50, 7, 30, 0), row(50, 7, 20, 0)], 20),
            (vec![row(50, 7, 30, 0), row(100, 7, 20, 0)], 7),
            // A run and its fork, which goes its own way behind what they are given in common.
            (vec![row(0, 7, 9, 1), row(50, 6, 9, 1)], 6),
            // Other prompts.
            (vec![row(0, 0, 4, 1), row(50, 0, 4, 1)], 0),
            (
                vec![
                    row(0, 7, 9, 1),
                    Row {
                        prefix_base: 50,
                        ..row(50, 7, 9, 1)
                    },
                ],
                0,
            ),
            (vec![dead, dead], 0),
        ];
        for (tile, expected) in cases {
            let mut rows = [tile.clone(), vec![row(0, 3, 3, 1); tile.len()]].concat();
            share_positions(&mut rows, tile.len() as u32);
            let found: Vec<u32> = rows.iter().map(|row| row.n_shared).collect();
            let other = vec![3; tile.len()];
            assert_eq!(
                found,
                [vec![expected; tile.len()], other].concat(),
                "{tile:?}"
            );
        }
    }
}
