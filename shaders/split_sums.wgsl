// How a matmul's work is shared on GPUs: a workgroup owns QUADS fours of outputs side by side, and its
// THREADS / QUADS slices of QUADS threads take the inputs in turns, four inputs a thread. So a slice reads
// QUADS blocks that lie side by side at once. The slices' sums are added in a tree in workgroup memory,
// four rows at a time.

override QUADS: u32;       // THREADS is QUADS times a power of two from 4 on, and at most 128

// Four rows' sums of every thread, and of their squares: 10 KB at most of the 16 that every device has.
override N_SUMS: u32 = THREADS * min(TILE, 4u);
var<workgroup> sums: array<vec4<f32>, N_SUMS>;
var<workgroup> squares: array<vec4<f32>, THREADS>;

// Adds the slices' products of four rows and their squares; the first slices keep the sums.
fn reduce(product: mat4x4<f32>, own_squares: vec4<f32>, thread: u32) {
    // What was read of the arrays before is read.
    workgroupBarrier();
    sums[thread] = product[0];
    if (TILE > 1u) {
        sums[THREADS + thread] = product[1];
        sums[2u * THREADS + thread] = product[2];
        sums[3u * THREADS + thread] = product[3];
    }
    squares[thread] = own_squares;
    workgroupBarrier();
    for (var half = THREADS / 2u; half >= QUADS; half /= 2u) {
        if (thread < half) {
            sums[thread] += sums[thread + half];
            if (TILE > 1u) {
                sums[THREADS + thread] += sums[THREADS + thread + half];
                sums[2u * THREADS + thread] += sums[2u * THREADS + thread + half];
                sums[3u * THREADS + thread] += sums[3u * THREADS + thread + half];
            }
            if (NORMED) {
                squares[thread] += squares[thread + half];
            }
        }
        workgroupBarrier();
    }
}

fn quad_of(group: u32, thread: u32) -> u32 {
    return group * QUADS + thread % QUADS;
}

// All threads meet at the barriers.
fn is_idle(quad: u32) -> bool {
    return false;
}

fn first_input(thread: u32) -> u32 {
    return thread / QUADS;
}

fn input_step() -> u32 {
    return THREADS / QUADS;
}

// Adds up to four rows from `first` on and stores those that work; slice r stores row r.
fn finish(
    first: u32,
    quad: u32,
    weight_set: u32,
    working: vec4<u32>,
    product: mat4x4<f32>,
    gate: mat4x4<f32>,
    own_squares: vec4<f32>,
    thread: u32,
) {
    let of_quad = thread % QUADS;
    // The row that a slice stores; slices past the last one store none, and look at its sums.
    let slice = thread / QUADS;
    let r = min(slice, min(TILE, 4u) - 1u);
    let place = r * THREADS + of_quad;
    var gate_sum = vec4<f32>();
    if (GATED) {
        reduce(gate, own_squares, thread);
        gate_sum = sums[place];
    }
    reduce(product, own_squares, thread);
    if (slice == r && quad < n_quads() && working[r] != 0u) {
        store(first + r, quad, weight_set, sums[place], gate_sum, scale_of(squares[of_quad])[r]);
    }
}
