//! The inner loops with AVX-512 VNNI and VBMI (Ice Lake, Zen 4 and later): one instruction looks 64
//! codes up in four tables, another adds the four sums of each vector.

use std::arch::x86_64::*;

use super::{BLOCK, Gate, Kernels, ROWS, TILE, Tables, avx2};

pub(super) fn kernels() -> Option<&'static Kernels> {
    let has = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vbmi");
    (has && avx2::kernels().is_some()).then_some(&KERNELS)
}

// SAFETY (of all calls in the table): `kernels` gives it out only where the processor has what the
// functions are compiled for.
static KERNELS: Kernels = Kernels {
    name: "avx512",
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

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8]) -> __m512i {
    let bytes: &[u8] = &bytes[..64];
    // SAFETY: there are 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Where byte `4 v + t` of a group comes from: table `t` of vector `v`.
static BY_VECTOR: [u8; 64] = {
    let mut order = [0; 64];
    let mut i = 0;
    while i < 64 {
        order[i] = (16 * (i % 4) + i / 4) as u8;
        i += 1;
    }
    order
};

/// `(a & b) | c` for the bits of an immediate.
const AND_OR: i32 = 0xea;

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn survivors(tables: &Tables, block: &[u8], gate: &Gate, out: &mut [f32; BLOCK]) -> u32 {
    let (codes, factors) = block.split_at(tables.sums.len());
    let order = load(&BY_VECTOR);
    let low = _mm512_set1_epi8(15);
    let table = _mm512_set1_epi32(0x3020_1000);
    let ones = _mm512_set1_epi8(1);
    let mut sums = [_mm512_setzero_si512(); 4];
    let mut step = |codes: &[u8], luts: &[u8], at: usize| {
        let (codes, luts) = (_mm512_permutexvar_epi8(order, load(codes)), load(luts));
        let first = _mm512_ternarylogic_epi32::<AND_OR>(codes, low, table);
        let high = _mm512_srli_epi16::<4>(codes);
        let last = _mm512_ternarylogic_epi32::<AND_OR>(high, low, table);
        let first = _mm512_permutexvar_epi8(first, luts);
        let last = _mm512_permutexvar_epi8(last, luts);
        sums[at] = _mm512_dpbusd_epi32(sums[at], first, ones);
        sums[at + 2] = _mm512_dpbusd_epi32(sums[at + 2], last, ones);
    };
    // A padded dimension is a multiple of 128: there is an even number of groups of 16.
    for (codes, luts) in codes.chunks_exact(128).zip(tables.sums.chunks_exact(128)) {
        step(codes, luts, 0);
        step(&codes[64..], &luts[64..], 1);
    }
    let (scale, bias) = (_mm512_set1_ps(tables.scale), _mm512_set1_ps(tables.bias));
    let (base, slack) = (_mm512_set1_ps(gate.base), _mm512_set1_ps(gate.slack));
    let threshold = _mm512_set1_ps(gate.threshold);
    let mut mask = 0;
    for half in 0..2 {
        let sum = _mm512_add_epi32(sums[2 * half], sums[2 * half + 1]);
        let factor =
            |kind: usize| _mm512_castsi512_ps(load(&factors[(kind * BLOCK + 16 * half) * 4..]));
        let product = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale), bias);
        let score = _mm512_add_ps(factor(0), _mm512_mul_ps(factor(1), product));
        let bound = _mm512_add_ps(_mm512_add_ps(base, score), _mm512_mul_ps(slack, factor(2)));
        let passes = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(bound, threshold);
        mask |= u32::from(passes) << (16 * half);
        // SAFETY: 16 of 32 floats.
        unsafe { _mm512_storeu_ps(out[16 * half..16 * half + 16].as_mut_ptr(), product) };
    }
    mask
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_signed(values: &[i8]) -> __m512i {
    let values: &[i8] = &values[..64];
    // SAFETY: there are 64 bytes.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn fine(query: &[i8], code: &[u8]) -> i32 {
    let low = _mm512_set1_epi8(15);
    let mut sums = [_mm512_setzero_si512(); 2];
    for (query, code) in query.chunks_exact(128).zip(code.chunks_exact(64)) {
        let code = load(code);
        let first = _mm512_and_si512(code, low);
        let last = _mm512_and_si512(_mm512_srli_epi16::<4>(code), low);
        sums[0] = _mm512_dpbusd_epi32(sums[0], first, load_signed(query));
        sums[1] = _mm512_dpbusd_epi32(sums[1], last, load_signed(&query[64..]));
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn products<const R: usize>(rows: &[&[i8]; R], tile: &[u8], out: &mut [[i32; TILE]; R]) {
    let (low, high) = tile.split_at(tile.len() / 2);
    let mut sums = [[_mm512_setzero_si512(); 2]; R];
    for (at, (low, high)) in low.chunks_exact(64).zip(high.chunks_exact(64)).enumerate() {
        let (a, b) = (load(low), load(high));
        for (row, sums) in rows.iter().zip(&mut sums) {
            let x: &[i8] = &row[4 * at..4 * at + 4];
            // SAFETY: four bytes, read without alignment.
            let x = unsafe { x.as_ptr().cast::<i32>().read_unaligned() };
            let x = _mm512_set1_epi32(x);
            sums[0] = _mm512_dpbusd_epi32(sums[0], a, x);
            sums[1] = _mm512_dpbusd_epi32(sums[1], b, x);
        }
    }
    for (sums, out) in sums.iter().zip(out.iter_mut()) {
        for (sum, out) in sums.iter().zip(out.chunks_exact_mut(16)) {
            // SAFETY: 16 integers.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *sum) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn tile(row: &[i8], tile: &[u8], out: &mut [i32; TILE]) {
    let (low, high) = tile.split_at(tile.len() / 2);
    // Four sums at a time: an addition takes as long as four more begin.
    let mut sums = [_mm512_setzero_si512(); 4];
    let tiles = low.chunks_exact(128).zip(high.chunks_exact(128));
    for (row, (low, high)) in row.chunks_exact(8).zip(tiles) {
        // SAFETY: twice four bytes, read without alignment.
        let x = unsafe { row.as_ptr().cast::<[i32; 2]>().read_unaligned() };
        let (x, y) = (_mm512_set1_epi32(x[0]), _mm512_set1_epi32(x[1]));
        sums[0] = _mm512_dpbusd_epi32(sums[0], load(low), x);
        sums[1] = _mm512_dpbusd_epi32(sums[1], load(high), x);
        sums[2] = _mm512_dpbusd_epi32(sums[2], load(&low[64..]), y);
        sums[3] = _mm512_dpbusd_epi32(sums[3], load(&high[64..]), y);
    }
    for (half, out) in out.chunks_exact_mut(16).enumerate() {
        let sum = _mm512_add_epi32(sums[half], sums[half + 2]);
        // SAFETY: 16 integers.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sum) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn tiles(rows: &[&[i8]; ROWS], tile: &[u8], out: &mut [[i32; TILE]; ROWS]) {
    products(rows, tile, out);
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
fn sum_float(x: __m512) -> f32 {
    avx2::sum_float(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x))
}

#[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sum = _mm512_setzero_ps();
    let (a_parts, b_parts) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = a_parts.remainder().iter().zip(b_parts.remainder());
    for (a, b) in a_parts.zip(b_parts) {
        // SAFETY: 16 floats each.
        let (a, b) = unsafe { (_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr())) };
        sum = _mm512_fmadd_ps(a, b, sum);
    }
    rest.fold(sum_float(sum), |sum, (a, b)| sum + a * b)
}

#[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
fn dot_bytes(a: &[f32], b: &[u8]) -> f32 {
    let mut sum = _mm512_setzero_ps();
    let (a_parts, b_parts) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = a_parts.remainder().iter().zip(b_parts.remainder());
    for (a, b) in a_parts.zip(b_parts) {
        // SAFETY: 16 floats, and 16 bytes.
        let (a, b) = unsafe {
            (
                _mm512_loadu_ps(a.as_ptr()),
                _mm_loadu_si128(b.as_ptr().cast()),
            )
        };
        sum = _mm512_fmadd_ps(a, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(b)), sum);
    }
    rest.fold(sum_float(sum), |sum, (a, b)| sum + a * f32::from(*b))
}
