//! Attention of many queries on the processor's matrix unit: queries, keys, weights of keys and
//! values are rounded to bfloat16, sums and the softmax are in single precision. The order of all
//! sums is that of the blocks, as in the other way; a query's result does not depend on the others.

use std::cell::Cell;

use half::f16;

use super::Task;
use crate::compute::amx::{Amx, DEPTH, Operands, ROWS, Tiles};
use crate::compute::bulk::round;
use crate::compute::line::Line;
use crate::compute::math::exp;
use crate::compute::simd::Isa;
use crate::decoder::cache::BLOCK;

/// Rows of queries in two tiles.
const PAIR: usize = 2 * ROWS;
/// Tiles along the tokens of a block, for sums over them.
const TOKEN_GROUPS: usize = BLOCK / DEPTH;

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Memory of a task.
#[derive(Default)]
struct Scratch {
    /// Queries as tiles: of 16 rows, one group of 32 values after the other.
    queries: Vec<Line>,
    /// A block's keys: of 16 tokens, the same.
    keys: Vec<Line>,
    /// A block's values: of 16 values, one group of 32 tokens after the other.
    values: Vec<Line>,
    /// The weights of a block's keys for two tiles of queries.
    weights: Vec<Line>,
    /// The running sums, maxima and totals of weights of all queries.
    sums: Vec<f32>,
    maxima: Vec<f32>,
    totals: Vec<f32>,
}

/// Whether heads of so many values can be computed here.
pub(super) fn fits(dim: usize) -> bool {
    dim.is_multiple_of(DEPTH)
}

/// Computes a task.
#[inline(always)]
pub(super) fn compute<I: Isa>(isa: I, amx: Amx, task: &Task<'_>) {
    let mut scratch = SCRATCH.take();
    let d = task.heads.dim;
    let rows = (task.last - task.first) * task.group();
    let tiles = rows.div_ceil(ROWS);
    scratch.take_queries(isa, task, rows);
    scratch.sums.clear();
    scratch.sums.resize(tiles * ROWS * d, 0.0);
    scratch.maxima.clear();
    scratch.maxima.resize(rows, f32::NEG_INFINITY);
    scratch.totals.clear();
    scratch.totals.resize(rows, 0.0);
    scratch.weights.resize(PAIR * TOKEN_GROUPS, Line::ZERO);
    let registers = amx.configure();
    let visible = task.span.position + task.last;
    for block in 0..visible.div_ceil(BLOCK) {
        let (keys, values) = task.span.cache.head(task.layer, task.head, block);
        let start = block * BLOCK;
        scratch.take_keys(isa, keys, d);
        scratch.take_values(isa, values, d, BLOCK.min(visible - start));
        for tile in (0..tiles).step_by(2) {
            let count = PAIR.min(rows - tile * ROWS);
            let seen = |row: usize| {
                let position = task.span.position + task.first + row / task.group();
                (position + 1).saturating_sub(start).min(BLOCK)
            };
            if seen(tile * ROWS + count - 1) > 0 {
                scratch.attend(&registers, isa, (tile, count), d, seen);
            }
        }
    }
    drop(registers);
    for row in 0..rows {
        let inverse = 1.0 / scratch.totals[row];
        let sum = &mut scratch.sums[row * d..(row + 1) * d];
        sum.iter_mut().for_each(|x| *x *= inverse);
        // SAFETY: each (token, head) belongs to one task.
        unsafe { task.out.write(task.at(row), sum) };
    }
    SCRATCH.set(scratch);
}

/// Line `row` of a tile, of tiles that lie `of` to a column or row of tiles.
#[inline(always)]
fn line(tile: usize, of: usize, group: usize, row: usize) -> usize {
    (tile * of + group) * ROWS + row
}

impl Scratch {
    /// Scales and rounds the queries.
    #[inline(always)]
    fn take_queries<I: Isa>(&mut self, isa: I, task: &Task<'_>, rows: usize) {
        let d = task.heads.dim;
        let groups = d / DEPTH;
        let scale = 1.0 / (d as f32).sqrt();
        self.queries.clear();
        self.queries
            .resize(rows.next_multiple_of(ROWS) * groups, Line::ZERO);
        for row in 0..rows {
            let query = &task.queries[task.at(row)..task.at(row) + d];
            for (group, query) in query.as_chunks::<DEPTH>().0.iter().enumerate() {
                let mut scaled = *query;
                scaled.iter_mut().for_each(|x| *x *= scale);
                let at = line(row / ROWS, groups, group, row % ROWS);
                round(isa, &scaled, &mut self.queries[at]);
            }
        }
    }

    /// Rounds a block's keys, which lie as rows of tokens.
    #[inline(always)]
    fn take_keys<I: Isa>(&mut self, isa: I, keys: &[f16], d: usize) {
        assert!(keys.len() >= d * BLOCK, "keys of a block");
        let groups = d / DEPTH;
        self.keys.resize(BLOCK * groups, Line::ZERO);
        for pair in 0..d / 2 {
            for tile in 0..BLOCK / ROWS {
                let at = 2 * pair * BLOCK + tile * ROWS;
                // SAFETY: two rows of all tokens are there, and a line holds a register.
                unsafe {
                    let low = isa.load_halves(keys.as_ptr().add(at).cast());
                    let high = isa.load_halves(keys.as_ptr().add(at + BLOCK).cast());
                    let to = &mut self.keys[line(tile, groups, pair / ROWS, pair % ROWS)];
                    isa.store(std::ptr::from_mut(to).cast(), isa.pair_bf16(low, high));
                }
            }
        }
    }

    /// Rounds a block's values, which lie as one row for each token, `present` of which are there.
    #[inline(always)]
    fn take_values<I: Isa>(&mut self, isa: I, values: &[f16], d: usize, present: usize) {
        assert!(
            values.len() >= d * BLOCK && present <= BLOCK,
            "values of a block"
        );
        self.values.resize(d * TOKEN_GROUPS, Line::ZERO);
        for pair in 0..BLOCK / 2 {
            for tile in 0..d / ROWS {
                let number = |token: usize| {
                    if token >= present {
                        return isa.splat(0.0);
                    }
                    // SAFETY: all tokens have rows of `d` values.
                    unsafe { isa.load_halves(values.as_ptr().add(token * d + tile * ROWS).cast()) }
                };
                let both = isa.pair_bf16(number(2 * pair), number(2 * pair + 1));
                let to = &mut self.values[line(tile, TOKEN_GROUPS, pair / ROWS, pair % ROWS)];
                // SAFETY: a line holds a register.
                unsafe { isa.store(std::ptr::from_mut(to).cast(), both) };
            }
        }
    }

    /// One block of keys and values for up to two tiles of queries, `count` rows, each of which sees
    /// the first `seen` tokens.
    #[inline(always)]
    fn attend<I: Isa>(
        &mut self,
        registers: &Tiles,
        isa: I,
        (tile, count): (usize, usize),
        d: usize,
        seen: impl Fn(usize) -> usize,
    ) {
        let groups = d / DEPTH;
        let height = count.div_ceil(ROWS);
        let mut scores = Scores([[0.0; BLOCK]; PAIR]);
        let query =
            |tile: usize| self.queries[line(tile, groups, 0, 0)..][..groups * ROWS].as_ptr();
        for token_tile in (0..BLOCK / ROWS).step_by(2) {
            let key = |tile: usize| self.keys[line(tile, groups, 0, 0)..][..groups * ROWS].as_ptr();
            let operands = Operands {
                rows: [query(tile).cast(), query(tile + height - 1).cast()],
                columns: [key(token_tile).cast(), key(token_tile + 1).cast()],
                sums: scores.0[0][token_tile * ROWS..].as_mut_ptr(),
                stride: size_of_val(&scores.0[0]),
                steps: groups,
                fresh: true,
            };
            // SAFETY: the tiles were checked, and two tiles of scores are there.
            unsafe { registers.multiply((height, 2), operands) };
        }
        for (i, scores) in scores.0.iter_mut().take(count).enumerate() {
            let row = tile * ROWS + i;
            let sum = &mut self.sums[row * d..(row + 1) * d];
            let (max, total) = (&mut self.maxima[row], &mut self.totals[row]);
            softmax(scores, seen(row), max, total, sum);
            for (group, scores) in scores.as_chunks::<DEPTH>().0.iter().enumerate() {
                let at = line(i / ROWS, TOKEN_GROUPS, group, i % ROWS);
                round(isa, scores, &mut self.weights[at]);
            }
        }
        for i in count..height * ROWS {
            for group in 0..TOKEN_GROUPS {
                self.weights[line(i / ROWS, TOKEN_GROUPS, group, i % ROWS)] = Line::ZERO;
            }
        }
        let sums = &mut self.sums[tile * ROWS * d..(tile + height) * ROWS * d];
        let size = TOKEN_GROUPS * ROWS;
        for value_tile in (0..d / ROWS).step_by(2) {
            let value = |tile: usize| self.values[tile * size..(tile + 1) * size].as_ptr();
            let weight = |tile: usize| self.weights[tile * size..(tile + 1) * size].as_ptr();
            let operands = Operands {
                rows: [weight(0).cast(), weight(height - 1).cast()],
                columns: [value(value_tile).cast(), value(value_tile + 1).cast()],
                sums: sums[value_tile * ROWS..].as_mut_ptr(),
                stride: d * size_of::<f32>(),
                steps: TOKEN_GROUPS,
                fresh: false,
            };
            // SAFETY: the tiles were checked, and so many rows of sums are there.
            unsafe { registers.multiply((height, 2), operands) };
        }
    }
}

/// Scores of two tiles of queries with a block's keys.
#[repr(align(64))]
struct Scores([[f32; BLOCK]; PAIR]);

/// Makes weights of a query's scores with the `seen` first keys of a block, and brings what was
/// summed up before to the new maximum.
#[inline(always)]
fn softmax(
    scores: &mut [f32; BLOCK],
    seen: usize,
    max: &mut f32,
    total: &mut f32,
    sum: &mut [f32],
) {
    if seen == 0 {
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
    let before = *max;
    *max = lanes
        .iter()
        .fold(before, |max, x| if *x > max { *x } else { max });
    let mut lanes = [0.0f32; 16];
    for chunk in scores.as_chunks_mut::<16>().0 {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = exp(*x - *max);
            *lane += *x;
        }
    }
    scores[seen..].fill(0.0);
    let shrink = if before == f32::NEG_INFINITY {
        0.0
    } else {
        exp(before - *max)
    };
    *total = *total * shrink + lanes.iter().sum::<f32>();
    if shrink != 1.0 {
        sum.iter_mut().for_each(|x| *x *= shrink);
    }
}

#[cfg(test)]
mod tests;
