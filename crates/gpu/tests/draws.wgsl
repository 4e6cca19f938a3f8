// Test only: the prelude's random numbers, four integers and three floats per key.

override THREADS: u32;

@group(0) @binding(0) var<storage, read> keys: array<vec4<u32>>;                // (keys)
@group(0) @binding(1) var<storage, read_write> bits: array<vec4<u32>>;          // (keys)
@group(0) @binding(2) var<storage, read_write> draws: array<vec4<f32>>;         // (keys): uniform, Gumbel, normal, ln Gamma

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= arrayLength(&keys)) {
        return;
    }
    let key = keys[id.x];
    let hash = pcg4d(key);
    let shape = exp(f32(id.x % 13u) - 6.0);
    bits[id.x] = hash;
    draws[id.x] = vec4(
        uniform_draw(hash.x),
        gumbel_draw(hash.x),
        normal_draw(hash.x, hash.y),
        ln_gamma_draw(key.xyz, key.w, shape),
    );
}
