// (q, k, v) = W · n + b with n the normed residual stream (norm.wgsl), then RoPE on q and k: in each
// head the pairs (i, i + head_dim/2) turn, (a, b) ← (a·cos − b·sin, b·cos + a·sin).
//
// One thread: two pairs of one head (4 outputs of W) for TILE rows, without barriers, once for every
// set of weights that one of the rows runs under.

override THREADS: u32;
override TILE: u32;       // rows per thread: 1, 4 or 8
override N_HEADS: u32;
override N_KV_HEADS: u32;
override HEAD_DIM: u32;
override N_SETS: u32;     // sets of weights: 1, or one for each adapter of a checkpoint of CCOT
override TURNS: bool = true; // whether q and k turn here

// Binding 2 ends with the biases: (N_SETS, row quads)
@group(0) @binding(3) var<storage, read> weights: array<Packed>;                // (N_SETS, d / 4, row quads)
@group(0) @binding(4) var<storage, read> rotations: array<vec4<f32>>;           // (positions, head_dim / 4): cos, sin, cos, sin
@group(0) @binding(5) var<storage, read_write> queries: array<vec2<f32>>;       // (rows, heads · head_dim)
@group(0) @binding(6) var<storage, read_write> keys: array<vec2<f32>>;          // (cache rows, kv heads · head_dim)
@group(0) @binding(7) var<storage, read_write> values: array<vec2<f32>>;        // (cache rows, kv heads · head_dim)

fn all_quads() -> u32 {
    return (N_HEADS + 2u * N_KV_HEADS) * HEAD_DIM / 4u;
}

fn block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let n_quads = all_quads();
    let start = weight_set * packed_size(WIDTH, n_quads);
    let scales = scale_place(WIDTH, n_quads, k, quad);
    let w = unpacked(weights[start + k * n_quads + quad], weights[start + scales.x], scales.y);
    return gained(w, k);
}

// Turns the two pairs of `product` and its bias and stores them; `quad` counts head_dim / 4 quads
// per head through the heads of q, k and v.
fn store(index: u32, quad: u32, weight_set: u32, product: vec4<f32>) {
    let row = rows[index];
    if (runs_under(row, weight_set) == 0u) {
        return;
    }
    var y = product;
    if (BIAS) {
        y += vectors[WIDTH + weight_set * all_quads() + quad];
    }
    let quads_per_head = HEAD_DIM / 4u;
    let head = quad / quads_per_head;
    let pair = quad % quads_per_head;
    let half_head = HEAD_DIM / 2u; // in vec2s: one whole head
    let cache_row = row.write_row * N_KV_HEADS;
    if (head >= N_HEADS + N_KV_HEADS) {
        let first = (cache_row + head - N_HEADS - N_KV_HEADS) * half_head + pair;
        values[first] = y.xy;
        values[first + quads_per_head] = y.zw;
        return;
    }
    if (TURNS) {
        y = turned(y, rotations[row.position * quads_per_head + pair]);
    }
    if (head < N_HEADS) {
        let first = (index * N_HEADS + head) * half_head + pair;
        queries[first] = y.xy;
        queries[first + quads_per_head] = y.zw;
    } else {
        let first = (cache_row + head - N_HEADS) * half_head + pair;
        keys[first] = y.xy;
        keys[first + quads_per_head] = y.zw;
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let first = id.y * TILE;
    if (quad >= all_quads()) {
        return;
    }
    var low_means = vec4<f32>();
    var high_means = vec4<f32>();
    if (TILE == 1u) {
        low_means[0] = mean(first);
    } else {
        low_means = means(first);
    }
    if (TILE > 4u) {
        high_means = means(first + 4u);
    }
    for (var weight_set = 0u; weight_set < N_SETS; weight_set++) {
        var n_rows = 0u;
        for (var r = 0u; r < TILE; r++) {
            n_rows += runs_under(rows[first + r], weight_set);
        }
        if (n_rows == 0u) {
            continue;
        }
        var low = mat4x4<f32>();
        var high = mat4x4<f32>();
        var low_squares = vec4<f32>();
        var high_squares = vec4<f32>();
        for (var k = 0u; k < WIDTH; k++) {
            let w = block(weight_set, k, quad);
            let at = first * WIDTH + k;
            if (TILE == 1u) {
                let x = centred(at, low_means[0]);
                low[0] += w * x;
                low_squares[0] += dot(x, x);
            } else {
                let x = four_centred(at, low_means);
                low += w * x;
                low_squares += squared_lengths(x);
            }
            if (TILE > 4u) {
                let x = four_centred(at + 4u * WIDTH, high_means);
                high += w * x;
                high_squares += squared_lengths(x);
            }
        }
        let n = f32(4u * WIDTH);
        let low_scale = inverseSqrt(low_squares / n + EPSILON);
        store(first, quad, weight_set, low[0] * low_scale[0]);
        if (TILE > 1u) {
            store(first + 1u, quad, weight_set, low[1] * low_scale[1]);
            store(first + 2u, quad, weight_set, low[2] * low_scale[2]);
            store(first + 3u, quad, weight_set, low[3] * low_scale[3]);
        }
        if (TILE > 4u) {
            let high_scale = inverseSqrt(high_squares / n + EPSILON);
            store(first + 4u, quad, weight_set, high[0] * high_scale[0]);
            store(first + 5u, quad, weight_set, high[1] * high_scale[1]);
            store(first + 6u, quad, weight_set, high[2] * high_scale[2]);
            store(first + 7u, quad, weight_set, high[3] * high_scale[3]);
        }
    }
}
