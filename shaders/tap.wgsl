// hidden[SLOT] = residual: keeps the state after a layer, to be fed back at the next step.
//
// One thread: four values of one row.

override THREADS: u32;
override WIDTH: u32;      // d / 4
override SLOT: u32;       // which block of the hidden states

@group(0) @binding(0) var<storage, read> rows: array<Row>;                      // (rows)
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;            // (rows, d)
@group(0) @binding(2) var<storage, read_write> hidden: array<vec4<f32>>;        // (taps, rows, d)

@compute @workgroup_size(THREADS)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    if (id.x >= WIDTH || rows[id.y].live == 0u) {
        return;
    }
    hidden[(SLOT * groups.y + id.y) * WIDTH + id.x] = residual[id.y * WIDTH + id.x];
}
