//! Products of tiles against double precision, between numbers that must stay as they are. Both
//! units are tested where the processor has both.

use std::ops::Range;

use half::bf16;

use super::{Operands, Unit};
use crate::compute::amx::{DEPTH, ROWS};
use crate::compute::line::Line;
use crate::compute::testing::{SEEDS, random, units};

/// Floats from one row of sums to the next: not whole lines of the cache.
const STRIDE: usize = 2 * ROWS + 3;

const SHAPES: [(usize, usize); 4] = [(1, 1), (1, 2), (2, 1), (2, 2)];

/// Two tiles of rows and two of columns, of so many steps.
struct Case {
    steps: usize,
    /// The numbers of the rows, row by row, and of the columns, column by column.
    numbers: [Vec<f32>; 2],
    rows: [Vec<Line>; 2],
    columns: [Vec<Line>; 2],
}

/// Where a number of a row or column lies in its tile: the line, and the number of that.
type Place = fn(usize, usize) -> (usize, usize);

fn of_row(row: usize, k: usize) -> (usize, usize) {
    (row, k)
}

fn of_column(column: usize, k: usize) -> (usize, usize) {
    (k / 2, 2 * column + k % 2)
}

impl Case {
    fn new(steps: usize, seed: u64) -> Self {
        let numbers: [Vec<f32>; 2] = [seed, seed + 1000].map(|seed| {
            let numbers = random(2 * ROWS * steps * DEPTH, seed).into_iter();
            numbers.map(|x| bf16::from_f32(x).to_f32()).collect()
        });
        let [x, w] = &numbers;
        Self {
            steps,
            rows: [0, 1].map(|which| tiles(x, steps, which, of_row)),
            columns: [0, 1].map(|which| tiles(w, steps, which, of_column)),
            numbers,
        }
    }

    /// The sum for a row and a column, and the sum of the terms' sizes.
    fn exact(&self, row: usize, column: usize) -> (f64, f64) {
        let depth = self.steps * DEPTH;
        let [x, w] = &self.numbers;
        let (x, w) = (&x[row * depth..][..depth], &w[column * depth..][..depth]);
        let terms = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w));
        terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
    }

    /// Multiplies some steps of the first tiles of a shape.
    fn multiply(
        &self,
        unit: Unit,
        shape: (usize, usize),
        steps: Range<usize>,
        fresh: bool,
        sums: &mut [f32],
    ) {
        assert!(steps.end <= self.steps && sums.len() >= 2 * ROWS * STRIDE);
        let at = |tiles: &Vec<Line>| tiles[steps.start * ROWS..].as_ptr().cast::<u8>();
        let operands = Operands {
            rows: self.rows.each_ref().map(at),
            columns: self.columns.each_ref().map(at),
            sums: sums.as_mut_ptr(),
            stride: STRIDE * size_of::<f32>(),
            steps: steps.len(),
            fresh,
        };
        let registers = unit.configure();
        // SAFETY: there are two tiles of rows and of columns with so many steps, and their sums.
        unsafe { registers.multiply(shape, operands) };
    }
}

/// The first or second tile of some rows or columns, of all steps.
fn tiles(numbers: &[f32], steps: usize, which: usize, place: Place) -> Vec<Line> {
    let mut lines = vec![Line::ZERO; steps * ROWS];
    let numbers = numbers.chunks_exact(steps * DEPTH).skip(which * ROWS);
    for (i, numbers) in numbers.take(ROWS).enumerate() {
        for (k, number) in numbers.iter().enumerate() {
            let (line, half) = place(i, k % DEPTH);
            let line = &mut lines[k / DEPTH * ROWS + line];
            line.halves_mut()[half] = bf16::from_f32(*number).to_bits();
        }
    }
    lines
}

fn is_within(at: usize, shape: (usize, usize)) -> bool {
    at / STRIDE < shape.0 * ROWS && at % STRIDE < shape.1 * ROWS
}

#[test]
fn sums_agree_with_double_precision_and_nothing_else_is_written() {
    /// What a sum is before.
    const BEFORE: f32 = -0.75;
    for unit in units() {
        for (seed, steps) in SEEDS.into_iter().zip([1, 3, 4, 9]) {
            let case = Case::new(steps, seed);
            for (shape, fresh) in SHAPES.into_iter().flat_map(|s| [(s, true), (s, false)]) {
                let name = format!("{unit:?}, {steps} steps of {shape:?}, fresh: {fresh}");
                let mut sums = vec![f32::NAN; 2 * ROWS * STRIDE];
                for (at, sum) in sums.iter_mut().enumerate() {
                    if !fresh && is_within(at, shape) {
                        *sum = BEFORE;
                    }
                }
                case.multiply(unit, shape, 0..steps, fresh, &mut sums);
                for (at, sum) in sums.iter().enumerate() {
                    if !is_within(at, shape) {
                        assert!(sum.is_nan(), "{name}: {at} was written");
                        continue;
                    }
                    let (exact, size) = case.exact(at / STRIDE, at % STRIDE);
                    let exact = exact + if fresh { 0.0 } else { f64::from(BEFORE) };
                    let error = (f64::from(*sum) - exact).abs();
                    assert!(error < 1e-5 * (size + 1.0), "{name}: {at}: {sum} {exact}");
                }
            }
        }
    }
}

/// Bit by bit, so that neither the cut of a prompt nor that of a sum is seen in its result.
#[test]
fn a_sum_depends_neither_on_its_neighbours_nor_on_how_its_steps_are_cut() {
    for unit in units() {
        for seed in SEEDS {
            let case = Case::new(9, seed);
            let mut whole = vec![f32::NAN; 2 * ROWS * STRIDE];
            case.multiply(unit, (2, 2), 0..9, true, &mut whole);
            for (shape, cut) in SHAPES.into_iter().zip([1, 3, 4, 8]) {
                let mut parts = vec![f32::NAN; 2 * ROWS * STRIDE];
                case.multiply(unit, shape, 0..cut, true, &mut parts);
                case.multiply(unit, shape, cut..9, false, &mut parts);
                for at in (0..parts.len()).filter(|at| is_within(*at, shape)) {
                    let bits = (parts[at].to_bits(), whole[at].to_bits());
                    assert_eq!(bits.0, bits.1, "{unit:?} {shape:?} {cut}: {at}");
                }
            }
        }
    }
}
