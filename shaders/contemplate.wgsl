// hidden[SLOT] = M · x / sqrt(mean(x²) + ε) + b: makes a contemplation token of the state after a
// layer, to be fed at the next step. M holds the scale of embeddings.
//
// A matmul (tile.wgsl) behind a norm without a gain, whatever set a row runs under.

override SLOT: u32;       // which block of the hidden states

// Binding 2 is b: (d)
@group(0) @binding(3) var<storage, read> weights: array<mat4x4<f32>>;           // (d / 4, d / 4)
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4<f32>>;        // (taps, rows, d)

fn n_quads() -> u32 {
    return WIDTH;
}

fn block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    return weights[k * WIDTH + quad];
}

fn works(row: Row, weight_set: u32) -> u32 {
    return row.live;
}

fn store(index: u32, quad: u32, weight_set: u32, product: vec4<f32>, gate: vec4<f32>, scale: f32) {
    hidden[(SLOT * arrayLength(&rows) + index) * WIDTH + quad] = product * scale + vectors[quad];
}
