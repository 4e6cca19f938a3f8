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

    /// Writes the values of whole blocks to `values`.
    #[inline(always)]
    pub(crate) fn decode(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::Q4_0 => each_block(bytes, values, q4_0),
            Self::Q4_1 => each_block(bytes, values, q4_1),
            Self::Q5_0 => each_block(bytes, values, q5_0),
            Self::Q5_1 => each_block(bytes, values, q5_1),
            Self::Q4K => each_block(bytes, values, q4_k),
            Self::Q5K => each_block(bytes, values, q5_k),
            Self::Q6K => each_block(bytes, values, q6_k),
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
#[inline(always)]
fn each_block<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    decode: impl Fn(&[u8; BYTES]) -> [f32; VALUES],
) {
    let values = values.as_chunks_mut().0.iter_mut();
    for (block, values) in bytes.as_chunks().0.iter().zip(values) {
        // Seen through, the compiler decodes value i of eight blocks at once, which lie far from
        // each other, in place of eight values of one: three times as long.
        *values = decode(std::hint::black_box(block));
    }
}

#[inline(always)]
fn half(block: &[u8], place: usize) -> f32 {
    f32_from_f16(u16::from_le_bytes([block[place], block[place + 1]]))
}

/// The lower four bits of 16 bytes, then the upper ones.
#[inline(always)]
fn nibbles(bytes: &[u8]) -> [u8; 32] {
    std::array::from_fn(|i| match i < 16 {
        true => bytes[i] & 15,
        false => bytes[i - 16] >> 4,
    })
}

/// The 32 numbers of 5 bits of a block: the fifth bits come first, in one u32.
#[inline(always)]
fn five_bits(bytes: &[u8]) -> [u8; 32] {
    let fifth = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let four = nibbles(&bytes[4..20]);
    std::array::from_fn(|i| four[i] | (((fifth >> i) as u8 & 1) << 4))
}

/// d·(q − zero)
#[inline(always)]
fn centred<const N: usize>(quants: [u8; N], d: f32, zero: i32) -> [f32; N] {
    std::array::from_fn(|i| d * (i32::from(quants[i]) - zero) as f32)
}

/// d·q + m
#[inline(always)]
fn shifted<const N: usize>(quants: [u8; N], d: f32, m: f32) -> [f32; N] {
    std::array::from_fn(|i| d * f32::from(quants[i]) + m)
}

#[inline(always)]
fn q4_0(block: &[u8; 18]) -> [f32; 32] {
    centred(nibbles(&block[2..]), half(block, 0), 8)
}

#[inline(always)]
fn q4_1(block: &[u8; 20]) -> [f32; 32] {
    shifted(nibbles(&block[4..]), half(block, 0), half(block, 2))
}

#[inline(always)]
fn q5_0(block: &[u8; 22]) -> [f32; 32] {
    centred(five_bits(&block[2..]), half(block, 0), 16)
}

#[inline(always)]
fn q5_1(block: &[u8; 24]) -> [f32; 32] {
    shifted(five_bits(&block[4..]), half(block, 0), half(block, 2))
}

/// Scale and minimum of one of eight groups, of 6 bits each, which 12 bytes hold.
#[inline(always)]
fn group_scale(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        _ => (
            (packed[group + 4] & 15) | ((packed[group - 4] >> 6) << 4),
            (packed[group + 4] >> 4) | ((packed[group] >> 6) << 4),
        ),
    };
    (f32::from(scale), f32::from(minimum))
}

/// Eight groups of 32 values, d·scale·q − least·minimum each.
#[inline(always)]
fn eight_groups(block: &[u8], quants: impl Fn(usize) -> [u8; 32]) -> [f32; 256] {
    let (d, least) = (half(block, 0), half(block, 2));
    let mut values = [0.0; 256];
    for (group, values) in values.as_chunks_mut().0.iter_mut().enumerate() {
        let (scale, minimum) = group_scale(&block[4..16], group);
        *values = shifted(quants(group), d * scale, -(least * minimum));
    }
    values
}

/// Group by group: the lower four bits of 32 bytes, then their upper ones.
#[inline(always)]
fn four_bits(bytes: &[u8], group: usize) -> [u8; 32] {
    let (bytes, shift) = (&bytes[32 * (group / 2)..], 4 * (group % 2));
    std::array::from_fn(|i| (bytes[i] >> shift) & 15)
}

#[inline(always)]
fn q4_k(block: &[u8; 144]) -> [f32; 256] {
    eight_groups(block, |group| four_bits(&block[16..], group))
}

#[inline(always)]
fn q5_k(block: &[u8; 176]) -> [f32; 256] {
    eight_groups(block, |group| {
        let four = four_bits(&block[48..], group);
        let fifth = &block[16..48];
        std::array::from_fn(|i| four[i] | (((fifth[i] >> group) & 1) << 4))
    })
}

#[inline(always)]
fn q6_k(block: &[u8; 210]) -> [f32; 256] {
    let (low_bits, high_bits, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half(block, 208);
    let mut values = [0.0; 256];
    for (group, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (half, quarter) = (group / 4, group % 4);
        // Quarters 0 and 1 are the lower four bits of 64 bytes, 2 and 3 the upper ones.
        let low_bits = &low_bits[64 * half + 32 * (quarter % 2)..];
        let high_bits = &high_bits[32 * half..];
        let scales = [0, 1].map(|part| d * f32::from(scales[2 * group + part] as i8));
        *values = std::array::from_fn(|i| {
            let low = (low_bits[i] >> (4 * (quarter / 2))) & 15;
            let quant = low | (((high_bits[i] >> (2 * quarter)) & 3) << 4);
            scales[i / 16] * (i32::from(quant) - 32) as f32
        });
    }
    values
}
