// logits = H · h, with h the hidden state after the final norm: the LM head. H is the embedding
// table itself where the two are tied.
//
// A matmul (tile.wgsl) of what plain.wgsl reads, the first block of the hidden states,
// skipped where no row of the tile wants logits. A table in several shards takes one dispatch a shard.

override N_QUADS: u32;     // the shard's tokens / 4
override FIRST_QUAD: u32;  // the shard's first token / 4
override ALL_QUADS: u32;   // V / 4, rounded up; rows of H past V are zeros

@group(0) @binding(2) var<storage, read> table: array<Packed>;                  // (d / 4, N_QUADS)
@group(0) @binding(3) var<storage, read_write> logits: array<vec4<f32>>;        // (rows, V rounded up to 4)

fn n_quads() -> u32 {
    return N_QUADS;
}

// Every set has the same head.
fn block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let scales = scale_place(WIDTH, N_QUADS, k, quad);
    return unpacked(table[k * N_QUADS + quad], table[scales.x], scales.y);
}

fn works(row: Row, weight_set: u32) -> u32 {
    return row.live * row.wants_logits;
}

fn store(index: u32, quad: u32, weight_set: u32, product: vec4<f32>, gate: vec4<f32>, scale: f32) {
    logits[index * ALL_QUADS + FIRST_QUAD + quad] = product;
}
