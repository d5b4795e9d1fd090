//! Products in bulk against double precision, on each unit that the processor has.

use candle_core::quantized::GgmlDType;

use crate::compute::linear::{Input, Matrix, Rounded, gated, multiply};
use crate::compute::testing::{QUANTIZED, Stored, bulk_product, product, random, shapes, units};
use crate::compute::unit::Unit;
use crate::compute::{floats, packed};

const HALVES: [GgmlDType; 2] = [GgmlDType::F16, GgmlDType::BF16];

/// Those that are made bfloat16 for a unit: without the matrix unit, bytes are multiplied faster as
/// they are.
fn formats(unit: Unit) -> Vec<GgmlDType> {
    match unit {
        Unit::Matrix(_) => [&QUANTIZED[..], &HALVES[..]].concat(),
        Unit::Vector(_) => HALVES.to_vec(),
    }
}

fn matrix(stored: &Stored) -> Box<dyn Matrix> {
    packed::matrix(&stored.tensor)
        .or_else(|| floats::matrix(&stored.tensor))
        .unwrap()
}

fn stored(dtype: GgmlDType, rows: usize, columns: usize, seed: u64) -> Stored {
    Stored::new(dtype, (rows, columns), random(rows * columns, seed))
}

/// To the nearest bfloat16, halves away from zero.
fn bf16(x: f32) -> f64 {
    f64::from(f32::from_bits((x.to_bits() + 0x8000) & 0xffff_0000))
}

/// The product of rounded numbers, and the sums of the terms' sizes.
fn exact(x: &[f32], weights: &[f32], columns: usize) -> Vec<(f64, f64)> {
    let rows = x.chunks_exact(columns);
    rows.flat_map(|x| {
        weights.chunks_exact(columns).map(|w| {
            let terms = x.iter().zip(w).map(|(x, w)| bf16(*x) * bf16(*w));
            terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
        })
    })
    .collect()
}

#[test]
fn products_agree_with_double_precision_on_odd_shapes() {
    for unit in units() {
        for dtype in formats(unit) {
            let block = dtype.block_size().max(32);
            // The longest sums are made in several parts.
            let fixed = [(64, block), (41, 2 * block), (49, 3072)];
            for (rows, columns) in fixed.into_iter().chain(shapes(block)) {
                let stored = stored(dtype, rows, columns, 1);
                let matrix = matrix(&stored);
                assert!(matrix.wide(unit).is_some(), "{unit:?} {dtype:?}");
                let x = random(45 * columns, 2);
                let exact = exact(&x, &stored.values, columns);
                for m in [1, 2, 15, 16, 17, 32, 33, 45] {
                    let out = bulk_product(unit, matrix.as_ref(), &x[..m * columns]);
                    assert_eq!(out.len(), m * rows);
                    for (at, (ours, (exact, size))) in out.iter().zip(&exact).enumerate() {
                        // The unit's weight may differ from ours in the last bit of the float
                        // before it is rounded: that is one step for a weight here and there.
                        let error = (f64::from(*ours) - exact).abs();
                        assert!(
                            error < 1e-3 * size + 1e-6,
                            "{unit:?} {dtype:?} {rows}x{columns}, {m} rows, {at}: {ours} {exact}"
                        );
                    }
                }
            }
        }
    }
}

/// They get the same tiles, so that nothing but the rounding of sums is between them.
#[test]
fn units_agree_where_the_processor_has_both() {
    let [matrix_unit, vector_unit] = units()[..] else {
        return;
    };
    for dtype in HALVES {
        for (rows, columns) in shapes(416) {
            let stored = stored(dtype, rows, columns, 11);
            let matrix = matrix(&stored);
            let x = random(33 * columns, 12);
            let on = |unit| bulk_product(unit, matrix.as_ref(), &x);
            let sizes = exact(&x, &stored.values, columns);
            let both = on(matrix_unit).into_iter().zip(on(vector_unit));
            for ((a, b), (_, size)) in both.zip(sizes) {
                let error = f64::from(a - b).abs();
                assert!(error < 1e-5 * size, "{dtype:?} {rows}x{columns}: {a} {b}");
            }
        }
    }
}

#[test]
fn quantized_weights_and_those_of_32_bits_are_not_for_the_vector_unit() {
    for unit in units() {
        let takes_bytes = matches!(unit, Unit::Matrix(_));
        for (dtype, expected) in [
            (GgmlDType::F32, false),
            (GgmlDType::F16, true),
            (GgmlDType::BF16, true),
            (GgmlDType::Q8_0, takes_bytes),
            (GgmlDType::Q4K, takes_bytes),
        ] {
            let stored = stored(dtype, 16, 256, 1);
            let wide = matrix(&stored).wide(unit).is_some();
            assert_eq!(wide, expected, "{unit:?} {dtype:?}");
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    for unit in units() {
        for dtype in formats(unit) {
            let (rows, columns) = (41, 2304);
            let stored = stored(dtype, rows, columns, 3);
            let matrix = matrix(&stored);
            let x = random(45 * columns, 4);
            let together = bulk_product(unit, matrix.as_ref(), &x);
            for (x, row) in x.chunks_exact(columns).zip(together.chunks_exact(rows)) {
                let alone = bulk_product(unit, matrix.as_ref(), x);
                assert_eq!(alone, row, "{unit:?} {dtype:?}");
            }
        }
    }
}

/// Answers and prompts in one pass, of two matrices that may not go the same way: each as alone.
#[test]
fn single_rows_and_rows_in_bulk_do_not_touch_each_other() {
    let (rows, columns) = (73, 512);
    let x = random(40 * columns, 6);
    for unit in units() {
        for dtypes in [
            [GgmlDType::Q4K, GgmlDType::F16],
            [GgmlDType::BF16, GgmlDType::Q8_0],
            [GgmlDType::F32, GgmlDType::BF16],
        ] {
            let files = dtypes.map(|dtype| stored(dtype, rows, columns, 5));
            let [a, b] = files.each_ref().map(matrix);
            let both = [a.as_ref(), b.as_ref()];
            for single in [0, 1, 3, 39, 40] {
                let mut rounded = Rounded::default();
                let input = Input::on(Some(unit), &x, single, &both, &mut rounded);
                let mut out = [(); 2].map(|()| vec![f32::NAN; 40 * rows]);
                multiply(&input, both, out.each_mut());
                let (first, rest) = x.split_at(single * columns);
                for (matrix, out) in both.into_iter().zip(&out) {
                    let (ours, in_bulk) = out.split_at(single * rows);
                    assert_eq!(ours, product(matrix, first), "{unit:?} {dtypes:?}");
                    let alone = bulk_product(unit, matrix, rest);
                    assert_eq!(in_bulk, alone, "{unit:?} {dtypes:?}");
                }
            }
        }
    }
}

#[test]
fn a_gated_layer_is_its_products_and_the_gate() {
    // On the vector unit: none in bulk, all, and some.
    for dtypes in [
        [GgmlDType::Q4K, GgmlDType::Q6K, GgmlDType::Q4_0],
        [GgmlDType::F16, GgmlDType::BF16, GgmlDType::F16],
        [GgmlDType::F16, GgmlDType::Q8_0, GgmlDType::BF16],
    ] {
        for unit in units() {
            check_gated(unit, dtypes);
        }
    }
}

/// Compares a layer with its products one by one, and rows with the same rows alone.
fn check_gated(unit: Unit, dtypes: [GgmlDType; 3]) {
    let (columns, hidden) = (768, 1120);
    let matrices = [
        stored(dtypes[0], hidden, columns, 7),
        stored(dtypes[1], hidden, columns, 8),
        stored(dtypes[2], 70, hidden, 9),
    ];
    let [gate, up, down] = matrices.each_ref().map(matrix);
    let (gate, up, down) = (gate.as_ref(), up.as_ref(), down.as_ref());
    let x = random(37 * columns, 10);
    let layer = |x: &[f32], single: usize| {
        let [mut first, mut second] = [Rounded::default(), Rounded::default()];
        let [mut a, mut b, mut out] = [vec![f32::NAN; 9], vec![f32::NAN; 9], vec![f32::NAN; 9]];
        let input = Input::on(Some(unit), x, single, &[gate, up], &mut first);
        let input = gated(&input, [gate, up], down, [&mut a, &mut b], &mut second);
        multiply(&input, [down], [&mut out]);
        out
    };
    let (a, b) = (bulk_product(unit, gate, &x), bulk_product(unit, up, &x));
    let between: Vec<f32> = a
        .iter()
        .zip(&b)
        .map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
        .collect();
    let apart = bulk_product(unit, down, &between);
    let size = apart.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let together = layer(&x, 0);
    assert_eq!(together.len(), apart.len());
    for (ours, apart) in together.iter().zip(&apart) {
        let error = (ours - apart).abs();
        assert!(error < 2e-3 * size, "{unit:?} {dtypes:?}: {ours} {apart}");
    }
    // Rows of answers are computed beside the others as they are alone.
    let mixed = layer(&x, 5);
    let (single, in_bulk) = mixed.split_at(5 * 70);
    assert_eq!(single, layer(&x[..5 * columns], 5), "{unit:?} {dtypes:?}");
    assert_eq!(in_bulk, &together[5 * 70..], "{unit:?} {dtypes:?}");
}
