// How attention's weighted sum of values is shared on GPUs: as many threads as the head has fours of
// dimensions are a slice, and the slices take the positions in turns; their sums are added in the end.

override SLICES: u32;     // THREADS / (HEAD_DIM / 4)

const MOST_THREADS = 128u;

var<workgroup> mixes: array<vec4<f32>, MOST_THREADS>;

fn mix(row: Row, kv_head: u32, head_row: u32, score_row: u32, total: f32, thread: u32) {
    let quads = HEAD_DIM / 4u;
    let i = thread % quads;
    var mixed = vec4<f32>();
    // The last threads make no whole slice where the head's width does not divide them.
    if (thread < SLICES * quads) {
        for (var p = thread / quads; p <= row.position; p += SLICES) {
            mixed += scores[score_row + p] * values[cached(row, p, kv_head) + i];
        }
    }
    mixes[thread] = mixed;
    workgroupBarrier();
    if (thread < quads) {
        for (var slice = 1u; slice < SLICES; slice++) {
            mixed += mixes[slice * quads + thread];
        }
        attended[head_row * quads + thread] = mixed / total;
    }
}
