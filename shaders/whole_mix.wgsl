// How attention's weighted sum of values is shared on CPU adapters: a thread owns four dimensions of the
// head and sums all positions.

const MOST_THREADS = 64u;

fn mix(row: Row, kv_head: u32, head_row: u32, score_row: u32, total: f32, thread: u32) {
    let quads = HEAD_DIM / 4u;
    let n_keys = row.position + 1u;
    for (var i = thread; i < quads; i += THREADS) {
        var mixed = vec4<f32>();
        for (var p = 0u; p < n_keys; p++) {
            mixed += scores[score_row + p] * values[cached(row, p, kv_head) + i];
        }
        attended[head_row * quads + i] = mixed / total;
    }
}
