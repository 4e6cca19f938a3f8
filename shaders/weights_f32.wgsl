// Weights of 32 bits. A matrix lies in blocks of 4 outputs × 4 inputs, (inputs / 4, outputs / 4), so
// that threads side by side, which own outputs side by side, read memory side by side.

// A block: a column for each input.
alias Packed = mat4x4<f32>;

// Elements of a matrix of 4 · width inputs and 4 · n_quads outputs.
fn packed_size(width: u32, n_quads: u32) -> u32 {
    return width * n_quads;
}

// Which element of its matrix holds the scales of block (k, quad), and which half of it: none here.
fn scale_place(width: u32, n_quads: u32, k: u32, quad: u32) -> vec2<u32> {
    return vec2<u32>();
}

fn unpacked(block: Packed, scales: Packed, odd: u32) -> mat4x4<f32> {
    return block;
}
