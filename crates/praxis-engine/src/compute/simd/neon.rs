//! The kernels' instructions on 64-bit Arm: NEON, which every such processor has, and the dot product
//! of bytes of ARMv8.2 (Apple's M1, Graviton 2, Cortex-A76 and later).

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Isa, Kernel, quads_in_16_bits};

/// Proof that the processor has NEON; and the dot product, where `DOTS`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon<const DOTS: bool>(());

impl Neon<false> {
    /// Every processor that this program runs on has it.
    pub(super) const BASELINE: Self = Self(());
}

impl Neon<true> {
    /// Asks the processor.
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Self(()))
    }
}

/// Adds the products of four signed bytes a lane with those of lane `LANE` of `x` (`SDOT`; the
/// standard library's function is not stable).
///
/// # Safety
/// The processor has the dot product.
#[inline(always)]
unsafe fn dot<const LANE: usize>(sum: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: the instruction works on registers only; that there is one, is the caller's promise.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {weights:v}.16b, {x:v}.4b[{lane}]",
            sum = inout(vreg) sum,
            weights = in(vreg) weights,
            x = in(vreg) x,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

impl<const DOTS: bool> Neon<DOTS> {
    /// Weights as signed bytes: those of 8 bits were signed before 128 was added.
    #[inline(always)]
    fn signed(self, bits: usize, quad: uint8x16_t) -> int8x16_t {
        instruction!(vreinterpretq_s8_u8(if bits == 8 {
            veorq_u8(quad, vdupq_n_u8(128))
        } else {
            quad
        }))
    }

    /// Dots by products of bytes that are summed up in 16 bits as long as they fit.
    ///
    /// # Safety
    /// That of [`Isa::dots`].
    #[inline(always)]
    unsafe fn dots_by_products<const R: usize>(
        self,
        bits: usize,
        quads: &[uint8x16_t],
        rows: [*const i8; R],
    ) -> [int32x4_t; R] {
        let mut totals = [instruction!(vdupq_n_s32(0)); R];
        let steps = quads_in_16_bits(bits).min(quads.len());
        for (chunk, quads) in quads.chunks_exact(steps).enumerate() {
            // Each of the two parts gets one product of a weight and an activation a step for a half
            // of the lanes; half of what may be summed up, as they are added at the end.
            let mut parts = [[instruction!(vdupq_n_s16(0)); 2]; R];
            for (i, quad) in quads.iter().enumerate() {
                let weights = self.signed(bits, *quad);
                for ([low, high], row) in parts.iter_mut().zip(rows) {
                    let x = instruction!(vreinterpretq_s8_s32(vdupq_n_s32(
                        row.add(4 * (chunk * steps + i))
                            .cast::<i32>()
                            .read_unaligned()
                    )));
                    *low = instruction!(vmlal_s8(*low, vget_low_s8(weights), vget_low_s8(x)));
                    *high = instruction!(vmlal_high_s8(*high, weights, x));
                }
            }
            for (total, [low, high]) in totals.iter_mut().zip(parts) {
                *total = instruction!(vpadalq_s16(*total, vpaddq_s16(low, high)));
            }
        }
        totals
    }
}

impl<const DOTS: bool> Neon<DOTS> {
    /// Floats whose upper halves are the nearest bfloat16 numbers.
    #[inline(always)]
    fn round_bf16(self, x: float32x4_t) -> uint32x4_t {
        instruction!(vaddq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0x8000)))
    }
}

impl<const DOTS: bool> Isa for Neon<DOTS> {
    const LANES: usize = 4;
    const ROWS: usize = 4;
    const CENTERED: bool = true;
    const FAST_BITS: usize = 8;
    type Int = uint8x16_t;
    type Float = float32x4_t;

    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon,dotprod")]
        fn with_dots<I: Isa, K: Kernel>(isa: I, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        if DOTS {
            instruction!(with_dots(self, kernel))
        } else {
            kernel.run(self)
        }
    }

    #[inline(always)]
    unsafe fn load(self, at: *const u8) -> Self::Int {
        instruction!(vld1q_u8(at))
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8, value: Self::Int) {
        instruction!(vst1q_u8(at, value));
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: a hint that never faults.
        unsafe {
            asm!(
                "prfm pldl1keep, [{at}]",
                at = in(reg) at,
                options(nomem, nostack, preserves_flags),
            );
        }
    }

    #[inline(always)]
    fn bytes(self, byte: u8) -> Self::Int {
        instruction!(vdupq_n_u8(byte))
    }

    #[inline(always)]
    fn and(self, a: Self::Int, b: Self::Int) -> Self::Int {
        instruction!(vandq_u8(a, b))
    }

    #[inline(always)]
    fn or(self, a: Self::Int, b: Self::Int) -> Self::Int {
        instruction!(vorrq_u8(a, b))
    }

    #[inline(always)]
    fn shift_right(self, a: Self::Int, bits: usize) -> Self::Int {
        // Right is left by a negative number, which is a constant once this is inlined.
        instruction!(vreinterpretq_u8_u16(vshlq_u16(
            vreinterpretq_u16_u8(a),
            vdupq_n_s16(-(bits as i16))
        )))
    }

    #[inline(always)]
    fn shift_left(self, a: Self::Int, bits: usize) -> Self::Int {
        instruction!(vreinterpretq_u8_u16(vshlq_u16(
            vreinterpretq_u16_u8(a),
            vdupq_n_s16(bits as i16)
        )))
    }

    #[inline(always)]
    unsafe fn dots<const R: usize>(
        self,
        bits: usize,
        quads: &[Self::Int],
        rows: [*const i8; R],
    ) -> [Self::Int; R] {
        let mut totals = [instruction!(vdupq_n_s32(0)); R];
        if DOTS {
            for (chunk, quads) in quads.as_chunks::<4>().0.iter().enumerate() {
                let mut weights = [instruction!(vdupq_n_s8(0)); 4];
                for (weights, quad) in weights.iter_mut().zip(quads) {
                    *weights = self.signed(bits, *quad);
                }
                for (total, row) in totals.iter_mut().zip(rows) {
                    let x = instruction!(vld1q_s8(row.add(16 * chunk)));
                    *total = instruction!(dot::<0>(*total, weights[0], x));
                    *total = instruction!(dot::<1>(*total, weights[1], x));
                    *total = instruction!(dot::<2>(*total, weights[2], x));
                    *total = instruction!(dot::<3>(*total, weights[3], x));
                }
            }
        } else {
            totals = instruction!(self.dots_by_products(bits, quads, rows));
        }
        let mut dots = [instruction!(vdupq_n_u8(0)); R];
        for (dot, total) in dots.iter_mut().zip(totals) {
            *dot = instruction!(vreinterpretq_u8_s32(total));
        }
        dots
    }

    #[inline(always)]
    fn to_float(self, a: Self::Int) -> Self::Float {
        instruction!(vcvtq_f32_s32(vreinterpretq_s32_u8(a)))
    }

    #[inline(always)]
    fn byte_to_float<const BYTE: usize>(self, a: Self::Int) -> Self::Float {
        // Right is left by a negative number.
        let low = instruction!(vshlq_u32(
            vreinterpretq_u32_u8(a),
            vdupq_n_s32(-8 * BYTE as i32)
        ));
        instruction!(vcvtq_f32_u32(vandq_u32(low, vdupq_n_u32(0xff))))
    }

    #[inline(always)]
    fn pair_bf16(self, low: Self::Float, high: Self::Float) -> Self::Int {
        let (low, high) = (self.round_bf16(low), self.round_bf16(high));
        instruction!(vreinterpretq_u8_u32(vorrq_u32(
            vshrq_n_u32::<16>(low),
            vandq_u32(high, vdupq_n_u32(0xffff_0000))
        )))
    }

    #[inline(always)]
    unsafe fn store_bf16(self, at: *mut u8, value: Self::Float) {
        let bits = self.round_bf16(value);
        instruction!(vst1_u8(at, vreinterpret_u8_u16(vshrn_n_u32::<16>(bits))));
    }

    #[inline(always)]
    unsafe fn load_halves(self, at: *const u8) -> Self::Float {
        instruction!(vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at))))
    }

    #[inline(always)]
    unsafe fn load_upper_halves(self, at: *const u8) -> Self::Float {
        instruction!(vreinterpretq_f32_u32(vshll_n_u16::<16>(
            vreinterpret_u16_u8(vld1_u8(at))
        )))
    }

    #[inline(always)]
    unsafe fn load_unsigned(self, at: *const u8) -> Self::Float {
        let four = instruction!(vcreate_u8(u64::from(at.cast::<u32>().read_unaligned())));
        instruction!(vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(four)))))
    }

    #[inline(always)]
    unsafe fn load_signed(self, at: *const u8) -> Self::Float {
        let four = instruction!(vcreate_s8(u64::from(at.cast::<u32>().read_unaligned())));
        instruction!(vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(four)))))
    }

    #[inline(always)]
    unsafe fn load_floats(self, at: *const u8) -> Self::Float {
        instruction!(vreinterpretq_f32_u8(vld1q_u8(at)))
    }

    #[inline(always)]
    unsafe fn store_floats(self, at: *mut u8, value: Self::Float) {
        instruction!(vst1q_u8(at, vreinterpretq_u8_f32(value)));
    }

    #[inline(always)]
    fn splat(self, a: f32) -> Self::Float {
        instruction!(vdupq_n_f32(a))
    }

    #[inline(always)]
    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float {
        instruction!(vaddq_f32(a, b))
    }

    #[inline(always)]
    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float {
        instruction!(vmulq_f32(a, b))
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float {
        instruction!(vfmaq_f32(c, a, b))
    }
}
