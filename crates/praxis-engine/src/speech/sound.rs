//! What the decoder hears of a window: the keys and values that each of its layers makes of the encoder's rows, once
//! for all tokens, and attention over them. They are kept in half precision, laid out in panels a few registers wide,
//! and read once for all texts that are followed.

use std::cell::Cell;

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::linear::{Disjoint, Isa, Kernel, simd, softmax};

/// Registers in a row of a panel.
const WIDTH: usize = 2;
/// Rows of queries in a task.
const BLOCK: usize = 16;

/// Keys and values of all heads of a layer.
pub(super) struct Heard {
    /// How many rows the encoder made.
    sounds: usize,
    heads: usize,
    /// Numbers of a head.
    size: usize,
    /// Head after head, panels whose columns are sounds.
    keys: Vec<f16>,
    /// Head after head, panels whose rows are sounds.
    values: Vec<f16>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Memory of a task.
#[derive(Default)]
struct Scratch {
    panel: Vec<f32>,
    queries: Vec<f32>,
    scores: Vec<f32>,
    sums: Vec<f32>,
}

impl Heard {
    /// Keys and values, rows of all heads without their biases, and the biases.
    pub(super) fn new(
        heads: usize,
        [keys, values]: [&[f32]; 2],
        [key_bias, value_bias]: [&[f32]; 2],
    ) -> Self {
        let width = key_bias.len();
        let (sounds, size) = (keys.len() / width, width / heads);
        let laid = simd::run(Sizes { sounds, size });
        let mut heard = Self {
            sounds,
            heads,
            size,
            keys: vec![f16::ZERO; heads * laid.0],
            values: vec![f16::ZERO; heads * laid.1],
        };
        let parts = heard.keys.par_chunks_exact_mut(laid.0);
        parts.enumerate().for_each(|(head, out)| {
            simd::run(Lay {
                rows: (keys, key_bias),
                head,
                size,
                out,
                columns: true,
            });
        });
        let parts = heard.values.par_chunks_exact_mut(laid.1);
        parts.enumerate().for_each(|(head, out)| {
            simd::run(Lay {
                rows: (values, value_bias),
                head,
                size,
                out,
                columns: false,
            });
        });
        heard
    }

    /// Attention of rows of queries; `out` gets as many rows. Each is computed alone, whatever the others.
    pub(super) fn attend(&self, queries: &[f32], out: &mut [f32]) {
        let width = self.heads * self.size;
        let rows = queries.len() / width;
        let blocks = rows.div_ceil(BLOCK);
        let out = Disjoint::new(out);
        (0..blocks * self.heads).into_par_iter().for_each(|task| {
            let (block, head) = (task / self.heads, task % self.heads);
            simd::run(Attend {
                heard: self,
                queries,
                rows: block * BLOCK..rows.min((block + 1) * BLOCK),
                head,
                out: &out,
            });
        });
    }

    /// The scores of a head for rows of queries, before any softmax: a row of sounds for each.
    pub(super) fn scores(&self, head: usize, queries: &[f32]) -> Vec<f32> {
        let width = self.heads * self.size;
        let mut out = vec![0.0; queries.len() / width * self.sounds];
        let rows = queries
            .par_chunks_exact(width)
            .zip(out.par_chunks_exact_mut(self.sounds));
        rows.for_each(|(query, out)| {
            simd::run(Score {
                heard: self,
                query,
                head,
                out,
            });
        });
        out
    }

    /// A head's keys and values.
    fn of_head(&self, head: usize) -> (&[f16], &[f16]) {
        let part = |all: usize| head * all / self.heads..(head + 1) * all / self.heads;
        (
            &self.keys[part(self.keys.len())],
            &self.values[part(self.values.len())],
        )
    }

    /// A head's part of some rows of queries, scaled; behind them, as many as fill `R` rows.
    #[inline(always)]
    fn take_queries<const R: usize>(
        &self,
        queries: &[f32],
        (first, count): (usize, usize),
        head: usize,
        out: &mut Vec<f32>,
    ) {
        let width = self.heads * self.size;
        let scale = 1.0 / (self.size as f32).sqrt();
        out.resize(R * self.size, 0.0);
        for (r, out) in out.chunks_exact_mut(self.size).take(count).enumerate() {
            let at = (first + r) * width + head * self.size;
            for (out, x) in out.iter_mut().zip(&queries[at..at + self.size]) {
                *out = x * scale;
            }
        }
    }
}

/// Numbers of a head's panels of keys and of values.
struct Sizes {
    sounds: usize,
    size: usize,
}

impl Kernel for Sizes {
    type Output = (usize, usize);

    fn run<I: Isa>(self, _: I) -> (usize, usize) {
        let step = WIDTH * I::LANES;
        (
            self.sounds.next_multiple_of(step) * self.size,
            self.size.next_multiple_of(step) * self.sounds,
        )
    }
}

/// Lays out a head's part of rows in panels.
struct Lay<'a> {
    rows: (&'a [f32], &'a [f32]),
    head: usize,
    size: usize,
    out: &'a mut [f16],
    /// Whether a row becomes a column.
    columns: bool,
}

impl Kernel for Lay<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let step = WIDTH * I::LANES;
        let (rows, bias) = self.rows;
        let (width, at) = (bias.len(), self.head * self.size);
        let bias = &bias[at..at + self.size];
        let count = rows.len() / width;
        let row = |i: usize| &rows[i * width + at..i * width + at + self.size];
        let mut scratch = SCRATCH.take();
        let panel = &mut scratch.panel;
        panel.clear();
        if self.columns {
            panel.resize(self.size * step, 0.0);
            for (p, out) in self.out.chunks_exact_mut(self.size * step).enumerate() {
                panel.fill(0.0);
                for i in p * step..count.min((p + 1) * step) {
                    let places = panel.chunks_exact_mut(step);
                    for ((place, x), bias) in places.zip(row(i)).zip(bias) {
                        place[i % step] = x + bias;
                    }
                }
                out.convert_from_f32_slice(panel);
            }
        } else {
            panel.resize(step, 0.0);
            for (p, out) in self.out.chunks_exact_mut(count * step).enumerate() {
                let part = p * step..self.size.min((p + 1) * step);
                for (i, out) in out.chunks_exact_mut(step).enumerate() {
                    let numbers = row(i)[part.clone()].iter().zip(&bias[part.clone()]);
                    for (place, (x, bias)) in panel.iter_mut().zip(numbers) {
                        *place = x + bias;
                    }
                    out.convert_from_f32_slice(panel);
                }
            }
        }
        SCRATCH.set(scratch);
    }
}

/// Some rows of one head.
struct Attend<'a> {
    heard: &'a Heard,
    queries: &'a [f32],
    rows: std::ops::Range<usize>,
    head: usize,
    out: &'a Disjoint<'a>,
}

impl Kernel for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let mut scratch = SCRATCH.take();
        let mut row = self.rows.start;
        while row < self.rows.end {
            let left = self.rows.end - row;
            let count = match left {
                8.. if I::ROWS == 8 => self.some::<I, 8>(isa, row, 8, &mut scratch),
                5..8 if I::ROWS == 8 => self.some::<I, 5>(isa, row, 5, &mut scratch),
                4.. => self.some::<I, 4>(isa, row, 4, &mut scratch),
                2.. => self.some::<I, 2>(isa, row, 2, &mut scratch),
                _ => self.some::<I, 1>(isa, row, 1, &mut scratch),
            };
            row += count;
        }
        SCRATCH.set(scratch);
    }
}

impl Attend<'_> {
    /// `R` rows from one on; says how many.
    #[inline(always)]
    fn some<I: Isa, const R: usize>(
        &self,
        isa: I,
        first: usize,
        count: usize,
        scratch: &mut Scratch,
    ) -> usize {
        let step = WIDTH * I::LANES;
        let heard = self.heard;
        let (sounds, size) = (heard.sounds, heard.size);
        let (wide, deep) = (sounds.next_multiple_of(step), size.next_multiple_of(step));
        let (keys, values) = heard.of_head(self.head);
        let Scratch {
            queries,
            scores,
            sums,
            ..
        } = scratch;
        heard.take_queries::<R>(self.queries, (first, count), self.head, queries);
        scores.resize(R * wide, 0.0);
        sums.resize(R * deep, 0.0);
        product::<I, R>(isa, (queries, size, size), keys, wide, scores);
        let mut shares = [0.0; R];
        for (share, scores) in shares.iter_mut().zip(scores.chunks_exact_mut(wide)) {
            *share = softmax(&mut scores[..sounds]);
        }
        product::<I, R>(isa, (scores, wide, sounds), values, deep, sums);
        let width = heard.heads * size;
        for (r, (share, sums)) in shares.iter().zip(sums.chunks_exact(deep)).enumerate() {
            let at = (first + r) * width + self.head * size;
            let out = self.out.at(at, size);
            for (i, sum) in sums.iter().take(size).enumerate() {
                // SAFETY: there is room for a head, and each row's part of a head belongs to one task.
                unsafe { out.add(i).write(sum * share) };
            }
        }
        count
    }
}

/// The scores of one row.
struct Score<'a> {
    heard: &'a Heard,
    query: &'a [f32],
    head: usize,
    out: &'a mut [f32],
}

impl Kernel for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let wide = self.heard.sounds.next_multiple_of(WIDTH * I::LANES);
        let mut scratch = SCRATCH.take();
        let Scratch {
            queries, scores, ..
        } = &mut scratch;
        self.heard
            .take_queries::<1>(self.query, (0, 1), self.head, queries);
        scores.resize(wide, 0.0);
        let keys = self.heard.of_head(self.head).0;
        let size = self.heard.size;
        product::<I, 1>(isa, (queries, size, size), keys, wide, scores);
        self.out.copy_from_slice(&scores[..self.out.len()]);
        SCRATCH.set(scratch);
    }
}

/// `out = left * right` for `R` rows of `depth` numbers in `left`, `stride` apart. `right` has `columns` columns, cut
/// into panels of [`WIDTH`] registers, which `columns` is a multiple of; the rows of a panel stand one after the
/// other.
#[inline(always)]
fn product<I: Isa, const R: usize>(
    isa: I,
    (left, stride, depth): (&[f32], usize, usize),
    right: &[f16],
    columns: usize,
    out: &mut [f32],
) {
    let step = WIDTH * I::LANES;
    assert!((R - 1) * stride + depth <= left.len() && depth * columns <= right.len());
    assert!(columns.is_multiple_of(step) && R * columns <= out.len());
    let mut at = 0;
    while at < columns {
        let panel = right.as_ptr().wrapping_add(at * depth);
        let mut sums = [[isa.splat(0.0); WIDTH]; R];
        for k in 0..depth {
            let mut row = [isa.splat(0.0); WIDTH];
            for (w, row) in row.iter_mut().enumerate() {
                // SAFETY: a panel has `depth` rows of `step` numbers.
                *row = unsafe { isa.load_halves(panel.add(k * step + w * I::LANES).cast()) };
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `k < depth`, and there are `R` rows.
                let x = isa.splat(unsafe { *left.get_unchecked(r * stride + k) });
                for (sum, row) in sums.iter_mut().zip(row) {
                    *sum = isa.mul_add(x, row, *sum);
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (w, sum) in sums.into_iter().enumerate() {
                // SAFETY: `at + step <= columns`, and there are `R` rows.
                unsafe {
                    let to = out.as_mut_ptr().add(r * columns + at + w * I::LANES);
                    isa.store_floats(to.cast(), sum);
                }
            }
        }
        at += step;
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Attention of one head over all sounds in double precision.
    fn exact(rows: [&[f32]; 3], biases: [&[f32]; 2], head: usize, size: usize) -> Vec<f64> {
        let width = biases[0].len();
        let [queries, keys, values] = rows;
        let number = |rows: &[f32], bias: &[f32], row: usize, i: usize| {
            let at = head * size + i;
            f64::from(rows[row * width + at]) + f64::from(bias[at])
        };
        let sounds = keys.len() / width;
        let mut out = Vec::new();
        for query in queries.chunks(width) {
            let scores = (0..sounds).map(|key| {
                let score = (0..size)
                    .map(|i| f64::from(query[head * size + i]) * number(keys, biases[0], key, i));
                (score.sum::<f64>() / (size as f64).sqrt()).exp()
            });
            let scores: Vec<f64> = scores.collect();
            let total: f64 = scores.iter().sum();
            out.extend((0..size).map(|i| {
                let terms = scores.iter().enumerate();
                let value = |s: usize| number(values, biases[1], s, i);
                terms.map(|(s, weight)| weight * value(s)).sum::<f64>() / total
            }));
        }
        out
    }

    #[test]
    fn attention_agrees_with_double_precision_on_odd_shapes() {
        let mut dice = StdRng::seed_from_u64(5);
        // Eighths up to 2, which half precision holds, as it does sums of two.
        let mut random = |len: usize| -> Vec<f32> {
            let number = |_| f32::from(dice.random_range(-16..=16i8)) / 8.0;
            (0..len).map(number).collect()
        };
        for (heads, size, sounds, rows) in [
            (2, 64, 150, 5),
            (1, 8, 3, 1),
            (3, 40, 33, 19),
            (2, 64, 64, 8),
        ] {
            let width = heads * size;
            let (queries, keys, values) = (
                random(rows * width),
                random(sounds * width),
                random(sounds * width),
            );
            let biases = [random(width), random(width)];
            let biases = biases.each_ref().map(Vec::as_slice);
            let heard = Heard::new(heads, [&keys, &values], biases);
            let mut out = vec![f32::NAN; rows * width];
            heard.attend(&queries, &mut out);
            for head in 0..heads {
                let exact = exact([&queries, &keys, &values], biases, head, size);
                for (i, exact) in exact.iter().enumerate() {
                    let ours = out[i / size * width + head * size + i % size];
                    assert!(
                        (f64::from(ours) - exact).abs() < 1e-4,
                        "{heads} {size} {head} {i}"
                    );
                }
                let scores = heard.scores(head, &queries);
                let dot = |row: usize, sound: usize| -> f32 {
                    let at = |i: usize| head * size + i;
                    let key = |i: usize| keys[sound * width + at(i)] + biases[0][at(i)];
                    (0..size)
                        .map(|i| queries[row * width + at(i)] * key(i))
                        .sum()
                };
                let wanted = dot(rows - 1, sounds - 1) / (size as f32).sqrt();
                let found = scores[rows * sounds - 1];
                assert!((found - wanted).abs() < 1e-3, "{found} for {wanted}");
            }
            // A row is the same whatever is computed with it.
            let mut alone = vec![f32::NAN; width];
            let last = (rows - 1) * width;
            heard.attend(&queries[last..], &mut alone);
            assert_eq!(alone, out[last..]);
        }
    }
}
