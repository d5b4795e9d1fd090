//! The kernels' instructions on AVX2 with FMA and F16C: every x86-64 server and laptop since 2015.
//! With AVX-VNNI (laptops and desktops since Alder Lake and Zen 5), the dot product of bytes needs no
//! step through 16 bits.

use std::arch::x86_64::*;

use super::{Isa, Kernel, quads_in_16_bits};

/// Proof that the processor has AVX2, FMA and F16C; and AVX-VNNI, where `VNNI`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2<const VNNI: bool>(());

impl<const VNNI: bool> Avx2<VNNI> {
    /// Asks the processor.
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && (!VNNI || is_x86_feature_detected!("avxvnni"));
        has.then_some(Self(()))
    }

    /// Dots by products of bytes that are summed up in 16 bits as long as they fit.
    ///
    /// # Safety
    /// That of [`Isa::dots`].
    #[inline(always)]
    unsafe fn dots_by_products<const R: usize>(
        self,
        bits: usize,
        quads: &[__m256i],
        rows: [*const i8; R],
    ) -> [__m256i; R] {
        let zero = instruction!(_mm256_setzero_si256());
        let mut totals = [zero; R];
        let steps = quads_in_16_bits(bits).min(quads.len());
        for (chunk, quads) in quads.chunks_exact(steps).enumerate() {
            let mut parts = [zero; R];
            for (i, quad) in quads.iter().enumerate() {
                for (part, row) in parts.iter_mut().zip(rows) {
                    let x = instruction!(broadcast(row, chunk * steps + i));
                    // One factor must be unsigned and the sum of two products fit 16 bits: 8-bit
                    // weights give their sign to the activation.
                    let products = if bits == 8 {
                        let weight = instruction!(_mm256_xor_si256(*quad, _mm256_set1_epi8(-128)));
                        instruction!(_mm256_maddubs_epi16(
                            _mm256_abs_epi8(weight),
                            _mm256_sign_epi8(x, weight)
                        ))
                    } else {
                        instruction!(_mm256_maddubs_epi16(*quad, x))
                    };
                    *part = instruction!(_mm256_add_epi16(*part, products));
                }
            }
            for (total, part) in totals.iter_mut().zip(parts) {
                *total = instruction!(_mm256_add_epi32(
                    *total,
                    _mm256_madd_epi16(part, _mm256_set1_epi16(1))
                ));
            }
        }
        totals
    }
}

/// Four activations in all lanes.
///
/// # Safety
/// The processor has AVX2, and there are as many quads in the row.
#[inline(always)]
unsafe fn broadcast(row: *const i8, quad: usize) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_set1_epi32(row.add(4 * quad).cast::<i32>().read_unaligned()) }
}

impl<const VNNI: bool> Avx2<VNNI> {
    /// Floats whose upper halves are the nearest bfloat16 numbers.
    #[inline(always)]
    fn round_bf16(self, x: __m256) -> __m256i {
        instruction!(_mm256_add_epi32(
            _mm256_castps_si256(x),
            _mm256_set1_epi32(0x8000)
        ))
    }
}

impl<const VNNI: bool> Isa for Avx2<VNNI> {
    const LANES: usize = 8;
    const ROWS: usize = 4;
    const CENTERED: bool = !VNNI;
    const FAST_BITS: usize = if VNNI { 8 } else { 7 };
    type Int = __m256i;
    type Float = __m256;

    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn without<I: Isa, K: Kernel>(isa: I, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
        fn with_vnni<I: Isa, K: Kernel>(isa: I, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        if VNNI {
            instruction!(with_vnni(self, kernel))
        } else {
            instruction!(without(self, kernel))
        }
    }

    #[inline(always)]
    unsafe fn load(self, at: *const u8) -> Self::Int {
        instruction!(_mm256_loadu_si256(at.cast()))
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8, value: Self::Int) {
        instruction!(_mm256_storeu_si256(at.cast(), value));
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        instruction!(_mm_prefetch::<_MM_HINT_T0>(at.cast()));
    }

    #[inline(always)]
    fn bytes(self, byte: u8) -> Self::Int {
        instruction!(_mm256_set1_epi8(byte as i8))
    }

    #[inline(always)]
    fn and(self, a: Self::Int, b: Self::Int) -> Self::Int {
        instruction!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn or(self, a: Self::Int, b: Self::Int) -> Self::Int {
        instruction!(_mm256_or_si256(a, b))
    }

    #[inline(always)]
    fn shift_right(self, a: Self::Int, bits: usize) -> Self::Int {
        instruction!(_mm256_srl_epi16(a, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    fn shift_left(self, a: Self::Int, bits: usize) -> Self::Int {
        instruction!(_mm256_sll_epi16(a, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    unsafe fn dots<const R: usize>(
        self,
        bits: usize,
        quads: &[Self::Int],
        rows: [*const i8; R],
    ) -> [Self::Int; R] {
        if !VNNI {
            return instruction!(self.dots_by_products(bits, quads, rows));
        }
        let mut totals = [instruction!(_mm256_setzero_si256()); R];
        for (i, quad) in quads.iter().enumerate() {
            for (total, row) in totals.iter_mut().zip(rows) {
                let x = instruction!(broadcast(row, i));
                *total = instruction!(_mm256_dpbusd_avx_epi32(*total, *quad, x));
            }
        }
        totals
    }

    #[inline(always)]
    fn to_float(self, a: Self::Int) -> Self::Float {
        instruction!(_mm256_cvtepi32_ps(a))
    }

    #[inline(always)]
    fn byte_to_float<const BYTE: usize>(self, a: Self::Int) -> Self::Float {
        let low = instruction!(_mm256_srl_epi32(a, _mm_cvtsi32_si128(8 * BYTE as i32)));
        instruction!(_mm256_cvtepi32_ps(_mm256_and_si256(
            low,
            _mm256_set1_epi32(0xff)
        )))
    }

    #[inline(always)]
    fn pair_bf16(self, low: Self::Float, high: Self::Float) -> Self::Int {
        // Not by a closure: that would be compiled without the instructions.
        let (low, high) = (self.round_bf16(low), self.round_bf16(high));
        instruction!(_mm256_blend_epi16::<0xaa>(
            _mm256_srli_epi32::<16>(low),
            high
        ))
    }

    #[inline(always)]
    unsafe fn store_bf16(self, at: *mut u8, value: Self::Float) {
        let bits = self.round_bf16(value);
        let high = instruction!(_mm256_srli_epi32::<16>(bits));
        let packed = instruction!(_mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(
            high, high
        )));
        instruction!(_mm_storeu_si128(at.cast(), _mm256_castsi256_si128(packed)));
    }

    #[inline(always)]
    unsafe fn load_halves(self, at: *const u8) -> Self::Float {
        instruction!(_mm256_cvtph_ps(_mm_loadu_si128(at.cast())))
    }

    #[inline(always)]
    unsafe fn load_upper_halves(self, at: *const u8) -> Self::Float {
        instruction!(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(
            _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()))
        )))
    }

    #[inline(always)]
    unsafe fn load_unsigned(self, at: *const u8) -> Self::Float {
        instruction!(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(
            at.cast()
        ))))
    }

    #[inline(always)]
    unsafe fn load_signed(self, at: *const u8) -> Self::Float {
        instruction!(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(
            at.cast()
        ))))
    }

    #[inline(always)]
    unsafe fn load_floats(self, at: *const u8) -> Self::Float {
        instruction!(_mm256_loadu_ps(at.cast()))
    }

    #[inline(always)]
    unsafe fn store_floats(self, at: *mut u8, value: Self::Float) {
        instruction!(_mm256_storeu_ps(at.cast(), value));
    }

    #[inline(always)]
    fn splat(self, a: f32) -> Self::Float {
        instruction!(_mm256_set1_ps(a))
    }

    #[inline(always)]
    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float {
        instruction!(_mm256_add_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float {
        instruction!(_mm256_mul_ps(a, b))
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float {
        instruction!(_mm256_fmadd_ps(a, b, c))
    }
}
