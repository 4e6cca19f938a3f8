//! Products of a matrix with vectors in f32, on the widest registers that the processor has.

use std::ops::Range;

#[cfg(feature = "threads")]
use super::team::Team;
use crate::{
    checkpoint::{Dtype, Matrix},
    matrix::{
        BLOCK,
        decoders::{Decoder, OnRows, last_group},
        registers::{OfTarget, OnRegisters, Registers, WIDTH, on_widest},
    },
};

/// a · b, both of the same length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let [[dot]] = tile(OfTarget, [a], [b]);
    dot
}

/// The dot products of rows of f32 with vectors. Value i of every chunk of 16 is multiplied and
/// then added to sum i, no product is fused into a sum, and the sums are added in order: a product is
/// the same whatever is multiplied beside it.
#[inline(always)]
pub(super) fn tile<'a, R: Registers, const N: usize, const M: usize>(
    registers: R,
    rows: [&'a [f32]; N],
    xs: [&'a [f32]; M],
) -> [[f32; M]; N] {
    let (n_chunks, n) = (xs[0].len() / WIDTH, xs[0].len());
    let chunks = |values: &'a [f32]| &values.as_chunks::<WIDTH>().0[..n_chunks];
    let (row_chunks, x_chunks) = (rows.map(chunks), xs.map(chunks));
    let mut sums = [[registers.splat(0.0); M]; N];
    for index in 0..n_chunks {
        for (sums, chunks) in sums.iter_mut().zip(&row_chunks) {
            let row = registers.f32s(chunks[index]);
            for (sums, chunks) in sums.iter_mut().zip(&x_chunks) {
                let x = registers.f32s(chunks[index]);
                *sums = registers.add(*sums, registers.mul(row, x));
            }
        }
    }
    let tail = n_chunks * WIDTH..n;
    let mut products = [[0.0; M]; N];
    for ((products, sums), row) in products.iter_mut().zip(sums).zip(rows) {
        for ((product, sums), x) in products.iter_mut().zip(sums).zip(xs) {
            let tails = (&row[tail.clone()], &x[tail.clone()]);
            *product = in_order(registers.values(sums), tails);
        }
    }
    products
}

/// The sums of a product, and the products of what no chunk was full of. Once in a page, for its size.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
#[cfg_attr(target_arch = "wasm32", inline(never))]
fn in_order(sums: [f32; WIDTH], (tail, x_tail): (&[f32], &[f32])) -> f32 {
    let tail: f32 = tail.iter().zip(x_tail).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + tail
}

/// The dot products of rows in any format with vectors, which are decoded where they are multiplied;
/// the same as [`tile`]'s of the decoded ones.
#[inline(always)]
fn encoded<'a, R: Registers, D: Decoder, const N: usize, const M: usize>(
    registers: R,
    rows: [&[u8]; N],
    xs: [&'a [f32]; M],
) -> [[f32; M]; N] {
    let n_groups = xs[0].len() / BLOCK;
    let groups = |x: &'a [f32]| &x.as_chunks::<BLOCK>().0[..n_groups];
    let x_groups = xs.map(groups);
    let mut sums = [[registers.splat(0.0); M]; N];
    for block in 0..n_groups.div_ceil(D::GROUPS) {
        let first = block * D::GROUPS;
        // A loop of one is none, which compilers do not see by themselves.
        let n = match D::GROUPS {
            1 => 1,
            n => n.min(n_groups - first),
        };
        for index in 0..n {
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let bytes = &row[block * D::BYTES..][..D::BYTES];
                let values = D::group(registers, bytes, index);
                for (sum, groups) in sums.iter_mut().zip(&x_groups) {
                    let halves = groups[first + index].as_chunks::<WIDTH>().0;
                    for half in 0..halves.len() {
                        let x = registers.f32s(halves[half]);
                        *sum = registers.add(*sum, registers.mul(values[half], x));
                    }
                }
            }
        }
    }
    let mut products = [[0.0; M]; N];
    for ((products, sums), row) in products.iter_mut().zip(sums).zip(rows) {
        for ((product, sum), x) in products.iter_mut().zip(sums).zip(xs) {
            let rest = &x[n_groups * BLOCK..];
            *product = match D::IS_WHOLE || rest.is_empty() {
                true => in_order(registers.values(sum), (&[], &[])),
                false => with_rest::<R, D>(registers, sum, row, rest),
            };
        }
    }
    products
}

/// The sums of a product, and the products of what no group was full of.
fn with_rest<R: Registers, D: Decoder>(
    registers: R,
    mut sums: R::Values,
    row: &[u8],
    rest: &[f32],
) -> f32 {
    let last = last_group::<R, D>(registers, row);
    let (values, tail) = last[..rest.len()].as_chunks::<WIDTH>();
    let (chunks, x_tail) = rest.as_chunks::<WIDTH>();
    for (values, x) in values.iter().zip(chunks) {
        let products = registers.mul(registers.f32s(*values), registers.f32s(*x));
        sums = registers.add(sums, products);
    }
    in_order(registers.values(sums), (tail, x_tail))
}

/// W x for each of `xs`, (rows) each, of each of `ws`: a W is (rows, cols), an x (cols). The rows of
/// large matrices are shared out among the threads that there are, and each is computed by one.
pub fn products(ws: &[&Matrix], xs: &[Vec<f32>]) -> Vec<Vec<Vec<f32>>> {
    #[cfg(feature = "threads")]
    if ws.iter().map(|w| w.n_values()).sum::<usize>() * xs.len() >= MIN_SHARED
        && let Some(team) = Team::get()
    {
        return team.products(ws, xs);
    }
    let products = ws.iter().map(|w| {
        let mut ys = vec![vec![0.0; w.rows]; xs.len()];
        on_one_thread(w, xs, &mut ys);
        ys
    });
    products.collect()
}

/// Products of values from which on sharing them out takes less time than it saves.
#[cfg(feature = "threads")]
const MIN_SHARED: usize = 1 << 17;

/// [`products`] into `ys`. Rows are multiplied where they are decoded; where there are too few
/// registers for several vectors, a few rows at a time are decoded before.
pub(super) fn on_one_thread<Y: AsMut<[f32]>>(w: &Matrix, xs: &[Vec<f32>], ys: &mut [Y]) {
    let is_done = match (w.dtype(), xs) {
        (Dtype::F32, _) | (_, []) => false,
        (dtype, _) => dtype.on_rows(Encoded { w, xs, ys }),
    };
    if !is_done {
        // Here, and not from `Encoded`: so WebAssembly's code is smaller, and half as fast again.
        on_widest(WithMany { w, xs, ys });
    }
}

struct Encoded<'a, Y> {
    w: &'a Matrix,
    xs: &'a [Vec<f32>],
    ys: &'a mut [Y],
}

impl<Y: AsMut<[f32]>> OnRows for Encoded<'_, Y> {
    /// Whether there are registers enough.
    type Output = bool;

    /// Rows side by side hide how long an addition takes, and so do vectors.
    #[inline(always)]
    fn on<R: Registers, D: Decoder>(self, registers: R) -> bool {
        match (R::ROOM, self.xs.len()) {
            (8.., 1) => self.in_tiles::<R, D, 2, 1>(registers),
            (_, 1) => self.in_tiles::<R, D, 1, 1>(registers),
            (32.., 2) => self.in_tiles::<R, D, 2, 2>(registers),
            (32.., _) => self.in_tiles::<R, D, 2, 4>(registers),
            _ => return false,
        }
        true
    }
}

impl<Y: AsMut<[f32]>> Encoded<'_, Y> {
    /// N rows by M vectors at a time; where fewer are left, the last ones are multiplied again.
    #[inline(always)]
    fn in_tiles<R: Registers, D: Decoder, const N: usize, const M: usize>(self, registers: R) {
        for first in (0..self.w.rows).step_by(N) {
            let places = first..(first + N).min(self.w.rows);
            self.w.bring(first, places.len());
            let row = |i: usize| self.w.row_bytes((first + i).min(places.end - 1));
            let rows: [&[u8]; N] = std::array::from_fn(row);
            for (xs, ys) in self.xs.chunks(M).zip(self.ys.chunks_mut(M)) {
                let products = encoded::<R, D, N, M>(registers, rows, side_by_side(xs));
                put(&products, ys, places.clone());
            }
        }
    }
}

/// Puts rows' products with vectors where they belong.
#[inline(always)]
fn put<Y: AsMut<[f32]>, const N: usize, const M: usize>(
    products: &[[f32; M]; N],
    ys: &mut [Y],
    places: Range<usize>,
) {
    for (m, y) in ys.iter_mut().enumerate() {
        let y = &mut y.as_mut()[places.clone()];
        y.iter_mut().zip(products).for_each(|(y, p)| *y = p[m]);
    }
}

struct WithMany<'a, Y> {
    w: &'a Matrix,
    xs: &'a [Vec<f32>],
    ys: &'a mut [Y],
}

impl<Y: AsMut<[f32]>> OnRegisters for WithMany<'_, Y> {
    type Output = ();

    /// As many sums at once as leave room for what is multiplied.
    #[inline(always)]
    fn on<R: Registers>(self, registers: R) {
        match R::ROOM {
            32.. => self.in_tiles::<R, 4, 4>(registers),
            8.. => self.in_tiles::<R, 2, 2>(registers),
            _ => self.in_tiles::<R, 2, 1>(registers),
        }
    }
}

impl<Y: AsMut<[f32]>> WithMany<'_, Y> {
    /// N rows by M vectors at a time; where fewer rows are left, the last one is multiplied again.
    #[inline(always)]
    fn in_tiles<R: Registers, const N: usize, const M: usize>(self, registers: R) {
        let cols = self.w.cols;
        self.w.for_each_rows::<N>(
            #[inline(always)]
            |first, rows| {
                let n_rows = rows.len() / cols;
                let mut each = rows.chunks_exact(cols);
                let last = &rows[rows.len() - cols..];
                let rows: [&[f32]; N] = std::array::from_fn(|_| each.next().unwrap_or(last));
                let places = first..first + n_rows;
                let ys = self.ys.chunks_mut(M);
                for (xs, ys) in self.xs.chunks(M).zip(ys) {
                    match xs.len() {
                        1 => one_tile::<_, _, N, 1>(registers, rows, xs, ys, places.clone()),
                        2 if M > 1 => {
                            one_tile::<_, _, N, 2>(registers, rows, xs, ys, places.clone())
                        }
                        _ => one_tile::<_, _, N, M>(registers, rows, xs, ys, places.clone()),
                    }
                }
            },
        );
    }
}

/// M vectors; where fewer are left, the last one again.
#[inline(always)]
fn side_by_side<const M: usize>(xs: &[Vec<f32>]) -> [&[f32]; M] {
    std::array::from_fn(|m| &xs[m.min(xs.len() - 1)][..])
}

#[inline(always)]
fn one_tile<R: Registers, Y: AsMut<[f32]>, const N: usize, const M: usize>(
    registers: R,
    rows: [&[f32]; N],
    xs: &[Vec<f32>],
    ys: &mut [Y],
    places: Range<usize>,
) {
    let products = tile::<R, N, M>(registers, rows, side_by_side(xs));
    put(&products, ys, places);
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use bytes::Bytes;

    use super::*;
    use crate::{
        checkpoint::WeightFormat,
        gguf::header::TYPES,
        matrix::{decoders::OnDecoder, registers::on_each},
        tasks::random::SplitMix64,
    };

    /// Matrices in every format. The numbers of blocks are any bits, but for their scales, which are
    /// of the size that scales have.
    fn matrices(rows: usize, cols: usize, random: &mut SplitMix64) -> Vec<Matrix> {
        let mut value = || random.uniform() as f32 - 0.5;
        let values: Vec<f32> = (0..rows * cols).map(|_| value()).collect();
        let bf16 = values.iter().map(|&v| half::bf16::from_f32(v));
        let bf16 = Bytes::from_iter(bf16.flat_map(|v| v.to_le_bytes()));
        let matrix = Matrix::from_f32(rows, cols, &values);
        let mut all = Vec::from(WeightFormat::ALL.map(|format| matrix.converted(format)));
        all.push(Matrix::from_bytes(rows, cols, Dtype::Bf16, bf16));
        for (.., dtype) in TYPES {
            if let Dtype::Block(format) = dtype
                && cols.is_multiple_of(format.n_values())
            {
                let mut bytes = Vec::new();
                for _ in 0..rows * cols / format.n_values() {
                    let block = (0..format.n_bytes()).map(|_| (random.uniform() * 256.0) as u8);
                    let start = bytes.len();
                    bytes.extend(block);
                    for place in format.scale_places() {
                        let scale = half::f16::from_f64(random.uniform() - 0.5);
                        bytes[start + place..][..2].copy_from_slice(&scale.to_le_bytes());
                    }
                }
                all.push(Matrix::from_bytes(rows, cols, dtype, bytes.into()));
            }
        }
        all
    }

    /// A matrix and a vector, to be multiplied on all registers; as a decoder reads it, too.
    struct Both<'a, D>(&'a Matrix, &'a [f32], PhantomData<D>);

    impl<D> Clone for Both<'_, D> {
        fn clone(&self) -> Self {
            *self
        }
    }

    impl<D> Copy for Both<'_, D> {}

    impl OnDecoder for Both<'_, ()> {
        type Output = Vec<(&'static str, Vec<[f32; 4]>)>;

        fn with<D: Decoder>(self) -> Self::Output {
            on_each(Both::<D>(self.0, self.1, PhantomData))
        }
    }

    impl<D: Decoder> OnRegisters for Both<'_, D> {
        type Output = Vec<[f32; 4]>;

        /// Of each row: decoded where it is multiplied, and twice after that, side by side.
        #[inline(always)]
        fn on<R: Registers>(self, registers: R) -> Self::Output {
            let Self(w, x, _) = self;
            let mut all = Vec::new();
            for row in 0..w.rows {
                let [[encoded, beside]] =
                    encoded::<R, D, 1, 2>(registers, [w.row_bytes(row)], [x, x]);
                let [[once, again]] = tile(registers, [&*w.row(row)], [x, x]);
                all.push([encoded, beside, once, again]);
            }
            all
        }
    }

    #[test]
    fn products_are_the_same_on_all_registers_in_any_company_and_on_any_number_of_threads() {
        let (rows, mut random) = (4 * 9 + 3, SplitMix64::new(1));
        for cols in [1, 15, 16, 32, 100, 256] {
            let matrices = matrices(rows, cols, &mut random);
            let mut vector = || Vec::from_iter((0..cols).map(|_| random.uniform() as f32 - 0.5));
            let xs: Vec<Vec<f32>> = (0..7).map(|_| vector()).collect();
            for matrix in matrices {
                let what = format!("{:?}, {cols} columns", matrix.dtype());
                let expected: Vec<Vec<f32>> = xs
                    .iter()
                    .map(|x| (0..rows).map(|row| dot(&matrix.row(row), x)).collect())
                    .collect();
                assert!(expected[0].iter().all(|y| y.is_finite()), "{what}");
                let fours = expected[0].iter().map(|y| [*y; 4]).collect::<Vec<_>>();
                let both = Both::<()>(&matrix, &xs[0], PhantomData);
                for (name, found) in matrix.dtype().with_decoder(both) {
                    assert_eq!(found, fours, "{what}, on {name}");
                }
                for n in 1..=xs.len() {
                    for found in products(&[&matrix, &matrix], &xs[..n]) {
                        assert_eq!(found, expected[..n], "{what}, {n}");
                    }
                }
                #[cfg(feature = "threads")]
                if let Some(team) = Team::get() {
                    let first = matrix.slice_rows(0..5);
                    for n_parts in [1, 2, 7, rows, rows + 1] {
                        let found = team.in_parts(&[&matrix, &first], &xs, n_parts);
                        let few: Vec<_> = expected.iter().map(|y| y[..5].to_vec()).collect();
                        assert_eq!(found, [expected.clone(), few], "{what}, {n_parts} parts");
                    }
                }
            }
        }
    }
}
