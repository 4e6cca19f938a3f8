// From a distribution and a lane's state to a record, the next input and the next state: the twin
// of crates/model/src/select, in the order of the sampler released with Soft Thinking
// (arXiv 2505.15778).
//   the parts' distributions, merged; top-k, top-p, min-p; Dirichlet; max_concepts;
//   Gumbel-Softmax; Cold Stop; phase change.
//
// One workgroup: one row. All threads merge the parts' largest logits and write the record's kept
// tokens; the at most MAX_KEPT kept tokens and the phase machine are thread 0's.

override THREADS: u32;     // at most 64
override N_PARTS: u32;     // parts of the vocabulary, at most 256
override RING_STEPS: u32;

@group(0) @binding(0) var<storage, read_write> rows: array<Row>;                // (rows)
@group(0) @binding(1) var<storage, read_write> lanes: array<Lane>;              // (lanes)
@group(0) @binding(2) var<storage, read> phases: array<Phase>;                  // (lanes, PHASE_ROWS)
@group(0) @binding(3) var<storage, read> states: array<RowState>;               // (rows)
@group(0) @binding(4) var<storage, read> parts: array<Part>;                    // (rows, N_PARTS)
@group(0) @binding(5) var<storage, read_write> inputs: array<Input>;            // (rows)
@group(0) @binding(6) var<storage, read_write> records: array<Record>;          // (RING_STEPS, lanes)

// The kept tokens by falling weight; until they are probabilities, probs holds logits.
var<workgroup> ids: array<u32, MAX_KEPT>;
var<workgroup> probs: array<f32, MAX_KEPT>;
var<workgroup> weights: array<f32, MAX_KEPT>;
var<workgroup> n_kept: u32;

// The tokens that may be among the MAX_KEPT largest of all parts: of at most MAX_KEPT parts, those
// whose largest token does not come behind MAX_KEPT others'.
override POOL: u32 = min(N_PARTS, MAX_KEPT) * MAX_KEPT;
var<workgroup> n_pool: atomic<u32>;
var<workgroup> pool_logits: array<f32, POOL>;
var<workgroup> pool_ids: array<u32, POOL>;
var<workgroup> bound_logit: f32;
var<workgroup> bound_id: u32;

// Of a thread's parts: Σ e^x and Σ x·e^x of all logits at the temperature of the phase that decides, and
// the same at temperature 1, where x is how far a logit lies below the largest of all.
override N_SUMS: u32 = min(THREADS, N_PARTS);
var<workgroup> sums: array<vec4<f32>, N_SUMS>;
var<workgroup> n_bad: atomic<u32>;  // logits that are not finite
var<workgroup> n_found: atomic<u32>; // tokens that merge_top has found

var<workgroup> work: u32; // 0: nothing; 1: a step without logits; 2: a step with them

// What thread 0 works on.
var<private> row: u32;
var<private> lane: u32;
var<private> state: Lane;
var<private> record: RecordHead;
var<private> next_input: u32; // INPUT_*
var<private> next_token: u32;
var<private> next_tap: u32;
var<private> n_top: u32;
var<private> entropy: f32;
var<private> raw_entropy: f32;
var<private> scores: array<f32, MAX_KEPT>;

// Whether a phase ends at a token.
fn is_stop_token(phase: u32, token: u32) -> bool {
    var is_one = false;
    for (var i = 0u; i < MAX_STOP_TOKENS; i++) {
        is_one = is_one || phases[phase].stop_tokens[i] == token;
    }
    return is_one;
}

// Whether a chosen token completes a phase's stop text, of which the first token does not come
// again: what does not go on can only begin anew.
fn completes_stop_text(phase: u32, token: u32) -> bool {
    let n = phases[phase].n_stop_text;
    if (n == 0u) {
        return false;
    }
    let goes_on = token == phases[phase].stop_text[min(state.n_matched, n - 1u)];
    let begins = u32(token == phases[phase].stop_text[0]);
    state.n_matched = select(begins, state.n_matched + 1u, goes_on);
    return state.n_matched == n;
}

fn is_last() -> bool {
    return state.phase + 1u >= state.n_phases;
}

fn enter_next_phase() {
    state.phase += 1u;
    state.phase_step = 0u;
    state.cold_count = 0u;
    state.n_matched = 0u;
}

// Whether the next step's choice reads the logits; where it does not, the LM head is skipped.
fn wants_logits() -> bool {
    if (state.forced_row != NO_TOKEN) {
        return false;
    }
    let phase = phase_place(lane, state.phase);
    let feed = phases[phase].feed;
    if (feed == FEED_TOKEN || feed == FEED_CONCEPT) {
        return true;
    }
    let decodes = state.decode_thoughts != 0u && feed == FEED_HIDDEN;
    let may_end = state.phase_step >= phases[phase].max_steps || asks_classifier(phase, state.phase_step);
    return decodes || (may_end && phases[phase].n_force == 0u);
}

// Leaves the MAX_KEPT largest logits of all parts in ids and probs, falling, equal ones by rising
// id.
fn merge_top(thread: u32) {
    let first = row * N_PARTS;
    if (N_PARTS == 1u) {
        for (var k = thread; k < MAX_KEPT; k += THREADS) {
            ids[k] = parts[first].ids[k];
            probs[k] = parts[first].logits[k];
        }
        workgroupBarrier();
        return;
    }
    if (thread == 0u) {
        bound_logit = -LARGE;
        bound_id = NO_TOKEN;
    }
    workgroupBarrier();
    for (var p = thread; p < N_PARTS; p += THREADS) {
        let z = parts[first + p].logits[0];
        let id = parts[first + p].ids[0];
        var rank = 0u;
        for (var other = 0u; other < N_PARTS; other++) {
            rank += u32(comes_before(parts[first + other].logits[0], parts[first + other].ids[0], z, id));
        }
        if (rank == MAX_KEPT - 1u) {
            bound_logit = z;
            bound_id = id;
        }
    }
    workgroupBarrier();
    for (var p = thread; p < N_PARTS; p += THREADS) {
        for (var k = 0u; k < MAX_KEPT; k++) {
            let z = parts[first + p].logits[k];
            let id = parts[first + p].ids[k];
            if (id == NO_TOKEN || comes_before(bound_logit, bound_id, z, id)) {
                break;
            }
            let place = atomicAdd(&n_pool, 1u);
            if (place < POOL) {
                pool_logits[place] = z;
                pool_ids[place] = id;
            }
        }
    }
    workgroupBarrier();
    let n = min(atomicLoad(&n_pool), POOL);
    for (var i = thread; i < n; i += THREADS) {
        let z = pool_logits[i];
        let id = pool_ids[i];
        var rank = 0u;
        for (var j = 0u; j < n; j++) {
            rank += u32(comes_before(pool_logits[j], pool_ids[j], z, id));
        }
        if (rank < MAX_KEPT) {
            ids[rank] = id;
            probs[rank] = z;
        }
    }
    workgroupBarrier();
}

// What thread t adds of the parts t, t + THREADS, …; a part's own sums are relative to its own largest.
fn sum_parts(thread: u32) {
    let first = row * N_PARTS;
    let largest = probs[0];
    var own = vec4<f32>();
    for (var p = first + thread; p < first + N_PARTS; p += THREADS) {
        let raw_shift = below(parts[p].largest, largest, 1.0);
        let raw = vec2(parts[p].raw_sum, parts[p].raw_weighted);
        own += exp(raw_shift) * vec4(0.0, 0.0, raw.x, raw.y + raw_shift * raw.x);
        let temperature = parts[p].temperature;
        if (temperature > 0.0) {
            let shift = below(parts[p].largest, largest, temperature);
            let of_part = vec2(parts[p].sum, parts[p].weighted);
            own += exp(shift) * vec4(of_part.x, of_part.y + shift * of_part.x, 0.0, 0.0);
        }
        atomicAdd(&n_bad, parts[p].n_bad);
    }
    if (thread < N_SUMS) {
        sums[thread] = own;
    }
    workgroupBarrier();
}

// From the top logits to the top tokens' probabilities.
fn weigh_top(thread: u32) {
    let largest = probs[0];
    let temperature = parts[row * N_PARTS].temperature;
    var sum = 0.0;
    for (var t = 0u; t < N_SUMS; t++) {
        sum += sums[t].x;
    }
    workgroupBarrier();
    for (var k = thread; k < MAX_KEPT; k += THREADS) {
        weights[k] = 0.0;
        if (ids[k] != NO_TOKEN) {
            atomicAdd(&n_found, 1u);
        }
        if (temperature > 0.0) {
            let prob = exp(below(probs[k], largest, temperature)) / sum;
            // A subnormal number is 0 on some devices, so it is on all of them.
            probs[k] = select(0.0, prob, prob >= LEAST_NORMAL);
        } else {
            probs[k] = 1.0;
        }
    }
    workgroupBarrier();
}

// The entropies of all logits, and how many tokens can be kept: at temperature 0, the largest.
fn finish_distribution(temperature: f32) {
    var total = vec4<f32>();
    for (var t = 0u; t < N_SUMS; t++) {
        total += sums[t];
    }
    raw_entropy = max(log(total.z) - total.w / total.z, 0.0);
    n_top = 1u;
    if (temperature > 0.0) {
        entropy = max(log(total.x) - total.y / total.x, 0.0);
        n_top = atomicLoad(&n_found);
    }
}

fn write_kept(count: u32) {
    record.n_kept = count;
    record.entropy = entropy;
    record.raw_entropy = raw_entropy;
}

fn normalise(count: u32) {
    var sum = 0.0;
    for (var i = 0u; i < count; i++) {
        sum += weights[i];
    }
    for (var i = 0u; i < count; i++) {
        weights[i] /= sum;
    }
}

fn softmax_weights(count: u32) {
    var largest = scores[0];
    for (var i = 1u; i < count; i++) {
        largest = max(largest, scores[i]);
    }
    for (var i = 0u; i < count; i++) {
        weights[i] = exp(scores[i] - largest);
    }
    normalise(count);
}

// By falling weight, equal ones by rising id.
fn sort(count: u32) {
    for (var i = 1u; i < count; i++) {
        let id = ids[i];
        let prob = probs[i];
        let weight = weights[i];
        var place = i;
        while (place > 0u) {
            let before = place - 1u;
            if (weights[before] > weight || (weights[before] == weight && ids[before] < id)) {
                break;
            }
            ids[place] = ids[before];
            probs[place] = probs[before];
            weights[place] = weights[before];
            place = before;
        }
        ids[place] = id;
        probs[place] = prob;
        weights[place] = weight;
    }
}

// Top-k, top-p on its result, min-p on that; returns how many are kept, weights sum to 1.
fn truncated(phase: u32) -> u32 {
    var count = min(clamp(phases[phase].top_k, 1u, MAX_KEPT), n_top);
    for (var i = 0u; i < count; i++) {
        weights[i] = probs[i];
    }
    normalise(count);
    let top_p = phases[phase].top_p;
    var mass = 0.0;
    for (var i = 0u; i < count; i++) {
        mass += weights[i];
        // At 1 nothing is cut: where a sum of f32 reaches 1 is a matter of rounding.
        if (mass >= top_p && top_p < 1.0) {
            count = i + 1u;
        }
    }
    normalise(count);
    let min_p = phases[phase].min_p;
    if (min_p > 0.0) {
        // Weights fall, so what is at least the floor is a prefix.
        let floor = min_p * weights[0];
        var n_above = 0u;
        while (n_above < count && weights[n_above] >= floor) {
            n_above += 1u;
        }
        count = n_above;
        normalise(count);
    }
    return count;
}

// Dirichlet, max_concepts, Gumbel-Softmax, re-sort; returns how many are kept.
fn mix(phase: u32, n_truncated: u32, key: vec3<u32>) -> u32 {
    let noise = select(NOISE_NONE, phases[phase].noise, phases[phase].is_thinking != 0u);
    let noise_scale = phases[phase].noise_scale;
    if (noise == NOISE_DIRICHLET) {
        for (var i = 0u; i < n_truncated; i++) {
            scores[i] = ln_gamma_draw(key, ids[i], noise_scale * weights[i]);
        }
        softmax_weights(n_truncated);
        sort(n_truncated);
    }
    let count = min(n_truncated, clamp(phases[phase].max_concepts, 1u, MAX_KEPT));
    normalise(count);
    if (noise == NOISE_GUMBEL) {
        for (var i = 0u; i < count; i++) {
            let g = gumbel_draw(pcg4d(vec4(key, ids[i])).x);
            // A weight of 0 stays 0; ln 0 is not a number that WGSL promises.
            let noised = (log(max(weights[i], 1e-38)) + g) / noise_scale;
            scores[i] = select(-3e38, noised, weights[i] > 0.0);
        }
        softmax_weights(count);
        sort(count);
    }
    return count;
}

// One token's place from the truncated distribution, by inversion.
fn draw_token(count: u32, key: vec3<u32>) -> u32 {
    let u = uniform_draw(pcg4d(vec4(key, DRAW_TOKEN)).x);
    var mass = 0.0;
    for (var i = 0u; i < count; i++) {
        mass += weights[i];
        if (mass > u) {
            return i;
        }
    }
    return count - 1u;
}

fn make_one_hot(count: u32, id: u32) {
    for (var i = 0u; i < count; i++) {
        weights[i] = select(0.0, 1.0, ids[i] == id);
    }
}

fn feed_token(token: u32) -> u32 {
    record.token = token;
    next_token = token;
    return INPUT_TOKEN;
}

fn force(token: u32) -> u32 {
    record.flags |= FLAG_FORCED;
    return feed_token(token);
}

// Feeds the next token of the text that is being forced.
fn force_text() -> u32 {
    let phase = lane * PHASE_ROWS + state.forced_row;
    let token = phases[phase].then_force[state.forced_next];
    state.forced_next += 1u;
    if (state.forced_next >= phases[phase].n_force) {
        state.forced_row = NO_TOKEN;
    }
    return force(token);
}

// Ends the phase with its text, which it has.
fn force_end() -> u32 {
    state.forced_row = state.phase;
    state.forced_next = 0u;
    enter_next_phase();
    return force_text();
}

fn end_by_cold_stop(phase: u32) -> u32 {
    if (is_last()) {
        return INPUT_NONE;
    }
    if (phases[phase].n_force != 0u) {
        return force_end();
    }
    enter_next_phase();
    return feed_token(ids[0]);
}

// Token and concept phases: the sampler, Cold Stop, and the stop tokens.
fn choose(phase: u32) -> u32 {
    let key = vec3(state.seed, state.stream, state.step);
    let feed = phases[phase].feed;
    if (phases[phase].cold_patience > 0u) {
        state.cold_count = select(0u, state.cold_count + 1u, entropy < phases[phase].cold_entropy);
        record.cold_count = state.cold_count;
        if (state.cold_count >= phases[phase].cold_patience) {
            record.flags |= FLAG_COLD_STOP;
            write_kept(n_top);
            return end_by_cold_stop(phase);
        }
    }
    var count = truncated(phase);
    if (feed == FEED_CONCEPT) {
        count = mix(phase, count, key);
        record.token = ids[0];
    } else {
        var place = 0u;
        if (phases[phase].greedy == 0u) {
            place = draw_token(count, key);
        }
        record.token = ids[place];
        make_one_hot(count, record.token);
    }
    let completes = completes_stop_text(phase, record.token);
    let stops = completes || is_stop_token(phase, record.token);
    if (stops) {
        make_one_hot(count, record.token);
        record.flags |= FLAG_STOP;
    }
    write_kept(count);
    if (stops && is_last()) {
        return INPUT_NONE;
    }
    if (is_last() && state.phase_step >= phases[phase].max_steps) {
        record.flags |= FLAG_CAP;
        return INPUT_NONE;
    }
    if (stops && !completes && phases[phase].drops_stop != 0u && phases[phase].n_force != 0u) {
        return force_end();
    }
    if (stops) {
        enter_next_phase();
        return feed_token(record.token);
    }
    if (feed == FEED_CONCEPT) {
        return INPUT_CONCEPT;
    }
    return feed_token(record.token);
}

fn decide(has_logits: bool) -> u32 {
    if (state.forced_row != NO_TOKEN) {
        return force_text();
    }
    // A phase that is over and forces no marker hands this very step to the next one.
    var phase = phase_place(lane, state.phase);
    if (asks_classifier(phase, state.phase_step)) {
        record.end_probability = states[row].end_probability;
        record.flags |= FLAG_END_TESTED;
    }
    while (state.phase < state.n_phases) {
        let why = end_before_feeding(phase, state.phase_step, states[row].end_probability);
        if (why == 0u) {
            break;
        }
        record.flags |= why;
        if (phases[phase].n_force != 0u) {
            record.phase = state.phase;
            record.phase_step = state.phase_step;
            if (has_logits) {
                finish_distribution(phases[phase].temperature);
                write_kept(n_top);
            }
            return force_end();
        }
        enter_next_phase();
        phase = phase_place(lane, state.phase);
    }
    record.phase = state.phase;
    record.phase_step = state.phase_step;
    state.phase_step += 1u;
    if (phases[phase].feed == FEED_PAUSE) {
        return force(phases[phase].pause_token);
    }
    if (has_logits) {
        finish_distribution(phases[phase].temperature);
    }
    if (phases[phase].feed == FEED_HIDDEN) {
        if (has_logits) {
            write_kept(n_top);
            record.token = ids[0];
        }
        next_tap = phases[phase].tap;
        return INPUT_HIDDEN;
    }
    return choose(phase);
}

// Thread 0: decides, moves the lane, and writes the record and the next input but for their kept
// tokens.
fn decide_and_record(has_logits: bool, record_row: u32) {
    record.lane = lane;
    record.step = state.step;
    record.position = rows[row].position;
    record.phase = state.phase;
    record.phase_step = state.phase_step;
    record.cold_count = state.cold_count;
    record.hidden_norm = states[row].hidden_norm;
    let starts = state.forced_row == START_ROW;
    if (is_finite(record.hidden_norm) && (!has_logits || atomicLoad(&n_bad) == 0u)) {
        next_input = decide(has_logits);
    } else {
        record.flags = FLAG_NON_FINITE;
        next_input = INPUT_NONE;
    }
    if (next_input == INPUT_NONE) {
        record.flags |= FLAG_DONE;
    }
    record.input = next_input;
    n_kept = record.n_kept;
    records[record_row].head = record;

    inputs[row].kind = next_input;
    inputs[row].token = next_token;
    inputs[row].tap = next_tap;
    inputs[row].n_kept = n_kept;

    state.step += 1u;
    state.tick += 1u;
    lanes[lane] = state;
    rows[row].position += 1u;
    rows[row].write_row = rows[row].base + rows[row].position;
    rows[row].live = u32(next_input != INPUT_NONE);
    rows[row].wants_logits = u32(wants_logits());
    // A start marker still runs under the base; a marker that ends a phase, under the next one's.
    rows[row].adapter = select(phases[phase_place(lane, state.phase)].adapter, 0u, starts);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    row = group.x;
    if (thread == 0u) {
        work = rows[row].live * rows[row].commits * (1u + rows[row].wants_logits);
        atomicStore(&n_pool, 0u);
        atomicStore(&n_bad, 0u);
        atomicStore(&n_found, 0u);
    }
    let has_work = workgroupUniformLoad(&work);
    if (has_work == 0u) {
        return;
    }
    lane = rows[row].lane;
    state = lanes[lane];
    let n_lanes = arrayLength(&records) / RING_STEPS;
    let record_row = state.tick % RING_STEPS * n_lanes + lane;
    if (has_work == 2u) {
        merge_top(thread);
        sum_parts(thread);
        weigh_top(thread);
    }
    if (thread == 0u) {
        decide_and_record(has_work == 2u, record_row);
    }
    workgroupBarrier();

    for (var i = thread; i < MAX_KEPT; i += THREADS) {
        let is_kept = i < n_kept;
        let id = select(0u, ids[i], is_kept);
        let weight = select(0.0, weights[i], is_kept);
        records[record_row].ids[i] = id;
        records[record_row].probs[i] = select(0.0, probs[i], is_kept);
        records[record_row].weights[i] = weight;
        inputs[row].ids[i] = id;
        inputs[row].weights[i] = weight;
    }
}
