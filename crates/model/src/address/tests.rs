//! What is written is read again, and what cannot be read says why.

use proptest::{prelude::*, strategy::Strategy as Values};

use super::*;
use crate::strategy::{COMPOSED, Composition, Part, PartKind, STRATEGIES, Strategy};

fn any_problem() -> impl Values<Value = ProblemChoice> {
    prop_oneof![
        any::<u64>().prop_map(|seed| ProblemChoice::Drawn {
            difficulty: Difficulty::Official,
            seed
        }),
        any::<usize>().prop_map(ProblemChoice::Example),
        any::<String>().prop_map(ProblemChoice::Typed),
        any::<String>().prop_map(ProblemChoice::Said),
        // Much that means something in an address.
        "[%25aF&=+;:,.#? ]{0,12}".prop_map(ProblemChoice::Typed),
    ]
}

fn any_lane() -> impl Values<Value = LaneChoice> {
    let strategy = 0..STRATEGIES.len();
    let model = "[a-zA-Z0-9ü%25&=+;:,.#?/_-]{1,12}";
    (model, strategy, 0.0..1.0_f32, any::<bool>()).prop_map(|(model, strategy, at, set)| {
        let mut lane = LaneChoice::new(&model, &STRATEGIES[strategy]);
        for (setting, _) in lane.strategy.settings.iter().filter(|_| set) {
            let spec = setting.spec();
            let (low, high) = spec.range;
            let value = low + at * (high - low);
            let value = if spec.step >= 1.0 {
                value.round()
            } else {
                value
            };
            lane.settings.set(*setting, value);
        }
        lane
    })
}

/// A lane that was composed, changed on its way or forked.
fn any_treated_lane() -> impl Values<Value = LaneChoice> {
    let part = (0..PartKind::ALL.len(), 1..=72_u32).prop_map(|(kind, steps)| Part {
        kind: PartKind::ALL[kind],
        steps,
    });
    let composition = ("[a-zü %,;=.-]{0,8}", prop::collection::vec(part, 0..=4))
        .prop_map(|(name, parts)| Composition { name, parts });
    let size = || (0..=400_u32).prop_map(|quarters| quarters as f32 / 4.0);
    let kind = prop_oneof![
        Just(ChangeKind::Zero),
        Just(ChangeKind::Freeze),
        Just(ChangeKind::Nearest),
        (size(), any::<u32>()).prop_map(|(relative, seed)| ChangeKind::Noise(relative, seed)),
        any::<u32>().prop_map(ChangeKind::Shuffle),
        any::<u32>().prop_map(ChangeKind::Force),
        (1..9_usize).prop_map(ChangeKind::Swap),
        (any::<bool>(), any::<u64>()).prop_map(|(is_class, seed)| {
            let difficulty = if is_class {
                Difficulty::Class
            } else {
                Difficulty::Official
            };
            ChangeKind::SwapProblem(difficulty, seed)
        }),
        prop::collection::vec((any::<u32>(), size()), 1..5).prop_map(ChangeKind::Mix),
    ];
    let change = (any::<u32>(), kind).prop_map(|(step, kind)| ChangeChoice { step, kind });
    let fork = (1..9_usize, any::<u32>(), any::<bool>());
    let fork = fork.prop_map(|(lane, step, answers)| ForkChoice {
        lane,
        step,
        answers,
    });
    (
        any_lane(),
        prop::option::of(composition),
        prop::collection::vec(change, 0..3),
        prop::option::of(fork),
    )
        .prop_map(|(lane, composition, changes, fork)| {
            let lane = match composition {
                Some(_) => LaneChoice::new(&lane.model, &COMPOSED),
                None => lane,
            };
            LaneChoice {
                composition,
                changes,
                fork,
                ..lane
            }
        })
}

fn any_shown() -> impl Values<Value = Shown> {
    let number = || prop::option::of(1..40_usize);
    let of_visitor = || prop::option::of(any::<bool>());
    (
        prop::option::of(any::<u32>()),
        (number(), number()),
        (of_visitor(), of_visitor()),
        prop::option::of(prop_oneof![Just(Language::English), Just(Language::German)]),
        any::<[bool; 8]>(),
        prop::option::of((any::<bool>(), 1..500_usize, 1..20_usize, any::<bool>())),
    )
        .prop_map(
            |(step, (shade, chapter), (is_large, is_dark), language, switches, arena)| {
                let [
                    by_arrival,
                    shows_analysis,
                    hides_answers,
                    predicts_first,
                    hides_controls,
                    fills_screen,
                    is_embedded,
                    runs_at_once,
                ] = switches;
                let arena = arena.map(|(is_class, n, samples, sweeps)| ArenaChoice {
                    difficulty: match is_class {
                        true => Difficulty::Class,
                        false => Difficulty::Official,
                    },
                    n,
                    samples,
                    sweeps,
                });
                Shown {
                    arena,
                    shows_analysis,
                    step,
                    shade,
                    by_arrival,
                    chapter,
                    is_large,
                    is_dark,
                    language,
                    hides_answers,
                    predicts_first,
                    hides_controls,
                    fills_screen,
                    is_embedded,
                    runs_at_once,
                }
            },
        )
}

pub(super) fn any_address() -> impl Values<Value = Address> {
    let speed = prop_oneof![Just(Speed::Max), (1..=1000_u32).prop_map(Speed::PerSecond)];
    let engine = prop_oneof![
        Just(EngineChoice::Auto),
        Just(EngineChoice::Gpu),
        Just(EngineChoice::Reference)
    ];
    (
        0..TASKS.len(),
        prop::option::of(any_problem()),
        prop::option::of(prop::collection::vec(
            prop_oneof![any_lane(), any_treated_lane()],
            0..9,
        )),
        prop::option::of(any::<u32>()),
        prop::option::of(speed),
        prop::option::of(engine),
        prop::option::of("[a-z]{1,4}(/[a-zü -]{1,4}){0,2}"),
        any_shown(),
    )
        .prop_map(
            |(task, problem, lanes, seed, speed, engine, play, shown)| Address {
                task: TASKS[task],
                problem,
                lanes,
                seed,
                speed,
                engine,
                play,
                shown,
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(address in any_address()) {
        let written = address.to_string();
        let found: Address = written
            .parse()
            .map_err(|e: AddressError| TestCaseError::fail(format!("{written}: {e}")))?;
        prop_assert_eq!(found, address, "{}", written);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = text.parse::<Address>();
    }
}

fn read(text: &str) -> Address {
    text.parse()
        .unwrap_or_else(|e: AddressError| panic!("{text}: {e}"))
}

#[test]
fn an_empty_address_names_nothing() {
    for empty in ["", "#", "#&"] {
        assert_eq!(read(empty), Address::default());
    }
}

#[test]
fn an_address_of_the_first_version_is_of_the_first_task_and_is_written_as_it_was() {
    let old = "problem=class:13&lanes=prosqa-coconut:coconut,thoughts=2&seed=1&speed=max";
    assert_eq!(read(old).task, crate::tasks::prosqa::TASK);
    assert_eq!(read(old).to_string(), old);
}

#[test]
fn the_task_comes_first_wherever_it_stood() {
    let address = read("seed=3&task=prontoqa&engine=reference");
    assert_eq!(address.to_string(), "task=prontoqa&seed=3&engine=reference");
}

#[test]
fn errors_name_what_was_expected_and_found() {
    let error = |text: &str| text.parse::<Address>().expect_err(text).to_string();
    assert!(error("task=sudoku").contains("\"sudoku\"; there are: prosqa, prontoqa"));
    assert!(error("seed=x").contains("whole number"));
    assert!(error("sead=1").contains("task, problem, lanes, seed"));
    assert!(error("seed").contains("key=value"));
    assert!(error("shade=0").contains("from 1 on"));
    assert!(error("theme=blue").contains("light or dark"));
    assert!(error("run=1").contains("no or yes"));
    assert!(error("paint=blue").contains("share or arrival"));
    assert!(error("answers=no").contains("shown or hidden"));
    assert!(error("lang=fr").contains("en or de"));
    assert!(error("engine=fast").contains("auto, gpu or reference"));
    // A recording is a file of the page's own, wherever the link was found.
    for elsewhere in ["https%3A%2F%2Fhost%2Fa", "%2Fetc%2Fa", "..%2Fa", "a%3Fb"] {
        let text = error(&format!("play={elsewhere}"));
        assert!(text.contains("beside the page"), "{text}");
    }
    assert!(error("speed=0").contains("1 to 1000"));
    assert!(error("problem=clas:1").contains("\"clas\"; there are: class, official"));
    assert!(error("problem=class:-1").contains("class:SEED"));
    assert!(error("lanes=a:sofd").contains("soft-gumbel"));
    assert!(error("lanes=:soft").contains("checkpoint:strategy"));
    assert!(error("lanes=a:soft,patience=3").contains("max_concepts"));
    assert!(error("lanes=b:soft;a:soft,thoughts=3").contains("lane 2"));
    assert!(error("lanes=a:coconut,thoughts=13").contains("0 ..= 12"));
    assert!(error("lanes=a:soft,temperature=NaN").contains("temperature"));
    assert!(error("lanes=a:compose,parts=hopes-3").contains("KIND-STEPS"));
    assert!(error("lanes=a:soft,at=5-melt").contains("5-zero"));
    assert!(error("lanes=a:soft,from=0-5").contains("LANE-STEP"));
    assert!(error("lanes=a:soft,parts=words-3").contains("key=value with a number"));
    // Escaped on the way, and wrong all the same: the error is of what was meant.
    assert!(error("lanes%3Da%3Asofd").contains("soft-gumbel"));
}

#[test]
fn a_lane_that_goes_takes_what_looked_at_it_and_the_rest_moves_up() {
    let lanes = "lanes=a:soft,at=1-swap-2,at=3-swap-3,at=4-zero,from=3-1;a:soft,from=2-1";
    let lanes = read(lanes).lanes.expect("two");
    let without: Vec<String> = lanes
        .into_iter()
        .map(|lane| lane.without_lane(2).to_string())
        .collect();
    assert_eq!(without, ["a:soft,at=3-swap-2,at=4-zero,from=2-1", "a:soft"]);
}

#[test]
fn a_setting_at_its_default_is_left_out() {
    let strategy = Strategy::by_name("soft").expect("in the table");
    let plain = LaneChoice::new("a", strategy);
    let mut lane = plain.clone();
    let (setting, default) = strategy.settings[0];
    lane.settings.set(setting, default);
    assert_eq!(lane.normalised(), plain);
}
