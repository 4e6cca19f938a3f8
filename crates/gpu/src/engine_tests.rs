//! What cannot be seen from outside of the engine: rows that do not commit.

#[path = "../../model/tests/common/mod.rs"]
mod random;

use latent_model::{
    checkpoint::WeightFormat,
    input::Feed,
    program::{Adapter, Phase, Program, Role, Sampler, Until},
};
use pollster::block_on;

use super::*;
use crate::{
    kernels::{MOST_WORKGROUPS, PROJECT, Table, split_sums_for, threads_for},
    pipelines::matmul,
    readback,
};

fn lane(feed: Feed, seed: u32) -> LaneSpec {
    let phase = |role, feed, max_steps| Phase {
        role,
        feed,
        sampler: Sampler {
            max_concepts: 4,
            ..Sampler::GREEDY
        },
        until: Until::steps(max_steps),
        then_force: Vec::new(),
        adapter: Adapter::Base,
    };
    LaneSpec {
        inputs: Input::tokens(&[1, 2, 3 + seed]),
        program: Program {
            start: Vec::new(),
            phases: vec![
                phase(Role::Think, feed, 4),
                phase(Role::Answer, Feed::Token, 3),
            ],
        },
        seed,
        stream: 0,
        decode_thoughts: true,
    }
}

/// Records of a run to its end, and the bits of the lanes' keys and values.
fn run_with(engine: &GpuEngine, specs: &[LaneSpec], probes: &[Row]) -> (Vec<StepRecord>, Vec<u8>) {
    let n_positions = positions_needed(specs);
    let pipelines = &engine.tile_pipelines[0];
    let create = || {
        let cache = KvCache::new(&engine.context, &engine.config, specs.len(), n_positions)?;
        let prefixes = shared_prefixes(specs);
        engine.prefill(specs, &prefixes, pipelines, &cache)?;
        let mut rows = lane_rows(specs, &prefixes, cache.n_positions);
        rows.extend_from_slice(probes);
        Ok((engine.lanes_run(specs, rows, pipelines, &cache)?, cache))
    };
    let created = block_on(engine.context.checked("a run", create));
    let (mut run, cache) = created.expect("room");
    let mut records = Vec::new();
    while run.is_live() {
        let advanced = block_on(run.advance(&engine.context, 3));
        records.extend(advanced.expect("records"));
    }
    let buffers: Vec<&DeviceBuffer> = cache.keys.iter().chain(&cache.values).collect();
    let read = block_on(readback::read_all(&engine.context, &buffers)).expect("keys and values");
    let row_bytes = engine.config.kv_width() * size_of::<f32>();
    let n_bytes = specs.len() * n_positions * row_bytes;
    let kept = read.iter().flat_map(|bytes| bytes[..n_bytes].to_vec());
    let kept = kept.collect();
    (records, kept)
}

/// An engine of random weights; `None` where the GPU is skipped, and says so.
fn engine() -> Option<GpuEngine> {
    if std::env::var("LATENT_SKIP_GPU").is_ok_and(|value| value == "1") {
        eprintln!("SKIPPED: LATENT_SKIP_GPU=1");
        return None;
    }
    let config = random::config();
    let context = block_on(GpuContext::request()).expect("an adapter, or LATENT_SKIP_GPU=1");
    let engine = block_on(GpuEngine::new(&config, &random::weights(&config), &context));
    Some(engine.expect("an engine"))
}

#[test]
fn a_run_and_its_forks_are_prefilled_once_and_each_forks_own_way_after_it() {
    let given = [&[1, 2, 3][..], &[1, 2, 3, 4, 5], &[1, 2, 3, 9, 9]];
    let specs = given.map(|tokens| LaneSpec {
        inputs: Input::tokens(tokens),
        ..lane(Feed::Token, 0)
    });
    let prefixes = shared_prefixes(&specs);
    let rows: Vec<(u32, u32, u32)> = prefill_rows(&specs, &prefixes, 20)
        .iter()
        .map(|(row, _)| (row.lane, row.position, row.write_row))
        .collect();
    let whole = (0..4).map(|position| (1, position, 20 + position));
    let expected: Vec<_> = whole.chain([(2, 3, 43)]).collect();
    assert_eq!(rows, expected);
    let seen = lane_rows(&specs, &prefixes, 20);
    let seen = seen
        .iter()
        .map(|row| (row.base, row.prefix_base, row.n_prefix));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [(0, 20, 2), (20, 20, 4), (40, 20, 3)]
    );
}

#[test]
fn what_keeps_a_layers_state_is_compiled_once() {
    let Some(mut engine) = engine() else {
        return;
    };
    let of_layer = |layer| {
        let tap = Tap::Layer(layer);
        lane(Feed::Hidden { tap }, layer)
    };
    let mut begun = |layers: &[u32]| -> Vec<wgpu::ComputePipeline> {
        let lanes: Vec<LaneSpec> = layers.iter().copied().map(of_layer).collect();
        block_on(engine.begin(&lanes)).expect("a run");
        let compiled = engine.tap_pipelines.iter();
        compiled.map(|(_, tap)| tap.compiled().clone()).collect()
    };
    let first = begun(&[0]);
    assert_eq!(first.len(), 1);
    assert_eq!(begun(&[1]), first, "another layer, in the same block");
    let both = begun(&[0, 1]);
    assert_eq!((both.len(), &both[..1]), (2, &first[..]));
    assert_eq!(begun(&[1, 0]), both);
}

#[test]
fn a_row_that_does_not_commit_leaves_everything_else_bit_equal() {
    let Some(engine) = engine() else {
        return;
    };
    let feeds = [
        Feed::Token,
        Feed::Concept,
        Feed::THOUGHT,
        Feed::Concept,
        Feed::Token,
    ];
    let specs: Vec<LaneSpec> = feeds
        .into_iter()
        .zip(0..)
        .map(|(feed, seed)| lane(feed, seed))
        .collect();
    let n_positions = positions_needed(&specs) as u32;
    let own = lane_rows(&specs, &shared_prefixes(&specs), n_positions);
    // They see what their lanes saw, and write behind all lanes' positions.
    let probe = |lane: usize, place: u32| Row {
        commits: 0,
        write_row: specs.len() as u32 * n_positions + place,
        wants_logits: 1,
        ..own[lane]
    };
    let (records, kept) = run_with(&engine, &specs, &[]);
    let probed = run_with(&engine, &specs, &[probe(1, 0), probe(2, 1)]);
    assert!(!records.is_empty() && kept.iter().any(|&byte| byte != 0));
    assert_eq!(probed.0, records);
    assert!(probed.1 == kept, "keys or values of a lane have changed");
    // The test sees what it looks for: a probe that writes where a lane does is found.
    let careless = Row {
        write_row: own[1].write_row - 1,
        ..probe(1, 0)
    };
    assert_ne!(run_with(&engine, &specs, &[careless]).1, kept);
}

#[test]
fn a_grid_beyond_every_devices_is_refused_by_name() {
    let Some(engine) = engine() else {
        return;
    };
    let most = MOST_WORKGROUPS as usize;
    for table in engine.context.tables() {
        let context = engine.context.with_table(table);
        let outputs_of_group = match table {
            Table::Cpu | Table::CpuSubgroups => 4 * threads_for(u32::MAX) as usize,
            Table::Gpu => 4 * split_sums_for(8, 1 << 20, 1).1 as usize,
        };
        let compiled = |n_groups: usize| {
            let outputs = n_groups * outputs_of_group;
            let constants = [("WIDTH", 2.0), ("N_QUADS", (outputs / 4) as f64)];
            let kernel = (PROJECT, WeightFormat::F32);
            matmul(&context, kernel, (8, outputs, 1), &constants).map(|_| ())
        };
        assert_eq!(compiled(most), Ok(()), "{}", table.name());
        let refused = GpuError::TooManyWorkgroups {
            kernel: "project",
            needed: MOST_WORKGROUPS + 1,
        };
        assert_eq!(compiled(most + 1), Err(refused), "{}", table.name());
    }
}

/// Attention by subgroups makes more turns than a driver on the CPU allows where a run is long.
#[test]
fn a_run_too_long_for_attention_by_subgroups_has_it_by_whole_workgroups() {
    let Some(engine) = engine() else {
        return;
    };
    let pipelines = &engine.tile_pipelines[0];
    let threads = |n_positions| {
        let found = pipelines.attention(n_positions);
        found.map(|pipeline| pipeline.threads)
    };
    let [short, long] = [
        threads(1).expect("a kernel"),
        threads(20_000).expect("one for longer runs"),
    ];
    if engine.context.table() == Table::CpuSubgroups {
        assert_eq!(Some(short), engine.context.subgroup_size());
        assert!(long > short, "{long} threads");
    } else {
        assert_eq!(short, long);
    }
    let refused = threads(1 << 20);
    let is_named = |error: &GpuError| {
        matches!(
            error,
            GpuError::TooManyIterations {
                kernel: "attention",
                ..
            }
        )
    };
    assert!(refused.as_ref().is_err_and(is_named), "{refused:?}");
}
