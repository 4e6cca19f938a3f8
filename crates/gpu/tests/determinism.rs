//! Random programs and prompts: the same on both engines, alone and beside others, a step a submit
//! and sixty-four. `LATENT_CASES=1000 cargo nextest run --workspace -E 'binary(determinism)'` runs
//! as many as docs/trust.md reports; without it there are fewer.

mod common;

use latent_gpu::{GpuEngine, kernels::Table};
use latent_model::{
    engine::{LaneSpec, SharedPrefix, run_to_end, shared_prefixes},
    input::{Feed, Input, Tap},
    parity::{forced_differences, is_undecided},
    program::{
        Adapter, ColdStop, EndClassifier, MAX_KEPT, Noise, Phase, Program, Role, Sampler, Until,
    },
    record::StepRecord,
    reference::{Precision, ReferenceEngine},
    rng::{pcg4d, uniform},
};
use pollster::block_on;

/// Cases where none are asked for.
const FEW: u32 = 64;
/// Lanes that run beside each other: a tile of the largest kind.
const BESIDE: usize = 8;

/// What half of the prompts begin with, most of them all.
const COMMON: [u32; 8] = [3, 1, 4, 1, 5, 9, 2, 6];

/// The choices of one case, each from a key of its own.
struct Choices {
    case: u32,
    n_made: u32,
}

impl Choices {
    fn bits(&mut self) -> u32 {
        self.n_made += 1;
        pcg4d([self.case, self.n_made, 0, 77])[0]
    }

    fn below(&mut self, n: usize) -> usize {
        self.bits() as usize % n
    }

    fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * uniform(self.bits())
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn token(&mut self) -> u32 {
        self.below(common::random::config().vocab_size) as u32
    }

    fn tokens(&mut self, most: usize) -> Vec<u32> {
        let n = self.below(most + 1);
        (0..n).map(|_| self.token()).collect()
    }

    fn sampler(&mut self) -> Sampler {
        let noise = match self.below(3) {
            0 => Noise::None,
            1 => Noise::Gumbel {
                tau: self.within(0.05, 5.0),
            },
            _ => Noise::Dirichlet {
                alpha: self.within(0.1, 100.0),
            },
        };
        let (any_t, any_p, any_min) = (
            self.within(0.05, 2.0),
            self.within(0.05, 1.0),
            self.within(0.0, 0.5),
        );
        Sampler {
            temperature: self.one_of(&[0.0, 0.6, 1.0, any_t]),
            top_k: 1 + self.below(MAX_KEPT) as u32,
            top_p: self.one_of(&[1.0, any_p]),
            min_p: self.one_of(&[0.0, any_min]),
            max_concepts: 1 + self.below(MAX_KEPT) as u32,
            noise,
            greedy: self.below(2) == 0,
        }
    }

    fn phase(&mut self, role: Role, feed: Feed) -> Phase {
        let is_answer = role == Role::Answer;
        let patience = 1 + self.below(3) as u32;
        let cold_stop = ColdStop {
            entropy: self.within(0.0, 2.0),
            patience,
        };
        let end = EndClassifier {
            threshold: self.within(0.0, 1.0),
        };
        let adapter = match feed {
            Feed::CONTEMPLATION => Adapter::Generator,
            _ => self.one_of(&Adapter::ALL),
        };
        Phase {
            role,
            feed,
            sampler: self.sampler(),
            until: Until {
                stop_tokens: self.tokens(2),
                drops_stop: self.below(4) == 0,
                cold_stop: (self.below(4) == 0).then_some(cold_stop),
                end_classifier: (!is_answer && self.below(3) == 0).then_some(end),
                ..Until::steps(u32::from(is_answer) + self.below(5) as u32)
            },
            then_force: if is_answer {
                Vec::new()
            } else {
                self.tokens(3)
            },
            adapter,
        }
    }

    /// A prompt, or a run and its forks' beginnings: some of a common text, and what was fed after it.
    fn inputs(&mut self) -> Vec<Input> {
        let mut inputs = match self.below(2) {
            0 => Input::tokens(&self.tokens(7)),
            _ => Input::tokens(&COMMON[..COMMON.len() - self.below(3)]),
        };
        for _ in 0..self.below(3) {
            let some = (self.token(), self.token());
            inputs.push(match self.below(2) {
                0 => Input::Mixture(vec![(some.0, 0.75), (some.1, 0.25)]),
                _ => Input::Vector(vec![0.125; common::random::config().hidden_size]),
            });
        }
        inputs.push(Input::Token(self.token()));
        inputs
    }

    fn lane(&mut self) -> LaneSpec {
        let n_thinking = self.below(4);
        let pause = self.token();
        let feeds = [
            Feed::Token,
            Feed::Concept,
            Feed::THOUGHT,
            Feed::CONTEMPLATION,
            Feed::Hidden { tap: Tap::Layer(1) },
            Feed::Pause(pause),
        ];
        let mut phases: Vec<Phase> = (0..n_thinking)
            .map(|_| {
                let feed = self.one_of(&feeds);
                self.phase(Role::Think, feed)
            })
            .collect();
        phases.push(self.phase(Role::Answer, Feed::Token));
        LaneSpec {
            inputs: self.inputs(),
            program: Program {
                start: self.tokens(3),
                phases,
            },
            seed: self.bits(),
            stream: self.bits(),
            decode_thoughts: self.below(2) == 0,
        }
    }
}

/// Both engines, and how often a choice was one that rounding may turn.
struct Pair {
    gpu: GpuEngine,
    reference: ReferenceEngine,
    n_steps: usize,
    n_undecided: usize,
    /// Lanes that read another's beginning and go their own way behind it.
    n_shared: usize,
}

impl Pair {
    fn forced(&mut self, at: &str, lanes: &[LaneSpec]) {
        let differences = block_on(forced_differences(
            &mut self.gpu,
            &mut self.reference,
            lanes,
        ));
        let differences = differences.unwrap_or_else(|error| panic!("{at}: {error}"));
        for (lane, difference) in lanes.iter().zip(differences) {
            assert_eq!(difference, None, "{at}: {lane:#?}");
        }
    }

    fn free(&mut self, lanes: &[LaneSpec], n_steps: usize) -> Vec<Vec<StepRecord>> {
        block_on(run_to_end(&mut self.gpu, lanes, n_steps, |_| {})).expect("a run")
    }

    /// All that must be the same of lanes that may run beside each other.
    fn check(&mut self, at: &str, lanes: &[LaneSpec]) {
        self.forced(&format!("{at}, side by side"), lanes);
        let prefixes = shared_prefixes(lanes).into_iter().zip(lanes).enumerate();
        let is_shared = |(at, (prefix, lane)): &(usize, (SharedPrefix, &LaneSpec))| {
            prefix.owner != *at && (1..lane.prefilled().len()).contains(&prefix.n)
        };
        self.n_shared += prefixes.filter(is_shared).count();
        for (index, lane) in lanes.iter().enumerate() {
            self.forced(
                &format!("{at} + {index}, alone"),
                std::slice::from_ref(lane),
            );
        }
        // The same to the bit: it is the same work in the same order.
        let whole = self.free(lanes, 64);
        assert_eq!(self.free(lanes, 1), whole, "{at}: a step a submit");
        assert_eq!(self.free(lanes, 64), whole, "{at}: once more");
        let expected = block_on(run_to_end(&mut self.reference, lanes, 64, |_| {}));
        for (lane, records) in lanes.iter().zip(expected.expect("a run")) {
            self.n_steps += records.len();
            let undecided = records.iter().filter(|record| is_undecided(record, lane));
            self.n_undecided += undecided.count();
        }
    }
}

#[test]
fn random_programs_are_the_same_however_they_are_run() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, weights) = common::small();
    let pair = |table: Table| Pair {
        gpu: common::engine(
            &context.with_table(table),
            &(config.clone(), weights.clone()),
        ),
        reference: ReferenceEngine::new(&config, weights.clone(), Precision::Oracle),
        n_steps: 0,
        n_undecided: 0,
        n_shared: 0,
    };
    let mut pairs: Vec<Pair> = context.tables().into_iter().map(pair).collect();
    let n_pairs = pairs.len();
    let n_cases = common::asked("LATENT_CASES", FEW);
    let cases: Vec<u32> = (0..n_cases).collect();
    for (group, cases) in cases.chunks(BESIDE).enumerate() {
        let lane = |&case: &u32| Choices { case, n_made: 0 }.lane();
        let lanes: Vec<LaneSpec> = cases.iter().map(lane).collect();
        // The tables take turns: each has all kinds of programs.
        let pair = &mut pairs[group % n_pairs];
        pair.check(&format!("case {}", cases[0]), &lanes);
    }
    let [n_steps, n_undecided] = [
        pairs.iter().map(|pair| pair.n_steps).sum::<usize>(),
        pairs.iter().map(|pair| pair.n_undecided).sum(),
    ];
    println!("{n_cases} programs, {n_steps} steps, {n_undecided} of them undecided");
    assert!(n_steps > 5 * n_cases as usize, "{n_steps} steps");
    let n_shared: usize = pairs.iter().map(|pair| pair.n_shared).sum();
    assert!(8 * n_shared > n_cases as usize, "{n_shared} read another's");
    assert!(
        n_undecided * 50 < n_steps,
        "{n_undecided} of {n_steps} steps"
    );
}

/// The reference engine gives the same to the bit a step a call and sixty-four, alone and beside
/// others, and where several of them compute at once.
#[test]
fn the_reference_engine_is_the_same_however_it_is_run() {
    let (config, weights) = common::small();
    let lanes: Vec<LaneSpec> = (0..BESIDE as u32)
        .map(|case| Choices { case, n_made: 0 }.lane())
        .collect();
    let run_of = |lanes: &[LaneSpec], n_steps: usize| {
        let mut engine = ReferenceEngine::new(&config, weights.clone(), Precision::Fast);
        block_on(run_to_end(&mut engine, lanes, n_steps, |_| {})).expect("a run")
    };
    let run = || run_of(&lanes, 64);
    let alone = run();
    assert_eq!(run_of(&lanes, 1), alone, "a step a call");
    for (index, lane) in lanes.iter().enumerate() {
        let mut records = run_of(std::slice::from_ref(lane), 64).remove(0);
        for record in &mut records {
            record.lane = index as u32;
        }
        assert_eq!(records, alone[index], "lane {index} by itself");
    }
    std::thread::scope(|scope| {
        let threads = [0; 4].map(|_| scope.spawn(run));
        for thread in threads {
            assert_eq!(thread.join().expect("a run"), alone);
        }
    });
}
