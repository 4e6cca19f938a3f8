//! A small seeded generator of random numbers, for problems and for training, the same on every
//! target.

/// SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): one add and three mixes a number.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        SplitMix64(seed)
    }

    /// The stream of one step of one training run.
    pub fn of_step(seed: u64, step: u64) -> Self {
        let mut outer = SplitMix64(seed ^ 0x5851_f42d_4c95_7f2d);
        SplitMix64(outer.bits() ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..n`; `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        // The upper half of a 128-bit product: no division, and a bias below n / 2^64.
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Standard normal, by Box and Muller's transform.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// The index of one weight, drawn in proportion; `None` if no weight is positive.
    pub fn weighted(&mut self, weights: &[f64]) -> Option<usize> {
        let total: f64 = weights.iter().sum();
        let mut rest = self.uniform() * total;
        let mut last = None;
        for (index, &weight) in weights.iter().enumerate() {
            if weight > 0.0 {
                last = Some(index);
                if rest < weight {
                    break;
                }
                rest -= weight;
            }
        }
        last
    }

    /// A Poisson number by Knuth's product method; `exp_minus_mean` is e^(−mean).
    pub fn poisson(&mut self, exp_minus_mean: f64) -> usize {
        let mut product = self.uniform();
        let mut count = 0;
        while product > exp_minus_mean {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
