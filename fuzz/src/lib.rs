//! What each fuzz target does with bytes of others: it reads them, or names what is wrong. The
//! targets in `fuzz_targets/` call these, and so does the test `any_bytes` of latent-model, on
//! changed files of the corpus, with every other test run.

use std::sync::LazyLock;

use latent_model::{
    address::Address,
    chat::ChatTemplate,
    checkpoint::{Weights, shard_names},
    config::{ModelConfig, end_tokens},
    contemplation::{Contemplation, ContemplationFiles},
    engine::ModelCapabilities,
    model::{Model, ModelFiles},
    program::Program,
    recording::Recording,
    strategy::{Composition, STRATEGIES, Settings},
    tasks::NAMED,
    text,
    tokenizer::Tokenizer,
};

/// A target: its name, which is that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 9] = [
    ("address", address),
    ("adapters", adapters),
    ("checkpoint", checkpoint),
    ("config", config),
    ("data", data),
    ("gguf", gguf),
    ("program", program),
    ("recording", recording),
    ("tokenizer", tokenizer),
];

/// The config of the model that `checkpoint` and `adapters` are read for.
const CONFIG: &str = include_str!("../../crates/model/tests/fixtures/tiny-llama/config.json");
/// Its weights.
const WEIGHTS: &[u8] =
    include_bytes!("../../crates/model/tests/fixtures/tiny-llama/model.safetensors");
/// A folder of adapters for it, but for the file that is read.
const ADAPTERS: [&[u8]; 6] = [
    include_bytes!("../../crates/model/tests/fixtures/tiny-llama/ccot/ccot.json"),
    include_bytes!("../../crates/model/tests/fixtures/tiny-llama/ccot/contemplation.safetensors"),
    include_bytes!(
        "../../crates/model/tests/fixtures/tiny-llama/ccot/generator/adapter_config.json"
    ),
    include_bytes!(
        "../../crates/model/tests/fixtures/tiny-llama/ccot/generator/adapter_model.safetensors"
    ),
    include_bytes!("../../crates/model/tests/fixtures/tiny-llama/ccot/decoder/adapter_config.json"),
    include_bytes!(
        "../../crates/model/tests/fixtures/tiny-llama/ccot/decoder/adapter_model.safetensors"
    ),
];

/// A text, where the bytes are one, as every reader of files reads them.
fn text_of(bytes: &[u8]) -> Option<String> {
    text::decode(bytes).ok()
}

fn config_of_checkpoint() -> ModelConfig {
    ModelConfig::from_json(CONFIG).expect("a config of the corpus")
}

/// `model.safetensors` of a small model.
pub fn checkpoint(bytes: &[u8]) {
    let files = [("model.safetensors".to_string(), bytes.to_vec().into())];
    let _ = Weights::from_safetensors(&config_of_checkpoint(), &files);
}

/// A file of a folder of adapters: the first byte says which.
pub fn adapters(bytes: &[u8]) {
    let Some((which, file)) = bytes.split_first() else {
        return;
    };
    let config = config_of_checkpoint();
    let weights = [("model.safetensors".to_string(), WEIGHTS.into())];
    let base = Weights::from_safetensors(&config, &weights).expect("weights of the corpus");
    let mut contents = ADAPTERS.map(<[u8]>::to_vec);
    contents[usize::from(*which) % ADAPTERS.len()] = file.to_vec();
    let files = ContemplationFiles {
        folder: "ccot".into(),
        contents: contents.map(Into::into),
    };
    let _ = Contemplation::from_files(&config, &base, &files);
}

/// `config.json`, `generation_config.json`, the index of a checkpoint in shards.
pub fn config(bytes: &[u8]) {
    let Some(text) = text_of(bytes) else { return };
    let _ = ModelConfig::from_json(&text);
    let _ = end_tokens(&text, Some(&text));
    let _ = shard_names(&text);
}

/// A GGUF file: config, tokenizer and tensors.
pub fn gguf(bytes: &[u8]) {
    if let Ok(files) = ModelFiles::from_gguf("fuzz.gguf", bytes.to_vec().into()) {
        let _ = Model::from_files(&files);
    }
}

/// `tokenizer.json`, and a chat template.
pub fn tokenizer(bytes: &[u8]) {
    let Some(text) = text_of(bytes) else { return };
    if let Ok(tokenizer) = Tokenizer::from_json(&text)
        && let Ok(ids) = tokenizer.encode_prompt("Tom is a lempus – 7 🦀\n")
    {
        tokenizer.decode(&ids);
    }
    if let Ok(Some(template)) = ChatTemplate::from_files(Some(&text), None) {
        let _ = template.render(&[]);
    }
}

/// Files of problems, and typed ones, of every task, free text's among them. What is typed and read is
/// written and read again; what a file holds goes through the grader.
pub fn data(bytes: &[u8]) {
    let Some(text) = text_of(bytes) else { return };
    for task in NAMED {
        let loaded = task.load(&text);
        for problem in loaded.iter().flat_map(|loaded| &loaded.problems) {
            problem.grade(problem.answer());
        }
        if let Ok(problem) = task.read(&text) {
            let again = task.read(problem.question());
            let again = again.unwrap_or_else(|error| {
                panic!("{}: {:?}: {error}", task.title(), problem.question())
            });
            assert_eq!(again.question(), problem.question());
        }
    }
}

/// A recorded run. What is read is written and read again.
pub fn recording(bytes: &[u8]) {
    if let Ok(recording) = Recording::from_bytes(bytes) {
        let written = recording.to_bytes().expect("it was read from a file");
        let again = Recording::from_bytes(&written).expect("it was written");
        assert_eq!(again.records.len(), recording.records.len());
    }
}

/// An address of the page, as chats and mails leave it. What is understood is written and
/// understood again as the same.
pub fn address(bytes: &[u8]) {
    let Some(text) = text_of(bytes) else { return };
    if let Ok(address) = text.parse::<Address>() {
        let written = address.to_string();
        let again = written.parse::<Address>();
        assert_eq!(again.ok().as_ref(), Some(&address), "{written}");
    }
}

/// Programs as recordings hold them, settings as people type them, compositions.
pub fn program(bytes: &[u8]) {
    let Some(text) = text_of(bytes) else { return };
    if let Ok(program) = serde_json::from_str::<Program>(&text)
        && program.validate(64).is_ok()
    {
        program.max_positions();
    }
    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
        let tokenizer = Tokenizer::from_json(include_str!("../corpus/tokenizer/words.json"));
        tokenizer.expect("a tokenizer of the corpus")
    });
    for strategy in STRATEGIES {
        if let Ok(settings) = Settings::parse(strategy, text.split_whitespace()) {
            let _ = strategy.program(&settings, &TOKENIZER, ModelCapabilities::default());
        }
    }
    if let Ok(composition) = text.parse::<Composition>() {
        assert!(composition.parts.len() <= 8);
    }
}
