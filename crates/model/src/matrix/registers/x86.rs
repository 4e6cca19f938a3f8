//! AVX2's and AVX-512's.

use super::{Registers, WIDTH, both};
use crate::matrix::{F16_BITS, F16_SCALE};

/// Bits of sixteen bytes, as both of the processors below find them.
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
