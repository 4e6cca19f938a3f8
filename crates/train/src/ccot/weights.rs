//! What CCOT learns: two adapters, the map from a state to an input, and END.

use burn::tensor::{Device, Tensor, TensorData};

use super::{CcotConfig, LoraConfig};
use crate::parameters::{Kind, LlamaConfig, Parameters, Weight};
use crate::random::Random;

/// The difference of one matrix, B·A.
#[derive(Clone)]
struct Lora {
    /// `[rank, in]`
    a: Tensor<2>,
    /// `[out, rank]`
    b: Tensor<2>,
}

/// The seven matrices of a layer, in the order of [`MODULES`].
type LayerLora = [Lora; 7];

/// The adapted matrices of a layer: our name of each, and its module in Hugging Face's model.
pub(super) const MODULES: [(&str, &str); 7] = [
    ("q", "self_attn.q_proj"),
    ("k", "self_attn.k_proj"),
    ("v", "self_attn.v_proj"),
    ("o", "self_attn.o_proj"),
    ("gate", "mlp.gate_proj"),
    ("up", "mlp.up_proj"),
    ("down", "mlp.down_proj"),
];

/// An adapter of every matrix of every layer.
#[derive(Clone)]
pub struct Adapter {
    layers: Vec<LayerLora>,
    scale: f32,
}

/// Everything that CCOT learns on a frozen model.
#[derive(Clone)]
pub struct CcotWeights {
    /// φ.
    pub generator: Adapter,
    /// ψ.
    pub decoder: Adapter,
    /// M, `[d, d]`.
    pub map_weight: Tensor<2>,
    /// b, `[1, d]`.
    pub map_bias: Tensor<2>,
    /// END's w, `[1, d]`.
    pub end_weight: Tensor<2>,
    /// END's bias, `[1, 1]`.
    pub end_bias: Tensor<2>,
}

/// What a weight belongs to, which decides when it is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// φ in a layer, counted from 0.
    Generator {
        /// The layer.
        layer: usize,
    },
    /// ψ.
    Decoder,
    /// M and b.
    InputMap,
    /// END.
    End,
}

impl Adapter {
    /// A random A, B = 0: the model as it was.
    fn init(config: LoraConfig, sizes: &LlamaConfig, random: &mut Random, device: &Device) -> Self {
        let (d, f) = (sizes.hidden_size, sizes.intermediate_size);
        let width = sizes.n_heads * sizes.head_dim;
        let shapes = [
            [width, d],
            [width, d],
            [width, d],
            [d, width],
            [f, d],
            [f, d],
            [d, f],
        ];
        let rank = config.rank;
        let mut lora = |[outputs, inputs]: [usize; 2]| {
            let std = (inputs as f64).powf(-0.5);
            let values: Vec<f32> = (0..rank * inputs)
                .map(|_| (random.normal() * std) as f32)
                .collect();
            Lora {
                a: Tensor::from_data(TensorData::new(values, [rank, inputs]), device),
                b: Tensor::zeros([outputs, rank], device),
            }
        };
        Adapter {
            layers: (0..sizes.n_layers).map(|_| shapes.map(&mut lora)).collect(),
            scale: config.scale() as f32,
        }
    }

    /// The model with this adapter merged into its matrices.
    pub fn merged(&self, base: &Parameters) -> Parameters {
        let mut merged = base.clone();
        for (layer, lora) in merged.layers.iter_mut().zip(&self.layers) {
            let [q, k, v, o, gate, up, down] = lora.each_ref().map(|lora| {
                let difference = lora.b.clone().matmul(lora.a.clone());
                difference.mul_scalar(self.scale)
            });
            layer.qkv = layer.qkv.clone() + Tensor::cat(vec![q, k, v], 0);
            layer.o = layer.o.clone() + o;
            layer.gate_up = layer.gate_up.clone() + Tensor::cat(vec![gate, up], 0);
            layer.down = layer.down.clone() + down;
        }
        merged
    }

    fn for_each(&mut self, mut f: impl FnMut(usize, &str, &mut Tensor<2>)) {
        for (index, layer) in self.layers.iter_mut().enumerate() {
            for (lora, (module, _)) in layer.iter_mut().zip(MODULES) {
                f(index, &format!("layers.{index}.{module}.a"), &mut lora.a);
                f(index, &format!("layers.{index}.{module}.b"), &mut lora.b);
            }
        }
    }
}

impl CcotWeights {
    /// Adapters that change nothing, the identity as map, an END that knows nothing.
    pub fn init(config: &CcotConfig, sizes: &LlamaConfig, seed: u64, device: &Device) -> Self {
        let mut random = Random::new(seed);
        let d = sizes.hidden_size;
        CcotWeights {
            generator: Adapter::init(config.generator, sizes, &mut random, device),
            decoder: Adapter::init(config.decoder, sizes, &mut random, device),
            map_weight: Tensor::eye(d, device),
            map_bias: Tensor::zeros([1, d], device),
            end_weight: Tensor::zeros([1, d], device),
            end_bias: Tensor::zeros([1, 1], device),
        }
    }

    /// Calls `f` with every weight, its part and its name, in a fixed order.
    fn for_each(&mut self, mut f: impl FnMut(Part, String, &mut Tensor<2>)) {
        self.generator.for_each(|layer, name, tensor| {
            f(
                Part::Generator { layer },
                format!("generator.{name}"),
                tensor,
            );
        });
        self.decoder
            .for_each(|_, name, tensor| f(Part::Decoder, format!("decoder.{name}"), tensor));
        let Self {
            map_weight,
            map_bias,
            end_weight,
            end_bias,
            ..
        } = self;
        f(Part::InputMap, "input_map.weight".into(), map_weight);
        f(Part::InputMap, "input_map.bias".into(), map_bias);
        f(Part::End, "end_classifier.weight".into(), end_weight);
        f(Part::End, "end_classifier.bias".into(), end_bias);
    }

    /// The weights of the parts that `is_meant`, in a fixed order.
    pub fn weights(&self, is_meant: impl Fn(Part) -> bool) -> Vec<Weight> {
        let mut weights = Vec::new();
        self.clone().for_each(|part, name, tensor| {
            let kind = Kind::Matrices(1);
            let tensor = tensor.clone();
            if is_meant(part) {
                weights.push(Weight { name, kind, tensor });
            }
        });
        weights
    }

    /// The same with `tensors`, in the order of [`CcotWeights::weights`], in the place of those.
    pub fn replaced(mut self, is_meant: impl Fn(Part) -> bool, tensors: Vec<Tensor<2>>) -> Self {
        let mut tensors = tensors.into_iter();
        self.for_each(|part, _, tensor| {
            if is_meant(part) {
                *tensor = tensors.next().expect("there is one tensor for each weight");
            }
        });
        self
    }

    /// The same on the autodiff device; what `is_meant` are leaves of a new graph.
    pub fn tracked(mut self, is_meant: impl Fn(Part) -> bool) -> Self {
        self.for_each(|part, _, tensor| {
            let copy = tensor.clone().autodiff();
            *tensor = if is_meant(part) {
                copy.require_grad()
            } else {
                copy
            };
        });
        self
    }
}
