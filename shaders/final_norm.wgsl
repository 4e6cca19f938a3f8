// h = g ⊙ x / sqrt(mean(x²) + ε), or LayerNorm's h = g ⊙ x / sqrt(mean(x²) + ε) + β with the mean
// taken from x before; its norm |h|, and what the end classifier says of it: σ(w·h + b).
//
// One workgroup: one row.

override THREADS: u32;    // at most 64
override WIDTH: u32;      // d / 4
override EPSILON: f32;
override LAYER_NORM: bool = false;

@group(0) @binding(0) var<storage, read> rows: array<Row>;                      // (rows)
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;            // (rows, d)
@group(0) @binding(2) var<storage, read> gain: array<vec4<f32>>;                // (d), then β where there is one
// For each set of weights: w, then b in the first place of a last vec4; zeros where there is no
// classifier.
@group(0) @binding(3) var<storage, read> classifier: array<vec4<f32>>;          // (sets, d + 4)
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4<f32>>;        // (taps, rows, d)
@group(0) @binding(5) var<storage, read_write> states: array<RowState>;         // (rows)

// Per thread: Σ x², Σ (g·x)², Σ w·g·x over its part of the row.
var<workgroup> sums: array<vec3<f32>, THREADS>;
// Per thread: Σ g·x·β, Σ β², Σ w·β over its part of the row.
var<workgroup> bias_sums: array<vec3<f32>, THREADS>;

// The mean of a row, or 0 where the norm does not ask.
fn mean(row: u32) -> f32 {
    var sum = vec4<f32>();
    if (LAYER_NORM) {
        for (var k = 0u; k < WIDTH; k++) {
            sum += residual[row * WIDTH + k];
        }
    }
    return dot(sum, vec4(1.0)) / f32(4u * WIDTH);
}

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
    let mean = mean(row);
    var own = vec3<f32>();
    var own_bias = vec3<f32>();
    for (var i = thread; i < WIDTH; i += THREADS) {
        let x = residual[row * WIDTH + i] - mean;
        let scaled = x * gain[i];
        own += vec3(dot(x, x), dot(scaled, scaled), dot(scaled, classifier[of_set + i]));
        if (LAYER_NORM) {
            let bias = gain[WIDTH + i];
            own_bias += vec3(dot(scaled, bias), dot(bias, bias), dot(bias, classifier[of_set + i]));
        }
    }
    sums[thread] = own;
    if (LAYER_NORM) {
        bias_sums[thread] = own_bias;
    }
    workgroupBarrier();
    var total = vec3<f32>();
    var bias_total = vec3<f32>();
    for (var t = 0u; t < THREADS; t++) {
        total += sums[t];
        if (LAYER_NORM) {
            bias_total += bias_sums[t];
        }
    }
    let scale = inverseSqrt(total.x / f32(4u * WIDTH) + EPSILON);
    for (var i = thread; i < WIDTH; i += THREADS) {
        var h = (residual[row * WIDTH + i] - mean) * scale * gain[i];
        if (LAYER_NORM) {
            h += gain[WIDTH + i];
        }
        hidden[row * WIDTH + i] = h;
    }
    if (thread == 0u) {
        // Within ±80 eˣ is a number; beyond, σ is 0 or 1 to the last bit that counts.
        let product = scale * total.z + bias_total.z;
        let end_logit = clamp(product + classifier[of_set + WIDTH].x, -80.0, 80.0);
        states[row].hidden_norm = scale * sqrt(total.y);
        if (LAYER_NORM) {
            // |s·a + β|² = s²|a|² + 2s·a·β + |β|²; rounding may take it below 0.
            let squared = scale * scale * total.y + 2.0 * scale * bias_total.x + bias_total.y;
            states[row].hidden_norm = sqrt(max(squared, 0.0));
        }
        states[row].end_probability = 1.0 / (1.0 + exp(-end_logit));
    }
}
