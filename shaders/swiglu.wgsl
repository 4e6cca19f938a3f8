// gated = silu(G · n) ⊙ (U · n) with n = x / sqrt(mean(x²) + ε), silu(z) = z / (1 + e⁻ᶻ).
// G and U hold the norm's gain.
//
// One thread: the same 4 outputs of G and of U for TILE rows, without barriers, once for every set
// of weights that one of the rows runs under.

override THREADS: u32;
override TILE: u32;       // rows per thread: 1, 4 or 8
override WIDTH: u32;      // d / 4
override N_QUADS: u32;    // intermediate / 4
override N_SETS: u32;     // sets of weights: 1, or one for each adapter of a checkpoint of CCOT
override EPSILON: f32;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                // (rows)
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;            // (rows, d)
@group(0) @binding(2) var<storage, read> gate: array<mat4x4<f32>>;              // (N_SETS, d / 4, intermediate / 4)
@group(0) @binding(3) var<storage, read> up: array<mat4x4<f32>>;                // (N_SETS, d / 4, intermediate / 4)
@group(0) @binding(4) var<storage, read_write> gated: array<vec4<f32>>;         // (rows, intermediate)

fn activated(g: vec4<f32>, u: vec4<f32>, scale: f32) -> vec4<f32> {
    let z = g * scale;
    // Where e⁻ᶻ would overflow, silu is 0 to f32's precision anyway.
    return z / (1.0 + exp(min(-z, vec4(80.0)))) * (u * scale);
}

fn store(index: u32, quad: u32, weight_set: u32, value: vec4<f32>) {
    if (runs_under(rows[index], weight_set) != 0u) {
        gated[index * N_QUADS + quad] = value;
    }
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
        var low_gate = mat4x4<f32>();
        var low_up = mat4x4<f32>();
        var high_gate = mat4x4<f32>();
        var high_up = mat4x4<f32>();
        var low_squares = vec4<f32>();
        var high_squares = vec4<f32>();
        for (var k = 0u; k < WIDTH; k++) {
            let g = gate[(weight_set * WIDTH + k) * N_QUADS + quad];
            let u = up[(weight_set * WIDTH + k) * N_QUADS + quad];
            let at = first * WIDTH + k;
            if (TILE == 1u) {
                let x = residual[at];
                low_gate[0] += g * x;
                low_up[0] += u * x;
                low_squares[0] += dot(x, x);
            } else {
                let x = mat4x4(residual[at], residual[at + WIDTH], residual[at + 2u * WIDTH], residual[at + 3u * WIDTH]);
                low_gate += g * x;
                low_up += u * x;
                low_squares += squared_lengths(x);
            }
            if (TILE > 4u) {
                let next = at + 4u * WIDTH;
                let x = mat4x4(residual[next], residual[next + WIDTH], residual[next + 2u * WIDTH], residual[next + 3u * WIDTH]);
                high_gate += g * x;
                high_up += u * x;
                high_squares += squared_lengths(x);
            }
        }
        let n = f32(4u * WIDTH);
        let low_scale = inverseSqrt(low_squares / n + EPSILON);
        store(first, quad, weight_set, activated(low_gate[0], low_up[0], low_scale[0]));
        if (TILE > 1u) {
            store(first + 1u, quad, weight_set, activated(low_gate[1], low_up[1], low_scale[1]));
            store(first + 2u, quad, weight_set, activated(low_gate[2], low_up[2], low_scale[2]));
            store(first + 3u, quad, weight_set, activated(low_gate[3], low_up[3], low_scale[3]));
        }
        if (TILE > 4u) {
            let high_scale = inverseSqrt(high_squares / n + EPSILON);
            store(first + 4u, quad, weight_set, activated(high_gate[0], high_up[0], high_scale[0]));
            store(first + 5u, quad, weight_set, activated(high_gate[1], high_up[1], high_scale[1]));
            store(first + 6u, quad, weight_set, activated(high_gate[2], high_up[2], high_scale[2]));
            store(first + 7u, quad, weight_set, activated(high_gate[3], high_up[3], high_scale[3]));
        }
    }
}
