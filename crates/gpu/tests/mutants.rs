//! Shaders that are wrong on purpose, each of which the page's self-test must find.

mod common;
#[allow(dead_code)] // The folder itself is for others.
#[path = "../../model/tests/common/shipped.rs"]
mod shipped;

use std::sync::Arc;

use latent_gpu::{
    GpuContext, GpuEngine,
    context::Mutation,
    kernels::{KERNELS, Table},
    self_test::{test_adapter, test_model},
};
use latent_model::{
    checkpoint::{WeightFormat, Weights},
    model::Model,
    turns::Breathe,
};
use pollster::block_on;

use shipped::shipped_files;

const NO_BREAK: Breathe = || Box::pin(std::future::ready(()));

/// A fault, the tables of kernels that are tried with it (one where the text is the same in both),
/// and where it is.
struct Mutant {
    name: &'static str,
    tables: &'static [Table],
    mutation: Mutation,
}

const fn mutant(
    name: &'static str,
    tables: &'static [Table],
    kernels: &'static [&'static str],
    [from, to]: [&'static str; 2],
) -> Mutant {
    Mutant {
        name,
        tables,
        mutation: Mutation { kernels, from, to },
    }
}

impl Mutant {
    /// Whether it lets threads run ahead of each other. Those of a GPU may do so and come out right, as
    /// they did on an NVIDIA H100: there is nothing to find then.
    fn is_race(&self) -> bool {
        let n_barriers = |text: &str| text.matches("workgroupBarrier").count();
        n_barriers(self.mutation.from) > n_barriers(self.mutation.to)
    }
}

const ALL: &[Table] = &Table::ALL;
const CPU: &[Table] = &[Table::Cpu];
const SUBGROUPS: &[Table] = &[Table::CpuSubgroups];
const GPU: &[Table] = &[Table::Gpu];
const CPU_AND_GPU: &[Table] = &[Table::Cpu, Table::Gpu];

#[rustfmt::skip]
const MUTANTS: &[Mutant] = &[
    mutant("one lane of a tile reads its neighbour's product", CPU, &[],
        ["weight_set, product[2], gate[2], scale[2]", "weight_set, product[1], gate[2], scale[2]"]),
    mutant("one thread of a workgroup is off by a thousandth", ALL, &["expand"],
        ["var z = product * scale;", "var z = product * scale * select(1.0, 1.001, quad == 5u);"]),
    mutant("the last lane of eight is not normed", CPU, &[],
        ["store(first + 3u, quad, weight_set, product[3], gate[3], scale[3]);",
         "store(first + 3u, quad, weight_set, product[3], gate[3], select(scale[3], 1.0, first % 8u == 4u));"]),
    mutant("products are rounded to half precision", ALL, &["project"],
        ["var y = product;", "var y = quantizeToF16(product);"]),
    mutant("logits are rounded to half precision", ALL, &["head"],
        ["+ quad] = product;", "+ quad] = quantizeToF16(product);"]),
    mutant("a norm's epsilon is ten times too large", ALL, &["qkv", "expand"],
        ["f32(4u * WIDTH) + EPSILON", "f32(4u * WIDTH) + 10.0 * EPSILON"]),
    mutant("the final norm has no epsilon", CPU, &["final_norm"],
        ["f32(4u * WIDTH) + EPSILON", "f32(4u * WIDTH)"]),
    mutant("a barrier is missing before scores are summed", CPU, &["attention"],
        ["sums[thread] = sum;\n    storageBarrier();\n    workgroupBarrier();", "sums[thread] = sum;"]),
    mutant("a barrier is missing before slices' values are added", GPU, &["attention"],
        ["mixes[thread] = mixed;\n    workgroupBarrier();", "mixes[thread] = mixed;"]),
    mutant("a barrier is missing before sums of slices are added", GPU, &["project"],
        ["squares[thread] = own_squares;\n    workgroupBarrier();", "squares[thread] = own_squares;"]),
    mutant("a barrier is missing before the vocabulary's parts are ranked", CPU, &["distribution"],
        ["sums[thread] = own_sums;\n    storageBarrier();\n    workgroupBarrier();", "sums[thread] = own_sums;"]),
    mutant("idle rows are taken for live ones, and live ones for idle", ALL, &[],
        ["return row.live;", "return 1u - row.live;"]),
    mutant("attention sees the position behind its own", SUBGROUPS, &["attention"],
        ["select(0u, row.position + 1u, row.live == 1u)", "select(0u, row.position + 2u, row.live == 1u)"]),
    mutant("attention sees the position behind its own", CPU_AND_GPU, &["attention"],
        ["var n_keys = row.position + 1u;", "var n_keys = row.position + 2u;"]),
    mutant("attention misses its own position", CPU, &["attention"],
        ["for (var p = n_shared; p < n_keys; p++)", "for (var p = n_shared; p + 1u < n_keys; p++)"]),
    mutant("a row has another row's scores of shared positions", CPU, &["attention"],
        ["scores[p + 2u * next] = scale * low[2][j];", "scores[p + 2u * next] = scale * low[1][j];"]),
    mutant("the last shared value is left out", CPU, &["attention"],
        ["for (var p = 0u; p < row.n_shared; p++)", "for (var p = 0u; p + 1u < row.n_shared; p++)"]),
    mutant("a row has another row's scores of shared positions", SUBGROUPS, &["attention"],
        ["found.low += k * handed_four(low, i - start);", "found.low += (k * handed_four(low, i - start)).yxzw;"]),
    mutant("the last shared value is left out", SUBGROUPS, &["attention"],
        ["p < min(block + SUBGROUP, it.n_shared)", "p + 1u < min(block + SUBGROUP, it.n_shared)"]),
    mutant("a query is taken from a subgroup's neighbour", SUBGROUPS, &["attention"],
        ["let q = subgroupShuffle(own, i - start);", "let q = subgroupShuffle(own, (i - start) ^ 1u);"]),
    mutant("the second four of a thread's positions has the first four's weights", SUBGROUPS, &["attention"],
        ["let weight = own[j];", "let weight = own[min(j, 0u)];"]),
    mutant("keys turn a position too far", ALL, &["qkv"],
        ["rotations[row.position * quads_per_head + pair]",
         "rotations[(row.position + u32(head >= N_HEADS)) * quads_per_head + pair]"]),
    mutant("rotations have the other sign", ALL, &["qkv"],
        ["y.xy * rotation.xz - y.zw * rotation.yw, y.zw * rotation.xz + y.xy * rotation.yw",
         "y.xy * rotation.xz + y.zw * rotation.yw, y.zw * rotation.xz - y.xy * rotation.yw"]),
    mutant("attention's softmax does not take the largest score away", SUBGROUPS, &["attention"],
        ["exp(scores[own_scores(it, r, block)] - most)", "exp(scores[own_scores(it, r, block)])"]),
    mutant("attention's softmax does not take the largest score away", CPU_AND_GPU, &["attention"],
        ["exp(scores[score_row + p] - largest)", "exp(scores[score_row + p])"]),
    mutant("the vocabulary's softmax forgets its part's largest logit", CPU, &["distribution"],
        ["let raw = below(z, largest, 1.0);", "let raw = z;"]),
    mutant("of equal logits the later one comes first", CPU, &["distribution", "select"],
        ["z == other_z && id < other_id", "z == other_z && id > other_id"]),
    mutant("heads read each other's keys", ALL, &["attention"],
        ["let kv_head = head / (N_HEADS / N_KV_HEADS);", "let kv_head = head % N_KV_HEADS;"]),
    mutant("scores are scaled by the head's width, not its root", ALL, &["attention"],
        ["inverseSqrt(f32(HEAD_DIM))", "1.0 / f32(HEAD_DIM)"]),
    mutant("the bias of a projection is left out", ALL, &["qkv"],
        ["y += vectors[WIDTH + weight_set * n_quads() + quad];", ""]),
    mutant("SiLU's exponential is cut at one", ALL, &["expand"],
        ["exp(min(-t, vec4(80.0)))", "exp(min(-t, vec4(1.0)))"]),
    mutant("a mixture lacks its last token", CPU, &["embed"],
        ["k < inputs[row].n_kept; k++", "k + 1u < inputs[row].n_kept; k++"]),
    mutant("a draw's step is the one before", CPU, &["select"],
        ["vec3(state.seed, state.stream, state.step)", "vec3(state.seed, state.stream, state.step - 1u)"]),
    mutant("Gumbel noise has the other sign", CPU, &["select"],
        ["+ g) / noise_scale", "- g) / noise_scale"]),
    mutant("Gamma draws are not corrected for small shapes", CPU, &["select"],
        ["return log(d) + ln_v + ln_boost;", "return log(d) + ln_v;"]),
    mutant("top-p keeps one token fewer", CPU, &["select"],
        ["count = i + 1u;\n        }", "count = max(i, 1u);\n        }"]),
    mutant("cached values lie a row further than they were put", ALL, &["attention"],
        ["let cache_row = select(base + position, row.write_row, position == row.position);",
         "let cache_row = select(base + max(position, 1u) - 1u, row.write_row, position == row.position);"]),
    mutant("the end classifier's bias is left out", CPU, &["final_norm"],
        ["product + classifier[of_set + WIDTH].x", "product"]),
    mutant("what a subgroup's neighbour has read is taken", SUBGROUPS, &["qkv"],
        ["handed(own, k - start)", "handed(own, (k - start) ^ 1u)"]),
    mutant("the last input that a subgroup has read is left out", SUBGROUPS, &["project"],
        ["k < min(start + SUBGROUP, WIDTH)", "k < min(start + SUBGROUP - 1u, WIDTH)"]),
    mutant("a thought is fed from another lane", CPU, &["embed"],
        ["* groups.y + row) * WIDTH + i", "* groups.y + (row ^ 1u)) * WIDTH + i"]),
];

/// What the self-test of an adapter says of kernels.
fn verdict(context: &GpuContext) -> Option<String> {
    let found = block_on(test_adapter(context, NO_BREAK)).expect("a device");
    found.first_divergence
}

#[test]
fn the_self_test_finds_every_mutant_and_nothing_in_right_kernels() {
    let Some(context) = common::context() else {
        return;
    };
    assert!(MUTANTS.len() >= 10);
    let mut survivors = Vec::new();
    for table in context.tables() {
        let context = context.with_table(table);
        assert_eq!(verdict(&context), None, "kernels {}", table.name());
        for mutant in MUTANTS.iter().filter(|m| m.tables.contains(&table)) {
            let sources = KERNELS.map(|kernel| kernel.of(table, WeightFormat::F32));
            let applied = |name: &str| {
                let named = |kernel: &&latent_gpu::kernels::Kernel| kernel.name == name;
                let kernel = sources.iter().find(named).expect("a kernel of this name");
                mutant.mutation.applied(kernel).is_some()
            };
            let named = mutant.mutation.kernels;
            let n_applied = sources.iter().filter(|kernel| applied(kernel.name)).count();
            let everywhere = named.iter().all(|name| applied(name));
            assert!(
                n_applied > 0 && everywhere,
                "{}: nothing to change",
                mutant.name
            );
            let found = verdict(&context.with_mutation(mutant.mutation));
            println!("{}: {}: {found:?}", table.name(), mutant.name);
            if found.is_none() && (context.is_software() || !mutant.is_race()) {
                survivors.push((table.name(), mutant.name));
            }
        }
    }
    let n_tried: usize = MUTANTS.iter().map(|mutant| mutant.tables.len()).sum();
    println!("{} mutants, {n_tried} with the tables", MUTANTS.len());
    assert_eq!(survivors, [], "not found");
}

/// A checkpoint that ships.
fn shipped(name: &str) -> Model {
    Model::from_files(&shipped_files(name)).expect("a model")
}

/// A fault in one layer is one of what is bound there: kernels are the same for all of them.
#[test]
fn one_wrong_weight_of_one_layer_of_a_checkpoint_is_found() {
    let Some(context) = common::context() else {
        return;
    };
    let model = shipped("prosqa-coconut");
    let verdict = |weights: &Weights| {
        let engine = block_on(GpuEngine::new(&model.config, weights, &context));
        let mut engine = engine.expect("an engine");
        let found = block_on(test_model(&model, &mut engine, NO_BREAK)).expect("a device");
        found.first_divergence
    };
    assert_eq!(verdict(&model.weights), None);
    for layer in 0..model.config.n_layers {
        let mut weights = Weights::clone(&model.weights);
        common::random::edit(&mut weights.layers[layer].o.weight, |values| {
            values[300] += 0.02;
        });
        let found = verdict(&Arc::new(weights));
        assert_eq!(found, Some(format!("layer {layer}")));
    }
}
