//! An evaluation gives the same wherever it is cut, and on the problems that their seeds name.

mod common;

use latent_model::{
    config::ModelConfig,
    evaluation::{Evaluator, Trials, evaluate, generated_problems},
    reference::{Precision, ReferenceEngine},
    strategy::{Settings, Strategy},
    tasks::{Difficulty, Problem, TASKS, prosqa},
    tokenizer::Tokenizer,
};

/// A random model that can read ProsQA, whatever it then says.
fn engine() -> (ReferenceEngine, Tokenizer) {
    let json = prosqa::TASK.tokenizer_json().to_string();
    let tokenizer = Tokenizer::from_json(&json).expect("the task's own");
    let config = ModelConfig {
        vocab_size: prosqa::TASK.vocabulary().len(),
        max_position_embeddings: 160,
        ..common::config()
    };
    let weights = common::weights(&config);
    let engine = ReferenceEngine::new(&config, weights, Precision::Fast);
    (engine, tokenizer)
}

#[test]
fn an_evaluation_is_the_same_wherever_it_is_cut() {
    let (mut engine, tokenizer) = engine();
    let strategy = Strategy::by_name("token-cot-sampled").expect("in the table");
    let settings = Settings::parse(strategy, ["temperature=1"]).expect("its own");
    let program = strategy.program(&settings, &tokenizer, Default::default());
    let mut program = program.expect("words need no parts");
    for phase in &mut program.phases {
        phase.until.max_steps = 6;
    }
    let problems = generated_problems(prosqa::TASK, Difficulty::Class, 3, 5);
    let trials = Trials {
        program: &program,
        problems: &problems,
        samples: 2,
        seed: 7,
    };
    let whole = pollster::block_on(evaluate(&mut engine, &tokenizer, trials, |_, _| {}));
    let whole = whole.expect("they fit");
    let mut cut = Evaluator::new(&tokenizer, trials).expect("it can read them");
    assert!(cut.evaluation().is_none());
    for n_runs in [1, 2, 4, 99] {
        let advanced = pollster::block_on(cut.advance(&mut engine, &tokenizer, n_runs));
        advanced.expect("they fit");
    }
    assert_eq!((cut.n_done(), cut.n_runs()), (10, 10));
    let found = cut.evaluation().expect("it has run");
    assert_eq!(format!("{found:?}"), format!("{whole:?}"));
    assert!(found.mean_think_steps > 0.0, "{found:?}");
}

#[test]
fn the_ith_problem_is_that_of_the_seed_so_many_further_on() {
    for &task in TASKS {
        let found = generated_problems(task, Difficulty::Class, u64::MAX, 3);
        let expected: Vec<Problem> = [u64::MAX, 0, 1]
            .map(|seed| task.generate(seed, Difficulty::Class))
            .into();
        assert_eq!(found, expected);
    }
}
