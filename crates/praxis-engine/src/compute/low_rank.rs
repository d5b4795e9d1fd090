//! What adapters add to products (LoRA: Hu et al. 2021): `x * A^T * B^T * scale`, with matrices so thin
//! that they cost little beside the product itself. Rows of several adapters stand beside each other
//! in one batch and are gathered by their numbers, never copied (the idea of Punica: Chen et al. 2023,
//! and S-LoRA: Sheng et al. 2023). Each row is computed alone and in one order, whatever the others.
//!
//! Both matrices are kept in half precision, scaled by a power of two so that their largest number
//! is about one: half the memory to read for each token, and what rounding loses (2^-11 of a number) is
//! less than what the rounding of activations to 8 bits does. Activations and sums are `f32`.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::linear::Beside;
use super::shared::Disjoint;
use super::simd::{self, Isa, Kernel};

/// Numbers that lie beside each other in both matrices: a multiple of all registers' lanes.
const WIDTH: usize = 16;
/// Rows of activations in a task.
const PANEL: usize = 16;
/// Rows of `A` that are multiplied together.
const RANKS: usize = 4;
/// Groups of [`WIDTH`] outputs in a task.
const TILES: usize = 8;
/// The least work, in bytes that are read, for which another thread is asked.
const GRAIN: usize = 16 << 10;
/// How many bytes ahead of its use the first matrix is asked for: it is read once for each token, in
/// order.
const AHEAD: usize = 2048;
/// Rows of activations up to which reading the matrices takes longer than computing.
const FEW: usize = 4;
/// Bytes in a line of the cache.
const LINE: usize = 64;

/// The two thin matrices that an adapter adds to one of `rows` outputs and `columns` inputs.
pub(crate) struct LowRank {
    /// For each [`RANKS`] of ranks and each [`WIDTH`] of inputs, both filled up with zeros, the inputs'
    /// numbers rank by rank.
    a: Vec<f16>,
    /// For each [`WIDTH`] of outputs, filled up with zeros, the outputs' numbers rank by rank.
    b: Vec<f16>,
    scale: f32,
    rank: usize,
    rows: usize,
    columns: usize,
}

impl LowRank {
    /// From `a`, `rank` rows of as many numbers as there are inputs, and `b`, a row of `rank` numbers
    /// for each output, and what their product is multiplied by. `None` where a number is not finite,
    /// or the scale with those of the matrices is not.
    ///
    /// # Panics
    /// Where `rank` is 0 or a matrix has no whole rows.
    pub(crate) fn new(a: &[f32], b: &[f32], rank: usize, scale: f32) -> Option<Self> {
        assert!(
            rank > 0 && a.len().is_multiple_of(rank) && b.len().is_multiple_of(rank),
            "whole rows of thin matrices"
        );
        let (columns, rows) = (a.len() / rank, b.len() / rank);
        let (a_scale, b_scale) = (power_of_two(a)?, power_of_two(b)?);
        let scale = (f64::from(scale) * a_scale * b_scale) as f32;
        if !scale.is_finite() {
            return None;
        }
        let stride = columns.next_multiple_of(WIDTH);
        let mut wide = vec![0.0; stride * rank.next_multiple_of(RANKS)];
        for (r, row) in a.chunks_exact(columns).enumerate() {
            let block = r / RANKS * RANKS * stride;
            for (k, value) in row.iter().enumerate() {
                let chunk = k / WIDTH * RANKS + r % RANKS;
                wide[block + chunk * WIDTH + k % WIDTH] = *value;
            }
        }
        let mut tiles = vec![0.0; rows.next_multiple_of(WIDTH) * rank];
        for (output, row) in b.chunks_exact(rank).enumerate() {
            let tile = output / WIDTH * WIDTH * rank;
            for (r, value) in row.iter().enumerate() {
                tiles[tile + r * WIDTH + output % WIDTH] = *value;
            }
        }
        Some(Self {
            a: halves(&mut wide, a_scale),
            b: halves(&mut tiles, b_scale),
            scale,
            rank,
            rows,
            columns,
        })
    }

    /// Numbers between the inputs and the outputs of a row, as they lie in memory.
    fn inner(&self) -> usize {
        self.rank.next_multiple_of(RANKS)
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        (self.a.len() + self.b.len()) * size_of::<f16>()
    }
}

/// The power of two that is next to the largest of some numbers; `None` where one is not finite.
fn power_of_two(values: &[f32]) -> Option<f64> {
    let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    if !values.iter().all(|x| x.is_finite()) {
        return None;
    }
    Some(if largest == 0.0 {
        1.0
    } else {
        f64::from(largest).log2().round().exp2()
    })
}

fn halves(values: &mut [f32], scale: f64) -> Vec<f16> {
    for x in values.iter_mut() {
        *x = (f64::from(*x) / scale) as f32;
    }
    let mut out = vec![f16::ZERO; values.len()];
    out.convert_from_f32_slice(values);
    out
}

/// Rows of a batch that an adapter changes, and how.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) matrix: &'a LowRank,
    pub(crate) rows: &'a [usize],
}

/// What adapters add to some products of the same activations, in two steps: the first
/// ([`Additions::inner`]) can be done beside the products, the second ([`Additions::add`]) after them.
pub(crate) struct Additions<'a> {
    places: Vec<Place<'a>>,
    /// How many inner values there are.
    len: usize,
}

/// A part, the product it belongs to, and where its inner values begin.
struct Place<'a> {
    part: Part<'a>,
    product: usize,
    start: usize,
}

type Range = std::ops::Range<usize>;

/// Some rows of a place with some parts of its matrix.
struct Task<'a> {
    place: &'a Place<'a>,
    rows: Range,
    blocks: Range,
}

impl<'a> Additions<'a> {
    /// Of the parts of each product.
    pub(crate) fn new(products: &[Vec<Part<'a>>]) -> Self {
        let (mut places, mut len) = (Vec::new(), 0);
        for (product, parts) in products.iter().enumerate() {
            for part in parts {
                places.push(Place {
                    part: *part,
                    product,
                    start: len,
                });
                len += part.rows.len() * part.matrix.inner();
            }
        }
        Self { places, len }
    }

    /// The first step for rows of activations, as tasks for any threads, into memory that is used again.
    pub(crate) fn inner<'b>(&'b self, x: &'b [f32], memory: &'b mut Vec<f32>) -> InnerTasks<'b> {
        memory.resize(self.len, 0.0);
        InnerTasks {
            x,
            tasks: self.tasks(1, |matrix| matrix.inner() / RANKS),
            out: Disjoint::new(memory),
        }
    }

    /// The second step: adds to the products what comes of the first step's values.
    pub(crate) fn add<const N: usize>(&self, inner: &[f32], out: [&mut [f32]; N]) {
        let out = out.map(Disjoint::new);
        let tasks = self.tasks(TILES, |matrix| matrix.rows.div_ceil(WIDTH));
        // A row costs about as much as reading half a byte for each number.
        let work = |task: &Task<'_>| {
            let numbers = task.blocks.len() * WIDTH * task.place.part.matrix.rank;
            numbers * (2 + task.rows.len() / 2)
        };
        let mean = (tasks.iter().map(work).sum::<usize>() / tasks.len().max(1)).max(1);
        tasks
            .into_par_iter()
            .with_min_len(GRAIN.div_ceil(mean))
            .for_each(|task| {
                let Place {
                    part,
                    product,
                    start,
                } = task.place;
                let len = part.matrix.inner();
                let inner = &inner[start + task.rows.start * len..start + task.rows.end * len];
                simd::run(Outer {
                    inner,
                    matrix: part.matrix,
                    rows: &part.rows[task.rows],
                    tiles: task.blocks,
                    out: &out[*product],
                });
            });
    }

    /// Rows of all places with parts of their matrices, of which each has some number and a task
    /// takes `together`.
    fn tasks(&self, together: usize, parts: impl Fn(&LowRank) -> usize) -> Vec<Task<'_>> {
        let mut tasks = Vec::new();
        for place in &self.places {
            let (rows, count) = (place.part.rows.len(), parts(place.part.matrix));
            for first in (0..rows).step_by(PANEL) {
                for block in (0..count).step_by(together) {
                    tasks.push(Task {
                        place,
                        rows: first..rows.min(first + PANEL),
                        blocks: block..count.min(block + together),
                    });
                }
            }
        }
        tasks
    }
}

/// The first step of [`Additions`].
pub(crate) struct InnerTasks<'a> {
    x: &'a [f32],
    tasks: Vec<Task<'a>>,
    out: Disjoint<'a>,
}

impl Beside for InnerTasks<'_> {
    fn tasks(&self) -> usize {
        self.tasks.len()
    }

    fn run(&self, task: usize) {
        let Task {
            place,
            rows,
            blocks,
        } = &self.tasks[task];
        let matrix = place.part.matrix;
        simd::run(Inner {
            x: self.x,
            matrix,
            rows: &place.part.rows[rows.clone()],
            blocks: blocks.clone(),
            start: place.start + rows.start * matrix.inner(),
            out: &self.out,
        });
    }
}

/// `inner = x * A^T * scale` for some rows of both.
struct Inner<'a> {
    x: &'a [f32],
    matrix: &'a LowRank,
    rows: &'a [usize],
    /// Each of [`RANKS`] rows of `A`.
    blocks: Range,
    /// Where the first row's values begin in `out`.
    start: usize,
    out: &'a Disjoint<'a>,
}

impl Kernel for Inner<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        if self.rows.len() <= FEW {
            self.prefetch_outputs(isa);
        }
        for block in self.blocks.clone() {
            let mut row = 0;
            // As many as there are registers for their sums.
            while I::LANES == WIDTH && row + 4 <= self.rows.len() {
                self.dots::<I, 4>(isa, row, block);
                row += 4;
            }
            while row + 2 <= self.rows.len() {
                self.dots::<I, 2>(isa, row, block);
                row += 2;
            }
            if row < self.rows.len() {
                self.dots::<I, 1>(isa, row, block);
            }
        }
    }
}

impl Inner<'_> {
    /// Asks for these blocks' share of the second matrix, which is needed next, and was last used for the
    /// token before.
    #[inline(always)]
    fn prefetch_outputs<I: Isa>(&self, isa: I) {
        let LowRank { b, .. } = self.matrix;
        let blocks = self.matrix.inner() / RANKS;
        let lines = (b.len() * size_of::<f16>()).div_ceil(LINE);
        for line in lines * self.blocks.start / blocks..lines * self.blocks.end / blocks {
            isa.prefetch(b.as_ptr().cast::<u8>().wrapping_add(line * LINE));
        }
    }

    /// Products of `R` rows of activations with a block of rows of `A`.
    #[inline(always)]
    fn dots<I: Isa, const R: usize>(&self, isa: I, row: usize, block: usize) {
        let columns = self.matrix.columns;
        let len = columns.next_multiple_of(WIDTH) * RANKS;
        let a = &self.matrix.a[block * len..(block + 1) * len];
        let mut x: [&[f32]; R] = [&[]; R];
        for (i, x) in x.iter_mut().enumerate() {
            let start = self.rows[row + i] * columns;
            *x = &self.x[start..start + columns];
        }
        let mut sums = [[isa.splat(0.0); RANKS]; R];
        let whole = columns / I::LANES * I::LANES;
        let mut k = 0;
        while k < whole {
            let mut values = [isa.splat(0.0); R];
            for (value, x) in values.iter_mut().zip(&x) {
                // SAFETY: `k + LANES` is at most the length of the row.
                *value = unsafe { isa.load_floats(x.as_ptr().add(k).cast()) };
            }
            accumulate(isa, &values, a, k, &mut sums);
            k += I::LANES;
        }
        if whole < columns {
            let mut values = [isa.splat(0.0); R];
            for (value, x) in values.iter_mut().zip(&x) {
                let mut rest = [0.0f32; WIDTH];
                rest[..columns - whole].copy_from_slice(&x[whole..]);
                // SAFETY: no register has more lanes.
                *value = unsafe { isa.load_floats(rest.as_ptr().cast()) };
            }
            accumulate(isa, &values, a, whole, &mut sums);
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let mut values = [0.0f32; RANKS];
            for (value, sum) in values.iter_mut().zip(sums) {
                *value = total(isa, sum) * self.matrix.scale;
            }
            let at = self.start + (row + i) * self.matrix.inner() + block * RANKS;
            // SAFETY: each row and rank is computed by one task, once.
            unsafe { self.out.write(at, &values) };
        }
    }
}

/// Adds products with the columns of a block of `A` from `k`.
#[inline(always)]
fn accumulate<I: Isa, const R: usize>(
    isa: I,
    x: &[I::Float; R],
    a: &[f16],
    k: usize,
    sums: &mut [[I::Float; RANKS]; R],
) {
    let first = k / WIDTH * WIDTH * RANKS + k % WIDTH;
    debug_assert!(first + (RANKS - 1) * WIDTH + I::LANES <= a.len());
    let a = a.as_ptr().wrapping_add(first);
    for j in 0..RANKS {
        let at = a.wrapping_add(j * WIDTH).cast::<u8>();
        isa.prefetch(at.wrapping_add(AHEAD));
        // SAFETY: the block is filled up to whole registers.
        let a = unsafe { isa.load_halves(at) };
        for (sums, x) in sums.iter_mut().zip(x) {
            sums[j] = isa.mul_add(*x, a, sums[j]);
        }
    }
}

/// The sum of all lanes, always in the same order.
#[inline(always)]
fn total<I: Isa>(isa: I, sum: I::Float) -> f32 {
    let mut lanes = [0.0f32; WIDTH];
    // SAFETY: no register has more lanes.
    unsafe { isa.store_floats(lanes.as_mut_ptr().cast(), sum) };
    let mut width = WIDTH / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `out += inner * B^T` for some rows and some tiles of outputs.
struct Outer<'a> {
    inner: &'a [f32],
    matrix: &'a LowRank,
    rows: &'a [usize],
    tiles: Range,
    out: &'a Disjoint<'a>,
}

impl Kernel for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let mut tile = self.tiles.start;
        // As many as there are registers for their sums.
        while I::LANES == WIDTH && tile + 2 <= self.tiles.end {
            self.rows::<I, 2>(isa, tile);
            tile += 2;
        }
        while tile < self.tiles.end {
            self.rows::<I, 1>(isa, tile);
            tile += 1;
        }
    }
}

impl Outer<'_> {
    /// `T` tiles of all rows.
    #[inline(always)]
    fn rows<I: Isa, const T: usize>(&self, isa: I, tile: usize) {
        let mut row = 0;
        while row + 8 <= self.rows.len() {
            self.sums::<I, 8, T>(isa, row, tile);
            row += 8;
        }
        while row + 2 <= self.rows.len() {
            self.sums::<I, 2, T>(isa, row, tile);
            row += 2;
        }
        if row < self.rows.len() {
            self.sums::<I, 1, T>(isa, row, tile);
        }
    }

    /// `T` tiles of `R` rows.
    #[inline(always)]
    fn sums<I: Isa, const R: usize, const T: usize>(&self, isa: I, row: usize, tile: usize) {
        let (rank, len) = (self.matrix.rank, self.matrix.inner());
        let size = rank * WIDTH;
        let b = &self.matrix.b[tile * size..(tile + T) * size];
        let inner = &self.inner[row * len..(row + R) * len];
        let mut lane = 0;
        while lane < WIDTH {
            let mut sums = [[isa.splat(0.0); T]; R];
            for r in 0..rank {
                let mut weights = [isa.splat(0.0); T];
                for (t, weights) in weights.iter_mut().enumerate() {
                    let at = t * size + r * WIDTH + lane;
                    // SAFETY: a tile has `rank` times [`WIDTH`] numbers.
                    *weights = unsafe { isa.load_halves(b.as_ptr().add(at).cast()) };
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: there are `R` rows of `len` numbers, at least `rank` each.
                    let inner = isa.splat(unsafe { *inner.get_unchecked(i * len + r) });
                    for (sum, weights) in sums.iter_mut().zip(&weights) {
                        *sum = isa.mul_add(*weights, inner, *sum);
                    }
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (t, sum) in sums.into_iter().enumerate() {
                    self.add(isa, row + i, (tile + t) * WIDTH + lane, sum);
                }
            }
            lane += I::LANES;
        }
    }

    /// Adds to the outputs of a row from `first`.
    #[inline(always)]
    fn add<I: Isa>(&self, isa: I, row: usize, first: usize, sum: I::Float) {
        let count = I::LANES.min(self.matrix.rows.saturating_sub(first));
        let start = self.rows[row] * self.matrix.rows;
        let place = self.out.at(start + first.min(self.matrix.rows), count);
        if count == I::LANES {
            // SAFETY: the place has a register's numbers; each tile of a row belongs to one task.
            unsafe {
                let before = isa.load_floats(place.cast_const().cast());
                isa.store_floats(place.cast(), isa.add(before, sum));
            }
            return;
        }
        let mut added = [0.0f32; WIDTH];
        // SAFETY: no register has more lanes.
        unsafe { isa.store_floats(added.as_mut_ptr().cast(), sum) };
        for (j, added) in added[..count].iter().enumerate() {
            // SAFETY: as above, number by number.
            unsafe { *place.add(j) += added };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn add(x: &[f32], parts: Vec<Part<'_>>, out: &mut [f32], memory: &mut Vec<f32>) {
        let additions = Additions::new(&[parts]);
        let inner = additions.inner(x, memory);
        (0..inner.tasks()).for_each(|task| inner.run(task));
        additions.add(memory, [out]);
    }

    /// Numbers from -1 to 1.
    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2) + 1;
        (0..count)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    struct Case {
        a: Vec<f32>,
        b: Vec<f32>,
        rank: usize,
        rows: Vec<usize>,
    }

    proptest! {
        #[test]
        fn parts_add_what_their_full_products_would(
            columns in 1usize..90,
            shapes in proptest::collection::vec((1usize..70, 1usize..20), 1..3),
            batch in 1usize..40,
            cases in 1usize..4,
            seed in any::<u64>(),
        ) {
            let x = numbers(batch * columns, seed);
            // Rows are dealt out to the cases; the last pile has no adapter.
            let piles: Vec<Vec<usize>> = (0..=cases)
                .map(|i| (0..batch).filter(|row| (row * 7 + row / 3) % (cases + 1) == i).collect())
                .collect();
            let products: Vec<Vec<Case>> = shapes
                .iter()
                .map(|(outputs, rank)| {
                    (0..cases)
                        .map(|i| Case {
                            a: numbers(rank * columns, seed ^ i as u64),
                            b: numbers(outputs * rank, seed ^ (100 + i) as u64),
                            rank: *rank,
                            rows: piles[i].clone(),
                        })
                        .collect()
                })
                .collect();
            for (cases, (outputs, _)) in products.iter().zip(&shapes) {
                let matrices: Vec<LowRank> = cases
                    .iter()
                    .map(|c| LowRank::new(&c.a, &c.b, c.rank, 0.5).unwrap())
                    .collect();
                let parts: Vec<Part<'_>> = matrices
                    .iter()
                    .zip(cases)
                    .map(|(matrix, case)| Part { matrix, rows: &case.rows })
                    .collect();
                let before = numbers(batch * outputs, seed ^ 9);
                let mut out = before.clone();
                // Memory of an earlier call must not show.
                let mut memory = vec![f32::NAN; 10_000];
                add(&x, parts, &mut out, &mut memory);
                for row in 0..batch {
                    let case = cases.iter().find(|c| c.rows.contains(&row));
                    for output in 0..*outputs {
                        let at = row * outputs + output;
                        let Some(case) = case else {
                            prop_assert_eq!(out[at].to_bits(), before[at].to_bits());
                            continue;
                        };
                        let x = &x[row * columns..(row + 1) * columns];
                        let mut sum = 0.0f64;
                        for r in 0..case.rank {
                            let a = &case.a[r * columns..(r + 1) * columns];
                            let inner: f64 =
                                x.iter().zip(a).map(|(x, a)| f64::from(*x) * f64::from(*a)).sum();
                            sum += inner * f64::from(case.b[output * case.rank + r]);
                        }
                        let expected = f64::from(before[at]) + sum * 0.5;
                        let bound = 1e-3 * ((columns * case.rank) as f64).sqrt();
                        prop_assert!(
                            (f64::from(out[at]) - expected).abs() < bound,
                            "{} instead of {expected}", out[at]
                        );
                    }
                    // Alone it is the same, bit for bit.
                    if let Some(i) = cases.iter().position(|c| c.rows.contains(&row)) {
                        let mut alone = before[row * outputs..(row + 1) * outputs].to_vec();
                        let part = Part { matrix: &matrices[i], rows: &[0] };
                        let x = &x[row * columns..(row + 1) * columns];
                        add(x, vec![part], &mut alone, &mut memory);
                        let together = &out[row * outputs..(row + 1) * outputs];
                        prop_assert!(
                            alone.iter().zip(together).all(|(a, b)| a.to_bits() == b.to_bits())
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn matrices_of_any_size_of_numbers_keep_their_precision() {
        for size in [1e-30, 1e-6, 1.0, 1e6, 1e18] {
            let (a, b) = ([size, 0.5 * size], [3.0, -1.0, 2.0]);
            let matrix = LowRank::new(&a, &b, 1, 1.0).unwrap();
            let mut out = [0.0; 3];
            let part = Part {
                matrix: &matrix,
                rows: &[0],
            };
            add(&[1.0, 2.0], vec![part], &mut out, &mut Vec::new());
            for (out, b) in out.iter().zip(b) {
                assert!((out / (2.0 * size * b) - 1.0).abs() < 1e-3, "{out}");
            }
        }
        assert!(LowRank::new(&[f32::NAN], &[1.0], 1, 1.0).is_none());
        assert!(LowRank::new(&[1e30], &[1e30], 1, 1.0).is_none());
    }
}
