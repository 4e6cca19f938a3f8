//! The block formats of GGUF beside Q8_0: a few values share their scale, and are decoded together.
//!
//! The layouts are those of llama.cpp's `ggml-common.h`; all numbers are little-endian.

use crate::matrix::f32_from_f16;

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

    /// Where a block's f16 scales stand: the first of them, and how many follow each other.
    const fn scales(self) -> (usize, usize) {
        match self {
            Self::Q4_0 | Self::Q5_0 => (0, 1),
            Self::Q4_1 | Self::Q5_1 | Self::Q4K | Self::Q5K => (0, 2),
            Self::Q6K => (208, 1),
        }
    }

    /// Writes the values of whole blocks to `values`. `BITS` tells compilations for several registers apart.
    #[expect(
        clippy::redundant_closure,
        reason = "functions by name would be one for all"
    )]
    #[inline(always)]
    pub(crate) fn decode<const BITS: usize>(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::Q4_0 => each_block(bytes, values, |block, values| q4_0(block, values)),
            Self::Q4_1 => each_block(bytes, values, |block, values| q4_1(block, values)),
            Self::Q5_0 => each_block(bytes, values, |block, values| q5_0(block, values)),
            Self::Q5_1 => each_block(bytes, values, |block, values| q5_1(block, values)),
            Self::Q4K => each_block(bytes, values, |block, values| q4_k(block, values)),
            Self::Q5K => each_block(bytes, values, |block, values| q5_k(block, values)),
            Self::Q6K => each_block(bytes, values, |block, values| q6_k(block, values)),
        }
    }

    /// The first value of a block whose scale is NaN or infinite, with its index.
    pub(crate) fn first_non_finite(self, bytes: &[u8]) -> Option<(usize, f32)> {
        let (first, n_scales) = self.scales();
        let scales = |block: &[u8]| -> Option<f32> {
            let bits = |place: usize| u16::from_le_bytes([block[place], block[place + 1]]);
            let mut all = (0..n_scales).map(|scale| bits(first + 2 * scale));
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

/// Blocks of sizes that the compiler knows, so that it decodes many values at once.
///
/// The decoders below are loops over as many bytes as values, and write each value where it stays:
/// arrays made by `from_fn` and copied took three times as long.
#[inline(always)]
fn each_block<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let values = values.as_chunks_mut().0.iter_mut();
    for (block, values) in bytes.as_chunks().0.iter().zip(values) {
        // Seen through, the compiler decodes value i of eight blocks at once, which lie far from
        // each other, in place of eight values of one: three times as long.
        decode(std::hint::black_box(block), values);
    }
}

#[inline(always)]
fn half(block: &[u8], place: usize) -> f32 {
    f32_from_f16(u16::from_le_bytes([block[place], block[place + 1]]))
}

/// N values after each other, of the numbers that `quant` finds at their indices.
#[inline(always)]
fn write<const N: usize>(
    values: &mut [f32],
    quant: impl Fn(usize) -> i32,
    value: impl Fn(i32) -> f32,
) {
    let values: &mut [f32; N] = (&mut values[..N]).try_into().expect("that many");
    for (i, x) in values.iter_mut().enumerate() {
        *x = value(quant(i));
    }
}

/// The bytes from `first` on.
#[inline(always)]
fn bytes_at<const N: usize>(block: &[u8], first: usize) -> &[u8; N] {
    block[first..first + N].try_into().expect("that many")
}

/// 32 values of 4 bits: the lower ones of 16 bytes, then their upper ones.
#[inline(always)]
fn four_bits(bytes: &[u8; 16], values: &mut [f32; 32], value: impl Fn(i32) -> f32) {
    let (low, high) = values.split_at_mut(16);
    write::<16>(low, |i| i32::from(bytes[i] & 15), &value);
    write::<16>(high, |i| i32::from(bytes[i] >> 4), &value);
}

/// The same with a fifth bit each, in one u32.
#[inline(always)]
fn five_bits(fifth: u32, bytes: &[u8; 16], values: &mut [f32; 32], value: impl Fn(i32) -> f32) {
    let (low, high) = values.split_at_mut(16);
    let fifth = |i: usize| (((fifth >> i) & 1) << 4) as i32;
    write::<16>(low, |i| i32::from(bytes[i] & 15) | fifth(i), &value);
    write::<16>(high, |i| i32::from(bytes[i] >> 4) | fifth(i + 16), &value);
}

/// d·(q − zero)
#[inline(always)]
fn centred(d: f32, zero: i32) -> impl Fn(i32) -> f32 {
    #[inline(always)]
    move |quant| d * (quant - zero) as f32
}

/// d·q + m
#[inline(always)]
fn shifted(d: f32, m: f32) -> impl Fn(i32) -> f32 {
    #[inline(always)]
    move |quant| d * quant as f32 + m
}

#[inline(always)]
fn q4_0(block: &[u8; 18], values: &mut [f32; 32]) {
    four_bits(bytes_at(block, 2), values, centred(half(block, 0), 8));
}

#[inline(always)]
fn q4_1(block: &[u8; 20], values: &mut [f32; 32]) {
    let value = shifted(half(block, 0), half(block, 2));
    four_bits(bytes_at(block, 4), values, value);
}

#[inline(always)]
fn q5_0(block: &[u8; 22], values: &mut [f32; 32]) {
    let fifth = u32::from_le_bytes(*bytes_at(block, 2));
    five_bits(
        fifth,
        bytes_at(block, 6),
        values,
        centred(half(block, 0), 16),
    );
}

#[inline(always)]
fn q5_1(block: &[u8; 24], values: &mut [f32; 32]) {
    let fifth = u32::from_le_bytes(*bytes_at(block, 4));
    let value = shifted(half(block, 0), half(block, 2));
    five_bits(fifth, bytes_at(block, 8), values, value);
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

/// Eight groups of 32 values, d·scale·q − least·minimum each: the lower four bits of 32 bytes, then
/// their upper ones, four times. `fifth` has a number's fifth bit in place, by group and index.
#[inline(always)]
fn eight_groups(
    block: &[u8],
    quants: &[u8; 128],
    values: &mut [f32; 256],
    fifth: impl Fn(usize, usize) -> i32,
) {
    let (d, least) = (half(block, 0), half(block, 2));
    let groups = values.as_chunks_mut::<32>().0.iter_mut();
    for (group, values) in groups.enumerate() {
        let (scale, minimum) = group_scale(bytes_at(block, 4), group);
        let value = shifted(d * scale, -(least * minimum));
        let bytes: &[u8; 32] = bytes_at(quants, 32 * (group / 2));
        match group % 2 {
            0 => write::<32>(
                values,
                |i| i32::from(bytes[i] & 15) | fifth(group, i),
                value,
            ),
            _ => write::<32>(
                values,
                |i| i32::from(bytes[i] >> 4) | fifth(group, i),
                value,
            ),
        }
    }
}

#[inline(always)]
fn q4_k(block: &[u8; 144], values: &mut [f32; 256]) {
    eight_groups(block, bytes_at(block, 16), values, |_, _| 0);
}

#[inline(always)]
fn q5_k(block: &[u8; 176], values: &mut [f32; 256]) {
    let fifth: &[u8; 32] = bytes_at(block, 16);
    eight_groups(block, bytes_at(block, 48), values, |group, i| {
        ((i32::from(fifth[i]) >> group) & 1) << 4
    });
}

/// One of four times 32 values of a half of a block: quarters 0 and 1 are the lower four bits of 64
/// bytes, 2 and 3 the upper ones; two bits of each of 32 bytes come above them.
#[inline(always)]
fn six_bits<const QUARTER: usize>(
    (low, high): (&[u8; 64], &[u8; 32]),
    scales: [f32; 2],
    values: &mut [f32],
) {
    for (part, scale) in scales.into_iter().enumerate() {
        let low: &[u8; 16] = bytes_at(low, 32 * (QUARTER % 2) + 16 * part);
        let high: &[u8; 16] = bytes_at(high, 16 * part);
        let low = |i: usize| (low[i] >> (4 * (QUARTER / 2))) & 15;
        let quant = |i: usize| low(i) | ((high[i] >> (2 * QUARTER)) & 3) << 4;
        let values = &mut values[32 * QUARTER + 16 * part..];
        write::<16>(values, |i| quant(i).into(), centred(scale, 32));
    }
}

#[inline(always)]
fn q6_k(block: &[u8; 210], values: &mut [f32; 256]) {
    let d = half(block, 208);
    for (half, values) in values.as_chunks_mut::<128>().0.iter_mut().enumerate() {
        let bytes = (bytes_at(block, 64 * half), bytes_at(block, 128 + 32 * half));
        let scales: &[u8; 8] = bytes_at(block, 192 + 8 * half);
        let scales =
            |quarter: usize| [0, 1].map(|part| d * f32::from(scales[2 * quarter + part] as i8));
        six_bits::<0>(bytes, scales(0), values);
        six_bits::<1>(bytes, scales(1), values);
        six_bits::<2>(bytes, scales(2), values);
        six_bits::<3>(bytes, scales(3), values);
    }
}
