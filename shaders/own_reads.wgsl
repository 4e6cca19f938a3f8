// Every thread reads all inputs of its rows by itself.

fn is_idle(quad: u32) -> bool {
    return quad >= n_quads();
}

fn add_inputs(
    sums: ptr<function, Sums>,
    first: u32,
    means: Means,
    weight_set: u32,
    quad: u32,
    thread: u32,
) {
    for (var k = 0u; k < WIDTH; k++) {
        add(sums, weight_set, k, quad, inputs_at(first, k, means));
    }
}
