//! Weights are converted out of the files that they were read from, and are never there twice.

#[path = "common/allocator.rs"]
mod allocator;
#[path = "common/architectures.rs"]
mod architectures;
mod common;
#[path = "common/shipped.rs"]
mod shipped;

use std::{collections::HashMap, fs};

use allocator::most_held;
use architectures::NAMES;
use bytes::Bytes;
use latent_model::{
    checkpoint::{Dtype, Matrix, WeightFormat, Weights},
    config::ModelConfig,
    model::Model,
    turns::at_once,
};
use safetensors::{SafeTensors, tensor::TensorView};
use shipped::shipped_files;

/// A file's tensors, one after the other in two files.
fn in_two(bytes: &[u8]) -> Vec<(String, Bytes)> {
    let file = SafeTensors::deserialize(bytes).expect("the fixture");
    let half = |remainder: usize| {
        let tensors = file.tensors().into_iter().enumerate();
        let tensors = tensors.filter(|(index, _)| index % 2 == remainder);
        let tensors: HashMap<String, TensorView<'_>> = tensors.map(|(_, named)| named).collect();
        let bytes = safetensors::serialize(tensors, None).expect("a file");
        (format!("{remainder}.safetensors"), bytes.into())
    };
    vec![half(0), half(1)]
}

fn read(config: &ModelConfig, files: &[(String, Bytes)]) -> Weights {
    at_once(Weights::from_files_in_turns(config, files, None)).expect("weights")
}

#[test]
fn weights_are_the_same_out_of_their_files_as_beside_them() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    for name in NAMES {
        let bytes = |path: String| -> Bytes { fs::read(&path).expect(&path).into() };
        let single = bytes(format!("{fixtures}/architectures/{name}/model.safetensors"));
        let text = fs::read_to_string(format!("{fixtures}/architectures/{name}/config.json"));
        let config = ModelConfig::from_json(&text.expect("a config")).expect("a config");
        let mut all = vec![in_two(&single), vec![("model.safetensors".into(), single)]];
        // The one without a prefix is of Hugging Face alone.
        let gguf = format!("{fixtures}/gguf/{name}.gguf");
        if fs::exists(&gguf).expect("a folder") {
            all.push(vec![("model.gguf".into(), bytes(gguf))]);
        }
        for files in all {
            for format in WeightFormat::ALL {
                let expected = read(&config, &files).converted(format);
                // A file that somebody else has too, and one that nobody else has.
                let shared: Vec<Bytes> = files.iter().map(|(_, bytes)| bytes.clone()).collect();
                let copy = |bytes: &Bytes| Bytes::from(bytes.to_vec());
                let own: Vec<(String, Bytes)> = files
                    .iter()
                    .map(|(name, bytes)| (name.clone(), copy(bytes)))
                    .collect();
                let (weights, own) = (
                    read(&config, &own),
                    own.into_iter().map(|(_, bytes)| bytes).collect(),
                );
                let found = at_once(weights.into_format(format, own, None));
                assert!(found == expected, "{name}, {format:?}");
                let found = at_once(read(&config, &files).into_format(format, shared, None));
                assert!(found == expected, "{name}, {format:?}, of a shared file");
            }
        }
    }
}

#[test]
fn what_adapters_share_with_the_base_stays_shared_out_of_a_file() {
    let files = shipped_files("prosqa-ccot");
    let config = ModelConfig::from_json(&files.config).expect("a config");
    let weights = read(&config, &files.weights);
    let base_q = |weights: &Weights| weights.layers[0].q.weight.clone();
    let mut set = common::contemplating(&config, &weights)
        .contemplation
        .expect("it has one");
    set.decoder[0].q.weight = base_q(&weights);
    let weights = Weights {
        contemplation: Some(set),
        ..weights
    };
    let expected = weights.converted(WeightFormat::Int8);
    let bytes = files.weights.into_iter().map(|(_, bytes)| bytes).collect();
    let found = at_once(weights.into_format(WeightFormat::Int8, bytes, None));
    assert!(found == expected);
    for weights in [found, expected] {
        let set = weights.contemplation.as_ref().expect("it has one");
        assert!(set.decoder[0].q.weight.is_same(&base_q(&weights)));
        assert!(!set.generator[0].q.weight.is_same(&base_q(&weights)));
    }
}

#[test]
fn weights_are_never_in_memory_twice() {
    let load = || {
        let files = shipped_files("prosqa-coconut");
        (Model::from_files(&files).expect("a model"), files)
    };
    let n_bytes = |matrix: &Matrix, dtype: Dtype| matrix.rows * dtype.row_bytes(matrix.cols);
    let format = WeightFormat::Int8;
    let (model, files) = load();
    let matrices = || {
        let layers = model.weights.layers.iter();
        layers.flat_map(|layer| layer.matrices().map(|(_, matrix)| matrix))
    };
    let converted: usize = matrices().map(|m| n_bytes(m, format.dtype())).sum();
    let largest = matrices()
        .map(|m| n_bytes(m, m.dtype()))
        .max()
        .expect("it has some");
    let beside = most_held(|| drop(model.weights.converted(format)));
    assert!(
        beside >= converted,
        "{beside} bytes, and {converted} are made"
    );
    drop((model, files));
    let (model, files) = load();
    let out_of = most_held(|| drop(at_once(model.with_weights_out_of(files, format, None))));
    // A matrix, what becomes of it, and who knows them.
    let most = 4 * largest;
    assert!(
        out_of <= most && most < converted,
        "{out_of} bytes, of {converted} that are made"
    );
}
