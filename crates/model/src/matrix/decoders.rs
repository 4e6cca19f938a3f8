//! How the values of a row are read from its bytes.

use std::marker::PhantomData;

use super::{
    BLOCK, Dtype, Q8_0_BYTES,
    registers::{OnRegisters, Registers, WIDTH, both, on_widest},
};
use crate::gguf::blocks;

/// [`BLOCK`] values that follow each other in a row.
pub(crate) type Group<R> = [<R as Registers>::Values; BLOCK / WIDTH];

/// Reads a number format. The same products and sums on all registers.
pub(crate) trait Decoder {
    /// Bytes of a block.
    const BYTES: usize;
    /// Groups of a block.
    const GROUPS: usize = 1;
    /// Whether rows are whole groups, whatever the matrix.
    const IS_WHOLE: bool = false;

    /// One of the groups of a block of [`Decoder::BYTES`] bytes.
    fn group<R: Registers>(registers: R, block: &[u8], group: usize) -> Group<R>;
}

/// The bytes from `first` on.
#[inline(always)]
pub(crate) fn bytes_at<const N: usize>(block: &[u8], first: usize) -> &[u8; N] {
    block[first..first + N].try_into().expect("that many")
}

/// The f16 that begins at a byte, everywhere.
#[inline(always)]
pub(crate) fn half_at<R: Registers>(registers: R, block: &[u8], place: usize) -> R::Values {
    registers.splat_f16(u16::from_le_bytes(*bytes_at(block, place)))
}

/// Sixteen bytes from `first` on.
#[inline(always)]
pub(crate) fn sixteen<R: Registers>(registers: R, block: &[u8], first: usize) -> R::Bytes {
    registers.bytes(*bytes_at(block, first))
}

struct F32;

impl Decoder for F32 {
    const BYTES: usize = 4 * BLOCK;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], _: usize) -> Group<R> {
        both(
            [0, 64],
            #[inline(always)]
            |first| registers.f32s(bytemuck::cast(*bytes_at::<64>(block, first))),
        )
    }
}

struct F16;

impl Decoder for F16 {
    const BYTES: usize = 2 * BLOCK;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], _: usize) -> Group<R> {
        both(
            [0, 32],
            #[inline(always)]
            |first| registers.f16s(bytemuck::cast(*bytes_at::<32>(block, first))),
        )
    }
}

struct Bf16;

impl Decoder for Bf16 {
    const BYTES: usize = 2 * BLOCK;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], _: usize) -> Group<R> {
        both(
            [0, 32],
            #[inline(always)]
            |first| registers.bf16s(bytemuck::cast(*bytes_at::<32>(block, first))),
        )
    }
}

/// d·q
struct Q8_0;

impl Decoder for Q8_0 {
    const BYTES: usize = Q8_0_BYTES;

    #[inline(always)]
    fn group<R: Registers>(registers: R, block: &[u8], _: usize) -> Group<R> {
        let scale = half_at(registers, block, 0);
        both(
            [2, 18],
            #[inline(always)]
            |first| registers.mul(scale, registers.i8s(sixteen(registers, block, first))),
        )
    }
}

/// What is done with a decoder.
pub(crate) trait OnDecoder {
    /// What comes of it.
    type Output;

    /// Called with the one that reads a format.
    fn with<D: Decoder>(self) -> Self::Output;
}

/// What is done with rows of one format on one processor's registers.
pub(crate) trait OnRows {
    /// What comes of it.
    type Output;

    /// To be inlined.
    fn on<R: Registers, D: Decoder>(self, registers: R) -> Self::Output;
}

struct OnWidest<W>(W);

impl<W: OnRows> OnDecoder for OnWidest<W> {
    type Output = W::Output;

    /// Apart from who calls it: loops came out up to six times as slow inside of others.
    #[inline(never)]
    fn with<D: Decoder>(self) -> W::Output {
        on_widest(Decoded::<D, W>(self.0, PhantomData))
    }
}

/// Work on rows that a decoder reads.
struct Decoded<D, W>(W, PhantomData<D>);

impl<D: Decoder, W: OnRows> OnRegisters for Decoded<D, W> {
    type Output = W::Output;

    #[inline(always)]
    fn on<R: Registers>(self, registers: R) -> W::Output {
        self.0.on::<R, D>(registers)
    }
}

impl Dtype {
    /// Does something with the decoder of this format.
    pub(crate) fn with_decoder<W: OnDecoder>(self, work: W) -> W::Output {
        use crate::gguf::BlockFormat::{Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K};
        match self {
            Self::F32 => work.with::<F32>(),
            Self::F16 => work.with::<F16>(),
            Self::Bf16 => work.with::<Bf16>(),
            Self::Q8_0 => work.with::<Q8_0>(),
            Self::Block(Q4_0) => work.with::<blocks::Q4_0>(),
            Self::Block(Q4_1) => work.with::<blocks::Q4_1>(),
            Self::Block(Q5_0) => work.with::<blocks::Q5_0>(),
            Self::Block(Q5_1) => work.with::<blocks::Q5_1>(),
            Self::Block(Q4K) => work.with::<blocks::Q4K>(),
            Self::Block(Q5K) => work.with::<blocks::Q5K>(),
            Self::Block(Q6K) => work.with::<blocks::Q6K>(),
        }
    }

    /// Does something with rows of this format on the widest registers.
    pub(crate) fn on_rows<W: OnRows>(self, work: W) -> W::Output {
        self.with_decoder(OnWidest(work))
    }

    /// Writes the values of a row's `bytes` to `values`; both are of the same number of values.
    pub(super) fn decode(self, bytes: &[u8], values: &mut [f32]) {
        debug_assert_eq!(bytes.len(), self.row_bytes(values.len()));
        self.on_rows(Decode { bytes, values });
    }
}

struct Decode<'a> {
    bytes: &'a [u8],
    values: &'a mut [f32],
}

impl OnRows for Decode<'_> {
    type Output = ();

    #[inline(always)]
    fn on<R: Registers, D: Decoder>(self, registers: R) {
        let (groups, rest) = self.values.as_chunks_mut::<BLOCK>();
        let blocks = self.bytes.chunks(D::BYTES);
        for (groups, block) in groups.chunks_mut(D::GROUPS).zip(blocks.clone()) {
            for (index, values) in groups.iter_mut().enumerate() {
                *values = group_values::<R, D>(registers, block, index);
            }
        }
        if !D::IS_WHOLE && !rest.is_empty() {
            let last = last_group::<R, D>(registers, self.bytes);
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }
}

#[inline(always)]
fn group_values<R: Registers, D: Decoder>(
    registers: R,
    block: &[u8],
    index: usize,
) -> [f32; BLOCK] {
    let halves = D::group(registers, block, index);
    bytemuck::cast(both(
        halves,
        #[inline(always)]
        |half| registers.values(half),
    ))
}

/// The values of a row's last group, where it has fewer than [`BLOCK`], and then zeros.
pub(crate) fn last_group<R: Registers, D: Decoder>(registers: R, row: &[u8]) -> [f32; BLOCK] {
    let bytes = &row[row.len() / D::BYTES * D::BYTES..];
    if bytes.is_empty() {
        // Of a format that pads its blocks.
        return group_values::<R, D>(registers, &row[row.len() - D::BYTES..], 0);
    }
    let mut block = [0; F32::BYTES];
    block[..bytes.len()].copy_from_slice(bytes);
    group_values::<R, D>(registers, &block[..D::BYTES], 0)
}
