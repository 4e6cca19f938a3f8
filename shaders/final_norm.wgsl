// h = g ⊙ x / sqrt(mean(x²) + ε), its norm |h|, and what the end classifier says of it:
// σ(w·h + b).
//
// One workgroup: one row.

override THREADS: u32;    // at most 64
override WIDTH: u32;      // d / 4
override EPSILON: f32;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                      // (rows)
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;            // (rows, d)
@group(0) @binding(2) var<storage, read> gain: array<vec4<f32>>;                // (d)
// For each set of weights: w, then b in the first place of a last vec4; zeros where there is no
// classifier.
@group(0) @binding(3) var<storage, read> classifier: array<vec4<f32>>;          // (sets, d + 4)
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4<f32>>;        // (taps, rows, d)
@group(0) @binding(5) var<storage, read_write> states: array<RowState>;         // (rows)

// Per thread: Σ x², Σ (g·x)², Σ w·g·x over its part of the row.
var<workgroup> sums: array<vec3<f32>, 64>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.x;
    if (rows[row].live == 0u) {
        return;
    }
    let of_set = rows[row].adapter * (WIDTH + 1u);
    var own = vec3<f32>();
    for (var i = thread; i < WIDTH; i += THREADS) {
        let x = residual[row * WIDTH + i];
        let scaled = x * gain[i];
        own += vec3(dot(x, x), dot(scaled, scaled), dot(scaled, classifier[of_set + i]));
    }
    sums[thread] = own;
    workgroupBarrier();
    var total = vec3<f32>();
    for (var t = 0u; t < THREADS; t++) {
        total += sums[t];
    }
    let scale = inverseSqrt(total.x / f32(4u * WIDTH) + EPSILON);
    for (var i = thread; i < WIDTH; i += THREADS) {
        hidden[row * WIDTH + i] = residual[row * WIDTH + i] * scale * gain[i];
    }
    if (thread == 0u) {
        // Within ±80 eˣ is a number; beyond, σ is 0 or 1 to the last bit that counts.
        let end_logit = clamp(scale * total.z + classifier[of_set + WIDTH].x, -80.0, 80.0);
        states[row].hidden_norm = scale * sqrt(total.y);
        states[row].end_probability = 1.0 / (1.0 + exp(-end_logit));
    }
}
