// logits = H · (g ⊙ x) / sqrt(mean(x²) + ε): the final norm and the LM head. H is the embedding
// table itself where the two are tied, so the gain g multiplies x here and not H at load.
//
// One thread: 4 rows of H for COLUMNS columns, without barriers. Skipped where no column of the
// tile wants logits.

override THREADS: u32;
override COLUMNS: u32;    // columns per thread: 1, 4 or 8
override WIDTH: u32;      // d / 4
override N_QUADS: u32;    // V / 4, rounded up; rows past V are zeros
override EPSILON: f32;

@group(0) @binding(0) var<storage, read> columns: array<Column>;                // (columns)
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;            // (columns, d)
@group(0) @binding(2) var<storage, read> final_norm: array<vec4<f32>>;          // (d)
@group(0) @binding(3) var<storage, read> table: array<vec4<f32>>;               // (V rounded up to 4, d)
@group(0) @binding(4) var<storage, read_write> logits: array<vec4<f32>>;        // (columns, V rounded up to 4)

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let first = id.y * COLUMNS;
    var n_wanted = 0u;
    for (var c = 0u; c < COLUMNS; c++) {
        n_wanted += columns[first + c].live * columns[first + c].wants_logits;
    }
    if (quad >= N_QUADS || n_wanted == 0u) {
        return;
    }
    var low = mat4x4<f32>();
    var high = mat4x4<f32>();
    var low_squares = vec4<f32>();
    var high_squares = vec4<f32>();
    for (var k = 0u; k < WIDTH; k++) {
        let h = quad * 4u * WIDTH + k;
        let rows = mat4x4(table[h], table[h + WIDTH], table[h + 2u * WIDTH], table[h + 3u * WIDTH]);
        let g = final_norm[k];
        let w = transpose(mat4x4(rows[0] * g, rows[1] * g, rows[2] * g, rows[3] * g));
        let at = first * WIDTH + k;
        if (COLUMNS == 1u) {
            let x = residual[at];
            low[0] += w * x;
            low_squares[0] += dot(x, x);
        } else {
            let x = mat4x4(residual[at], residual[at + WIDTH], residual[at + 2u * WIDTH], residual[at + 3u * WIDTH]);
            low += w * x;
            low_squares += squared_lengths(x);
        }
        if (COLUMNS > 4u) {
            let next = at + 4u * WIDTH;
            let x = mat4x4(residual[next], residual[next + WIDTH], residual[next + 2u * WIDTH], residual[next + 3u * WIDTH]);
            high += w * x;
            high_squares += squared_lengths(x);
        }
    }
    let n = f32(4u * WIDTH);
    let out = first * N_QUADS + quad;
    let low_scale = inverseSqrt(low_squares / n + EPSILON);
    logits[out] = low[0] * low_scale[0];
    if (COLUMNS > 1u) {
        logits[out + N_QUADS] = low[1] * low_scale[1];
        logits[out + 2u * N_QUADS] = low[2] * low_scale[2];
        logits[out + 3u * N_QUADS] = low[3] * low_scale[3];
    }
    if (COLUMNS > 4u) {
        let high_scale = inverseSqrt(high_squares / n + EPSILON);
        logits[out + 4u * N_QUADS] = high[0] * high_scale[0];
        logits[out + 5u * N_QUADS] = high[1] * high_scale[1];
        logits[out + 6u * N_QUADS] = high[2] * high_scale[2];
        logits[out + 7u * N_QUADS] = high[3] * high_scale[3];
    }
}
