//! WebAssembly's 128 bits.

use std::arch::wasm32::{
    f32x4_add, f32x4_convert_i32x4, f32x4_mul, f32x4_splat, i16x8_extend_high_i8x16,
    i16x8_extend_low_i8x16, i32x4_extend_high_i16x8, i32x4_extend_low_i16x8, i32x4_shl, u8x16_shl,
    u8x16_shr, u8x16_splat, u32x4_splat, v128, v128_and, v128_or,
};

use super::{Registers, WIDTH};
use crate::matrix::{F16_BITS, F16_SCALE};

#[derive(Clone, Copy)]
pub struct OfTarget;

/// Sixteen numbers of 16 bits, widened with their signs.
#[inline(always)]
fn widened(sixteen: [v128; 2]) -> [v128; 4] {
    let [a, b] = sixteen;
    [
        i32x4_extend_low_i16x8(a),
        i32x4_extend_high_i16x8(a),
        i32x4_extend_low_i16x8(b),
        i32x4_extend_high_i16x8(b),
    ]
}

#[inline(always)]
fn each([a, b, c, d]: [v128; 4], f: impl Fn(v128) -> v128) -> [v128; 4] {
    [f(a), f(b), f(c), f(d)]
}

impl Registers for OfTarget {
    type Values = [v128; 4];
    type Bytes = v128;
    /// There are 16 registers on most machines.
    const ROOM: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Values {
        [f32x4_splat(value); 4]
    }

    #[inline(always)]
    fn f32s(self, values: [f32; WIDTH]) -> Self::Values {
        bytemuck::cast(values)
    }

    /// As `f32_from_f16`, whose words say why.
    #[inline(always)]
    fn f16s(self, bits: [u16; WIDTH]) -> Self::Values {
        each(
            widened(bytemuck::cast(bits)),
            #[inline(always)]
            |four| {
                let kept = v128_and(i32x4_shl(four, 13), u32x4_splat(F16_BITS));
                f32x4_mul(kept, f32x4_splat(F16_SCALE))
            },
        )
    }

    #[inline(always)]
    fn bf16s(self, bits: [u16; WIDTH]) -> Self::Values {
        each(
            widened(bytemuck::cast(bits)),
            #[inline(always)]
            |four| i32x4_shl(four, 16),
        )
    }

    #[inline(always)]
    fn i8s(self, bytes: Self::Bytes) -> Self::Values {
        let sixteen = [
            i16x8_extend_low_i8x16(bytes),
            i16x8_extend_high_i8x16(bytes),
        ];
        each(
            widened(sixteen),
            #[inline(always)]
            |four| f32x4_convert_i32x4(four),
        )
    }

    #[inline(always)]
    fn add(self, a: Self::Values, b: Self::Values) -> Self::Values {
        let add = |i: usize| f32x4_add(a[i], b[i]);
        [add(0), add(1), add(2), add(3)]
    }

    #[inline(always)]
    fn mul(self, a: Self::Values, b: Self::Values) -> Self::Values {
        let mul = |i: usize| f32x4_mul(a[i], b[i]);
        [mul(0), mul(1), mul(2), mul(3)]
    }

    #[inline(always)]
    fn values(self, values: Self::Values) -> [f32; WIDTH] {
        bytemuck::cast(values)
    }

    #[inline(always)]
    fn bytes(self, bytes: [u8; WIDTH]) -> Self::Bytes {
        bytemuck::cast(bytes)
    }

    #[inline(always)]
    fn bits(self, bytes: Self::Bytes, shift: u32, mask: u8) -> Self::Bytes {
        v128_and(u8x16_shr(bytes, shift), u8x16_splat(mask))
    }

    #[inline(always)]
    fn with_upper(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        v128_or(a, u8x16_shl(b, 4))
    }
}
