//! Tensors of one or more safetensors files.

use bytes::Bytes;
use safetensors::SafeTensors;

use super::{CheckpointError, Dtype, Matrix, Tensor, TensorSource};
use crate::text;

/// The files that a `model.safetensors.index.json` names, each once, sorted.
pub fn shard_names(index_json: &str) -> Result<Vec<String>, CheckpointError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let index = serde_json::from_str(&text::clean(index_json));
    let index: Index = index.map_err(CheckpointError::Index)?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Opened safetensors files, searched in order.
pub(crate) struct Shards<'a> {
    files: Vec<(&'a Bytes, SafeTensors<'a>)>,
    asked_by: &'static str,
}

impl<'a> Shards<'a> {
    /// Opens files, given as (file name, bytes); `asked_by` says which tensors there are.
    pub(crate) fn open(
        files: &'a [(String, Bytes)],
        asked_by: &'static str,
    ) -> Result<Self, CheckpointError> {
        let open = |(file, bytes): &'a (String, Bytes)| match SafeTensors::deserialize(bytes) {
            Ok(tensors) => Ok((bytes, tensors)),
            Err(reason) => Err(CheckpointError::Format {
                file: file.clone(),
                bytes: bytes.len(),
                reason,
            }),
        };
        let files = files.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { files, asked_by })
    }

    /// Every tensor's name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().flat_map(|(_, file)| file.names())
    }
}

impl TensorSource for Shards<'_> {
    fn tensor(&self, name: &str) -> Result<Option<Tensor>, CheckpointError> {
        let mut files = self.files.iter();
        let found = files.find_map(|(bytes, file)| Some((bytes, file.tensor(name).ok()?)));
        let Some((file, view)) = found else {
            return Ok(None);
        };
        let dtype = match view.dtype() {
            safetensors::Dtype::F32 => Dtype::F32,
            safetensors::Dtype::F16 => Dtype::F16,
            safetensors::Dtype::BF16 => Dtype::Bf16,
            found => {
                let name = name.into();
                return Err(CheckpointError::Dtype { name, found });
            }
        };
        let shape = view.shape().to_vec();
        let cols = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().rev().skip(1).product();
        Ok(Some(Tensor {
            shape,
            values: Matrix::from_bytes(rows, cols, dtype, file.slice_ref(view.data())),
        }))
    }

    fn asked_by(&self) -> &'static str {
        self.asked_by
    }
}
