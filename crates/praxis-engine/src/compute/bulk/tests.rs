//! Products on the matrix unit against double precision. They need a processor with the unit, and say
//! so where there is none.

use candle_core::quantized::GgmlDType;

use crate::compute::amx::Amx;
use crate::compute::linear::{Input, Matrix, Rounded, gated, multiply};
use crate::compute::testing::{QUANTIZED, Stored, bulk_product, product, random};
use crate::compute::{floats, packed};

/// Those that are made bfloat16 for the unit.
fn formats() -> impl Iterator<Item = GgmlDType> {
    QUANTIZED
        .into_iter()
        .chain([GgmlDType::F16, GgmlDType::BF16])
}

fn no_unit() -> bool {
    let none = Amx::detect().is_none();
    if none {
        eprintln!("SKIPPED: this processor has no matrix unit that is supported");
    }
    none
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
    if no_unit() {
        return;
    }
    for dtype in formats() {
        // The longest sums are made in several parts.
        let block = dtype.block_size().max(32);
        for (rows, columns) in [(64, block), (41, 2 * block), (1, 3 * block), (49, 3072)] {
            let stored = stored(dtype, rows, columns, 1);
            let matrix = matrix(&stored);
            let x = random(45 * columns, 2);
            let exact = exact(&x, &stored.values, columns);
            for m in [1, 2, 15, 16, 17, 32, 33, 45] {
                let out = bulk_product(matrix.as_ref(), &x[..m * columns]);
                assert_eq!(out.len(), m * rows);
                for (at, (ours, (exact, size))) in out.iter().zip(&exact).enumerate() {
                    // The unit's weight may differ from ours in the last bit of the float before
                    // it is rounded: that is one step for a weight here and there.
                    let error = (f64::from(*ours) - exact).abs();
                    assert!(
                        error < 1e-3 * size + 1e-6,
                        "{dtype:?} {rows}x{columns}, {m} rows, {at}: {ours} {exact}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    if no_unit() {
        return;
    }
    for dtype in formats() {
        let (rows, columns) = (41, 2304);
        let stored = stored(dtype, rows, columns, 3);
        let matrix = matrix(&stored);
        let x = random(45 * columns, 4);
        let together = bulk_product(matrix.as_ref(), &x);
        for (x, row) in x.chunks_exact(columns).zip(together.chunks_exact(rows)) {
            assert_eq!(bulk_product(matrix.as_ref(), x), row, "{dtype:?}");
        }
    }
}

/// Answers and prompts in one pass: each as alone.
#[test]
fn single_rows_and_rows_in_bulk_do_not_touch_each_other() {
    if no_unit() {
        return;
    }
    let (rows, columns) = (73, 512);
    for dtype in [GgmlDType::Q4K, GgmlDType::F16] {
        let stored = stored(dtype, rows, columns, 5);
        let matrix = matrix(&stored);
        let x = random(40 * columns, 6);
        for single in [0, 1, 3, 39, 40] {
            let mut rounded = Rounded::default();
            let input = Input::new(&x, single, &[matrix.as_ref()], &mut rounded);
            let mut out = vec![f32::NAN; 40 * rows];
            multiply(&input, [matrix.as_ref()], [&mut out]);
            let (first, rest) = x.split_at(single * columns);
            assert_eq!(out[..single * rows], product(matrix.as_ref(), first));
            assert_eq!(out[single * rows..], bulk_product(matrix.as_ref(), rest));
        }
    }
}

#[test]
fn a_gated_layer_is_its_products_and_the_gate() {
    if no_unit() {
        return;
    }
    let (columns, hidden) = (768, 1120);
    let matrices = [
        stored(GgmlDType::Q4K, hidden, columns, 7),
        stored(GgmlDType::Q6K, hidden, columns, 8),
        stored(GgmlDType::Q4_0, 70, hidden, 9),
    ];
    let [gate, up, down] = matrices.each_ref().map(matrix);
    let (gate, up, down) = (gate.as_ref(), up.as_ref(), down.as_ref());
    let x = random(37 * columns, 10);
    let layer = |x: &[f32], single: usize| {
        let [mut first, mut second] = [Rounded::default(), Rounded::default()];
        let [mut a, mut b, mut out] = [vec![f32::NAN; 9], vec![f32::NAN; 9], vec![f32::NAN; 9]];
        let input = Input::new(x, single, &[gate, up], &mut first);
        let input = gated(&input, [gate, up], down, [&mut a, &mut b], &mut second);
        multiply(&input, [down], [&mut out]);
        out
    };
    let (a, b) = (bulk_product(gate, &x), bulk_product(up, &x));
    let between: Vec<f32> = a
        .iter()
        .zip(&b)
        .map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
        .collect();
    let apart = bulk_product(down, &between);
    let size = apart.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let together = layer(&x, 0);
    assert_eq!(together.len(), apart.len());
    for (ours, apart) in together.iter().zip(&apart) {
        assert!((ours - apart).abs() < 2e-3 * size, "{ours} {apart}");
    }
    // Rows of answers are computed beside the others as they are alone.
    let mixed = layer(&x, 5);
    assert_eq!(mixed[..5 * 70], layer(&x[..5 * columns], 5));
    assert_eq!(mixed[5 * 70..], together[5 * 70..]);
}
