// How attention's weighted sum of values is shared on CPU adapters: a thread owns four dimensions of the
// head and sums all positions, behind those that the rows of its tile share.

const MOST_THREADS = 256u;

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
    for (var i = member; i < quads && n_keys > 0u; i += THREADS / TILE) {
        var mixed = vec4<f32>();
        if (n_shared > 0u) {
            mixed = attended[head_row * quads + i];
        }
        for (var p = n_shared; p < n_keys; p++) {
            mixed += scores[score_row + p] * values[cached(row, p, kv_head) + i];
        }
        attended[head_row * quads + i] = mixed / total;
    }
}
