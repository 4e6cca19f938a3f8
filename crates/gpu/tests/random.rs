//! Random numbers: the same integers on both sides, the same floats but for rounding.

mod common;

use latent_gpu::kernels::{KERNELS, Kernel};
use latent_model::rng::{DrawKey, gumbel, ln_gamma_draw, normal, pcg4d, uniform};

const DRAWS: Kernel = Kernel {
    name: "draws",
    parts: &[
        include_str!("../../../shaders/prelude.wgsl"),
        include_str!("draws.wgsl"),
    ],
    loops: |_| vec![16],
    ..KERNELS[0]
};

#[test]
fn both_sides_draw_the_same_numbers() {
    let Some(context) = common::context() else {
        return;
    };
    let mut keys: Vec<[u32; 4]> = (0..500).map(|i| pcg4d([i, 1, 2, 3])).collect();
    keys.extend([[0; 4], [u32::MAX; 4], [1, 0, 0, 0], [0, 0, 0, 1]]);
    // Retries add to the token's id, so ids stay below 2^20.
    keys.iter_mut().for_each(|key| key[3] %= 1 << 20);
    let key_buffer = common::buffer(&context, &keys);
    let bits = common::buffer(&context, &vec![[0_u32; 4]; keys.len()]);
    let draws = common::buffer(&context, &vec![[0_f32; 4]; keys.len()]);
    let pipeline = DRAWS.pipeline(&context, 8, &[]);
    let pipeline = pipeline.expect("a shape that runs");
    let grid = [keys.len().div_ceil(8) as u32, 1];
    common::dispatch(&context, &pipeline, &[&key_buffer, &bits, &draws], grid);

    let expected: Vec<[u32; 4]> = keys.iter().map(|&key| pcg4d(key)).collect();
    assert_eq!(common::contents::<[u32; 4]>(&context, &bits), expected);
    let found = common::contents::<[f32; 4]>(&context, &draws);
    let mut n_apart = 0;
    for (i, (key, found)) in keys.iter().zip(found).enumerate() {
        let bits = pcg4d(*key);
        let shape = ((i % 13) as f32 - 6.0).exp();
        let [seed, stream, step, id] = *key;
        let gamma = ln_gamma_draw(DrawKey { seed, stream, step }, id, shape);
        assert_eq!(
            found[0],
            uniform(bits[0]),
            "uniform of key {i} must be exact"
        );
        let expected = [
            uniform(bits[0]),
            gumbel(bits[0]),
            normal(bits[0], bits[1]),
            gamma,
        ];
        for (draw, (found, expected)) in found.iter().zip(expected).enumerate() {
            let near = (found - expected).abs() <= 1e-4 * expected.abs().max(1.0);
            // Rounding may turn a rejection around, which changes that draw altogether.
            assert!(
                near || draw == 3,
                "key {i}, draw {draw}: {found}, expected {expected}"
            );
            n_apart += usize::from(!near);
        }
    }
    assert!(n_apart <= 2, "{n_apart} Gamma draws differ");
}
