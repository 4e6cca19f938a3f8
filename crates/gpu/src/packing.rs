//! Matrices of weights as kernels read them; `shaders/weights_*.wgsl` are the other side.

use std::ops::Range;

use latent_model::{
    checkpoint::{BLOCK, Matrix, WeightFormat},
    turns::{Breathe, at_once, parts, turn},
};

/// A row of a matrix that has the format in which it is packed.
#[derive(Clone, Copy, Debug)]
pub struct MatrixRow<'a> {
    matrix: &'a Matrix,
    row: usize,
}

/// The rows of a matrix, in order.
pub fn rows(matrix: &Matrix) -> Vec<MatrixRow<'_>> {
    let row = |row| MatrixRow { matrix, row };
    (0..matrix.rows).map(row).collect()
}

/// The rows of q, k or v, such that four in a row are two rotation pairs of one head
/// ([`rotation_places`]).
pub fn rotation_order(matrix: &Matrix, head_dim: usize) -> Vec<MatrixRow<'_>> {
    let row = |row| MatrixRow { matrix, row };
    rotation_places(matrix.rows, head_dim).map(row).collect()
}

/// The places of heads' values in the order of qkv's rows:
/// 2p, 2p + 1, 2p + head_dim/2, 2p + 1 + head_dim/2 for each p and head.
pub fn rotation_places(n: usize, head_dim: usize) -> impl Iterator<Item = usize> {
    let heads = (0..n / head_dim).map(move |head| head * head_dim);
    let quads = heads.flat_map(move |head| (0..head_dim / 4).map(move |pair| head + 2 * pair));
    quads.flat_map(move |row| {
        let turned = row + head_dim / 2;
        [row, row + 1, turned, turned + 1]
    })
}

/// Words of 32 bits that a matrix takes once it is packed.
pub fn packed_words(format: WeightFormat, n_rows: usize, n_columns: usize) -> usize {
    let (n_quads, width) = (n_rows.div_ceil(4), n_columns.div_ceil(4));
    n_quads * width * block_words(format) + scale_words(format, n_quads, n_columns)
}

/// Words of a block of 4 × 4 weights.
fn block_words(format: WeightFormat) -> usize {
    match format {
        WeightFormat::F32 => 16,
        WeightFormat::F16 => 8,
        WeightFormat::Int8 => 4,
    }
}

/// Words of the scales behind the blocks: two for each four rows of a block of 32 columns, in whole
/// elements of four words.
fn scale_words(format: WeightFormat, n_quads: usize, n_columns: usize) -> usize {
    match format {
        WeightFormat::F32 | WeightFormat::F16 => 0,
        WeightFormat::Int8 => (2 * n_columns.div_ceil(BLOCK) * n_quads).next_multiple_of(4),
    }
}

/// Rows in fours and columns in fours, as 4×4 blocks (column block, row block): a block is a
/// WGSL `mat4x4` whose product with four inputs gives four outputs. Threads side by side, which
/// own row blocks side by side, so read memory side by side. Rows that are missing to a four are
/// zeros.
///
/// `gain` is a norm's, which multiplies the columns of f32 weights: W·(g ⊙ x) = (W·diag(g))·x. In
/// other formats that would be another rounding than the checkpoint's, so they have none.
///
/// # Panics
/// If a row's matrix is in another format, or a gain is given to another one than f32.
pub fn packed(rows: &[MatrixRow<'_>], format: WeightFormat, gain: Option<&[f32]>) -> Vec<u32> {
    at_once(packed_in_turns(rows, format, gain, None))
}

/// The same, with turns for others where there are any.
///
/// # Panics
/// As [`packed`].
pub async fn packed_in_turns(
    rows: &[MatrixRow<'_>],
    format: WeightFormat,
    gain: Option<&[f32]>,
    breathe: Option<Breathe>,
) -> Vec<u32> {
    assert!(
        gain.is_none() || format == WeightFormat::F32,
        "{format:?} with a gain"
    );
    let n_columns = rows.first().map_or(0, |row| row.matrix.cols);
    let mut words = vec![0_u32; packed_words(format, rows.len(), n_columns)];
    for part in parts(rows.len(), n_columns, breathe) {
        pack(rows, part, format, gain, &mut words);
        turn(breathe).await;
    }
    words
}

/// Puts some of the rows where all of them are packed.
fn pack(
    rows: &[MatrixRow<'_>],
    part: Range<usize>,
    format: WeightFormat,
    gain: Option<&[f32]>,
    words: &mut [u32],
) {
    let n_columns = rows.first().map_or(0, |row| row.matrix.cols);
    let n_quads = rows.len().div_ceil(4);
    let first_scale = n_columns / 4 * n_quads * block_words(format);
    for (index, row) in part.clone().zip(&rows[part]) {
        let (quad, in_quad) = (index / 4, index % 4);
        // The word that has column `column` of this row.
        let block = |column: usize| (column / 4 * n_quads + quad) * block_words(format);
        match format {
            WeightFormat::F32 => {
                for (column, value) in row.matrix.row(row.row).iter().enumerate() {
                    let gain = gain.map_or(1.0, |gain| gain[column]);
                    words[block(column) + 4 * (column % 4) + in_quad] = (value * gain).to_bits();
                }
            }
            WeightFormat::F16 => {
                let halves = row.bytes(format).as_chunks::<2>().0.iter();
                for (column, half) in halves.enumerate() {
                    let bits = u32::from(u16::from_le_bytes(*half)) << (16 * (in_quad % 2));
                    words[block(column) + 2 * (column % 4) + in_quad / 2] |= bits;
                }
            }
            WeightFormat::Int8 => {
                let blocks = row.bytes(format).as_chunks::<{ 2 + BLOCK }>().0.iter();
                for (group, bytes) in blocks.enumerate() {
                    let scale = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
                    let four = group * n_quads + quad;
                    words[first_scale + 2 * four + in_quad / 2] |= scale << (16 * (in_quad % 2));
                    let columns = group * BLOCK..n_columns.min((group + 1) * BLOCK);
                    for (column, byte) in columns.zip(&bytes[2..]) {
                        words[block(column) + column % 4] |= u32::from(*byte) << (8 * in_quad);
                    }
                }
            }
        }
    }
}

impl<'a> MatrixRow<'a> {
    fn bytes(self, format: WeightFormat) -> &'a [u8] {
        let dtype = self.matrix.dtype();
        assert_eq!(dtype, format.dtype(), "the format of a row to be packed");
        self.matrix.row_bytes(self.row)
    }
}
