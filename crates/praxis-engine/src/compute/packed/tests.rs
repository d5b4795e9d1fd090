//! The kernels of every instruction set that this processor has, against products of the decoded
//! weights in double precision.

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Tensor};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::all;
use crate::compute::linear::{Input, Matrix, Rounded};
use crate::compute::shared::Disjoint;
use crate::gguf::Gguf;

const FORMATS: [GgmlDType; 8] = [
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
];

fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..len)
        .map(|_| random.random::<f32>() * 2.0 - 1.0)
        .collect()
}

/// Writes a matrix of a format, and returns its file and its values as the format holds them.
fn file_of(
    dtype: GgmlDType,
    (rows, columns): (usize, usize),
    values: Vec<f32>,
) -> (tempfile::NamedTempFile, Vec<f32>) {
    let weights = Tensor::from_vec(values, (rows, columns), &Device::Cpu);
    let tensor = QTensor::quantize(&weights.unwrap(), dtype).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    gguf_file::write(&mut file, &[], &[("w", &tensor)]).unwrap();
    let weights = tensor
        .dequantize(&Device::Cpu)
        .unwrap()
        .flatten_all()
        .unwrap();
    (file, weights.to_vec1().unwrap())
}

/// The product, into memory that holds no numbers before.
fn product(matrix: &dyn Matrix, x: &[f32]) -> Vec<f32> {
    let mut rounded = Rounded::default();
    let rows = x.len() / matrix.columns();
    let x = Input::new(x, matrix.columns(), rows, &mut rounded);
    let mut out = vec![f32::NAN; x.rows() * matrix.rows()];
    {
        let out = Disjoint::new(&mut out);
        for task in 0..matrix.tasks(&x) {
            matrix.run(task, &x, &out);
        }
    }
    out
}

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
    for dtype in FORMATS {
        let block = dtype.block_size();
        for (rows, columns) in [
            (64, 2 * block),
            (41, block),
            (1, 3 * block),
            (17, 5 * block),
        ] {
            let (file, weights) = file_of(dtype, (rows, columns), random(rows * columns, 1));
            let tensor = Gguf::open(file.path()).unwrap();
            let tensor = tensor.mapped("w", &[rows, columns]).unwrap();
            let x = random(45 * columns, 2);
            for (kernel, matrix) in all(&tensor) {
                for m in [1, 2, 3, 7, 16, 17, 24, 45] {
                    let x = &x[..m * columns];
                    let out = product(matrix.as_ref(), x);
                    let x = rounded(x);
                    for (at, ours) in out.iter().enumerate() {
                        let (i, j) = (at / rows, at % rows);
                        let terms = x[i * columns..(i + 1) * columns]
                            .iter()
                            .zip(&weights[j * columns..(j + 1) * columns])
                            .map(|(x, w)| x * f64::from(*w));
                        let (exact, size) = terms.fold((0.0, 0.0), |(sum, size), term| {
                            (sum + term, size + term.abs())
                        });
                        assert!(
                            (f64::from(*ours) - exact).abs() < 2e-6 * size + 1e-6,
                            "{kernel} {dtype:?} {rows}x{columns}, {m} rows, {i},{j}: {ours} {exact}"
                        );
                    }
                }
                let mut row = vec![0.0; columns];
                matrix.row(rows - 1, &mut row);
                assert_eq!(row, weights[(rows - 1) * columns..], "{dtype:?}");
            }
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    for dtype in FORMATS {
        let (rows, columns) = (41, 512);
        let (file, _) = file_of(dtype, (rows, columns), random(rows * columns, 3));
        let tensor = Gguf::open(file.path()).unwrap();
        let tensor = tensor.mapped("w", &[rows, columns]).unwrap();
        let x = random(45 * columns, 4);
        for (kernel, matrix) in all(&tensor) {
            let together = product(matrix.as_ref(), &x);
            for (x, row) in x.chunks_exact(columns).zip(together.chunks_exact(rows)) {
                assert_eq!(product(matrix.as_ref(), x), row, "{kernel} {dtype:?}");
            }
        }
    }
}

#[test]
fn the_largest_integers_do_not_overflow() {
    let (rows, columns) = (16, 512);
    for dtype in FORMATS {
        for weight in [1.0f32, -1.0] {
            // All but one value of a group of 16 lie at one end of the range.
            let values = (0..rows * columns)
                .map(|i| if i % 16 == 0 { -weight } else { weight })
                .collect();
            let (file, weights) = file_of(dtype, (rows, columns), values);
            let tensor = Gguf::open(file.path()).unwrap();
            let tensor = tensor.mapped("w", &[rows, columns]).unwrap();
            for (kernel, matrix) in all(&tensor) {
                for x in [1.0f32, -1.0] {
                    let out = product(matrix.as_ref(), &vec![x; 18 * columns]);
                    for (i, ours) in out.iter().enumerate() {
                        let w = &weights[i % rows * columns..(i % rows + 1) * columns];
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
