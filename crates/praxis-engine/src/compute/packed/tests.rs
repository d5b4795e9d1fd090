//! The kernels of every instruction set that this processor has, against products of the decoded
//! weights in double precision.

use super::Pack;
use crate::compute::testing::{
    QUANTIZED, Stored, assert_products_agree, assert_rows_are_alone, product, random, shapes,
};

/// Activations as the kernels round them: 8 bits in groups of 32.
fn rounded(x: &[f32]) -> Vec<f64> {
    x.chunks(32)
        .flat_map(|group| {
            let max = group.iter().fold(0.0f32, |max, x| max.max(x.abs()));
            let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
            group
                .iter()
                .map(move |x| f64::from((x * inverse).round_ties_even()) * f64::from(max / 127.0))
        })
        .collect()
}

#[test]
fn products_agree_with_double_precision_on_odd_shapes() {
    for dtype in QUANTIZED {
        let block = dtype.block_size();
        let fixed = [(64, 2 * block), (41, block)];
        for (rows, columns) in fixed.into_iter().chain(shapes(block)) {
            let stored = Stored::new(dtype, (rows, columns), random(rows * columns, 1));
            for (kernel, matrix) in stored.packed(Pack) {
                let name = format!("{kernel} {dtype:?}");
                let matrix = (name.as_str(), matrix.as_ref());
                assert_products_agree(matrix, &stored.values, rounded, 2e-6);
            }
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    for dtype in QUANTIZED {
        let (rows, columns) = (41, 512);
        let stored = Stored::new(dtype, (rows, columns), random(rows * columns, 3));
        for (kernel, matrix) in stored.packed(Pack) {
            assert_rows_are_alone((&format!("{kernel} {dtype:?}"), matrix.as_ref()));
        }
    }
}

#[test]
fn the_largest_integers_do_not_overflow() {
    let (rows, columns) = (16, 512);
    for dtype in QUANTIZED {
        for weight in [1.0f32, -1.0] {
            // All but one value of a group of 16 lie at one end of the range.
            let values = (0..rows * columns)
                .map(|i| if i % 16 == 0 { -weight } else { weight })
                .collect();
            let stored = Stored::new(dtype, (rows, columns), values);
            for (kernel, matrix) in stored.packed(Pack) {
                for x in [1.0f32, -1.0] {
                    let out = product(matrix.as_ref(), &vec![x; 18 * columns]);
                    for (i, ours) in out.iter().enumerate() {
                        let w = &stored.values[i % rows * columns..(i % rows + 1) * columns];
                        // Equal activations are rounded without an error.
                        let exact = x * w.iter().sum::<f32>();
                        assert!(
                            (ours - exact).abs() < 0.02,
                            "{kernel} {dtype:?} {weight} {x}: {ours} {exact}"
                        );
                    }
                }
            }
        }
    }
}
