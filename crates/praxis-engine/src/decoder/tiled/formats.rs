//! How ggml's quantized formats (`ggml-common.h`) lay out their integers and scales. All are
//! `weight = scale * integer + offset` with small unsigned integers.

use super::simd::*;
use super::{LANES, Scales};

/// A quantized format.
pub(super) trait Format {
    /// The bytes of a block.
    type Block;
    /// Values in a block.
    const VALUES: usize;
    /// Whether scales change after 16 values instead of 32.
    const HALVES: bool;
    /// How many products of pairs with 8-bit activations fit into 16 bits: of 1, 2, 4, 8.
    const STEPS: usize;

    /// The 32 integers of a group.
    fn quants(block: &Self::Block, group: usize) -> __m256i;

    /// The scales and offsets of the groups of eight rows' blocks.
    fn scales(blocks: &[&Self::Block; LANES], out: &mut [Scales; 8]);
}

/// Blocks of 32: scale, 4-bit integers that stand for -8 to 7.
pub(super) struct Q4_0;
/// Blocks of 32: scale, minimum, 4-bit integers.
pub(super) struct Q4_1;
/// Blocks of 256: 4-bit integers, 6-bit scales and minima of 8 groups.
pub(super) struct Q4K;
/// As [`Q4K`] with 5-bit integers.
pub(super) struct Q5K;
/// Blocks of 256: 6-bit integers that stand for -32 to 31, 8-bit scales of 16 halves of groups.
pub(super) struct Q6K;

impl Format for Q4_0 {
    type Block = [u8; 18];
    const VALUES: usize = 32;
    const HALVES: bool = false;
    const STEPS: usize = 8;

    #[inline(always)]
    fn quants(block: &Self::Block, _: usize) -> __m256i {
        nibbles(&block[2..])
    }

    #[inline(always)]
    fn scales(blocks: &[&Self::Block; LANES], out: &mut [Scales; 8]) {
        let scale = halves_at(blocks, 0);
        out[0].scale[0] = scale;
        out[0].offset[0] = _mm256_mul_ps(scale, _mm256_set1_ps(-8.0));
    }
}

impl Format for Q4_1 {
    type Block = [u8; 20];
    const VALUES: usize = 32;
    const HALVES: bool = false;
    const STEPS: usize = 8;

    #[inline(always)]
    fn quants(block: &Self::Block, _: usize) -> __m256i {
        nibbles(&block[4..])
    }

    #[inline(always)]
    fn scales(blocks: &[&Self::Block; LANES], out: &mut [Scales; 8]) {
        out[0].scale[0] = halves_at(blocks, 0);
        out[0].offset[0] = halves_at(blocks, 2);
    }
}

impl Format for Q4K {
    type Block = [u8; 144];
    const VALUES: usize = 256;
    const HALVES: bool = false;
    const STEPS: usize = 8;

    #[inline(always)]
    fn quants(block: &Self::Block, group: usize) -> __m256i {
        nibbles_of_pair(&block[16 + group / 2 * 32..], group)
    }

    #[inline(always)]
    fn scales(blocks: &[&Self::Block; LANES], out: &mut [Scales; 8]) {
        six_bit_scales(blocks, out);
    }
}

impl Format for Q5K {
    type Block = [u8; 176];
    const VALUES: usize = 256;
    const HALVES: bool = false;
    const STEPS: usize = 4;

    #[inline(always)]
    fn quants(block: &Self::Block, group: usize) -> __m256i {
        let low = nibbles_of_pair(&block[48 + group / 2 * 32..], group);
        let shifted = _mm256_srl_epi16(load_32(&block[16..]), _mm_cvtsi32_si128(group as i32));
        let high = _mm256_and_si256(shifted, _mm256_set1_epi8(1));
        _mm256_or_si256(low, _mm256_slli_epi16::<4>(high))
    }

    #[inline(always)]
    fn scales(blocks: &[&Self::Block; LANES], out: &mut [Scales; 8]) {
        six_bit_scales(blocks, out);
    }
}

impl Format for Q6K {
    type Block = [u8; 210];
    const VALUES: usize = 256;
    const HALVES: bool = true;
    const STEPS: usize = 2;

    #[inline(always)]
    fn quants(block: &Self::Block, group: usize) -> __m256i {
        // Each half of the block has 64 bytes of low and 32 bytes of high bits.
        let (half, part) = (group / 4, group % 4);
        let low = load_32(&block[half * 64 + part % 2 * 32..]);
        let low = _mm256_srl_epi16(low, _mm_cvtsi32_si128(4 * (part / 2) as i32));
        let high = load_32(&block[128 + half * 32..]);
        let high = _mm256_srl_epi16(high, _mm_cvtsi32_si128(2 * part as i32));
        let high = _mm256_slli_epi16::<4>(_mm256_and_si256(high, _mm256_set1_epi8(3)));
        _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi8(15)), high)
    }

    #[inline(always)]
    fn scales(blocks: &[&Self::Block; LANES], out: &mut [Scales; 8]) {
        let minus_32 = _mm256_set1_ps(-32.0);
        for part in 0..2 {
            let mut rows = [_mm256_setzero_ps(); LANES];
            for (row, block) in rows.iter_mut().zip(blocks) {
                let scales = _mm256_cvtepi8_epi32(load_8(&block[192 + part * 8..]));
                let scale = _mm256_set1_ps(half_at(block, 208));
                *row = _mm256_mul_ps(_mm256_cvtepi32_ps(scales), scale);
            }
            for (i, scale) in transpose_ps(rows).into_iter().enumerate() {
                let out = &mut out[part * 4 + i / 2];
                out.scale[i % 2] = scale;
                out.offset[i % 2] = _mm256_mul_ps(scale, minus_32);
            }
        }
    }
}

/// 16 bytes as 32 integers: the low nibbles, then the high ones.
#[inline(always)]
fn nibbles(bytes: &[u8]) -> __m256i {
    let both = load_16(bytes);
    let spread = _mm256_set_m128i(_mm_srli_epi16::<4>(both), both);
    _mm256_and_si256(spread, _mm256_set1_epi8(15))
}

/// The nibbles of an even (low) or odd (high) group in the 32 bytes of a pair of groups.
#[inline(always)]
fn nibbles_of_pair(bytes: &[u8], group: usize) -> __m256i {
    let shift = _mm_cvtsi32_si128(4 * (group % 2) as i32);
    let shifted = _mm256_srl_epi16(load_32(bytes), shift);
    _mm256_and_si256(shifted, _mm256_set1_epi8(15))
}

/// Scales and minima of `Q4_K` and `Q5_K`: two halves, then 12 bytes of 6-bit numbers.
#[inline(always)]
fn six_bit_scales<const N: usize>(blocks: &[&[u8; N]; LANES], out: &mut [Scales; 8]) {
    const LOW_6: u32 = 0x3f3f_3f3f;
    const LOW_4: u32 = 0x0f0f_0f0f;
    const LOW_2: u32 = 0x0303_0303;
    let zero = _mm256_setzero_ps();
    let (mut scales, mut minima) = ([zero; LANES], [zero; LANES]);
    for (lane, block) in blocks.iter().enumerate() {
        let word = |at: usize| {
            u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        let (a, b, c) = (word(4), word(8), word(12));
        let scale = u64::from(a & LOW_6) | u64::from((c & LOW_4) | (((a >> 6) & LOW_2) << 4)) << 32;
        let minimum =
            u64::from(b & LOW_6) | u64::from(((c >> 4) & LOW_4) | (((b >> 6) & LOW_2) << 4)) << 32;
        let floats =
            |bytes: u64| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_8(&bytes.to_le_bytes())));
        scales[lane] = _mm256_mul_ps(floats(scale), _mm256_set1_ps(half_at(block, 0)));
        minima[lane] = _mm256_mul_ps(floats(minimum), _mm256_set1_ps(half_at(block, 2)));
    }
    for ((out, scale), minimum) in out
        .iter_mut()
        .zip(transpose_ps(scales))
        .zip(transpose_ps(minima))
    {
        out.scale[0] = scale;
        out.offset[0] = _mm256_sub_ps(zero, minimum);
    }
}

/// A half-precision number.
#[inline(always)]
fn half_at<const N: usize>(block: &[u8; N], at: usize) -> f32 {
    let bits = u16::from_le_bytes([block[at], block[at + 1]]);
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits))))
}

/// The half-precision numbers at one place of eight blocks.
#[inline(always)]
fn halves_at<const N: usize>(blocks: &[&[u8; N]; LANES], at: usize) -> __m256 {
    let mut halves = [0; LANES];
    for (half, block) in halves.iter_mut().zip(blocks) {
        *half = i16::from_le_bytes([block[at], block[at + 1]]);
    }
    _mm256_cvtph_ps(from_i16(halves))
}

/// Swaps rows and 32-bit columns.
#[inline(always)]
pub(super) fn transpose(rows: [__m256i; LANES]) -> [__m256i; LANES] {
    let mut floats = [_mm256_setzero_ps(); LANES];
    for (float, row) in floats.iter_mut().zip(rows) {
        *float = _mm256_castsi256_ps(row);
    }
    let mut out = rows;
    for (row, float) in out.iter_mut().zip(transpose_ps(floats)) {
        *row = _mm256_castps_si256(float);
    }
    out
}

#[inline(always)]
fn transpose_ps(r: [__m256; LANES]) -> [__m256; LANES] {
    let low = |i: usize| _mm256_unpacklo_ps(r[i], r[i + 1]);
    let high = |i: usize| _mm256_unpackhi_ps(r[i], r[i + 1]);
    let t = [
        low(0),
        high(0),
        low(2),
        high(2),
        low(4),
        high(4),
        low(6),
        high(6),
    ];
    let s = [
        _mm256_shuffle_ps::<0x44>(t[0], t[2]),
        _mm256_shuffle_ps::<0xee>(t[0], t[2]),
        _mm256_shuffle_ps::<0x44>(t[1], t[3]),
        _mm256_shuffle_ps::<0xee>(t[1], t[3]),
        _mm256_shuffle_ps::<0x44>(t[4], t[6]),
        _mm256_shuffle_ps::<0xee>(t[4], t[6]),
        _mm256_shuffle_ps::<0x44>(t[5], t[7]),
        _mm256_shuffle_ps::<0xee>(t[5], t[7]),
    ];
    [
        _mm256_permute2f128_ps::<0x20>(s[0], s[4]),
        _mm256_permute2f128_ps::<0x20>(s[1], s[5]),
        _mm256_permute2f128_ps::<0x20>(s[2], s[6]),
        _mm256_permute2f128_ps::<0x20>(s[3], s[7]),
        _mm256_permute2f128_ps::<0x31>(s[0], s[4]),
        _mm256_permute2f128_ps::<0x31>(s[1], s[5]),
        _mm256_permute2f128_ps::<0x31>(s[2], s[6]),
        _mm256_permute2f128_ps::<0x31>(s[3], s[7]),
    ]
}
