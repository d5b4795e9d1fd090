//! The kernels against products of the dequantized weights.

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Tensor};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::decoder::linear::matrix;
use crate::gguf::Gguf;

fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..len)
        .map(|_| random.random::<f32>() * 2.0 - 1.0)
        .collect()
}

/// Writes a random matrix of a format, opens it, and returns its file.
fn file(dtype: GgmlDType, rows: usize, columns: usize) -> (tempfile::NamedTempFile, Vec<f32>) {
    file_of(dtype, rows, columns, random(rows * columns, 1))
}

fn file_of(
    dtype: GgmlDType,
    rows: usize,
    columns: usize,
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

#[test]
fn products_agree_with_the_dequantized_weights() {
    use GgmlDType::{F16, F32, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
    for dtype in [Q4_0, Q4_1, Q4K, Q5K, Q6K, Q5_0, Q5_1, Q8_0, F16, F32] {
        for (rows, columns) in [(64, 512), (41, 256), (8, 768)] {
            let (file, weights) = file(dtype, rows, columns);
            let gguf = Gguf::open(file.path()).unwrap();
            let matrix = matrix(&gguf, "w", rows, columns).unwrap();
            let x = random(9 * columns, 2);
            let mut all = vec![0.0; 9 * rows];
            matrix.multiply(&x, 9, &mut all);
            for (i, x) in x.chunks_exact(columns).enumerate() {
                let mut one = vec![0.0; rows];
                matrix.multiply(x, 1, &mut one);
                assert_eq!(
                    one,
                    all[i * rows..(i + 1) * rows],
                    "{dtype:?}: rows depend on others"
                );
                for (j, ours) in one.iter().enumerate() {
                    let w = &weights[j * columns..(j + 1) * columns];
                    let exact: f32 = x.iter().zip(w).map(|(x, w)| x * w).sum();
                    // Activations are rounded to 8 bits: about 1/256 of each term, at random.
                    let tolerance = 0.01 * (columns as f32).sqrt();
                    assert!(
                        (ours - exact).abs() < tolerance,
                        "{dtype:?} {i},{j}: {ours} {exact}"
                    );
                }
            }
            let mut row = vec![0.0; columns];
            matrix.row(rows - 1, &mut row);
            assert_eq!(row, weights[(rows - 1) * columns..], "{dtype:?}");
        }
    }
}

#[test]
fn the_largest_integers_do_not_overflow() {
    use GgmlDType::{Q4_0, Q4_1, Q4K, Q5K, Q6K};
    let (rows, columns) = (16, 512);
    for dtype in [Q4_0, Q4_1, Q4K, Q5K, Q6K] {
        for weight in [1.0f32, -1.0] {
            // All but one value of a group of 16 lie at one end of the range.
            let values = (0..rows * columns)
                .map(|i| if i % 16 == 0 { -weight } else { weight })
                .collect();
            let (file, weights) = file_of(dtype, rows, columns, values);
            let gguf = Gguf::open(file.path()).unwrap();
            let matrix = matrix(&gguf, "w", rows, columns).unwrap();
            for x in [1.0f32, -1.0] {
                let mut out = vec![0.0; 5 * rows];
                matrix.multiply(&vec![x; 5 * columns], 5, &mut out);
                for (i, ours) in out.iter().enumerate() {
                    let w = &weights[i % rows * columns..(i % rows + 1) * columns];
                    // Equal activations are rounded without an error.
                    let exact = x * w.iter().sum::<f32>();
                    assert!(
                        (ours - exact).abs() < 0.02,
                        "{dtype:?} {weight} {x}: {ours} {exact}"
                    );
                }
            }
        }
    }
}
