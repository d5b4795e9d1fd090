//! Rotary position embedding (Su et al. 2021) in the two layouts that GGUF files use.

use rayon::prelude::*;

/// Which values of a head form a rotated pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RopeLayout {
    /// Neighbours `(2i, 2i + 1)`: `llama` files, whose weights are permuted for it.
    Neighbours,
    /// Halves `(i, i + n/2)`: the GPT-NeoX layout, all other files.
    Halves,
}

/// The rotation of a model.
#[derive(Debug, Clone)]
pub(crate) struct Rope {
    layout: RopeLayout,
    frequencies: Vec<f32>,
}

impl Rope {
    /// A rotation of the first `dim` values of a head; `factors` divide the frequencies, `scale`
    /// divides the positions (linear context extension).
    pub(crate) fn new(
        layout: RopeLayout,
        dim: usize,
        base: f32,
        scale: f32,
        factors: Option<&[f32]>,
    ) -> Self {
        let frequencies = (0..dim / 2)
            .map(|i| {
                let f = f64::from(base).powf(-((2 * i) as f64) / dim as f64);
                (f / f64::from(factors.map_or(1.0, |x| x[i])) / f64::from(scale)) as f32
            })
            .collect();
        Self {
            layout,
            frequencies,
        }
    }

    /// Which values it rotates together.
    pub(crate) fn layout(&self) -> RopeLayout {
        self.layout
    }

    /// Sines and cosines for the given positions, one row a position.
    pub(crate) fn angles(&self, positions: impl Iterator<Item = usize>) -> Angles {
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in positions {
            for f in &self.frequencies {
                let (s, c) = (position as f32 * f).sin_cos();
                sin.push(s);
                cos.push(c);
            }
        }
        Angles { cos, sin }
    }

    /// Rotates rows of heads of `head_dim` values, one row a position of `angles`.
    pub(crate) fn rotate(
        &self,
        rows: &mut [f32],
        row_len: usize,
        head_dim: usize,
        angles: &Angles,
    ) {
        let n = self.frequencies.len();
        let rows = rows.par_chunks_exact_mut(row_len).with_min_len(16);
        rows.enumerate().for_each(|(i, row)| {
            let (cos, sin) = (
                &angles.cos[i * n..(i + 1) * n],
                &angles.sin[i * n..(i + 1) * n],
            );
            for head in row.chunks_exact_mut(head_dim) {
                match self.layout {
                    RopeLayout::Neighbours => {
                        for (pair, (c, s)) in head.chunks_exact_mut(2).zip(cos.iter().zip(sin)) {
                            let (a, b) = (pair[0], pair[1]);
                            pair[0] = a * c - b * s;
                            pair[1] = a * s + b * c;
                        }
                    }
                    RopeLayout::Halves => {
                        let (first, second) = head.split_at_mut(n);
                        for ((x, y), (c, s)) in
                            first.iter_mut().zip(second).zip(cos.iter().zip(sin))
                        {
                            let (a, b) = (*x, *y);
                            *x = a * c - b * s;
                            *y = a * s + b * c;
                        }
                    }
                }
            }
        });
    }
}

/// Sines and cosines of some positions.
pub(crate) struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

#[cfg(any(test, feature = "cuda"))]
impl Angles {
    /// All cosines and all sines.
    pub(crate) fn into_tables(self) -> [Vec<f32>; 2] {
        [self.cos, self.sin]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_is_that_of_the_paper_in_both_layouts() {
        let (dim, rotated, base, scale) = (10, 6, 10_000.0, 2.0);
        let factors = [1.0, 2.0, 4.0];
        let rows: Vec<f32> = (0..2 * 2 * dim).map(|i| (i as f32 * 0.7).sin()).collect();
        for layout in [RopeLayout::Neighbours, RopeLayout::Halves] {
            let rope = Rope::new(layout, rotated, base, scale, Some(&factors));
            let mut turned = rows.clone();
            let positions = [3usize, 700];
            let angles = rope.angles(positions.into_iter());
            rope.rotate(&mut turned, 2 * dim, dim, &angles);
            for (row, position) in positions.into_iter().enumerate() {
                for head in 0..2 {
                    let at = (row * 2 + head) * dim;
                    let (before, after) = (&rows[at..at + dim], &turned[at..at + dim]);
                    assert_eq!(before[rotated..], after[rotated..], "the rest stays");
                    for (i, factor) in factors.iter().enumerate() {
                        let frequency = f64::from(base).powf(-2.0 * i as f64 / rotated as f64);
                        let angle =
                            position as f64 * frequency / f64::from(*factor) / f64::from(scale);
                        let (x, y) = match layout {
                            RopeLayout::Neighbours => (2 * i, 2 * i + 1),
                            RopeLayout::Halves => (i, i + rotated / 2),
                        };
                        let (a, b) = (f64::from(before[x]), f64::from(before[y]));
                        let wanted = [
                            (x, a * angle.cos() - b * angle.sin()),
                            (y, a * angle.sin() + b * angle.cos()),
                        ];
                        for (at, wanted) in wanted {
                            let error = (f64::from(after[at]) - wanted).abs();
                            assert!(error < 1e-4, "{layout:?} {position} {at}: {error}");
                        }
                    }
                }
            }
        }
    }
}
