// attended = softmax(q · Kᵀ / sqrt(head_dim)) · V over positions 0 ..= position of the row: its
// prefix, its lane's own positions, and itself.
// Query head h reads key and value head h / (heads / kv heads).
//
// One workgroup: one head of TILE rows. How its threads share the work, whole_attention.wgsl,
// subgroup_attention.wgsl or split_attention.wgsl says; scores (binding 4) lie as it needs them.

override THREADS: u32;    // at most 256
override TILE: u32;       // rows: 1, 4 or 8
override N_HEADS: u32;
override N_KV_HEADS: u32;
override HEAD_DIM: u32;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                // (rows)
@group(0) @binding(1) var<storage, read> queries: array<vec4<f32>>;             // (rows, heads, head_dim)
@group(0) @binding(2) var<storage, read> keys: array<vec4<f32>>;                // (cache rows, kv heads, head_dim)
@group(0) @binding(3) var<storage, read> values: array<vec4<f32>>;              // (cache rows, kv heads, head_dim)
@group(0) @binding(5) var<storage, read_write> attended: array<vec4<f32>>;      // (rows, heads, head_dim)

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
    attend(group.y, groups.y, group.x, thread);
}
