//! Centroids of lists: k-means on a sample, in 8-bit arithmetic, which is four times as fast as
//! floats and as good: what a centroid is off, the residuals take up.

use rayon::prelude::*;

use crate::query::to_bytes;
use crate::random::Random;
use crate::simd::{Nearest, ROWS, SHIFT, TILE, kernels};

const ROUNDS: usize = 7;

/// Centroids in 7 bits a component. These values are the centroids: residuals are taken from them.
#[derive(Debug, Clone)]
pub(crate) struct Centroids {
    pub padded: usize,
    pub count: usize,
    /// In tiles, for many at a time.
    pub tiles: Vec<u8>,
    /// One after the other.
    pub rows: Vec<u8>,
    /// What a centroid's components are times, after the shift. Padded to whole tiles.
    pub scales: Vec<f32>,
    /// Squares of their lengths. Padded to whole tiles, with infinity.
    pub squares: Vec<f32>,
}

/// Rows in 8 bits.
#[derive(Debug, Default)]
pub(crate) struct ByteRows {
    pub values: Vec<i8>,
    pub scales: Vec<f32>,
    pub sums: Vec<i32>,
}

impl ByteRows {
    pub fn push(&mut self, row: &[f32]) {
        let start = self.values.len();
        self.values.resize(start + row.len(), 0);
        self.scales.push(to_bytes(row, &mut self.values[start..]));
        let sum = self.values[start..].iter().map(|x| i32::from(*x)).sum();
        self.sums.push(sum);
    }
}

impl Centroids {
    pub fn new(padded: usize, values: &[f32]) -> Self {
        let count = values.len() / padded;
        let whole = count.next_multiple_of(TILE);
        let mut centroids = Self {
            padded,
            count,
            tiles: vec![SHIFT as u8; whole * padded],
            rows: vec![0; count * padded],
            scales: vec![0.0; whole],
            squares: vec![f32::INFINITY; whole],
        };
        for (i, row) in values.chunks_exact(padded).enumerate() {
            let largest = row.iter().fold(f32::MIN_POSITIVE, |a, x| a.max(x.abs()));
            let scale = largest / 63.0;
            let out = &mut centroids.rows[i * padded..(i + 1) * padded];
            let tile = &mut centroids.tiles[i / TILE * TILE * padded..];
            let start = (i % TILE / 16) * 16 * padded + (i % 16) * 4;
            let mut square = 0.0;
            for (at, (x, out)) in row.iter().zip(out).enumerate() {
                let step = (x / scale).round_ties_even().clamp(-64.0, 63.0);
                square += (step * scale) * (step * scale);
                *out = (step as i32 + SHIFT) as u8;
                tile[start + at / 4 * 64 + at % 4] = *out;
            }
            centroids.scales[i] = scale;
            centroids.squares[i] = square;
        }
        centroids
    }

    /// A centroid's components.
    pub fn values(&self, centroid: usize, out: &mut [f32]) {
        let row = &self.rows[centroid * self.padded..(centroid + 1) * self.padded];
        for (out, x) in out.iter_mut().zip(row) {
            *out = (i32::from(*x) - SHIFT) as f32 * self.scales[centroid];
        }
    }

    /// The nearest centroid of each row, and the square of its distance less that of the row.
    pub fn nearest(&self, rows: &ByteRows) -> Vec<(u32, f32)> {
        let mut nearest = vec![Nearest::NONE; rows.sums.len()];
        let kernels = kernels();
        let mut out = [[0; TILE]; ROWS];
        let tile_len = TILE * self.padded;
        // A tile or two stay in the first cache while a few rows pass, the rows in the second.
        for (at, tile) in self.tiles.chunks_exact(tile_len).enumerate() {
            let lanes = at * TILE..(at + 1) * TILE;
            let (scales, squares) = (&self.scales[lanes.clone()], &self.squares[lanes]);
            for (group, nearest) in nearest.chunks_mut(ROWS).enumerate() {
                let first = group * ROWS;
                let row = |i: usize| {
                    let i = (first + i).min(rows.sums.len() - 1);
                    &rows.values[i * self.padded..(i + 1) * self.padded]
                };
                let eight: [&[i8]; ROWS] = std::array::from_fn(row);
                (kernels.tiles)(&eight, tile, &mut out);
                for (i, (nearest, out)) in nearest.iter_mut().zip(&out).enumerate() {
                    let (scale, sum) = (rows.scales[first + i], rows.sums[first + i] * SHIFT);
                    for lane in 0..TILE {
                        let product = (out[lane] - sum) as f32 * (scales[lane] * scale);
                        let score = product - 0.5 * squares[lane];
                        let better = score > nearest.score[lane];
                        nearest.score[lane] = if better { score } else { nearest.score[lane] };
                        nearest.tile[lane] = if better {
                            at as u32
                        } else {
                            nearest.tile[lane]
                        };
                    }
                }
            }
        }
        nearest
            .iter()
            .map(|nearest| {
                let (best, score) = nearest.best();
                (best.min(self.count - 1) as u32, -2.0 * score)
            })
            .collect()
    }
}

/// Finds `count` centroids of a sample, which has at least as many rows. A list that loses all of
/// its rows takes a row of the largest.
pub(crate) fn train(sample: &[ByteRows], padded: usize, count: usize, seed: u64) -> Centroids {
    let mut random = Random::new(seed ^ 0x6b6d_6561_6e73);
    let places: Vec<(usize, usize)> = sample
        .iter()
        .enumerate()
        .flat_map(|(part, rows)| (0..rows.sums.len()).map(move |row| (part, row)))
        .collect();
    let copy = |&(part, row): &(usize, usize), out: &mut [f32]| {
        let rows = &sample[part];
        let values = &rows.values[row * padded..(row + 1) * padded];
        for (out, x) in out.iter_mut().zip(values) {
            *out = f32::from(*x) * rows.scales[row];
        }
    };
    let mut values = vec![0f32; count * padded];
    let chosen = random.sample(places.len(), count);
    for (at, out) in chosen.iter().zip(values.chunks_exact_mut(padded)) {
        copy(&places[*at], out);
    }
    for _ in 0..ROUNDS {
        let centroids = Centroids::new(padded, &values);
        let nearest: Vec<Vec<(u32, f32)>> = sample
            .par_iter()
            .map(|rows| centroids.nearest(rows))
            .collect();
        let mut sizes = vec![0usize; count];
        for (list, _) in nearest.iter().flatten() {
            sizes[*list as usize] += 1;
        }
        // Rows by their lists, so that each list's mean is computed alone and in one order.
        let mut starts = vec![0usize; count + 1];
        for list in 0..count {
            starts[list + 1] = starts[list] + sizes[list];
        }
        let mut next = starts.clone();
        let mut order = vec![(0usize, 0usize); places.len()];
        for (place, (list, _)) in places.iter().zip(nearest.iter().flatten()) {
            order[next[*list as usize]] = *place;
            next[*list as usize] += 1;
        }
        values
            .par_chunks_exact_mut(padded)
            .enumerate()
            .for_each(|(list, mean)| {
                let rows = &order[starts[list]..starts[list + 1]];
                if rows.is_empty() {
                    return;
                }
                mean.fill(0.0);
                for &(part, row) in rows {
                    let scale = sample[part].scales[row] / rows.len() as f32;
                    let values = &sample[part].values[row * padded..(row + 1) * padded];
                    for (mean, x) in mean.iter_mut().zip(values) {
                        *mean += f32::from(*x) * scale;
                    }
                }
            });
        let mut empty: Vec<usize> = (0..count).filter(|list| sizes[*list] == 0).collect();
        let mut largest: Vec<usize> = (0..count).filter(|list| sizes[*list] > 1).collect();
        largest.sort_by_key(|list| std::cmp::Reverse(sizes[*list]));
        for list in largest {
            let Some(target) = empty.pop() else { break };
            let row = starts[list] + random.below(sizes[list]);
            copy(
                &order[row],
                &mut values[target * padded..(target + 1) * padded],
            );
        }
    }
    Centroids::new(padded, &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_find_the_centroid_that_is_nearest() {
        let padded = 128;
        let mut random = Random::new(4);
        let mut row = || -> Vec<f32> {
            (0..padded)
                .map(|_| random.below(2000) as f32 / 1000.0 - 1.0)
                .collect()
        };
        let values: Vec<f32> = (0..50).flat_map(|_| row()).collect();
        let centroids = Centroids::new(padded, &values);
        let mut rows = ByteRows::default();
        for c in values.chunks_exact(padded) {
            let near: Vec<f32> = c.iter().zip(row()).map(|(c, x)| c + 0.1 * x).collect();
            rows.push(&near);
        }
        let nearest = centroids.nearest(&rows);
        assert!(
            nearest
                .iter()
                .enumerate()
                .all(|(i, (list, _))| *list == i as u32)
        );
        let mut out = vec![0.0; padded];
        centroids.values(7, &mut out);
        assert!(
            out.iter()
                .zip(&values[7 * padded..])
                .all(|(a, b)| (a - b).abs() < 0.01)
        );
    }

    #[test]
    fn clusters_are_found_and_no_list_is_left_empty() {
        let padded = 128;
        let mut random = Random::new(4);
        let mut rows = ByteRows::default();
        for i in 0..400 {
            let noise = random.below(100) as f32 / 5000.0;
            let row: Vec<f32> = (0..padded)
                .map(|d| if d % 4 == i % 4 { 1.0 } else { noise })
                .collect();
            rows.push(&row);
        }
        let sample = [rows];
        let centroids = train(&sample, padded, 8, 1);
        let nearest = centroids.nearest(&sample[0]);
        let first: std::collections::BTreeSet<u32> = nearest.iter().map(|n| n.0).collect();
        assert!(first.len() >= 4);
        for (i, a) in nearest.iter().enumerate() {
            assert!(
                nearest
                    .iter()
                    .enumerate()
                    .all(|(j, b)| a.0 != b.0 || i % 4 == j % 4)
            );
        }
    }
}
