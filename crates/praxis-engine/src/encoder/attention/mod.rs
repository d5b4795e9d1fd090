//! Scaled dot-product attention of texts over themselves (Vaswani et al. 2017), text by text and
//! head by head, so that a text's result does not depend on its neighbours. Texts stand one after the
//! other without padding (the variable-length idea of ByteTransformer, Zhai et al. 2023).
//!
//! A head's keys and values are laid out once as panels of a few registers' width; the scores of a few
//! queries stay in the first-level cache until they have weighed the values. Where the processor has a
//! matrix unit, [`bulk`] computes on it.

mod bulk;

use std::cell::Cell;

use rayon::prelude::*;

use super::kernels::softmax;
use crate::compute::Disjoint;
use crate::compute::amx::Amx;
use crate::compute::simd::{self, Isa, Kernel};

/// Registers in a row of a panel.
const WIDTH: usize = 2;

/// Projections of texts that stand one after the other: rows of all heads, one a token.
#[derive(Clone, Copy)]
pub(crate) struct Projections<'a> {
    /// Numbers in a row.
    pub(crate) hidden: usize,
    /// Heads in a row.
    pub(crate) heads: usize,
    /// The rows of queries, keys and values, without their biases.
    pub(crate) rows: [&'a [f32]; 3],
    /// The biases of queries, keys and values, `hidden` numbers each.
    pub(crate) biases: [&'a [f32]; 3],
    /// The matrix unit, where products may be rounded for it.
    pub(crate) amx: Option<Amx>,
}

/// Attends within each text. `ends` says where each text's rows end; `out` has a row of `hidden`
/// numbers for each token.
pub(crate) fn attend(projections: &Projections<'_>, ends: &[usize], out: &mut [f32]) {
    let heads = projections.heads;
    let out = Disjoint::new(out);
    (0..ends.len() * heads).into_par_iter().for_each(|task| {
        let (text, head) = (task / heads, task % heads);
        let first = text.checked_sub(1).map_or(0, |before| ends[before]);
        simd::run(Head {
            projections,
            first,
            tokens: ends[text] - first,
            head,
            out: &out,
        });
    });
}

/// One head of one text.
struct Head<'a> {
    projections: &'a Projections<'a>,
    /// The text's first row.
    first: usize,
    tokens: usize,
    head: usize,
    out: &'a Disjoint<'a>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Memory of a task, kept because it is needed all the time.
#[derive(Default)]
struct Scratch {
    /// Keys, as panels whose columns are tokens.
    keys: Vec<f32>,
    /// Values, as panels whose rows are tokens.
    values: Vec<f32>,
    /// A few queries, scaled.
    queries: Vec<f32>,
    /// Their scores, then the unnormalized weights of all tokens.
    scores: Vec<f32>,
    /// The weighted sums of values.
    sums: Vec<f32>,
}

impl Kernel for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        if let Some(amx) = self.projections.amx
            && bulk::fits(self.size())
        {
            return bulk::compute(isa, amx, &self);
        }
        let mut scratch = SCRATCH.take();
        if I::ROWS == 8 {
            self.compute::<I, 8>(isa, &mut scratch);
        } else {
            self.compute::<I, 4>(isa, &mut scratch);
        }
        SCRATCH.set(scratch);
    }
}

impl Head<'_> {
    /// Numbers of a head in a row.
    #[inline(always)]
    fn size(&self) -> usize {
        self.projections.hidden / self.projections.heads
    }

    /// Where the head's part of a token's row begins.
    #[inline(always)]
    fn at(&self, token: usize) -> usize {
        (self.first + token) * self.projections.hidden + self.head * self.size()
    }

    /// The head's part of a token's queries (0), keys (1) or values (2), and of their biases.
    #[inline(always)]
    fn part(&self, which: usize, token: usize) -> (&[f32], &[f32]) {
        let (size, at) = (self.size(), self.at(token));
        let bias = self.head * size;
        (
            &self.projections.rows[which][at..at + size],
            &self.projections.biases[which][bias..bias + size],
        )
    }

    /// Writes a token's sums times `share`.
    #[inline(always)]
    fn put(&self, token: usize, sums: &[f32], share: f32) {
        let out = self.out.at(self.at(token), sums.len());
        for (i, sum) in sums.iter().enumerate() {
            // SAFETY: there is room for a head, and each token's part of a head belongs to one task.
            unsafe { out.add(i).write(sum * share) };
        }
    }

    #[inline(always)]
    fn compute<I: Isa, const R: usize>(&self, isa: I, scratch: &mut Scratch) {
        let step = WIDTH * I::LANES;
        let (tokens, size) = (self.tokens, self.size());
        // What lies beyond the tokens or the head's size is computed along and never read.
        let (wide, deep) = (tokens.next_multiple_of(step), size.next_multiple_of(step));
        scratch.keys.resize(wide * size, 0.0);
        scratch.values.resize(deep * tokens, 0.0);
        scratch.queries.resize(R * size, 0.0);
        scratch.scores.resize(R * wide, 0.0);
        scratch.sums.resize(R * deep, 0.0);
        for token in 0..tokens {
            let (row, bias) = self.part(1, token);
            let panel = &mut scratch.keys[token / step * step * size..][..step * size];
            for ((to, x), bias) in panel.chunks_exact_mut(step).zip(row).zip(bias) {
                to[token % step] = x + bias;
            }
            let (row, bias) = self.part(2, token);
            for (panel, (row, bias)) in row.chunks(step).zip(bias.chunks(step)).enumerate() {
                let to = &mut scratch.values[(panel * tokens + token) * step..][..row.len()];
                for ((to, x), bias) in to.iter_mut().zip(row).zip(bias) {
                    *to = x + bias;
                }
            }
        }
        let scale = 1.0 / (size as f32).sqrt();
        let mut first = 0;
        while first < tokens {
            let count = R.min(tokens - first);
            for r in 0..count {
                let (row, bias) = self.part(0, first + r);
                let to = &mut scratch.queries[r * size..(r + 1) * size];
                for ((to, x), bias) in to.iter_mut().zip(row).zip(bias) {
                    *to = (x + bias) * scale;
                }
            }
            let (queries, scores) = (&scratch.queries, &mut scratch.scores);
            product::<I, R>(isa, (queries, size, size), &scratch.keys, wide, scores);
            let mut shares = [0.0; R];
            for (r, share) in shares.iter_mut().enumerate().take(count) {
                *share = softmax(&mut scores[r * wide..r * wide + tokens]);
            }
            let weights = (scores.as_slice(), wide, tokens);
            product::<I, R>(isa, weights, &scratch.values, deep, &mut scratch.sums);
            for (r, share) in shares.iter().enumerate().take(count) {
                self.put(first + r, &scratch.sums[r * deep..r * deep + size], *share);
            }
            first += R;
        }
    }
}

/// `out = left * right` for `R` rows of `depth` numbers in `left`, `stride` apart. `right` has
/// `columns` columns, cut into panels of [`WIDTH`] registers, which `columns` is a multiple of; the
/// rows of a panel stand one after the other.
#[inline(always)]
fn product<I: Isa, const R: usize>(
    isa: I,
    (left, stride, depth): (&[f32], usize, usize),
    right: &[f32],
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
                *row = unsafe { isa.load_floats(panel.add(k * step + w * I::LANES).cast()) };
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

    /// Numbers that bfloat16 holds exactly, as it does sums of two.
    fn random(len: usize, dice: &mut StdRng) -> Vec<f32> {
        let number = |_| dice.random_range(-16..=16i8);
        (0..len).map(number).map(|x| f32::from(x) / 8.0).collect()
    }

    /// Attention of one head of one text in double precision, value by value.
    fn exact(p: &Projections<'_>, tokens: std::ops::Range<usize>, head: usize) -> Vec<f64> {
        let size = p.hidden / p.heads;
        let number = |which: usize, token: usize, i: usize| {
            let at = head * size + i;
            f64::from(p.rows[which][token * p.hidden + at]) + f64::from(p.biases[which][at])
        };
        let mut out = Vec::new();
        for query in tokens.clone() {
            let weights = tokens.clone().map(|key| {
                let score = (0..size).map(|i| number(0, query, i) * number(1, key, i));
                (score.sum::<f64>() / (size as f64).sqrt()).exp()
            });
            let weights: Vec<f64> = weights.collect();
            let total = weights.iter().sum::<f64>();
            out.extend((0..size).map(|i| {
                let terms = tokens.clone().zip(&weights);
                terms.map(|(t, w)| w * number(2, t, i)).sum::<f64>() / total
            }));
        }
        out
    }

    /// A head of a text by itself, into memory that holds no numbers before.
    #[derive(Clone, Copy)]
    struct OneHead<'a> {
        projections: &'a Projections<'a>,
        first: usize,
        tokens: usize,
        head: usize,
    }

    impl Kernel for OneHead<'_> {
        type Output = Vec<f32>;

        fn run<I: Isa>(self, isa: I) -> Vec<f32> {
            let mut out = vec![f32::NAN; self.projections.rows[0].len()];
            let head = Head {
                projections: self.projections,
                first: self.first,
                tokens: self.tokens,
                head: self.head,
                out: &Disjoint::new(&mut out),
            };
            head.run(isa);
            out
        }
    }

    #[test]
    fn attention_agrees_with_double_precision_on_odd_shapes() {
        let mut dice = StdRng::seed_from_u64(1);
        for (heads, size, lengths) in [
            (1, 1, &[1, 2][..]),
            (3, 5, &[7, 1, 33]),
            (2, 32, &[64, 9]),
            (2, 64, &[31]),
            (1, 40, &[100, 16]),
            (2, 32, &[65, 32, 1, 130]),
        ] {
            let hidden = heads * size;
            let ends: Vec<usize> = lengths
                .iter()
                .scan(0, |end, length| {
                    *end += length;
                    Some(*end)
                })
                .collect();
            let tokens = ends[ends.len() - 1];
            let rows = [(); 3].map(|()| random(tokens * hidden, &mut dice));
            let biases = [(); 3].map(|()| random(hidden, &mut dice));
            let projections = Projections {
                hidden,
                heads,
                rows: rows.each_ref().map(Vec::as_slice),
                biases: biases.each_ref().map(Vec::as_slice),
                amx: None,
            };
            let mut together = vec![f32::NAN; tokens * hidden];
            attend(&projections, &ends, &mut together);
            let on_unit = Projections {
                amx: Amx::detect(),
                ..projections
            };
            let mut rounded = vec![f32::NAN; tokens * hidden];
            attend(&on_unit, &ends, &mut rounded);
            for (text, end) in ends.iter().enumerate() {
                let first = end - lengths[text];
                for head in 0..heads {
                    let exact = exact(&projections, first..*end, head);
                    let task = OneHead {
                        projections: &projections,
                        first,
                        tokens: lengths[text],
                        head,
                    };
                    for (kernel, out) in simd::all(|| task) {
                        for (at, exact) in exact.iter().enumerate() {
                            let at = (first + at / size) * hidden + head * size + at % size;
                            let case = (kernel, heads, size, text, head, at);
                            assert!((f64::from(out[at]) - exact).abs() < 1e-5, "{case:?}");
                            assert!((out[at] - together[at]).abs() < 1e-5, "{case:?}");
                            let error = (f64::from(rounded[at]) - exact).abs();
                            assert!(error < 0.03, "{case:?}: {error} with the matrix unit");
                        }
                        let written = out.iter().filter(|x| !x.is_nan()).count();
                        assert_eq!(written, lengths[text] * size, "nothing else is written");
                    }
                }
            }
        }
    }
}
