//! Matrices of weights, kept in the number format of their file until somebody reads them.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;

/// How the values of a [`Matrix`] are written, little-endian. A format whose values share a scale,
/// as those of GGUF do, is another variant: its rows have a number of bytes and can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 16 bits.
    F16,
    /// The upper half of an F32.
    Bf16,
}

impl Dtype {
    /// Bytes that a row of `n_values` values takes.
    pub fn row_bytes(self, n_values: usize) -> usize {
        match self {
            Self::F32 => 4 * n_values,
            Self::F16 | Self::Bf16 => 2 * n_values,
        }
    }

    /// Writes the values of `bytes` to `values`; both are of the same number of values.
    fn decode(self, bytes: &[u8], values: &mut [f32]) {
        debug_assert_eq!(bytes.len(), self.row_bytes(values.len()));
        match self {
            Self::F32 => {
                let quads = bytes.as_chunks().0;
                let numbers = quads.iter().map(|quad| f32::from_le_bytes(*quad));
                values.iter_mut().zip(numbers).for_each(|(v, n)| *v = n);
            }
            Self::F16 => {
                let pairs = bytes.as_chunks().0;
                let numbers = pairs
                    .iter()
                    .map(|pair| f32_from_f16(u16::from_le_bytes(*pair)));
                values.iter_mut().zip(numbers).for_each(|(v, n)| *v = n);
            }
            Self::Bf16 => {
                let pairs = bytes.as_chunks().0;
                let widened = |pair: &[u8; 2]| u32::from(u16::from_le_bytes(*pair)) << 16;
                let numbers = pairs.iter().map(|pair| f32::from_bits(widened(pair)));
                values.iter_mut().zip(numbers).for_each(|(v, n)| *v = n);
            }
        }
    }
}

/// A finite f16 as f32, exactly, without a branch, so that compilers vectorise a loop of it on
/// every target: sign, exponent and mantissa moved into place are the number times 2⁻¹¹²,
/// subnormals too.
fn f32_from_f16(bits: u16) -> f32 {
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    // The sign fills the upper bits, of which only the highest stays.
    let spread = (i32::from(bits as i16) as u32) << 13;
    f32::from_bits(spread & 0x8FFF_E000) * SCALE
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
        if self.cols == 0 {
            return;
        }
        if let Some(values) = self.borrowed() {
            values.chunks_exact(self.cols).for_each(read);
            return;
        }
        let mut row = vec![0.0; self.cols];
        for bytes in self.bytes.chunks_exact(self.dtype.row_bytes(self.cols)) {
            self.dtype.decode(bytes, &mut row);
            read(&row);
        }
    }

    /// The same numbers, kept as f32; a matrix that is f32 already is shared.
    pub fn widened(&self) -> Self {
        match self.dtype {
            Dtype::F32 => self.clone(),
            Dtype::F16 | Dtype::Bf16 => Self::from_f32(self.rows, self.cols, &self.to_f32()),
        }
    }

    /// Whether the two are the same place in memory, and not only equal.
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(&*self.bytes, &*other.bytes)
    }

    /// The first value that is NaN or infinite, with its index. Reading a matrix that holds one
    /// gives some number in its place, so checkpoints are asked this first.
    pub fn first_non_finite(&self) -> Option<(usize, f32)> {
        let halves = || {
            self.bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| u16::from_le_bytes(*b))
        };
        let find = |exponent: u16| halves().position(|half| half & exponent == exponent);
        match self.dtype {
            Dtype::F32 => {
                let quads = self.bytes.as_chunks().0.iter();
                let mut values = quads.map(|quad| f32::from_le_bytes(*quad)).enumerate();
                values.find(|(_, value)| !value.is_finite())
            }
            Dtype::F16 => find(0x7C00).map(|index| {
                let is_infinite = halves().nth(index).is_some_and(|half| half & 0x03FF == 0);
                (index, if is_infinite { f32::INFINITY } else { f32::NAN })
            }),
            Dtype::Bf16 => find(0x7F80).map(|index| (index, self.to_f32()[index])),
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
        self.dtype.decode(bytes, &mut values);
        Cow::Owned(values)
    }

    /// The values where they lie, if they are f32 of this machine and aligned.
    fn borrowed(&self) -> Option<&[f32]> {
        let is_native = self.dtype == Dtype::F32 && cfg!(target_endian = "little");
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
                assert_eq!(matrix.widened(), Matrix::from_f32(3, 5, &values), "{at}");
                let mut rows = Vec::new();
                matrix.for_each_row(|row| rows.extend_from_slice(row));
                assert_eq!(rows, values, "{at}");
            }
        }
    }
}
