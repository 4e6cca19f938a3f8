// residual = E[token], Σ wᵢ·E[idᵢ], or a hidden state that was kept, plus the vector of its position
// where positions are learned.
//
// One thread: four values of one row. A table in several shards takes one dispatch a shard: the
// first writes, the others add what their tokens bring.

override THREADS: u32;
override WIDTH: u32;      // d / 4
override FIRST_ID: u32;   // the shard's first token
override N_IDS: u32;      // tokens of the shard, a multiple of 4 like the first
override LEARNED_POSITIONS: bool = false;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                      // (rows)
@group(0) @binding(1) var<storage, read> inputs: array<Input>;                  // (rows)
@group(0) @binding(2) var<storage, read> table: array<Packed>;                  // (d / 4, N_IDS / 4)
@group(0) @binding(3) var<storage, read> hidden: array<vec4<f32>>;              // (taps, rows, d)
@group(0) @binding(4) var<storage, read> positions: array<vec4<f32>>;           // (positions, d)
@group(0) @binding(5) var<storage, read_write> residual: array<vec4<f32>>;      // (rows, d)

// Four values of w·E[token]; nothing where another shard holds the token.
fn share(token: u32, weight: f32, i: u32) -> vec4<f32> {
    let place = token - FIRST_ID;
    if (token < FIRST_ID || place >= N_IDS) {
        return vec4<f32>();
    }
    let n_quads = N_IDS / 4u;
    let quad = place / 4u;
    let scales = scale_place(WIDTH, n_quads, i, quad);
    let block = unpacked(table[i * n_quads + quad], table[scales.x], scales.y);
    let is_row = vec4(place % 4u) == vec4(0u, 1u, 2u, 3u);
    return weight * (vec4<f32>(is_row) * block);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let row = id.y;
    let i = id.x;
    if (i >= WIDTH || rows[row].live == 0u) {
        return;
    }
    let kind = inputs[row].kind;
    var x = vec4<f32>();
    if (FIRST_ID > 0u) {
        x = residual[row * WIDTH + i];
    } else {
        if (kind == INPUT_HIDDEN) {
            x = hidden[(inputs[row].tap * groups.y + row) * WIDTH + i];
        }
        if (LEARNED_POSITIONS) {
            x += positions[rows[row].position * WIDTH + i];
        }
    }
    if (kind == INPUT_TOKEN) {
        x += share(inputs[row].token, 1.0, i);
    }
    if (kind == INPUT_CONCEPT) {
        for (var k = 0u; k < inputs[row].n_kept; k++) {
            x += share(inputs[row].ids[k], inputs[row].weights[k], i);
        }
    }
    residual[row * WIDTH + i] = x;
}
