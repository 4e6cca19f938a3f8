//! Sixteen numbers at a time, on the widest registers that the processor has.

use super::f32_from_f16;

#[cfg(not(target_feature = "simd128"))]
pub use target::OfTarget;
#[cfg(target_feature = "simd128")]
pub use wasm::OfTarget;

#[cfg(not(target_feature = "simd128"))]
mod target;
#[cfg(target_feature = "simd128")]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

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
