//! GGUF, the file that llama.cpp reads: config, tokenizer and weights in one.
//!
//! A reader by hand, after the format's description in ggml's `docs/gguf.md`. It gives what a
//! folder of Hugging Face gives: a `config.json`, a `tokenizer.json` and tensors under Hugging
//! Face's names, so that nothing behind it knows where a model came from. Tensors are parts of the
//! file and stay in their format; llama.cpp's order of the rows of q and k is undone in a copy.

mod architecture;
pub(crate) mod blocks;
mod error;
pub(crate) mod header;
mod metadata;
mod reader;
mod vocabulary;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use blocks::BlockFormat;
pub use error::{GgufError, GgufFault};

use crate::{
    checkpoint::{CheckpointError, Tensor, TensorSource},
    matrix::{Dtype, Matrix},
    model::ModelFiles,
    turns::{Breathe, at_once, turn},
};
use architecture::{Architecture, RowOrder};
use header::{Header, TensorLine};

/// What every GGUF file begins with.
const MAGIC: &[u8] = b"GGUF";

/// Whether a file is GGUF by its first bytes.
pub fn is_gguf(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The tensors of a GGUF file.
#[derive(Debug)]
pub struct Gguf {
    architecture: Architecture,
    /// By their names in the file.
    tensors: BTreeMap<String, Stored>,
}

/// A tensor where it lies.
#[derive(Clone, Debug)]
struct Stored {
    /// Outermost first, as Hugging Face writes shapes.
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Bytes,
}

impl Gguf {
    /// Reads the header of a file; no tensor is copied.
    ///
    /// # Errors
    /// If the file is cut off, contradicts itself, or is of a kind that this project does not run.
    pub fn open(file: &str, bytes: &Bytes) -> Result<Self, GgufError> {
        let opened = Header::read(bytes).and_then(|header| Self::new(&header, bytes));
        opened.map_err(|fault| GgufError {
            file: file.into(),
            fault,
        })
    }

    fn new(header: &Header<'_>, bytes: &Bytes) -> Result<Self, GgufFault> {
        let tensor = |line: &TensorLine<'_>| {
            let start = header.data_start + line.offset as usize;
            let stored = Stored {
                shape: line.dimensions.iter().rev().map(|&n| n as usize).collect(),
                dtype: line.dtype,
                bytes: bytes.slice(start..start + line.n_bytes as usize),
            };
            (line.name.to_string(), stored)
        };
        Ok(Self {
            architecture: Architecture::new(&header.metadata)?,
            tensors: header.tensors.iter().map(tensor).collect(),
        })
    }

    /// A tensor by its name in the file, as it lies there.
    pub fn tensor_in_file(&self, name: &str) -> Option<Tensor> {
        Some(self.tensors.get(name)?.tensor())
    }

    /// The file's own names of its tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor by its name in the file.
    fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.shape)
    }

    /// The values of a tensor by its name in the file.
    fn values(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.tensor_in_file(name)?;
        Some(tensor.values.to_f32().into_owned())
    }
}

/// A file's tensors under Hugging Face's names, the rows in Hugging Face's order.
impl TensorSource for Gguf {
    fn tensor(&self, name: &str) -> Result<Option<Tensor>, CheckpointError> {
        let found = self.architecture.name_in_file(name);
        let found = found.and_then(|(name, order)| {
            let stored = self.tensors.get(&name)?;
            Some(match order {
                RowOrder::AsIs => stored.tensor(),
                RowOrder::Interleaved { head_dim } => stored.with_split_halves(head_dim).tensor(),
            })
        });
        Ok(found)
    }

    fn has_conv1d(&self) -> bool {
        false
    }

    fn own_name(&self, name: &str) -> String {
        let found = self.architecture.name_in_file(name);
        found.map_or_else(|| name.into(), |(name, _)| name)
    }

    fn asked_by(&self) -> &'static str {
        "the file's metadata"
    }
}

impl ModelFiles {
    /// What a folder would hold, out of a GGUF file; its weights are the file itself, which the
    /// reader of checkpoints takes.
    ///
    /// # Errors
    /// If the header is broken, or of a kind that this project does not run.
    pub fn from_gguf(file: &str, bytes: Bytes) -> Result<Self, GgufError> {
        at_once(Self::from_gguf_in_turns(file, bytes, None))
    }

    /// The same, with turns for others where there are any.
    ///
    /// # Errors
    /// As [`ModelFiles::from_gguf`].
    pub async fn from_gguf_in_turns(
        file: &str,
        bytes: Bytes,
        breathe: Option<Breathe>,
    ) -> Result<Self, GgufError> {
        let read = async || -> Result<Self, GgufFault> {
            let header = Header::read(&bytes)?;
            turn(breathe).await;
            let gguf = Gguf::new(&header, &bytes)?;
            let metadata = &header.metadata;
            let config = gguf.architecture.config(metadata, &gguf)?;
            turn(breathe).await;
            let generation_config = vocabulary::generation_config(metadata)?;
            let tokenizer = vocabulary::tokenizer(metadata, breathe).await?;
            turn(breathe).await;
            Ok(Self {
                config: config.to_string(),
                generation_config: Some(generation_config.to_string()),
                tokenizer,
                tokenizer_config: Some(vocabulary::tokenizer_config(metadata)?.to_string()),
                chat_template: None,
                weights: vec![(file.into(), bytes.clone())],
                contemplation: None,
            })
        };
        read().await.map_err(|fault| GgufError {
            file: file.into(),
            fault,
        })
    }
}

impl Stored {
    /// As the reader of checkpoints takes it.
    fn tensor(&self) -> Tensor {
        let cols = self.shape.last().copied().unwrap_or(1);
        let rows = self.shape.iter().rev().skip(1).product();
        Tensor {
            shape: self.shape.clone(),
            values: Matrix::from_bytes(rows, cols, self.dtype, self.bytes.clone()),
        }
    }

    /// llama.cpp keeps the rows of q and k such that the two numbers that a rotation turns stand
    /// side by side; Hugging Face keeps the first of all pairs of a head, then the second.
    fn with_split_halves(&self, head_dim: usize) -> Self {
        let n_rows = self.shape[0];
        if !n_rows.is_multiple_of(head_dim) || !head_dim.is_multiple_of(2) {
            // Of a wrong shape, which the checkpoint's reader names.
            return self.clone();
        }
        let row_bytes = self.bytes.len() / n_rows;
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for row in 0..n_rows {
            let (head, place) = (row / head_dim, row % head_dim);
            let (second, pair) = (place / (head_dim / 2), place % (head_dim / 2));
            let from = head * head_dim + 2 * pair + second;
            bytes.extend_from_slice(&self.bytes[from * row_bytes..(from + 1) * row_bytes]);
        }
        Self {
            bytes: bytes.into(),
            ..self.clone()
        }
    }
}
