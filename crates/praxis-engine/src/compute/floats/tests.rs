//! The kernels of every instruction set that this processor has, against products of the decoded
//! weights in double precision.

use candle_core::quantized::GgmlDType;

use super::{BLOCK, Pack};
use crate::compute::testing::{
    Stored, assert_products_agree, assert_rows_are_alone, product, random, shapes,
};

const FORMATS: [GgmlDType; 3] = [GgmlDType::F32, GgmlDType::F16, GgmlDType::BF16];

#[test]
fn products_agree_with_double_precision_on_odd_shapes() {
    let exact = |x: &[f32]| x.iter().copied().map(f64::from).collect();
    let fixed = [(64, 32), (41, BLOCK), (17, 2 * BLOCK + 77), (100, 1)];
    for dtype in FORMATS {
        let drawn = [1, 131].into_iter().flat_map(shapes);
        for (rows, columns) in fixed.into_iter().chain(drawn) {
            let stored = Stored::new(dtype, (rows, columns), random(rows * columns, 1));
            let matrices = stored.packed(Pack);
            assert!(!matrices.is_empty());
            for (kernel, matrix) in matrices {
                let name = format!("{kernel} {dtype:?}");
                assert_products_agree((&name, matrix.as_ref()), &stored.values, exact, 1e-6);
            }
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    for dtype in FORMATS {
        for (rows, columns) in [(41, 2 * BLOCK + 5), (250, 64)] {
            let stored = Stored::new(dtype, (rows, columns), random(rows * columns, 3));
            for (kernel, matrix) in stored.packed(Pack) {
                assert_rows_are_alone((&format!("{kernel} {dtype:?}"), matrix.as_ref()));
            }
        }
    }
}

/// The smallest and largest numbers of each format come through as they are.
#[test]
fn weights_and_activations_are_not_rounded() {
    for (dtype, smallest, largest) in [
        (GgmlDType::F32, 1e-44, f32::MAX),
        (GgmlDType::F16, 6e-8, 65504.0),
        (GgmlDType::BF16, 1e-40, 3.3e38),
    ] {
        let values = [smallest, largest, -smallest, -largest, 0.0, 1.0, -0.3];
        let stored = Stored::new(dtype, (values.len(), 1), values.to_vec());
        assert_ne!(stored.values[0], 0.0);
        for (kernel, matrix) in stored.packed(Pack) {
            for x in [1.0, 0.1, 1.0 - f32::EPSILON] {
                let exact: Vec<f32> = stored.values.iter().map(|w| w * x).collect();
                assert_eq!(product(matrix.as_ref(), &[x]), exact, "{kernel} {dtype:?}");
            }
        }
    }
}
