//! Texts of several tokens: forced before a lane thinks and when it is made to answer, and chosen
//! by the model itself to end its thinking.

use latent_model::{
    chat::ChatTemplate,
    engine::{LaneSpec, ModelCapabilities},
    input::{Feed, Input, NextInput},
    program::{Adapter, MAX_TEXT, Phase, Program, ProgramError, Role, Sampler, Until},
    record::{StepRecord, flag},
    select::{LaneState, StepOutput, select},
    strategy::{Settings, Strategy},
    tokenizer::{TextStream, Thinking, Tokenizer},
    trace::{StepKind, step_kind, summary},
};

const V: usize = 40;
const EOS: u32 = 7;

fn phase(role: Role, until: Until, then_force: &[u32]) -> Phase {
    Phase {
        role,
        feed: Feed::Token,
        sampler: Sampler::GREEDY,
        until,
        then_force: then_force.to_vec(),
        adapter: Adapter::Base,
    }
}

fn program(start: &[u32], until: Until, then_force: &[u32]) -> Program {
    let answer = Until {
        stop_tokens: vec![EOS],
        ..Until::steps(9)
    };
    Program {
        start: start.to_vec(),
        phases: vec![
            phase(Role::Think, until, then_force),
            phase(Role::Answer, answer, &[]),
        ],
    }
}

/// Runs a program on a model that wants to say `wanted`, one token each time that it is asked.
fn walk(program: &Program, wanted: &[u32]) -> Vec<(StepRecord, NextInput)> {
    let spec = LaneSpec {
        inputs: vec![Input::Token(0)],
        program: program.clone(),
        seed: 1,
        stream: 0,
        decode_thoughts: false,
    };
    let mut state = LaneState::new(0, &spec);
    let (mut steps, mut wanted) = (Vec::new(), wanted.iter());
    while !state.done {
        let mut logits = [0.0; V];
        let asked = state.needs_logits(program);
        if asked {
            let token = wanted.next().expect("the program asks for more");
            logits[*token as usize] = 9.0;
        }
        let output = StepOutput {
            logits: asked.then_some(&logits[..]),
            hidden_norm: 1.0,
            end_probability: None,
        };
        steps.push(select(&mut state, program, output));
    }
    assert_eq!(wanted.next(), None, "the program asks for less");
    steps
}

fn fed(steps: &[(StepRecord, NextInput)]) -> Vec<u32> {
    let token = |(_, next): &(StepRecord, NextInput)| match next {
        NextInput::Token(token) => Some(*token),
        _ => None,
    };
    steps.iter().filter_map(token).collect()
}

#[test]
fn a_start_and_an_end_are_fed_token_by_token() {
    let program = program(&[11, 12, 13], Until::steps(2), &[21, 22, 23]);
    // Where it is cut short it is asked, too, and not heard.
    let steps = walk(&program, &[1, 2, 9, 3, EOS]);
    assert_eq!(fed(&steps), [11, 12, 13, 1, 2, 21, 22, 23, 3]);
    let forced: Vec<bool> = steps.iter().map(|(r, _)| r.has(flag::FORCED)).collect();
    let expected = [
        true, true, true, false, false, true, true, true, false, false,
    ];
    assert_eq!(forced, expected);
    let records: Vec<StepRecord> = steps.iter().map(|(record, _)| *record).collect();
    let counted = summary(&records, &program);
    assert_eq!((counted.think_steps, counted.answer_tokens), (2, 1));
    assert_eq!(program.max_positions(), 3 + 2 + 3 + 9);
}

#[test]
fn in_place_of_a_stop_token_that_is_dropped_the_end_is_fed() {
    let until = Until {
        stop_tokens: vec![EOS],
        drops_stop: true,
        ..Until::steps(9)
    };
    let program = program(&[], until, &[21, 22]);
    let steps = walk(&program, &[1, EOS, 3, EOS]);
    assert_eq!(fed(&steps), [1, 21, 22, 3]);
    let stopped = &steps[1].0;
    assert!(stopped.has(flag::STOP | flag::FORCED), "{stopped:?}");
    assert_eq!(stopped.ids[0], EOS, "what was chosen is in the record");
    assert_eq!(step_kind(stopped, &program), StepKind::Stop);
    // Without a text to force, a stop token is fed as ever.
    let mut bare = program.clone();
    bare.phases[0].then_force.clear();
    assert_eq!(fed(&walk(&bare, &[1, EOS, 3, EOS])), [1, EOS, 3]);
}

#[test]
fn a_phase_ends_when_the_newest_tokens_are_its_stop_text() {
    let until = Until {
        stop_text: vec![31, 32, 33],
        stop_tokens: vec![EOS],
        drops_stop: true,
        ..Until::steps(9)
    };
    let program = program(&[], until, &[31, 32, 33]);
    // Begun twice, and once in between; nothing is forced after it.
    let steps = walk(&program, &[31, 32, 31, 31, 32, 33, 3, EOS]);
    assert_eq!(fed(&steps), [31, 32, 31, 31, 32, 33, 3]);
    assert!(steps[5].0.has(flag::STOP) && !steps[5].0.has(flag::FORCED));
    // Another token in between begins it anew, and the end of the turn is no part of it.
    let steps = walk(&program, &[31, 32, 5, 33, EOS, 3, EOS]);
    assert_eq!(fed(&steps), [31, 32, 5, 33, 31, 32, 33, 3]);
}

#[test]
fn texts_that_cannot_be_told_apart_or_do_not_fit_are_refused() {
    let with = |stop_text: &[u32], start: &[u32]| {
        let until = Until {
            stop_text: stop_text.to_vec(),
            ..Until::steps(3)
        };
        program(start, until, &[]).validate(V)
    };
    assert_eq!(with(&[1, 2, 2], &[3; MAX_TEXT]), Ok(()));
    let repeated = ProgramError::RepeatedStart { phase: 0, token: 1 };
    assert_eq!(with(&[1, 2, 1], &[]), Err(repeated));
    let long = with(&[], &[3; MAX_TEXT + 1])
        .expect_err("too long")
        .to_string();
    assert!(long.contains("at most 16 tokens, found 17"), "{long}");
    let unknown = with(&[V as u32], &[])
        .expect_err("no such token")
        .to_string();
    assert!(unknown.contains("token 40"), "{unknown}");
}

/// Every byte is a token; `markers` are tokens of their own.
fn tokenizer(markers: &[&str]) -> Tokenizer {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let hidden = (0..256).filter(|byte| !printable(*byte));
    let bytes = (0..256).filter(|byte| printable(*byte));
    let bytes = bytes.chain((256..).zip(hidden).map(|(code, _)| code));
    let tokens = bytes.map(|code| char::from_u32(code).expect("a character").to_string());
    let mut vocab = serde_json::Map::new();
    for token in tokens {
        let id = vocab.len();
        vocab.insert(token, id.into());
    }
    let added = markers.iter().enumerate().map(|(place, marker)| {
        serde_json::json!({"id": 256 + place, "content": marker, "special": true,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
    });
    let byte_level = serde_json::json!({"type": "ByteLevel", "add_prefix_space": false,
        "trim_offsets": true, "use_regex": true});
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": added.collect::<Vec<_>>(),
        "pre_tokenizer": byte_level, "decoder": byte_level, "post_processor": null,
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    Tokenizer::from_json(&json.to_string()).expect("a tokenizer")
}

fn strategy(tokenizer: &Tokenizer) -> Program {
    let soft = Strategy::by_name("soft").expect("in the table");
    let program = soft.program(
        &Settings::default(),
        tokenizer,
        ModelCapabilities::default(),
    );
    program.expect("every model can think")
}

#[test]
fn a_model_without_markers_thinks_from_its_turn_to_the_answer() {
    let tokenizer = tokenizer(&["<|im_end|>"]).with_end_tokens(vec![256]);
    let program = strategy(&tokenizer);
    let think = &program.phases[0];
    assert!(program.start.is_empty());
    assert_eq!(tokenizer.decode(&think.then_force), "\nThe answer is");
    assert_eq!(
        (&think.until.stop_tokens[..], think.until.drops_stop),
        (&[256][..], true)
    );
    assert_eq!(program.validate(257), Ok(()));
}

#[test]
fn a_model_with_markers_thinks_between_them() {
    let markers = ["<|im_end|>", "<think>", "</think>"];
    let tokenizer = tokenizer(&markers).with_end_tokens(vec![256]);
    let program = strategy(&tokenizer);
    let think = &program.phases[0];
    assert_eq!(
        (&program.start[..], &think.then_force[..]),
        (&[257][..], &[258][..])
    );
    assert_eq!(
        (&think.until.stop_tokens[..], think.until.drops_stop),
        (&[258][..], false)
    );
}

#[test]
fn markers_that_only_the_template_writes_are_texts() {
    let config = r#"{"chat_template": "{{ '<think>' }} … {{ '</think>' }}"}"#;
    let template = ChatTemplate::from_files(Some(config), None).expect("a config");
    let tokenizer = tokenizer(&["<|im_end|>"])
        .with_end_tokens(vec![256])
        .with_chat_template(template.as_ref());
    let thinking = tokenizer.thinking().expect("every byte is known");
    assert!(
        matches!(thinking, Thinking::MarkerTexts { .. }),
        "{thinking:?}"
    );
    let program = strategy(&tokenizer);
    let think = &program.phases[0];
    assert_eq!(tokenizer.decode(&program.start), "<think>");
    assert_eq!(tokenizer.decode(&think.then_force), "</think>");
    assert_eq!(think.until.stop_text, think.then_force);
    assert_eq!(program.validate(257), Ok(()));
}

#[test]
fn a_stream_of_text_never_shows_half_a_character() {
    let tokenizer = tokenizer(&["<|im_end|>"]);
    let text = "a é 🦀\n数 <|im_end|>b";
    let ids = tokenizer.encode(text).expect("every byte is known");
    let mut stream = TextStream::default();
    let pieces: Vec<String> = ids.iter().map(|id| stream.push(&tokenizer, *id)).collect();
    assert_eq!(pieces.concat(), text);
    assert!(!pieces.concat().contains(char::REPLACEMENT_CHARACTER));
    let crab = pieces
        .iter()
        .position(|piece| piece == "🦀")
        .expect("whole");
    assert_eq!(pieces[crab - 3..crab], ["", "", ""]);
    // Bytes that are no character are not waited for for ever.
    let mut stream = TextStream::default();
    let half = ids[crab - 3];
    let pieces: Vec<String> = [half; 5]
        .iter()
        .map(|id| stream.push(&tokenizer, *id))
        .collect();
    assert!(
        pieces.concat().contains(char::REPLACEMENT_CHARACTER),
        "{pieces:?}"
    );
}
