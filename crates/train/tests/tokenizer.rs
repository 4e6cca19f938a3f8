//! The exported tokenizer reads official English as the ids that training uses.

use latent_model::tasks::prosqa::{self, Difficulty, Problem};
use latent_model::tokenizer::{Tokenizer, TokenizerError};

fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(&prosqa::TASK.tokenizer_json().to_string()).expect("the tokenizer loads")
}

#[test]
fn generated_questions_encode_to_the_ids_of_training() {
    let tokenizer = tokenizer();
    for seed in 0..50 {
        let problem = Problem::generate(seed, &Difficulty::CLASS);
        let ids = tokenizer
            .encode(&problem.question())
            .expect("all words are known");
        assert_eq!(ids, problem.encode(), "{}", problem.question());
    }
}

#[test]
fn official_questions_encode_to_the_ids_of_training() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/prosqa_valid.json"
    );
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(_) if std::env::var_os("LATENT_SKIP_OFFICIAL_DATA").is_some() => return,
        Err(error) => panic!("{path}: {error}; LATENT_SKIP_OFFICIAL_DATA=1 goes without it"),
    };
    let tokenizer = tokenizer();
    let loaded = prosqa::TASK
        .load(&text)
        .expect("the official file is consistent");
    for problem in loaded.problems {
        let ids = tokenizer.encode(problem.question());
        let ids = ids.expect("all words are known");
        assert_eq!(Ok(&*ids), problem.encode(), "{}", problem.question());
    }
}

#[test]
fn a_chain_in_english_encodes_to_two_ids_a_step() {
    let text =
        "<think> Tom is a terpus. Every terpus is a brimpus. </think> ### Tom is a brimpus. <eos>";
    let tokenizer = tokenizer();
    let ids = tokenizer.encode(text).expect("all words are known");
    let tokens: Vec<String> = ids.iter().map(|&id| tokenizer.token(id)).collect();
    let expected = "<think> Tom terpus terpus brimpus </think> ### Tom brimpus <eos>";
    assert_eq!(tokens.join(" "), expected);
}

#[test]
fn compact_ids_encode_to_themselves() {
    let tokenizer = tokenizer();
    let ids = tokenizer.encode("Tom terpus terpus brimpus ? Tom brimpus lempus<bot>");
    let tokens: Vec<String> = ids
        .expect("all words are known")
        .iter()
        .map(|&id| tokenizer.token(id))
        .collect();
    assert_eq!(
        tokens.join(" "),
        "Tom terpus terpus brimpus ? Tom brimpus lempus <bot>"
    );
}

#[test]
fn an_unknown_word_is_named() {
    let error = tokenizer()
        .encode("Every dog is a terpus.")
        .expect_err("dog is unknown");
    assert!(
        matches!(&error, TokenizerError::UnknownWord { word, .. } if word == "dog"),
        "{error}"
    );
}
