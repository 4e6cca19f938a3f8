// expanded = silu(G·n + c) ⊙ (U·n + b), or gelu(U·n + b) where there is no gate, with n the normed
// residual stream (norm.wgsl), silu(z) = z·σ(z), gelu(z) = z·σ(2·sqrt(2/π)·(z + 0.044715·z³)) and
// σ(z) = 1 / (1 + e⁻ᶻ).
//
// A matmul (tile.wgsl) of the same outputs of G and of U.

override N_QUADS: u32;    // intermediate / 4
override GATED: bool = true;

// Binding 2 ends with the biases: (N_SETS, 2, intermediate), the gate's before the other
@group(0) @binding(3) var<storage, read> gates: array<Packed>;                   // (N_SETS, d / 4, intermediate / 4)
@group(0) @binding(4) var<storage, read> ups: array<Packed>;                     // (N_SETS, d / 4, intermediate / 4)
@group(0) @binding(5) var<storage, read_write> expanded: array<vec4<f32>>;      // (rows, intermediate)

fn n_quads() -> u32 {
    return N_QUADS;
}

fn gate_block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let start = weight_set * packed_size(WIDTH, N_QUADS);
    let scales = scale_place(WIDTH, N_QUADS, k, quad);
    let w = unpacked(gates[start + k * N_QUADS + quad], gates[start + scales.x], scales.y);
    return gained(w, k);
}

fn block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let start = weight_set * packed_size(WIDTH, N_QUADS);
    let scales = scale_place(WIDTH, N_QUADS, k, quad);
    let w = unpacked(ups[start + k * N_QUADS + quad], ups[start + scales.x], scales.y);
    return gained(w, k);
}

fn works(row: Row, weight_set: u32) -> u32 {
    return runs_under(row, weight_set);
}

// z · σ(t). Where e⁻ᵗ would overflow, σ is 0 to f32's precision anyway.
fn times_sigmoid(z: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
    return z / (1.0 + exp(min(-t, vec4(80.0))));
}

fn store(index: u32, quad: u32, weight_set: u32, product: vec4<f32>, gate: vec4<f32>, scale: f32) {
    var gating = gate * scale;
    var z = product * scale;
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
