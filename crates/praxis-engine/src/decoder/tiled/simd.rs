//! The vector instructions used here, under Intel's names, as safe functions: this module is
//! compiled only where the compiler may use AVX2, FMA and F16C everywhere.

use std::arch::x86_64 as arch;
pub(super) use std::arch::x86_64::{__m128, __m128i, __m256, __m256i};

macro_rules! safe {
    ($(fn $name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {$(
        #[inline(always)]
        pub(super) fn $name($($arg: $kind),*) -> $out {
            // SAFETY: the instruction works on registers only, and the processor has it.
            unsafe { arch::$name($($arg),*) }
        }
    )*};
}

macro_rules! safe_with_constant {
    ($(fn $name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {$(
        #[inline(always)]
        pub(super) fn $name<const N: i32>($($arg: $kind),*) -> $out {
            // SAFETY: the instruction works on registers only, and the processor has it.
            unsafe { arch::$name::<N>($($arg),*) }
        }
    )*};
}

safe! {
    fn _mm256_add_epi16(a: __m256i, b: __m256i) -> __m256i;
    fn _mm256_add_epi32(a: __m256i, b: __m256i) -> __m256i;
    fn _mm256_and_si256(a: __m256i, b: __m256i) -> __m256i;
    fn _mm256_castps_si256(a: __m256) -> __m256i;
    fn _mm256_castsi256_ps(a: __m256i) -> __m256;
    fn _mm256_cvtepi8_epi32(a: __m128i) -> __m256i;
    fn _mm256_cvtepu8_epi32(a: __m128i) -> __m256i;
    fn _mm256_cvtepi32_ps(a: __m256i) -> __m256;
    fn _mm256_cvtph_ps(a: __m128i) -> __m256;
    fn _mm256_fmadd_ps(a: __m256, b: __m256, c: __m256) -> __m256;
    fn _mm256_madd_epi16(a: __m256i, b: __m256i) -> __m256i;
    fn _mm256_maddubs_epi16(a: __m256i, b: __m256i) -> __m256i;
    fn _mm256_mul_ps(a: __m256, b: __m256) -> __m256;
    fn _mm256_or_si256(a: __m256i, b: __m256i) -> __m256i;
    fn _mm256_set_m128i(high: __m128i, low: __m128i) -> __m256i;
    fn _mm256_set1_epi8(a: i8) -> __m256i;
    fn _mm256_set1_epi16(a: i16) -> __m256i;
    fn _mm256_set1_epi32(a: i32) -> __m256i;
    fn _mm256_set1_ps(a: f32) -> __m256;
    fn _mm256_setzero_ps() -> __m256;
    fn _mm256_setzero_si256() -> __m256i;
    fn _mm256_srl_epi16(a: __m256i, count: __m128i) -> __m256i;
    fn _mm256_sub_ps(a: __m256, b: __m256) -> __m256;
    fn _mm256_unpackhi_ps(a: __m256, b: __m256) -> __m256;
    fn _mm256_unpacklo_ps(a: __m256, b: __m256) -> __m256;
    fn _mm_cvtph_ps(a: __m128i) -> __m128;
    fn _mm_cvtsi32_si128(a: i32) -> __m128i;
    fn _mm_cvtss_f32(a: __m128) -> f32;
}

safe_with_constant! {
    fn _mm256_permute2f128_ps(a: __m256, b: __m256) -> __m256;
    fn _mm256_shuffle_ps(a: __m256, b: __m256) -> __m256;
    fn _mm256_slli_epi16(a: __m256i) -> __m256i;
    fn _mm256_srli_epi16(a: __m256i) -> __m256i;
    fn _mm_srli_epi16(a: __m128i) -> __m128i;
}

/// Loads 32 bytes.
#[inline(always)]
pub(super) fn load_32(bytes: &[u8]) -> __m256i {
    assert!(bytes.len() >= 32, "a load past the end of a block");
    // SAFETY: 32 bytes are there.
    unsafe { arch::_mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// The four values from `4 * quad` in every lane.
#[inline(always)]
pub(super) fn broadcast_4(values: &[i8; 32], quad: usize) -> __m256i {
    assert!(quad < 8, "a load past the end of a group");
    // SAFETY: the four bytes lie within the 32.
    _mm256_set1_epi32(unsafe { values.as_ptr().add(quad * 4).cast::<i32>().read_unaligned() })
}

/// Loads 16 bytes.
#[inline(always)]
pub(super) fn load_16(bytes: &[u8]) -> __m128i {
    assert!(bytes.len() >= 16, "a load past the end of a block");
    // SAFETY: 16 bytes are there.
    unsafe { arch::_mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Loads 8 bytes.
#[inline(always)]
pub(super) fn load_8(bytes: &[u8]) -> __m128i {
    assert!(bytes.len() >= 8, "a load past the end of a block");
    // SAFETY: 8 bytes are there.
    unsafe { arch::_mm_loadl_epi64(bytes.as_ptr().cast()) }
}

/// Eight numbers as one register, the first in the lowest lane.
#[inline(always)]
pub(super) fn from_i16(n: [i16; 8]) -> __m128i {
    // SAFETY: the instruction works on registers only, and the processor has it.
    unsafe { arch::_mm_set_epi16(n[7], n[6], n[5], n[4], n[3], n[2], n[1], n[0]) }
}

/// Stores eight floats.
#[inline(always)]
pub(super) fn store(values: __m256) -> [f32; 8] {
    let mut out = [0.0; 8];
    // SAFETY: there is room for eight floats.
    unsafe { arch::_mm256_storeu_ps(out.as_mut_ptr(), values) };
    out
}

/// Asks for the cache lines that lie `ahead` bytes after a block, whether or not they exist.
#[inline(always)]
pub(super) fn prefetch<T>(from: &T, ahead: usize) {
    let start = std::ptr::from_ref(from).cast::<i8>().wrapping_add(ahead);
    for line in (0..size_of::<T>()).step_by(64) {
        // SAFETY: a prefetch is a hint and never faults.
        unsafe { arch::_mm_prefetch::<{ arch::_MM_HINT_T0 }>(start.wrapping_add(line)) };
    }
}
