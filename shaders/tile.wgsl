// The skeleton of every matmul: TILE rows times fours of outputs of one matrix, or of a gate's beside
// it, once for every set of weights that one of the rows runs under. A thread keeps its products with
// up to eight rows in registers, so that every weight is read once for all of them.
//
// The kernel behind it says what is multiplied and where it goes: n_quads, works, block, gate_block
// and store. norm.wgsl or plain.wgsl says what is read: mean, centred and scale_of. whole_sums.wgsl or
// split_sums.wgsl says which inputs a thread sums: quad_of, is_idle, first_input, input_step and finish.

override THREADS: u32;
override TILE: u32;        // rows: 1, 4 or 8
override N_SETS: u32 = 1u; // sets of weights: 1, or one for each adapter of a checkpoint of CCOT

// The means of four rows.
fn means(first: u32) -> vec4<f32> {
    return vec4(mean(first), mean(first + 1u), mean(first + 2u), mean(first + 3u));
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
    // Threads past the last output that are not idle compute it once more.
    let owned = min(quad, n_quads() - 1u);
    for (var weight_set = 0u; weight_set < N_SETS; weight_set++) {
        var n_rows = 0u;
        for (var r = 0u; r < TILE; r++) {
            n_rows += works(rows[first + r], weight_set);
        }
        if (n_rows == 0u) {
            continue;
        }
        var low = mat4x4<f32>();
        var high = mat4x4<f32>();
        var low_gate = mat4x4<f32>();
        var high_gate = mat4x4<f32>();
        var low_squares = vec4<f32>();
        var high_squares = vec4<f32>();
        for (var k = first_input(thread); k < WIDTH; k += input_step()) {
            var g = mat4x4<f32>();
            if (GATED) {
                g = gate_block(weight_set, k, owned);
            }
            let w = block(weight_set, k, owned);
            let at = first * WIDTH + k;
            if (TILE == 1u) {
                let x = centred(at, low_means[0]);
                if (GATED) {
                    low_gate[0] += g * x;
                }
                low[0] += w * x;
                if (NORMED) {
                    low_squares[0] += dot(x, x);
                }
            } else {
                let x = four_centred(at, low_means);
                if (GATED) {
                    low_gate += g * x;
                }
                low += w * x;
                if (NORMED) {
                    low_squares += squared_lengths(x);
                }
            }
            if (TILE > 4u) {
                let x = four_centred(at + 4u * WIDTH, high_means);
                if (GATED) {
                    high_gate += g * x;
                }
                high += w * x;
                if (NORMED) {
                    high_squares += squared_lengths(x);
                }
            }
        }
        finish(first, quad, weight_set, low, low_gate, low_squares, thread);
        if (TILE > 4u) {
            finish(first + 4u, quad, weight_set, high, high_gate, high_squares, thread);
        }
    }
}
