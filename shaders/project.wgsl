// residual += W · y + b: the attention's output projection and the MLP's down projection.
//
// A matmul (tile.wgsl) of what plain.wgsl reads.

override N_QUADS: u32;    // d / 4
override BIAS: bool = false; // whether there is a bias

@group(0) @binding(2) var<storage, read> weights: array<Packed>;                // (N_SETS, width of y / 4, d / 4)
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;                // (d)
@group(0) @binding(4) var<storage, read_write> residual: array<vec4<f32>>;      // (rows, d)

fn n_quads() -> u32 {
    return N_QUADS;
}

fn block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let start = weight_set * packed_size(WIDTH, N_QUADS);
    let scales = scale_place(WIDTH, N_QUADS, k, quad);
    return unpacked(weights[start + k * N_QUADS + quad], weights[start + scales.x], scales.y);
}

fn works(row: Row, weight_set: u32) -> u32 {
    return runs_under(row, weight_set);
}

fn store(index: u32, quad: u32, weight_set: u32, product: vec4<f32>, gate: vec4<f32>, scale: f32) {
    var y = product;
    if (BIAS) {
        y += bias[quad];
    }
    residual[index * N_QUADS + quad] += y;
}
