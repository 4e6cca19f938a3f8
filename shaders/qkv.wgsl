// (q, k, v) = W · n + b with n the normed residual stream (norm.wgsl), then RoPE on q and k: in each
// head the pairs (i, i + head_dim/2) turn, (a, b) ← (a·cos − b·sin, b·cos + a·sin).
//
// A matmul (tile.wgsl) whose fours of outputs are two pairs of one head.

override N_HEADS: u32;
override N_KV_HEADS: u32;
override HEAD_DIM: u32;
override TURNS: bool = true; // whether q and k turn here

// Binding 2 ends with the biases: (N_SETS, row quads)
@group(0) @binding(3) var<storage, read> weights: array<Packed>;                // (N_SETS, d / 4, row quads)
@group(0) @binding(4) var<storage, read> rotations: array<vec4<f32>>;           // (positions, head_dim / 4): cos, sin, cos, sin
@group(0) @binding(5) var<storage, read_write> queries: array<vec2<f32>>;       // (rows, heads · head_dim)
@group(0) @binding(6) var<storage, read_write> keys: array<vec2<f32>>;          // (cache rows, kv heads · head_dim)
@group(0) @binding(7) var<storage, read_write> values: array<vec2<f32>>;        // (cache rows, kv heads · head_dim)

fn n_quads() -> u32 {
    return (N_HEADS + 2u * N_KV_HEADS) * HEAD_DIM / 4u;
}

fn block(weight_set: u32, k: u32, quad: u32) -> mat4x4<f32> {
    let all = n_quads();
    let start = weight_set * packed_size(WIDTH, all);
    let scales = scale_place(WIDTH, all, k, quad);
    let w = unpacked(weights[start + k * all + quad], weights[start + scales.x], scales.y);
    return gained(w, k);
}

fn works(row: Row, weight_set: u32) -> u32 {
    return runs_under(row, weight_set);
}

// Turns the two pairs of the product and its bias and stores them; `quad` counts head_dim / 4 quads
// per head through the heads of q, k and v.
fn store(index: u32, quad: u32, weight_set: u32, product: vec4<f32>, gate: vec4<f32>, scale: f32) {
    let row = rows[index];
    var y = product * scale;
    if (BIAS) {
        y += vectors[WIDTH + weight_set * n_quads() + quad];
    }
    let quads_per_head = HEAD_DIM / 4u;
    let head = quad / quads_per_head;
    let pair = quad % quads_per_head;
    let half_head = HEAD_DIM / 2u; // in vec2s: one whole head
    let cache_row = row.write_row * N_KV_HEADS;
    if (head >= N_HEADS + N_KV_HEADS) {
        let first = (cache_row + head - N_HEADS - N_KV_HEADS) * half_head + pair;
        values[first] = y.xy;
        values[first + quads_per_head] = y.zw;
        return;
    }
    if (TURNS) {
        y = turned(y, rotations[row.position * quads_per_head + pair]);
    }
    if (head < N_HEADS) {
        let first = (index * N_HEADS + head) * half_head + pair;
        queries[first] = y.xy;
        queries[first + quads_per_head] = y.zw;
    } else {
        let first = (cache_row + head - N_HEADS) * half_head + pair;
        keys[first] = y.xy;
        keys[first + quads_per_head] = y.zw;
    }
}
