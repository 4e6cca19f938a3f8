//! GGUF files: read as llama.cpp's own Python package reads them, and refused each fault by its
//! own name. The fixtures' origin is `fixtures/make_gguf.py`.

mod gguf_file;

use std::{fs, path::Path};

use bytes::Bytes;
use gguf_file::{GgufFile, tiny};
use latent_model::{
    checkpoint::{CheckpointError, Matrix, Weights},
    config::ModelConfig,
    gguf::Gguf,
    model::{Model, ModelFiles},
    program::Adapter,
    reference::{LayerStates, layer_states},
    turns::at_once,
};
use proptest::prelude::*;

const BLOCKS: &[u8] = include_bytes!("fixtures/gguf/blocks.gguf");
const TINY_LLAMA: &[u8] = include_bytes!("fixtures/gguf/tiny-llama.gguf");

fn load(bytes: impl Into<Bytes>) -> Result<Model, String> {
    let files = ModelFiles::from_gguf("model.gguf", bytes.into()).map_err(|e| e.to_string())?;
    Model::from_files(&files).map_err(|error| error.to_string())
}

#[test]
fn every_number_format_is_decoded_as_llama_cpp_does() {
    let file = Gguf::open("blocks.gguf", &Bytes::from_static(BLOCKS)).expect("written by gguf");
    let matrix = |name: &str| -> Matrix {
        let tensor = file.tensor_in_file(name);
        tensor.expect("it is in the fixture").values
    };
    let formats: Vec<&str> = file.names().filter(|n| !n.contains("expected")).collect();
    assert_eq!(formats.len(), 10, "{formats:?}");
    for name in formats {
        let (found, expected) = (matrix(name), matrix(&format!("{name}.expected")));
        assert_eq!(found.first_non_finite(), None, "{name}");
        let (values, expected) = (found.to_f32(), expected.to_f32());
        for (index, (found, expected)) in values.iter().zip(&*expected).enumerate() {
            // The last bit is a matter of the order of two products.
            let close = (found - expected).abs() <= 2e-7 * expected.abs().max(1e-2);
            assert!(close, "{name}, value {index}: {found} is not {expected}");
        }
        assert_eq!(*found.row(1), found.to_f32()[512..], "{name}");
    }
}

#[test]
fn a_gguf_file_computes_what_transformers_does() {
    #[derive(serde::Deserialize)]
    struct Fixture {
        cases: Vec<Case>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        ids: Vec<u32>,
        logits: Vec<Vec<f32>>,
    }
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/tiny-llama/logits.json"))
        .expect("written by the fixture's script");
    let model = load(TINY_LLAMA).expect("written by gguf");
    for case in &fixture.cases {
        let under = (&*model.weights, Adapter::Base);
        let LayerStates { logits, .. } = layer_states(&model.config, under, &case.ids);
        for (found, expected) in logits.iter().flatten().zip(case.logits.iter().flatten()) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }
}

/// The folders are those that `architectures.rs` runs beside `transformers`.
#[test]
fn a_file_of_every_architecture_is_the_same_model_as_its_folder() {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let names = [
        "gpt2",
        "llama-linear-tied",
        "llama-llama3-biased",
        "qwen2-tied",
        "qwen3",
    ];
    for name in names {
        let read = |path: String| fs::read(fixtures.join(path)).expect("a file of the fixture");
        let config = read(format!("architectures/{name}/config.json"));
        let config = String::from_utf8(config).expect("text");
        let config = ModelConfig::from_json(&config).expect("written by transformers");
        let weights = read(format!("architectures/{name}/model.safetensors")).into();
        let folder = Weights::from_safetensors(&config, &[("model.safetensors".into(), weights)]);
        let folder = folder.expect("written by transformers");

        let file = read(format!("gguf/{name}.gguf"));
        let file = ModelFiles::from_gguf(name, file.into()).expect("written by gguf");
        let found = ModelConfig::from_json(&file.config).expect("a config");
        assert_eq!(found, config, "{name}");
        let read = at_once(Weights::from_files_in_turns(&found, &file.weights, None));
        let weights = read.expect("all tensors");
        assert!(weights == folder, "{name}");
    }
}

#[test]
fn its_metadata_is_a_config_and_a_tokenizer() {
    let model = load(TINY_LLAMA).expect("written by gguf");
    let config = &model.config;
    assert_eq!(
        (config.n_heads, config.n_kv_heads, config.head_dim),
        (4, 2, 8)
    );
    assert_eq!(
        (
            config.rope().map(|rope| rope.theta),
            config.tie_word_embeddings
        ),
        (Some(500.0), false)
    );
    let tokenizer = &model.tokenizer;
    let ids = tokenizer
        .encode("the a\n<|im_end|>")
        .expect("known letters");
    let tokens: Vec<String> = ids.iter().map(|id| tokenizer.token(*id)).collect();
    assert_eq!(tokens, ["the", "Ġa", "Ċ", "<|im_end|>"]);
    assert_eq!(tokenizer.decode(&ids), "the a\n<|im_end|>");
    assert_eq!(tokenizer.end_tokens(), [29]);
    tokenizer.encode("Z").expect_err("not in the vocabulary");
}

/// A small SentencePiece vocabulary, bytes included. What whole ones make of a page of text was
/// compared with Hugging Face's conversion by `examples/token_ids.rs`.
#[test]
fn sentence_pieces_join_the_pair_with_the_best_score_and_spell_out_bytes() {
    let mut file = tiny();
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    let pieces = ["▁", "a", "b", "c", "ab", "bc", "▁ab", "abc"];
    tokens.extend(pieces.map(String::from));
    let types = [vec![2, 3, 3], vec![6; 256], vec![1; pieces.len()]].concat();
    // "bc" is better than "ab", so "abc" is a and bc.
    let scores = [vec![0.0; 259 + 4], vec![-2.0, -1.0, -3.0, -4.0]].concat();
    let list = |code: u32, n: usize, bytes: Vec<u8>| {
        let head = [&code.to_le_bytes()[..], &(n as u64).to_le_bytes()].concat();
        [head, bytes].concat()
    };
    let n = tokens.len();
    let types = types.iter().flat_map(|kind: &i32| kind.to_le_bytes());
    let scores = scores.iter().flat_map(|score: &f32| score.to_le_bytes());
    file.set("tokenizer.ggml.token_type", 9, list(5, n, types.collect()));
    file.set("tokenizer.ggml.scores", 9, list(6, n, scores.collect()));
    file.set(
        "tokenizer.ggml.bos_token_id",
        4,
        1_u32.to_le_bytes().to_vec(),
    );
    file.set_text("tokenizer.ggml.model", b"llama");
    file.tokens = tokens;
    // The table is the last tensor now, so that the others stay where they are.
    let mut table = file.tensors.remove(0);
    table.dimensions = vec![16, n as u64];
    table.bytes = vec![0; 16 * n * 4];
    table.offset = None;
    file.tensors.push(table);
    let model = load(file.bytes()).expect("a whole file");
    let tokenizer = &model.tokenizer;
    let tokens =
        |ids: Vec<u32>| -> Vec<String> { ids.iter().map(|id| tokenizer.token(*id)).collect() };
    let ids = tokenizer
        .encode("ab abc\né")
        .expect("bytes are spelled out");
    assert_eq!(tokenizer.decode(&ids), "ab abc\né");
    let expected = ["▁ab", "▁", "abc", "<0x0A>", "<0xC3>", "<0xA9>"];
    assert_eq!(tokens(ids), expected);
    let prompt = tokenizer.encode_prompt("a").expect("known");
    assert_eq!(tokens(prompt), ["<s>", "▁", "a"]);
}

#[test]
fn a_file_that_our_own_writer_makes_is_read() {
    let model = load(tiny().bytes()).expect("a whole file");
    assert!(model.config.tie_word_embeddings, "it has no output.weight");
}

#[test]
fn every_fault_of_a_file_is_named() {
    type Change = fn(&mut GgufFile);
    let faults: [(&str, Change); 21] = [
        ("expected it to begin with \"GGUF\", found \"GGML\"", |f| {
            f.magic = *b"GGML"
        }),
        ("version 2 or 3, little-endian, found version 1", |f| {
            f.version = 1
        }),
        ("found version 50331648", |f| f.version = 3_u32.swap_bytes()),
        ("counts 1152921504606846976 tensors", |f| {
            f.n_tensors = Some(1 << 60)
        }),
        ("counts 1152921504606846976 metadata keys", |f| {
            f.n_keys = Some(1 << 60)
        }),
        ("values of a metadata list", |f| {
            f.set(
                "list",
                9,
                [&8_u32.to_le_bytes()[..], &(1_u64 << 60).to_le_bytes()].concat(),
            );
        }),
        (
            "\"list\": expected a value type from 0 to 12, and no list of lists, found type 9",
            |f| {
                f.set(
                    "list",
                    9,
                    [&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes()].concat(),
                );
            },
        ),
        (
            "\"odd\": expected a value type from 0 to 12, and no list of lists, found type 13",
            |f| {
                f.set("odd", 13, vec![0; 8]);
            },
        ),
        ("expected UTF-8", |f| {
            f.set_text("general.name", b"\xff\xfe")
        }),
        ("ends inside of metadata \"general.name\"", |f| {
            f.set("general.name", 8, (1_u64 << 60).to_le_bytes().to_vec());
        }),
        (
            "general.architecture: expected one of \"llama\", \"qwen2\", \"qwen3\", \"gpt2\"",
            |f| {
                f.set_text("general.architecture", b"mamba");
            },
        ),
        ("there is no metadata \"llama.block_count\"", |f| {
            f.remove("llama.block_count")
        }),
        (
            "\"llama.block_count\": expected a whole number, found \"two\"",
            |f| {
                f.set_text("llama.block_count", b"two");
            },
        ),
        ("\"general.alignment\": expected a power of two", |f| {
            f.set("general.alignment", 4, 0_u32.to_le_bytes().to_vec());
        }),
        (
            "\"blk.0.attn_v.weight\": expected values in one of F32, F16, Q4_0",
            |f| {
                f.tensor("blk.0.attn_v.weight").code = 19;
            },
        ),
        ("found IQ1_S", |f| f.tensor("blk.0.attn_v.weight").code = 19),
        (
            "rows of whole blocks of 32 values, found shape [16, 16]",
            |f| {
                f.tensor("blk.0.attn_v.weight").code = 2;
            },
        ),
        ("offset that is a multiple of 32, found 33", |f| {
            f.tensor("blk.0.attn_v.weight").offset = Some(33);
        }),
        ("past the end of the data", |f| {
            f.tensor("blk.0.attn_v.weight").dimensions = vec![1 << 40, 1];
        }),
        ("a shape of below 2^64 bytes", |f| {
            f.tensor("blk.0.attn_v.weight").dimensions = vec![1 << 40, 1 << 40];
        }),
        (
            "\"blk.0.attn_v.weight\" and \"token_embd.weight\" overlap",
            |f| {
                let at = f.tensor("token_embd.weight").offset;
                f.tensor("blk.0.attn_v.weight").offset = at;
            },
        ),
    ];
    for (expected, change) in faults {
        let mut file = tiny();
        change(&mut file);
        let error = load(file.bytes()).expect_err(expected);
        assert!(
            error.contains(expected),
            "expected {expected:?}, found {error:?}"
        );
        assert!(error.starts_with("model.gguf: "), "{error}");
    }
}

#[test]
fn faults_that_a_config_or_a_tokenizer_would_hide_are_named() {
    type Change = fn(&mut GgufFile);
    let faults: [(&str, Change); 7] = [
        (
            "no tensor \"blk.0.attn_v.weight\", which the file's metadata asks for",
            |f| {
                f.tensors
                    .retain(|tensor| tensor.name != "blk.0.attn_v.weight");
            },
        ),
        (
            "\"blk.0.attn_v.weight\": expected shape [16, 16], found [8, 16]",
            |f| {
                f.tensor("blk.0.attn_v.weight").dimensions = vec![16, 8];
            },
        ),
        ("is NaN, expected a finite number", |f| {
            let nan = f32::NAN.to_le_bytes().repeat(16 * 16);
            f.tensor("blk.0.attn_v.weight").bytes = nan;
        }),
        (
            "tokens up to id 40, more than config.json's vocab_size of 40",
            |f| {
                f.tokens.push("extra".into());
            },
        ),
        ("there are two tokens \"t0\"", |f| f.tokens[1] = "t0".into()),
        (
            "tokenizer.ggml.model: expected \"gpt2\" (BPE on bytes) or \"llama\"",
            |f| f.set_text("tokenizer.ggml.model", b"rwkv"),
        ),
        ("tokenizer.ggml.pre: expected one of \"gpt-2\"", |f| {
            f.set_text("tokenizer.ggml.pre", b"chatglm-bpe");
        }),
    ];
    for (expected, change) in faults {
        let mut file = tiny();
        change(&mut file);
        let error = load(file.bytes()).expect_err(expected);
        assert!(
            error.contains(expected),
            "expected {expected:?}, found {error:?}"
        );
    }
}

#[test]
fn a_missing_tensor_of_a_folder_is_asked_for_by_its_config() {
    let model = load(TINY_LLAMA).expect("written by gguf");
    let nothing = safetensors::serialize(
        Vec::<(String, safetensors::tensor::TensorView<'_>)>::new(),
        None,
    );
    let file = (
        "model.safetensors".to_string(),
        nothing.expect("an empty file").into(),
    );
    match Weights::from_safetensors(&model.config, &[file]) {
        Err(CheckpointError::Missing { asked_by, .. }) => assert_eq!(asked_by, "config.json"),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_file_that_is_cut_off_is_refused(at in 0..TINY_LLAMA.len()) {
        prop_assert!(load(&TINY_LLAMA[..at]).is_err());
    }

    /// The twin of `fuzz/fuzz_targets/gguf.rs`: whatever is in the file, it is read or refused.
    #[test]
    fn no_change_of_a_header_makes_the_reader_panic(
        changes in prop::collection::vec((0..1600_usize, any::<u8>()), 1..4),
    ) {
        let mut bytes = TINY_LLAMA.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let _ = load(bytes);
    }
}
