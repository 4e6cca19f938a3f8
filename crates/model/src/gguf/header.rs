//! The header of a GGUF file: metadata, and where each tensor lies.

use super::{
    BlockFormat, GgufFault, MAGIC, is_gguf,
    metadata::Metadata,
    reader::{Reader, shortened},
};
use crate::matrix::Dtype;

/// The most dimensions of a tensor.
const MAX_DIMENSIONS: u32 = 4;
/// Where `general.alignment` says nothing.
const DEFAULT_ALIGNMENT: u64 = 32;
/// The bytes that a key and its value, and a tensor's line, take at least.
const LEAST_METADATA_BYTES: u64 = 8 + 4 + 1;
const LEAST_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;

/// The number formats that are read, by ggml's code and name.
pub(crate) const TYPES: [(u32, &str, Dtype); 11] = [
    (0, "F32", Dtype::F32),
    (1, "F16", Dtype::F16),
    (2, "Q4_0", Dtype::Block(BlockFormat::Q4_0)),
    (3, "Q4_1", Dtype::Block(BlockFormat::Q4_1)),
    (6, "Q5_0", Dtype::Block(BlockFormat::Q5_0)),
    (7, "Q5_1", Dtype::Block(BlockFormat::Q5_1)),
    (8, "Q8_0", Dtype::Q8_0),
    (12, "Q4_K", Dtype::Block(BlockFormat::Q4K)),
    (13, "Q5_K", Dtype::Block(BlockFormat::Q5K)),
    (14, "Q6_K", Dtype::Block(BlockFormat::Q6K)),
    (30, "BF16", Dtype::Bf16),
];

/// The formats that are refused by name.
const OTHER_TYPES: [(u32, &str); 21] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

/// A header, read and checked.
pub(super) struct Header<'a> {
    pub metadata: Metadata<'a>,
    pub tensors: Vec<TensorLine<'a>>,
    /// Where the data begins.
    pub data_start: usize,
}

/// A tensor as the header describes it.
pub(super) struct TensorLine<'a> {
    pub name: &'a str,
    /// The width of a row first.
    pub dimensions: Vec<u64>,
    pub dtype: Dtype,
    pub n_bytes: u64,
    /// From the beginning of the data.
    pub offset: u64,
}

impl<'a> Header<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, GgufFault> {
        if !is_gguf(bytes) {
            let found = String::from_utf8_lossy(&bytes[..bytes.len().min(MAGIC.len())]);
            let found = found.into_owned();
            return Err(GgufFault::Magic { found });
        }
        let mut reader = Reader::new(bytes);
        let what = || "the header".to_string();
        reader.take(MAGIC.len() as u64, &what)?;
        let version = reader.u32(&what)?;
        if !(2..=3).contains(&version) {
            return Err(GgufFault::Version { found: version });
        }
        let n_tensors = reader.count("tensors", LEAST_TENSOR_BYTES)?;
        let n_keys = reader.count("metadata keys", LEAST_METADATA_BYTES)?;
        let metadata = Metadata::read(&mut reader, n_keys)?;
        let alignment = alignment(&metadata)?;
        let mut tensors = Vec::new();
        for index in 0..n_tensors {
            let what = || format!("the description of tensor {index} of {n_tensors}");
            tensors.push(TensorLine::read(&mut reader, &what, alignment)?);
        }
        let data_start = reader.at().next_multiple_of(alignment as usize);
        check_places(&tensors, bytes.len().saturating_sub(data_start))?;
        Ok(Self {
            metadata,
            tensors,
            data_start,
        })
    }
}

fn alignment(metadata: &Metadata<'_>) -> Result<u64, GgufFault> {
    let key = "general.alignment";
    let alignment = metadata.count(key)?.unwrap_or(DEFAULT_ALIGNMENT);
    match alignment.is_power_of_two() && alignment <= 1 << 16 {
        true => Ok(alignment),
        false => Err(GgufFault::Value {
            key: key.into(),
            expected: "a power of two up to 65536".into(),
            found: alignment.to_string(),
        }),
    }
}

impl<'a> TensorLine<'a> {
    fn read(
        reader: &mut Reader<'a>,
        what: &dyn Fn() -> String,
        alignment: u64,
    ) -> Result<Self, GgufFault> {
        let name = reader.text(what)?;
        let n_dimensions = reader.u32(what)?;
        let bad_shape = |expected: &str, found: &[u64]| GgufFault::Shape {
            name: shortened(name),
            expected: expected.into(),
            found: found.to_vec(),
        };
        if !(1..=MAX_DIMENSIONS).contains(&n_dimensions) {
            let found = n_dimensions.into();
            return Err(bad_shape("1 to 4 dimensions", &[found]));
        }
        let dimensions = (0..n_dimensions)
            .map(|_| reader.u64(what))
            .collect::<Result<Vec<u64>, _>>()?;
        if dimensions.contains(&0) {
            return Err(bad_shape("no dimension of 0", &dimensions));
        }
        let code = reader.u32(what)?;
        let offset = reader.u64(what)?;
        let dtype = dtype(name, code)?;
        let width = dimensions[0];
        let block = dtype.block_values() as u64;
        if !width.is_multiple_of(block) {
            let expected = format!("rows of whole blocks of {block} values");
            return Err(bad_shape(&expected, &dimensions));
        }
        let row_bytes = (width / block).checked_mul(dtype.row_bytes(block as usize) as u64);
        let n_bytes = dimensions[1..]
            .iter()
            .try_fold(row_bytes, |bytes, &n| Some(bytes?.checked_mul(n)))
            .flatten();
        let n_bytes =
            n_bytes.ok_or_else(|| bad_shape("a shape of below 2^64 bytes", &dimensions))?;
        if !offset.is_multiple_of(alignment) {
            return Err(GgufFault::Alignment {
                name: shortened(name),
                alignment,
                found: offset,
            });
        }
        Ok(Self {
            name,
            dimensions,
            dtype,
            n_bytes,
            offset,
        })
    }
}

fn dtype(name: &str, code: u32) -> Result<Dtype, GgufFault> {
    let known = TYPES.iter().find(|(known, ..)| *known == code);
    let refused = || {
        let other = OTHER_TYPES.iter().find(|(other, _)| *other == code);
        GgufFault::TensorType {
            name: shortened(name),
            found: other.map_or_else(|| format!("type {code}"), |(_, name)| (*name).into()),
            expected: TYPES.iter().map(|(_, name, _)| *name).collect(),
        }
    };
    known.map(|(.., dtype)| *dtype).ok_or_else(refused)
}

/// Whether every tensor lies in the data, and no two in the same place.
fn check_places(tensors: &[TensorLine<'_>], data_bytes: usize) -> Result<(), GgufFault> {
    let mut by_offset: Vec<&TensorLine<'_>> = tensors.iter().collect();
    by_offset.sort_by_key(|line| (line.offset, line.n_bytes));
    for line in &by_offset {
        let end = line.offset.checked_add(line.n_bytes);
        if end.is_none_or(|end| end > data_bytes as u64) {
            return Err(GgufFault::OutOfFile {
                name: shortened(line.name),
                offset: line.offset,
                n_bytes: line.n_bytes,
                data_bytes,
            });
        }
    }
    for pair in by_offset.windows(2) {
        if pair[0].offset + pair[0].n_bytes > pair[1].offset {
            return Err(GgufFault::Overlap {
                first: shortened(pair[0].name),
                second: shortened(pair[1].name),
            });
        }
    }
    let mut names: Vec<&str> = tensors.iter().map(|line| line.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(GgufFault::Duplicate {
            what: "tensors",
            name: shortened(pair[0]),
        }),
        None => Ok(()),
    }
}
