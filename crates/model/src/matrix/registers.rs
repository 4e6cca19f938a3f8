//! Sixteen numbers at a time, on the widest registers that the processor has.

use super::f32_from_f16;
#[cfg(target_arch = "x86_64")]
use super::{F16_BITS, F16_SCALE};

/// How many.
pub const WIDTH: usize = 16;

// Weights are read as they lie in a file, which is little-endian.
const _: () = assert!(cfg!(target_endian = "little"));

/// [f(a), f(b)], in place: what `array::map` calls is not inlined, and knows nothing of the
/// registers of who calls it (nine times as slow).
#[inline(always)]
pub fn both<T, U>([a, b]: [T; 2], mut f: impl FnMut(T) -> U) -> [U; 2] {
    [f(a), f(b)]
}

/// A processor's registers. All of them do the same with each of the numbers, and round after each
/// operation, so that what is computed is the same to the bit on every machine, and in a page.
pub trait Registers: Copy {
    /// Sixteen f32.
    type Values: Copy;
    /// Sixteen bytes.
    type Bytes: Copy;
    /// [`Registers::Values`] that there is room for.
    const ROOM: usize;

    /// The same number everywhere.
    fn splat(self, value: f32) -> Self::Values;

    /// Numbers as they lie in memory.
    fn f32s(self, values: [f32; WIDTH]) -> Self::Values;

    /// Finite numbers of IEEE 754's 16 bits.
    fn f16s(self, bits: [u16; WIDTH]) -> Self::Values;

    /// One of them everywhere.
    #[inline(always)]
    fn splat_f16(self, bits: u16) -> Self::Values {
        self.splat(f32_from_f16(bits))
    }

    /// The upper halves of f32.
    fn bf16s(self, bits: [u16; WIDTH]) -> Self::Values;

    /// Signed bytes.
    fn i8s(self, bytes: Self::Bytes) -> Self::Values;

    /// a + b
    fn add(self, a: Self::Values, b: Self::Values) -> Self::Values;

    /// a ⊙ b
    fn mul(self, a: Self::Values, b: Self::Values) -> Self::Values;

    /// One by one.
    fn values(self, values: Self::Values) -> [f32; WIDTH];

    /// Bytes as they lie in memory.
    fn bytes(self, bytes: [u8; WIDTH]) -> Self::Bytes;

    /// `mask` of each byte after its bits have moved down by `shift`.
    fn bits(self, bytes: Self::Bytes, shift: u32, mask: u8) -> Self::Bytes;

    /// What `value` makes of four bits of each byte, from bit `shift` on: a function of each number alone.
    #[inline(always)]
    fn of_fours(
        self,
        bytes: Self::Bytes,
        shift: u32,
        value: impl Fn(Self::Values) -> Self::Values,
    ) -> Self::Values {
        value(self.i8s(self.bits(bytes, shift, 15)))
    }

    /// a + 16 b, where b is less than 16.
    fn with_upper(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
}

/// Those that the compiler finds for the target.
#[cfg(not(target_feature = "simd128"))]
#[derive(Clone, Copy)]
pub struct OfTarget;

#[cfg(not(target_feature = "simd128"))]
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

/// Bits of sixteen bytes, as both of the processors below find them.
#[cfg(target_arch = "x86_64")]
macro_rules! bytes_of_sse {
    () => {
        type Bytes = std::arch::x86_64::__m128i;

        #[inline(always)]
        fn bytes(self, bytes: [u8; WIDTH]) -> Self::Bytes {
            bytemuck::cast(bytes)
        }

        #[inline(always)]
        fn bits(self, bytes: Self::Bytes, shift: u32, mask: u8) -> Self::Bytes {
            // There is no shift of bytes; the mask removes what comes from the neighbour.
            let moved = self
                .sse2
                ._mm_srl_epi16(bytes, self.sse2._mm_cvtsi32_si128(shift as i32));
            self.sse2
                ._mm_and_si128(moved, self.sse2._mm_set1_epi8(mask as i8))
        }

        #[inline(always)]
        fn with_upper(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            self.sse2._mm_or_si128(a, self.sse2._mm_slli_epi16::<4>(b))
        }
    };
}

/// AVX2's 256 bits.
#[cfg(target_arch = "x86_64")]
impl Registers for pulp::x86::V3 {
    type Values = [pulp::f32x8; 2];
    const ROOM: usize = 8;
    bytes_of_sse!();

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Values {
        [self.splat_f32x8(value); 2]
    }

    #[inline(always)]
    fn f32s(self, values: [f32; WIDTH]) -> Self::Values {
        bytemuck::cast(values)
    }

    #[inline(always)]
    fn f16s(self, bits: [u16; WIDTH]) -> Self::Values {
        // As `f32_from_f16`, whose words say why.
        let halves: [pulp::i16x8; 2] = bytemuck::cast(bits);
        both(
            halves,
            #[inline(always)]
            |half| {
                let spread = self.shl_const_u32x8::<13>(self.convert_i16x8_to_u32x8(half));
                let kept = self.and_u32x8(spread, self.splat_u32x8(F16_BITS));
                self.mul_f32x8(bytemuck::cast(kept), self.splat_f32x8(F16_SCALE))
            },
        )
    }

    #[inline(always)]
    fn bf16s(self, bits: [u16; WIDTH]) -> Self::Values {
        let halves: [pulp::u16x8; 2] = bytemuck::cast(bits);
        both(
            halves,
            #[inline(always)]
            |half| bytemuck::cast(self.shl_const_u32x8::<16>(self.convert_u16x8_to_u32x8(half))),
        )
    }

    #[inline(always)]
    fn i8s(self, bytes: Self::Bytes) -> Self::Values {
        let upper = self.sse2._mm_unpackhi_epi64(bytes, bytes);
        both(
            [bytes, upper],
            #[inline(always)]
            |eight| {
                let numbers = self.avx2._mm256_cvtepi8_epi32(eight);
                bytemuck::cast(self.avx._mm256_cvtepi32_ps(numbers))
            },
        )
    }

    #[inline(always)]
    fn add(self, a: Self::Values, b: Self::Values) -> Self::Values {
        [self.add_f32x8(a[0], b[0]), self.add_f32x8(a[1], b[1])]
    }

    #[inline(always)]
    fn mul(self, a: Self::Values, b: Self::Values) -> Self::Values {
        [self.mul_f32x8(a[0], b[0]), self.mul_f32x8(a[1], b[1])]
    }

    #[inline(always)]
    fn values(self, values: Self::Values) -> [f32; WIDTH] {
        bytemuck::cast(values)
    }
}

/// AVX-512's 512 bits.
#[cfg(target_arch = "x86_64")]
impl Registers for pulp::x86::V4 {
    type Values = pulp::f32x16;
    const ROOM: usize = 32;
    bytes_of_sse!();

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Values {
        self.splat_f32x16(value)
    }

    #[inline(always)]
    fn f32s(self, values: [f32; WIDTH]) -> Self::Values {
        bytemuck::cast(values)
    }

    #[inline(always)]
    fn f16s(self, bits: [u16; WIDTH]) -> Self::Values {
        bytemuck::cast(self.avx512f._mm512_cvtph_ps(bytemuck::cast(bits)))
    }

    #[inline(always)]
    fn splat_f16(self, bits: u16) -> Self::Values {
        let all = self.avx._mm256_set1_epi16(bits as i16);
        bytemuck::cast(self.avx512f._mm512_cvtph_ps(all))
    }

    #[inline(always)]
    fn bf16s(self, bits: [u16; WIDTH]) -> Self::Values {
        let widened = self.convert_u16x16_to_u32x16(bytemuck::cast(bits));
        bytemuck::cast(self.shl_const_u32x16::<16>(widened))
    }

    #[inline(always)]
    fn i8s(self, bytes: Self::Bytes) -> Self::Values {
        self.convert_i32x16_to_f32x16(self.convert_i8x16_to_i32x16(bytemuck::cast(bytes)))
    }

    /// The sixteen values that there are, and which of them.
    #[inline(always)]
    fn of_fours(
        self,
        bytes: Self::Bytes,
        shift: u32,
        value: impl Fn(Self::Values) -> Self::Values,
    ) -> Self::Values {
        const FOURS: [f32; WIDTH] = [
            0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
        ];
        let values = value(self.f32s(FOURS));
        let widened = self.avx512f._mm512_cvtepu8_epi32(bytes);
        // Only the lower four bits of an index count.
        let count = self.sse2._mm_cvtsi32_si128(shift as i32);
        let which = self.avx512f._mm512_srl_epi32(widened, count);
        let values = self
            .avx512f
            ._mm512_permutexvar_ps(which, bytemuck::cast(values));
        bytemuck::cast(values)
    }

    #[inline(always)]
    fn add(self, a: Self::Values, b: Self::Values) -> Self::Values {
        self.add_f32x16(a, b)
    }

    #[inline(always)]
    fn mul(self, a: Self::Values, b: Self::Values) -> Self::Values {
        self.mul_f32x16(a, b)
    }

    #[inline(always)]
    fn values(self, values: Self::Values) -> [f32; WIDTH] {
        bytemuck::cast(values)
    }
}

#[cfg(target_feature = "simd128")]
pub use of_wasm::OfTarget;

/// WebAssembly's 128 bits.
#[cfg(target_feature = "simd128")]
mod of_wasm {
    use std::arch::wasm32::{
        f32x4_add, f32x4_convert_i32x4, f32x4_mul, f32x4_splat, i16x8_extend_high_i8x16,
        i16x8_extend_low_i8x16, i32x4_extend_high_i16x8, i32x4_extend_low_i16x8, i32x4_shl,
        u8x16_shl, u8x16_shr, u8x16_splat, u32x4_splat, v128, v128_and, v128_or,
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
}

/// What is computed the same way on every processor's registers.
pub trait OnRegisters {
    /// What comes of it.
    type Output;

    /// Called on the widest ones; to be inlined there.
    fn on<R: Registers>(self, registers: R) -> Self::Output;
}

/// Compiled for AVX-512, for AVX2 and for the target.
#[inline(always)]
pub fn on_widest<W: OnRegisters>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(registers) = pulp::x86::V4::try_new() {
            return registers.vectorize(
                #[inline(always)]
                || work.on(registers),
            );
        }
        if let Some(registers) = pulp::x86::V3::try_new() {
            return registers.vectorize(
                #[inline(always)]
                || work.on(registers),
            );
        }
    }
    work.on(OfTarget)
}

/// On each of those that this processor has, and whose they are.
#[cfg(test)]
pub fn on_each<W: OnRegisters + Copy>(work: W) -> Vec<(&'static str, W::Output)> {
    let mut all = vec![("the target's", work.on(OfTarget))];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(pulp::x86::V3::try_new().map(|registers| ("AVX2", work.on(registers))));
        all.extend(pulp::x86::V4::try_new().map(|registers| ("AVX-512", work.on(registers))));
    }
    all
}
