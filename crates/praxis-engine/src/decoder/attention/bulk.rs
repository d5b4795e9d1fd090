//! Attention of many queries on the processor's matrix unit: queries, keys, weights of keys and
//! values are rounded to bfloat16, sums and the softmax are in single precision. The order of all
//! sums is that of the blocks, as in the other way; a query's result does not depend on the others.

use std::cell::Cell;

use half::f16;

use super::{Running, Task};
use crate::compute::amx::{Amx, DEPTH, ROWS, Tiles};
use crate::compute::bulk::{line, multiply, round};
use crate::compute::line::Line;
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
    /// Of all rows of the tiles.
    running: Running,
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
    scratch.running.begin(tiles * ROWS, d);
    scratch.weights.resize(PAIR * TOKEN_GROUPS, Line::ZERO);
    let registers = amx.configure();
    let visible = task.span.position + task.last;
    for block in 0..visible.div_ceil(BLOCK) {
        let (keys, values) = task.span.cache.head(task.layer, task.head, block);
        scratch.take_keys(isa, keys, d);
        scratch.take_values(isa, values, d, BLOCK.min(visible - block * BLOCK));
        for tile in (0..tiles).step_by(2) {
            let count = PAIR.min(rows - tile * ROWS);
            let seen = |row: usize| task.seen(block, row);
            if seen(tile * ROWS + count - 1) > 0 {
                scratch.attend(&registers, isa, (tile, count), d, seen);
            }
        }
    }
    drop(registers);
    task.end(&mut scratch.running, rows);
    SCRATCH.set(scratch);
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
        let queries = &self.queries[line(tile, groups, 0, 0)..][..height * groups * ROWS];
        let sums = (scores.0.as_flattened_mut(), BLOCK);
        multiply(registers, (queries, &self.keys), groups, sums, true);
        for (i, scores) in scores.0.iter_mut().take(count).enumerate() {
            let row = tile * ROWS + i;
            self.running.softmax(row, d, scores, seen(row));
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
        let weights = &self.weights[..height * TOKEN_GROUPS * ROWS];
        let sums = (&mut self.running.sums[tile * ROWS * d..], d);
        multiply(
            registers,
            (weights, &self.values),
            TOKEN_GROUPS,
            sums,
            false,
        );
    }
}

/// Scores of two tiles of queries with a block's keys.
#[repr(align(64))]
struct Scores([[f32; BLOCK]; PAIR]);

#[cfg(test)]
mod tests;
