//! Those that the compiler finds for the target.

use super::{Registers, WIDTH, f32_from_f16};

#[derive(Clone, Copy)]
pub struct OfTarget;

impl Registers for OfTarget {
    type Values = [f32; WIDTH];
    type Bytes = [u8; WIDTH];
    /// As of 16 registers of 128 bits.
    const ROOM: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Values {
        [value; WIDTH]
    }

    #[inline(always)]
    fn f32s(self, values: [f32; WIDTH]) -> Self::Values {
        values
    }

    #[inline(always)]
    fn f16s(self, bits: [u16; WIDTH]) -> Self::Values {
        bits.map(f32_from_f16)
    }

    #[inline(always)]
    fn bf16s(self, bits: [u16; WIDTH]) -> Self::Values {
        bits.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }

    #[inline(always)]
    fn i8s(self, bytes: Self::Bytes) -> Self::Values {
        bytes.map(|byte| f32::from(byte as i8))
    }

    #[inline(always)]
    fn add(self, a: Self::Values, b: Self::Values) -> Self::Values {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::Values, b: Self::Values) -> Self::Values {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn values(self, values: Self::Values) -> [f32; WIDTH] {
        values
    }

    #[inline(always)]
    fn bytes(self, bytes: [u8; WIDTH]) -> Self::Bytes {
        bytes
    }

    #[inline(always)]
    fn bits(self, bytes: Self::Bytes, shift: u32, mask: u8) -> Self::Bytes {
        bytes.map(|byte| (byte >> shift) & mask)
    }

    #[inline(always)]
    fn with_upper(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        std::array::from_fn(|i| a[i] | (b[i] << 4))
    }
}
