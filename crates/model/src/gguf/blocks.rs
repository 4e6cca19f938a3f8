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
    pub(crate) fn decode(self, bytes: &[u8], values: &mut [f32]) {
        let blocks = bytes.chunks_exact(self.n_bytes());
        let decode = match self {
            Self::Q4_0 => q4_0,
            Self::Q4_1 => q4_1,
            Self::Q5_0 => q5_0,
            Self::Q5_1 => q5_1,
            Self::Q4K => q4_k,
            Self::Q5K => q5_k,
            Self::Q6K => q6_k,
        };
        let targets = values.chunks_exact_mut(self.n_values());
        blocks
            .zip(targets)
            .for_each(|(block, to)| decode(block, to));
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

fn half(block: &[u8], place: usize) -> f32 {
    f32_from_f16(u16::from_le_bytes([block[place], block[place + 1]]))
}

fn q4_0(block: &[u8], values: &mut [f32]) {
    let d = half(block, 0);
    let (low, high) = values.split_at_mut(16);
    for ((byte, low), high) in block[2..].iter().zip(low).zip(high) {
        *low = d * (i32::from(byte & 15) - 8) as f32;
        *high = d * (i32::from(byte >> 4) - 8) as f32;
    }
}

fn q4_1(block: &[u8], values: &mut [f32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    let (low, high) = values.split_at_mut(16);
    for ((byte, low), high) in block[4..].iter().zip(low).zip(high) {
        *low = d * f32::from(byte & 15) + m;
        *high = d * f32::from(byte >> 4) + m;
    }
}

/// The 32 numbers of 5 bits of a block: the fifth bits come first, in one u32.
fn five_bits(bytes: &[u8], mut write: impl FnMut(usize, u8)) {
    let fifth = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let bit = |place: usize| ((fifth >> place) as u8 & 1) << 4;
    for (place, byte) in bytes[4..20].iter().enumerate() {
        write(place, (byte & 15) | bit(place));
        write(place + 16, (byte >> 4) | bit(place + 16));
    }
}

fn q5_0(block: &[u8], values: &mut [f32]) {
    let d = half(block, 0);
    five_bits(&block[2..], |place, q| {
        values[place] = d * (i32::from(q) - 16) as f32;
    });
}

fn q5_1(block: &[u8], values: &mut [f32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    five_bits(&block[4..], |place, q| values[place] = d * f32::from(q) + m);
}

/// Scale and minimum of one of eight groups, of 6 bits each, which 12 bytes hold.
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

fn q4_k(block: &[u8], values: &mut [f32]) {
    let (d, least) = (half(block, 0), half(block, 2));
    let (packed, quants) = (&block[4..16], &block[16..]);
    for (pair, (quants, values)) in quants.chunks(32).zip(values.chunks_mut(64)).enumerate() {
        let (low, high) = values.split_at_mut(32);
        let (scale, minimum) = group_scale(packed, 2 * pair);
        let (d1, m1) = (d * scale, least * minimum);
        let (scale, minimum) = group_scale(packed, 2 * pair + 1);
        let (d2, m2) = (d * scale, least * minimum);
        for ((byte, low), high) in quants.iter().zip(low).zip(high) {
            *low = d1 * f32::from(byte & 15) - m1;
            *high = d2 * f32::from(byte >> 4) - m2;
        }
    }
}

fn q5_k(block: &[u8], values: &mut [f32]) {
    let (d, least) = (half(block, 0), half(block, 2));
    let (packed, fifth, quants) = (&block[4..16], &block[16..48], &block[48..]);
    for (pair, (quants, values)) in quants.chunks(32).zip(values.chunks_mut(64)).enumerate() {
        let (low, high) = values.split_at_mut(32);
        let (scale, minimum) = group_scale(packed, 2 * pair);
        let (d1, m1) = (d * scale, least * minimum);
        let (scale, minimum) = group_scale(packed, 2 * pair + 1);
        let (d2, m2) = (d * scale, least * minimum);
        let targets = low.iter_mut().zip(high);
        for ((byte, fifth), (low, high)) in quants.iter().zip(fifth).zip(targets) {
            let bit = |place: usize| ((fifth >> place) & 1) << 4;
            *low = d1 * f32::from((byte & 15) | bit(2 * pair)) - m1;
            *high = d2 * f32::from((byte >> 4) | bit(2 * pair + 1)) - m2;
        }
    }
}

fn q6_k(block: &[u8], values: &mut [f32]) {
    let (low_bits, high_bits, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half(block, 208);
    for (half, values) in values.chunks_mut(128).enumerate() {
        let (low_bits, high_bits) = (&low_bits[64 * half..], &high_bits[32 * half..]);
        for (quarter, values) in values.chunks_mut(32).enumerate() {
            // Quarters 0 and 1 are the lower four bits of 64 bytes, 2 and 3 the upper ones.
            let (first, shift) = (32 * (quarter % 2), 4 * (quarter / 2));
            for (place, value) in values.iter_mut().enumerate() {
                let low = (low_bits[first + place] >> shift) & 15;
                let high = (high_bits[place] >> (2 * quarter)) & 3;
                let scale = scales[8 * half + 2 * quarter + place / 16] as i8;
                let q = i32::from(low | (high << 4)) - 32;
                *value = d * f32::from(scale) * q as f32;
            }
        }
    }
}
