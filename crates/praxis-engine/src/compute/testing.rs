//! What the tests of all kernels share: matrices in files, products into poisoned memory, the truth in
//! double precision.

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Tensor};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::linear::{Input, Matrix, Rounded, multiply};
use super::shared::Disjoint;
use super::simd::{self, Kernel};
use super::unit::Unit;
use crate::gguf::{Gguf, MappedTensor};

/// The quantized formats that have kernels.
pub(super) const QUANTIZED: [GgmlDType; 10] = [
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
    GgmlDType::Q2K,
    GgmlDType::Q3K,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
];

/// What shapes and numbers are drawn from: the same each time.
pub(super) const SEEDS: [u64; 4] = [11, 12, 13, 14];

/// Rows and columns of matrices, the columns in blocks of so many: the smallest there is, and some
/// at random.
pub(super) fn shapes(block: usize) -> Vec<(usize, usize)> {
    let mut shapes = vec![(1, block)];
    for seed in SEEDS {
        let mut dice = StdRng::seed_from_u64(seed);
        let rows = dice.random_range(1..=70);
        let blocks: usize = dice.random_range(1..=5);
        shapes.push((rows, blocks * block));
    }
    shapes
}

/// The units that this processor has; says which it lacks.
pub(super) fn units() -> Vec<Unit> {
    let units = Unit::all();
    if !units.iter().any(|unit| matches!(unit, Unit::Matrix(_))) {
        eprintln!("SKIPPED: this processor has no matrix unit that is supported");
    }
    if !units.iter().any(|unit| matches!(unit, Unit::Vector(_))) {
        eprintln!("SKIPPED: this processor has no AVX-512 with BF16");
    }
    units
}

/// Numbers between -1 and 1.
pub(super) fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..len)
        .map(|_| random.random::<f32>() * 2.0 - 1.0)
        .collect()
}

/// A matrix in a file.
pub(super) struct Stored {
    /// Removes the file when it is dropped.
    _file: tempfile::NamedTempFile,
    pub(super) tensor: MappedTensor,
    /// Its values as the format holds them.
    pub(super) values: Vec<f32>,
}

impl Stored {
    /// Writes a matrix of a format.
    pub(super) fn new(dtype: GgmlDType, (rows, columns): (usize, usize), values: Vec<f32>) -> Self {
        let weights = Tensor::from_vec(values, (rows, columns), &Device::Cpu);
        let tensor = QTensor::quantize(&weights.unwrap(), dtype).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        gguf_file::write(&mut file, &[], &[("w", &tensor)]).unwrap();
        let values = tensor.dequantize(&Device::Cpu).unwrap();
        let values = values.flatten_all().unwrap().to_vec1().unwrap();
        let tensor = Gguf::open(file.path()).unwrap();
        Self {
            tensor: tensor.mapped("w", &[rows, columns]).unwrap(),
            _file: file,
            values,
        }
    }

    /// What a kernel packs of it for each set of instructions that this processor has.
    pub(super) fn packed<'a, K>(
        &'a self,
        pack: impl Fn(&'a MappedTensor) -> K,
    ) -> Vec<(&'static str, Box<dyn Matrix>)>
    where
        K: Kernel<Output = Option<Box<dyn Matrix>>>,
    {
        simd::all(|| pack(&self.tensor))
            .into_iter()
            .filter_map(|(name, matrix)| Some((name, matrix?)))
            .collect()
    }
}

/// The product, into memory that holds no numbers before.
pub(super) fn product(matrix: &dyn Matrix, x: &[f32]) -> Vec<f32> {
    let mut rounded = Rounded::default();
    let rows = x.len() / matrix.columns();
    let x = Input::new(x, rows, &[matrix], &mut rounded);
    let mut out = vec![f32::NAN; x.rows() * matrix.rows()];
    {
        let out = Disjoint::new(&mut out);
        for task in 0..matrix.tasks(x.rows()) {
            matrix.run(task, &x, &out);
        }
    }
    out
}

/// The product of rows in bulk, into memory that holds no numbers before. A matrix that is not for
/// the unit is multiplied as always.
pub(super) fn bulk_product(unit: Unit, matrix: &dyn Matrix, x: &[f32]) -> Vec<f32> {
    let mut rounded = Rounded::default();
    let x = Input::on(Some(unit), x, 0, &[matrix], &mut rounded);
    let mut out = vec![f32::NAN; x.rows() * matrix.rows()];
    multiply(&x, [matrix], [&mut out]);
    out
}

/// Fails where products of up to 45 rows are further than `tolerance` times the sum of the terms'
/// sizes from those of the stored values with the activations as the kernel reads them.
pub(super) fn assert_products_agree(
    (name, matrix): (&str, &dyn Matrix),
    weights: &[f32],
    read: impl Fn(&[f32]) -> Vec<f64>,
    tolerance: f64,
) {
    let (rows, columns) = (matrix.rows(), matrix.columns());
    let x = random(45 * columns, 2);
    for m in [1, 2, 3, 7, 15, 16, 17, 24, 33, 45] {
        let x = &x[..m * columns];
        let out = product(matrix, x);
        let x = read(x);
        for (at, ours) in out.iter().enumerate() {
            let (i, j) = (at / rows, at % rows);
            let terms = x[i * columns..(i + 1) * columns]
                .iter()
                .zip(&weights[j * columns..(j + 1) * columns])
                .map(|(x, w)| x * f64::from(*w));
            let (exact, size) = terms.fold((0.0, 0.0), |(sum, size), term: f64| {
                (sum + term, size + term.abs())
            });
            assert!(
                (f64::from(*ours) - exact).abs() < tolerance * size + 1e-6,
                "{name} {rows}x{columns}, {m} rows, {i},{j}: {ours} {exact}"
            );
        }
    }
    let mut row = vec![0.0; columns];
    matrix.row(rows - 1, &mut row);
    assert_eq!(row, weights[(rows - 1) * columns..], "{name}");
}

/// Fails where a row of a product changes with the number of rows, bit by bit.
pub(super) fn assert_rows_are_alone((name, matrix): (&str, &dyn Matrix)) {
    let x = random(45 * matrix.columns(), 4);
    let bits = |out: &[f32]| out.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let together = product(matrix, &x);
    let rows = together.chunks_exact(matrix.rows());
    for (x, row) in x.chunks_exact(matrix.columns()).zip(rows) {
        assert_eq!(bits(&product(matrix, x)), bits(row), "{name}");
    }
}
