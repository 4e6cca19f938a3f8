// residual += W · y: the attention's output projection and the MLP's down projection.
//
// One thread: 4 rows of W for COLUMNS columns, without barriers.

override THREADS: u32;
override COLUMNS: u32;    // columns per thread: 1, 4 or 8
override WIDTH: u32;      // width of y / 4
override N_QUADS: u32;    // d / 4

@group(0) @binding(0) var<storage, read> columns: array<Column>;                // (columns)
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;               // (columns, width of y)
@group(0) @binding(2) var<storage, read> weights: array<mat4x4<f32>>;           // (width of y / 4, d / 4)
@group(0) @binding(3) var<storage, read_write> residual: array<vec4<f32>>;      // (columns, d)

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let first = id.y * COLUMNS;
    var n_live = 0u;
    for (var c = 0u; c < COLUMNS; c++) {
        n_live += columns[first + c].live;
    }
    if (quad >= N_QUADS || n_live == 0u) {
        return;
    }
    var low = mat4x4<f32>();
    var high = mat4x4<f32>();
    for (var k = 0u; k < WIDTH; k++) {
        let w = weights[k * N_QUADS + quad];
        let at = first * WIDTH + k;
        if (COLUMNS == 1u) {
            low[0] += w * input[at];
        } else {
            low += w * mat4x4(input[at], input[at + WIDTH], input[at + 2u * WIDTH], input[at + 3u * WIDTH]);
        }
        if (COLUMNS > 4u) {
            let next = at + 4u * WIDTH;
            high += w * mat4x4(input[next], input[next + WIDTH], input[next + 2u * WIDTH], input[next + 3u * WIDTH]);
        }
    }
    let out = first * N_QUADS + quad;
    residual[out] += low[0];
    if (COLUMNS > 1u) {
        residual[out + N_QUADS] += low[1];
        residual[out + 2u * N_QUADS] += low[2];
        residual[out + 3u * N_QUADS] += low[3];
    }
    if (COLUMNS > 4u) {
        residual[out + 4u * N_QUADS] += high[0];
        residual[out + 5u * N_QUADS] += high[1];
        residual[out + 6u * N_QUADS] += high[2];
        residual[out + 7u * N_QUADS] += high[3];
    }
}
