// residual += W · y + b: the attention's output projection and the MLP's down projection.
//
// One thread: 4 outputs of W for TILE rows, without barriers, once for every set of weights that
// one of the rows runs under.

override THREADS: u32;
override TILE: u32;       // rows per thread: 1, 4 or 8
override WIDTH: u32;      // width of y / 4
override N_QUADS: u32;    // d / 4
override N_SETS: u32;     // sets of weights: 1, or one for each adapter of a checkpoint of CCOT
override BIAS: bool = false; // whether there is a bias

@group(0) @binding(0) var<storage, read> rows: array<Row>;                // (rows)
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;               // (rows, width of y)
@group(0) @binding(2) var<storage, read> weights: array<Packed>;                // (N_SETS, width of y / 4, d / 4)
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;                // (d)
@group(0) @binding(4) var<storage, read_write> residual: array<vec4<f32>>;      // (rows, d)

fn block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let start = weight_set * packed_size(WIDTH, N_QUADS);
    let scales = scale_place(WIDTH, N_QUADS, k, quad);
    return unpacked(weights[start + k * N_QUADS + quad], weights[start + scales.x], scales.y);
}

fn add(index: u32, quad: u32, weight_set: u32, product: vec4<f32>) {
    if (runs_under(rows[index], weight_set) == 0u) {
        return;
    }
    var y = product;
    if (BIAS) {
        y += bias[quad];
    }
    residual[index * N_QUADS + quad] += y;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let first = id.y * TILE;
    if (quad >= N_QUADS) {
        return;
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
        for (var k = 0u; k < WIDTH; k++) {
            let w = block(weight_set, k, quad);
            let at = first * WIDTH + k;
            if (TILE == 1u) {
                low[0] += w * input[at];
            } else {
                low += w * mat4x4(input[at], input[at + WIDTH], input[at + 2u * WIDTH], input[at + 3u * WIDTH]);
            }
            if (TILE > 4u) {
                let next = at + 4u * WIDTH;
                high += w * mat4x4(input[next], input[next + WIDTH], input[next + 2u * WIDTH], input[next + 3u * WIDTH]);
            }
        }
        add(first, quad, weight_set, low[0]);
        if (TILE > 1u) {
            add(first + 1u, quad, weight_set, low[1]);
            add(first + 2u, quad, weight_set, low[2]);
            add(first + 3u, quad, weight_set, low[3]);
        }
        if (TILE > 4u) {
            add(first + 4u, quad, weight_set, high[0]);
            add(first + 5u, quad, weight_set, high[1]);
            add(first + 6u, quad, weight_set, high[2]);
            add(first + 7u, quad, weight_set, high[3]);
        }
    }
}
