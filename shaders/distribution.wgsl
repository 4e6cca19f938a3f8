// Of a part of the vocabulary: its largest logit, the sums that softmax and entropy take, at the
// temperature of the phase that decides this step and at 1, and its MAX_KEPT largest logits.
//
// One workgroup: THREADS · TOKENS_PER_THREAD tokens of one row, three barriers. A thread's largest
// token stands for all of its own: no token below the MAX_KEPT-th of those can be among the
// MAX_KEPT largest, so that few are left to be ranked, each by counting those that come before it.

override THREADS: u32;     // at most 64
override VOCAB_SIZE: u32;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                      // (rows)
@group(0) @binding(1) var<storage, read> lanes: array<Lane>;                    // (lanes)
@group(0) @binding(2) var<storage, read> phases: array<Phase>;                  // (lanes, PHASE_ROWS)
@group(0) @binding(3) var<storage, read> states: array<RowState>;               // (rows)
@group(0) @binding(4) var<storage, read> logits: array<f32>;                    // (rows, V rounded up to 4)
@group(0) @binding(5) var<storage, read_write> parts: array<Part>;              // (rows, parts)

// Each thread's largest logit, and whose it is.
var<workgroup> own_logits: array<f32, THREADS>;
var<workgroup> own_ids: array<u32, THREADS>;
// The largest of all, and the last that may be among the MAX_KEPT largest.
var<workgroup> largest: f32;
var<workgroup> bound_logit: f32;
var<workgroup> bound_id: u32;
// The tokens to be ranked: of at most MAX_KEPT threads, whose largest do not come behind the bound.
override POOL: u32 = min(THREADS, MAX_KEPT) * TOKENS_PER_THREAD;
var<workgroup> n_pool: atomic<u32>;
var<workgroup> pool_logits: array<f32, POOL>;
var<workgroup> pool_ids: array<u32, POOL>;
// Per thread: s and u, and the same at temperature 1.
var<workgroup> sums: array<vec4<f32>, THREADS>;
var<workgroup> n_bad: atomic<u32>;

// The temperature of the phase that will make this step's decision.
fn deciding_temperature(row: u32) -> f32 {
    let lane = rows[row].lane;
    let state = lanes[lane];
    let end_probability = states[row].end_probability;
    var index = state.phase;
    var steps = state.phase_step;
    var phase = phase_place(lane, index);
    while (index + 1u < state.n_phases && phases[phase].n_force == 0u
        && end_before_feeding(phase, steps, end_probability) != 0u) {
        index += 1u;
        steps = 0u;
        phase = phase_place(lane, index);
    }
    return phases[phase].temperature;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y;
    if (rows[row].live == 0u || rows[row].wants_logits == 0u) {
        return;
    }
    let temperature = deciding_temperature(row);
    let first = row * ((VOCAB_SIZE + 3u) / 4u * 4u);
    let start = group.x * THREADS * TOKENS_PER_THREAD + thread;
    let end = min(VOCAB_SIZE, (group.x + 1u) * THREADS * TOKENS_PER_THREAD);
    let part = row * groups.x + group.x;

    var own_bad = 0u;
    var own_logit = -LARGE;
    var own_id = NO_TOKEN;
    for (var id = start; id < end; id += THREADS) {
        let z = logits[first + id];
        own_bad += u32(!is_finite(z));
        if (comes_before(z, id, own_logit, own_id)) {
            own_logit = z;
            own_id = id;
        }
    }
    own_logits[thread] = own_logit;
    own_ids[thread] = own_id;
    if (thread == 0u) {
        bound_logit = -LARGE;
        bound_id = NO_TOKEN;
        atomicStore(&n_pool, 0u);
        atomicStore(&n_bad, 0u);
    }
    workgroupBarrier();

    if (own_bad > 0u) {
        atomicAdd(&n_bad, own_bad);
    }
    var rank = 0u;
    for (var t = 0u; t < THREADS; t++) {
        rank += u32(comes_before(own_logits[t], own_ids[t], own_logit, own_id));
    }
    if (rank == 0u) {
        // Threads without tokens are equal to each other, and write the same.
        largest = own_logit;
    }
    if (rank == MAX_KEPT - 1u) {
        bound_logit = own_logit;
        bound_id = own_id;
    }
    for (var k = thread; k < MAX_KEPT; k += THREADS) {
        parts[part].ids[k] = NO_TOKEN;
        parts[part].logits[k] = -LARGE;
    }
    workgroupBarrier();

    var own_sums = vec4<f32>();
    for (var id = start; id < end; id += THREADS) {
        let z = logits[first + id];
        if (!comes_before(bound_logit, bound_id, z, id)) {
            let place = atomicAdd(&n_pool, 1u);
            if (place < POOL) {
                pool_logits[place] = z;
                pool_ids[place] = id;
            }
        }
        let raw = below(z, largest, 1.0);
        let e = exp(raw);
        own_sums += vec4(0.0, 0.0, e, raw * e);
        if (temperature > 0.0) {
            let x = below(z, largest, temperature);
            own_sums += exp(x) * vec4(1.0, x, 0.0, 0.0);
        }
    }
    sums[thread] = own_sums;
    storageBarrier();
    workgroupBarrier();

    let n = min(atomicLoad(&n_pool), POOL);
    for (var i = thread; i < n; i += THREADS) {
        let z = pool_logits[i];
        let id = pool_ids[i];
        var place = 0u;
        for (var j = 0u; j < n; j++) {
            place += u32(comes_before(pool_logits[j], pool_ids[j], z, id));
        }
        if (place < MAX_KEPT) {
            parts[part].ids[place] = id;
            parts[part].logits[place] = z;
        }
    }
    if (thread == 0u) {
        var total = vec4<f32>();
        for (var t = 0u; t < THREADS; t++) {
            total += sums[t];
        }
        parts[part].largest = largest;
        parts[part].n_bad = atomicLoad(&n_bad);
        parts[part].sum = total.x;
        parts[part].weighted = total.y;
        parts[part].raw_sum = total.z;
        parts[part].raw_weighted = total.w;
        parts[part].temperature = temperature;
    }
}
