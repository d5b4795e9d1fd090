//! Attention on the processor's matrix unit: queries, keys, weights and values are rounded to bfloat16,
//! sums and the softmax are in single precision. Scores of two tiles of queries with all of a text's
//! keys are computed in one go; sums run over the text's tokens in their order.

use std::cell::Cell;

use super::Head;
use crate::compute::amx::{Amx, DEPTH, ROWS, Tiles};
use crate::compute::bulk::{line, multiply, round};
use crate::compute::line::{LINE, Line};
use crate::compute::simd::Isa;
use crate::encoder::kernels::softmax;

/// Rows of queries in two tiles.
const PAIR: usize = 2 * ROWS;

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Memory of a task.
#[derive(Default)]
struct Scratch {
    /// Queries as tiles: of 16 tokens, one group of 32 numbers after the other.
    queries: Vec<Line>,
    /// Keys, likewise, each line pairs of numbers of 16 tokens.
    keys: Vec<Line>,
    /// Values as tiles: of 16 numbers, one group of 32 tokens after the other.
    values: Vec<Line>,
    /// Scores of two tiles of queries with all tokens, and then their weighted sums of values.
    scores: Vec<f32>,
    sums: Vec<f32>,
    /// The weights of all tokens for two tiles of queries.
    weights: Vec<Line>,
}

/// Whether heads of so many numbers can be computed here.
pub(super) fn fits(size: usize) -> bool {
    size.is_multiple_of(DEPTH)
}

/// Computes one head of one text. `I` has 16 lanes, as every processor with the unit.
#[inline(always)]
pub(super) fn compute<I: Isa>(isa: I, amx: Amx, head: &Head<'_>) {
    let mut scratch = SCRATCH.take();
    let (tokens, size) = (head.tokens, head.size());
    let wide = tokens.next_multiple_of(DEPTH);
    scratch.take_queries(isa, head);
    scratch.take_keys(isa, head);
    scratch.take_values(isa, head);
    scratch.scores.resize(PAIR * wide, 0.0);
    scratch.sums.resize(PAIR * size, 0.0);
    scratch.weights.resize(PAIR * wide / DEPTH, Line::ZERO);
    let registers = amx.configure();
    for first in (0..tokens).step_by(PAIR) {
        let count = PAIR.min(tokens - first);
        scratch.score(&registers, first, count, (wide, size));
        let mut shares = [0.0; PAIR];
        for (row, share) in shares.iter_mut().enumerate().take(count) {
            let scores = &mut scratch.scores[row * wide..(row + 1) * wide];
            *share = softmax(&mut scores[..tokens]);
            scores[tokens..].fill(0.0);
            for (group, scores) in scores.as_chunks::<DEPTH>().0.iter().enumerate() {
                let at = line(row / ROWS, wide / DEPTH, group, row % ROWS);
                round(isa, scores, &mut scratch.weights[at]);
            }
        }
        scratch.weigh(&registers, count, (wide, size));
        for (row, share) in shares.iter().enumerate().take(count) {
            head.put(
                first + row,
                &scratch.sums[row * size..(row + 1) * size],
                *share,
            );
        }
    }
    drop(registers);
    SCRATCH.set(scratch);
}

impl Scratch {
    /// Scales and rounds the queries. Rows behind the last token hold anything.
    #[inline(always)]
    fn take_queries<I: Isa>(&mut self, isa: I, head: &Head<'_>) {
        let groups = head.size() / DEPTH;
        let lines = head.tokens.next_multiple_of(ROWS) * groups;
        self.queries.resize(lines, Line::ZERO);
        let scale = 1.0 / (head.size() as f32).sqrt();
        for token in 0..head.tokens {
            let (query, bias) = head.part(0, token);
            let parts = query.chunks_exact(DEPTH).zip(bias.chunks_exact(DEPTH));
            for (group, (query, bias)) in parts.enumerate() {
                let at = line(token / ROWS, groups, group, token % ROWS);
                round(isa, &sum(query, bias, scale), &mut self.queries[at]);
            }
        }
    }

    /// Rounds the keys, and turns them so that a line has two numbers of each of 16 tokens. Tokens
    /// behind the last hold anything: their scores are not read.
    #[inline(always)]
    fn take_keys<I: Isa>(&mut self, isa: I, head: &Head<'_>) {
        let groups = head.size() / DEPTH;
        let lines = head.tokens.next_multiple_of(DEPTH) * groups;
        self.keys.resize(lines, Line::ZERO);
        let mut rows = [Line::ZERO; ROWS];
        for first in (0..head.tokens).step_by(ROWS) {
            for group in 0..groups {
                for (i, row) in rows.iter_mut().enumerate().take(head.tokens - first) {
                    let (key, bias) = head.part(1, first + i);
                    let part = group * DEPTH..(group + 1) * DEPTH;
                    round(isa, &sum(&key[part.clone()], &bias[part], 1.0), row);
                }
                let at = line(first / ROWS, groups, group, 0);
                turn(&rows, &mut self.keys[at..at + ROWS]);
            }
        }
    }

    /// Rounds the values in pairs of tokens. Those behind the last are zeros, as are their weights.
    #[inline(always)]
    fn take_values<I: Isa>(&mut self, isa: I, head: &Head<'_>) {
        let (tokens, size) = (head.tokens, head.size());
        let wide = tokens.next_multiple_of(DEPTH);
        self.values.resize(wide / 2 * size / ROWS, Line::ZERO);
        for pair in 0..wide / 2 {
            for tile in 0..size / ROWS {
                let mut both = [isa.splat(0.0); 2];
                for (i, number) in both.iter_mut().enumerate() {
                    if 2 * pair + i < tokens {
                        let (value, bias) = head.part(2, 2 * pair + i);
                        let part = tile * ROWS..(tile + 1) * ROWS;
                        let (value, bias) = (&value[part.clone()], &bias[part]);
                        // SAFETY: both have as many numbers as a register.
                        *number = unsafe {
                            isa.add(
                                isa.load_floats(value.as_ptr().cast()),
                                isa.load_floats(bias.as_ptr().cast()),
                            )
                        };
                    }
                }
                let at = line(tile, wide / DEPTH, pair / ROWS, pair % ROWS);
                let to = std::ptr::from_mut(&mut self.values[at]);
                // SAFETY: a line holds a register.
                unsafe { isa.store(to.cast(), isa.pair_bf16(both[0], both[1])) };
            }
        }
    }

    /// The scores of `count` queries from `first` with all tokens.
    #[inline(always)]
    fn score(
        &mut self,
        registers: &Tiles,
        first: usize,
        count: usize,
        (wide, size): (usize, usize),
    ) {
        let (groups, height) = (size / DEPTH, count.div_ceil(ROWS));
        let queries = &self.queries[line(first / ROWS, groups, 0, 0)..][..height * groups * ROWS];
        let sums = (&mut self.scores[..], wide);
        multiply(registers, (queries, &self.keys), groups, sums, true);
    }

    /// The sums of all values with the weights of `count` queries.
    #[inline(always)]
    fn weigh(&mut self, registers: &Tiles, count: usize, (wide, size): (usize, usize)) {
        let (groups, height) = (wide / DEPTH, count.div_ceil(ROWS));
        let weights = &self.weights[..height * groups * ROWS];
        let sums = (&mut self.sums[..], size);
        multiply(registers, (weights, &self.values), groups, sums, true);
    }
}

/// `(x + bias) * scale`, of a group.
#[inline(always)]
fn sum(x: &[f32], bias: &[f32], scale: f32) -> [f32; DEPTH] {
    let mut sums = [0.0; DEPTH];
    for ((sum, x), bias) in sums.iter_mut().zip(x).zip(bias) {
        *sum = (x + bias) * scale;
    }
    sums
}

/// Makes columns of rows; a number is 32 bits, a pair.
#[inline(always)]
fn turn(rows: &[Line; ROWS], out: &mut [Line]) {
    const PAIRS: usize = LINE / 4;
    assert_eq!(out.len(), PAIRS, "a tile");
    let from = rows.as_ptr().cast::<u32>();
    let to = out.as_mut_ptr().cast::<u32>();
    for row in 0..ROWS {
        for pair in 0..PAIRS {
            // SAFETY: both sides are 16 lines of 16 numbers.
            unsafe {
                to.add(pair * PAIRS + row)
                    .write(from.add(row * PAIRS + pair).read());
            };
        }
    }
}
