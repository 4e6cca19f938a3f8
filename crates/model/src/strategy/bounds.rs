//! What stands around a strategy's thinking: markers, or texts on a model that has none.

use super::Strategy;
use crate::{
    program::Until,
    tokenizer::{Marker, Thinking, Tokenizer, TokenizerError},
};

/// What stands around a strategy's thinking on one model.
pub(super) struct Bounds {
    /// Forced before it.
    pub start: Vec<u32>,
    /// Forced where it is cut short.
    pub end: Vec<u32>,
    /// By what of its own it ends, where it thinks in words.
    pub stops: Until,
}

impl Strategy {
    /// Between what it thinks on a model with this tokenizer.
    pub(super) fn bounds(&self, tokenizer: &Tokenizer) -> Result<Bounds, TokenizerError> {
        let end = self.think.as_ref().and_then(|think| think.end);
        let thinks_in_words = self.start == Some(Marker::ThinkStart);
        let thinking = match thinks_in_words {
            true => Some(tokenizer.thinking()?),
            false => None,
        };
        let at_end_of_turn = Until {
            stop_tokens: tokenizer.end_tokens().to_vec(),
            drops_stop: true,
            ..Until::steps(0)
        };
        Ok(match thinking {
            None | Some(Thinking::Markers { .. }) => {
                let id = |marker: Option<Marker>| -> Result<Vec<u32>, TokenizerError> {
                    marker
                        .iter()
                        .map(|marker| tokenizer.marker(*marker))
                        .collect()
                };
                let (start, end) = (id(self.start)?, id(end)?);
                let stops = Until {
                    stop_tokens: end.clone(),
                    ..Until::steps(0)
                };
                Bounds { start, end, stops }
            }
            Some(Thinking::MarkerTexts { start, end }) => {
                let stops = Until {
                    stop_text: end.clone(),
                    ..at_end_of_turn
                };
                Bounds { start, end, stops }
            }
            Some(Thinking::Answer { end }) => Bounds {
                start: Vec::new(),
                end,
                stops: at_end_of_turn,
            },
        })
    }
}
