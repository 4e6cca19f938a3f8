//! What a run can begin with: the state of another run, or a published model.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use latent_model::tasks::Task;
use latent_train::Backend;
use latent_train::config::RunConfig;
use latent_train::driver::{Run, load_config};
use latent_train::export::model_files;
use pollster::block_on;
use safetensors::SafeTensors;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

fn published(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../public/models");
    models.join(name)
}

/// A shipped config that starts from somewhere else than it says.
fn config(name: &str, start: &Path) -> RunConfig {
    let path = configs().join(name).with_extension("toml");
    let mut config = load_config(&path).expect("a shipped config");
    config.start_from = Some(start.display().to_string());
    config.start_task = None;
    config.evaluation.official = None;
    config.evaluation.problems = 1;
    config
}

fn started(config: RunConfig) -> anyhow::Result<Run> {
    Run::new(config, Path::new("not written"), &Device::flex(), false)
}

/// The tensors of the model that a run would export.
fn exported(run: &Run) -> Vec<u8> {
    let parameters = &run.trainer().state().parameters;
    let files = block_on(model_files(run.trainer().config(), parameters, None));
    files.expect("a model").weights[0].1.to_vec()
}

#[test]
fn a_start_that_is_not_there_names_what_makes_it() {
    let folder = std::env::temp_dir().join(format!("latent-train-fresh-{}", std::process::id()));
    let models = folder.join("public/models/prosqa-coconut");
    std::fs::create_dir_all(&models).expect("a folder");
    for name in ["prosqa-cot.toml", "prosqa-coconut.toml"] {
        let text = std::fs::read_to_string(configs().join(name)).expect("a shipped config");
        let elsewhere = format!("{}/runs/", folder.display());
        std::fs::write(folder.join(name), text.replace("runs/", &elsewhere)).expect("a file");
    }
    let message = || {
        let run = latent_train::run(&folder.join("prosqa-cot.toml"), false, Backend::Flex);
        run.expect_err("there is no such state").to_string()
    };
    let found = message();
    let maker = format!(
        "`latent train {}` makes it",
        folder.join("prosqa-coconut.toml").display()
    );
    assert!(found.contains(&maker), "{found}");
    let other = format!("`start_from = \"{}\"` begins with", models.display());
    assert!(found.contains(&other), "{found}");
    // Where neither is there, neither is promised.
    std::fs::remove_dir_all(&models).expect("it was made here");
    std::fs::remove_file(folder.join("prosqa-coconut.toml")).expect("it was made here");
    let found = message();
    assert!(
        found.ends_with("expected the state of a run, or the folder of a model"),
        "{found}"
    );
    std::fs::remove_dir_all(folder).expect("it was made here");
}

#[test]
fn published_weights_are_a_start() {
    let folder = published("prosqa-coconut");
    let theirs = std::fs::read(folder.join("model.safetensors")).expect("it ships");
    let theirs = SafeTensors::deserialize(&theirs).expect("tensors");
    // Of the same sizes: what would be exported is what was read.
    let run = started(config("prosqa-coconut", &folder)).expect("the run starts");
    let ours = exported(&run);
    let ours = SafeTensors::deserialize(&ours).expect("tensors");
    assert!(ours.len() > 30);
    for (name, tensor) in ours.tensors() {
        let expected = theirs.tensor(&name).expect("the same tensors");
        assert!(
            tensor.shape() == expected.shape() && tensor.data() == expected.data(),
            "{name}"
        );
    }
    // With two layers more, which begin as copies of the last.
    let run = started(config("prosqa-cot", &folder)).expect("the run starts");
    let ours = exported(&run);
    let ours = SafeTensors::deserialize(&ours).expect("tensors");
    for (layer, from) in [(3, 3), (4, 3), (5, 3)] {
        let name = |layer: usize| format!("model.layers.{layer}.mlp.up_proj.weight");
        let expected = theirs.tensor(&name(from)).expect("four layers");
        let found = ours.tensor(&name(layer)).expect("six layers");
        assert!(found.data() == expected.data(), "layer {layer}");
    }
}

#[test]
fn a_published_model_says_by_itself_which_words_it_has() {
    let folder = published("prosqa-cot");
    let theirs = std::fs::read(folder.join("model.safetensors")).expect("it ships");
    let theirs = SafeTensors::deserialize(&theirs).expect("tensors");
    let run = started(config("prontoqa-cot", &folder)).expect("the run starts");
    let ours = exported(&run);
    let ours = SafeTensors::deserialize(&ours).expect("tensors");
    let row = |tensors: &SafeTensors, task: &str, word: &str| {
        let task: Task = task.parse().expect("a task");
        let words = task.vocabulary();
        let id = words.iter().position(|known| known == word).expect(word);
        let embedding = tensors
            .tensor("model.embed_tokens.weight")
            .expect("it is there");
        let width = 2 * embedding.shape()[1];
        embedding.data()[id * width..(id + 1) * width].to_vec()
    };
    for word in ["wumpus", "<think>", "###"] {
        let expected = row(&theirs, "prosqa", word);
        assert_eq!(row(&ours, "prontoqa", word), expected, "{word}");
    }
}

#[test]
fn weights_of_other_maths_are_no_start() {
    let mut other = config("prosqa-coconut", &published("prosqa-coconut"));
    other.model.rope_theta = 1e4;
    let error = started(other).err().expect("another rope_theta");
    assert!(format!("{error:#}").contains("rope_theta"), "{error:#}");
}

#[test]
fn a_file_without_layers_is_no_start() {
    let file = published("prosqa-coconut").join("model.safetensors");
    let error = started(config("prosqa-coconut", &file)).err();
    let error = format!("{:#}", error.expect("a file has no config.json beside it"));
    assert!(
        error.contains("holds no layers; expected the state"),
        "{error}"
    );
}
