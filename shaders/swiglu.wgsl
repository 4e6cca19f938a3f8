// gated = silu(G · n) ⊙ (U · n) with n = x / sqrt(mean(x²) + ε), silu(z) = z / (1 + e⁻ᶻ).
// G and U hold the norm's gain.
//
// One thread: the same 4 outputs of G and of U for TILE rows, without barriers.

override THREADS: u32;
override TILE: u32;       // rows per thread: 1, 4 or 8
override WIDTH: u32;      // d / 4
override N_QUADS: u32;    // intermediate / 4
override EPSILON: f32;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                // (rows)
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;            // (rows, d)
@group(0) @binding(2) var<storage, read> gate: array<mat4x4<f32>>;              // (d / 4, intermediate / 4)
@group(0) @binding(3) var<storage, read> up: array<mat4x4<f32>>;                // (d / 4, intermediate / 4)
@group(0) @binding(4) var<storage, read_write> gated: array<vec4<f32>>;         // (rows, intermediate)

fn activated(g: vec4<f32>, u: vec4<f32>, scale: f32) -> vec4<f32> {
    let z = g * scale;
    // Where e⁻ᶻ would overflow, silu is 0 to f32's precision anyway.
    return z / (1.0 + exp(min(-z, vec4(80.0)))) * (u * scale);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let first = id.y * TILE;
    var n_live = 0u;
    for (var r = 0u; r < TILE; r++) {
        n_live += rows[first + r].live;
    }
    if (quad >= N_QUADS || n_live == 0u) {
        return;
    }
    var low_gate = mat4x4<f32>();
    var low_up = mat4x4<f32>();
    var high_gate = mat4x4<f32>();
    var high_up = mat4x4<f32>();
    var low_squares = vec4<f32>();
    var high_squares = vec4<f32>();
    for (var k = 0u; k < WIDTH; k++) {
        let g = gate[k * N_QUADS + quad];
        let u = up[k * N_QUADS + quad];
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
    let out = first * N_QUADS + quad;
    let low_scale = inverseSqrt(low_squares / n + EPSILON);
    gated[out] = activated(low_gate[0], low_up[0], low_scale[0]);
    if (TILE > 1u) {
        gated[out + N_QUADS] = activated(low_gate[1], low_up[1], low_scale[1]);
        gated[out + 2u * N_QUADS] = activated(low_gate[2], low_up[2], low_scale[2]);
        gated[out + 3u * N_QUADS] = activated(low_gate[3], low_up[3], low_scale[3]);
    }
    if (TILE > 4u) {
        let high_scale = inverseSqrt(high_squares / n + EPSILON);
        gated[out + 4u * N_QUADS] = activated(high_gate[0], high_up[0], high_scale[0]);
        gated[out + 5u * N_QUADS] = activated(high_gate[1], high_up[1], high_scale[1]);
        gated[out + 6u * N_QUADS] = activated(high_gate[2], high_up[2], high_scale[2]);
        gated[out + 7u * N_QUADS] = activated(high_gate[3], high_up[3], high_scale[3]);
    }
}
