//! What the kernels need of a processor: one set of vector instructions behind a trait, so that a
//! kernel is written once and compiled for each. A value of an implementing type proves that the
//! processor has the instructions; it can only be made by asking it.

/// An instruction that works on registers, or on memory that the caller vouches for.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! instruction {
    ($call:expr) => {
        // SAFETY: `self` proves that the processor has the instruction; where it reads or writes
        // memory, that is the caller's promise.
        unsafe { $call }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(not(target_arch = "aarch64"), test))]
mod portable;

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
use neon::Neon;
#[cfg(any(not(target_arch = "aarch64"), test))]
use portable::Portable;

/// Whether dots are one instruction where the processor has it.
const DOTS: bool = true;
/// Dots through products of 16 bits.
const NO_DOTS: bool = false;

/// A computation that is compiled once for each instruction set.
pub(crate) trait Kernel {
    /// What comes of it.
    type Output;

    /// Computes. Implementations are `#[inline(always)]`, and so is all that they call with
    /// `isa`, closures of other functions excepted: code that is not inlined into [`Isa::run`] is
    /// compiled without the instructions, and slow.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

/// Runs a kernel with the best instructions that the processor has.
#[cfg(target_arch = "x86_64")]
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    if let Some(isa) = Avx512::detect() {
        return isa.run(kernel);
    }
    if let Some(isa) = Avx2::<DOTS>::detect() {
        return isa.run(kernel);
    }
    if let Some(isa) = Avx2::<NO_DOTS>::detect() {
        return isa.run(kernel);
    }
    Portable.run(kernel)
}

/// Runs a kernel with the best instructions that the processor has.
#[cfg(target_arch = "aarch64")]
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    match Neon::<DOTS>::detect() {
        Some(isa) => isa.run(kernel),
        None => Neon::<NO_DOTS>::BASELINE.run(kernel),
    }
}

/// Runs a kernel with the best instructions that the processor has.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    Portable.run(kernel)
}

/// Runs a kernel with all instructions that the processor has, by their names.
#[cfg(test)]
pub(crate) fn all<K: Kernel>(mut kernel: impl FnMut() -> K) -> Vec<(&'static str, K::Output)> {
    let mut all = vec![("portable", Portable.run(kernel()))];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(Avx2::<NO_DOTS>::detect().map(|isa| ("avx2", isa.run(kernel()))));
        all.extend(Avx2::<DOTS>::detect().map(|isa| ("avx-vnni", isa.run(kernel()))));
        all.extend(Avx512::detect().map(|isa| ("avx512", isa.run(kernel()))));
    }
    #[cfg(target_arch = "aarch64")]
    {
        all.push(("neon", Neon::<NO_DOTS>::BASELINE.run(kernel())));
        all.extend(Neon::<DOTS>::detect().map(|isa| ("neon-dotprod", isa.run(kernel()))));
    }
    all
}

/// For how many quads the products of weights of so many unsigned bits (8: signed) with activations
/// may be summed up in 16 bits, two products of a quad at a time.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const fn quads_in_16_bits(bits: usize) -> usize {
    match bits {
        ..=4 => 8,
        5 => 4,
        6 => 2,
        _ => 1,
    }
}

/// Vector registers of 32-bit lanes and the instructions on them.
pub(crate) trait Isa: Copy + Send + Sync + 'static {
    /// Lanes of a register, which is also the number of weight rows in a tile.
    const LANES: usize;
    /// Rows of activations that share the load of a weight when there are many: as many as leave
    /// registers for their sums.
    const ROWS: usize;
    /// Whether [`Isa::dots`] takes 8-bit weights as they were before 128 was added to them.
    const CENTERED: bool;
    /// The most bits of weights for which [`Isa::dots`] needs no step for a sign.
    const FAST_BITS: usize;
    /// 32 bits a lane: four small integers, or one.
    type Int: Copy;
    /// One single-precision number a lane.
    type Float: Copy;

    /// Runs a kernel compiled for these instructions.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;

    /// Loads a register.
    ///
    /// # Safety
    /// `4 * LANES` bytes can be read.
    unsafe fn load(self, at: *const u8) -> Self::Int;

    /// Stores a register.
    ///
    /// # Safety
    /// `4 * LANES` bytes can be written.
    unsafe fn store(self, at: *mut u8, value: Self::Int);

    /// Asks for a line of the cache, whether or not the address is one of the program's.
    fn prefetch(self, at: *const u8);

    /// The byte in all places.
    fn bytes(self, byte: u8) -> Self::Int;

    /// Bitwise and.
    fn and(self, a: Self::Int, b: Self::Int) -> Self::Int;

    /// Bitwise or.
    fn or(self, a: Self::Int, b: Self::Int) -> Self::Int;

    /// Shifts 16-bit parts.
    fn shift_right(self, a: Self::Int, bits: usize) -> Self::Int;

    /// Shifts 16-bit parts.
    fn shift_left(self, a: Self::Int, bits: usize) -> Self::Int;

    /// For each of `R` rows of activations: the sum over all quads, a multiple of four, of the products of four unsigned
    /// weights of `bits` bits a lane with the row's four signed activations of that quad.
    ///
    /// # Safety
    /// Each row can be read as far as there are quads.
    unsafe fn dots<const R: usize>(
        self,
        bits: usize,
        quads: &[Self::Int],
        rows: [*const i8; R],
    ) -> [Self::Int; R];

    /// Whole numbers as floats.
    fn to_float(self, a: Self::Int) -> Self::Float;

    /// One byte of every lane, unsigned, as a float; the lowest is byte 0.
    fn byte_to_float<const BYTE: usize>(self, a: Self::Int) -> Self::Float;

    /// Two floats a lane, rounded to the nearest bfloat16 numbers (halves away from zero), the
    /// first in the lower half.
    fn pair_bf16(self, low: Self::Float, high: Self::Float) -> Self::Int;

    /// Stores one bfloat16 number a lane, rounded as by [`Isa::pair_bf16`].
    ///
    /// # Safety
    /// `2 * LANES` bytes can be written.
    unsafe fn store_bf16(self, at: *mut u8, value: Self::Float);

    /// Loads one half-precision number a lane.
    ///
    /// # Safety
    /// `2 * LANES` bytes can be read.
    unsafe fn load_halves(self, at: *const u8) -> Self::Float;

    /// Loads the upper half of one single-precision number (bfloat16) a lane.
    ///
    /// # Safety
    /// `2 * LANES` bytes can be read.
    unsafe fn load_upper_halves(self, at: *const u8) -> Self::Float;

    /// Loads one unsigned byte a lane.
    ///
    /// # Safety
    /// `LANES` bytes can be read.
    unsafe fn load_unsigned(self, at: *const u8) -> Self::Float;

    /// Loads one signed byte a lane.
    ///
    /// # Safety
    /// `LANES` bytes can be read.
    unsafe fn load_signed(self, at: *const u8) -> Self::Float;

    /// Loads one float a lane.
    ///
    /// # Safety
    /// `4 * LANES` bytes can be read.
    unsafe fn load_floats(self, at: *const u8) -> Self::Float;

    /// Stores one float a lane.
    ///
    /// # Safety
    /// `4 * LANES` bytes can be written.
    unsafe fn store_floats(self, at: *mut u8, value: Self::Float);

    /// The number in all lanes.
    fn splat(self, a: f32) -> Self::Float;

    /// `a + b`.
    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float;

    /// `a * b`.
    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float;

    /// `a * b + c`.
    fn mul_add(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;
}

#[cfg(test)]
mod tests;
