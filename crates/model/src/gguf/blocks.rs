//! The block formats of GGUF beside Q8_0: a few values share their scale, and are decoded together.
//!
//! The layouts are those of llama.cpp's `ggml-common.h`; all numbers are little-endian.

use crate::matrix::{
    decoders::{Decoder, Group, bytes_at, half_at, sixteen},
    registers::{Registers, both},
};

/// How a block of quantised values is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockFormat {
    /// 32 values of 4 bits, d·(q − 8).
    Q4_0,
    /// 32 values of 4 bits, d·q + m.
    Q4_1,
    /// 32 values of 5 bits, d·(q − 16).
    Q5_0,
    /// 32 values of 5 bits, d·q + m.
    Q5_1,
    /// 256 values of 4 bits in eight groups with a scale and a minimum each.
    Q4K,
    /// 256 values of 5 bits in eight groups with a scale and a minimum each.
    Q5K,
    /// 256 values of 6 bits in sixteen groups with a scale each.
    Q6K,
}

impl BlockFormat {
    /// Values of a block.
    pub const fn n_values(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn n_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Where a block's f16 scales stand.
    pub(crate) const fn scale_places(self) -> &'static [usize] {
        match self {
            Self::Q4_0 | Self::Q5_0 => &[0],
            Self::Q4_1 | Self::Q5_1 | Self::Q4K | Self::Q5K => &[0, 2],
            Self::Q6K => &[208],
        }
    }

    /// The first value of a block whose scale is NaN or infinite, with its index.
    pub(crate) fn first_non_finite(self, bytes: &[u8]) -> Option<(usize, f32)> {
        let scales = |block: &[u8]| -> Option<f32> {
            let bits = |place: usize| u16::from_le_bytes([block[place], block[place + 1]]);
            let mut all = self.scale_places().iter().map(|&place| bits(place));
            let bad = all.find(|bits| bits & 0x7C00 == 0x7C00)?;
            Some(if bad & 0x03FF == 0 {
                f32::INFINITY
            } else {
                f32::NAN
            })
        };
        let mut blocks = bytes.chunks_exact(self.n_bytes()).map(scales).enumerate();
        blocks.find_map(|(block, bad)| Some((block * self.n_values(), bad?)))
    }
}

/// d·q + m
#[inline(always)]
fn shifted<R: Registers>(
    registers: R,
    d: R::Values,
    m: R::Values,
) -> impl Fn(R::Values) -> R::Values {
    #[inline(always)]
    move |quants| registers.add(registers.mul(d, quants), m)
}

/// d·(q − zero)
#[inline(always)]
fn centred<R: Registers>(registers: R, d: R::Values, zero: f32) -> impl Fn(R::Values) -> R::Values {
    #[inline(always)]
    move |quants| registers.mul(d, registers.add(quants, registers.splat(-zero)))
}

/// 32 values of 4 bits: the lower ones of 16 bytes from `first` on, then their upper ones.
#[inline(always)]
fn four_bits<R: Registers>(
    registers: R,
    block: &[u8],
    first: usize,
    value: impl Fn(R::Values) -> R::Values,
) -> Group<R> {
    let bytes = sixteen(registers, block, first);
    [
        registers.of_fours(bytes, 0, &value),
        registers.of_fours(bytes, 4, &value),
    ]
}

/// The same with a fifth bit each, in a u32 before them.
#[inline(always)]
fn five_bits<R: Registers>(
    registers: R,
    block: &[u8],
    first: usize,
    value: impl Fn(R::Values) -> R::Values,
) -> Group<R> {
    let fifth = u32::from_le_bytes(*bytes_at(block, first));
    let bytes = sixteen(registers, block, first + 4);
    both(
        [0, 1],
        #[inline(always)]
        |half| {
            let bits = std::array::from_fn(|i| ((fifth >> (16 * half + i)) & 1) as u8);
            let four = registers.bits(bytes, 4 * half as u32, 15);
            value(registers.i8s(registers.with_upper(four, registers.bytes(bits))))
        },
    )
}

pub struct Q4_0;

impl Decoder for Q4_0 {
    const BYTES: usize = BlockFormat::Q4_0.n_bytes();
    const IS_WHOLE: bool = true;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], _: usize) -> Group<R> {
        let d = half_at(registers, block, 0);
        four_bits(registers, block, 2, centred(registers, d, 8.0))
    }
}

pub struct Q4_1;

impl Decoder for Q4_1 {
    const BYTES: usize = BlockFormat::Q4_1.n_bytes();
    const IS_WHOLE: bool = true;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], _: usize) -> Group<R> {
        let [d, m] = [half_at(registers, block, 0), half_at(registers, block, 2)];
        four_bits(registers, block, 4, shifted(registers, d, m))
    }
}

pub struct Q5_0;

impl Decoder for Q5_0 {
    const BYTES: usize = BlockFormat::Q5_0.n_bytes();
    const IS_WHOLE: bool = true;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], _: usize) -> Group<R> {
        let d = half_at(registers, block, 0);
        five_bits(registers, block, 2, centred(registers, d, 16.0))
    }
}

pub struct Q5_1;

impl Decoder for Q5_1 {
    const BYTES: usize = BlockFormat::Q5_1.n_bytes();
    const IS_WHOLE: bool = true;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], _: usize) -> Group<R> {
        let [d, m] = [half_at(registers, block, 0), half_at(registers, block, 2)];
        five_bits(registers, block, 4, shifted(registers, d, m))
    }
}

/// Scale and minimum of one of eight groups, of 6 bits each, which 12 bytes hold.
#[inline(always)]
fn group_scale(packed: &[u8; 12], group: usize) -> (f32, f32) {
    let (scale, minimum) = match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        _ => (
            (packed[group + 4] & 15) | ((packed[group - 4] >> 6) << 4),
            (packed[group + 4] >> 4) | ((packed[group] >> 6) << 4),
        ),
    };
    (f32::from(scale), f32::from(minimum))
}

/// One of eight groups, d·scale·q − least·minimum: the lower four bits of 32 bytes, then their upper
/// ones, four times, from `quants` on. Its fifth bits, if there are any, are the group's of 32 bytes.
#[inline(always)]
fn one_of_eight<R: Registers>(
    registers: R,
    block: &[u8],
    (quants, fifths): (usize, Option<usize>),
    group: usize,
) -> Group<R> {
    let (scale, minimum) = group_scale(bytes_at(block, 4), group);
    let [d, least] = [half_at(registers, block, 0), half_at(registers, block, 2)];
    let d = registers.mul(d, registers.splat(scale));
    let m = registers.mul(least, registers.splat(-minimum));
    let value = shifted(registers, d, m);
    let shift = 4 * (group as u32 % 2);
    both(
        [0, 16],
        #[inline(always)]
        |first| {
            let bytes = sixteen(registers, block, quants + 32 * (group / 2) + first);
            match fifths {
                None => registers.of_fours(bytes, shift, &value),
                Some(fifths) => {
                    let fifths = sixteen(registers, block, fifths + first);
                    let fifths = registers.bits(fifths, group as u32, 1);
                    let four = registers.bits(bytes, shift, 15);
                    value(registers.i8s(registers.with_upper(four, fifths)))
                }
            }
        },
    )
}

pub struct Q4K;

impl Decoder for Q4K {
    const BYTES: usize = BlockFormat::Q4K.n_bytes();
    const IS_WHOLE: bool = true;
    const GROUPS: usize = 8;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], group: usize) -> Group<R> {
        one_of_eight(registers, block, (16, None), group)
    }
}

pub struct Q5K;

impl Decoder for Q5K {
    const BYTES: usize = BlockFormat::Q5K.n_bytes();
    const IS_WHOLE: bool = true;
    const GROUPS: usize = 8;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], group: usize) -> Group<R> {
        one_of_eight(registers, block, (48, Some(16)), group)
    }
}

pub struct Q6K;

impl Decoder for Q6K {
    const BYTES: usize = BlockFormat::Q6K.n_bytes();
    const IS_WHOLE: bool = true;
    const GROUPS: usize = 8;

    /// Of a half of a block, groups 0 and 1 are the lower four bits of 64 bytes, 2 and 3 the upper
    /// ones; two bits of each of 32 bytes come above them, and 16 values have a scale.
    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], group: usize) -> Group<R> {
        let (half, quarter) = (group / 4, group % 4);
        let d = half_at(registers, block, 208);
        both(
            [0, 1],
            #[inline(always)]
            |part| {
                let low = 64 * half + 32 * (quarter % 2) + 16 * part;
                let low = sixteen(registers, block, low);
                let high = sixteen(registers, block, 128 + 32 * half + 16 * part);
                let quants = registers.with_upper(
                    registers.bits(low, 4 * (quarter as u32 / 2), 15),
                    registers.bits(high, 2 * quarter as u32, 3),
                );
                let scale = block[192 + 8 * half + 2 * quarter + part] as i8;
                let d = registers.mul(d, registers.splat(f32::from(scale)));
                centred(registers, d, 32.0)(registers.i8s(quants))
            },
        )
    }
}
