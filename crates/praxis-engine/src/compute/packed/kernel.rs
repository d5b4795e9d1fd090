//! The product of a tile's weights with rows of activations, written once for all instruction sets
//! and formats. Integers are multiplied with integers, four at a time in each lane; a group's sum
//! becomes a float, and scale and offset are applied to it. No sum crosses lanes.
//!
//! Few rows of activations (decoding) take the integers apart in registers, as they come from
//! memory; many (prefill) take them apart once, into the second-level cache. Both do the same
//! arithmetic in the same order, so results do not depend on how a prompt was cut.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use super::activations::{Activations, Group, PANEL, Panel};
use super::formats::{Format, Scales};
use super::layout::Layout;
use super::{GROUP, QUADS};
use crate::compute::line::{LINE, Line};
use crate::compute::shared::Disjoint;
use crate::compute::simd::{Isa, Kernel};

/// Rows of activations up to which weights are taken apart anew for each few of them.
const FEW: usize = 16;

/// Bytes of weights that are kept taken apart: half of a small second-level cache.
const KEPT: usize = 384 << 10;

/// How far ahead of its use a weight is asked for when it is read from memory.
const AHEAD: usize = 4096;

/// A part of a product: some tiles with all rows of activations.
pub(super) struct Product<'a, F> {
    /// All tiles.
    pub(super) weights: &'a [u8],
    pub(super) layout: Layout,
    pub(super) x: &'a Activations,
    pub(super) tiles: Range<usize>,
    pub(super) out: &'a Disjoint<'a>,
    pub(super) format: PhantomData<fn() -> F>,
}

/// Whether so many rows of activations take weights apart anew.
pub(super) fn is_few(rows: usize) -> bool {
    rows <= FEW
}

thread_local! {
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Tiles whose integers may be kept taken apart together.
pub(super) fn kept_tiles<I: Isa>(layout: &Layout) -> usize {
    (KEPT / (layout.columns / GROUP * Wide::<I>::bytes(1))).clamp(1, 8)
}

impl<F: Format> Product<'_, F> {
    /// The bytes of a tile.
    #[inline(always)]
    fn tile(&self, index: usize) -> &[u8] {
        &self.weights[self.layout.tile(index)]
    }

    /// Writes the sums of a row with a tile's weight rows.
    #[inline(always)]
    fn write<I: Isa>(&self, isa: I, row: usize, tile: usize, sums: I::Float) {
        let first = tile * I::LANES;
        let lanes = I::LANES.min(self.layout.rows - first);
        // SAFETY: each tile belongs to one task, and each row of it is written once.
        unsafe {
            self.out
                .store(isa, row * self.layout.rows + first, lanes, sums);
        }
    }
}

impl<F: Format> Kernel for Product<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        multiply(isa, &self);
    }
}

#[inline(always)]
fn multiply<I: Isa, F: Format>(isa: I, task: &Product<'_, F>) {
    if is_few(task.x.rows()) {
        for tile in task.tiles.clone() {
            few::<I, F>(isa, task, tile);
        }
        return;
    }
    // Not within a closure: that would be compiled without the instructions.
    let mut scratch = SCRATCH.take();
    let together = kept_tiles::<I>(&task.layout);
    let mut first = task.tiles.start;
    while first < task.tiles.end {
        let tiles = first..task.tiles.end.min(first + together);
        first = tiles.end;
        many::<I, F>(isa, task, tiles, &mut scratch);
    }
    SCRATCH.set(scratch);
}

/// All rows of activations with one tile, straight from its packed bytes.
#[inline(always)]
fn few<I: Isa, F: Format>(isa: I, task: &Product<'_, F>, tile: usize) {
    for first in (0..task.x.rows()).step_by(PANEL) {
        let panel = task.x.panel(first);
        let mut row = 0;
        if I::ROWS == PANEL && panel.width == PANEL {
            few_rows::<I, F, PANEL>(isa, task, tile, first, (panel, PANEL, 0));
            continue;
        }
        while row + 4 <= panel.width {
            few_rows::<I, F, 4>(isa, task, tile, first, (panel, panel.width, row));
            row += 4;
        }
        while row + 2 <= panel.width {
            few_rows::<I, F, 2>(isa, task, tile, first, (panel, panel.width, row));
            row += 2;
        }
        if row < panel.width {
            few_rows::<I, F, 1>(isa, task, tile, first, (panel, panel.width, row));
        }
    }
}

#[inline(always)]
fn few_rows<I: Isa, F: Format, const R: usize>(
    isa: I,
    task: &Product<'_, F>,
    tile: usize,
    first: usize,
    (panel, width, row): (Panel<'_>, usize, usize),
) {
    let packed = Packed::<F> {
        bytes: task.tile(tile),
        layout: &task.layout,
        format: PhantomData,
    };
    let mut sums = [isa.splat(0.0); R];
    // What follows in memory is asked for as far ahead as what was read so far is behind.
    packed.prefetch(isa, 0, packed.layout.quants::<F>(0));
    for group in 0..task.layout.columns / GROUP {
        let at = packed.layout.quants::<F>(group);
        packed.prefetch(isa, at, F::BITS * 4 * I::LANES);
        let quads = packed.quads(isa, group);
        let scales = packed.scales(isa, group);
        let x = panel.group::<R>(width, row, group);
        accumulate::<I, F, R>(isa, &quads, &scales, x, &mut sums);
    }
    for (i, sum) in sums.into_iter().enumerate() {
        task.write(isa, first + row + i, tile, sum);
    }
}

/// All rows of activations with some tiles, which are taken apart first.
#[inline(always)]
fn many<I: Isa, F: Format>(
    isa: I,
    task: &Product<'_, F>,
    tiles: Range<usize>,
    scratch: &mut Vec<Line>,
) {
    let groups = task.layout.columns / GROUP;
    let size = groups * Wide::<I>::bytes(F::HALVES);
    let lines = (tiles.len() * size).div_ceil(LINE);
    if scratch.len() < lines {
        scratch.resize(lines, Line::ZERO);
    }
    let start = scratch.as_mut_ptr().cast::<u8>();
    let wide = |index: usize| Wide::<I> {
        // The tile lies within the scratch lines.
        start: start.wrapping_add(index * size),
        halves: F::HALVES,
        isa,
    };
    for (i, tile) in tiles.clone().enumerate() {
        let packed = Packed::<F> {
            bytes: task.tile(tile),
            layout: &task.layout,
            format: PhantomData,
        };
        for group in 0..groups {
            // SAFETY: the scratch lines hold all groups of all these tiles.
            unsafe {
                wide(i).put(group, &packed.quads(isa, group), &packed.scales(isa, group));
            }
        }
    }
    for first in (0..task.x.rows()).step_by(PANEL) {
        let panel = task.x.panel(first);
        for (i, tile) in tiles.clone().enumerate() {
            let wide = wide(i);
            let mut row = 0;
            if I::ROWS == PANEL && panel.width == PANEL {
                many_rows::<I, F, PANEL>(isa, task, wide, tile, first, (panel, PANEL, 0));
                continue;
            }
            while row + 4 <= panel.width {
                many_rows::<I, F, 4>(isa, task, wide, tile, first, (panel, panel.width, row));
                row += 4;
            }
            while row < panel.width {
                many_rows::<I, F, 1>(isa, task, wide, tile, first, (panel, panel.width, row));
                row += 1;
            }
        }
    }
}

#[inline(always)]
fn many_rows<I: Isa, F: Format, const R: usize>(
    isa: I,
    task: &Product<'_, F>,
    wide: Wide<I>,
    tile: usize,
    first: usize,
    (panel, width, row): (Panel<'_>, usize, usize),
) {
    let mut sums = [isa.splat(0.0); R];
    for group in 0..task.layout.columns / GROUP {
        // SAFETY: all groups of the tile were put there.
        let (quads, scales) = unsafe { wide.get(group) };
        let x = panel.group::<R>(width, row, group);
        accumulate::<I, F, R>(isa, &quads, &scales, x, &mut sums);
    }
    for (i, sum) in sums.into_iter().enumerate() {
        task.write(isa, first + row + i, tile, sum);
    }
}

/// Adds the products of one group for `R` rows of activations.
#[inline(always)]
fn accumulate<I: Isa, F: Format, const R: usize>(
    isa: I,
    quads: &[I::Int; QUADS],
    scales: &Scales<I>,
    (values, groups): (&[[i8; GROUP]; R], &[Group; R]),
    sums: &mut [I::Float; R],
) {
    let count = QUADS / F::HALVES;
    for half in 0..F::HALVES {
        let quads = &quads[half * count..(half + 1) * count];
        let rows = values
            .each_ref()
            .map(|values| values.as_ptr().wrapping_add(half * count * 4));
        // SAFETY: each row has as many quads in a group.
        let dots = unsafe { isa.dots(F::BITS, quads, rows) };
        for ((sum, dot), of_group) in sums.iter_mut().zip(dots).zip(groups) {
            let whole = if F::HALVES == 2 {
                of_group.halves[half]
            } else {
                of_group.whole
            };
            let scale = isa.mul(scales.scale[half], isa.splat(of_group.scale));
            *sum = isa.mul_add(isa.to_float(dot), scale, *sum);
            *sum = isa.mul_add(scales.offset[half], isa.splat(whole), *sum);
        }
    }
}

/// A packed tile.
struct Packed<'a, F> {
    bytes: &'a [u8],
    layout: &'a Layout,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> Packed<'_, F> {
    /// Asks for what lies [`AHEAD`] of a stretch of the tile, in this tile or the next.
    #[inline(always)]
    fn prefetch<I: Isa>(&self, isa: I, at: usize, len: usize) {
        let start = self.bytes.as_ptr().wrapping_add(at + AHEAD);
        for line in (0..len).step_by(LINE) {
            isa.prefetch(start.wrapping_add(line));
        }
    }

    /// The integers of a group.
    #[inline(always)]
    fn quads<I: Isa>(&self, isa: I, group: usize) -> [I::Int; QUADS] {
        let at = self.layout.quants::<F>(group);
        debug_assert!(at + F::BITS * 4 * I::LANES <= self.bytes.len());
        // SAFETY: a tile holds all its groups, packed for as many lanes.
        let plane = |i: usize| unsafe { isa.load(self.bytes.as_ptr().add(at + i * 4 * I::LANES)) };
        let mut quads = [isa.bytes(0); QUADS];
        if F::BITS == 8 {
            for (i, quad) in quads.iter_mut().enumerate() {
                *quad = plane(i);
            }
            return quads;
        }
        if F::BITS & 4 != 0 {
            for (i, pair) in quads.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let both = plane(i);
                pair[0] = isa.and(both, isa.bytes(0x0f));
                pair[1] = isa.and(isa.shift_right(both, 4), isa.bytes(0x0f));
            }
        }
        if F::BITS & 2 != 0 {
            let planes = [plane(F::BITS & 4), plane((F::BITS & 4) + 1)];
            merge::<I, 2>(isa, &planes, F::BITS & 4, &mut quads);
        }
        if F::BITS & 1 != 0 {
            merge::<I, 1>(isa, &[plane(F::BITS & 6)], F::BITS & 6, &mut quads);
        }
        quads
    }

    /// The scales of a group.
    #[inline(always)]
    fn scales<I: Isa>(&self, isa: I, group: usize) -> Scales<I> {
        let block = group / (F::VALUES / GROUP);
        let header = self
            .bytes
            .as_ptr()
            .wrapping_add(self.layout.header::<F>(block));
        let scales = self
            .bytes
            .as_ptr()
            .wrapping_add(self.layout.scales::<F>(group));
        // SAFETY: a tile holds the headers of all its blocks and the scales of all its groups.
        unsafe { F::unpack(isa, header, scales) }
    }
}

/// Puts the next `WIDTH` bits of all quads above the lowest `bits`. Both are constants where this is
/// inlined, so that each shift is one instruction.
#[inline(always)]
fn merge<I: Isa, const WIDTH: usize>(
    isa: I,
    planes: &[I::Int; WIDTH],
    bits: usize,
    quads: &mut [I::Int; QUADS],
) {
    let mask = isa.bytes(((1 << WIDTH) - 1) << bits);
    for (plane, quads) in planes.iter().zip(quads.chunks_exact_mut(8 / WIDTH)) {
        for (q, quad) in quads.iter_mut().enumerate() {
            let moved = if q * WIDTH <= bits {
                isa.shift_left(*plane, bits - q * WIDTH)
            } else {
                isa.shift_right(*plane, q * WIDTH - bits)
            };
            *quad = isa.or(*quad, isa.and(moved, mask));
        }
    }
}

/// A tile taken apart: of each group the quads, then scales and offsets.
#[derive(Clone, Copy)]
struct Wide<I> {
    start: *mut u8,
    halves: usize,
    isa: I,
}

impl<I: Isa> Wide<I> {
    /// Bytes of a group.
    #[inline(always)]
    const fn bytes(halves: usize) -> usize {
        (QUADS + 2 * halves) * 4 * I::LANES
    }

    #[inline(always)]
    fn at(&self, group: usize, register: usize) -> *mut u8 {
        let at = group * Self::bytes(self.halves) + register * 4 * I::LANES;
        self.start.wrapping_add(at)
    }

    /// # Safety
    /// `start` points to as many groups.
    #[inline(always)]
    unsafe fn put(&self, group: usize, quads: &[I::Int; QUADS], scales: &Scales<I>) {
        let isa = self.isa;
        for (i, quad) in quads.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { isa.store(self.at(group, i), *quad) };
        }
        for half in 0..self.halves {
            let at = QUADS + 2 * half;
            // SAFETY: the caller's promise.
            unsafe {
                isa.store_floats(self.at(group, at), scales.scale[half]);
                isa.store_floats(self.at(group, at + 1), scales.offset[half]);
            }
        }
    }

    /// # Safety
    /// The group was put there.
    #[inline(always)]
    unsafe fn get(&self, group: usize) -> ([I::Int; QUADS], Scales<I>) {
        let isa = self.isa;
        let mut quads = [isa.bytes(0); QUADS];
        for (i, quad) in quads.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *quad = unsafe { isa.load(self.at(group, i)) };
        }
        let number = |i: usize| {
            // SAFETY: the caller's promise.
            unsafe { isa.load_floats(self.at(group, QUADS + i)) }
        };
        let mut scales = Scales::whole(number(0), number(1));
        if self.halves == 2 {
            (scales.scale[1], scales.offset[1]) = (number(2), number(3));
        }
        (quads, scales)
    }
}

/// Makes bfloat16 tiles of weights, as [`crate::compute::bulk`] wants them.
pub(super) struct Widen<'a, F> {
    /// All tiles.
    pub(super) weights: &'a [u8],
    pub(super) layout: Layout,
    pub(super) tiles: Range<usize>,
    pub(super) groups: Range<usize>,
    pub(super) panel: &'a mut [Line],
    pub(super) format: PhantomData<fn() -> F>,
}

impl<F: Format> Kernel for Widen<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        debug_assert_eq!(I::LANES * 4, LINE);
        let lines = self.panel.chunks_exact_mut(self.groups.len() * 2 * QUADS);
        for (tile, lines) in self.tiles.clone().zip(lines) {
            let packed = Packed::<F> {
                bytes: &self.weights[self.layout.tile(tile)],
                layout: &self.layout,
                format: PhantomData,
            };
            let lines = lines.as_chunks_mut::<{ 2 * QUADS }>().0;
            for (group, lines) in self.groups.clone().zip(lines) {
                widen(isa, &packed, group, lines);
            }
        }
    }
}

/// A group's weights of 16 rows as a tile: pairs of values, each for all rows.
#[inline(always)]
fn widen<I: Isa, F: Format>(
    isa: I,
    packed: &Packed<'_, F>,
    group: usize,
    tile: &mut [Line; 2 * QUADS],
) {
    let quads = packed.quads(isa, group);
    let scales = packed.scales(isa, group);
    for (i, quad) in quads.into_iter().enumerate() {
        let half = if F::HALVES == 2 { i / (QUADS / 2) } else { 0 };
        let weight = |x| isa.mul_add(x, scales.scale[half], scales.offset[half]);
        let pairs = [
            isa.pair_bf16(
                weight(isa.byte_to_float::<0>(quad)),
                weight(isa.byte_to_float::<1>(quad)),
            ),
            isa.pair_bf16(
                weight(isa.byte_to_float::<2>(quad)),
                weight(isa.byte_to_float::<3>(quad)),
            ),
        ];
        for (line, pair) in tile[2 * i..2 * i + 2].iter_mut().zip(pairs) {
            // SAFETY: a line holds a register.
            unsafe { isa.store(std::ptr::from_mut(line).cast(), pair) };
        }
    }
}
