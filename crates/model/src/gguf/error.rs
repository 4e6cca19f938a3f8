//! What can be wrong with a GGUF file, each fault by its own name.

/// A GGUF file that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct GgufError {
    /// The file's name.
    pub file: String,
    /// What is wrong with it.
    pub fault: GgufFault,
}

/// What is wrong with a GGUF file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GgufFault {
    /// It begins with other bytes.
    #[error("not a GGUF file: expected it to begin with \"GGUF\", found {found:?}")]
    Magic {
        /// Its first bytes.
        found: String,
    },
    /// A version that is not read.
    #[error("expected GGUF version 2 or 3, little-endian, found version {found}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// It ends too early.
    #[error(
        "the file ends inside of {what}: expected {needed} bytes more at byte {at}, found {left}"
    )]
    Truncated {
        /// What was being read.
        what: String,
        /// Where it begins.
        at: usize,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// A number of things that the file has no room for.
    #[error("the header counts {found} {what}; the {left} bytes behind it hold at most {most}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many the header says.
        found: u64,
        /// How many there is room for.
        most: u64,
        /// Bytes behind the count.
        left: usize,
    },
    /// A text that is none.
    #[error("{what}: expected UTF-8 text, found other bytes")]
    Text {
        /// What was being read.
        what: String,
    },
    /// Something that there are two of.
    #[error("there are two {what} {name:?}")]
    Duplicate {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A kind of metadata that does not exist, or lists of lists.
    #[error(
        "metadata {key:?}: expected a value type from 0 to 12, and no list of lists, found type {found}"
    )]
    ValueType {
        /// The key.
        key: String,
        /// The type's code.
        found: u32,
    },
    /// Metadata that the model needs.
    #[error("there is no metadata {key:?}, which {asked_by} needs")]
    MissingKey {
        /// The key.
        key: String,
        /// Who asks for it.
        asked_by: &'static str,
    },
    /// Metadata of another type, or out of its range.
    #[error("metadata {key:?}: expected {expected}, found {found}")]
    Value {
        /// The key.
        key: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A number format that is not read.
    #[error("tensor {name:?}: expected values in one of {}, found {found}", expected.join(", "))]
    TensorType {
        /// The tensor's name.
        name: String,
        /// The format's name, or its code.
        found: String,
        /// The formats that are read.
        expected: Vec<&'static str>,
    },
    /// A shape that is none, or whose rows are no whole blocks.
    #[error("tensor {name:?}: expected {expected}, found shape {found:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// What it must be.
        expected: String,
        /// The file's own order: the width of a row comes first.
        found: Vec<u64>,
    },
    /// A tensor that begins where none may.
    #[error("tensor {name:?}: expected an offset that is a multiple of {alignment}, found {found}")]
    Alignment {
        /// The tensor's name.
        name: String,
        /// `general.alignment`
        alignment: u64,
        /// Its offset.
        found: u64,
    },
    /// A tensor that reaches past the end.
    #[error(
        "tensor {name:?}: its {n_bytes} bytes from offset {offset} on reach past the end of the data, which has {data_bytes} bytes: is the file cut off?"
    )]
    OutOfFile {
        /// The tensor's name.
        name: String,
        /// Where it begins.
        offset: u64,
        /// Its size.
        n_bytes: u64,
        /// The data's size.
        data_bytes: usize,
    },
    /// Two tensors share bytes.
    #[error("tensors {first:?} and {second:?} overlap")]
    Overlap {
        /// The one that begins first.
        first: String,
        /// The other.
        second: String,
    },
    /// Something that the model asks for and that this project does not run.
    #[error("{what}: expected {expected}, found {found}")]
    Unsupported {
        /// What it is about.
        what: &'static str,
        /// What runs.
        expected: String,
        /// What the file has.
        found: String,
    },
}
