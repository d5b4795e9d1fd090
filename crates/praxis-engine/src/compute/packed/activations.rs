//! Activations rounded to 8 bits in groups of 32, with what the offsets of weights need: the sums
//! of the rounded values. Eight rows form a panel, in which the rows' values of one group stand
//! beside each other, as a product reads them; the last panel is as wide as rows are left.

use rayon::prelude::*;

use super::GROUP;
use crate::compute::line::room;
use crate::compute::simd::{self, Isa, Kernel};

/// Rows in a panel.
pub(super) const PANEL: usize = 8;

/// Rows of rounded activations.
#[derive(Default)]
pub(crate) struct Activations {
    rows: usize,
    groups: usize,
    values: Vec<[i8; GROUP]>,
    scales: Vec<Group>,
}

/// A group's scale and its sums, multiplied with the scale.
#[derive(Clone, Copy, Default)]
pub(in crate::compute) struct Group {
    /// What one step of the integers stands for.
    pub(in crate::compute) scale: f32,
    /// The scaled sum of all values.
    pub(in crate::compute) whole: f32,
    /// The scaled sums of the first and second half.
    pub(super) halves: [f32; 2],
}

/// Consecutive rows, at most [`PANEL`].
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    /// How many there are.
    pub(super) width: usize,
    values: &'a [[i8; GROUP]],
    scales: &'a [Group],
}

impl Activations {
    /// Takes rows of `columns` values instead of what was there. Values beyond the last whole group
    /// of a row are left out: no format with a kernel has such rows.
    pub(crate) fn round(&mut self, x: &[f32], columns: usize) {
        (self.rows, self.groups) = (x.len() / columns, columns / GROUP);
        if self.groups == 0 {
            return;
        }
        let len = self.rows * self.groups;
        let values = room(&mut self.values, len, [0; GROUP]);
        let scales = room(&mut self.scales, len, Group::default());
        let round = |x, values, scales| {
            simd::run(RoundPanel {
                x,
                columns,
                values,
                scales,
            });
        };
        if self.rows <= PANEL {
            round(x, values, scales);
        } else {
            let panel = PANEL * self.groups;
            x.par_chunks(PANEL * columns)
                .zip(values.par_chunks_mut(panel))
                .zip(scales.par_chunks_mut(panel))
                .for_each(|((x, values), scales)| round(x, values, scales));
        }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The panel that begins with a row.
    #[inline(always)]
    pub(super) fn panel(&self, first: usize) -> Panel<'_> {
        let width = PANEL.min(self.rows - first);
        let at = first * self.groups..(first + width) * self.groups;
        Panel {
            width,
            values: &self.values[at.clone()],
            scales: &self.scales[at],
        }
    }
}

impl Panel<'_> {
    /// The values and scales of `R` rows from `row`, of one group. `width` is the panel's, given
    /// by the caller so that the compiler may know it.
    #[inline(always)]
    pub(super) fn group<const R: usize>(
        &self,
        width: usize,
        row: usize,
        group: usize,
    ) -> (&[[i8; GROUP]; R], &[Group; R]) {
        let at = group * width + row;
        assert!(at + R <= self.values.len() && at + R <= self.scales.len());
        // SAFETY: the rows were checked to be there.
        unsafe {
            (
                &*self.values.as_ptr().add(at).cast(),
                &*self.scales.as_ptr().add(at).cast(),
            )
        }
    }
}

/// Rounds the rows of a panel.
struct RoundPanel<'a> {
    x: &'a [f32],
    columns: usize,
    values: &'a mut [[i8; GROUP]],
    scales: &'a mut [Group],
}

impl Kernel for RoundPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let width = self.x.len() / self.columns;
        for (row, x) in self.x.chunks_exact(self.columns).enumerate() {
            for (group, x) in x.as_chunks().0.iter().enumerate() {
                let at = group * width + row;
                self.scales[at] = round_group(x, &mut self.values[at]);
            }
        }
    }
}

/// Rounds a group to the nearest of 255 steps, halves to even. Written so that the compiler makes
/// vector instructions of it.
#[inline(always)]
pub(in crate::compute) fn round_group<const N: usize>(x: &[f32; N], values: &mut [i8; N]) -> Group {
    /// Added to a small number, it leaves the number's integer in the lowest bits.
    const MAGIC: f32 = 12_582_912.0;
    // The order of positive floats is that of their bits.
    let max = x.iter().fold(0, |max, x| max.max(x.abs().to_bits()));
    let max = f32::from_bits(max);
    let scale = max / 127.0;
    let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
    let mut shifted = [0.0f32; N];
    for (shifted, x) in shifted.iter_mut().zip(x) {
        *shifted = x * inverse + MAGIC;
    }
    for (value, shifted) in values.iter_mut().zip(&shifted) {
        *value = shifted.to_bits() as i8;
    }
    // Apart from the loop above, so that each becomes vector instructions.
    let sum = |half: &[f32]| {
        let integer = |x: &f32| x.to_bits().wrapping_sub(MAGIC.to_bits()) as i32;
        // What a damaged model makes infinite has no integer; its sum may be anything.
        let sum = half.iter().map(integer).fold(0i32, i32::wrapping_add);
        sum as f32
    };
    let halves = [sum(&shifted[..N / 2]), sum(&shifted[N / 2..])];
    Group {
        scale,
        whole: (halves[0] + halves[1]) * scale,
        halves: halves.map(|h| h * scale),
    }
}
