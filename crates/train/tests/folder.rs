//! An exported folder, read back by `latent-model`'s reference engine, computes what burn computed.

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use latent_model::checkpoint::Weights;
use latent_model::config::ModelConfig;
use latent_model::hub::hub_files;
use latent_model::program::Adapter;
use latent_model::reference::layer_states;
use latent_model::tasks::prosqa::{Difficulty, Problem, VOCABULARY_SIZE};
use latent_model::tokenizer::Tokenizer;
use latent_model::training_record::TrainingRecord;
use latent_train::config::RunConfig;
use latent_train::driver::write_folder;
use latent_train::export::{folder_files, model_files};
use latent_train::llama::{Llama, QuestionCache};
use latent_train::objective::read_contexts;
use latent_train::parameters::Parameters;
use latent_train::progress::Record;
use latent_train::tensor_ops::one_hot;
use pollster::block_on;

/// Both sides compute in f32 over sums of at most 32 terms; logits are of order 1.
const TOLERANCE: f32 = 1e-4;

fn config() -> RunConfig {
    let text = include_str!("../configs/prosqa-coconut.toml");
    let mut config: RunConfig = toml::from_str(text).expect("the shipped config is whole");
    config.model.hidden_size = 32;
    config.model.n_layers = 3;
    config.model.n_heads = 2;
    config.model.head_dim = 8;
    config.model.intermediate_size = 24;
    config
}

fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

/// The nearest weights that f16 holds, as the export rounds them.
fn rounded(parameters: Parameters, device: &Device) -> Parameters {
    parameters.map(|weight| {
        let shape = weight.dims();
        let values = numbers(weight);
        let rounded: Vec<f32> = values.iter().map(|&v| f16::from_f32(v).to_f32()).collect();
        Tensor::from_data(TensorData::new(rounded, shape), device)
    })
}

#[test]
fn the_exported_folder_computes_what_burn_computed() {
    let config = config();
    let device = Device::flex();
    let parameters = Parameters::init(&config.model, VOCABULARY_SIZE, 11, &device);
    let parameters = rounded(parameters, &device);
    let folder = std::env::temp_dir().join(format!("latent-train-export-{}", std::process::id()));
    let files = model_files(&config, &parameters, None);
    let files = block_on(files).expect("the weights can be written");
    let record = Record::default();
    let files = folder_files(&files, &config, &record, &parameters).expect("a record");
    write_folder(&folder, &files).expect("the folder is written");

    let read = |name: &str| std::fs::read(folder.join(name)).expect("the export wrote it");
    let text = |name: &str| String::from_utf8(read(name)).expect("text");
    let problem = Problem::generate(5, &Difficulty::CLASS);
    let tokenizer = Tokenizer::from_json(&text("tokenizer.json")).expect("a tokenizer");
    let ids = tokenizer
        .encode(&problem.question())
        .expect("all words are known");
    // What the trainer writes is what everything else reads.
    let record: TrainingRecord = serde_json::from_str(&text("training.json")).expect("a record");
    assert_eq!(record.config.name, config.name);
    assert_eq!(record.parameters, parameters.count());
    for (name, expected) in hub_files(&config.task.markers(), 512) {
        let found: serde_json::Value = serde_json::from_str(&text(name)).expect("JSON");
        assert_eq!(found, expected, "{name}");
    }
    let read_config = ModelConfig::from_json(&text("config.json")).expect("a config");
    let file = (
        "model.safetensors".to_string(),
        read("model.safetensors").into(),
    );
    let weights = Weights::from_safetensors(&read_config, &[file]).expect("weights");
    let expected = layer_states(&read_config, (&weights, Adapter::Base), &ids).logits;

    let model = Llama {
        config: &config.model,
        parameters,
        device: device.clone(),
    };
    let graph = problem.statement_graph();
    let context: Vec<u32> = graph.statement_tokens().collect();
    let mut batch = read_contexts(&model, [context.as_slice()].into_iter(), 0);
    let question = graph.question_tokens(&graph.questions[0]);
    let inputs = model.embed_rows(&question.map(one_hot));
    let residuals = batch.extend(&model, inputs, 1, &mut QuestionCache::default());
    let logits = numbers(model.logits(model.final_norm(residuals.last)));

    for (position, found) in logits.chunks_exact(VOCABULARY_SIZE).enumerate() {
        let expected = &expected[ids.len() - 4 + position];
        for (id, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!(
                (a - b).abs() < TOLERANCE,
                "position {position}, token {id}: {a}, {b}"
            );
        }
    }
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}
