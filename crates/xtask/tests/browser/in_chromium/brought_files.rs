//! The files that the tests bring, right ones and such with a fault, and a host that answers as it is
//! told.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use xtask::workspace;

#[path = "../../../../model/tests/gguf_file/mod.rs"]
mod gguf_file;
#[path = "../../../../model/tests/gguf_file/of_bytes.rs"]
mod of_bytes;

use gguf_file::GgufFile;
use of_bytes::{N_TOKENS, of_bytes};

/// Room for a prompt of these tests, and for what their lanes think and answer.
const CONTEXT: u32 = 256;

/// A fault, the files that have it, and what the page says of them.
type Fault = (
    &'static str,
    Vec<(String, Vec<u8>)>,
    &'static [&'static str],
);

/// A tensor of the tiny checkpoint.
const UP: &str = "model.layers.0.mlp.up_proj.weight";

fn fault(
    name: &'static str,
    files: Vec<(String, Vec<u8>)>,
    words: &'static [&'static str],
) -> Fault {
    (name, files, words)
}

/// A model of one layer that reads and writes bytes.
pub fn gguf() -> Vec<u8> {
    with_gguf(|_| {})
}

/// The same after a change.
pub fn with_gguf(change: impl FnOnce(&mut GgufFile)) -> Vec<u8> {
    let mut file = of_bytes(CONTEXT);
    change(&mut file);
    file.bytes()
}

/// The same, wide enough for blocks of every kind, each of its matrices in another format. The file's
/// numbers are any bits, but for the scales of blocks.
pub fn gguf_of_all_formats() -> Vec<u8> {
    /// ggml's name and number of a format, bytes of a block and values, and where its f16 scales stand.
    type Format = (&'static str, u32, [usize; 2], &'static [usize]);
    const FORMATS: [Format; 9] = [
        ("token_embd", 8, [34, 32], &[0]),
        ("blk.0.attn_q", 2, [18, 32], &[0]),
        ("blk.0.attn_k", 3, [20, 32], &[0, 2]),
        ("blk.0.attn_v", 6, [22, 32], &[0]),
        ("blk.0.attn_output", 7, [24, 32], &[0, 2]),
        ("blk.0.ffn_gate", 12, [144, 256], &[0, 2]),
        ("blk.0.ffn_up", 13, [176, 256], &[0, 2]),
        ("blk.0.ffn_down", 14, [210, 256], &[208]),
        ("output", 1, [2, 1], &[0]),
    ];
    with_gguf(|file| {
        for key in ["embedding_length", "feed_forward_length"] {
            file.set(&format!("llama.{key}"), 4, 256_u32.to_le_bytes().to_vec());
        }
        let output = gguf_file::TensorPart {
            name: "output.weight".into(),
            dimensions: vec![256, N_TOKENS as u64],
            code: 0,
            offset: None,
            bytes: Vec::new(),
        };
        file.tensors.push(output);
        // So that the command line, too, takes it for a model that writes as it pleases.
        file.set_text("tokenizer.chat_template", b"{{ messages[0].content }}");
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for tensor in &mut file.tensors {
            let is_table = tensor.dimensions[tensor.dimensions.len() - 1] == N_TOKENS as u64;
            tensor.dimensions.fill(256);
            if is_table {
                tensor.dimensions[1] = N_TOKENS as u64;
            }
            let n_values = tensor.dimensions.iter().product::<u64>() as usize;
            let name = tensor.name.trim_end_matches(".weight");
            let format = FORMATS.iter().find(|(known, ..)| *known == name);
            let Some((_, code, [n_bytes, n_block], scales)) = format else {
                tensor.bytes = 1.0_f32.to_le_bytes().repeat(n_values);
                continue;
            };
            tensor.code = *code;
            tensor.bytes = (0..n_values / n_block * n_bytes).map(|_| byte()).collect();
            for block in tensor.bytes.chunks_exact_mut(*n_bytes) {
                for scale in *scales {
                    // Of either sign, from 2⁻⁹ to 2⁻⁶.
                    let exponent = 6 + block[*scale] % 3;
                    block[scale + 1] = (block[scale + 1] & 0x83) | (exponent << 2);
                }
            }
        }
    })
}

/// The files of a checkpoint that ships.
pub fn folder(name: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = workspace::root().join("public/models").join(name);
    let files = ["config.json", "tokenizer.json", "model.safetensors"];
    let read = |file: &str| {
        let bytes =
            std::fs::read(folder.join(file)).with_context(|| format!("no {name}/{file}"))?;
        Ok((format!("{name}/{file}"), bytes))
    };
    files.into_iter().map(read).collect()
}

/// Everything that can be wrong with files, each with what is said of it.
pub fn faults() -> Result<Vec<Fault>> {
    let whole = gguf();
    let one = |name: &str, bytes: Vec<u8>| vec![(name.to_string(), bytes)];
    let many_keys = with_gguf(|file| file.n_keys = Some(1 << 60));
    let not_a_number = with_gguf(|file| {
        let first = &mut file.tensor("blk.0.attn_q.weight").bytes[..4];
        first.copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let absent = with_gguf(|file| {
        file.tensors
            .retain(|tensor| tensor.name != "blk.0.ffn_up.weight")
    });
    let weights = tiny_llama("model.safetensors")?;
    let header = |change: fn(&mut Value)| with_header(&weights, change);
    let mut long = weights.clone();
    long[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    let cut = weights[..weights.len() / 2].to_vec();
    let nan = {
        let mut bytes = weights.clone();
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    };
    let overlapping = header(|header| {
        let other = header["model.layers.0.mlp.gate_proj.weight"]["data_offsets"].clone();
        header[UP]["data_offsets"] = other;
    });
    let of_integers = header(|header| {
        header[UP]["dtype"] = json!("I32");
    });
    let without = header(|header| {
        let tensors = header.as_object_mut().expect("tensors");
        let moved = tensors.remove(UP);
        tensors.insert("other".into(), moved.unwrap_or_default());
    });
    let small = tokenizer(8);
    let with = |weights: Vec<u8>| tiny_folder(weights, &small);
    Ok(vec![
        fault(
            "a cut GGUF",
            one("cut.gguf", whole[..whole.len() / 2].to_vec()),
            &["cut.gguf", "is the file cut off?"],
        ),
        fault(
            "a GGUF of 2^60 keys",
            one("keys.gguf", many_keys),
            &["keys.gguf", "the header counts 1152921504606846976"],
        ),
        fault(
            "a GGUF with NaN",
            one("nan.gguf", not_a_number),
            &["NaN, expected a finite number"],
        ),
        fault(
            "a GGUF without a tensor",
            one("no.gguf", absent),
            &["blk.0.ffn_up.weight"],
        ),
        fault(
            "no GGUF",
            one("words.gguf", b"once upon a time".to_vec()),
            &["words.gguf", "not a GGUF file"],
        ),
        fault(
            "cut safetensors",
            with(cut)?,
            &["not a readable safetensors file"],
        ),
        fault(
            "a header of 2^60 bytes",
            with(long)?,
            &["not a readable safetensors file", "eader"],
        ),
        fault(
            "overlapping tensors",
            with(overlapping)?,
            &["not a readable safetensors file", "ffset"],
        ),
        fault(
            "integers",
            with(of_integers)?,
            &[UP, "expected F32, F16 or BF16 values, found I32"],
        ),
        fault("a missing tensor", with(without)?, &["has no tensor", UP]),
        fault("NaN", with(nan)?, &["NaN, expected a finite number"]),
        fault(
            "another tokenizer",
            tiny_folder(weights.clone(), &tokenizer(64))?,
            &["up to id 63", "vocab_size of 32"],
        ),
        fault(
            "no tokenizer",
            one("model.safetensors", weights),
            &["tokenizer.json", "found model.safetensors"],
        ),
        fault(
            "a picture",
            one("cat.png", vec![0x89; 64]),
            &["latent-recording 1"],
        ),
    ])
}

fn tiny_llama(file: &str) -> Result<Vec<u8>> {
    let folder = workspace::root().join("crates/model/tests/fixtures/tiny-llama");
    std::fs::read(folder.join(file)).with_context(|| format!("no {file} of tiny-llama"))
}

fn tiny_folder(weights: Vec<u8>, tokenizer: &str) -> Result<Vec<(String, Vec<u8>)>> {
    Ok(vec![
        ("tiny/config.json".into(), tiny_llama("config.json")?),
        ("tiny/tokenizer.json".into(), tokenizer.as_bytes().to_vec()),
        ("tiny/model.safetensors".into(), weights),
    ])
}

/// A tokenizer of so many words.
fn tokenizer(n_words: usize) -> String {
    let vocabulary: Value = (0..n_words)
        .map(|id| (format!("w{id}"), json!(id)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null, "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
    })
    .to_string()
}

/// A checkpoint after a change of its header, an object of its tensors.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    change(&mut header);
    let header = header.to_string();
    let new_length = (header.len() as u64).to_le_bytes();
    [&new_length[..], header.as_bytes(), &bytes[8 + length..]].concat()
}

/// How a host answers.
pub enum Answer {
    /// With all of a file.
    Whole(Vec<u8>),
    /// With half of it, and then with nothing more.
    Stalls(Vec<u8>),
    /// With half of it, and then it hangs up.
    Cut(Vec<u8>),
    /// With a page of HTML.
    Page,
}

/// Another host than the page's, which other pages may read; status 404 where it was told nothing.
pub struct AnswersAsTold {
    address: SocketAddr,
    n_asked: Arc<AtomicUsize>,
}

impl AnswersAsTold {
    /// Answers these paths until the program ends.
    pub fn start(told: Vec<(&'static str, Answer)>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let n_asked = Arc::new(AtomicUsize::new(0));
        let (counted, told) = (n_asked.clone(), Arc::new(told));
        std::thread::spawn(move || {
            for visitor in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                let told = told.clone();
                // A browser that hangs up has what it wanted.
                std::thread::spawn(move || drop(respond(&visitor, &told)));
            }
        });
        Ok(Self { address, n_asked })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often it was asked for anything.
    pub fn n_asked(&self) -> usize {
        self.n_asked.load(Ordering::Relaxed)
    }
}

fn respond(mut visitor: &TcpStream, told: &[(&str, Answer)]) -> std::io::Result<()> {
    let mut lines = BufReader::new(visitor).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    let answer = told.iter().find(|(known, _)| *known == path);
    let (status, kind, body): (&str, &str, &[u8]) = match answer {
        None => ("404 Not Found", "text/plain", b"no such file"),
        Some((_, Answer::Page)) => ("200 OK", "text/html", b"<!doctype html><p>Welcome"),
        Some((_, Answer::Whole(bytes) | Answer::Stalls(bytes) | Answer::Cut(bytes))) => {
            ("200 OK", "application/octet-stream", bytes)
        }
    };
    write!(
        visitor,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    match answer {
        Some((_, Answer::Stalls(_))) => {
            visitor.write_all(&body[..body.len() / 2])?;
            visitor.flush()?;
            std::thread::sleep(Duration::from_secs(600));
            Ok(())
        }
        Some((_, Answer::Cut(_))) => visitor.write_all(&body[..body.len() / 2]),
        _ => visitor.write_all(body),
    }
}
