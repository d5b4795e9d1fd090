//! The number formats of model files, and how they are decoded: plain floats, and ggml's blocks of
//! small integers with scales (`ggml-common.h`, `ggml-quants.c` of
//! <https://github.com/ggml-org/ggml>). K-quants are in [`k_quants`].
//!
//! Left out: products with quantized weights, which are the decoder's kernels.

mod k_quants;

use half::{bf16, f16};

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of a single.
    Bf16,
    /// Blocks of 32: a scale, 4-bit integers that stand for -8 to 7.
    Q4_0,
    /// Blocks of 32: a scale, a minimum, 4-bit integers.
    Q4_1,
    /// Blocks of 32: a scale, 5-bit integers that stand for -16 to 15.
    Q5_0,
    /// Blocks of 32: a scale, a minimum, 5-bit integers.
    Q5_1,
    /// Blocks of 32: a scale, signed bytes.
    Q8_0,
    /// Blocks of 256: 2-bit integers, 4-bit scales and minima of 16 groups.
    Q2K,
    /// Blocks of 256: 3-bit integers that stand for -4 to 3, 6-bit scales of 16 groups.
    Q3K,
    /// Blocks of 256: 4-bit integers, 6-bit scales and minima of 8 groups.
    Q4K,
    /// As [`Dtype::Q4K`] with 5-bit integers.
    Q5K,
    /// Blocks of 256: 6-bit integers that stand for -32 to 31, 8-bit scales of 16 groups.
    Q6K,
}

/// Numbers in a small block.
const BLOCK: usize = 32;

/// Numbers in a block of a K-quant.
const SUPER_BLOCK: usize = 256;

impl Dtype {
    /// From ggml's type codes; `None` for those that no model file has.
    pub(crate) fn from_ggml(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            10 => Self::Q2K,
            11 => Self::Q3K,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            30 => Self::Bf16,
            _ => return None,
        })
    }

    /// From the types of safetensors, as far as they are floats.
    pub(crate) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Numbers and bytes of one block.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (BLOCK, 18),
            Self::Q4_1 => (BLOCK, 20),
            Self::Q5_0 => (BLOCK, 22),
            Self::Q5_1 => (BLOCK, 24),
            Self::Q8_0 => (BLOCK, 34),
            Self::Q2K => (SUPER_BLOCK, 84),
            Self::Q3K => (SUPER_BLOCK, 110),
            Self::Q4K => (SUPER_BLOCK, 144),
            Self::Q5K => (SUPER_BLOCK, 176),
            Self::Q6K => (SUPER_BLOCK, 210),
        }
    }

    /// Whether a number is stored by itself and not in a block.
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }

    /// Bytes that `count` numbers take; `None` where they do not fill whole blocks.
    pub(crate) fn bytes_for(self, count: usize) -> Option<usize> {
        let (numbers, bytes) = self.block();
        count.is_multiple_of(numbers).then_some(())?;
        (count / numbers).checked_mul(bytes)
    }

    /// Decodes as many whole blocks as both sides hold.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F32 => each(bytes, out, |raw, out: &mut [f32; 1]| {
                out[0] = f32::from_le_bytes(*raw);
            }),
            Self::F16 => each(bytes, out, |raw: &[u8; 2], out: &mut [f32; 1]| {
                out[0] = half(raw, 0);
            }),
            Self::Bf16 => each(bytes, out, |raw, out: &mut [f32; 1]| {
                out[0] = bf16::from_le_bytes(*raw).to_f32();
            }),
            Self::Q4_0 => each(bytes, out, |raw: &[u8; 18], out: &mut [f32; BLOCK]| {
                let scale = half(raw, 0);
                for (at, byte) in raw[2..].iter().enumerate() {
                    out[at] = scale * f32::from((byte & 15) as i8 - 8);
                    out[at + 16] = scale * f32::from((byte >> 4) as i8 - 8);
                }
            }),
            Self::Q4_1 => each(bytes, out, |raw: &[u8; 20], out: &mut [f32; BLOCK]| {
                let (scale, min) = (half(raw, 0), half(raw, 2));
                for (at, byte) in raw[4..].iter().enumerate() {
                    out[at] = scale * f32::from(byte & 15) + min;
                    out[at + 16] = scale * f32::from(byte >> 4) + min;
                }
            }),
            Self::Q5_0 => each(bytes, out, |raw: &[u8; 22], out: &mut [f32; BLOCK]| {
                let scale = half(raw, 0);
                let fifth = u32::from_le_bytes([raw[2], raw[3], raw[4], raw[5]]);
                for (at, byte) in raw[6..].iter().enumerate() {
                    let (low, high) = five_bits(*byte, fifth, at);
                    out[at] = scale * f32::from(low as i8 - 16);
                    out[at + 16] = scale * f32::from(high as i8 - 16);
                }
            }),
            Self::Q5_1 => each(bytes, out, |raw: &[u8; 24], out: &mut [f32; BLOCK]| {
                let (scale, min) = (half(raw, 0), half(raw, 2));
                let fifth = u32::from_le_bytes([raw[4], raw[5], raw[6], raw[7]]);
                for (at, byte) in raw[8..].iter().enumerate() {
                    let (low, high) = five_bits(*byte, fifth, at);
                    out[at] = scale * f32::from(low) + min;
                    out[at + 16] = scale * f32::from(high) + min;
                }
            }),
            Self::Q8_0 => each(bytes, out, |raw: &[u8; 34], out: &mut [f32; BLOCK]| {
                let scale = half(raw, 0);
                for (number, byte) in out.iter_mut().zip(&raw[2..]) {
                    *number = scale * f32::from(*byte as i8);
                }
            }),
            Self::Q2K => each(bytes, out, k_quants::q2),
            Self::Q3K => each(bytes, out, k_quants::q3),
            Self::Q4K => each(bytes, out, k_quants::q4),
            Self::Q5K => each(bytes, out, k_quants::q5),
            Self::Q6K => each(bytes, out, k_quants::q6),
        }
    }
}

/// Decodes block by block.
fn each<const B: usize, const N: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; B], &mut [f32; N]),
) {
    let numbers = out.as_chunks_mut::<N>().0;
    for (raw, out) in bytes.as_chunks::<B>().0.iter().zip(numbers) {
        decode(raw, out);
    }
}

/// The half-precision number at a byte.
fn half(raw: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([raw[at], raw[at + 1]]).to_f32()
}

/// The integers at `at` and `at + 16`: nibbles of a byte, each with its fifth bit.
fn five_bits(byte: u8, fifth: u32, at: usize) -> (u8, u8) {
    let bit = |at: usize| ((fifth >> at) as u8 & 1) << 4;
    (byte & 15 | bit(at), byte >> 4 | bit(at + 16))
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Every format against candle's own quantization and decoding, bit by bit.
    #[test]
    fn formats_decode_as_an_independent_implementation_does() {
        let mut random = StdRng::seed_from_u64(3);
        for (code, theirs) in [
            (0, GgmlDType::F32),
            (1, GgmlDType::F16),
            (2, GgmlDType::Q4_0),
            (3, GgmlDType::Q4_1),
            (6, GgmlDType::Q5_0),
            (7, GgmlDType::Q5_1),
            (8, GgmlDType::Q8_0),
            (10, GgmlDType::Q2K),
            (11, GgmlDType::Q3K),
            (12, GgmlDType::Q4K),
            (13, GgmlDType::Q5K),
            (14, GgmlDType::Q6K),
            (30, GgmlDType::BF16),
        ] {
            let dtype = Dtype::from_ggml(code).unwrap();
            let values: Vec<f32> = (0..3 * 512)
                .map(|_| random.random::<f32>().powi(3) * 2.0 - 1.0)
                .collect();
            let tensor = Tensor::from_vec(values, (3, 512), &Device::Cpu).unwrap();
            let tensor = QTensor::quantize(&tensor, theirs).unwrap();
            let decoded = tensor.dequantize(&Device::Cpu).unwrap();
            let expected: Vec<f32> = decoded.flatten_all().unwrap().to_vec1().unwrap();
            let bytes = tensor.data().unwrap();
            assert_eq!(dtype.bytes_for(3 * 512), Some(bytes.len()), "{dtype:?}");
            let mut out = vec![f32::NAN; 3 * 512];
            dtype.decode(&bytes, &mut out);
            assert_eq!(out, expected, "{dtype:?}");
        }
        assert_eq!(Dtype::from_ggml(4), None);
    }

    #[test]
    fn sizes_count_whole_blocks_only() {
        assert_eq!(Dtype::Q4_0.bytes_for(64), Some(36));
        assert_eq!(Dtype::Q4_0.bytes_for(63), None);
        assert_eq!(Dtype::Bf16.bytes_for(3), Some(6));
    }
}
