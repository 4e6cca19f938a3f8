//! What holds for every task: ids, text, seeds, and files.

use std::collections::BTreeSet;

use latent_model::{
    tasks::{
        Difficulty, FileError, Fingerprint, Grade, MARKERS, Problem, TASKS, Task, arithmetic,
        prontoqa, prosqa,
    },
    tokenizer::Tokenizer,
};
use proptest::prelude::*;

fn tokenizer(task: Task) -> Tokenizer {
    Tokenizer::from_json(&task.tokenizer_json().to_string()).expect("the tokenizer loads")
}

/// Every task at every difficulty with this seed.
fn problems(seed: u64) -> impl Iterator<Item = (Task, Problem)> {
    TASKS.iter().flat_map(move |&task| {
        Difficulty::ALL.map(|difficulty| (task, task.generate(seed, difficulty)))
    })
}

#[test]
fn tokens_are_distinct_and_markers_come_last() {
    for &task in TASKS {
        let name = task.name();
        let vocabulary = task.vocabulary();
        let distinct: BTreeSet<&String> = vocabulary.iter().collect();
        assert_eq!(distinct.len(), vocabulary.len(), "{name}");
        let first = task.markers().question as usize;
        assert_eq!(vocabulary[first..], MARKERS.map(String::from), "{name}");
        let markers = task.markers();
        for (id, token) in [
            (markers.answer, "###"),
            (markers.bot, "<bot>"),
            (markers.eot, "<eot>"),
            (markers.pause, "<pause>"),
            (markers.think, "<think>"),
            (markers.end_think, "</think>"),
            (markers.eos, "<eos>"),
            (markers.pad, "<pad>"),
        ] {
            assert_eq!(vocabulary[id as usize], token, "{name}");
        }
        let tokenizer = tokenizer(task);
        for (id, token) in vocabulary.iter().enumerate() {
            assert_eq!(tokenizer.id(token), Some(id as u32), "{name}: {token}");
        }
    }
}

#[test]
fn english_and_token_ids_agree() {
    for &task in TASKS {
        let name = task.name();
        let tokenizer = tokenizer(task);
        let ids = |text: &str| tokenizer.encode(text).expect("all words are known");
        for seed in 0..200 {
            let problem = task.generate(seed, Difficulty::ALL[seed as usize % 2]);
            let question = problem.encode().expect("all words are known");
            assert_eq!(ids(problem.question()), question, "{name} {seed}");
            assert_eq!(
                problem.steps().iter().map(|s| ids(s)).collect::<Vec<_>>(),
                problem.step_tokens(),
                "{name} {seed}"
            );
            assert_eq!(ids(problem.answer()), problem.answer_tokens(), "{name}");
            // What a model says in ids comes back as the same ids from English.
            let markers = task.markers();
            let mut said = vec![markers.think];
            said.extend(problem.step_tokens().concat());
            said.extend([markers.end_think, markers.answer]);
            said.extend(problem.answer_tokens());
            let english = task.render(&tokenizer, &said);
            assert_eq!(ids(&english), said, "{name} {seed}: {english}");
            assert_eq!(problem.grade(&english), Grade::Right, "{english}");
            if task == arithmetic::TASK {
                // GSM8K's own annotations stand without spaces.
                let tight = format!("has{}has###{}", problem.steps().concat(), problem.answer());
                let has = ids("has");
                let mut expected = [has.clone(), problem.step_tokens().concat(), has].concat();
                expected.push(markers.answer);
                expected.extend(problem.answer_tokens());
                assert_eq!(ids(&tight), expected, "{tight}");
            }
            if task != prosqa::TASK {
                let english = task.render(&tokenizer, question);
                assert_eq!(ids(&english), question, "{name} {seed}: {english}");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_problem() {
    for ((_, a), (_, b)) in problems(7).zip(problems(7)) {
        assert_eq!(a, b);
    }
    for ((_, a), (_, b)) in problems(7).zip(problems(8)) {
        assert_ne!(a.question(), b.question());
        assert_ne!(a.fingerprint(), b.fingerprint());
    }
}

/// What the generators gave when they were written. A change here makes every published seed
/// stand for another problem.
#[test]
fn seeds_stand_for_the_problems_they_always_stood_for() {
    let question = |task: Task| task.generate(1, Difficulty::Class).question().to_string();
    assert_eq!(
        question(prontoqa::TASK),
        "Each rompus is moderate. Yimpuses are kerpuses. Kerpuses are sterpuses. Terpuses are \
         yumpuses. Rompuses are terpuses. Yimpuses are not brown. Every terpus is not liquid. \
         Kerpuses are liquid. Polly is a rompus. True or false: Polly is liquid."
    );
    assert_eq!(
        question(arithmetic::TASK),
        "Eva finds 14 coins each day for 8 days. Then Eva gives half of the coins to Tom. Then \
         Eva gets 5 more coins. How many coins does Eva have now?"
    );
}

/// FNV-1a, 64 bits.
fn digest(texts: impl Iterator<Item = String>) -> u64 {
    let bytes = texts.flat_map(|text| (text + "\n").into_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Question, answer, steps and all their ids of the first 50 seeds, at each difficulty.
#[test]
fn the_first_fifty_problems_of_every_task_stay_as_they_are() {
    let expected = [
        ("prosqa", "class", 6970450037823459645),
        ("prosqa", "official", 10834796320922604349),
        ("prontoqa", "class", 4705862034074044957),
        ("prontoqa", "official", 16116686773489853997),
        ("arithmetic", "class", 18316479418528006427),
        ("arithmetic", "official", 16767725366989825973),
    ];
    let mut found = Vec::new();
    for &task in TASKS {
        for difficulty in Difficulty::ALL {
            let texts = (0..50).map(|seed| {
                let problem = task.generate(seed, difficulty);
                let ids = problem.encode().expect("all words are known");
                let steps = (problem.steps().join(" "), problem.step_tokens());
                let answer = (problem.answer(), problem.answer_tokens());
                format!("{} {ids:?} {steps:?} {answer:?}", problem.question())
            });
            found.push((task.name(), difficulty.name(), digest(texts)));
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn a_fingerprint_does_not_see_order_or_form() {
    let print = |text: &str| -> Fingerprint {
        let problem = prontoqa::TASK.read(text).expect("a decided question");
        problem.fingerprint().clone()
    };
    let a = print("Fae is a wumpus. Every wumpus is red. True or false: Fae is red.");
    let b = print("Wumpuses are red. Fae is a wumpus. True or false: Fae is not red.");
    let c = print("Wumpuses are not red. Fae is a wumpus. True or false: Fae is red.");
    assert_eq!(a, b);
    assert_ne!(a, c);
    let print = |text: &str| -> Fingerprint {
        let line = serde_json::json!({"question": text, "answer": "<<1+1=2>> #### 2"});
        let loaded = arithmetic::TASK.load(&line.to_string());
        loaded.expect("a good file").problems[0]
            .fingerprint()
            .clone()
    };
    assert_eq!(print("Tom has 1 pen, 1 egg."), print("tom has 1 Pen 1 egg"));
    assert_ne!(print("Tom has 1 pen."), print("Tom has 2 pen."));
}

#[test]
fn names_are_found_again() {
    for &task in TASKS {
        assert_eq!(task.name().parse(), Ok(task));
        let json = serde_json::to_string(&task).expect("a name");
        assert_eq!(json, format!("{:?}", task.name()));
        let read: Task = serde_json::from_str(&json).expect("a task's name");
        assert_eq!(read, task);
        assert_eq!(task.generate(0, Difficulty::Class).task(), task);
    }
    for difficulty in Difficulty::ALL {
        assert_eq!(difficulty.name().parse(), Ok(difficulty));
    }
    let error = "chess".parse::<Task>().expect_err("no such task");
    assert!(error.to_string().contains("prontoqa"), "{error}");
}

#[test]
fn what_cannot_be_read_is_refused_with_the_formats_that_can() {
    for task in TASKS {
        for (text, found) in [
            ("nonsense", "\"nonsense\""),
            ("\u{feff}\r\n", "empty"),
            ("[{\"question\": ", "EOF"),
        ] {
            let error = task.load(text).expect_err("no file");
            assert!(matches!(error, FileError::Format { .. }), "{error:?}");
            let message = error.to_string();
            assert!(message.contains(task.title()), "{message}");
            assert!(message.contains(found), "{message}");
            for format in task.formats() {
                assert!(message.contains(format.name), "{message}");
            }
            // A caller that prints the chain of causes says nothing twice.
            assert!(std::error::Error::source(&error).is_none());
        }
    }
}

/// The formats of `shared/cases`, whose files stand here in short.
mod formats {
    use super::*;

    const PROSQA_3_KEYS: &str = r#"[{"question": "Tom is a terpus. Every terpus is a zumpus. Every
        zumpus is a numpus. Bob is a gerpus. Every gerpus is a lempus. Is Tom a numpus or
        lempus?", "answer": "Tom is a numpus.", "steps": ["Tom is a terpus.",
        "Every terpus is a zumpus.", "Every zumpus is a numpus."]}]"#;
    const ICOT: &str = "How many pens?||<<8+7=15>> #### 15\n\
                        How many caps?||<<8+7=15>> <<15*2=30>> #### 30\n";
    const GSM_3_KEYS: &str = r#"[{"question": "How many caps?", "answer": "30",
        "steps": ["<<8+7=15>>", "<<15*2=30>>"]}]"#;
    const GSM8K: &str = "{\"question\": \"How many pens?\", \
                         \"answer\": \"8 + 7 = <<8+7=15>>15\\n#### 15\"}\n";
    const PRONTOQA: &str = r#"{"example1": {"test_example": {"question":
        "Wumpuses are red. Max is a wumpus.", "query": "True or false: Max is red.",
        "answer": "True"}}}"#;

    /// A file of every format.
    const FILES: [(Task, &str); 5] = [
        (prosqa::TASK, PROSQA_3_KEYS),
        (arithmetic::TASK, ICOT),
        (arithmetic::TASK, GSM_3_KEYS),
        (arithmetic::TASK, GSM8K),
        (prontoqa::TASK, PRONTOQA),
    ];

    fn load(task: Task, text: &str) -> Vec<Problem> {
        let loaded = task.load(&text.replace("\n        ", " "));
        loaded.expect("a good file").problems
    }

    #[test]
    fn formats_that_the_papers_own_repositories_use() {
        let prosqa = &load(prosqa::TASK, PROSQA_3_KEYS)[0];
        assert_eq!(prosqa.answer(), "Tom is a numpus.");
        assert_eq!(prosqa.steps().len(), 3);
        let icot = load(arithmetic::TASK, ICOT);
        assert_eq!(icot.len(), 2);
        assert_eq!(icot[1].question(), "How many caps?");
        assert_eq!(icot[1].steps(), ["<<8+7=15>>", "<<15*2=30>>"]);
        assert_eq!(icot[1].answer(), "30");
        assert_eq!(load(arithmetic::TASK, GSM_3_KEYS)[0], icot[1]);
        assert_eq!(load(arithmetic::TASK, GSM8K)[0], icot[0]);
        assert_eq!(load(prontoqa::TASK, PRONTOQA)[0].answer(), "True");
    }

    #[test]
    fn text_from_other_systems() {
        for (task, text) in FILES {
            let windows = text.replace("\n        ", " ").replace('\n', "\r\n");
            let loaded = task.load(&format!("\u{feff}{windows}"));
            let problems = loaded.expect("a good file").problems;
            assert_eq!(problems, load(task, text), "{}", task.name());
        }
    }

    /// The lines of `gsm8k_odd.jsonl`: what is odd, its annotation, its answer, and why it is left
    /// out.
    const ODD: [(&str, &str, &str, Option<&str>); 12] = [
        ("plain", "<<8+7=15>>15", "15", None),
        ("leading plus", "<<+7=7>>7, <<8+7=15>>15", "15", None),
        ("integer as .00", "$<<8+7=15.00>>15.00", "15", None),
        ("comma", "<<1,000+24=1,024>>", "1,024", None),
        ("negative", "<<8-15=-7>>", "-7", None),
        ("leading dot", "<<.5*8=4>>", "4", Some("not whole")),
        ("percent", "<<50%*8=4>>", "4", Some("percentage")),
        (
            "two equal signs",
            "<<8+7=7+8=15>>",
            "15",
            Some("more than one ="),
        ),
        (
            "no annotation",
            "8 and 7 are 15.",
            "15",
            Some("without an annotation"),
        ),
        ("dollar in answer", "<<8+7=15>>", "$15", Some("currency")),
        (
            "decimal answer",
            "<<8+7=15>>",
            "15.0",
            Some("not written as a whole"),
        ),
        ("line separator", "<<8+7=15>>15\u{2028}done", "15", None),
    ];

    #[test]
    fn odd_lines_of_gsm8k() {
        let line = |(note, solution, answer, _): (&str, &str, &str, Option<&str>)| {
            let answer = format!("{solution}\n#### {answer}");
            serde_json::json!({"note": note, "question": "How many pens?", "answer": answer})
                .to_string()
        };
        let text = ODD.map(line).join("\n") + "\r\n";
        let loaded = arithmetic::TASK.load(&text).expect("a good file");
        assert_eq!(loaded.problems.len(), 6);
        assert_eq!(loaded.problems[1].steps(), ["<<7=7>>", "<<8+7=15>>"]);
        let lines = (1..).zip(ODD);
        let left_out: Vec<_> = lines.filter(|(_, odd)| odd.3.is_some()).collect();
        assert_eq!(loaded.skipped.len(), left_out.len());
        for (skipped, (line, (note, .., reason))) in loaded.skipped.iter().zip(left_out) {
            assert_eq!(skipped.place, format!("line {line}"), "{note}");
            let expected = reason.expect("a reason");
            assert!(
                skipped.reason.contains(expected),
                "{note}: {}",
                skipped.reason
            );
        }
        // Each of them has a reason of its own.
        assert_eq!(loaded.reasons().len(), 6, "{:?}", loaded.reasons());
    }
}

#[test]
fn what_people_type_is_the_prompt_that_the_model_gets() {
    for task in [prosqa::TASK, prontoqa::TASK] {
        let tokenizer = tokenizer(task);
        for seed in 0..20 {
            let drawn = task.generate(seed, Difficulty::Class);
            let question = drawn.question();
            let last = question.len() - 1;
            for typed in [
                format!("{} {}", &question[..last], &question[last..]),
                question.to_lowercase(),
                question.to_uppercase(),
                question.replace(". ", ".\r\n\r\n"),
                format!("\u{feff}  {question}\n"),
            ] {
                let read = task.read(&typed);
                let read = read.unwrap_or_else(|error| panic!("{typed}: {error}"));
                assert_eq!(read.question(), question, "{typed}");
                assert_eq!(
                    tokenizer.encode(read.question()).ok().as_deref(),
                    read.encode().ok()
                );
                assert_eq!(read.encode(), drawn.encode());
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_is_too_bad_to_be_read(
        text in r#"((Every|Each|Fae|wumpus|Wumpuses|is|are|a|not|red|True or false:|\.|<<|>>|=|1|###|\{|\}|"|é|[[:^cntrl:]]{0,3}) ?){0,30}"#
    ) {
        for task in TASKS {
            let _ = (task.load(&text), task.read(&text));
            let _ = task.generate(0, Difficulty::Class).grade(&text);
        }
        let _ = arithmetic::evaluate(&text);
        let line = serde_json::json!({"question": text, "answer": text}).to_string();
        if let Ok(loaded) = arithmetic::TASK.load(&line) {
            for problem in loaded.problems {
                let _ = (problem.encode(), problem.step_tokens(), problem.fingerprint());
            }
        }
        let pieces = arithmetic::pieces(&text);
        let squeezed: String = text.split_whitespace().collect();
        prop_assert_eq!(pieces.concat(), squeezed);
    }
}
