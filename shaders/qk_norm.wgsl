// q ← RoPE(g ⊙ q / sqrt(mean(q²) + ε)) in every head of queries and of the newest keys, in place;
// only models whose heads have norms of their own (Qwen3) take this dispatch.
//
// One workgroup: one head of one row, one barrier.

override THREADS: u32;    // at most 64
override N_HEADS: u32;
override N_KV_HEADS: u32;
override HEAD_DIM: u32;
override EPSILON: f32;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                      // (rows)
@group(0) @binding(1) var<storage, read> gains: array<vec4<f32>>;               // (2, head_dim / 4): of queries and keys, in the order of qkv's rows
@group(0) @binding(2) var<storage, read> rotations: array<vec4<f32>>;           // (positions, head_dim / 4): cos, sin, cos, sin
@group(0) @binding(3) var<storage, read_write> queries: array<vec2<f32>>;       // (rows, heads · head_dim)
@group(0) @binding(4) var<storage, read_write> keys: array<vec2<f32>>;          // (cache rows, kv heads · head_dim)

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = rows[group.y];
    if (row.live == 0u) {
        return;
    }
    let quads = HEAD_DIM / 4u;
    let is_key = group.x >= N_HEADS;
    let query_head = group.y * N_HEADS + group.x;
    let key_head = row.write_row * N_KV_HEADS + group.x - N_HEADS;
    let first = select(query_head, key_head, is_key) * 2u * quads;
    var own = 0.0;
    for (var pair = thread; pair < quads; pair += THREADS) {
        var y = vec4<f32>();
        if (is_key) {
            y = vec4(keys[first + pair], keys[first + pair + quads]);
        } else {
            y = vec4(queries[first + pair], queries[first + pair + quads]);
        }
        own += dot(y, y);
    }
    sums[thread] = own;
    workgroupBarrier();
    var total = 0.0;
    for (var t = 0u; t < THREADS; t++) {
        total += sums[t];
    }
    let scale = inverseSqrt(total / f32(HEAD_DIM) + EPSILON);
    for (var pair = thread; pair < quads; pair += THREADS) {
        let rotation = rotations[row.position * quads + pair];
        if (is_key) {
            let y = vec4(keys[first + pair], keys[first + pair + quads]);
            let z = turned(y * scale * gains[quads + pair], rotation);
            keys[first + pair] = z.xy;
            keys[first + pair + quads] = z.zw;
        } else {
            let y = vec4(queries[first + pair], queries[first + pair + quads]);
            let z = turned(y * scale * gains[pair], rotation);
            queries[first + pair] = z.xy;
            queries[first + pair + quads] = z.zw;
        }
    }
}
