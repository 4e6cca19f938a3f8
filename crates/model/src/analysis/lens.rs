//! The logit lens (nostalgebraist 2020): what each layer's state would say, read through the final
//! norm and the LM head.

use std::collections::BTreeMap;

use serde::Serialize;

use super::divergence::{distribution, entropy, kullback_leibler};
use crate::{
    checkpoint::Weights,
    config::ModelConfig,
    reference::{Forward, LayerStates, Precision},
};

/// A model's lens.
#[derive(Clone, Debug)]
pub struct Lens<'a> {
    config: &'a ModelConfig,
    weights: &'a Weights,
    forward: Forward,
}

impl<'a> Lens<'a> {
    /// Of a model, adding up as an engine does: with the same precision the last layer's logits
    /// are the reference engine's to the bit.
    pub fn new(config: &'a ModelConfig, weights: &'a Weights, precision: Precision) -> Self {
        Self {
            config,
            weights,
            forward: Forward::new(config, precision),
        }
    }

    /// W_U · norm(state), (V), of a residual stream, (d).
    pub fn logits(&self, state: &[f32]) -> Vec<f32> {
        let normed = self.forward.final_norm(self.config, self.weights, state);
        self.forward.logits(self.weights, &[normed]).remove(0)
    }

    /// The probability of a token in what a residual stream, (d), would say at temperature 1, where
    /// another one's is known: two rows of the head instead of all.
    pub fn probability(&self, state: &[f32], (known, of_known): (u32, f64), id: u32) -> f64 {
        let normed = self.forward.final_norm(self.config, self.weights, state);
        let logit = |id: u32| Precision::Oracle.dot(&normed, &self.weights.head().row(id as usize));
        of_known * f64::from(logit(id) - logit(known)).exp()
    }

    /// Every layer's logits of one row: (layers, V).
    pub fn by_layer(&self, states: &LayerStates, row: usize) -> Vec<Vec<f32>> {
        let of = |layer: &Vec<Vec<f32>>| self.logits(&layer[row]);
        states.layers.iter().map(of).collect()
    }
}

/// The ids of the k largest logits, falling; equal ones by rising id.
pub fn top_k(logits: &[f32], k: usize) -> Vec<u32> {
    let falling = |a: &u32, b: &u32| {
        let (a_logit, b_logit) = (logits[*a as usize], logits[*b as usize]);
        b_logit.total_cmp(&a_logit).then(a.cmp(b))
    };
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    if k < ids.len() {
        ids.select_nth_unstable_by(k, falling);
        ids.truncate(k);
    }
    ids.sort_unstable_by(falling);
    ids
}

/// |TopK_k(a) ∩ TopK_k(b)| / k, of logits over one vocabulary, which has k tokens or more: how
/// much of a mixture's reading one of its words alone would give (arXiv 2508.03440).
pub fn overlap(a: &[f32], b: &[f32], k: usize) -> f64 {
    let (a, b) = (top_k(a, k), top_k(b, k));
    a.iter().filter(|id| b.contains(id)).count() as f64 / k as f64
}

/// What the lens says at one layer of one position.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LensCell {
    /// The most probable tokens with their probabilities, falling.
    pub top: Vec<(u32, f64)>,
    /// Nats.
    pub entropy: f64,
    /// Rank of the token that the last layer puts first, from 0.
    pub rank: usize,
    /// Its probability.
    pub probability: f64,
    /// KL(last layer ‖ this one), nats.
    pub divergence: f64,
}

/// The lens over the layers of some positions, T = 1: a heat map's data, either way up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LensMap {
    /// One name for each position.
    pub positions: Vec<String>,
    /// (layers, positions)
    pub cells: Vec<Vec<LensCell>>,
    /// Per position: each token that is among a layer's first, and its probability at every
    /// layer.
    pub trajectories: Vec<BTreeMap<u32, Vec<f64>>>,
}

impl LensMap {
    /// Without positions.
    pub fn new(n_layers: usize) -> Self {
        Self {
            positions: Vec::new(),
            cells: vec![Vec::new(); n_layers],
            trajectories: Vec::new(),
        }
    }

    /// Adds a position, with every layer's logits and the number of tokens to show.
    pub fn push(&mut self, name: &str, by_layer: &[Vec<f32>], n_top: usize) {
        let probs: Vec<Vec<f64>> = by_layer.iter().map(|z| distribution(z, 1.0)).collect();
        let Some(last) = by_layer.last() else {
            return;
        };
        let said = top_k(last, 1)[0] as usize;
        let mut trajectories = BTreeMap::new();
        for ((logits, p), cells) in by_layer.iter().zip(&probs).zip(&mut self.cells) {
            let top = top_k(logits, n_top);
            for &id in &top {
                let at = |p: &Vec<f64>| p[id as usize];
                let trajectory = || probs.iter().map(at).collect();
                trajectories.entry(id).or_insert_with(trajectory);
            }
            cells.push(LensCell {
                top: top.into_iter().map(|id| (id, p[id as usize])).collect(),
                entropy: entropy(p),
                rank: p.iter().filter(|other| **other > p[said]).count(),
                probability: p[said],
                divergence: kullback_leibler(&probs[probs.len() - 1], p),
            });
        }
        self.positions.push(name.into());
        self.trajectories.push(trajectories);
    }

    /// As version 2 of the JSON that logitlenskit's widget reads (github.com/davidbau/logitlenskit,
    /// `docs/DATA_FORMAT.md`); `timestamp` is ISO 8601, `name` what a token is shown as.
    pub fn to_logitlenskit(
        &self,
        model: &str,
        timestamp: &str,
        name: impl Fn(u32) -> String,
    ) -> serde_json::Value {
        let rounded = |p: &f64| (p * 1e5).round() / 1e5;
        let tracked: Vec<serde_json::Map<String, serde_json::Value>> = self
            .trajectories
            .iter()
            .map(|tokens| {
                let entry = |(&id, trajectory): (&u32, &Vec<f64>)| {
                    let trajectory: Vec<f64> = trajectory.iter().map(rounded).collect();
                    (name(id), trajectory.into())
                };
                tokens.iter().map(entry).collect()
            })
            .collect();
        let names =
            |cell: &LensCell| -> Vec<String> { cell.top.iter().map(|&(id, _)| name(id)).collect() };
        let top: Vec<Vec<Vec<String>>> = self
            .cells
            .iter()
            .map(|layer| layer.iter().map(names).collect())
            .collect();
        serde_json::json!({
            "meta": { "version": 2, "timestamp": timestamp, "model": model },
            "layers": (0..self.cells.len()).collect::<Vec<_>>(),
            "input": self.positions,
            "tracked": tracked,
            "topk": top,
        })
    }
}

/// Layers' states as a safetensors file under the names of TransformerLens: for every layer i
/// `blocks.{i}.hook_resid_post` (rows, d), and `blocks.0.hook_resid_pre` for what went in.
///
/// # Errors
/// If safetensors refuses, which rows of one width do not make it do.
pub fn to_safetensors(states: &LayerStates) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let named = states.layers.iter().enumerate();
    let named = named.map(|(i, rows)| (format!("blocks.{i}.hook_resid_post"), rows));
    let first = ("blocks.0.hook_resid_pre".to_string(), &states.embedded);
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = std::iter::once(first)
        .chain(named)
        .map(|(name, rows)| {
            let width = rows.first().map_or(0, Vec::len);
            let bytes = rows.iter().flatten().flat_map(|x| x.to_le_bytes());
            (name, vec![rows.len(), width], bytes.collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let dtype = safetensors::Dtype::F32;
        let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes)?;
        Ok((name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, safetensors::SafeTensorError>>()?;
    safetensors::serialize(views, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_sets_overlap_by_their_common_part() {
        let (a, b) = ([5.0, 4.0, 3.0, 2.0, 2.0], [4.0, 5.0, 0.0, 2.0, 3.0]);
        assert_eq!(top_k(&a, 4), [0, 1, 2, 3]);
        assert_eq!(overlap(&a, &b, 1), 0.0);
        assert_eq!(overlap(&a, &b, 2), 1.0);
        assert_eq!(overlap(&a, &b, 4), 0.75);
        assert_eq!(overlap(&a, &a, 5), 1.0);
    }

    #[test]
    fn a_map_tells_of_every_layer_what_it_says_and_how_far_from_the_last_it_is() {
        let mut map = LensMap::new(2);
        map.push("a", &[vec![0.0, 2.0, 1.0], vec![3.0, 0.0, 0.0]], 2);
        let cell = &map.cells[0][0];
        assert_eq!((cell.top[0].0, cell.rank), (1, 2));
        assert!(cell.divergence > 0.0 && cell.entropy > 0.0);
        assert_eq!((map.cells[1][0].rank, map.cells[1][0].divergence), (0, 0.0));
        let json = map.to_logitlenskit("m", "2026-01-01T00:00:00Z", |id| format!("t{id}"));
        assert_eq!(json["meta"]["version"], 2);
        assert_eq!(json["layers"], serde_json::json!([0, 1]));
        assert_eq!(json["input"], serde_json::json!(["a"]));
        assert_eq!(json["topk"][0], serde_json::json!([["t1", "t2"]]));
        // Every token that is shown anywhere has its trajectory over all layers.
        for layer in 0..2 {
            for token in json["topk"][layer][0].as_array().expect("tokens") {
                let token = token.as_str().expect("a name");
                let trajectory = json["tracked"][0][token].as_array();
                assert_eq!(trajectory.map(Vec::len), Some(2), "{token}");
            }
        }
    }

    #[test]
    fn states_are_written_under_the_names_of_transformer_lens() {
        let rows = |x: f32| vec![vec![x; 3]; 2];
        let states = LayerStates {
            embedded: rows(0.0),
            layers: vec![rows(1.0), rows(2.0)],
            hidden: rows(3.0),
            logits: rows(4.0),
        };
        let bytes = to_safetensors(&states).expect("a file");
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("a file");
        let tensor = file
            .tensor("blocks.1.hook_resid_post")
            .expect("it is there");
        assert_eq!(tensor.shape(), [2, 3]);
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(tensor.data());
        assert_eq!(values, [2.0; 6]);
        assert_eq!(file.names().len(), 3);
    }
}
