// residual[c] = E[token of column c]
//
// One thread: four values of one column. Used for prompts; at later positions the select stage
// writes the next input itself.

override THREADS: u32;
override WIDTH: u32; // d / 4

@group(0) @binding(0) var<storage, read> columns: array<Column>;                // (columns)
@group(0) @binding(1) var<storage, read> embedding: array<vec4<f32>>;           // (V, d)
@group(0) @binding(2) var<storage, read_write> residual: array<vec4<f32>>;      // (columns, d)

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = columns[id.y];
    if (id.x >= WIDTH || column.live == 0u) {
        return;
    }
    residual[id.y * WIDTH + id.x] = embedding[column.token * WIDTH + id.x];
}
