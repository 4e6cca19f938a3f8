// How attention's work is shared on GPUs: a workgroup has one row, which shares nothing. A thread scores
// whole positions; for the weighted sum of values, as many threads as the head has fours of dimensions
// are a slice, and the slices take the positions in turns. What is read is asked for four at a time: a
// GPU's thread waits for memory where it first needs what it has asked for.

override SLICES: u32;     // THREADS / (HEAD_DIM / 4)

@group(0) @binding(4) var<storage, read_write> scores: array<f32>;              // (rows, heads, positions)

// Per thread: the largest of its scores, and the sum of their exponentials.
var<workgroup> maxima: array<f32, THREADS>;
var<workgroup> sums: array<f32, THREADS>;
var<workgroup> mixes: array<vec4<f32>, THREADS>;

// Leaves the largest of `maxima` in its first place, for all threads.
fn reduce_maxima(thread: u32) {
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            maxima[thread] = max(maxima[thread], maxima[thread + half]);
        }
    }
    workgroupBarrier();
}

// Leaves the sum of `sums` in its first place, for all threads.
fn reduce_sums(thread: u32) {
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            sums[thread] += sums[thread + half];
        }
    }
    workgroupBarrier();
}

// Four dimensions of a position's value, times its weight.
fn weighted(row: Row, p: u32, kv_head: u32, score_row: u32, i: u32) -> vec4<f32> {
    return scores[score_row + p] * values[cached(row, p, kv_head) + i];
}

fn attend(tile: u32, n_tiles: u32, head: u32, thread: u32) {
    let first = tile * TILE;
    let n_positions = arrayLength(&scores) / (N_HEADS * n_tiles * TILE);
    let quads = HEAD_DIM / 4u;
    let kv_head = head / (N_HEADS / N_KV_HEADS);
    let row = rows[first];
    let head_row = first * N_HEADS + head;
    let score_row = head_row * n_positions;
    var n_keys = row.position + 1u;
    if (row.live == 0u) {
        n_keys = 0u;
    }
    let scale = inverseSqrt(f32(HEAD_DIM));
    var largest = -3.0e38;
    for (var p = thread; p < n_keys; p += THREADS) {
        let key = cached(row, p, kv_head);
        let query = head_row * quads;
        var products = vec4<f32>();
        var i = 0u;
        for (; i + 3u < quads; i += 4u) {
            products += queries[query + i] * keys[key + i]
                + queries[query + i + 1u] * keys[key + i + 1u]
                + queries[query + i + 2u] * keys[key + i + 2u]
                + queries[query + i + 3u] * keys[key + i + 3u];
        }
        for (; i < quads; i++) {
            products += queries[query + i] * keys[key + i];
        }
        let score = scale * dot(products, vec4(1.0));
        scores[score_row + p] = score;
        largest = max(largest, score);
    }
    maxima[thread] = largest;
    reduce_maxima(thread);
    largest = maxima[0];
    var sum = 0.0;
    for (var p = thread; p < n_keys; p += THREADS) {
        let weight = exp(scores[score_row + p] - largest);
        scores[score_row + p] = weight;
        sum += weight;
    }
    sums[thread] = sum;
    storageBarrier();
    reduce_sums(thread);

    let i = thread % quads;
    var mixed = vec4<f32>();
    // The last threads make no whole slice where the head's width does not divide them.
    if (thread < SLICES * quads) {
        var p = thread / quads;
        for (; p + 3u * SLICES < n_keys; p += 4u * SLICES) {
            mixed += weighted(row, p, kv_head, score_row, i)
                + weighted(row, p + SLICES, kv_head, score_row, i)
                + weighted(row, p + 2u * SLICES, kv_head, score_row, i)
                + weighted(row, p + 3u * SLICES, kv_head, score_row, i);
        }
        for (; p < n_keys; p += SLICES) {
            mixed += weighted(row, p, kv_head, score_row, i);
        }
    }
    mixes[thread] = mixed;
    workgroupBarrier();
    if (thread < quads && n_keys > 0u) {
        for (var slice = 1u; slice < SLICES; slice++) {
            mixed += mixes[slice * quads + thread];
        }
        attended[head_row * quads + thread] = mixed / sums[0];
    }
}
