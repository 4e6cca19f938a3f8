//! Products of a matrix with vectors in f32, on the widest registers that the processor has.

#[cfg(target_arch = "x86_64")]
use pulp::Simd;

#[cfg(feature = "threads")]
use super::team::Team;
use crate::checkpoint::Matrix;

/// Independent sums of a dot product.
const SUMS: usize = 16;

/// Rows of a matrix that are multiplied side by side: their sums are the registers that there are, and
/// as many as hide how long an addition takes.
const ROWS: usize = 4;

/// The same where a register holds all sums of a row.
#[cfg(target_arch = "x86_64")]
const ROWS_OF_V4: usize = 8;

/// A processor's registers. All of them do the same: value i of every chunk of 16 is multiplied
/// and then added to sum i, no product is fused into a sum, and the sums are added in order. So a
/// product is the same to the bit on every machine, and in a page.
trait Registers: Copy {
    /// The sums of one product.
    type Sums: Copy;

    /// All of them zero.
    fn zeros(self) -> Self::Sums;

    /// sums + a ⊙ b
    fn add_products(self, sums: Self::Sums, a: &[f32; SUMS], b: &[f32; SUMS]) -> Self::Sums;

    /// One by one.
    fn values(self, sums: Self::Sums) -> [f32; SUMS];
}

/// Those that the compiler finds for the target, WebAssembly's 128 bits among them.
#[derive(Clone, Copy)]
struct OfTarget;

impl Registers for OfTarget {
    type Sums = [f32; SUMS];

    #[inline(always)]
    fn zeros(self) -> Self::Sums {
        [0.0; SUMS]
    }

    #[inline(always)]
    fn add_products(self, sums: Self::Sums, a: &[f32; SUMS], b: &[f32; SUMS]) -> Self::Sums {
        std::array::from_fn(|i| sums[i] + a[i] * b[i])
    }

    #[inline(always)]
    fn values(self, sums: Self::Sums) -> [f32; SUMS] {
        sums
    }
}

/// AVX2's 256 bits.
#[cfg(target_arch = "x86_64")]
impl Registers for pulp::x86::V3 {
    type Sums = [pulp::f32x8; 2];

    #[inline(always)]
    fn zeros(self) -> Self::Sums {
        [self.splat_f32x8(0.0); 2]
    }

    #[inline(always)]
    fn add_products(self, sums: Self::Sums, a: &[f32; SUMS], b: &[f32; SUMS]) -> Self::Sums {
        let (a, b): (Self::Sums, Self::Sums) = (bytemuck::cast(*a), bytemuck::cast(*b));
        let [low, high] = [(0, sums[0]), (1, sums[1])]
            .map(|(half, sums)| self.add_f32x8(sums, self.mul_f32x8(a[half], b[half])));
        [low, high]
    }

    #[inline(always)]
    fn values(self, sums: Self::Sums) -> [f32; SUMS] {
        bytemuck::cast(sums)
    }
}

/// AVX-512's 512 bits.
#[cfg(target_arch = "x86_64")]
impl Registers for pulp::x86::V4 {
    type Sums = pulp::f32x16;

    #[inline(always)]
    fn zeros(self) -> Self::Sums {
        self.splat_f32x16(0.0)
    }

    #[inline(always)]
    fn add_products(self, sums: Self::Sums, a: &[f32; SUMS], b: &[f32; SUMS]) -> Self::Sums {
        let products = self.mul_f32s(bytemuck::cast(*a), bytemuck::cast(*b));
        self.add_f32s(sums, products)
    }

    #[inline(always)]
    fn values(self, sums: Self::Sums) -> [f32; SUMS] {
        bytemuck::cast(sums)
    }
}

/// a · b, both of the same length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let [dot] = dots(OfTarget, [a], b);
    dot
}

/// The dot product of each of `rows` with `x`, the same whatever N is.
#[inline(always)]
fn dots<R: Registers, const N: usize>(registers: R, rows: [&[f32]; N], x: &[f32]) -> [f32; N] {
    let (x_chunks, x_tail) = x.as_chunks::<SUMS>();
    let rows = rows.map(|row| row[..x.len()].as_chunks::<SUMS>());
    let mut sums = [registers.zeros(); N];
    for (index, x) in x_chunks.iter().enumerate() {
        for (sums, (chunks, _)) in sums.iter_mut().zip(&rows) {
            *sums = registers.add_products(*sums, &chunks[index], x);
        }
    }
    let mut products = [0.0; N];
    for (product, (sums, (_, tail))) in products.iter_mut().zip(sums.iter().zip(&rows)) {
        let tail: f32 = tail.iter().zip(x_tail).map(|(a, b)| a * b).sum();
        *product = registers.values(*sums).iter().sum::<f32>() + tail;
    }
    products
}

/// W x for each of `xs`, (rows) each: `w` is (rows, cols), an x (cols). The rows of a large matrix
/// are shared out among the threads that there are, and each is computed by one.
pub fn products(w: &Matrix, xs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    #[cfg(feature = "threads")]
    if w.n_values() * xs.len() >= MIN_SHARED
        && let Some(team) = Team::get()
    {
        return team.products(w, xs);
    }
    let mut ys = vec![vec![0.0; w.rows]; xs.len()];
    on_one_thread(w, xs, &mut ys);
    ys
}

/// Products of values from which on sharing them out takes less time than it saves.
#[cfg(feature = "threads")]
const MIN_SHARED: usize = 1 << 17;

/// [`products`] into `ys`.
pub(super) fn on_one_thread<Y: AsMut<[f32]>>(w: &Matrix, xs: &[Vec<f32>], ys: &mut [Y]) {
    let products = Products { w, xs, ys };
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(registers) = pulp::x86::V4::try_new() {
            return registers.vectorize(
                #[inline(always)]
                || products.compute::<_, ROWS_OF_V4>(registers),
            );
        }
        if let Some(registers) = pulp::x86::V3::try_new() {
            return registers.vectorize(
                #[inline(always)]
                || products.compute::<_, ROWS>(registers),
            );
        }
    }
    products.compute::<_, ROWS>(OfTarget);
}

struct Products<'a, Y> {
    w: &'a Matrix,
    xs: &'a [Vec<f32>],
    ys: &'a mut [Y],
}

impl<Y: AsMut<[f32]>> Products<'_, Y> {
    #[inline(always)]
    fn compute<R: Registers, const N: usize>(self, registers: R) {
        let cols = self.w.cols;
        self.w.for_each_rows::<N>(
            #[inline(always)]
            |first, rows| {
                for (x, y) in self.xs.iter().zip(self.ys.iter_mut()) {
                    let y = &mut y.as_mut()[first..];
                    if rows.len() == N * cols {
                        let rows = std::array::from_fn(|row| &rows[row * cols..(row + 1) * cols]);
                        y[..N].copy_from_slice(&dots::<R, N>(registers, rows, x));
                    } else {
                        let rows = rows.chunks_exact(cols);
                        y.iter_mut()
                            .zip(rows)
                            .for_each(|(y, row)| [*y] = dots(registers, [row], x));
                    }
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkpoint::WeightFormat, tasks::random::SplitMix64};

    #[test]
    fn products_are_the_same_on_all_registers_in_any_company_and_on_any_number_of_threads() {
        let (rows, mut random) = (4 * 9 + 3, SplitMix64::new(1));
        let mut values = |n: usize| Vec::from_iter((0..n).map(|_| random.uniform() as f32 - 0.5));
        for cols in [1, 15, 16, 32, 100, 256] {
            let matrix = Matrix::from_f32(rows, cols, &values(rows * cols));
            let xs: Vec<Vec<f32>> = (0..3).map(|_| values(cols)).collect();
            for format in WeightFormat::ALL {
                let matrix = matrix.converted(format);
                let expected: Vec<Vec<f32>> = xs
                    .iter()
                    .map(|x| (0..rows).map(|row| dot(&matrix.row(row), x)).collect())
                    .collect();
                assert_eq!(
                    products(&matrix, &xs),
                    expected,
                    "{format:?}, {cols} columns"
                );
                assert_eq!(products(&matrix, &xs[1..2]), expected[1..2]);
                #[cfg(feature = "threads")]
                if let Some(team) = Team::get() {
                    for n_rows in [1, 2, 7, rows, rows + 1] {
                        let found = team.in_parts(&matrix, &xs, n_rows);
                        assert_eq!(found, expected, "{n_rows} a part");
                    }
                }
            }
        }
    }
}
