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
pub(super) struct Group {
    /// What one step of the integers stands for.
    pub(super) scale: f32,
    /// The scaled sum of all values.
    pub(super) whole: f32,
    /// The scaled sums of the first and second half.
    pub(super) halves: [f32; 2],
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
        Self {
            columns,
            values,
            groups,
        }
    }

    /// The values of one row's group, four to an integer as the kernels multiply them.
    #[inline(always)]
    pub(super) fn group(&self, row: usize, group: usize) -> (&[i8; GROUP], &Group) {
        let at = row * (self.columns / GROUP) + group;
        // The chunks are whole: rows are multiples of a group.
        (&self.values.as_chunks().0[at], &self.groups[at])
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
    Group {
        scale,
        whole: (halves[0] + halves[1]) * scale,
        halves: halves.map(|h| h * scale),
    }
}
