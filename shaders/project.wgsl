// residual += W · y: the attention's output projection and the MLP's down projection.
//
// One thread: 4 outputs of W for TILE rows, without barriers.

override THREADS: u32;
override TILE: u32;       // rows per thread: 1, 4 or 8
override WIDTH: u32;      // width of y / 4
override N_QUADS: u32;    // d / 4

@group(0) @binding(0) var<storage, read> rows: array<Row>;                // (rows)
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;               // (rows, width of y)
@group(0) @binding(2) var<storage, read> weights: array<mat4x4<f32>>;           // (width of y / 4, d / 4)
@group(0) @binding(3) var<storage, read_write> residual: array<vec4<f32>>;      // (rows, d)

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let first = id.y * TILE;
    var n_live = 0u;
    for (var r = 0u; r < TILE; r++) {
        n_live += rows[first + r].live;
    }
    if (quad >= N_QUADS || n_live == 0u) {
        return;
    }
    var low = mat4x4<f32>();
    var high = mat4x4<f32>();
    for (var k = 0u; k < WIDTH; k++) {
        let w = weights[k * N_QUADS + quad];
        let at = first * WIDTH + k;
        if (TILE == 1u) {
            low[0] += w * input[at];
        } else {
            low += w * mat4x4(input[at], input[at + WIDTH], input[at + 2u * WIDTH], input[at + 3u * WIDTH]);
        }
        if (TILE > 4u) {
            let next = at + 4u * WIDTH;
            high += w * mat4x4(input[next], input[next + WIDTH], input[next + 2u * WIDTH], input[next + 3u * WIDTH]);
        }
    }
    let out = first * N_QUADS + quad;
    residual[out] += low[0];
    if (TILE > 1u) {
        residual[out + N_QUADS] += low[1];
        residual[out + 2u * N_QUADS] += low[2];
        residual[out + 3u * N_QUADS] += low[3];
    }
    if (TILE > 4u) {
        residual[out + 4u * N_QUADS] += high[0];
        residual[out + 5u * N_QUADS] += high[1];
        residual[out + 6u * N_QUADS] += high[2];
        residual[out + 7u * N_QUADS] += high[3];
    }
}
