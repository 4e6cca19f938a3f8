// How attention's weighted sum of values is shared on GPUs: as many threads as the head has fours of
// dimensions are a slice, and the slices take the positions in turns; their sums are added in the end.
// A workgroup has one row, which shares nothing.

override SLICES: u32;     // THREADS / (HEAD_DIM / 4)

const MOST_THREADS = 128u;

var<workgroup> mixes: array<vec4<f32>, MOST_THREADS>;

fn mix(
    row: Row,
    kv_head: u32,
    head_row: u32,
    score_row: u32,
    n_shared: u32,
    n_keys: u32,
    total: f32,
    member: u32,
) {
    let quads = HEAD_DIM / 4u;
    let i = member % quads;
    var mixed = vec4<f32>();
    // The last threads make no whole slice where the head's width does not divide them.
    if (member < SLICES * quads) {
        for (var p = member / quads; p < n_keys; p += SLICES) {
            mixed += scores[score_row + p] * values[cached(row, p, kv_head) + i];
        }
    }
    mixes[member] = mixed;
    workgroupBarrier();
    if (member < quads && n_keys > 0u) {
        for (var slice = 1u; slice < SLICES; slice++) {
            mixed += mixes[slice * quads + member];
        }
        attended[head_row * quads + member] = mixed / total;
    }
}
