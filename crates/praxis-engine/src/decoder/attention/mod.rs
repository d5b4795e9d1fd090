//! Causal attention with grouped queries over the cached keys and values of a sequence, block by
//! block with the running softmax of Milakov and Gimelshein (2018), as in FlashAttention (Dao et
//! al. 2022): scores never leave the first-level cache. The sums of each stretch of some blocks are
//! kept apart until it ends and merged then, so that threads can share one long sequence between
//! them (Flash-Decoding: Dao et al. 2023). Blocks and stretches lie at fixed positions of the
//! sequence and every query is computed alone, so its result does not depend on which others were
//! computed with it, nor on how many threads there are.

mod bulk;
mod stretches;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use half::f16;
use rayon::prelude::*;

use super::cache::{BLOCK, KvCache};
use crate::compute::Disjoint;
use crate::compute::amx::Amx;
use crate::compute::line::room;
use crate::compute::math::exp;
use crate::compute::simd::{self, Isa, Kernel};
use stretches::STRETCH;

/// Tokens whose queries share what is loaded of a block.
const QUERY_TOKENS: usize = 16;
/// The same where the matrix unit computes them.
const BULK_TOKENS: usize = 32;
/// Queries that are computed together at most. The fewer that are left at the end are so too: a
/// group of two or three queries (SmolLM2 has three) reads keys and values once.
const ROWS: usize = 4;

/// The shape of a layer's heads.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    /// Query heads.
    pub(crate) queries: usize,
    /// Key-value heads.
    pub(crate) keys: usize,
    /// Values in a head.
    pub(crate) dim: usize,
}

/// Some consecutive tokens of one sequence, whose queries are rows of a batch.
pub(crate) struct Span<'a> {
    /// What they attend to, their own keys and values included.
    pub(crate) cache: &'a KvCache,
    /// The position of the first in the sequence.
    pub(crate) position: usize,
    /// The row of the first in the batch.
    pub(crate) row: usize,
    /// How many there are.
    pub(crate) tokens: usize,
    /// Whether they come in bulk, for the matrix unit.
    pub(crate) bulk: bool,
}

/// Attends from `queries` (rows of all query heads, already rotated) to all cached keys of `layer`
/// up to each query's own position.
pub(crate) fn attend(
    queries: &[f32],
    spans: &[Span<'_>],
    layer: usize,
    heads: Heads,
    out: &mut [f32],
) {
    let out = Disjoint::new(out);
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for span in spans {
        let amx = Amx::detect().filter(|_| span.bulk && bulk::fits(heads.dim));
        let step = amx.map_or(QUERY_TOKENS, |_| BULK_TOKENS);
        // Late queries see the most keys: they go first.
        for first in (0..span.tokens).step_by(step).rev() {
            let last = span.tokens.min(first + step);
            tasks.extend((0..heads.keys).map(|head| Task {
                amx,
                queries,
                span,
                first,
                last,
                layer,
                head,
                heads,
                out: &out,
            }));
        }
    }
    if !stretches::are_worth_it(&tasks) {
        tasks.into_par_iter().for_each(simd::run);
        return;
    }
    stretches::share(&tasks);
}

/// The queries of the tokens `first..last` of all query heads that share one key-value head.
#[derive(Clone, Copy)]
struct Task<'a> {
    /// The matrix unit, where it is to compute them.
    amx: Option<Amx>,
    queries: &'a [f32],
    span: &'a Span<'a>,
    first: usize,
    last: usize,
    layer: usize,
    head: usize,
    heads: Heads,
    out: &'a Disjoint<'a>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Memory of a task, kept because it is needed all the time.
#[derive(Default)]
struct Scratch {
    /// A block's keys and values, widened.
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Of the stretch that is being computed.
    running: Running,
    /// Of all stretches before it.
    merged: Running,
    /// Queries, scaled, one a row.
    queries: Vec<f32>,
}

/// The running weighted sums, maxima and totals of weights of a task's queries.
#[derive(Default)]
struct Running {
    sums: Vec<f32>,
    maxima: Vec<f32>,
    totals: Vec<f32>,
}

impl Running {
    /// Begins with so many queries of heads of `d` values.
    #[inline(always)]
    fn begin(&mut self, rows: usize, d: usize) {
        for (numbers, len, start) in [
            (&mut self.sums, rows * d, 0.0),
            (&mut self.maxima, rows, f32::NEG_INFINITY),
            (&mut self.totals, rows, 0.0),
        ] {
            numbers.clear();
            numbers.resize(len, start);
        }
    }

    /// Makes weights of a query's scores with the `seen` first keys of a block, and brings what was
    /// summed up before to the new maximum.
    #[inline(always)]
    fn softmax(&mut self, row: usize, d: usize, scores: &mut [f32; BLOCK], seen: usize) {
        if seen == 0 {
            // A later token's block: it adds nothing.
            scores.fill(0.0);
            return;
        }
        scores[seen..].fill(f32::NEG_INFINITY);
        let mut lanes = [f32::NEG_INFINITY; 16];
        for chunk in scores.as_chunks::<16>().0 {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = if *x > *lane { *x } else { *lane };
            }
        }
        let before = self.maxima[row];
        let max = lanes
            .iter()
            .fold(before, |max, x| if *x > max { *x } else { max });
        self.maxima[row] = max;
        let mut lanes = [0.0f32; 16];
        for chunk in scores.as_chunks_mut::<16>().0 {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *x = exp(*x - max);
                *lane += *x;
            }
        }
        scores[seen..].fill(0.0);
        let shrink = if before == f32::NEG_INFINITY {
            0.0
        } else {
            exp(before - max)
        };
        self.totals[row] = self.totals[row] * shrink + lanes.iter().sum::<f32>();
        if shrink != 1.0 {
            let sum = &mut self.sums[row * d..(row + 1) * d];
            sum.iter_mut().for_each(|x| *x *= shrink);
        }
    }

    /// Adds what another stretch of keys came to, for heads of `d` values. The stretches of a sequence
    /// are added in their order, whoever computed them, so that the result is the same bit for bit.
    #[inline(always)]
    fn merge(&mut self, stretch: Sums<'_>, d: usize) {
        let rows = self.maxima.len();
        assert!(
            stretch.sums.len() == rows * d
                && stretch.maxima.len() == rows
                && stretch.totals.len() == rows,
            "sums of as many queries"
        );
        for row in 0..rows {
            let (ours, theirs) = (self.maxima[row], stretch.maxima[row]);
            if theirs == f32::NEG_INFINITY {
                // The query sees nothing of the stretch.
                continue;
            }
            let max = if theirs > ours { theirs } else { ours };
            let keep = if ours == f32::NEG_INFINITY {
                0.0
            } else {
                exp(ours - max)
            };
            let take = exp(theirs - max);
            self.maxima[row] = max;
            self.totals[row] = self.totals[row] * keep + stretch.totals[row] * take;
            let sums = &mut self.sums[row * d..(row + 1) * d];
            for (sum, more) in sums.iter_mut().zip(&stretch.sums[row * d..(row + 1) * d]) {
                *sum = *sum * keep + *more * take;
            }
        }
    }
}

/// What a stretch of keys came to, as [`Running`] has it.
#[derive(Clone, Copy)]
struct Sums<'a> {
    sums: &'a [f32],
    maxima: &'a [f32],
    totals: &'a [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        if let Some(amx) = self.amx {
            bulk::compute(isa, amx, &self);
            return;
        }
        let mut scratch = SCRATCH.take();
        self.compute(isa, &mut scratch);
        SCRATCH.set(scratch);
    }
}

impl Task<'_> {
    #[inline(always)]
    fn group(&self) -> usize {
        self.heads.queries / self.heads.keys
    }

    /// Where query `row` (token by token, then head by head of the group) lies in the batch.
    #[inline(always)]
    fn at(&self, row: usize) -> usize {
        let (token, in_group) = (self.first + row / self.group(), row % self.group());
        let head = self.head * self.group() + in_group;
        ((self.span.row + token) * self.heads.queries + head) * self.heads.dim
    }

    /// Queries of the task.
    #[inline(always)]
    fn rows(&self) -> usize {
        (self.last - self.first) * self.group()
    }

    /// Blocks of keys that its last query sees.
    #[inline(always)]
    fn blocks(&self) -> usize {
        (self.span.position + self.last).div_ceil(BLOCK)
    }

    /// Stretches of keys that its last query sees.
    #[inline(always)]
    fn stretches(&self) -> usize {
        self.blocks().div_ceil(STRETCH)
    }

    #[inline(always)]
    fn compute<I: Isa>(&self, isa: I, scratch: &mut Scratch) {
        let (rows, d) = (self.rows(), self.heads.dim);
        self.take_queries(scratch);
        scratch.merged.begin(rows, d);
        for stretch in 0..self.stretches() {
            self.stretch(isa, scratch, stretch);
            scratch.merged.merge(
                Sums {
                    sums: &scratch.running.sums,
                    maxima: &scratch.running.maxima,
                    totals: &scratch.running.totals,
                },
                d,
            );
        }
        self.end(&mut scratch.merged, rows);
    }

    /// Scales the queries.
    #[inline(always)]
    fn take_queries(&self, scratch: &mut Scratch) {
        let d = self.heads.dim;
        let scale = 1.0 / (d as f32).sqrt();
        scratch.queries.clear();
        for row in 0..self.rows() {
            let query = &self.queries[self.at(row)..self.at(row) + d];
            scratch.queries.extend(query.iter().map(|x| x * scale));
        }
    }

    /// Sums up over one stretch of the keys, for queries that were scaled.
    #[inline(always)]
    fn stretch<I: Isa>(&self, isa: I, scratch: &mut Scratch, stretch: usize) {
        let (rows, d) = (self.rows(), self.heads.dim);
        let Scratch {
            keys: wide_keys,
            values: wide_values,
            running,
            queries,
            ..
        } = scratch;
        running.begin(rows, d);
        let (visible, blocks) = (self.span.position + self.last, self.blocks());
        for block in stretch * STRETCH..blocks.min((stretch + 1) * STRETCH) {
            let (keys, values) = self.span.cache.head(self.layer, self.head, block);
            if block + 1 < blocks {
                // Blocks lie apart, so the processor does not foresee the next.
                let (keys, values) = self.span.cache.head(self.layer, self.head, block + 1);
                prefetch(isa, keys);
                prefetch(isa, values);
            }
            let present = BLOCK.min(visible - block * BLOCK);
            let values = &values[..present * d];
            if rows <= ROWS {
                // All queries pass at once: each number is read once, and widened on its way.
                self.block(isa, queries, running, (keys, values), block);
                continue;
            }
            let wide_keys = room(wide_keys, BLOCK * d, 0.0);
            let wide_values = room(wide_values, present * d, 0.0);
            widen(isa, keys, wide_keys);
            widen(isa, values, wide_values);
            self.block(isa, queries, running, (&*wide_keys, &*wide_values), block);
        }
    }

    /// One block of keys and values for all queries.
    #[inline(always)]
    fn block<I: Isa, N: Number>(
        &self,
        isa: I,
        queries: &[f32],
        running: &mut Running,
        numbers: (&[N], &[N]),
        block: usize,
    ) {
        let rows = self.rows();
        let mut row = 0;
        while row < rows {
            let at = (block, row);
            match rows - row {
                1 => self.block_rows::<I, N, 1>(isa, queries, running, numbers, at),
                2 => self.block_rows::<I, N, 2>(isa, queries, running, numbers, at),
                3 => self.block_rows::<I, N, 3>(isa, queries, running, numbers, at),
                _ => self.block_rows::<I, N, ROWS>(isa, queries, running, numbers, at),
            }
            row += ROWS;
        }
    }

    /// Writes what the queries' sums came to.
    #[inline(always)]
    fn end(&self, running: &mut Running, rows: usize) {
        let d = self.heads.dim;
        for row in 0..rows {
            let inverse = 1.0 / running.totals[row];
            let sum = &mut running.sums[row * d..(row + 1) * d];
            sum.iter_mut().for_each(|x| *x *= inverse);
            // SAFETY: each (token, head) belongs to one task.
            unsafe { self.out.write(self.at(row), sum) };
        }
    }

    /// How many tokens of a block a query sees.
    #[inline(always)]
    fn seen(&self, block: usize, row: usize) -> usize {
        let position = self.span.position + self.first + row / self.group();
        (position + 1).saturating_sub(block * BLOCK).min(BLOCK)
    }

    /// A block's keys and values for `R` queries: `at` is the block and the first of them.
    #[inline(always)]
    fn block_rows<I: Isa, N: Number, const R: usize>(
        &self,
        isa: I,
        queries: &[f32],
        running: &mut Running,
        (keys, values): (&[N], &[N]),
        (block, row): (usize, usize),
    ) {
        let d = self.heads.dim;
        let mut seen = [0usize; R];
        for (r, seen) in seen.iter_mut().enumerate() {
            *seen = self.seen(block, row + r);
        }
        let mut weights = [[0.0f32; BLOCK]; R];
        let queries = &queries[row * d..(row + R) * d];
        scores::<I, N, R>(isa, queries, keys, &mut weights);
        for (r, (weights, seen)) in weights.iter_mut().zip(seen).enumerate() {
            running.softmax(row + r, d, weights, seen);
        }
        let tokens = seen.iter().fold(0, |max, seen| max.max(*seen));
        let sums = &mut running.sums[row * d..(row + R) * d];
        weigh::<I, N, R>(isa, &weights, &values[..tokens * d], d, sums);
    }
}

/// Keys and values as they are read: as the cache has them, or widened before, where more queries
/// than [`ROWS`] read them. Half precision widens exactly, so the two give the same results.
trait Number: Copy {
    /// Loads one number a lane.
    ///
    /// # Safety
    /// `I::LANES` numbers can be read.
    unsafe fn load<I: Isa>(isa: I, at: *const Self) -> I::Float;

    /// One of them.
    fn widened(self) -> f32;
}

impl Number for f32 {
    #[inline(always)]
    unsafe fn load<I: Isa>(isa: I, at: *const Self) -> I::Float {
        // SAFETY: the caller's promise; a float is four bytes.
        unsafe { isa.load_floats(at.cast()) }
    }

    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }
}

impl Number for f16 {
    #[inline(always)]
    unsafe fn load<I: Isa>(isa: I, at: *const Self) -> I::Float {
        // SAFETY: the caller's promise; a number of half precision is two bytes.
        unsafe { isa.load_halves(at.cast()) }
    }

    #[inline(always)]
    fn widened(self) -> f32 {
        self.to_f32()
    }
}

/// Asks for numbers that are read soon.
#[inline(always)]
fn prefetch<I: Isa>(isa: I, numbers: &[f16]) {
    const LINE: usize = 64 / size_of::<f16>();
    for at in (0..numbers.len()).step_by(LINE) {
        isa.prefetch(numbers.as_ptr().wrapping_add(at).cast());
    }
}

/// Half precision to single.
#[inline(always)]
fn widen<I: Isa>(isa: I, from: &[f16], to: &mut [f32]) {
    let lanes = I::LANES;
    let whole = from.len() / lanes * lanes;
    let mut at = 0;
    while at < whole {
        // SAFETY: as many numbers are there on both sides.
        unsafe {
            let floats = isa.load_halves(from.as_ptr().add(at).cast());
            isa.store_floats(to.as_mut_ptr().add(at).cast(), floats);
        }
        at += lanes;
    }
    for (to, from) in to[whole..].iter_mut().zip(&from[whole..]) {
        *to = from.to_f32();
    }
}

/// Products of `R` queries with the 64 keys of a block, which lie as rows of tokens.
#[inline(always)]
fn scores<I: Isa, N: Number, const R: usize>(
    isa: I,
    queries: &[f32],
    keys: &[N],
    out: &mut [[f32; BLOCK]; R],
) {
    /// Registers of tokens that are computed together.
    const WIDTH: usize = 2;
    let d = queries.len() / R;
    assert!(queries.len() == R * d && keys.len() >= d * BLOCK);
    let mut token = 0;
    while token < BLOCK {
        let mut sums = [[isa.splat(0.0); WIDTH]; R];
        for i in 0..d {
            let mut row = [isa.splat(0.0); WIDTH];
            for (w, row) in row.iter_mut().enumerate() {
                // SAFETY: `token + WIDTH * LANES <= 64` tokens are in each of `d` rows.
                *row = unsafe { N::load(isa, keys.as_ptr().add(i * BLOCK + token + w * I::LANES)) };
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `i < d`, and there are `R` queries.
                let x = isa.splat(unsafe { *queries.get_unchecked(r * d + i) });
                for (sum, row) in sums.iter_mut().zip(row) {
                    *sum = isa.mul_add(x, row, *sum);
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(sums) {
            for (w, sum) in sums.into_iter().enumerate() {
                // SAFETY: as above, 64 numbers are there.
                unsafe {
                    isa.store_floats(out.as_mut_ptr().add(token + w * I::LANES).cast(), sum);
                }
            }
        }
        token += WIDTH * I::LANES;
    }
}

/// Adds the weighted values (rows of `d`, one a token) to the sums of `R` queries.
#[inline(always)]
fn weigh<I: Isa, N: Number, const R: usize>(
    isa: I,
    weights: &[[f32; BLOCK]; R],
    values: &[N],
    d: usize,
    sums: &mut [f32],
) {
    const WIDTH: usize = 2;
    let tokens = values.len() / d;
    assert!(tokens <= BLOCK && sums.len() == R * d && values.len() == tokens * d);
    let step = WIDTH * I::LANES;
    let whole = d / step * step;
    let mut at = 0;
    while at < whole {
        let mut totals = [[isa.splat(0.0); WIDTH]; R];
        for token in 0..tokens {
            let mut row = [isa.splat(0.0); WIDTH];
            for (w, row) in row.iter_mut().enumerate() {
                // SAFETY: `at + WIDTH * LANES <= d` values are in each of the tokens' rows.
                *row = unsafe { N::load(isa, values.as_ptr().add(token * d + at + w * I::LANES)) };
            }
            for (totals, weights) in totals.iter_mut().zip(weights) {
                // SAFETY: there are at most 64 tokens.
                let x = isa.splat(unsafe { *weights.get_unchecked(token) });
                for (total, row) in totals.iter_mut().zip(row) {
                    *total = isa.mul_add(x, row, *total);
                }
            }
        }
        for (r, totals) in totals.into_iter().enumerate() {
            for (w, total) in totals.into_iter().enumerate() {
                // SAFETY: as above, `d` sums are there for each query.
                unsafe {
                    let to = sums.as_mut_ptr().add(r * d + at + w * I::LANES);
                    let sum = isa.load_floats(to.cast());
                    isa.store_floats(to.cast(), isa.add(sum, total));
                }
            }
        }
        at += step;
    }
    // Heads whose size is no multiple of the registers'.
    for (sums, weights) in sums.chunks_exact_mut(d).zip(weights) {
        for (value, weight) in values.chunks_exact(d).zip(weights) {
            for (sum, value) in sums[whole..].iter_mut().zip(&value[whole..]) {
                *sum += weight * value.widened();
            }
        }
    }
}
