//! L2-regularized logistic regression by Newton's method, in f64: the loss is strictly convex, so that whoever solves
//! it finds the same weights. No randomness, no order of threads.

use super::scale::sigmoid;

/// The most steps; ten are usual.
const STEPS: usize = 60;

/// The gradient that counts as none.
const ENOUGH: f64 = 1e-8;

/// What holds the bias, which is not regularized, where all labels are one.
const RIDGE: f64 = 1e-8;

/// A row: numbers, label, and how much it counts.
pub(super) type Row<'a> = (&'a [f32], bool, f64);

/// Weights and a bias.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted {
    pub weights: Vec<f64>,
    pub bias: f64,
}

impl Fitted {
    /// The sum for a vector.
    pub fn sum(&self, vector: &[f32]) -> f64 {
        dot(&self.weights, vector) + self.bias
    }
}

fn dot(weights: &[f64], vector: &[f32]) -> f64 {
    let products = weights.iter().zip(vector).map(|(w, x)| w * f64::from(*x));
    products.sum()
}

/// The minimum of the mean loss of the rows and `l2 / 2` times the squared length of the weights. All rows have
/// `dimension` numbers.
pub(super) fn fit(rows: &[Row<'_>], dimension: usize, l2: f64) -> Fitted {
    let total: f64 = rows.iter().map(|(_, _, weight)| weight).sum();
    let mut fitted = Fitted {
        weights: vec![0.0; dimension],
        bias: 0.0,
    };
    if total <= 0.0 {
        return fitted;
    }
    let mut loss = loss_of(&fitted, rows, total, l2);
    for _ in 0..STEPS {
        let (gradient, mut hessian) = slopes(&fitted, rows, total, l2);
        let steepest = gradient.iter().fold(0.0f64, |most, g| most.max(g.abs()));
        if steepest < ENOUGH {
            break;
        }
        let mut direction = gradient.clone();
        if !solve(&mut hessian, &mut direction) {
            break;
        }
        let along: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let mut step = 1.0;
        let next = loop {
            let candidate = moved(&fitted, &direction, step);
            let next = loss_of(&candidate, rows, total, l2);
            if next <= loss - 1e-4 * step * along {
                break Some((candidate, next));
            }
            step /= 2.0;
            if step < 1e-10 {
                break None;
            }
        };
        let Some((candidate, next)) = next else {
            break;
        };
        (fitted, loss) = (candidate, next);
    }
    fitted
}

fn moved(from: &Fitted, direction: &[f64], step: f64) -> Fitted {
    let weights = from.weights.iter().zip(direction);
    Fitted {
        weights: weights.map(|(w, d)| w - step * d).collect(),
        bias: from.bias - step * direction.last().copied().unwrap_or_default(),
    }
}

fn loss_of(fitted: &Fitted, rows: &[Row<'_>], total: f64, l2: f64) -> f64 {
    let losses = rows.iter().map(|(vector, label, weight)| {
        let sum = fitted.sum(vector);
        let z = if *label { -sum } else { sum };
        weight * (z.max(0.0) + (-z.abs()).exp().ln_1p())
    });
    let squared: f64 = fitted.weights.iter().map(|w| w * w).sum();
    losses.sum::<f64>() / total + l2 / 2.0 * squared + RIDGE / 2.0 * fitted.bias * fitted.bias
}

/// The gradient, the bias last, and the lower half of the Hessian, row by row.
fn slopes(fitted: &Fitted, rows: &[Row<'_>], total: f64, l2: f64) -> (Vec<f64>, Vec<f64>) {
    let size = fitted.weights.len() + 1;
    let mut gradient = vec![0.0; size];
    let mut hessian = vec![0.0; size * size];
    let mut wide = vec![1.0; size];
    for (vector, label, weight) in rows {
        let p = sigmoid(fitted.sum(vector));
        let residual = weight / total * (p - f64::from(u8::from(*label)));
        let curvature = weight / total * p * (1.0 - p);
        for (wide, x) in wide.iter_mut().zip(*vector) {
            *wide = f64::from(*x);
        }
        for (g, x) in gradient.iter_mut().zip(&wide) {
            *g += residual * x;
        }
        for ((row, x), length) in hessian.chunks_exact_mut(size).zip(&wide).zip(1..) {
            let scaled = curvature * x;
            for (h, y) in row.iter_mut().zip(&wide).take(length) {
                *h += scaled * y;
            }
        }
    }
    let weights = fitted.weights.iter().chain([&fitted.bias]).enumerate();
    for (i, w) in weights {
        let held = if i + 1 == size { RIDGE } else { l2 };
        if let Some(g) = gradient.get_mut(i) {
            *g += held * w;
        }
        if let Some(h) = hessian.get_mut(i * size + i) {
            *h += held;
        }
    }
    (gradient, hessian)
}

/// Solves `matrix * x = right` for a symmetric positive matrix of which the lower half is given, by Cholesky's
/// decomposition; false where it has none.
fn solve(matrix: &mut [f64], right: &mut [f64]) -> bool {
    let size = right.len();
    for i in 0..size {
        let (above, from_here) = matrix.split_at_mut(i * size);
        let Some(row) = from_here.get_mut(..size) else {
            return false;
        };
        for (j, other) in above.chunks_exact(size).enumerate() {
            let (Some(before), Some(other_before)) = (row.get(..j), other.get(..j)) else {
                return false;
            };
            let sum: f64 = before.iter().zip(other_before).map(|(a, b)| a * b).sum();
            let diagonal = other.get(j).copied().unwrap_or_default();
            if let Some(value) = row.get_mut(j) {
                *value = (*value - sum) / diagonal;
            }
        }
        let squared: f64 = row.iter().take(i).map(|a| a * a).sum();
        let Some(diagonal) = row.get_mut(i) else {
            return false;
        };
        let rest = *diagonal - squared;
        if rest.is_nan() || rest <= 0.0 {
            return false;
        }
        *diagonal = rest.sqrt();
    }
    let at = |i: usize, j: usize| matrix.get(i * size + j).copied().unwrap_or_default();
    for i in 0..size {
        let known: f64 = (0..i)
            .map(|j| at(i, j) * right.get(j).copied().unwrap_or_default())
            .sum();
        if let Some(value) = right.get_mut(i) {
            *value = (*value - known) / at(i, i);
        }
    }
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size)
            .map(|j| at(j, i) * right.get(j).copied().unwrap_or_default())
            .sum();
        if let Some(value) = right.get_mut(i) {
            *value = (*value - known) / at(i, i);
        }
    }
    right.iter().all(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved() {
        // A = L L' with L = [[2, 0, 0], [1, 3, 0], [-1, 1, 1]], x = (1, -2, 3).
        let mut matrix = vec![4.0, 0.0, 0.0, 2.0, 10.0, 0.0, -2.0, 2.0, 3.0];
        let mut right = vec![-6.0, -12.0, 3.0];
        assert!(solve(&mut matrix, &mut right));
        for (x, wanted) in right.iter().zip([1.0, -2.0, 3.0]) {
            assert!((x - wanted).abs() < 1e-9, "{right:?}");
        }
        assert!(!solve(&mut [-1.0], &mut [1.0]));
    }

    #[test]
    fn the_gradient_of_what_is_fitted_is_none() {
        let vectors: Vec<[f32; 3]> = (0..60u8)
            .map(|i| {
                let x = f32::from(i) / 30.0 - 1.0;
                [x, x * x, (x * 9.0).sin()]
            })
            .collect();
        let label = |i: usize| i > 30 || i.is_multiple_of(7);
        let rows: Vec<Row<'_>> = vectors
            .iter()
            .enumerate()
            .map(|(i, v)| (v.as_slice(), label(i), if i % 2 == 0 { 1.0 } else { 0.5 }))
            .collect();
        for l2 in [1e-4, 1e-2, 1.0] {
            let fitted = fit(&rows, 3, l2);
            let total: f64 = rows.iter().map(|(_, _, w)| w).sum();
            let (gradient, _) = slopes(&fitted, &rows, total, l2);
            assert!(
                gradient.iter().all(|g| g.abs() < 1e-7),
                "{l2}: {gradient:?}"
            );
            assert!(fitted.sum(&[1.0, 1.0, 0.0]) > fitted.sum(&[-0.5, 0.25, 0.0]));
            assert_eq!(fit(&rows, 3, l2), fitted);
        }
        // More of it makes weights smaller.
        let length = |l2| fit(&rows, 3, l2).weights.iter().map(|w| w * w).sum::<f64>();
        assert!(length(1e-3) > length(1e-1));
    }

    #[test]
    fn what_cannot_be_told_apart_has_the_share_of_its_labels() {
        let rows = [(&[0.0f32][..], true, 1.0), (&[0.0], false, 3.0)];
        let fitted = fit(&rows, 1, 1e-3);
        assert!((sigmoid(fitted.bias) - 0.25).abs() < 1e-5, "{fitted:?}");
        assert_eq!(fit(&[], 2, 1.0).weights, [0.0, 0.0]);
    }
}
