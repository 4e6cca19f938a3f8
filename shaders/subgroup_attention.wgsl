// How attention's work is shared on CPU adapters with subgroups: a workgroup is one subgroup, which hands
// round what its threads have read and found, so that a key or a value is read once for all rows that see
// it. There are no barriers: a driver that runs on the CPU keeps the variables of threads that wait at one
// in memory, and their loops take three times as long.
//
// A thread scores whole positions, and owns four dimensions of the weighted sum of values at a time. What
// it stores, it alone reads again.

// For each tile and head: of every shared position, the scores of the tile's rows; behind them for every
// row, of its own positions, those of one thread in a block of 4 · SUBGROUP.
@group(0) @binding(4) var<storage, read_write> scores: array<vec4<f32>>;

const LEAST = -3.0e38;

// Of up to eight rows, a component each.
struct Eight {
    low: vec4<f32>,
    high: vec4<f32>,
}

// The shared positions' part of up to eight rows' weighted sums of values, a column each, and of their
// weights.
struct Mixed {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
    weights: Eight,
}

// One head of a tile of rows.
struct Head {
    first: u32,           // the tile's first row
    head: u32,
    kv_head: u32,
    n_shared: u32,        // positions that all of its rows see
    scores: u32,          // where its scores begin
    own_blocks: u32,      // blocks of own positions that a row has room for
    place: u32,           // of the thread in its subgroup
}

fn of_row(eight: Eight, row: u32) -> f32 {
    var found = eight.low;
    if (row > 3u) {
        found = eight.high;
    }
    return found[row % 4u];
}

fn keys_of(row: Row) -> u32 {
    return select(0u, row.position + 1u, row.live == 1u);
}

// Where the thread's four of dimensions is in a row's query and in what comes out, of SUBGROUP fours from
// `start` on.
fn own_four(it: Head, row: u32, start: u32) -> u32 {
    let quads = HEAD_DIM / 4u;
    return ((it.first + row) * N_HEADS + it.head) * quads + min(start + it.place, quads - 1u);
}

// The thread's queries of four rows.
fn four_queries(it: Head, row: u32, start: u32) -> mat4x4<f32> {
    let stride = N_HEADS * (HEAD_DIM / 4u);
    let at = own_four(it, row, start);
    return mat4x4(
        queries[at],
        queries[at + stride],
        queries[at + 2u * stride],
        queries[at + 3u * stride],
    );
}

// Scores the shared positions for all rows. Gives the largest of each row's that the thread has found.
fn score_shared(it: Head, row: Row) -> Eight {
    let quads = HEAD_DIM / 4u;
    let scale = inverseSqrt(f32(HEAD_DIM));
    var largest = Eight(vec4(LEAST), vec4(LEAST));
    for (var block = 0u; block < it.n_shared; block += SUBGROUP) {
        let p = block + it.place;
        let key = cached(row, min(p, it.n_shared - 1u), it.kv_head);
        var found = Eight();
        for (var start = 0u; start < quads; start += SUBGROUP) {
            let low = four_queries(it, 0u, start);
            var high = mat4x4<f32>();
            if (TILE > 4u) {
                high = four_queries(it, 4u, start);
            }
            for (var i = start; i < min(start + SUBGROUP, quads); i++) {
                let k = keys[key + i];
                found.low += k * handed_four(low, i - start);
                if (TILE > 4u) {
                    found.high += k * handed_four(high, i - start);
                }
            }
        }
        found = Eight(scale * found.low, scale * found.high);
        largest = Eight(max(largest.low, found.low), max(largest.high, found.high));
        if (p < it.n_shared) {
            let at = it.scores + p * (TILE / 4u);
            scores[at] = found.low;
            if (TILE > 4u) {
                scores[at + 1u] = found.high;
            }
        }
    }
    return largest;
}

// Where the thread's scores of a block of a row's own positions are.
fn own_scores(it: Head, row: u32, block: u32) -> u32 {
    let own = it.scores + it.n_shared * (TILE / 4u);
    return own + (row * it.own_blocks + block) * SUBGROUP + it.place;
}

// Scores a row's own positions. Gives the largest that the thread has found.
fn score_own(it: Head, r: u32, row: Row) -> f32 {
    let quads = HEAD_DIM / 4u;
    let scale = inverseSqrt(f32(HEAD_DIM));
    let n_keys = keys_of(row);
    var largest = LEAST;
    for (var block = 0u; it.n_shared + 4u * SUBGROUP * block < n_keys; block++) {
        let first = it.n_shared + 4u * SUBGROUP * block + it.place;
        let positions = first + SUBGROUP * vec4(0u, 1u, 2u, 3u);
        let at = min(positions, vec4(n_keys - 1u));
        let key_0 = cached(row, at[0], it.kv_head);
        let key_1 = cached(row, at[1], it.kv_head);
        let key_2 = cached(row, at[2], it.kv_head);
        let key_3 = cached(row, at[3], it.kv_head);
        // What the whole subgroup has no positions for is not read.
        let n_fours = (n_keys - it.n_shared - 4u * SUBGROUP * block + SUBGROUP - 1u) / SUBGROUP;
        var found = vec4<f32>();
        for (var start = 0u; start < quads; start += SUBGROUP) {
            let own = queries[own_four(it, r, start)];
            for (var i = start; i < min(start + SUBGROUP, quads); i++) {
                let q = subgroupShuffle(own, i - start);
                var k = mat4x4<f32>();
                k[0] = keys[key_0 + i];
                if (n_fours > 1u) {
                    k[1] = keys[key_1 + i];
                }
                if (n_fours > 2u) {
                    k[2] = keys[key_2 + i];
                }
                if (n_fours > 3u) {
                    k[3] = keys[key_3 + i];
                }
                found += q * k;
            }
        }
        found = select(vec4(LEAST), scale * found, positions < vec4(n_keys));
        scores[own_scores(it, r, block)] = found;
        largest = max(largest, max(max(found[0], found[1]), max(found[2], found[3])));
    }
    return largest;
}

// The weighted sums of the shared values for all rows: four dimensions, of which the thread's are the
// `quad`th.
fn mix_shared(it: Head, row: Row, largest: Eight, quad: u32) -> Mixed {
    var mixed = Mixed();
    for (var block = 0u; block < it.n_shared; block += SUBGROUP) {
        var own = Eight();
        if (block + it.place < it.n_shared) {
            let at = it.scores + (block + it.place) * (TILE / 4u);
            own.low = exp(scores[at] - largest.low);
            if (TILE > 4u) {
                own.high = exp(scores[at + 1u] - largest.high);
            }
        }
        for (var p = block; p < min(block + SUBGROUP, it.n_shared); p++) {
            let value = values[cached(row, p, it.kv_head) + quad];
            let low = subgroupShuffle(own.low, p - block);
            mixed.weights.low += low;
            mixed.low += mat4x4(low[0] * value, low[1] * value, low[2] * value, low[3] * value);
            if (TILE > 4u) {
                let high = subgroupShuffle(own.high, p - block);
                mixed.weights.high += high;
                mixed.high += mat4x4(high[0] * value, high[1] * value, high[2] * value, high[3] * value);
            }
        }
    }
    return mixed;
}

// Adds a row's own values to the shared ones' weighted sum, and divides by the sum of all weights.
fn mix_own(
    it: Head,
    r: u32,
    row: Row,
    shared_sum: vec4<f32>,
    shared_weight: f32,
    most: f32,
    quad: u32,
) -> vec4<f32> {
    let n_keys = keys_of(row);
    var mixed = shared_sum;
    // Of every fourth position.
    var totals = vec4(shared_weight, 0.0, 0.0, 0.0);
    for (var block = 0u; it.n_shared + 4u * SUBGROUP * block < n_keys; block++) {
        let own = exp(scores[own_scores(it, r, block)] - most);
        let first = it.n_shared + 4u * SUBGROUP * block;
        for (var j = 0u; j < 4u && first + j * SUBGROUP < n_keys; j++) {
            let weight = own[j];
            let start = first + j * SUBGROUP;
            // The weight of a position past the last is 0.
            for (var i = 0u; i < SUBGROUP && start + i < n_keys; i += 4u) {
                let at = min(start + i + vec4(0u, 1u, 2u, 3u), vec4(n_keys - 1u));
                let weights = vec4(
                    subgroupShuffle(weight, i),
                    subgroupShuffle(weight, i + 1u),
                    subgroupShuffle(weight, i + 2u),
                    subgroupShuffle(weight, i + 3u),
                );
                totals += weights;
                mixed += mat4x4(
                    values[cached(row, at[0], it.kv_head) + quad],
                    values[cached(row, at[1], it.kv_head) + quad],
                    values[cached(row, at[2], it.kv_head) + quad],
                    values[cached(row, at[3], it.kv_head) + quad],
                ) * weights;
            }
        }
    }
    return mixed / dot(totals, vec4(1.0));
}

fn attend(tile: u32, n_tiles: u32, head: u32, thread: u32) {
    let quads = HEAD_DIM / 4u;
    let n_scores = arrayLength(&scores) / (N_HEADS * n_tiles);
    // The tile's first row stands for all of them.
    let shared_row = rows[tile * TILE];
    let n_shared = select(0u, shared_row.n_shared, TILE > 1u);
    let kv_head = head / (N_HEADS / N_KV_HEADS);
    let it = Head(
        tile * TILE,
        head,
        kv_head,
        n_shared,
        (tile * N_HEADS + head) * n_scores,
        (n_scores - n_shared * (TILE / 4u)) / (TILE * SUBGROUP),
        // All of its threads are here.
        subgroupExclusiveAdd(1u),
    );
    var largest = Eight(vec4(LEAST), vec4(LEAST));
    if (TILE > 1u) {
        largest = score_shared(it, shared_row);
    }
    for (var r = 0u; r < TILE; r++) {
        let own = score_own(it, r, rows[it.first + r]);
        if (r > 3u) {
            largest.high[r % 4u] = max(largest.high[r % 4u], own);
        } else {
            largest.low[r] = max(largest.low[r], own);
        }
    }
    largest.low = subgroupMax(largest.low);
    if (TILE > 4u) {
        largest.high = subgroupMax(largest.high);
    }
    for (var start = 0u; start < quads; start += SUBGROUP) {
        let quad = min(start + it.place, quads - 1u);
        var of_shared = Mixed();
        if (TILE > 1u) {
            of_shared = mix_shared(it, shared_row, largest, quad);
        }
        for (var r = 0u; r < TILE; r++) {
            let row = rows[it.first + r];
            var shared_sum = of_shared.low[r % 4u];
            if (r > 3u) {
                shared_sum = of_shared.high[r % 4u];
            }
            let shared_weight = of_row(of_shared.weights, r);
            let mixed = mix_own(it, r, row, shared_sum, shared_weight, of_row(largest, r), quad);
            if (start + it.place < quads && row.live == 1u) {
                attended[own_four(it, r, start)] = mixed;
            }
        }
    }
}
