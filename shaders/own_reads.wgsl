// Every thread reads the inputs that it sums by itself.

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
    for (var k = first_input(thread); k < WIDTH; k += input_step()) {
        add(sums, weight_set, k, quad, inputs_at(first, k, means));
    }
}
