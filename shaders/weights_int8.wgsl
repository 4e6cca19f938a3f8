// Weights of 8 bits in the blocks of weights_f32.wgsl. 32 inputs of one output share a scale of 16
// bits; the scales lie behind all blocks, (inputs / 32, outputs / 4) of four, two such fours in an
// element.

// A word for each column of a block, whose bytes are its four outputs.
alias Packed = vec4<u32>;

// Elements of a matrix of 4 · width inputs and 4 · n_quads outputs.
fn packed_size(width: u32, n_quads: u32) -> u32 {
    return width * n_quads + ((width + 7u) / 8u * n_quads + 1u) / 2u;
}

// Which element of its matrix holds the scales of block (k, quad), and which half of it.
fn scale_place(width: u32, n_quads: u32, k: u32, quad: u32) -> vec2<u32> {
    let four = k / 8u * n_quads + quad;
    return vec2(width * n_quads + four / 2u, four % 2u);
}

// Four signed bytes.
fn bytes(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(vec4(word) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
}

fn unpacked(block: Packed, scales: Packed, odd: u32) -> mat4x4<f32> {
    let words = select(scales.xy, scales.zw, odd == 1u);
    let scale = vec4(unpack2x16float(words.x), unpack2x16float(words.y));
    return mat4x4(
        scale * bytes(block.x),
        scale * bytes(block.y),
        scale * bytes(block.z),
        scale * bytes(block.w),
    );
}
