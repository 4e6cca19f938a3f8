//! Matrices of weights, kept in the number format of their file until somebody reads them.

pub(crate) mod decoders;
pub(crate) mod registers;

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;

use crate::{
    gguf::BlockFormat,
    turns::{Breathe, at_once, parts, turn},
};

/// How the values of a [`Matrix`] are written, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 16 bits.
    F16,
    /// The upper half of an F32.
    Bf16,
    /// Blocks of [`BLOCK`] values: a scale in F16, then a signed byte for each, as GGUF's q8_0. The
    /// last block of a row is padded with zeros.
    Q8_0,
    /// Blocks of another format of GGUF's. A row is whole blocks.
    Block(BlockFormat),
}

/// Values that share a scale.
pub const BLOCK: usize = 32;

/// Bytes of a block of [`Dtype::Q8_0`].
const Q8_0_BYTES: usize = 2 + BLOCK;

/// The number format that a model's matrices are given when it is opened, on either engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightFormat {
    /// 32 bits a weight, whatever the file has.
    #[default]
    F32,
    /// 16 bits a weight.
    F16,
    /// 8.5 bits a weight: signed bytes in blocks of 32 with a scale.
    Int8,
}

impl WeightFormat {
    /// All formats, the most exact one first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Int8];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }

    /// How a matrix in it writes its values.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Int8 => Dtype::Q8_0,
        }
    }

    /// Appends a row of values.
    fn encode(self, values: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16 => bytes.extend(values.iter().flat_map(|&v| f16_from_f32(v).to_le_bytes())),
            Self::Int8 => values.chunks(BLOCK).for_each(|block| {
                let largest = block.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
                let scale = f16_from_f32(largest / 127.0);
                let inverse = match f32_from_f16(scale) {
                    0.0 => 0.0,
                    scale => 1.0 / scale,
                };
                bytes.extend(scale.to_le_bytes());
                let quants = block
                    .iter()
                    .map(|v| (v * inverse).round().clamp(-127.0, 127.0));
                bytes.extend(quants.map(|quant| quant as i8 as u8));
                bytes.extend(std::iter::repeat_n(0, BLOCK - block.len()));
            }),
        }
    }
}

impl std::str::FromStr for WeightFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.name() == text);
        let names = Self::ALL.map(Self::name).join(", ");
        known.ok_or_else(|| format!("the weights' format must be one of {names}, found {text:?}"))
    }
}

impl Dtype {
    /// Bytes that a row of `n_values` values takes.
    pub fn row_bytes(self, n_values: usize) -> usize {
        match self {
            Self::F32 => 4 * n_values,
            Self::F16 | Self::Bf16 => 2 * n_values,
            Self::Q8_0 => n_values.div_ceil(BLOCK) * Q8_0_BYTES,
            Self::Block(format) => n_values / format.n_values() * format.n_bytes(),
        }
    }

    /// Values of a row that can only be decoded together.
    pub fn block_values(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 => BLOCK,
            Self::Block(format) => format.n_values(),
        }
    }
}

/// The bits of an f16 in place of an f32's, of which its sign fills the upper ones.
const F16_BITS: u32 = 0x8FFF_E000;

/// What an f16's bits as an f32 are too small by.
const F16_SCALE: f32 = f32::from_bits((127 + 112) << 23);

/// A finite f16 as f32, exactly, without a branch, so that compilers vectorise a loop of it on
/// every target: sign, exponent and mantissa moved into place are the number times 2⁻¹¹²,
/// subnormals too.
pub(crate) fn f32_from_f16(bits: u16) -> f32 {
    let spread = (i32::from(bits as i16) as u32) << 13;
    f32::from_bits(spread & F16_BITS) * F16_SCALE
}

/// The nearest f16, the largest ones in place of infinities.
fn f16_from_f32(value: f32) -> u16 {
    let most = half::f16::MAX.to_f32();
    half::f16::from_f32(value.clamp(-most, most)).to_bits()
}

/// The place of the first value that is bad. Values are looked at some at a time, all of them, so
/// that compilers vectorise it: there are a hundred million of them, and a bad one is rare.
fn first<T>(values: &[T], is_bad: impl Fn(&T) -> bool) -> Option<usize> {
    const AT_ONCE: usize = 64;
    let is_any = |values: &[T]| values.iter().fold(false, |any, value| any | is_bad(value));
    let part = values.chunks(AT_ONCE).position(is_any)? * AT_ONCE;
    let within = values[part..].iter().position(is_bad);
    within.map(|index| part + index)
}

/// A dense matrix, row-major; a linear layer's weight is (out features, in features).
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    dtype: Dtype,
    /// rows · `dtype.row_bytes(cols)` bytes: a part of the file, which is shared and not copied.
    bytes: Bytes,
}

impl Matrix {
    /// A matrix of `rows` · `cols` values in memory.
    ///
    /// # Panics
    /// If there are not as many values.
    pub fn from_f32(rows: usize, cols: usize, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self::from_bytes(rows, cols, Dtype::F32, bytes.collect())
    }

    /// A matrix as a file holds it.
    ///
    /// # Panics
    /// If there are not rows · `dtype.row_bytes(cols)` bytes.
    pub fn from_bytes(rows: usize, cols: usize, dtype: Dtype, bytes: Bytes) -> Self {
        let expected = rows * dtype.row_bytes(cols);
        assert_eq!(bytes.len(), expected, "bytes of a {rows} × {cols} matrix");
        Self {
            rows,
            cols,
            dtype,
            bytes,
        }
    }

    /// How its values are kept.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// rows · cols
    pub fn n_values(&self) -> usize {
        self.rows * self.cols
    }

    /// Bytes that its values take.
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// One row, (cols).
    pub fn row(&self, row: usize) -> Cow<'_, [f32]> {
        self.rows_f32(row..row + 1)
    }

    /// All values, (rows · cols). A matrix that is not kept as f32 is decoded as a whole: drop
    /// the result before the next one is asked for.
    pub fn to_f32(&self) -> Cow<'_, [f32]> {
        self.rows_f32(0..self.rows)
    }

    /// Calls `read` with each row in order, (cols), one decoded at a time.
    pub fn for_each_row(&self, mut read: impl FnMut(&[f32])) {
        self.for_each_rows::<1>(|_, rows| read(rows));
    }

    /// Calls `read` with N rows at a time, one after the other in one slice, and the index of the
    /// first; the last time with as many as are left.
    #[inline(always)]
    pub(crate) fn for_each_rows<const N: usize>(&self, mut read: impl FnMut(usize, &[f32])) {
        if self.cols == 0 {
            return;
        }
        let firsts = (0..).step_by(N);
        if let Some(values) = self.borrowed() {
            let blocks = values.chunks(N * self.cols);
            firsts
                .zip(blocks)
                .for_each(|(first, rows)| read(first, rows));
            return;
        }
        let row_bytes = self.dtype.row_bytes(self.cols);
        let mut decoded = vec![0.0; N * self.cols];
        for (first, bytes) in firsts.zip(self.bytes.chunks(N * row_bytes)) {
            self.bring(first, N);
            let rows = &mut decoded[..bytes.len() / row_bytes * self.cols];
            let encoded = bytes.chunks_exact(row_bytes);
            let each = rows.chunks_exact_mut(self.cols).zip(encoded);
            each.for_each(|(row, bytes)| self.dtype.decode(bytes, row));
            read(first, rows);
        }
    }

    /// The bytes of one row, as its [`Dtype`] writes them.
    pub fn row_bytes(&self, row: usize) -> &[u8] {
        let n = self.dtype.row_bytes(self.cols);
        &self.bytes[row * n..(row + 1) * n]
    }

    /// Asks memory for what comes after some rows: processors do not by themselves where each has much
    /// to compute, and wait for a third of the time. Where there is no such request, as in a page, a
    /// byte of every cache line is read.
    #[inline(always)]
    pub(crate) fn bring(&self, first: usize, n_rows: usize) {
        let n = self.dtype.row_bytes(self.cols);
        #[cfg(target_arch = "x86_64")]
        {
            /// As many bytes as are used while an answer takes.
            const AHEAD: usize = 2048;
            for place in (first * n + AHEAD..(first + n_rows) * n + AHEAD).step_by(64) {
                prefetch_index::prefetch_index(&self.bytes, place);
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let next = (first + n_rows) * n..((first + 2 * n_rows) * n).min(self.bytes.len());
            let lines = self.bytes.get(next).unwrap_or_default().iter().step_by(64);
            for byte in lines {
                let _ = std::hint::black_box(*byte);
            }
        }
    }

    /// The same numbers in another format, as near as it comes; a matrix that is in it already is
    /// shared.
    pub fn converted(&self, format: WeightFormat) -> Self {
        at_once(self.converted_in_turns(format, None))
    }

    /// The same, with turns for others where there are any.
    pub async fn converted_in_turns(&self, format: WeightFormat, breathe: Option<Breathe>) -> Self {
        let dtype = format.dtype();
        if self.dtype == dtype {
            return self.clone();
        }
        let mut bytes = Vec::with_capacity(self.rows * dtype.row_bytes(self.cols));
        for rows in parts(self.rows, self.cols, breathe) {
            let part = self.slice_rows(rows);
            part.for_each_row(|row| format.encode(row, &mut bytes));
            turn(breathe).await;
        }
        Self::from_bytes(self.rows, self.cols, dtype, bytes.into())
    }

    /// Its bytes, as its [`Dtype`] writes them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lets go of the memory that it is in, for that of the same bytes elsewhere, or for a while of
    /// none.
    pub(crate) fn set_bytes(&mut self, bytes: Bytes) {
        self.bytes = bytes;
    }

    /// The same matrix in memory of its own.
    pub(crate) fn detached(&self) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(&self.bytes),
            ..self.clone()
        }
    }

    /// Some of its rows, sharing its memory.
    pub fn slice_rows(&self, rows: Range<usize>) -> Self {
        let row_bytes = self.dtype.row_bytes(self.cols);
        Self {
            rows: rows.len(),
            bytes: self
                .bytes
                .slice(rows.start * row_bytes..rows.end * row_bytes),
            ..self.clone()
        }
    }

    /// Its transpose, in memory of its own; one whose values share scales becomes f32.
    pub(crate) fn transposed(&self) -> Self {
        let size = match self.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::Q8_0 | Dtype::Block(_) => {
                return self.converted(WeightFormat::F32).transposed();
            }
        };
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for col in 0..self.cols {
            for row in 0..self.rows {
                let at = (row * self.cols + col) * size;
                bytes.extend_from_slice(&self.bytes[at..at + size]);
            }
        }
        Self::from_bytes(self.cols, self.rows, self.dtype, bytes.into())
    }

    /// Whether the two are the same place in memory, and not only equal.
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(&*self.bytes, &*other.bytes)
    }

    /// The first value that is NaN or infinite, with its index. Reading a matrix that holds one
    /// gives some number in its place, so checkpoints are asked this first.
    pub fn first_non_finite(&self) -> Option<(usize, f32)> {
        let half = |bytes: &[u8; 2]| u16::from_le_bytes(*bytes);
        let halves = self.bytes.as_chunks().0;
        let find = |exponent: u16| first(halves, |bytes| half(bytes) & exponent == exponent);
        match self.dtype {
            Dtype::F32 => {
                let quads = self.bytes.as_chunks().0;
                let index = first(quads, |quad| !f32::from_le_bytes(*quad).is_finite())?;
                Some((index, f32::from_le_bytes(quads[index])))
            }
            Dtype::F16 => find(0x7C00).map(|index| {
                let is_infinite = half(&halves[index]) & 0x03FF == 0;
                (index, if is_infinite { f32::INFINITY } else { f32::NAN })
            }),
            Dtype::Bf16 => find(0x7F80).map(|index| (index, self.to_f32()[index])),
            Dtype::Q8_0 => {
                let scales = self.bytes.as_chunks::<Q8_0_BYTES>().0.iter();
                let mut scales = scales.map(|block| u16::from_le_bytes([block[0], block[1]]));
                let block = scales.position(|scale| scale & 0x7C00 == 0x7C00)?;
                let blocks_per_row = self.cols.div_ceil(BLOCK);
                let (row, block) = (block / blocks_per_row, block % blocks_per_row);
                Some((row * self.cols + block * BLOCK, f32::NAN))
            }
            Dtype::Block(format) => format.first_non_finite(&self.bytes),
        }
    }

    /// The values of some rows, (rows, cols).
    pub fn rows_f32(&self, rows: Range<usize>) -> Cow<'_, [f32]> {
        if let Some(all) = self.borrowed() {
            return Cow::Borrowed(&all[rows.start * self.cols..rows.end * self.cols]);
        }
        let row_bytes = self.dtype.row_bytes(self.cols);
        let mut values = vec![0.0; rows.len() * self.cols];
        let bytes = &self.bytes[rows.start * row_bytes..rows.end * row_bytes];
        if self.cols > 0 {
            // Row by row, because a row of blocks may end with padding.
            let rows = values.chunks_exact_mut(self.cols);
            let encoded = bytes.chunks_exact(row_bytes);
            rows.zip(encoded)
                .for_each(|(row, bytes)| self.dtype.decode(bytes, row));
        }
        Cow::Owned(values)
    }

    /// The values where they lie, if they are f32 of this machine and aligned.
    fn borrowed(&self) -> Option<&[f32]> {
        let is_native = self.dtype == Dtype::F32;
        is_native.then(|| bytemuck::try_cast_slice(&self.bytes).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_f16_is_the_f32_that_the_half_crate_makes_of_it() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (f32_from_f16(bits), half::f16::from_bits(bits).to_f32());
            let same = found.to_bits() == expected.to_bits() || !expected.is_finite();
            assert!(same, "{bits:#06x}: {found} is not {expected}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_found_in_every_format() {
        for bad in [f32::NAN, f32::INFINITY] {
            let values = [1.0, f32::from_bits(1), -65504.0, bad];
            let f32s = values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Bytes>();
            let f16s = values
                .map(half::f16::from_f32)
                .map(half::f16::to_le_bytes)
                .concat();
            let bf16s = values
                .map(half::bf16::from_f32)
                .map(half::bf16::to_le_bytes)
                .concat();
            let kept = [
                (Dtype::F32, f32s),
                (Dtype::F16, f16s.into()),
                (Dtype::Bf16, bf16s.into()),
            ];
            for (dtype, bytes) in kept {
                let matrix = Matrix::from_bytes(2, 2, dtype, bytes.clone());
                let (index, value) = matrix.first_non_finite().expect("there is one");
                let same = value == bad || value.is_nan() && bad.is_nan();
                assert!(
                    index == 3 && same,
                    "{dtype:?}: {value} at {index}, not {bad}"
                );
                let without = bytes.slice(..dtype.row_bytes(3));
                let matrix = Matrix::from_bytes(1, 3, dtype, without);
                assert_eq!(matrix.first_non_finite(), None, "{dtype:?}");
            }
        }
    }

    #[test]
    fn the_first_of_many_is_found_wherever_it_lies() {
        for bad in [0, 63, 64, 65, 199] {
            let values = (0..200).map(|index| if index < bad { 1.0 } else { f32::NAN });
            let bytes: Bytes = values.flat_map(f32::to_le_bytes).collect();
            let matrix = Matrix::from_bytes(2, 100, Dtype::F32, bytes);
            let found = matrix.first_non_finite().map(|(index, _)| index);
            assert_eq!(found, Some(bad));
        }
    }

    #[test]
    fn rows_are_the_same_however_they_are_kept_and_wherever_they_lie() {
        // Numbers that every format holds.
        let values: Vec<f32> = (0..15).map(|i| (i as f32 - 7.0) / 4.0).collect();
        let f32s: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let f16s = values.iter().map(|&v| half::f16::from_f32(v));
        let bf16s = values.iter().map(|&v| half::bf16::from_f32(v));
        let kept = [
            (Dtype::F32, f32s),
            (Dtype::F16, f16s.flat_map(|v| v.to_le_bytes()).collect()),
            (Dtype::Bf16, bf16s.flat_map(|v| v.to_le_bytes()).collect()),
        ];
        for (dtype, bytes) in kept {
            for shift in 0..4 {
                let mut file = vec![0; shift];
                file.extend(&bytes);
                let matrix = Matrix::from_bytes(3, 5, dtype, Bytes::from(file).slice(shift..));
                let at = format!("{dtype:?} at byte {shift}");
                assert_eq!(*matrix.to_f32(), *values, "{at}");
                assert_eq!(*matrix.row(1), values[5..10], "{at}");
                let widened = matrix.converted(WeightFormat::F32);
                assert_eq!(widened, Matrix::from_f32(3, 5, &values), "{at}");
                let mut rows = Vec::new();
                matrix.for_each_row(|row| rows.extend_from_slice(row));
                assert_eq!(rows, values, "{at}");
            }
        }
    }
    /// Values of every size that weights have, none of them 0.
    fn values(n: usize) -> Vec<f32> {
        let value =
            |i: usize| ((i * 37 % 101) as f32 - 50.3) * 10_f32.powi((i / 40) as i32 % 5 - 3);
        (0..n).map(value).collect()
    }

    #[test]
    fn int8_is_off_by_half_a_step_of_its_block_and_conversions_keep_what_is_in_the_format() {
        for cols in [4, 32, 36, 100] {
            let (rows, values) = (7, values(7 * cols));
            let matrix = Matrix::from_f32(rows, cols, &values);
            let int8 = matrix.converted(WeightFormat::Int8);
            assert_eq!(int8.n_bytes(), rows * cols.div_ceil(32) * 34);
            for row in 0..rows {
                let (found, expected) = (int8.row(row), matrix.row(row));
                for (found, expected) in found.chunks(BLOCK).zip(expected.chunks(BLOCK)) {
                    let largest = expected.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
                    // Half a step, and what the scale's own rounding does to 127 of them.
                    let allowed = largest * (0.5 / 127.0 + 1.0 / 2048.0);
                    for (found, expected) in found.iter().zip(expected) {
                        let difference = (found - expected).abs();
                        assert!(
                            difference <= allowed,
                            "{found} for {expected}, {cols} columns"
                        );
                    }
                }
            }
            assert!(int8.converted(WeightFormat::Int8).is_same(&int8));
            let f16 = matrix.converted(WeightFormat::F16);
            for (found, expected) in f16.to_f32().iter().zip(&values) {
                assert_eq!(*found, half::f16::from_f32(*expected).to_f32());
            }
            assert_eq!(
                f16.converted(WeightFormat::F32)
                    .converted(WeightFormat::F16),
                f16
            );
        }
        let far = Matrix::from_f32(1, 4, &[1e9, -1e9, 0.0, 1e-30]);
        for format in WeightFormat::ALL {
            assert_eq!(far.converted(format).first_non_finite(), None, "{format:?}");
        }
        let mut bytes = far.converted(WeightFormat::Int8).row_bytes(0).to_vec();
        bytes[1] = 0x7C;
        let broken = Matrix::from_bytes(1, 4, Dtype::Q8_0, bytes.into());
        assert!(matches!(broken.first_non_finite(), Some((0, value)) if value.is_nan()));
    }

    #[test]
    fn a_transpose_has_the_other_index_first_in_every_format() {
        let values = values(3 * 5);
        let matrix = Matrix::from_f32(3, 5, &values);
        let bf16: Vec<u8> = values
            .iter()
            .flat_map(|&v| half::bf16::from_f32(v).to_le_bytes())
            .collect();
        let bf16 = Matrix::from_bytes(3, 5, Dtype::Bf16, bf16.into());
        let converted = WeightFormat::ALL.map(|format| matrix.converted(format));
        for matrix in converted.into_iter().chain([bf16]) {
            let transposed = matrix.transposed();
            for (row, col) in (0..3).flat_map(|row| (0..5).map(move |col| (row, col))) {
                assert_eq!(transposed.row(col)[row], matrix.row(row)[col]);
            }
            assert_eq!(*matrix.slice_rows(1..3).to_f32(), matrix.to_f32()[5..]);
        }
    }
}
