// How a matmul's work is shared on CPU adapters: a thread owns four outputs and sums all of their
// inputs, without barriers. Threads side by side own outputs side by side. Who reads the inputs,
// own_reads.wgsl or subgroup_reads.wgsl says.

fn quad_of(group: u32, thread: u32) -> u32 {
    return group * THREADS + thread;
}

// A thread past the last output is idle, unless others need what it reads.
fn is_idle(quad: u32) -> bool {
    return quad >= n_quads() && !HANDS_ROUND;
}

fn first_input(thread: u32) -> u32 {
    return 0u;
}

fn input_step() -> u32 {
    return 1u;
}

// Stores the products of those rows that work, of up to four from `first` on.
fn finish(
    first: u32,
    quad: u32,
    weight_set: u32,
    working: vec4<u32>,
    product: mat4x4<f32>,
    gate: mat4x4<f32>,
    squares: vec4<f32>,
    thread: u32,
) {
    if (quad >= n_quads()) {
        return;
    }
    let scale = scale_of(squares);
    if (working[0] != 0u) {
        store(first, quad, weight_set, product[0], gate[0], scale[0]);
    }
    if (TILE > 1u) {
        if (working[1] != 0u) {
            store(first + 1u, quad, weight_set, product[1], gate[1], scale[1]);
        }
        if (working[2] != 0u) {
            store(first + 2u, quad, weight_set, product[2], gate[2], scale[2]);
        }
        if (working[3] != 0u) {
            store(first + 3u, quad, weight_set, product[3], gate[3], scale[3]);
        }
    }
}
