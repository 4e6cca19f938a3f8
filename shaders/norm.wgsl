// What the matmuls behind a norm share: they read the residual stream as the norm centres it,
// multiply, and scale what comes out, because W·(s·x) = s·(W·x). RMSNorm scales by
// s = 1 / sqrt(mean(x²) + ε); LayerNorm takes the mean away before. The norm's gain is in W, or else
// multiplied here; its bias, which goes through W, is in the matmul's bias.

override WIDTH: u32;      // d / 4
override EPSILON: f32;
override LAYER_NORM: bool = false;
override GAIN: bool = false; // whether the gain is multiplied here
override BIAS: bool = false; // whether there is a bias

@group(0) @binding(0) var<storage, read> rows: array<Row>;                // (rows)
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;            // (rows, d)
@group(0) @binding(2) var<storage, read> vectors: array<vec4<f32>>;             // the gain, (d), then the matmul's biases

// Outputs are scaled by the input's length.
const NORMED = true;

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

// Four values of a row, less its mean.
fn centred(at: u32, mean: f32) -> vec4<f32> {
    let x = residual[at];
    if (LAYER_NORM) {
        return x - mean;
    }
    return x;
}

// What each of four rows is scaled by, of its squared length.
fn scale_of(squares: vec4<f32>) -> vec4<f32> {
    return inverseSqrt(squares / f32(4u * WIDTH) + EPSILON);
}

// The gain of columns k.
fn gained(w: mat4x4<f32>, k: u32) -> mat4x4<f32> {
    if (GAIN) {
        let gain = vectors[k];
        return mat4x4(w[0] * gain[0], w[1] * gain[1], w[2] * gain[2], w[3] * gain[3]);
    }
    return w;
}
