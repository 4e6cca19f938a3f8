// attended = softmax(q · Kᵀ / sqrt(head_dim)) · V over positions 0 ..= position of the row: its
// prefix, its lane's own positions, and itself.
// Query head h reads key and value head h / (heads / kv heads).
//
// One workgroup: one head of one row. Its threads share the positions for the scores; how they share
// the weighted sum of values, whole_mix.wgsl or split_mix.wgsl says.

override THREADS: u32;    // at most MOST_THREADS
override N_HEADS: u32;
override N_KV_HEADS: u32;
override HEAD_DIM: u32;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                // (rows)
@group(0) @binding(1) var<storage, read> queries: array<vec4<f32>>;             // (rows, heads, head_dim)
@group(0) @binding(2) var<storage, read> keys: array<vec4<f32>>;                // (cache rows, kv heads, head_dim)
@group(0) @binding(3) var<storage, read> values: array<vec4<f32>>;              // (cache rows, kv heads, head_dim)
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;              // (rows, heads, positions)
@group(0) @binding(5) var<storage, read_write> attended: array<vec4<f32>>;      // (rows, heads, head_dim)

var<workgroup> maxima: array<f32, MOST_THREADS>;
var<workgroup> sums: array<f32, MOST_THREADS>;

// Index of the first vec4 of a cached key or value.
fn cached(row: Row, position: u32, kv_head: u32) -> u32 {
    let base = select(row.base, row.prefix_base, position < row.n_prefix);
    let cache_row = select(base + position, row.write_row, position == row.position);
    return (cache_row * N_KV_HEADS + kv_head) * (HEAD_DIM / 4u);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let head = group.x;
    let row = rows[group.y];
    if (row.live == 0u) {
        return;
    }
    let quads = HEAD_DIM / 4u;
    let kv_head = head / (N_HEADS / N_KV_HEADS);
    let head_row = group.y * N_HEADS + head;
    let score_row = head_row * (arrayLength(&scores) / (N_HEADS * groups.y));
    let n_keys = row.position + 1u;

    let scale = inverseSqrt(f32(HEAD_DIM));
    var largest = -3.0e38;
    for (var p = thread; p < n_keys; p += 4u * THREADS) {
        // Four positions at a time, so that the query is read once for all of them.
        let positions = p + THREADS * vec4(0u, 1u, 2u, 3u);
        let at = min(positions, vec4(row.position));
        let key_0 = cached(row, at[0], kv_head);
        let key_1 = cached(row, at[1], kv_head);
        let key_2 = cached(row, at[2], kv_head);
        let key_3 = cached(row, at[3], kv_head);
        var four = vec4<f32>();
        for (var i = 0u; i < quads; i++) {
            let k = mat4x4(keys[key_0 + i], keys[key_1 + i], keys[key_2 + i], keys[key_3 + i]);
            four += queries[head_row * quads + i] * k;
        }
        for (var i = 0u; i < 4u && positions[i] < n_keys; i++) {
            let score = scale * four[i];
            scores[score_row + positions[i]] = score;
            largest = max(largest, score);
        }
    }
    maxima[thread] = largest;
    workgroupBarrier();

    for (var t = 0u; t < THREADS; t++) {
        largest = max(largest, maxima[t]);
    }
    var sum = 0.0;
    for (var p = thread; p < n_keys; p += THREADS) {
        let weight = exp(scores[score_row + p] - largest);
        scores[score_row + p] = weight;
        sum += weight;
    }
    sums[thread] = sum;
    storageBarrier();
    workgroupBarrier();

    var total = 0.0;
    for (var t = 0u; t < THREADS; t++) {
        total += sums[t];
    }
    mix(row, kv_head, head_row, score_row, total, thread);
}
