// hidden[SLOT] = M · x / sqrt(mean(x²) + ε) + b: makes a contemplation token of the state after a
// layer, to be fed at the next step. M holds the scale of embeddings.
//
// One thread: 4 outputs of M for one row, without barriers.

override THREADS: u32;
override WIDTH: u32;      // d / 4
override SLOT: u32;       // which block of the hidden states
override EPSILON: f32;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                      // (rows)
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;            // (rows, d)
@group(0) @binding(2) var<storage, read> weights: array<mat4x4<f32>>;           // (d / 4, d / 4)
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;                // (d)
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4<f32>>;        // (taps, rows, d)

@compute @workgroup_size(THREADS)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let quad = id.x;
    if (quad >= WIDTH || rows[id.y].live == 0u) {
        return;
    }
    var y = vec4<f32>();
    var squares = 0.0;
    for (var k = 0u; k < WIDTH; k++) {
        let x = residual[id.y * WIDTH + k];
        y += weights[k * WIDTH + quad] * x;
        squares += dot(x, x);
    }
    let scale = inverseSqrt(squares / f32(4u * WIDTH) + EPSILON);
    hidden[(SLOT * groups.y + id.y) * WIDTH + quad] = y * scale + bias[quad];
}
