// The threads of a subgroup, which own different outputs and need the same inputs, read one of SUBGROUP
// inputs each and hand them round. On a CPU adapter a load is done thread by thread and is most of a
// matmul's cost; what is handed round lies in a register. The order of sums is that of own_reads.wgsl.

// Whether threads need each other to read.
const HANDS_ROUND = true;

fn handed(x: Eight, source: u32) -> Eight {
    var y = Eight();
    if (TILE == 1u) {
        y.low[0] = subgroupShuffle(x.low[0], source);
    } else {
        y.low = handed_four(x.low, source);
    }
    if (TILE > 4u) {
        y.high = handed_four(x.high, source);
    }
    return y;
}

fn add_inputs(
    sums: ptr<function, Sums>,
    first: u32,
    means: Means,
    weight_set: u32,
    quad: u32,
    thread: u32,
) {
    // The thread's place in its subgroup: all of them are here.
    let place = subgroupExclusiveAdd(1u);
    for (var start = 0u; start < WIDTH; start += SUBGROUP) {
        let own = inputs_at(first, min(start + place, WIDTH - 1u), means);
        for (var k = start; k < min(start + SUBGROUP, WIDTH); k++) {
            add(sums, weight_set, k, quad, handed(own, k - start));
        }
    }
}
