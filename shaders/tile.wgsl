// The skeleton of every matmul: TILE rows times fours of outputs of one matrix, or of a gate's beside
// it, once for every set of weights that one of the rows runs under. A thread keeps its products with
// up to eight rows in registers, so that every weight is read once for all of them.
//
// The kernel behind it says what is multiplied and where it goes: n_quads, works, block, gate_block
// and, for rows that work, store. norm.wgsl or plain.wgsl says what is read: mean, centred and scale_of.
// whole_sums.wgsl or split_sums.wgsl says which inputs a thread sums: quad_of, is_idle, first_input,
// input_step and finish; own_reads.wgsl or subgroup_reads.wgsl, who reads them: add_inputs.

override THREADS: u32;
override TILE: u32;        // rows: 1, 4 or 8
override N_SETS: u32 = 1u; // sets of weights: 1, or one for each adapter of a checkpoint of CCOT

// Of up to eight rows, a column each.
struct Eight {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
}

// What a thread has summed.
struct Sums {
    products: Eight,
    gates: Eight,
    low_squares: vec4<f32>,
    high_squares: vec4<f32>,
}

// The means of up to eight rows.
struct Means {
    low: vec4<f32>,
    high: vec4<f32>,
}

// Which of up to eight rows a set of weights multiplies: 1 or 0.
struct Working {
    low: vec4<u32>,
    high: vec4<u32>,
}

// 1 for a row that is live and runs under a set of weights, else 0.
fn runs_under(row: Row, weight_set: u32) -> u32 {
    if (N_SETS == 1u) {
        return row.live;
    }
    return row.live * u32(row.adapter == weight_set);
}

fn four_working(first: u32, weight_set: u32) -> vec4<u32> {
    return vec4(
        works(rows[first], weight_set),
        works(rows[first + 1u], weight_set),
        works(rows[first + 2u], weight_set),
        works(rows[first + 3u], weight_set),
    );
}

fn working_of(first: u32, weight_set: u32) -> Working {
    var working = Working();
    if (TILE == 1u) {
        working.low[0] = works(rows[first], weight_set);
    } else {
        working.low = four_working(first, weight_set);
    }
    if (TILE > 4u) {
        working.high = four_working(first + 4u, weight_set);
    }
    return working;
}

fn four_means(first: u32) -> vec4<f32> {
    return vec4(mean(first), mean(first + 1u), mean(first + 2u), mean(first + 3u));
}

fn means_of(first: u32) -> Means {
    var means = Means();
    if (TILE == 1u) {
        means.low[0] = mean(first);
    } else {
        means.low = four_means(first);
    }
    if (TILE > 4u) {
        means.high = four_means(first + 4u);
    }
    return means;
}

// Four values of each of four rows, less their means.
fn four_centred(at: u32, means: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(
        centred(at, means[0]),
        centred(at + WIDTH, means[1]),
        centred(at + 2u * WIDTH, means[2]),
        centred(at + 3u * WIDTH, means[3]),
    );
}

// The inputs 4k to 4k + 3 of the rows from `first` on, less their means.
fn inputs_at(first: u32, k: u32, means: Means) -> Eight {
    var x = Eight();
    let at = first * WIDTH + k;
    if (TILE == 1u) {
        x.low[0] = centred(at, means.low[0]);
    } else {
        x.low = four_centred(at, means.low);
    }
    if (TILE > 4u) {
        x.high = four_centred(at + 4u * WIDTH, means.high);
    }
    return x;
}

// Adds the products of inputs 4k to 4k + 3.
fn add(sums: ptr<function, Sums>, weight_set: u32, k: u32, quad: u32, x: Eight) {
    var g = mat4x4<f32>();
    if (GATED) {
        g = gate_block(weight_set, k, quad);
    }
    let w = block(weight_set, k, quad);
    if (TILE == 1u) {
        if (GATED) {
            (*sums).gates.low[0] += g * x.low[0];
        }
        (*sums).products.low[0] += w * x.low[0];
        if (NORMED) {
            (*sums).low_squares[0] += dot(x.low[0], x.low[0]);
        }
    } else {
        if (GATED) {
            (*sums).gates.low += g * x.low;
        }
        (*sums).products.low += w * x.low;
        if (NORMED) {
            (*sums).low_squares += squared_lengths(x.low);
        }
    }
    if (TILE > 4u) {
        if (GATED) {
            (*sums).gates.high += g * x.high;
        }
        (*sums).products.high += w * x.high;
        if (NORMED) {
            (*sums).high_squares += squared_lengths(x.high);
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let quad = quad_of(group.x, thread);
    let first = group.y * TILE;
    if (is_idle(quad)) {
        return;
    }
    let means = means_of(first);
    // Threads past the last output that are not idle compute it once more.
    let owned = min(quad, n_quads() - 1u);
    for (var weight_set = 0u; weight_set < N_SETS; weight_set++) {
        let working = working_of(first, weight_set);
        if (all(working.low + working.high == vec4<u32>())) {
            continue;
        }
        var sums = Sums();
        add_inputs(&sums, first, means, weight_set, owned, thread);
        let products = sums.products;
        finish(first, quad, weight_set, working.low, products.low, sums.gates.low, sums.low_squares, thread);
        if (TILE > 4u) {
            finish(first + 4u, quad, weight_set, working.high, products.high, sums.gates.high, sums.high_squares, thread);
        }
    }
}
