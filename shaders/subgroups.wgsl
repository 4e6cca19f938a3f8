// What kernels share whose threads hand round what they have read.

override SUBGROUP: u32;   // threads of a subgroup; THREADS is a multiple of it

// What thread `source` of the subgroup has read of four rows.
fn handed_four(x: mat4x4<f32>, source: u32) -> mat4x4<f32> {
    return mat4x4(
        subgroupShuffle(x[0], source),
        subgroupShuffle(x[1], source),
        subgroupShuffle(x[2], source),
        subgroupShuffle(x[3], source),
    );
}
