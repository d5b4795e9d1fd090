//! The kernels' instructions on AVX-512 with VNNI (Ice Lake, Zen 4 and later), whose dot product of
//! bytes needs no step through 16 bits.

use std::arch::x86_64::*;

use super::{Isa, Kernel};

/// Proof that the processor has AVX-512 F, BW and VNNI.
#[derive(Debug, Clone, Copy)]
pub(in crate::compute) struct Avx512(());

impl Avx512 {
    /// Asks the processor.
    pub(in crate::compute) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        has.then_some(Self(()))
    }
}

impl Avx512 {
    /// Floats whose upper halves are the nearest bfloat16 numbers.
    #[inline(always)]
    fn round_bf16(self, x: __m512) -> __m512i {
        instruction!(_mm512_add_epi32(
            _mm512_castps_si512(x),
            _mm512_set1_epi32(0x8000)
        ))
    }
}

impl Isa for Avx512 {
    const LANES: usize = 16;
    const ROWS: usize = 8;
    const CENTERED: bool = false;
    const FAST_BITS: usize = 8;
    type Int = __m512i;
    type Float = __m512;

    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
        fn inner<I: Isa, K: Kernel>(isa: I, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { inner(self, kernel) }
    }

    #[inline(always)]
    unsafe fn load(self, at: *const u8) -> Self::Int {
        instruction!(_mm512_loadu_si512(at.cast()))
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8, value: Self::Int) {
        instruction!(_mm512_storeu_si512(at.cast(), value));
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        instruction!(_mm_prefetch::<_MM_HINT_T0>(at.cast()));
    }

    #[inline(always)]
    fn bytes(self, byte: u8) -> Self::Int {
        instruction!(_mm512_set1_epi8(byte as i8))
    }

    #[inline(always)]
    fn and(self, a: Self::Int, b: Self::Int) -> Self::Int {
        instruction!(_mm512_and_si512(a, b))
    }

    #[inline(always)]
    fn or(self, a: Self::Int, b: Self::Int) -> Self::Int {
        instruction!(_mm512_or_si512(a, b))
    }

    #[inline(always)]
    fn shift_right(self, a: Self::Int, bits: usize) -> Self::Int {
        instruction!(_mm512_srl_epi16(a, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    fn shift_left(self, a: Self::Int, bits: usize) -> Self::Int {
        instruction!(_mm512_sll_epi16(a, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    unsafe fn dots<const R: usize>(
        self,
        _: usize,
        quads: &[Self::Int],
        rows: [*const i8; R],
    ) -> [Self::Int; R] {
        let mut totals = [instruction!(_mm512_setzero_si512()); R];
        for (i, quad) in quads.iter().enumerate() {
            for (total, row) in totals.iter_mut().zip(rows) {
                let x = instruction!(row.add(4 * i).cast::<i32>().read_unaligned());
                *total = instruction!(_mm512_dpbusd_epi32(*total, *quad, _mm512_set1_epi32(x)));
            }
        }
        totals
    }

    #[inline(always)]
    fn to_float(self, a: Self::Int) -> Self::Float {
        instruction!(_mm512_cvtepi32_ps(a))
    }

    #[inline(always)]
    fn byte_to_float<const BYTE: usize>(self, a: Self::Int) -> Self::Float {
        let low = instruction!(_mm512_srl_epi32(a, _mm_cvtsi32_si128(8 * BYTE as i32)));
        instruction!(_mm512_cvtepi32_ps(_mm512_and_si512(
            low,
            _mm512_set1_epi32(0xff)
        )))
    }

    #[inline(always)]
    fn pair_bf16(self, low: Self::Float, high: Self::Float) -> Self::Int {
        // Not by a closure: that would be compiled without the instructions.
        let (low, high) = (self.round_bf16(low), self.round_bf16(high));
        instruction!(_mm512_mask_blend_epi16(
            0xaaaa_aaaa,
            _mm512_srli_epi32::<16>(low),
            high
        ))
    }

    #[inline(always)]
    unsafe fn store_bf16(self, at: *mut u8, value: Self::Float) {
        let bits = self.round_bf16(value);
        instruction!(_mm256_storeu_si256(
            at.cast(),
            _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(bits))
        ));
    }

    #[inline(always)]
    unsafe fn load_halves(self, at: *const u8) -> Self::Float {
        instruction!(_mm512_cvtph_ps(_mm256_loadu_si256(at.cast())))
    }

    #[inline(always)]
    unsafe fn load_upper_halves(self, at: *const u8) -> Self::Float {
        instruction!(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(
            _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()))
        )))
    }

    #[inline(always)]
    unsafe fn load_unsigned(self, at: *const u8) -> Self::Float {
        instruction!(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(
            at.cast()
        ))))
    }

    #[inline(always)]
    unsafe fn load_signed(self, at: *const u8) -> Self::Float {
        instruction!(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(
            at.cast()
        ))))
    }

    #[inline(always)]
    unsafe fn load_floats(self, at: *const u8) -> Self::Float {
        instruction!(_mm512_loadu_ps(at.cast()))
    }

    #[inline(always)]
    unsafe fn store_floats(self, at: *mut u8, value: Self::Float) {
        instruction!(_mm512_storeu_ps(at.cast(), value));
    }

    #[inline(always)]
    fn splat(self, a: f32) -> Self::Float {
        instruction!(_mm512_set1_ps(a))
    }

    #[inline(always)]
    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float {
        instruction!(_mm512_add_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float {
        instruction!(_mm512_mul_ps(a, b))
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float {
        instruction!(_mm512_fmadd_ps(a, b, c))
    }
}
