// logits = H · h, with h the hidden state after the final norm: the LM head. H is the embedding
// table itself where the two are tied.
//
// One thread: 4 rows of H for TILE rows of the batch, without barriers. Skipped where no row of
// the tile wants logits. A table in several shards takes one dispatch a shard.

override THREADS: u32;
override TILE: u32;        // rows per thread: 1, 4 or 8
override WIDTH: u32;       // d / 4
override N_QUADS: u32;     // the shard's tokens / 4
override FIRST_QUAD: u32;  // the shard's first token / 4
override ALL_QUADS: u32;   // V / 4, rounded up; rows of H past V are zeros

@group(0) @binding(0) var<storage, read> rows: array<Row>;                      // (rows)
@group(0) @binding(1) var<storage, read> hidden: array<vec4<f32>>;              // (rows, d), its first block
@group(0) @binding(2) var<storage, read> table: array<Packed>;                  // (d / 4, N_QUADS)
@group(0) @binding(3) var<storage, read_write> logits: array<vec4<f32>>;        // (rows, V rounded up to 4)

fn block(k: u32, quad: u32) -> mat4x4<f32> {
    let scales = scale_place(WIDTH, N_QUADS, k, quad);
    return unpacked(table[k * N_QUADS + quad], table[scales.x], scales.y);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let first = id.y * TILE;
    var n_wanted = 0u;
    for (var r = 0u; r < TILE; r++) {
        n_wanted += rows[first + r].live * rows[first + r].wants_logits;
    }
    if (quad >= N_QUADS || n_wanted == 0u) {
        return;
    }
    var low = mat4x4<f32>();
    var high = mat4x4<f32>();
    for (var k = 0u; k < WIDTH; k++) {
        let w = block(k, quad);
        let at = first * WIDTH + k;
        if (TILE == 1u) {
            low[0] += w * hidden[at];
        } else {
            low += w * mat4x4(hidden[at], hidden[at + WIDTH], hidden[at + 2u * WIDTH], hidden[at + 3u * WIDTH]);
        }
        if (TILE > 4u) {
            let next = at + 4u * WIDTH;
            high += w * mat4x4(hidden[next], hidden[next + WIDTH], hidden[next + 2u * WIDTH], hidden[next + 3u * WIDTH]);
        }
    }
    let out = first * ALL_QUADS + FIRST_QUAD + quad;
    logits[out] = low[0];
    if (TILE > 1u) {
        logits[out + ALL_QUADS] = low[1];
        logits[out + 2u * ALL_QUADS] = low[2];
        logits[out + 3u * ALL_QUADS] = low[3];
    }
    if (TILE > 4u) {
        logits[out + 4u * ALL_QUADS] = high[0];
        logits[out + 5u * ALL_QUADS] = high[1];
        logits[out + 6u * ALL_QUADS] = high[2];
        logits[out + 7u * ALL_QUADS] = high[3];
    }
}
