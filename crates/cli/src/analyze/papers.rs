//! What the papers report of the same ways of decoding, for a look beside what is measured here.

/// A way of decoding: its name in the papers, and the strategy that is it.
pub struct Decoding {
    /// As the papers' tables call it.
    pub title: &'static str,
    /// Its strategy.
    pub strategy: &'static str,
}

/// The rows of Soft Thinking's table 1 (arXiv 2505.15778), the first of which the others are
/// compared with.
pub const SOFT_THINKING: [Decoding; 3] = [
    Decoding {
        title: "CoT",
        strategy: "token-cot-sampled",
    },
    Decoding {
        title: "CoT (greedy)",
        strategy: "token-cot",
    },
    Decoding {
        title: "Soft Thinking",
        strategy: "soft",
    },
];

/// Of each of [`SOFT_THINKING`], on GSM8K: accuracy in %, and tokens generated.
pub const SOFT_THINKING_ON_GSM8K: [(&str, [(f64, u32); 3]); 3] = [
    ("QwQ-32B", [(96.67, 1556), (96.57, 1536), (96.81, 1391)]),
    (
        "DeepSeek-R1-Distill-Qwen-32B",
        [(95.61, 875), (95.30, 1048), (95.83, 785)],
    ),
    (
        "DeepSeek-R1-Distill-Llama-70B",
        [(94.82, 620), (93.60, 606), (94.90, 597)],
    ),
];

/// The rows of Single-threaded Reasoners' tables 1 and 2 (arXiv 2508.03440).
pub const SINGLE_THREADED: [Decoding; 5] = [
    Decoding {
        title: "Token (greedy)",
        strategy: "token-cot",
    },
    Decoding {
        title: "Token (sampling)",
        strategy: "token-cot-sampled",
    },
    Decoding {
        title: "Soft (vanilla)",
        strategy: "soft",
    },
    Decoding {
        title: "Soft (Dirichlet)",
        strategy: "soft-dirichlet",
    },
    Decoding {
        title: "Soft (Gumbel)",
        strategy: "soft-gumbel",
    },
];

/// Of each of [`SINGLE_THREADED`]: accuracy in %, the mean over the paper's eight sets.
pub const SINGLE_THREADED_MEANS: [(&str, [f64; 5]); 3] = [
    (
        "DeepSeek-R1-Distill-Qwen-32B",
        [71.57, 78.50, 72.13, 78.36, 79.55],
    ),
    ("QwQ-32B", [82.64, 82.35, 80.06, 81.39, 83.04]),
    ("Skywork-OR1-32B", [76.85, 82.99, 79.21, 83.12, 83.41]),
];
