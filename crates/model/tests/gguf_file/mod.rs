//! Writes small GGUF files, right ones and such with a fault.

/// A file, part by part.
pub struct GgufFile {
    pub magic: [u8; 4],
    pub version: u32,
    /// What the header counts, where it shall not be the truth.
    pub n_tensors: Option<u64>,
    pub n_keys: Option<u64>,
    /// (key, type, bytes)
    pub keys: Vec<(String, u32, Vec<u8>)>,
    pub tokens: Vec<String>,
    pub merges: Vec<String>,
    pub tensors: Vec<TensorPart>,
}

pub struct TensorPart {
    pub name: String,
    /// The width of a row first.
    pub dimensions: Vec<u64>,
    pub code: u32,
    /// Where it lies, where that shall not be behind the one before it.
    pub offset: Option<u64>,
    pub bytes: Vec<u8>,
}

const ALIGNMENT: usize = 32;

/// One layer, 40 tokens, d = 16, heads of 4 and 4 of them.
pub fn tiny() -> GgufFile {
    let mut file = GgufFile {
        magic: *b"GGUF",
        version: 3,
        n_tensors: None,
        n_keys: None,
        keys: Vec::new(),
        tokens: (0..40).map(|i| format!("t{i}")).collect(),
        merges: Vec::new(),
        tensors: Vec::new(),
    };
    file.set_text("general.architecture", b"llama");
    file.set_text("tokenizer.ggml.model", b"gpt2");
    for (key, value) in [
        ("block_count", 1_u32),
        ("context_length", 64),
        ("embedding_length", 16),
        ("feed_forward_length", 24),
        ("attention.head_count", 4),
    ] {
        file.set(&format!("llama.{key}"), 4, value.to_le_bytes().to_vec());
    }
    let epsilon = 1e-5_f32.to_le_bytes().to_vec();
    file.set("llama.attention.layer_norm_rms_epsilon", 6, epsilon);
    let square = |name: &str| (format!("blk.0.{name}.weight"), vec![16, 16]);
    let tensors = [
        ("token_embd.weight".into(), vec![16, 40]),
        ("output_norm.weight".into(), vec![16]),
        ("blk.0.attn_norm.weight".into(), vec![16]),
        ("blk.0.ffn_norm.weight".into(), vec![16]),
        square("attn_q"),
        square("attn_k"),
        square("attn_v"),
        square("attn_output"),
        ("blk.0.ffn_gate.weight".into(), vec![16, 24]),
        ("blk.0.ffn_up.weight".into(), vec![16, 24]),
        ("blk.0.ffn_down.weight".into(), vec![24, 16]),
    ];
    for (name, dimensions) in tensors {
        let n_values: u64 = dimensions.iter().product();
        file.tensors.push(TensorPart {
            name,
            dimensions,
            code: 0,
            offset: None,
            bytes: 0.5_f32.to_le_bytes().repeat(n_values as usize),
        });
    }
    file.tensors[0].offset = Some(0);
    file
}

impl GgufFile {
    /// Sets a key to bytes of a type.
    pub fn set(&mut self, key: &str, kind: u32, bytes: Vec<u8>) {
        self.remove(key);
        self.keys.push((key.into(), kind, bytes));
    }

    pub fn set_text(&mut self, key: &str, text: &[u8]) {
        let len = (text.len() as u64).to_le_bytes();
        self.set(key, 8, [&len[..], text].concat());
    }

    pub fn remove(&mut self, key: &str) {
        self.keys.retain(|(known, ..)| known != key);
    }

    pub fn tensor(&mut self, name: &str) -> &mut TensorPart {
        let found = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        found.expect("one of the file's tensors")
    }

    pub fn bytes(mut self) -> Vec<u8> {
        for (key, texts) in [
            ("tokenizer.ggml.tokens", self.tokens.clone()),
            ("tokenizer.ggml.merges", self.merges.clone()),
        ] {
            let mut list = 8_u32.to_le_bytes().to_vec();
            list.extend((texts.len() as u64).to_le_bytes());
            for text in texts {
                list.extend((text.len() as u64).to_le_bytes());
                list.extend(text.as_bytes());
            }
            self.set(key, 9, list);
        }
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(
            self.n_tensors
                .unwrap_or(self.tensors.len() as u64)
                .to_le_bytes(),
        );
        bytes.extend(self.n_keys.unwrap_or(self.keys.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.keys {
            bytes.extend((key.len() as u64).to_le_bytes());
            bytes.extend(key.as_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        let mut data: Vec<u8> = Vec::new();
        for tensor in &self.tensors {
            data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
            bytes.extend((tensor.name.len() as u64).to_le_bytes());
            bytes.extend(tensor.name.as_bytes());
            bytes.extend((tensor.dimensions.len() as u32).to_le_bytes());
            tensor
                .dimensions
                .iter()
                .for_each(|n| bytes.extend(n.to_le_bytes()));
            bytes.extend(tensor.code.to_le_bytes());
            let offset = tensor.offset.unwrap_or(data.len() as u64);
            bytes.extend(offset.to_le_bytes());
            data.extend(&tensor.bytes);
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend(data);
        bytes
    }
}
