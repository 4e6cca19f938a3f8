//! The kinds of input: what may enter the transformer at a position.

use serde::{Deserialize, Serialize};

/// Where a hidden state is read that is fed back as an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tap {
    /// After the final norm: Coconut's continuous thought (arXiv 2412.06769).
    FinalNorm,
    /// The residual stream after this layer, counted from 0.
    Layer(u32),
    /// The residual stream after the layer that the checkpoint names, through its input map if it
    /// has one: CCOT's contemplation token (arXiv 2412.13171).
    Contemplation,
}

/// What a phase feeds at its positions. `T` names a fixed token: an id in a program, a marker in
/// the strategy table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feed<T = u32> {
    /// One row of the embedding table: the chosen token.
    Token,
    /// `Σ wᵢ·E[idᵢ]` over at most [`MAX_KEPT`](crate::program::MAX_KEPT) tokens (Soft Thinking,
    /// arXiv 2505.15778).
    Concept,
    /// A hidden state of the step before, fed as its tap leaves it.
    Hidden {
        /// Where it is read.
        tap: Tap,
    },
    /// A fixed token, whatever the model says (pause tokens, arXiv 2310.02226).
    Pause(T),
}

/// One input with all that it takes to feed it.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A row of the embedding table.
    Token(u32),
    /// `Σ wᵢ·E[idᵢ]`: at most [`MAX_KEPT`](crate::program::MAX_KEPT) tokens, weights that sum to 1.
    Mixture(Vec<(u32, f32)>),
    /// A vector, (d), as it enters the first layer.
    Vector(Vec<f32>),
}

/// What the select stage decided to feed next.
#[derive(Clone, Debug, PartialEq)]
pub enum NextInput {
    /// Nothing: the lane is done.
    None,
    /// A row of the embedding table.
    Token(u32),
    /// `Σ wᵢ·E[idᵢ]`; weights sum to 1.
    Mixture(Vec<(u32, f32)>),
    /// This step's hidden state.
    Hidden(Tap),
}

/// Kinds of input as stored in [`StepRecord::input`](crate::record::StepRecord::input).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum InputKind {
    /// Nothing: the lane is done.
    None = 0,
    /// One token.
    Token = 1,
    /// A mixture of tokens.
    Concept = 2,
    /// A hidden state.
    Hidden = 3,
}

/// A row of [`INPUT_KINDS`].
#[derive(Clone, Copy, Debug)]
pub struct InputKindSpec {
    /// The kind; its code in records and kernels is `kind as u32`.
    pub kind: InputKind,
    /// Name in traces.
    pub name: &'static str,
    /// Whether choosing such an input reads the logits. Where it does not, the LM head may be
    /// skipped, and a record's token is only what the input would decode to.
    pub needs_logits: bool,
}

/// Every kind of input, by its code.
pub const INPUT_KINDS: [InputKindSpec; 4] = [
    row(InputKind::None, "none", false),
    row(InputKind::Token, "token", true),
    row(InputKind::Concept, "concept", true),
    row(InputKind::Hidden, "thought", false),
];

const fn row(kind: InputKind, name: &'static str, needs_logits: bool) -> InputKindSpec {
    InputKindSpec {
        kind,
        name,
        needs_logits,
    }
}

impl InputKind {
    /// What the table says of this kind.
    pub fn spec(self) -> &'static InputKindSpec {
        &INPUT_KINDS[self as usize]
    }

    /// The kind of a record's code; an unknown code is nothing.
    pub fn of_code(code: u32) -> Self {
        INPUT_KINDS
            .get(code as usize)
            .map_or(Self::None, |spec| spec.kind)
    }
}

impl<T> Feed<T> {
    /// Coconut's continuous thought.
    pub const THOUGHT: Self = Self::Hidden {
        tap: Tap::FinalNorm,
    };
    /// CCOT's contemplation token.
    pub const CONTEMPLATION: Self = Self::Hidden {
        tap: Tap::Contemplation,
    };

    /// The kind of input that a phase of this feed makes.
    pub fn kind(&self) -> InputKind {
        match self {
            Self::Token | Self::Pause(_) => InputKind::Token,
            Self::Concept => InputKind::Concept,
            Self::Hidden { .. } => InputKind::Hidden,
        }
    }

    /// Whether the choice reads the logits: a pause is a token that nobody chooses.
    pub fn needs_logits(&self) -> bool {
        !matches!(self, Self::Pause(_)) && self.kind().spec().needs_logits
    }

    /// The same feed with its fixed token named otherwise.
    pub fn try_map<U, E>(self, name: impl FnOnce(T) -> Result<U, E>) -> Result<Feed<U>, E> {
        Ok(match self {
            Self::Token => Feed::Token,
            Self::Concept => Feed::Concept,
            Self::Hidden { tap } => Feed::Hidden { tap },
            Self::Pause(token) => Feed::Pause(name(token)?),
        })
    }
}

impl NextInput {
    /// Its kind.
    pub fn kind(&self) -> InputKind {
        match self {
            Self::None => InputKind::None,
            Self::Token(_) => InputKind::Token,
            Self::Mixture(_) => InputKind::Concept,
            Self::Hidden(_) => InputKind::Hidden,
        }
    }
}

impl Input {
    /// A prompt of tokens.
    pub fn tokens(ids: &[u32]) -> Vec<Self> {
        ids.iter().map(|&id| Self::Token(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kinds_place_in_the_table_is_its_code() {
        for (code, spec) in INPUT_KINDS.iter().enumerate() {
            assert_eq!(spec.kind as usize, code);
            assert_eq!(InputKind::of_code(code as u32), spec.kind);
        }
        assert_eq!(InputKind::of_code(99), InputKind::None);
    }
}
