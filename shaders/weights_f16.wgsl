// Weights of 16 bits, two in a word, in the blocks of weights_f32.wgsl.

// Columns 0 and 1 of a block, and columns 2 and 3.
struct Packed {
    low: vec4<u32>,
    high: vec4<u32>,
}

// Elements of a matrix of 4 · width inputs and 4 · n_quads outputs.
fn packed_size(width: u32, n_quads: u32) -> u32 {
    return width * n_quads;
}

// Which element of its matrix holds the scales of block (k, quad), and which half of it: none here.
fn scale_place(width: u32, n_quads: u32, k: u32, quad: u32) -> vec2<u32> {
    return vec2<u32>();
}

fn unpacked(block: Packed, scales: Packed, odd: u32) -> mat4x4<f32> {
    return mat4x4(
        vec4(unpack2x16float(block.low.x), unpack2x16float(block.low.y)),
        vec4(unpack2x16float(block.low.z), unpack2x16float(block.low.w)),
        vec4(unpack2x16float(block.high.x), unpack2x16float(block.high.y)),
        vec4(unpack2x16float(block.high.z), unpack2x16float(block.high.w)),
    );
}
