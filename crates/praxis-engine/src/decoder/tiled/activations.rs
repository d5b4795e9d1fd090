//! Activations rounded to 8 bits in groups of 32, with what the offsets of weights need: the sums
//! of the rounded values.

use rayon::prelude::*;

use super::GROUP;

/// Rows of rounded activations.
pub(super) struct Activations {
    columns: usize,
    values: Vec<i8>,
    groups: Vec<Group>,
}

/// A group's scale and its sums, multiplied with the scale.
#[derive(Clone, Copy, Default)]
struct Group {
    scale: f32,
    whole: f32,
    halves: [f32; 2],
}

impl Activations {
    /// Rounds rows of `columns` values, a multiple of 32.
    pub(super) fn new(x: &[f32], columns: usize) -> Self {
        let mut values = vec![0i8; x.len()];
        let mut groups = vec![Group::default(); x.len() / GROUP];
        let round = |((x, values), groups): ((&[f32], &mut [i8]), &mut [Group])| {
            let parts = x.chunks_exact(GROUP).zip(values.chunks_exact_mut(GROUP));
            for ((x, values), group) in parts.zip(groups) {
                *group = round_group(x, values);
            }
        };
        let per_row = columns / GROUP;
        if x.len() == columns {
            round(((x, &mut values), &mut groups));
        } else {
            x.par_chunks(columns)
                .zip(values.par_chunks_mut(columns))
                .zip(groups.par_chunks_mut(per_row))
                .for_each(round);
        }
        Self { columns, values, groups }
    }

    /// Four neighbours of a group, as the bytes of one integer.
    #[inline(always)]
    pub(super) fn four(&self, row: usize, group: usize, quad: usize) -> i32 {
        let at = row * self.columns + group * GROUP + quad * 4;
        debug_assert!(at + 4 <= self.values.len());
        // SAFETY: callers stay within the rows and columns that they were made for; the innermost
        // loop has no room for a check.
        unsafe { self.values.as_ptr().add(at).cast::<i32>().read_unaligned() }
    }

    /// A group's scale, and the sum of its values (or of one half of them).
    #[inline(always)]
    pub(super) fn scale_and_sum(
        &self,
        row: usize,
        group: usize,
        half: usize,
        halves: bool,
    ) -> (f32, f32) {
        let group = &self.groups[row * (self.columns / GROUP) + group];
        (group.scale, if halves { group.halves[half] } else { group.whole })
    }
}

fn round_group(x: &[f32], values: &mut [i8]) -> Group {
    let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let scale = max / 127.0;
    let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
    for (value, x) in values.iter_mut().zip(x) {
        *value = (x * inverse).round_ties_even() as i8;
    }
    let sum = |values: &[i8]| values.iter().map(|v| i32::from(*v)).sum::<i32>() as f32;
    let halves = [sum(&values[..GROUP / 2]), sum(&values[GROUP / 2..])];
    Group { scale, whole: (halves[0] + halves[1]) * scale, halves: halves.map(|h| h * scale) }
}
