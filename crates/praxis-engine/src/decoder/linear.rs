//! Weight matrices as they lie in the file, and their products with activations. The dot products
//! of quantized blocks are candle's; blocking and threads are ours. Each row of a product is
//! computed the same way whatever the number of rows, so that a prompt gives the same logits
//! bit for bit whether it was read at once or in pieces.

use std::marker::PhantomData;

use candle_core::quantized::k_quants as q;
use candle_core::quantized::{GgmlDType, GgmlType};
use half::{bf16, f16};
use rayon::prelude::*;

use super::shared::Disjoint;
use crate::error::EngineError;
use crate::gguf::{Gguf, MappedTensor};

/// Rows of activations that are held in the first-level cache while weights pass by.
const ROW_TILE: usize = 16;
/// Weight rows that are held in the second-level cache while all activations pass by.
const COLUMN_BLOCK: usize = 32;

/// A matrix of `rows` outputs and `columns` inputs.
pub(crate) trait Matrix: Send + Sync {
    /// `out[i, j] = sum_k x[i, k] * self[j, k]` for `m` rows of `x`.
    fn multiply(&self, x: &[f32], m: usize, out: &mut [f32]);

    /// One row as `f32`.
    fn row(&self, index: usize, out: &mut [f32]);

    /// Number of outputs.
    fn rows(&self) -> usize;
}

/// Opens the matrix `name` of `rows` by `columns`.
pub(crate) fn matrix(
    file: &Gguf,
    name: &str,
    rows: usize,
    columns: usize,
) -> Result<Box<dyn Matrix>, EngineError> {
    let tensor = file.mapped(name, &[rows, columns])?;
    if rows == 0 || columns == 0 {
        return Err(file.damaged(format!("tensor `{name}` is empty")));
    }
    let portable = portable(file, name, tensor.clone())?;
    #[cfg(test)]
    if tests::EXACT.get() {
        return Ok(Box::new(tests::Exact(portable, columns)));
    }
    #[cfg(all(
        target_arch = "x86_64",
        target_feature = "avx2",
        target_feature = "fma",
        target_feature = "f16c"
    ))]
    let fastest = super::tiled::matrix(&tensor, portable);
    #[cfg(not(all(
        target_arch = "x86_64",
        target_feature = "avx2",
        target_feature = "fma",
        target_feature = "f16c"
    )))]
    let fastest = portable;
    Ok(fastest)
}

/// Any matrix, by candle's dot products.
fn portable(file: &Gguf, name: &str, tensor: MappedTensor) -> Result<Box<dyn Matrix>, EngineError> {
    Ok(match tensor.dtype() {
        GgmlDType::F32 => Mapped::<f32>::boxed(tensor),
        GgmlDType::F16 => Mapped::<f16>::boxed(tensor),
        GgmlDType::BF16 => Mapped::<bf16>::boxed(tensor),
        GgmlDType::Q4_0 => Mapped::<q::BlockQ4_0>::boxed(tensor),
        GgmlDType::Q4_1 => Mapped::<q::BlockQ4_1>::boxed(tensor),
        GgmlDType::Q5_0 => Mapped::<q::BlockQ5_0>::boxed(tensor),
        GgmlDType::Q5_1 => Mapped::<q::BlockQ5_1>::boxed(tensor),
        GgmlDType::Q8_0 => Mapped::<q::BlockQ8_0>::boxed(tensor),
        GgmlDType::Q2K => Mapped::<q::BlockQ2K>::boxed(tensor),
        GgmlDType::Q3K => Mapped::<q::BlockQ3K>::boxed(tensor),
        GgmlDType::Q4K => Mapped::<q::BlockQ4K>::boxed(tensor),
        GgmlDType::Q5K => Mapped::<q::BlockQ5K>::boxed(tensor),
        GgmlDType::Q6K => Mapped::<q::BlockQ6K>::boxed(tensor),
        other @ (GgmlDType::Q8_1 | GgmlDType::Q8K) => {
            return Err(file.unsupported(format!("tensor `{name}` is stored as {other:?}")));
        }
    })
}

/// Opens the vector `name` as `f32`.
pub(crate) fn vector(file: &Gguf, name: &str, len: usize) -> Result<Vec<f32>, EngineError> {
    let tensor = file.mapped(name, &[len])?;
    let mut out = vec![0.0; len];
    match tensor.dtype() {
        GgmlDType::F32 => f32::to_float(blocks::<f32>(&tensor), &mut out),
        GgmlDType::F16 => f16::to_float(blocks::<f16>(&tensor), &mut out),
        GgmlDType::BF16 => bf16::to_float(blocks::<bf16>(&tensor), &mut out),
        other => {
            return Err(file.unsupported(format!("vector `{name}` is stored as {other:?}")));
        }
    }
    Ok(out)
}

/// A tensor's bytes as blocks of its type.
fn blocks<T: GgmlType>(tensor: &MappedTensor) -> &[T] {
    debug_assert_eq!(tensor.dtype(), T::DTYPE);
    let bytes = tensor.bytes();
    debug_assert!(bytes.as_ptr().cast::<T>().is_aligned());
    // SAFETY: the callers pick `T` by the tensor's type; all block types are `repr(C)` structures
    // of plain numbers, for which every bit pattern is valid; the GGUF reader has checked length
    // and an alignment of 4, the largest that a block needs.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) }
}

/// A matrix in the mapped file.
struct Mapped<T> {
    tensor: MappedTensor,
    rows: usize,
    columns: usize,
    kind: PhantomData<fn() -> T>,
}

impl<T: GgmlType + 'static> Mapped<T> {
    fn boxed(tensor: MappedTensor) -> Box<dyn Matrix> {
        let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
        Box::new(Self {
            tensor,
            rows,
            columns,
            kind: PhantomData,
        })
    }

    fn row_blocks(&self) -> usize {
        self.columns / T::BLCK_SIZE
    }
}

impl<T: GgmlType + 'static> Matrix for Mapped<T>
where
    T::VecDotType: GgmlType,
{
    fn multiply(&self, x: &[f32], m: usize, out: &mut [f32]) {
        let (n, k) = (self.rows, self.columns);
        assert!(
            x.len() == m * k && out.len() == m * n,
            "shapes of a product"
        );
        let weights = blocks::<T>(&self.tensor);
        let per_row = self.row_blocks();
        let lhs_blocks = k / <T::VecDotType as GgmlType>::BLCK_SIZE;
        let mut lhs = vec![<T::VecDotType as GgmlType>::zeros(); m * lhs_blocks];
        let convert = |(x, lhs): (&[f32], &mut [T::VecDotType])| {
            if T::DIRECT_COPY {
                <T::VecDotType as GgmlType>::direct_copy(x, lhs);
            } else {
                <T::VecDotType as GgmlType>::from_float(x, lhs);
            }
        };
        if m == 1 {
            convert((x, &mut lhs));
        } else {
            x.par_chunks(k)
                .zip(lhs.par_chunks_mut(lhs_blocks))
                .for_each(convert);
        }
        let weight = |j: usize| &weights[j * per_row..(j + 1) * per_row];
        let out = Disjoint::new(out);
        let block = if m == 1 {
            n.div_ceil(rayon::current_num_threads() * 4)
                .next_multiple_of(4)
                .max(16)
        } else {
            COLUMN_BLOCK
        };
        (0..n.div_ceil(block)).into_par_iter().for_each(|b| {
            let columns = b * block..n.min((b + 1) * block);
            for tile in 0..m.div_ceil(ROW_TILE) {
                let rows = tile * ROW_TILE..m.min((tile + 1) * ROW_TILE);
                let mut j = columns.start;
                while j + 4 <= columns.end {
                    let (w0, w1, w2, w3) = (weight(j), weight(j + 1), weight(j + 2), weight(j + 3));
                    for i in rows.clone() {
                        let y = &lhs[i * lhs_blocks..(i + 1) * lhs_blocks];
                        let (a, b, c, d) = T::vec_dot_4(k, w0, w1, w2, w3, y);
                        // SAFETY: columns of different tasks are disjoint, and each (i, j) is
                        // written once.
                        unsafe { out.write(i * n + j, &[a, b, c, d]) };
                    }
                    j += 4;
                }
                for j in j..columns.end {
                    for i in rows.clone() {
                        let y = &lhs[i * lhs_blocks..(i + 1) * lhs_blocks];
                        // SAFETY: as above.
                        unsafe { out.write(i * n + j, &[T::vec_dot(k, weight(j), y)]) };
                    }
                }
            }
        });
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        let per_row = self.row_blocks();
        T::to_float(
            &blocks::<T>(&self.tensor)[index * per_row..(index + 1) * per_row],
            out,
        );
    }

    fn rows(&self) -> usize {
        self.rows
    }
}

#[cfg(test)]
pub(super) mod tests {
    //! Products without rounded activations, the truth that kernels are judged by.

    use std::cell::Cell;

    use rayon::prelude::*;

    use super::super::math::dot;
    use super::{Disjoint, Matrix};

    thread_local! {
        /// Whether matrices that are opened now multiply exactly.
        pub(crate) static EXACT: Cell<bool> = const { Cell::new(false) };
    }

    /// Widens each weight row and multiplies in `f32`.
    pub(super) struct Exact(pub(super) Box<dyn Matrix>, pub(super) usize);

    impl Matrix for Exact {
        fn multiply(&self, x: &[f32], m: usize, out: &mut [f32]) {
            let (n, k) = (self.rows(), self.1);
            let out = Disjoint::new(out);
            (0..n).into_par_iter().for_each(|j| {
                let mut row = vec![0.0; k];
                self.row(j, &mut row);
                for i in 0..m {
                    // SAFETY: each (i, j) is written once.
                    unsafe { out.write(i * n + j, &[dot(&x[i * k..(i + 1) * k], &row)]) };
                }
            });
        }

        fn row(&self, index: usize, out: &mut [f32]) {
            self.0.row(index, out);
        }

        fn rows(&self) -> usize {
            self.0.rows()
        }
    }
}
