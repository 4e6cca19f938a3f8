// Shared by every kernel: what a row and a lane are, the trace record, and random numbers.
// The Rust twins are crates/gpu/src/layout.rs, record.rs and rng.rs; tests compare them.

// Where there is no token: no stop token, no marker, an empty place in a list.
const NO_TOKEN = 0xffffffffu;

// One row of the batch that the forward pass works on: a lane's newest input, or one position of
// a prompt that is prefilled. Its key and value go to the cache's row write_row. It sees itself
// and what lies before it: position p in cache row prefix_base + p for p < n_prefix (what lanes
// with the same prompt share), else in row base + p.
struct Row {
    lane: u32,
    position: u32,
    write_row: u32,
    base: u32,
    prefix_base: u32,
    n_prefix: u32,
    live: u32,         // 0: skip this row
    commits: u32,      // 0: its lane does not move on, whatever comes out of it
    wants_logits: u32, // 0: the LM head may be skipped
    adapter: u32,      // the set of weights that it runs under (Adapter in program.rs)
    n_shared: u32,     // positions below it lie in the same rows of the cache for all rows of its tile
}

// What enters the first layer at a row.
struct Input {
    kind: u32,         // INPUT_*
    token: u32,
    tap: u32,          // which block of the hidden states is fed
    n_kept: u32,       // tokens of the mixture
    ids: array<u32, 32>,
    weights: array<f32, 32>,
}

// What the final norm leaves of a row beside the vector itself.
struct RowState {
    hidden_norm: f32,
    end_probability: f32,
}

// The distribution over a part of the vocabulary: of the logits z with their largest m,
// s = Σ exp((z − m) / T) and u = Σ (z − m) / T · exp((z − m) / T), also at T = 1.
struct Part {
    largest: f32,
    n_bad: u32,        // logits that are not finite
    sum: f32,
    weighted: f32,
    raw_sum: f32,
    raw_weighted: f32,
    temperature: f32,
    ids: array<u32, 32>,    // the largest logits, falling, equal ones by rising id
    logits: array<f32, 32>, // −LARGE where the part has no more
}

// One phase of a lane's program (crates/model/src/program.rs).
struct Phase {
    is_thinking: u32,
    feed: u32,          // FEED_*
    tap: u32,           // which block of the hidden states a hidden phase feeds
    pause_token: u32,
    max_steps: u32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    max_concepts: u32,
    noise: u32,         // NOISE_*
    noise_scale: f32,   // tau or alpha
    greedy: u32,
    stop_tokens: array<u32, 8>, // the rest are NO_TOKEN
    then_force: array<u32, 16>, // a text: the tokens after its n_force are nothing
    n_force: u32,
    stop_text: array<u32, 16>,
    n_stop_text: u32,
    drops_stop: u32,    // then_force is fed in place of a stop token
    cold_entropy: f32,
    cold_patience: u32, // 0: no Cold Stop
    asks_classifier: u32,
    end_threshold: f32,
    adapter: u32,       // the set of weights that its inputs run under
}

// Where a lane is in its program (LaneState in crates/model/src/select.rs).
struct Lane {
    seed: u32,
    stream: u32,
    step: u32,
    phase: u32,
    phase_step: u32,
    cold_count: u32,
    forced_row: u32,    // the row of the phase table whose text is being forced, or NO_TOKEN
    forced_next: u32,   // which of its tokens comes next
    n_matched: u32,     // the newest tokens chosen that begin the phase's stop text
    n_phases: u32,
    decode_thoughts: u32,
    tick: u32,          // steps of the run so far: the place in the ring of records
}

// StepRecord in crates/model/src/record.rs: what thread 0 decides, and the kept tokens.
struct Record {
    head: RecordHead,
    ids: array<u32, 32>,
    probs: array<f32, 32>,
    weights: array<f32, 32>,
}

struct RecordHead {
    lane: u32,
    step: u32,
    position: u32,
    phase: u32,
    phase_step: u32,
    input: u32,         // INPUT_*
    token: u32,
    flags: u32,         // FLAG_*
    cold_count: u32,
    n_kept: u32,        // 0 until a distribution is written
    entropy: f32,
    raw_entropy: f32,
    hidden_norm: f32,
    end_probability: f32,
}

const MAX_KEPT = 32u;
const MAX_PHASES = 8u;
const MAX_STOP_TOKENS = 8u;
// A lane's phases, and a row whose text is forced before the first of them.
const PHASE_ROWS = 9u;
const START_ROW = 8u;

// Tokens of a part of the vocabulary, per thread that reads them.
const TOKENS_PER_THREAD = 16u;

const FEED_TOKEN = 0u;
const FEED_CONCEPT = 1u;
const FEED_HIDDEN = 2u;
const FEED_PAUSE = 3u;

const NOISE_NONE = 0u;
const NOISE_GUMBEL = 1u;
const NOISE_DIRICHLET = 2u;

const INPUT_NONE = 0u;
const INPUT_TOKEN = 1u;
const INPUT_CONCEPT = 2u;
const INPUT_HIDDEN = 3u;

const FLAG_FORCED = 1u;
const FLAG_STOP = 2u;
const FLAG_COLD_STOP = 4u;
const FLAG_CAP = 8u;
const FLAG_DONE = 16u;
const FLAG_NON_FINITE = 32u;
const FLAG_END_CLASSIFIER = 64u;
const FLAG_END_TESTED = 128u;

// Below every logit: where a list has no more tokens.
const LARGE = 3.4028234663852886e38;
// The least number that no device takes for 0.
const LEAST_NORMAL = 1.1754943508222875e-38;

// The draw that picks a token; noise uses the token's id as its draw (rng.rs).
const DRAW_TOKEN = 0xffffffffu;
const ATTEMPT_SHIFT = 20u;

// Squared length of each of four vectors.
fn squared_lengths(x: mat4x4<f32>) -> vec4<f32> {
    return vec4(dot(x[0], x[0]), dot(x[1], x[1]), dot(x[2], x[2]), dot(x[3], x[3]));
}

// Two pairs of a head, (a, a', b, b'), turned by (cos, sin, cos', sin'): (a, b) becomes
// (a·cos − b·sin, b·cos + a·sin).
fn turned(y: vec4<f32>, rotation: vec4<f32>) -> vec4<f32> {
    return vec4(y.xy * rotation.xz - y.zw * rotation.yw, y.zw * rotation.xz + y.xy * rotation.yw);
}

// Whether logit z of token id comes before another one: larger, or as large with a smaller id.
fn comes_before(z: f32, id: u32, other_z: f32, other_id: u32) -> bool {
    return z > other_z || (z == other_z && id < other_id);
}

// How far logit z lies below the largest one, in units of the temperature: no further than where eˣ
// is 0 beyond doubt, because 0 · ∞ is NaN.
fn below(z: f32, largest: f32, temperature: f32) -> f32 {
    return max((z - largest) / temperature, -1e30);
}

// By its bits, because a shader compiler may assume that a float is never NaN.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn pcg4d_mix(start: vec4<u32>) -> vec4<u32> {
    var v = start;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// The hash pcg4d of Jarzynski & Olano (JCGT 2020).
fn pcg4d(key: vec4<u32>) -> vec4<u32> {
    var v = pcg4d_mix(key * 1664525u + 1013904223u);
    v ^= v >> vec4(16u);
    return pcg4d_mix(v);
}

// A uniform number in the open interval (0, 1), from the upper 23 bits.
fn uniform_draw(bits: u32) -> f32 {
    return (f32(bits >> 9u) + 0.5) * (1.0 / 8388608.0);
}

fn gumbel_draw(bits: u32) -> f32 {
    return -log(-log(uniform_draw(bits)));
}

// Box and Muller's transform. cos(2πu) = −cos(2πu − π) stays inside of the interval [−π, π]
// for which WGSL promises an accuracy.
fn normal_draw(bits_a: u32, bits_b: u32) -> f32 {
    let radius = sqrt(-2.0 * log(uniform_draw(bits_a)));
    return -radius * cos(6.2831853 * (uniform_draw(bits_b) - 0.5));
}

// ln of a Gamma(shape, 1) number for the token `id`, by Marsaglia and Tsang's method.
// `key` is (seed, stream, step).
fn ln_gamma_draw(key: vec3<u32>, id: u32, shape: f32) -> f32 {
    let is_small = shape < 1.0;
    let d = select(shape, shape + 1.0, is_small) - 1.0 / 3.0;
    let c = 1.0 / sqrt(9.0 * d);
    var ln_v = 0.0;
    var ln_boost = 0.0;
    for (var attempt = 0u; attempt < 16u; attempt++) {
        let bits = pcg4d(vec4(key, id + (attempt << ATTEMPT_SHIFT)));
        let x = normal_draw(bits.x, bits.y);
        let root = 1.0 + c * x;
        if (root <= 0.0) {
            continue;
        }
        ln_v = 3.0 * log(root);
        if (is_small) {
            // A concept without mass has shape 0: far below, but never a division by zero.
            ln_boost = log(uniform_draw(bits.w)) / max(shape, 1e-30);
        }
        let v = root * root * root;
        if (log(uniform_draw(bits.z)) < 0.5 * x * x + d - d * v + d * ln_v) {
            break;
        }
    }
    return log(d) + ln_v + ln_boost;
}
