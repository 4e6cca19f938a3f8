// Every thread reads the inputs that it sums by itself, those of two turns at once: a GPU's thread waits
// for memory where it first needs what it has asked for, and four at once leave too few registers.

// Whether threads need each other to read.
const HANDS_ROUND = false;

fn add_inputs(
    sums: ptr<function, Sums>,
    first: u32,
    means: Means,
    weight_set: u32,
    quad: u32,
    thread: u32,
) {
    let step = input_step();
    var k = first_input(thread);
    for (; k + step < WIDTH; k += 2u * step) {
        add(sums, weight_set, k, quad, inputs_at(first, k, means));
        add(sums, weight_set, k + step, quad, inputs_at(first, k + step, means));
    }
    if (k < WIDTH) {
        add(sums, weight_set, k, quad, inputs_at(first, k, means));
    }
}
