//! The number formats that are decoded row by row, and how.
//!
//! Left out: K-quants and the like, which candle decodes as whole tensors.

use candle_core::quantized::GgmlDType;
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
    /// Blocks of 32: a half-precision scale, 32 nibbles offset by 8.
    Q4_0,
    /// Blocks of 32: a half-precision scale, 32 signed bytes.
    Q8_0,
}

/// Numbers in one block of a quantized format.
const BLOCK: usize = 32;

impl Dtype {
    /// From GGUF's types, those that can be decoded row by row.
    pub(crate) fn from_gguf(dtype: GgmlDType) -> Option<Self> {
        match dtype {
            GgmlDType::F32 => Some(Self::F32),
            GgmlDType::F16 => Some(Self::F16),
            GgmlDType::BF16 => Some(Self::Bf16),
            GgmlDType::Q4_0 => Some(Self::Q4_0),
            GgmlDType::Q8_0 => Some(Self::Q8_0),
            _ => None,
        }
    }

    /// From the types of safetensors.
    pub(crate) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Numbers and bytes of one block.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (BLOCK, 18),
            Self::Q8_0 => (BLOCK, 34),
        }
    }

    /// Bytes that `count` numbers take; `None` where they do not fill whole blocks.
    pub(crate) fn bytes_for(self, count: usize) -> Option<usize> {
        let (numbers, bytes) = self.block();
        (count.is_multiple_of(numbers)).then_some(())?;
        (count / numbers).checked_mul(bytes)
    }

    /// Decodes as many numbers as both sides hold.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F32 => {
                for (number, raw) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *number = f32::from_le_bytes(*raw);
                }
            }
            Self::F16 => {
                for (number, raw) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *number = f16::from_le_bytes(*raw).to_f32();
                }
            }
            Self::Bf16 => {
                for (number, raw) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *number = bf16::from_le_bytes(*raw).to_f32();
                }
            }
            Self::Q4_0 => {
                let blocks = out.as_chunks_mut::<BLOCK>().0;
                for (numbers, raw) in blocks.iter_mut().zip(bytes.as_chunks::<18>().0) {
                    let scale = f16::from_le_bytes([raw[0], raw[1]]).to_f32();
                    for (at, byte) in raw[2..].iter().enumerate() {
                        numbers[at] = scale * f32::from((byte & 15) as i8 - 8);
                        numbers[at + BLOCK / 2] = scale * f32::from((byte >> 4) as i8 - 8);
                    }
                }
            }
            Self::Q8_0 => {
                let blocks = out.as_chunks_mut::<BLOCK>().0;
                for (numbers, raw) in blocks.iter_mut().zip(bytes.as_chunks::<34>().0) {
                    let scale = f16::from_le_bytes([raw[0], raw[1]]).to_f32();
                    for (number, byte) in numbers.iter_mut().zip(&raw[2..]) {
                        *number = scale * f32::from(*byte as i8);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantized_blocks_decode_as_their_format_says() {
        let scale = f16::from_f32(0.5).to_le_bytes();
        let mut q4 = scale.to_vec();
        q4.extend((0..16u8).map(|at| at | ((15 - at) << 4)));
        let mut out = [0.0; 32];
        Dtype::Q4_0.decode(&q4, &mut out);
        assert_eq!((out[0], out[15], out[16], out[31]), (-4.0, 3.5, 3.5, -4.0));

        let mut q8 = scale.to_vec();
        q8.extend((0..32u8).map(|at| at.wrapping_sub(16)));
        Dtype::Q8_0.decode(&q8, &mut out);
        assert_eq!((out[0], out[16], out[31]), (-8.0, 0.0, 7.5));
    }

    #[test]
    fn sizes_count_whole_blocks_only() {
        assert_eq!(Dtype::Q4_0.bytes_for(64), Some(36));
        assert_eq!(Dtype::Q4_0.bytes_for(63), None);
        assert_eq!(Dtype::Bf16.bytes_for(3), Some(6));
    }
}
