//! The table: every strategy, in the order in which they are offered.

use super::{Setting, Strategy, Think};
use crate::{input::Feed, tokenizer::Marker};

/// Room for the longest solution of any task, which a test looks after.
const MAX_THINK: (Setting, f32) = (Setting::MaxThink, 72.0);
/// A chain that contemplation tokens stand for is one of those.
const MAX_CHAIN: (Setting, f32) = (Setting::MaxChain, MAX_THINK.1);
pub(super) const MAX_ANSWER: (Setting, f32) = (Setting::MaxAnswer, 8.0);
const TEMPERATURE: (Setting, f32) = (Setting::Temperature, 0.6);
const TOP_K: (Setting, f32) = (Setting::TopK, 30.0);
const TOP_P: (Setting, f32) = (Setting::TopP, 0.95);
const MIN_P: (Setting, f32) = (Setting::MinP, 0.0);
const MAX_CONCEPTS: (Setting, f32) = (Setting::MaxConcepts, 15.0);
const COLD_ENTROPY: (Setting, f32) = (Setting::ColdEntropy, 0.01);
const COLD_PATIENCE: (Setting, f32) = (Setting::ColdPatience, 8.0);

/// In words, the most probable one each time.
const IN_WORDS: Think = Think {
    feed: Feed::Token,
    greedy: true,
    end: Some(Marker::ThinkEnd),
};
/// In mixtures of words.
const IN_CONCEPTS: Think = Think {
    feed: Feed::Concept,
    greedy: false,
    end: Some(Marker::ThinkEnd),
};
/// In hidden states.
const IN_THOUGHTS: Think = Think {
    feed: Feed::THOUGHT,
    greedy: true,
    end: Some(Marker::Eot),
};

/// In contemplation tokens, which the checkpoint's generator makes and its decoder answers from.
const IN_CONTEMPLATION: Think = Think {
    feed: Feed::CONTEMPLATION,
    greedy: true,
    end: Some(Marker::ThinkEnd),
};

/// Every strategy, in the order in which they are offered.
pub const STRATEGIES: &[Strategy] = &[
    Strategy {
        name: "token-cot",
        title: "Token CoT",
        summary: "Thinks in words, taking the most probable one each time.",
        paper: "Wei et al. 2022, arXiv 2201.11903",
        start: Some(Marker::ThinkStart),
        think: Some(IN_WORDS),
        settings: &[MAX_THINK, MAX_ANSWER],
    },
    Strategy {
        name: "token-cot-sampled",
        title: "Token CoT, sampled",
        summary: "Thinks in words drawn at random from the model's distribution.",
        paper: "Wei et al. 2022, arXiv 2201.11903",
        start: Some(Marker::ThinkStart),
        think: Some(Think {
            feed: Feed::Token,
            greedy: false,
            end: Some(Marker::ThinkEnd),
        }),
        settings: &[TEMPERATURE, TOP_K, TOP_P, MIN_P, MAX_THINK, MAX_ANSWER],
    },
    Strategy {
        name: "token-cot-cold-stop",
        title: "Token CoT + Cold Stop",
        summary: "Control for Soft Thinking: plain greedy words, but with its stop rule.",
        paper: "Control for arXiv 2505.15778",
        start: Some(Marker::ThinkStart),
        think: Some(IN_WORDS),
        settings: &[
            TEMPERATURE,
            COLD_ENTROPY,
            COLD_PATIENCE,
            MAX_THINK,
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "soft",
        title: "Soft Thinking",
        summary: "Thinks in mixtures of words, weighted by probability.",
        paper: "Soft Thinking, arXiv 2505.15778",
        start: Some(Marker::ThinkStart),
        think: Some(IN_CONCEPTS),
        settings: &[
            TEMPERATURE,
            TOP_K,
            TOP_P,
            MIN_P,
            MAX_CONCEPTS,
            COLD_ENTROPY,
            COLD_PATIENCE,
            MAX_THINK,
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "soft-gumbel",
        title: "Soft + Gumbel",
        summary: "Soft Thinking with Gumbel-Softmax noise on the mixture.",
        paper: "Stochastic Soft Thinking, arXiv 2508.03440",
        start: Some(Marker::ThinkStart),
        think: Some(IN_CONCEPTS),
        settings: &[
            TEMPERATURE,
            TOP_K,
            TOP_P,
            MIN_P,
            MAX_CONCEPTS,
            (Setting::Tau, 0.5),
            MAX_THINK,
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "soft-dirichlet",
        title: "Soft + Dirichlet",
        summary: "Soft Thinking with weights drawn around the probabilities.",
        paper: "Stochastic Soft Thinking, arXiv 2508.03440",
        start: Some(Marker::ThinkStart),
        think: Some(IN_CONCEPTS),
        settings: &[
            TEMPERATURE,
            TOP_K,
            TOP_P,
            MIN_P,
            MAX_CONCEPTS,
            (Setting::Alpha, 4.0),
            MAX_THINK,
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "no-cot",
        title: "No CoT",
        summary: "Answers at once.",
        paper: "Baseline of Coconut, arXiv 2412.06769",
        start: None,
        think: None,
        settings: &[MAX_ANSWER],
    },
    Strategy {
        name: "pause",
        title: "Pause tokens",
        summary: "Waits for a few <pause> tokens, then answers.",
        paper: "Goyal et al. 2023, arXiv 2310.02226",
        start: None,
        think: Some(Think {
            feed: Feed::Pause(Marker::Pause),
            greedy: true,
            end: None,
        }),
        settings: &[(Setting::Pauses, 6.0), MAX_ANSWER],
    },
    Strategy {
        name: "coconut",
        title: "Coconut",
        summary: "Thinks in continuous thoughts: its last hidden state is its next input.",
        paper: "Coconut, arXiv 2412.06769",
        start: Some(Marker::Bot),
        think: Some(IN_THOUGHTS),
        settings: &[(Setting::Thoughts, 6.0), MAX_ANSWER],
    },
    Strategy {
        name: "coconut-classifier",
        title: "Coconut, stops itself",
        summary: "Coconut whose own classifier looks at each hidden state and says when to answer.",
        paper: "Coconut, arXiv 2412.06769",
        start: Some(Marker::Bot),
        think: Some(IN_THOUGHTS),
        settings: &[
            (Setting::EndThreshold, 0.5),
            (Setting::MaxThink, 8.0),
            MAX_ANSWER,
        ],
    },
    Strategy {
        name: "ccot",
        title: "CCOT",
        summary: "Thinks in a few contemplation tokens that stand for a whole chain of words, until it says itself that it is done.",
        paper: "CCOT, arXiv 2412.13171",
        start: Some(Marker::ThinkStart),
        think: Some(IN_CONTEMPLATION),
        settings: &[(Setting::EndThreshold, 0.5), MAX_CHAIN, MAX_ANSWER],
    },
    Strategy {
        name: "ccot-fixed",
        title: "CCOT, given length",
        summary: "Control for CCOT: thinks in a given number of contemplation tokens.",
        paper: "Control for arXiv 2412.13171",
        start: Some(Marker::ThinkStart),
        think: Some(IN_CONTEMPLATION),
        settings: &[(Setting::ContemplationTokens, 4.0), MAX_ANSWER],
    },
];
