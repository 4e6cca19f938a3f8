// expanded = silu(G·n + c) ⊙ (U·n + b), or gelu(U·n + b) where there is no gate, with n the normed
// residual stream (norm.wgsl), silu(z) = z·σ(z), gelu(z) = z·σ(2·sqrt(2/π)·(z + 0.044715·z³)) and
// σ(z) = 1 / (1 + e⁻ᶻ).
//
// One thread: the same 4 outputs of G and of U for TILE rows, without barriers, once for every set
// of weights that one of the rows runs under.

override THREADS: u32;
override TILE: u32;       // rows per thread: 1, 4 or 8
override N_QUADS: u32;    // intermediate / 4
override N_SETS: u32;     // sets of weights: 1, or one for each adapter of a checkpoint of CCOT
override GATED: bool = true;

// Binding 2 ends with the biases: (N_SETS, 2, intermediate), the gate's before the other
@group(0) @binding(3) var<storage, read> gate: array<Packed>;                   // (N_SETS, d / 4, intermediate / 4)
@group(0) @binding(4) var<storage, read> up: array<Packed>;                     // (N_SETS, d / 4, intermediate / 4)
@group(0) @binding(5) var<storage, read_write> expanded: array<vec4<f32>>;      // (rows, intermediate)

fn gate_block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let start = weight_set * packed_size(WIDTH, N_QUADS);
    let scales = scale_place(WIDTH, N_QUADS, k, quad);
    let w = unpacked(gate[start + k * N_QUADS + quad], gate[start + scales.x], scales.y);
    return gained(w, k);
}

fn up_block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let start = weight_set * packed_size(WIDTH, N_QUADS);
    let scales = scale_place(WIDTH, N_QUADS, k, quad);
    let w = unpacked(up[start + k * N_QUADS + quad], up[start + scales.x], scales.y);
    return gained(w, k);
}

// z · σ(t). Where e⁻ᵗ would overflow, σ is 0 to f32's precision anyway.
fn times_sigmoid(z: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
    return z / (1.0 + exp(min(-t, vec4(80.0))));
}

// `g` and `u` are products with the row before its scale.
fn store(index: u32, quad: u32, weight_set: u32, g: vec4<f32>, u: vec4<f32>, scale: f32) {
    if (runs_under(rows[index], weight_set) == 0u) {
        return;
    }
    var gating = g * scale;
    var z = u * scale;
    if (BIAS) {
        let first = WIDTH + 2u * weight_set * N_QUADS + quad;
        gating += vectors[first];
        z += vectors[first + N_QUADS];
    }
    if (GATED) {
        expanded[index * N_QUADS + quad] = times_sigmoid(gating, gating) * z;
    } else {
        expanded[index * N_QUADS + quad] = times_sigmoid(z, 1.5957691 * (z + 0.044715 * z * z * z));
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let first = id.y * TILE;
    if (quad >= N_QUADS) {
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
        var low_gate = mat4x4<f32>();
        var low_up = mat4x4<f32>();
        var high_gate = mat4x4<f32>();
        var high_up = mat4x4<f32>();
        var low_squares = vec4<f32>();
        var high_squares = vec4<f32>();
        for (var k = 0u; k < WIDTH; k++) {
            var g = mat4x4<f32>();
            if (GATED) {
                g = gate_block(weight_set, k, quad);
            }
            let u = up_block(weight_set, k, quad);
            let at = first * WIDTH + k;
            if (TILE == 1u) {
                let x = centred(at, low_means[0]);
                low_gate[0] += g * x;
                low_up[0] += u * x;
                low_squares[0] += dot(x, x);
            } else {
                let x = four_centred(at, low_means);
                low_gate += g * x;
                low_up += u * x;
                low_squares += squared_lengths(x);
            }
            if (TILE > 4u) {
                let x = four_centred(at + 4u * WIDTH, high_means);
                high_gate += g * x;
                high_up += u * x;
                high_squares += squared_lengths(x);
            }
        }
        let n = f32(4u * WIDTH);
        let low_scale = inverseSqrt(low_squares / n + EPSILON);
        store(first, quad, weight_set, low_gate[0], low_up[0], low_scale[0]);
        if (TILE > 1u) {
            store(first + 1u, quad, weight_set, low_gate[1], low_up[1], low_scale[1]);
            store(first + 2u, quad, weight_set, low_gate[2], low_up[2], low_scale[2]);
            store(first + 3u, quad, weight_set, low_gate[3], low_up[3], low_scale[3]);
        }
        if (TILE > 4u) {
            let high_scale = inverseSqrt(high_squares / n + EPSILON);
            store(first + 4u, quad, weight_set, high_gate[0], high_up[0], high_scale[0]);
            store(first + 5u, quad, weight_set, high_gate[1], high_up[1], high_scale[1]);
            store(first + 6u, quad, weight_set, high_gate[2], high_up[2], high_scale[2]);
            store(first + 7u, quad, weight_set, high_gate[3], high_up[3], high_scale[3]);
        }
    }
}
