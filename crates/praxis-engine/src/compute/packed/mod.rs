//! Quantized weights, packed anew when a model is loaded for the widest vector instructions that
//! the processor has, and their products with activations rounded to 8 bits.
//!
//! As many weight rows as a register has 32-bit lanes form a tile, one row to a lane, so that one
//! instruction multiplies four values of all of them with four activations. [`formats`] reads the
//! formats of files, [`layout`] says how tiles lie in memory, [`kernel`] multiplies them.
//!
//! Where the processor has a matrix unit, [`super::bulk`] multiplies the rows of prompts on it. The
//! vector unit for bfloat16 is slower than what is here.
//! Floats are [`super::floats`]' business, and the formats that neither knows are multiplied the plain
//! way, see [`super::linear`].

mod activations;
mod formats;
mod kernel;
mod layout;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::bulk::{self, Wide};
use super::line::Line;
use super::linear::{Input, Matrix, Rounding};
use super::pages::Pages;
use super::shared::Disjoint;
use super::simd::{self, Isa, Kernel};
use super::unit::Unit;
use crate::dtype::Dtype;
use crate::gguf::MappedTensor;
pub(crate) use activations::Activations;
pub(super) use activations::round_group;
use formats::{Format, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
use kernel::{Product, Widen};
use layout::Layout;

/// Values in a group: those that share a scale, of weights and activations.
const GROUP: usize = 32;
/// Quads in a group: four consecutive values, those of one instruction.
const QUADS: usize = GROUP / 4;

/// Packs a matrix of one of the formats that have a kernel; `None` for others.
pub(crate) fn matrix(tensor: &MappedTensor) -> Option<Box<dyn Matrix>> {
    simd::run(Pack(tensor))
}

/// Packs for the instructions that it runs with.
#[derive(Clone, Copy)]
pub(super) struct Pack<'a>(pub(super) &'a MappedTensor);

impl Kernel for Pack<'_> {
    type Output = Option<Box<dyn Matrix>>;

    fn run<I: Isa>(self, isa: I) -> Self::Output {
        packed(isa, self.0)
    }
}

fn packed<I: Isa>(isa: I, tensor: &MappedTensor) -> Option<Box<dyn Matrix>> {
    fn of<I: Isa, F: Format>(isa: I, tensor: &MappedTensor) -> Option<Box<dyn Matrix>> {
        Some(Box::new(Packed::<I, F>::new(isa, tensor)))
    }
    match tensor.dtype() {
        Dtype::Q4_0 => of::<I, Q4_0>(isa, tensor),
        Dtype::Q4_1 => of::<I, Q4_1>(isa, tensor),
        Dtype::Q5_0 => of::<I, Q5_0>(isa, tensor),
        Dtype::Q5_1 => of::<I, Q5_1>(isa, tensor),
        Dtype::Q8_0 => of::<I, Q8_0>(isa, tensor),
        Dtype::Q2K => of::<I, Q2K>(isa, tensor),
        Dtype::Q3K => of::<I, Q3K>(isa, tensor),
        Dtype::Q4K => of::<I, Q4K>(isa, tensor),
        Dtype::Q5K => of::<I, Q5K>(isa, tensor),
        Dtype::Q6K => of::<I, Q6K>(isa, tensor),
        _ => None,
    }
}

/// A matrix packed for some instructions.
struct Packed<I, F> {
    isa: I,
    layout: Layout,
    tiles: Pages,
    /// The file's bytes, for single rows; none of a matrix that was made in memory.
    tensor: Option<MappedTensor>,
    format: PhantomData<fn() -> F>,
}

impl<I: Isa, F: Format> Packed<I, F> {
    fn new(isa: I, tensor: &MappedTensor) -> Self {
        let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
        let layout = Layout::new::<F>(rows, columns, I::LANES);
        let mut tiles = Pages::new(layout.bytes());
        tiles
            .par_chunks_mut(layout.tile_bytes())
            .enumerate()
            .for_each(|(index, tile)| {
                let row = |row| tensor.row_bytes(row);
                layout.pack::<F>(index, row, tile);
            });
        tensor.release();
        Self {
            isa,
            layout,
            tiles,
            tensor: tensor.kept(),
            format: PhantomData,
        }
    }

    /// Tiles that one task takes: enough to be worth waking a thread, few enough to share fairly.
    fn share(&self, rows: usize) -> usize {
        let fair = self
            .layout
            .tiles()
            .div_ceil(rayon::current_num_threads() * 4);
        if kernel::is_few(rows) {
            fair.max(2)
        } else {
            fair.min(kernel::kept_tiles::<I>(&self.layout)).max(1)
        }
    }
}

impl<I: Isa, F: Format> Matrix for Packed<I, F> {
    fn tasks(&self, rows: usize) -> usize {
        match rows {
            0 => 0,
            rows => self.layout.tiles().div_ceil(self.share(rows)),
        }
    }

    fn run(&self, task: usize, x: &Input<'_>, out: &Disjoint<'_>) {
        let share = self.share(x.rounded.rows());
        let tiles = task * share..self.layout.tiles().min((task + 1) * share);
        self.isa.run(Product::<F> {
            weights: &self.tiles,
            layout: self.layout,
            x: x.rounded,
            tiles,
            out,
            format: PhantomData,
        });
    }

    fn wide(&self, unit: Unit) -> Option<&dyn Wide> {
        let fits = I::LANES == bulk::ROWS && matches!(unit, Unit::Matrix(_));
        fits.then_some(self)
    }

    fn rounding(&self) -> Option<Rounding> {
        Some(Rounding::Groups)
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        // Rows are asked of embeddings only, which lie in files.
        if let Some(tensor) = &self.tensor {
            tensor.dtype().decode(tensor.row_bytes(index), out);
        }
    }

    fn bytes(&self) -> usize {
        self.tiles.len()
    }

    fn rows(&self) -> usize {
        self.layout.rows
    }

    fn columns(&self) -> usize {
        self.layout.columns
    }
}

impl<I: Isa, F: Format> Wide for Packed<I, F> {
    fn widen(&self, tiles: Range<usize>, groups: Range<usize>, panel: &mut [Line]) {
        self.isa.run(Widen::<F> {
            weights: &self.tiles,
            layout: self.layout,
            tiles,
            groups,
            panel,
            format: PhantomData,
        });
    }
}
