//! The inner loops with AVX2 and FMA.

use std::arch::x86_64::*;

use super::{BLOCK, Gate, Kernels, ROWS, TILE, Tables};

pub(super) fn kernels() -> Option<&'static Kernels> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&KERNELS)
}

// SAFETY (of all calls in the table): `kernels` gives it out only where the processor has AVX2 and
// FMA.
static KERNELS: Kernels = Kernels {
    name: "avx2",
    // SAFETY: see above.
    survivors: |tables, block, gate, out| unsafe { survivors(tables, block, gate, out) },
    // SAFETY: see above.
    fine: |query, code| unsafe { fine(query, code) },
    // SAFETY: see above.
    tile: |row, centroids, out| unsafe { tile(row, centroids, out) },
    // SAFETY: see above.
    tiles: |rows, centroids, out| unsafe { tiles(rows, centroids, out) },
    // SAFETY: see above.
    dot: |a, b| unsafe { dot(a, b) },
    // SAFETY: see above.
    dot_bytes: |a, b| unsafe { dot_bytes(a, b) },
};

/// Loads 32 bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load(bytes: &[u8]) -> __m256i {
    let bytes: &[u8] = &bytes[..32];
    // SAFETY: there are 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Groups of tables whose sums fit into 16 bits.
const GROUPS: usize = 64;

#[target_feature(enable = "avx2,fma")]
fn survivors(tables: &Tables, block: &[u8], gate: &Gate, out: &mut [f32; BLOCK]) -> u32 {
    let (codes, factors) = block.split_at(tables.sums.len());
    let low = _mm256_set1_epi8(15);
    let mut sums = [_mm256_setzero_si256(); 4];
    for (codes, luts) in codes
        .chunks(64 * GROUPS)
        .zip(tables.sums.chunks(64 * GROUPS))
    {
        // For the first and the last 16 vectors: sums of all bytes as 16-bit numbers, and of the
        // odd ones alone.
        let mut acc = [_mm256_setzero_si256(); 4];
        for (codes, lut) in codes.chunks_exact(32).zip(luts.chunks_exact(32)) {
            let (codes, lut) = (load(codes), load(lut));
            let first = _mm256_shuffle_epi8(lut, _mm256_and_si256(codes, low));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low);
            let last = _mm256_shuffle_epi8(lut, high);
            acc[0] = _mm256_add_epi16(acc[0], first);
            acc[1] = _mm256_add_epi16(acc[1], _mm256_srli_epi16::<8>(first));
            acc[2] = _mm256_add_epi16(acc[2], last);
            acc[3] = _mm256_add_epi16(acc[3], _mm256_srli_epi16::<8>(last));
        }
        for half in 0..2 {
            let odd = acc[2 * half + 1];
            let even = _mm256_sub_epi16(acc[2 * half], _mm256_slli_epi16::<8>(odd));
            let fold =
                |x| _mm_add_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
            let (even, odd) = (fold(even), fold(odd));
            for (at, eight) in [_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd)]
                .into_iter()
                .enumerate()
            {
                let at = 2 * half + at;
                sums[at] = _mm256_add_epi32(sums[at], _mm256_cvtepu16_epi32(eight));
            }
        }
    }
    let (scale, bias) = (_mm256_set1_ps(tables.scale), _mm256_set1_ps(tables.bias));
    let (base, slack) = (_mm256_set1_ps(gate.base), _mm256_set1_ps(gate.slack));
    let threshold = _mm256_set1_ps(gate.threshold);
    let mut mask = 0;
    for (i, sum) in sums.into_iter().enumerate() {
        let factor =
            |kind: usize| _mm256_castsi256_ps(load(&factors[(kind * BLOCK + 8 * i) * 4..]));
        let product = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale), bias);
        let score = _mm256_add_ps(factor(0), _mm256_mul_ps(factor(1), product));
        let bound = _mm256_add_ps(_mm256_add_ps(base, score), _mm256_mul_ps(slack, factor(2)));
        let passes = _mm256_cmp_ps::<_CMP_GT_OQ>(bound, threshold);
        mask |= (_mm256_movemask_ps(passes) as u32) << (8 * i);
        // SAFETY: eight of 32 floats.
        unsafe { _mm256_storeu_ps(out[8 * i..8 * i + 8].as_mut_ptr(), product) };
    }
    mask
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_int(x: __m256i) -> i32 {
    let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    let x = _mm_add_epi32(x, _mm_unpackhi_epi64(x, x));
    _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<1>(x)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_signed(values: &[i8]) -> __m256i {
    let values: &[i8] = &values[..32];
    // SAFETY: there are 32 bytes.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[target_feature(enable = "avx2,fma")]
fn fine(query: &[i8], code: &[u8]) -> i32 {
    let (low, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    let mut sum = _mm256_setzero_si256();
    for (query, code) in query.chunks_exact(128).zip(code.chunks_exact(64)) {
        for half in [0, 32] {
            let code = load(&code[half..]);
            let first = _mm256_and_si256(code, low);
            let last = _mm256_and_si256(_mm256_srli_epi16::<4>(code), low);
            let first = _mm256_maddubs_epi16(first, load_signed(&query[half..]));
            let last = _mm256_maddubs_epi16(last, load_signed(&query[64 + half..]));
            let both = _mm256_add_epi16(first, last);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(both, ones));
        }
    }
    sum_int(sum)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn products<const R: usize>(rows: &[&[i8]; R], tile: &[u8], out: &mut [[i32; TILE]; R]) {
    let ones = _mm256_set1_epi16(1);
    let half = tile.len() / 2;
    for (side, tile) in tile.chunks_exact(half).enumerate() {
        let mut sums = [[_mm256_setzero_si256(); 2]; R];
        for (at, tile) in tile.chunks_exact(64).enumerate() {
            let (a, b) = (load(tile), load(&tile[32..]));
            for (row, sums) in rows.iter().zip(&mut sums) {
                let x = &row[4 * at..4 * at + 4];
                let four = [x[0] as u8, x[1] as u8, x[2] as u8, x[3] as u8];
                let x = _mm256_set1_epi32(i32::from_le_bytes(four));
                // A centroid's component has 7 bits, so that two products fit into 16.
                let a = _mm256_madd_epi16(_mm256_maddubs_epi16(a, x), ones);
                let b = _mm256_madd_epi16(_mm256_maddubs_epi16(b, x), ones);
                sums[0] = _mm256_add_epi32(sums[0], a);
                sums[1] = _mm256_add_epi32(sums[1], b);
            }
        }
        for (sums, out) in sums.iter().zip(out.iter_mut()) {
            for (sum, out) in sums.iter().zip(out[16 * side..].chunks_exact_mut(8)) {
                // SAFETY: eight integers.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), *sum) };
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn tile(row: &[i8], tile: &[u8], out: &mut [i32; TILE]) {
    let mut one = [[0; TILE]];
    products(&[row], tile, &mut one);
    *out = one[0];
}

#[target_feature(enable = "avx2,fma")]
fn tiles(rows: &[&[i8]; ROWS], tile: &[u8], out: &mut [[i32; TILE]; ROWS]) {
    for (rows, out) in rows.chunks_exact(4).zip(out.chunks_exact_mut(4)) {
        let rows = [rows[0], rows[1], rows[2], rows[3]];
        let mut four = [[0; TILE]; 4];
        products(&rows, tile, &mut four);
        out.copy_from_slice(&four);
    }
}

/// Halves onto halves.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn sum_float(low: __m256, high: __m256) -> f32 {
    let x = _mm256_add_ps(low, high);
    let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    let (a_parts, b_parts) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = a_parts.remainder().iter().zip(b_parts.remainder());
    for (a, b) in a_parts.zip(b_parts) {
        for (half, sum) in sums.iter_mut().enumerate() {
            let (a, b) = (&a[8 * half..8 * half + 8], &b[8 * half..8 * half + 8]);
            // SAFETY: eight floats each.
            let (a, b) = unsafe { (_mm256_loadu_ps(a.as_ptr()), _mm256_loadu_ps(b.as_ptr())) };
            *sum = _mm256_fmadd_ps(a, b, *sum);
        }
    }
    rest.fold(sum_float(sums[0], sums[1]), |sum, (a, b)| sum + a * b)
}

#[target_feature(enable = "avx2,fma")]
fn dot_bytes(a: &[f32], b: &[u8]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    let (a_parts, b_parts) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = a_parts.remainder().iter().zip(b_parts.remainder());
    for (a, b) in a_parts.zip(b_parts) {
        for (half, sum) in sums.iter_mut().enumerate() {
            let (a, b) = (&a[8 * half..8 * half + 8], &b[8 * half..8 * half + 8]);
            // SAFETY: eight floats, and eight bytes.
            let (a, b) = unsafe {
                (
                    _mm256_loadu_ps(a.as_ptr()),
                    _mm_loadl_epi64(b.as_ptr().cast()),
                )
            };
            let b = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(b));
            *sum = _mm256_fmadd_ps(a, b, *sum);
        }
    }
    rest.fold(sum_float(sums[0], sums[1]), |sum, (a, b)| {
        sum + a * f32::from(*b)
    })
}
