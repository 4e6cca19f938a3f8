//! The select stage against its CPU twin, step by step, on random logits.

mod common;

use common::twins::THREADS;
use latent_gpu::{
    GpuContext,
    kernels::{DISTRIBUTION, Pipeline, RING_STEPS, SELECT, Shape, parts_of},
    layout::{Lane, Part, Row, RowInput, RowState, phase_table},
};
use latent_model::{
    engine::LaneSpec,
    input::{Feed, Input, NextInput, Tap},
    program::{
        Adapter, ColdStop, EndClassifier, MAX_KEPT, MAX_STOP_TOKENS, MAX_TEXT, Noise, Phase,
        Program, Role, Sampler, Until,
    },
    record::{StepRecord, flag},
    select::{LaneState, StepOutput, select},
};

/// A run's blocks of hidden states: two phases below feed the second one.
const TAPS: [Tap; 3] = [Tap::FinalNorm, Tap::Layer(3), Tap::Contemplation];
/// Random numbers pass through `ln` and `cos`, and Gumbel noise is divided by tau.
const TOLERANCE: f32 = 5e-4;

fn sampler() -> Sampler {
    Sampler {
        temperature: 0.7,
        top_k: 20,
        top_p: 0.9,
        min_p: 0.02,
        max_concepts: 6,
        noise: Noise::None,
        greedy: false,
    }
}

fn thinking(feed: Feed, sampler: Sampler) -> Phase {
    Phase {
        then_force: vec![0],
        ..common::phase(Role::Think, feed, sampler, 5)
    }
}

fn program(start: Option<u32>, think: Vec<Phase>) -> Program {
    let mut phases = think;
    phases.push(common::phase(Role::Answer, Feed::Token, Sampler::GREEDY, 3));
    let start = start.into_iter().collect();
    Program { start, phases }
}

/// The phases of CCOT: each under weights of its own.
fn contemplating(start: Option<u32>, max_steps: u32, forces: bool) -> Program {
    let mut program = program(start, vec![thinking(Feed::CONTEMPLATION, Sampler::GREEDY)]);
    let adapters = [Adapter::Generator, Adapter::Decoder];
    for (phase, adapter) in program.phases.iter_mut().zip(adapters) {
        phase.adapter = adapter;
    }
    program.phases[0].until = Until::steps(max_steps);
    if !forces {
        program.phases[0].then_force.clear();
    }
    program
}

fn cold(mut phase: Phase, entropy: f32, patience: u32) -> Phase {
    phase.until.cold_stop = Some(ColdStop { entropy, patience });
    phase
}

fn classified(mut phase: Phase, threshold: f32) -> Phase {
    phase.until.end_classifier = Some(EndClassifier { threshold });
    phase
}

/// Programs that take every branch of the select stage.
fn programs() -> Vec<Program> {
    let noisy = |noise| Sampler { noise, ..sampler() };
    let zero = Sampler {
        temperature: 0.0,
        ..sampler()
    };
    let wide = Sampler {
        top_k: MAX_KEPT as u32,
        top_p: 1.0,
        min_p: 0.0,
        max_concepts: MAX_KEPT as u32,
        ..sampler()
    };
    let unforced = |phase: Phase| Phase {
        then_force: Vec::new(),
        ..phase
    };
    let mut stopping = thinking(Feed::Concept, sampler());
    // Token 0 is often the most probable one: see `logits`.
    stopping.until.stop_tokens = vec![0];
    // The last of as many as there may be; the others are never chosen.
    let mut stopping_last = thinking(Feed::Token, sampler());
    stopping_last.until.stop_tokens = [vec![4; MAX_STOP_TOKENS - 1], vec![0]].concat();
    // Texts: a start, an end that is forced, one in place of a stop token, one that is chosen.
    let spoken = |think: Phase| Program {
        start: (1..=MAX_TEXT as u32).collect(),
        ..program(
            None,
            vec![Phase {
                then_force: vec![3, 1, 2],
                ..think
            }],
        )
    };
    let mut dropping = thinking(Feed::Concept, sampler());
    dropping.until.stop_tokens = vec![0, 7];
    dropping.until.drops_stop = true;
    let mut writing = thinking(Feed::Token, sampler());
    writing.until.stop_text = vec![7, 0, 0];
    writing.until.max_steps = 40;
    let mut writing_one = thinking(Feed::Concept, sampler());
    writing_one.until.stop_text = vec![0];
    let mut guarded = program(Some(0), vec![]);
    guarded.phases[0] = cold(guarded.phases[0].clone(), 100.0, 2);
    vec![
        program(None, vec![]),
        program(Some(0), vec![thinking(Feed::Token, Sampler::GREEDY)]),
        program(None, vec![thinking(Feed::Token, sampler())]),
        program(None, vec![thinking(Feed::Token, zero)]),
        program(None, vec![thinking(Feed::Concept, zero)]),
        program(None, vec![thinking(Feed::Concept, sampler())]),
        program(None, vec![thinking(Feed::Concept, wide)]),
        program(None, vec![stopping]),
        program(None, vec![stopping_last]),
        program(
            None,
            vec![thinking(Feed::Concept, noisy(Noise::Gumbel { tau: 0.5 }))],
        ),
        program(
            None,
            vec![thinking(
                Feed::Concept,
                noisy(Noise::Dirichlet { alpha: 2.0 }),
            )],
        ),
        contemplating(Some(0), 3, true),
        contemplating(None, 0, false),
        program(Some(0), vec![thinking(Feed::THOUGHT, Sampler::GREEDY)]),
        program(
            None,
            vec![thinking(Feed::Hidden { tap: TAPS[1] }, Sampler::GREEDY)],
        ),
        program(None, vec![unforced(thinking(Feed::THOUGHT, sampler()))]),
        program(None, vec![thinking(Feed::Pause(0), Sampler::GREEDY)]),
        program(
            None,
            vec![unforced(thinking(Feed::Pause(0), Sampler::GREEDY))],
        ),
        program(
            None,
            vec![cold(thinking(Feed::Concept, sampler()), 100.0, 3)],
        ),
        program(
            None,
            vec![unforced(cold(thinking(Feed::Token, sampler()), 100.0, 2))],
        ),
        program(None, vec![cold(thinking(Feed::Concept, sampler()), 1.5, 1)]),
        program(
            None,
            vec![
                common::phase(Role::Think, Feed::THOUGHT, sampler(), 0),
                common::phase(Role::Think, Feed::Pause(0), sampler(), 2),
                unforced(thinking(Feed::THOUGHT, sampler())),
                thinking(Feed::Concept, sampler()),
            ],
        ),
        guarded,
        spoken(thinking(Feed::THOUGHT, Sampler::GREEDY)),
        spoken(cold(thinking(Feed::Concept, sampler()), 100.0, 2)),
        spoken(dropping.clone()),
        program(None, vec![dropping]),
        spoken(writing.clone()),
        program(None, vec![unforced(writing)]),
        spoken(writing_one),
        program(
            Some(0),
            vec![classified(thinking(Feed::THOUGHT, sampler()), 0.8)],
        ),
        // The classifier says which of two temperatures the distribution has.
        program(
            None,
            vec![classified(
                unforced(thinking(Feed::THOUGHT, sampler())),
                0.8,
            )],
        ),
        program(
            None,
            vec![
                classified(unforced(thinking(Feed::Pause(0), sampler())), 0.8),
                common::phase(Role::Think, Feed::THOUGHT, sampler(), 0),
                classified(thinking(Feed::Concept, sampler()), 0.8),
                classified(thinking(Feed::Token, sampler()), 0.8),
            ],
        ),
        program(
            None,
            vec![classified(thinking(Feed::THOUGHT, sampler()), 0.0)],
        ),
        program(
            None,
            vec![classified(thinking(Feed::THOUGHT, sampler()), 1.0)],
        ),
    ]
}

/// A few logits stand out, as a trained model's do; the first one most often.
fn logits(seed: u32, vocab_size: usize) -> Vec<f32> {
    let mut logits = common::noise(seed, vocab_size);
    logits[0] += 2.5;
    logits.iter_mut().step_by(7).for_each(|z| *z += 2.0);
    logits
}

/// The two kernels at one size.
struct Pipelines {
    distribution: Pipeline,
    select: Pipeline,
    n_parts: u32,
}

impl Pipelines {
    fn new(context: &GpuContext, vocab_size: usize, threads: u32) -> Self {
        let n_parts = parts_of(vocab_size, threads);
        let constants = [("VOCAB_SIZE", vocab_size as f64)];
        let distribution = DISTRIBUTION.pipeline(context, threads, &constants);
        let constants = [
            ("N_PARTS", f64::from(n_parts)),
            ("RING_STEPS", f64::from(RING_STEPS)),
        ];
        let select = SELECT.pipeline(context, threads, &constants);
        Self {
            distribution: distribution.expect("a shape that runs"),
            select: select.expect("a shape that runs"),
            n_parts,
        }
    }
}

/// The buffers of one lane on the device.
struct Bench {
    context: GpuContext,
    rows: wgpu::Buffer,
    lanes: wgpu::Buffer,
    phases: wgpu::Buffer,
    states: wgpu::Buffer,
    logits: wgpu::Buffer,
    parts: wgpu::Buffer,
    inputs: wgpu::Buffer,
    records: wgpu::Buffer,
}

impl Bench {
    /// `commits` is 0 for a row that only looks.
    fn new(
        context: &GpuContext,
        spec: &LaneSpec,
        vocab_size: usize,
        n_parts: u32,
        commits: u32,
    ) -> Self {
        let state = LaneState::new(0, spec);
        let wants_logits = state.wants_logits(&spec.program, spec.decode_thoughts);
        let row = Row {
            position: state.position,
            live: 1,
            commits,
            base: 100,
            wants_logits: wants_logits.into(),
            ..Row::default()
        };
        let part: Part = bytemuck::Zeroable::zeroed();
        let input = RowInput::new(&Input::Token(0));
        let records = vec![bytemuck::Zeroable::zeroed(); RING_STEPS as usize];
        Self {
            rows: common::buffer(context, &[row]),
            lanes: common::buffer(context, &[Lane::new(spec, &state, 0)]),
            phases: common::buffer(context, &phase_table(&spec.program, &TAPS)),
            states: common::buffer(context, &[0.0_f32; 2]),
            logits: common::buffer(context, &vec![0.0_f32; vocab_size.next_multiple_of(4)]),
            parts: common::buffer(context, &vec![part; n_parts as usize]),
            inputs: common::buffer(context, &[input]),
            records: common::buffer::<StepRecord>(context, &records),
            context: context.clone(),
        }
    }

    /// One step: the record, the lane's row, and what it is fed next.
    fn step(
        &self,
        pipelines: &Pipelines,
        step: usize,
        logits: &[f32],
        state: RowState,
    ) -> (StepRecord, Row, RowInput) {
        let queue = self.context.queue();
        queue.write_buffer(&self.logits, 0, bytemuck::cast_slice(logits));
        queue.write_buffer(&self.states, 0, bytemuck::bytes_of(&state));
        let (rows, lanes, phases, states) = (&self.rows, &self.lanes, &self.phases, &self.states);
        let (logits, parts) = (&self.logits, &self.parts);
        common::dispatch(
            &self.context,
            &pipelines.distribution,
            &[rows, lanes, phases, states, logits, parts],
            [pipelines.n_parts, 1],
        );
        common::dispatch(
            &self.context,
            &pipelines.select,
            &[
                rows,
                lanes,
                phases,
                states,
                parts,
                &self.inputs,
                &self.records,
            ],
            [1, 1],
        );
        let read = [&self.records, &self.rows, &self.inputs];
        let [records, rows, inputs] = common::bytes_of(&self.context, read);
        let record = &records[step * size_of::<StepRecord>()..][..size_of::<StepRecord>()];
        (
            bytemuck::pod_read_unaligned(record),
            bytemuck::pod_read_unaligned(&rows[..size_of::<Row>()]),
            bytemuck::pod_read_unaligned(&inputs[..size_of::<RowInput>()]),
        )
    }
}

fn assert_near(at: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{at}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = TOLERANCE * expected.abs().max(1.0);
        let difference = (found - expected).abs();
        assert!(
            difference <= allowed,
            "{at}, element {i}: {found}, expected {expected}"
        );
    }
}

fn assert_same_record(at: &str, found: &StepRecord, expected: &StepRecord) {
    assert_near(&format!("{at}: probs"), &found.probs, &expected.probs);
    assert_near(&format!("{at}: weights"), &found.weights, &expected.weights);
    let numbers = |record: &StepRecord| {
        [
            record.entropy,
            record.raw_entropy,
            record.hidden_norm,
            record.end_probability,
        ]
    };
    assert_near(
        &format!("{at}: entropies, norm, end probability"),
        &numbers(found),
        &numbers(expected),
    );
    let exact = StepRecord {
        probs: expected.probs,
        weights: expected.weights,
        entropy: expected.entropy,
        raw_entropy: expected.raw_entropy,
        hidden_norm: expected.hidden_norm,
        end_probability: expected.end_probability,
        ..*found
    };
    assert_eq!(exact, *expected, "{at}");
}

fn assert_same_input(at: &str, found: &RowInput, expected: &NextInput) {
    assert_eq!(found.kind, expected.kind() as u32, "{at}");
    match expected {
        NextInput::None => {}
        NextInput::Token(id) => assert_eq!(found.token, *id, "{at}"),
        NextInput::Hidden(tap) => assert_eq!(TAPS[found.tap as usize], *tap, "{at}"),
        NextInput::Mixture(mixture) => {
            let (ids, weights): (Vec<u32>, Vec<f32>) = mixture.iter().copied().unzip();
            assert_eq!(found.ids[..found.n_kept as usize], ids, "{at}");
            assert_near(at, &found.weights[..ids.len()], &weights);
        }
    }
}

/// Walks a program to its end on both sides; returns the flags of its records.
fn check_program(
    context: &GpuContext,
    pipelines: &Pipelines,
    vocab_size: usize,
    index: usize,
    program: &Program,
) -> Vec<u32> {
    let spec = LaneSpec {
        inputs: vec![Input::Token(0); 4],
        program: program.clone(),
        seed: 40 + index as u32,
        stream: 2,
        decode_thoughts: index.is_multiple_of(2),
    };
    let bench = Bench::new(context, &spec, vocab_size, pipelines.n_parts, 1);
    let mut state = LaneState::new(0, &spec);
    let mut flags = Vec::new();
    for step in 0.. {
        let at = format!("V = {vocab_size}, program {index}, step {step}");
        let seed = (1000 * index + step) as u32;
        let logits = logits(seed, vocab_size);
        let draw = common::noise(seed + 1, 2);
        let of_row = RowState {
            hidden_norm: draw[0].abs(),
            // Near 0, near 1 and between them.
            end_probability: 1.0 / (1.0 + (-4.0 * draw[1]).exp()),
        };
        let output = StepOutput {
            logits: state
                .wants_logits(program, spec.decode_thoughts)
                .then_some(&logits[..]),
            hidden_norm: of_row.hidden_norm,
            end_probability: Some(of_row.end_probability),
        };
        let (expected, next) = select(&mut state, program, output);
        flags.push(expected.flags);

        let (found, row, input) = bench.step(pipelines, step, &logits, of_row);
        assert_same_record(&at, &found, &expected);
        assert_same_input(&at, &input, &next);
        assert_eq!(row.position, state.position, "{at}");
        assert_eq!(row.write_row, 100 + state.position, "{at}");
        assert_eq!(row.live, u32::from(!state.done), "{at}");
        assert_eq!(row.adapter, state.adapter as u32, "{at}");
        if state.done {
            // A step after the end changes nothing.
            let again = bench.step(pipelines, step, &logits, of_row);
            assert_eq!(again, (found, row, input), "{at}");
            break;
        }
        let wants_logits = state.wants_logits(program, spec.decode_thoughts);
        assert_eq!(row.wants_logits, u32::from(wants_logits), "{at}");
    }
    flags
}

#[test]
fn every_branch_of_the_select_stage_is_that_of_its_twin() {
    let Some(context) = common::context() else {
        return;
    };
    // One part and several, with a last one that is full, short, or of one token.
    for (vocab_size, threads) in [
        (1, 8),
        (5, 8),
        (31, 8),
        (32, 8),
        (33, 8),
        (64, 8),
        (64, 32),
        (64, 64),
        (97, 8),
        (256, 8),
        (513, 32),
        (600, 8),
        (600, 32),
        (1000, 64),
    ] {
        let pipelines = Pipelines::new(&context, vocab_size, threads);
        let mut flags = Vec::new();
        for (index, program) in programs().iter().enumerate() {
            flags.extend(check_program(
                &context, &pipelines, vocab_size, index, program,
            ));
        }
        // The classifier ended phases, let phases go on, and let the cap end one.
        let asked = flags.iter().filter(|&&set| set & flag::END_TESTED != 0);
        for expected in [flag::END_CLASSIFIER, 0, flag::CAP] {
            let ends = flag::END_CLASSIFIER | flag::CAP;
            assert!(
                asked.clone().any(|set| set & ends == expected),
                "{expected}"
            );
        }
    }
}

#[test]
fn vocabularies_of_real_models_are_cut_and_merged() {
    let Some(context) = common::context() else {
        return;
    };
    for (vocab_size, threads) in [(49_152, 32), (49_152, 64), (151_936, 64)] {
        let pipelines = Pipelines::new(&context, vocab_size, threads);
        for (index, program) in programs().iter().enumerate().step_by(3) {
            check_program(&context, &pipelines, vocab_size, index, program);
        }
    }
}

/// A lane that answers at once, and so reads its logits at its first step.
fn answering() -> LaneSpec {
    LaneSpec {
        inputs: vec![Input::Token(0)],
        program: program(None, vec![]),
        seed: 0,
        stream: 0,
        decode_thoughts: false,
    }
}

const FINE: RowState = RowState {
    hidden_norm: 1.0,
    end_probability: 0.0,
};

#[test]
fn equal_logits_are_ordered_by_id() {
    let Some(context) = common::context() else {
        return;
    };
    for (vocab_size, threads) in [(200, 8), (200, 16), (2000, 32), (49_152, 64)] {
        let pipelines = Pipelines::new(&context, vocab_size, threads);
        let bench = Bench::new(&context, &answering(), vocab_size, pipelines.n_parts, 1);
        let (record, _, _) = bench.step(&pipelines, 0, &vec![0.5; vocab_size], FINE);
        let expected: Vec<u32> = (0..32).collect();
        assert_eq!(record.ids.to_vec(), expected);
        let (found, expected) = (record.entropy, (vocab_size as f32).ln());
        assert!(
            (found - expected).abs() < 1e-3,
            "{found}, expected {expected}"
        );
    }
}

/// The order in which a thread meets the tokens must not matter.
#[test]
fn rising_and_falling_logits_and_ties_across_parts_are_ranked() {
    let Some(context) = common::context() else {
        return;
    };
    type Logits = fn(usize) -> f32;
    let orders: [Logits; 4] = [
        |id| id as f32 * 1e-3,
        |id| id as f32 * -1e-3,
        // Every 500th token is as large as the others of its kind.
        |id| if id % 500 == 7 { 3.0 } else { 0.0 },
        // All the largest stand in one part.
        |id| {
            if id / 700 == 3 {
                (id % 700) as f32 * 1e-2
            } else {
                -(id as f32) * 1e-4
            }
        },
    ];
    for (vocab_size, threads) in [(3000, 32), (20_000, 64)] {
        let pipelines = Pipelines::new(&context, vocab_size, threads);
        for (order, logit) in orders.iter().enumerate() {
            let spec = answering();
            let bench = Bench::new(&context, &spec, vocab_size, pipelines.n_parts, 1);
            let logits: Vec<f32> = (0..vocab_size).map(logit).collect();
            let output = StepOutput {
                logits: Some(&logits),
                hidden_norm: FINE.hidden_norm,
                end_probability: Some(FINE.end_probability),
            };
            let mut state = LaneState::new(0, &spec);
            let (expected, _) = select(&mut state, &spec.program, output);
            let (found, _, _) = bench.step(&pipelines, 0, &logits, FINE);
            let at = format!("V = {vocab_size}, order {order}");
            assert_same_record(&at, &found, &expected);
        }
    }
}

#[test]
fn bad_logits_and_hidden_states_are_flagged() {
    let Some(context) = common::context() else {
        return;
    };
    for (vocab_size, threads) in [(12, 8), (600, 8), (49_152, 64)] {
        let pipelines = Pipelines::new(&context, vocab_size, threads);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let of_bad = |logits: &[f32], hidden_norm: f32| {
                let state = RowState {
                    hidden_norm,
                    ..FINE
                };
                Bench::new(&context, &answering(), vocab_size, pipelines.n_parts, 1)
                    .step(&pipelines, 0, logits, state)
            };
            let mut logits = vec![0.0; vocab_size];
            logits[vocab_size - 1] = bad;
            let (record, row, _) = of_bad(&logits, 1.0);
            assert_eq!(record.flags, flag::NON_FINITE | flag::DONE, "logit {bad}");
            assert_eq!(row.live, 0);
            logits[vocab_size - 1] = 0.0;
            let (record, _, _) = of_bad(&logits, bad);
            assert_eq!(record.flags, flag::NON_FINITE | flag::DONE, "state {bad}");
        }
    }
}

#[test]
fn a_row_that_does_not_commit_decides_nothing() {
    let Some(context) = common::context() else {
        return;
    };
    let pipelines = Pipelines::new(&context, 64, 8);
    let bench = Bench::new(&context, &answering(), 64, pipelines.n_parts, 0);
    let read = [&bench.rows, &bench.lanes, &bench.inputs, &bench.records];
    let before = common::bytes_of(&context, read);
    bench.step(&pipelines, 0, &logits(1, 64), FINE);
    assert_eq!(common::bytes_of(&context, read), before);
}

#[test]
fn a_shape_that_drivers_would_cut_short_is_refused_by_name() {
    // All 20 parts of 8 threads' tokens are pooled and ranked by 8 threads; at 30 it is too much.
    let shape = |constants| Shape {
        threads: 8,
        constants,
        n_positions: 1,
    };
    assert!(SELECT.check(&shape(&[("N_PARTS", 20.0)])).is_ok());
    let error = SELECT
        .check(&shape(&[("N_PARTS", 30.0)]))
        .expect_err("too many")
        .to_string();
    assert!(
        error.contains("kernel select") && error.contains("N_PARTS 30"),
        "{error}"
    );
    for threads in THREADS {
        let shape = Shape {
            threads,
            ..shape(&[])
        };
        assert!(DISTRIBUTION.check(&shape).is_ok(), "{threads} threads");
    }
}
