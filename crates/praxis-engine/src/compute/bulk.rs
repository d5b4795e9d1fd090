//! Products of many rows of activations where the processor has a [`Unit`] for them: weights
//! become bfloat16 tiles in the second-level cache, some matrix rows at a time, and all activations
//! pass by them. A weight is rounded after its scale is applied, so that one sum runs over all of a
//! row and no scale is needed behind it.
//!
//! A sum is added up in the same order whatever other rows and columns are computed, so results do
//! not depend on how a prompt was cut. They differ from those of [`super::packed`] by their rounding.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

pub(crate) use super::amx::ROWS;
use super::amx::{DEPTH, Operands, Tiles};
use super::line::{Line, room};
use super::math::silu;
use super::shared::Disjoint;
use super::simd::{self, Isa, Kernel};
use super::unit::{Registers, Unit};

/// Values along a sum in a tile.
pub(crate) const GROUP: usize = DEPTH;

/// Groups of a row whose tiles are made at a time at most.
const GROUPS: usize = 64;

/// A weight matrix that can be made bfloat16 tiles of 16 rows.
pub(crate) trait Wide: Send + Sync {
    /// Writes the tiles of some groups of 32 columns, for each tile of rows one group after the
    /// other: 16 pairs of values, each for all 16 rows. Rows behind the matrix's last may hold
    /// anything finite.
    fn widen(&self, tiles: Range<usize>, groups: Range<usize>, panel: &mut [Line]);
}

/// Rows of activations as bfloat16 tiles: of 16 rows, one group after the other.
#[derive(Default)]
pub(crate) struct Bulk {
    rows: usize,
    groups: usize,
    lines: Vec<Line>,
}

impl Bulk {
    /// Takes rows of `columns` values instead of what was there; rows behind the last of a tile
    /// are zeros.
    pub(crate) fn round(&mut self, x: &[f32], columns: usize) {
        let height = columns / GROUP * ROWS;
        let lines = self.resize(x.len() / columns, columns);
        if lines.is_empty() {
            return;
        }
        x.par_chunks(ROWS * columns)
            .zip(lines.par_chunks_mut(height))
            .for_each(|(x, lines)| simd::run(Round { x, columns, lines }));
    }

    /// Makes room for so many rows, to be filled.
    fn resize(&mut self, rows: usize, columns: usize) -> &mut [Line] {
        (self.rows, self.groups) = (rows, columns / GROUP);
        let len = self.row_tiles() * self.groups * ROWS;
        room(&mut self.lines, len, Line::ZERO)
    }

    /// Number of tiles of rows.
    #[inline(always)]
    fn row_tiles(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    /// Where the tile of some rows and a group begins.
    #[inline(always)]
    fn tile(&self, row_tile: usize, group: usize) -> *const u8 {
        assert!(
            row_tile < self.row_tiles() && group < self.groups,
            "a tile of the activations"
        );
        let at = line(row_tile, self.groups, group, 0);
        self.lines[at..at + ROWS].as_ptr().cast()
    }

    /// Makes room for so many rows, for tasks that each fill tiles of their own.
    fn filler(&mut self, rows: usize, columns: usize) -> Filler<'_> {
        let groups = columns / GROUP;
        let lines = self.resize(rows, columns);
        Filler {
            start: lines.as_mut_ptr(),
            len: lines.len(),
            groups,
            borrow: PhantomData,
        }
    }
}

/// Line `row` of a tile, where `groups` tiles lie one behind the other for each tile of rows or
/// columns.
#[inline(always)]
pub(crate) fn line(tile: usize, groups: usize, group: usize, row: usize) -> usize {
    (tile * groups + group) * ROWS + row
}

/// Tiles of activations that several threads fill.
struct Filler<'a> {
    start: *mut Line,
    len: usize,
    groups: usize,
    borrow: PhantomData<&'a mut [Line]>,
}

// SAFETY: the only access is `tile`, whose contract excludes two users of one tile.
unsafe impl Sync for Filler<'_> {}

impl Filler<'_> {
    /// The lines of a tile.
    ///
    /// # Safety
    /// No two threads use one tile while the borrow lasts.
    #[expect(clippy::mut_from_ref, reason = "tiles are disjoint")]
    unsafe fn tile(&self, row_tile: usize, group: usize) -> &mut [Line] {
        let at = line(row_tile, self.groups, group, 0);
        assert!(
            group < self.groups && at + ROWS <= self.len,
            "a tile of the activations"
        );
        // SAFETY: the range was checked; exclusiveness is the caller's duty.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), ROWS) }
    }
}

/// Rounds up to 16 rows.
struct Round<'a> {
    x: &'a [f32],
    columns: usize,
    lines: &'a mut [Line],
}

impl Kernel for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let rows = self.x.len() / self.columns;
        for (group, lines) in self.lines.chunks_exact_mut(ROWS).enumerate() {
            for (row, line) in lines.iter_mut().enumerate() {
                if row >= rows {
                    *line = Line::ZERO;
                    continue;
                }
                let at = row * self.columns + group * GROUP;
                round(isa, &self.x[at..at + GROUP], line);
            }
        }
    }
}

/// Rounds 32 numbers to the nearest bfloat16.
#[inline(always)]
pub(crate) fn round<I: Isa>(isa: I, x: &[f32], line: &mut Line) {
    assert_eq!(x.len(), GROUP, "numbers of a line");
    let line = line.halves_mut();
    let mut at = 0;
    while at < GROUP {
        // SAFETY: as many numbers are there on both sides: a register holds 16 or a part of that.
        unsafe {
            let x = isa.load_floats(x.as_ptr().add(at).cast());
            isa.store_bf16(line.as_mut_ptr().add(at).cast(), x);
        }
        at += I::LANES;
    }
}

thread_local! {
    /// Weight tiles.
    static PANEL: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Weight tiles that are made at a time: half of the second-level cache of a processor with the
/// unit.
fn kept(unit: Unit) -> usize {
    match unit {
        Unit::Matrix(_) => 1024,
        Unit::Vector(_) => 512,
    }
}

/// Of so many weight tiles of 16 rows, how many a task takes: an even number, about `most` at the
/// most, so that all threads get as many tasks.
fn share(tiles: usize, most: usize) -> usize {
    let tasks = tiles
        .div_ceil(most.next_multiple_of(2))
        .next_multiple_of(rayon::current_num_threads());
    tiles.div_ceil(tasks).next_multiple_of(2)
}

/// Groups of which tiles are made at a time, of a sum over so many.
fn groups_at_once(groups: usize) -> usize {
    groups.div_ceil(groups.div_ceil(GROUPS))
}

/// A product of activations with a matrix.
pub(crate) struct Product<'a> {
    unit: Unit,
    x: &'a Bulk,
    matrix: &'a dyn Wide,
    /// Rows of the matrix: columns of the output.
    columns: usize,
    /// The row of the output that belongs to the first of the activations.
    first: usize,
    share: usize,
}

impl<'a> Product<'a> {
    /// `x` times a matrix of so many rows, to the rows of the output from `first`.
    pub(crate) fn new(
        unit: Unit,
        x: &'a Bulk,
        matrix: &'a dyn Wide,
        columns: usize,
        first: usize,
    ) -> Self {
        let most = kept(unit) / groups_at_once(x.groups.max(1));
        Self {
            unit,
            x,
            matrix,
            columns,
            first,
            share: share(columns.div_ceil(ROWS), most),
        }
    }

    /// Into how many tasks it is cut.
    pub(crate) fn tasks(&self) -> usize {
        if self.x.rows == 0 {
            return 0;
        }
        self.columns.div_ceil(ROWS).div_ceil(self.share)
    }

    /// Computes one task.
    pub(crate) fn run(&self, task: usize, out: &Disjoint<'_>) {
        let all = self.columns.div_ceil(ROWS);
        let tiles = task * self.share..all.min((task + 1) * self.share);
        let mut panel = PANEL.take();
        let registers = self.unit.configure();
        let at_once = groups_at_once(self.x.groups);
        for start in (0..self.x.groups).step_by(at_once) {
            let groups = start..self.x.groups.min(start + at_once);
            let panel = room(&mut panel, tiles.len() * groups.len() * ROWS, Line::ZERO);
            self.matrix.widen(tiles.clone(), groups.clone(), panel);
            for row_tile in (0..self.x.row_tiles()).step_by(2) {
                for i in (0..tiles.len()).step_by(2) {
                    let block = Block::new(self.x, row_tile, groups.clone(), (panel, i));
                    self.put(&registers, &block, (tiles.start + i) * ROWS, out);
                }
            }
        }
        drop(registers);
        PANEL.set(panel);
    }

    /// Adds a block's products to the output, or puts them there where the sum begins.
    #[inline(always)]
    fn put(&self, registers: &Registers, block: &Block<'_>, column: usize, out: &Disjoint<'_>) {
        let first = self.first + block.row_tile * ROWS;
        let rows = (block.shape.0 * ROWS).min(self.x.rows - block.row_tile * ROWS);
        let columns = (block.shape.1 * ROWS).min(self.columns - column);
        let at = |row: usize| out.at((first + row) * self.columns + column, columns);
        if rows == block.shape.0 * ROWS && columns == block.shape.1 * ROWS {
            // That the last row is within the output is checked by asking for it.
            at(rows - 1);
            let stride = self.columns * size_of::<f32>();
            // What the next block writes comes from far away.
            registers.expect(at(0).wrapping_add(columns), stride, rows);
            // SAFETY: the sums are there, and this task's.
            unsafe { block.multiply(registers, at(0), stride) };
            return;
        }
        let mut sums = Sums::default();
        for (i, sums) in sums.0.iter_mut().take(rows).enumerate() {
            // SAFETY: both sides hold so many sums, which are this task's.
            unsafe { std::ptr::copy_nonoverlapping(at(i), sums.as_mut_ptr(), columns) };
        }
        block.multiply_into(registers, &mut sums);
        for (i, sums) in sums.0.iter().take(rows).enumerate() {
            // SAFETY: as above.
            unsafe { out.write((first + i) * self.columns + column, &sums[..columns]) };
        }
    }
}

/// On the matrix unit, `sums[i, j] += sum_k rows[i, k] * columns[k, j]` for one or two tiles of
/// rows and any number of tiles of columns, each of `steps` tiles one behind the other; `fresh`:
/// whatever is in the sums' place. A row of sums begins `stride` floats behind the one before.
#[inline(always)]
pub(crate) fn multiply(
    registers: &Tiles,
    (rows, columns): (&[Line], &[Line]),
    steps: usize,
    (sums, stride): (&mut [f32], usize),
    fresh: bool,
) {
    let size = steps * ROWS;
    let (height, width) = (rows.len() / size, columns.len() / size);
    assert!(
        (1..=2).contains(&height) && width * ROWS <= stride,
        "tiles of a product"
    );
    assert!(
        (height * ROWS - 1) * stride + width * ROWS <= sums.len(),
        "sums of a product"
    );
    let row = |tile: usize| rows[tile * size..(tile + 1) * size].as_ptr().cast();
    let column = |tile: usize| columns[tile * size..(tile + 1) * size].as_ptr().cast();
    for tile in (0..width).step_by(2) {
        let pair = 2.min(width - tile);
        let operands = Operands {
            rows: [row(0), row(height - 1)],
            columns: [column(tile), column(tile + pair - 1)],
            sums: sums[tile * ROWS..].as_mut_ptr(),
            stride: stride * size_of::<f32>(),
            steps,
            fresh,
        };
        // SAFETY: the tiles and the sums were checked to be there.
        unsafe { registers.multiply((height, pair), operands) };
    }
}

/// Sums of a block.
#[repr(align(64))]
struct Sums([[f32; 2 * ROWS]; 2 * ROWS]);

impl Default for Sums {
    fn default() -> Self {
        Self([[0.0; 2 * ROWS]; 2 * ROWS])
    }
}

/// Up to two tiles of activations and two of weights, and some groups of them.
struct Block<'a> {
    /// The first tile of activations.
    row_tile: usize,
    /// How many tiles of activations and of weights there are.
    shape: (usize, usize),
    rows: [*const u8; 2],
    columns: [*const u8; 2],
    groups: Range<usize>,
    borrow: PhantomData<&'a Line>,
}

impl<'a> Block<'a> {
    /// A block from a tile of activations and tile `i` of a panel of so many groups.
    #[inline(always)]
    fn new(
        x: &'a Bulk,
        row_tile: usize,
        groups: Range<usize>,
        (panel, i): (&'a [Line], usize),
    ) -> Self {
        let size = groups.len() * ROWS;
        let shape = (
            2.min(x.row_tiles() - row_tile),
            2.min(panel.len() / size - i),
        );
        let column = |i: usize| panel[i * size..(i + 1) * size].as_ptr().cast();
        // The last tile is within the activations as well.
        x.tile(row_tile + shape.0 - 1, groups.end - 1);
        Self {
            row_tile,
            shape,
            rows: [row_tile, row_tile + shape.0 - 1].map(|tile| x.tile(tile, groups.start)),
            columns: [column(i), column(i + shape.1 - 1)],
            groups,
            borrow: PhantomData,
        }
    }

    /// Adds the products to sums, whose rows lie `stride` bytes apart.
    ///
    /// # Safety
    /// So many sums are there, and nobody else's.
    #[inline(always)]
    unsafe fn multiply(&self, registers: &Registers, sums: *mut f32, stride: usize) {
        let operands = Operands {
            rows: self.rows,
            columns: self.columns,
            sums,
            stride,
            steps: self.groups.len(),
            fresh: self.groups.start == 0,
        };
        // SAFETY: the tiles are borrowed and were checked; the rest is the caller's promise.
        unsafe { registers.multiply(self.shape, operands) };
    }

    #[inline(always)]
    fn multiply_into(&self, registers: &Registers, sums: &mut Sums) {
        let start = sums.0.as_mut_ptr().cast();
        // SAFETY: a block has at most as many sums.
        unsafe { self.multiply(registers, start, size_of_val(&sums.0[0])) };
    }
}

/// The first half of a gated feed-forward layer: `silu(x * gate) * (x * up)`, as the activations of
/// the second half. What lies between never leaves the first-level cache.
pub(crate) struct Gated<'a> {
    unit: Unit,
    x: &'a Bulk,
    matrices: [&'a dyn Wide; 2],
    columns: usize,
    share: usize,
}

impl<'a> Gated<'a> {
    /// The activations with two matrices of so many rows, a multiple of 32.
    pub(crate) fn new(
        unit: Unit,
        x: &'a Bulk,
        matrices: [&'a dyn Wide; 2],
        columns: usize,
    ) -> Self {
        debug_assert!(columns.is_multiple_of(GROUP));
        let most = (kept(unit) / 2 / x.groups.max(1)).max(2);
        Self {
            unit,
            x,
            matrices,
            columns,
            share: share(columns / ROWS, most / 2 * 2),
        }
    }

    /// Computes all.
    pub(crate) fn run(&self, out: &mut Bulk) {
        let out = out.filler(self.x.rows, self.columns);
        if out.len == 0 {
            return;
        }
        let all = self.columns / ROWS;
        (0..all.div_ceil(self.share))
            .into_par_iter()
            .for_each(|task| {
                let tiles = task * self.share..all.min((task + 1) * self.share);
                self.part(tiles, &out);
            });
    }

    fn part(&self, tiles: Range<usize>, out: &Filler<'_>) {
        let mut panel = PANEL.take();
        let groups = 0..self.x.groups;
        let lines = 2 * tiles.len() * groups.len() * ROWS;
        let lines = room(&mut panel, lines, Line::ZERO);
        let (gate, up) = lines.split_at_mut(lines.len() / 2);
        for (matrix, lines) in self.matrices.into_iter().zip([&mut *gate, &mut *up]) {
            matrix.widen(tiles.clone(), groups.clone(), lines);
        }
        let registers = self.unit.configure();
        let mut sums = [Sums::default(), Sums::default()];
        for row_tile in (0..self.x.row_tiles()).step_by(2) {
            for i in (0..tiles.len()).step_by(2) {
                let [a, b] = &mut sums;
                let gate = Block::new(self.x, row_tile, groups.clone(), (gate, i));
                gate.multiply_into(&registers, a);
                let up = Block::new(self.x, row_tile, groups.clone(), (up, i));
                up.multiply_into(&registers, b);
                for half in 0..gate.shape.0 {
                    let rows = half * ROWS..(half + 1) * ROWS;
                    // SAFETY: the tile belongs to this task alone.
                    let out = unsafe { out.tile(row_tile + half, (tiles.start + i) / 2) };
                    simd::run(Gate {
                        gate: &mut a.0[rows.clone()],
                        up: &b.0[rows],
                        out,
                    });
                }
            }
        }
        drop(registers);
        PANEL.set(panel);
    }
}

/// `silu(gate) * up`, rounded.
struct Gate<'a> {
    gate: &'a mut [[f32; 2 * ROWS]],
    up: &'a [[f32; 2 * ROWS]],
    out: &'a mut [Line],
}

impl Kernel for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for ((gate, up), out) in self.gate.iter_mut().zip(self.up).zip(self.out) {
            for (gate, up) in gate.iter_mut().zip(up) {
                *gate = silu(*gate) * up;
            }
            round(isa, gate, out);
        }
    }
}

#[cfg(test)]
mod tests;
