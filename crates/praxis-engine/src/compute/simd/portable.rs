//! The kernels' instructions in plain Rust, for processors that have none of the others. The
//! compiler makes vector instructions of the loops where it can.

use half::f16;

use super::{Isa, Kernel};

/// Any processor.
#[derive(Debug, Clone, Copy)]
pub(in crate::compute) struct Portable;

const LANES: usize = 8;

#[inline(always)]
fn halves(a: u32, change: impl Fn(u16) -> u16) -> u32 {
    u32::from(change(a as u16)) | u32::from(change((a >> 16) as u16)) << 16
}

#[inline(always)]
fn round_bf16(x: f32) -> u16 {
    (x.to_bits().wrapping_add(0x8000) >> 16) as u16
}

impl Isa for Portable {
    const LANES: usize = LANES;
    const ROWS: usize = 4;
    const CENTERED: bool = false;
    const FAST_BITS: usize = 8;
    type Int = [u32; LANES];
    type Float = [f32; LANES];

    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    unsafe fn load(self, at: *const u8) -> Self::Int {
        // SAFETY: the caller's promise; any bits are numbers.
        unsafe { at.cast::<Self::Int>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8, value: Self::Int) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<Self::Int>().write_unaligned(value) }
    }

    #[inline(always)]
    fn prefetch(self, _: *const u8) {}

    #[inline(always)]
    fn bytes(self, byte: u8) -> Self::Int {
        [u32::from_ne_bytes([byte; 4]); LANES]
    }

    #[inline(always)]
    fn and(self, a: Self::Int, b: Self::Int) -> Self::Int {
        std::array::from_fn(|i| a[i] & b[i])
    }

    #[inline(always)]
    fn or(self, a: Self::Int, b: Self::Int) -> Self::Int {
        std::array::from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    fn shift_right(self, a: Self::Int, bits: usize) -> Self::Int {
        a.map(|a| halves(a, |half| half >> bits))
    }

    #[inline(always)]
    fn shift_left(self, a: Self::Int, bits: usize) -> Self::Int {
        a.map(|a| halves(a, |half| half << bits))
    }

    #[inline(always)]
    unsafe fn dots<const R: usize>(
        self,
        _: usize,
        quads: &[Self::Int],
        rows: [*const i8; R],
    ) -> [Self::Int; R] {
        rows.map(|row| {
            let mut sums = [0i32; LANES];
            for (i, quad) in quads.iter().enumerate() {
                // SAFETY: the caller's promise.
                let x = unsafe { row.add(4 * i).cast::<[i8; 4]>().read_unaligned() };
                for (sum, weights) in sums.iter_mut().zip(quad) {
                    for (w, x) in weights.to_ne_bytes().into_iter().zip(x) {
                        *sum += i32::from(w) * i32::from(x);
                    }
                }
            }
            sums.map(|sum| sum as u32)
        })
    }

    #[inline(always)]
    fn to_float(self, a: Self::Int) -> Self::Float {
        a.map(|a| a as i32 as f32)
    }

    #[inline(always)]
    fn byte_to_float<const BYTE: usize>(self, a: Self::Int) -> Self::Float {
        a.map(|a| f32::from((a >> (8 * BYTE)) as u8))
    }

    #[inline(always)]
    fn pair_bf16(self, low: Self::Float, high: Self::Float) -> Self::Int {
        std::array::from_fn(|i| {
            u32::from(round_bf16(low[i])) | u32::from(round_bf16(high[i])) << 16
        })
    }

    #[inline(always)]
    unsafe fn store_bf16(self, at: *mut u8, value: Self::Float) {
        let rounded = value.map(round_bf16);
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[u16; LANES]>().write_unaligned(rounded) }
    }

    #[inline(always)]
    unsafe fn load_halves(self, at: *const u8) -> Self::Float {
        // SAFETY: the caller's promise; any bits are numbers.
        let bits = unsafe { at.cast::<[u16; LANES]>().read_unaligned() };
        bits.map(|bits| f16::from_bits(bits).to_f32())
    }

    #[inline(always)]
    unsafe fn load_upper_halves(self, at: *const u8) -> Self::Float {
        // SAFETY: the caller's promise; any bits are numbers.
        let bits = unsafe { at.cast::<[u16; LANES]>().read_unaligned() };
        bits.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }

    #[inline(always)]
    unsafe fn load_unsigned(self, at: *const u8) -> Self::Float {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[u8; LANES]>().read() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn load_signed(self, at: *const u8) -> Self::Float {
        // SAFETY: the caller's promise; any bits are numbers.
        unsafe { at.cast::<[i8; LANES]>().read() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn load_floats(self, at: *const u8) -> Self::Float {
        // SAFETY: the caller's promise; any bits are numbers.
        unsafe { at.cast::<Self::Float>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_floats(self, at: *mut u8, value: Self::Float) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<Self::Float>().write_unaligned(value) }
    }

    #[inline(always)]
    fn splat(self, a: f32) -> Self::Float {
        [a; LANES]
    }

    #[inline(always)]
    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
}
