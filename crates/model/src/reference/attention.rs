//! What one head of attention does with a cache in f32, on the widest registers that the processor has.

use super::products::tile;
use crate::matrix::registers::{OnRegisters, Registers, WIDTH, on_widest};

/// The keys or the values of one head, (positions, head_dim), in a cache of all heads.
#[derive(Clone, Copy, Debug)]
pub struct HeadRows<'a> {
    /// (positions, n_kv_heads · head_dim)
    pub cache: &'a [f32],
    /// n_kv_heads · head_dim
    pub stride: usize,
    /// Where the head begins in a row.
    pub offset: usize,
    /// head_dim
    pub width: usize,
}

impl<'a> HeadRows<'a> {
    /// Positions.
    pub fn n_rows(&self) -> usize {
        self.cache.len() / self.stride
    }

    /// That of a position, (head_dim).
    #[inline(always)]
    pub fn row(&self, position: usize) -> &'a [f32] {
        &self.cache[position * self.stride + self.offset..][..self.width]
    }
}

/// The product of each key with a query, (positions); each is [`dot`](super::products::dot)'s.
pub fn scores(keys: HeadRows<'_>, query: &[f32]) -> Vec<f32> {
    let mut scores = vec![0.0; keys.n_rows()];
    on_widest(Scores {
        keys,
        query,
        scores: &mut scores,
    });
    scores
}

/// `mixed`, (head_dim), becomes the sum of the values, each times its position's weight, in their order.
pub fn mix(values: HeadRows<'_>, weights: &[f32], mixed: &mut [f32]) {
    on_widest(Mix {
        values,
        weights,
        mixed,
    });
}

struct Scores<'a> {
    keys: HeadRows<'a>,
    query: &'a [f32],
    scores: &'a mut [f32],
}

impl OnRegisters for Scores<'_> {
    type Output = ();

    /// Keys side by side hide how long an addition takes.
    #[inline(always)]
    fn on<R: Registers>(self, registers: R) {
        match R::ROOM {
            8.. => self.in_tiles::<R, 4>(registers),
            _ => self.in_tiles::<R, 2>(registers),
        }
    }
}

impl Scores<'_> {
    /// N keys at a time; where fewer are left, the last one is multiplied again.
    #[inline(always)]
    fn in_tiles<R: Registers, const N: usize>(self, registers: R) {
        for (part, scores) in self.scores.chunks_mut(N).enumerate() {
            let key = |i: usize| self.keys.row(part * N + i.min(scores.len() - 1));
            let products = tile::<R, N, 1>(registers, std::array::from_fn(key), [self.query]);
            let products = products.iter().flatten();
            scores.iter_mut().zip(products).for_each(|(s, p)| *s = *p);
        }
    }
}

struct Mix<'a> {
    values: HeadRows<'a>,
    weights: &'a [f32],
    mixed: &'a mut [f32],
}

impl OnRegisters for Mix<'_> {
    type Output = ();

    /// As many of a head's numbers at once as there is room for, through all positions.
    #[inline(always)]
    fn on<R: Registers>(self, registers: R) {
        match R::ROOM {
            8.. => self.in_parts::<R, 4>(registers),
            _ => self.in_parts::<R, 2>(registers),
        }
    }
}

impl Mix<'_> {
    /// C chunks of [`WIDTH`] at a time, then one, then what no chunk is full of.
    #[inline(always)]
    fn in_parts<R: Registers, const C: usize>(self, registers: R) {
        let Self {
            values,
            weights,
            mixed,
        } = self;
        let (mut first, n) = (0, mixed.len());
        while first + C * WIDTH <= n {
            chunks::<R, C>(registers, (values, weights), first, mixed);
            first += C * WIDTH;
        }
        while first + WIDTH <= n {
            chunks::<R, 1>(registers, (values, weights), first, mixed);
            first += WIDTH;
        }
        for (index, mixed) in mixed.iter_mut().enumerate().skip(first) {
            let weighted = weights.iter().enumerate();
            *mixed = weighted.fold(0.0, |sum, (at, weight)| {
                sum + weight * values.row(at)[index]
            });
        }
    }
}

/// C chunks from a head's number `first` on.
#[inline(always)]
fn chunks<R: Registers, const C: usize>(
    registers: R,
    (values, weights): (HeadRows<'_>, &[f32]),
    first: usize,
    mixed: &mut [f32],
) {
    let mut sums = [registers.splat(0.0); C];
    for (position, weight) in weights.iter().enumerate() {
        let weight = registers.splat(*weight);
        let row = &values.row(position)[first..first + C * WIDTH];
        for (sum, value) in sums.iter_mut().zip(row.as_chunks::<WIDTH>().0) {
            *sum = registers.add(*sum, registers.mul(weight, registers.f32s(*value)));
        }
    }
    let mixed = mixed[first..].as_chunks_mut::<WIDTH>().0;
    for (mixed, sum) in mixed.iter_mut().zip(sums) {
        *mixed = registers.values(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{matrix::registers::on_each, reference::products::dot, tasks::random::SplitMix64};

    /// Scores and mixtures of a head on all registers.
    #[derive(Clone, Copy)]
    struct Head<'a> {
        rows: HeadRows<'a>,
        query: &'a [f32],
        weights: &'a [f32],
    }

    impl OnRegisters for Head<'_> {
        type Output = [Vec<f32>; 2];

        #[inline(always)]
        fn on<R: Registers>(self, registers: R) -> Self::Output {
            let mut scores = vec![f32::NAN; self.rows.n_rows()];
            let mut mixed = vec![f32::NAN; self.query.len()];
            let (keys, query) = (self.rows, self.query);
            let of = Scores {
                keys,
                query,
                scores: &mut scores,
            };
            of.on(registers);
            let (values, weights) = (self.rows, self.weights);
            let of = Mix {
                values,
                weights,
                mixed: &mut mixed,
            };
            of.on(registers);
            [scores, mixed]
        }
    }

    #[test]
    fn a_head_is_the_same_on_all_registers() {
        let mut random = SplitMix64::new(1);
        for (width, n_heads) in [
            (1, 2),
            (15, 1),
            (16, 3),
            (20, 2),
            (64, 3),
            (80, 1),
            (128, 2),
        ] {
            for n_positions in [1, 3, 4, 9] {
                let mut numbers =
                    |n: usize| Vec::from_iter((0..n).map(|_| random.uniform() as f32 - 0.5));
                let cache = numbers(n_positions * n_heads * width);
                let (query, weights) = (numbers(width), numbers(n_positions));
                for head in 0..n_heads {
                    let rows = HeadRows {
                        cache: &cache,
                        stride: n_heads * width,
                        offset: head * width,
                        width,
                    };
                    let row = |position: usize| {
                        let first = (position * n_heads + head) * width;
                        &cache[first..first + width]
                    };
                    let scores: Vec<f32> = (0..n_positions).map(|p| dot(row(p), &query)).collect();
                    let mut mixed = vec![0.0; width];
                    for (position, weight) in weights.iter().enumerate() {
                        let value = mixed.iter_mut().zip(row(position));
                        value.for_each(|(mixed, value)| *mixed += weight * value);
                    }
                    let expected = [scores, mixed];
                    let (query, weights) = (&query[..], &weights[..]);
                    let head = Head {
                        rows,
                        query,
                        weights,
                    };
                    for (name, found) in on_each(head) {
                        assert_eq!(found, expected, "{width}, {n_positions}, on {name}");
                    }
                }
            }
        }
    }
}
