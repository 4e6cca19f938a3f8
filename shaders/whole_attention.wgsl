// How attention's work is shared on CPU adapters: THREADS / TILE threads work for each of the tile's rows.
// The positions that all of them see in the same rows of the cache (of a prompt that lanes share, or of
// one that is read) are read once for all; a row's threads share the others, and own four dimensions of
// the weighted sum of values.

@group(0) @binding(4) var<storage, read_write> scores: array<f32>;              // (rows, heads, positions)

// Per thread: the largest of its scores, and the sum of their exponentials.
var<workgroup> maxima: array<f32, THREADS>;
var<workgroup> sums: array<f32, THREADS>;

// The scores of the first `n_shared` positions for all rows of the tile: a thread reads four keys once.
fn score_shared(row: Row, first: u32, head: u32, kv_head: u32, n_positions: u32, thread: u32) {
    let quads = HEAD_DIM / 4u;
    // From a row's queries to the next one's.
    let stride = N_HEADS * quads;
    let query = (first * N_HEADS + head) * quads;
    let scale = inverseSqrt(f32(HEAD_DIM));
    for (var four = thread; 4u * four < row.n_shared; four += THREADS) {
        let positions = 4u * four + vec4(0u, 1u, 2u, 3u);
        let at = min(positions, vec4(row.n_shared - 1u));
        let key_0 = cached(row, at[0], kv_head);
        let key_1 = cached(row, at[1], kv_head);
        let key_2 = cached(row, at[2], kv_head);
        let key_3 = cached(row, at[3], kv_head);
        var low = mat4x4<f32>();
        var high = mat4x4<f32>();
        for (var i = 0u; i < quads; i++) {
            let k = mat4x4(keys[key_0 + i], keys[key_1 + i], keys[key_2 + i], keys[key_3 + i]);
            let q = query + i;
            low += mat4x4(
                queries[q] * k,
                queries[q + stride] * k,
                queries[q + 2u * stride] * k,
                queries[q + 3u * stride] * k,
            );
            if (TILE > 4u) {
                high += mat4x4(
                    queries[q + 4u * stride] * k,
                    queries[q + 5u * stride] * k,
                    queries[q + 6u * stride] * k,
                    queries[q + 7u * stride] * k,
                );
            }
        }
        let score = (first * N_HEADS + head) * n_positions;
        for (var j = 0u; j < 4u && positions[j] < row.n_shared; j++) {
            let p = score + positions[j];
            let next = N_HEADS * n_positions;
            scores[p] = scale * low[0][j];
            scores[p + next] = scale * low[1][j];
            scores[p + 2u * next] = scale * low[2][j];
            scores[p + 3u * next] = scale * low[3][j];
            if (TILE > 4u) {
                scores[p + 4u * next] = scale * high[0][j];
                scores[p + 5u * next] = scale * high[1][j];
                scores[p + 6u * next] = scale * high[2][j];
                scores[p + 7u * next] = scale * high[3][j];
            }
        }
    }
}

// The weighted sums of the first `n_shared` values for all rows of the tile: a thread reads four
// dimensions of a value once.
fn mix_shared(row: Row, first: u32, head: u32, kv_head: u32, n_positions: u32, thread: u32) {
    let quads = HEAD_DIM / 4u;
    let score = (first * N_HEADS + head) * n_positions;
    let next = N_HEADS * n_positions;
    for (var i = thread; i < quads; i += THREADS) {
        var low = mat4x4<f32>();
        var high = mat4x4<f32>();
        for (var p = 0u; p < row.n_shared; p++) {
            let value = values[cached(row, p, kv_head) + i];
            let s = score + p;
            low += mat4x4(
                scores[s] * value,
                scores[s + next] * value,
                scores[s + 2u * next] * value,
                scores[s + 3u * next] * value,
            );
            if (TILE > 4u) {
                high += mat4x4(
                    scores[s + 4u * next] * value,
                    scores[s + 5u * next] * value,
                    scores[s + 6u * next] * value,
                    scores[s + 7u * next] * value,
                );
            }
        }
        let stride = N_HEADS * quads;
        let at = (first * N_HEADS + head) * quads + i;
        attended[at] = low[0];
        attended[at + stride] = low[1];
        attended[at + 2u * stride] = low[2];
        attended[at + 3u * stride] = low[3];
        if (TILE > 4u) {
            attended[at + 4u * stride] = high[0];
            attended[at + 5u * stride] = high[1];
            attended[at + 6u * stride] = high[2];
            attended[at + 7u * stride] = high[3];
        }
    }
}

fn attend(tile: u32, n_tiles: u32, head: u32, thread: u32) {
    let first = tile * TILE;
    let n_positions = arrayLength(&scores) / (N_HEADS * n_tiles * TILE);
    let quads = HEAD_DIM / 4u;
    let kv_head = head / (N_HEADS / N_KV_HEADS);
    // The row that this thread works for, and which of its threads it is.
    let row_threads = THREADS / TILE;
    let member = thread % row_threads;
    let row = rows[first + thread / row_threads];
    let head_row = (first + thread / row_threads) * N_HEADS + head;
    let score_row = head_row * n_positions;
    var n_keys = row.position + 1u;
    if (row.live == 0u) {
        n_keys = 0u;
    }
    // The tile's first row stands for all of them.
    let shared_row = rows[first];
    var n_shared = 0u;
    if (TILE > 1u) {
        n_shared = shared_row.n_shared;
        score_shared(shared_row, first, head, kv_head, n_positions, thread);
        storageBarrier();
        workgroupBarrier();
    }

    let scale = inverseSqrt(f32(HEAD_DIM));
    var largest = -3.0e38;
    for (var p = member; p < min(n_shared, n_keys); p += row_threads) {
        largest = max(largest, scores[score_row + p]);
    }
    for (var p = n_shared + member; p < n_keys; p += 4u * row_threads) {
        // Four positions at a time, so that the query is read once for all of them.
        let positions = p + row_threads * vec4(0u, 1u, 2u, 3u);
        let at = min(positions, vec4(row.position));
        let key_0 = cached(row, at[0], kv_head);
        let key_1 = cached(row, at[1], kv_head);
        let key_2 = cached(row, at[2], kv_head);
        let key_3 = cached(row, at[3], kv_head);
        var four = vec4<f32>();
        for (var i = 0u; i < quads; i++) {
            let k = mat4x4(keys[key_0 + i], keys[key_1 + i], keys[key_2 + i], keys[key_3 + i]);
            four += queries[head_row * quads + i] * k;
        }
        for (var i = 0u; i < 4u && positions[i] < n_keys; i++) {
            let score = scale * four[i];
            scores[score_row + positions[i]] = score;
            largest = max(largest, score);
        }
    }
    maxima[thread] = largest;
    workgroupBarrier();

    let first_member = thread - member;
    for (var t = 0u; t < row_threads; t++) {
        largest = max(largest, maxima[first_member + t]);
    }
    var sum = 0.0;
    for (var p = member; p < n_keys; p += row_threads) {
        let weight = exp(scores[score_row + p] - largest);
        scores[score_row + p] = weight;
        sum += weight;
    }
    sums[thread] = sum;
    storageBarrier();
    workgroupBarrier();

    if (TILE > 1u) {
        mix_shared(shared_row, first, head, kv_head, n_positions, thread);
        storageBarrier();
        workgroupBarrier();
    }
    var total = 0.0;
    for (var t = 0u; t < row_threads; t++) {
        total += sums[first_member + t];
    }
    for (var i = member; i < quads && n_keys > 0u; i += row_threads) {
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
