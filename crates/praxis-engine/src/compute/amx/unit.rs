//! The matrix unit of Intel's servers since 2023 (AMX with bfloat16): products of tiles of 16 rows
//! with 32 values each, summed in single precision. Its instructions are not in stable Rust, so they
//! are written out (Intel's Architecture Instruction Set Extensions reference, chapter 3).
//!
//! Here are the instructions alone; what the tiles hold is the business of [`super::packed`] and of
//! attention.

use std::arch::asm;
use std::sync::OnceLock;

use super::simd::Avx512;

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;
/// Values of one row of activations in a tile, multiplied in one step.
pub(crate) const DEPTH: usize = 32;

/// Proof that the processor has the unit and that the system lets this process use it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amx(());

impl Amx {
    /// Asks the processor and, once, the system.
    pub(crate) fn detect() -> Option<Self> {
        static THERE: OnceLock<bool> = OnceLock::new();
        // Tiles are filled by registers of 16 lanes.
        THERE
            .get_or_init(|| Avx512::detect().is_some() && processor_has() && permitted())
            .then_some(Self(()))
    }

    /// Makes all eight tile registers 16 rows of 64 bytes until the value is dropped. Tiles belong to
    /// the thread that configured them, so it must not be sent away.
    #[inline(always)]
    pub(crate) fn configure(self) -> Tiles {
        /// Palette 1 with rows of 64 bytes (from byte 16, two bytes each) and 16 rows (from byte 48)
        /// for eight registers.
        #[repr(align(64))]
        struct Config([u8; 64]);
        const CONFIG: Config = {
            let mut bytes = [0; 64];
            bytes[0] = 1;
            let mut register = 0;
            while register < 8 {
                bytes[16 + 2 * register] = 64;
                bytes[48 + register] = 16;
                register += 1;
            }
            Config(bytes)
        };
        static SHAPE: Config = CONFIG;
        // SAFETY: `self` proves that the processor has the instruction; it reads 64 bytes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) SHAPE.0.as_ptr(), options(nostack, readonly),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _);
        }
        Tiles(std::marker::PhantomData)
    }
}

fn processor_has() -> bool {
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    if std::arch::x86_64::__get_cpuid_max(0).0 < 7 {
        return false;
    }
    std::arch::x86_64::__cpuid_count(7, 0).edx & BF16_AND_TILES == BF16_AND_TILES
}

/// Asks Linux for the tile registers, which it gives only on request (`arch_prctl(2)`); other
/// systems are not asked.
fn permitted() -> bool {
    #[cfg(target_os = "linux")]
    {
        const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
        const XTILEDATA: usize = 18;
        const SYS_ARCH_PRCTL: isize = 158;
        let result: isize;
        // SAFETY: the call changes nothing but the permission; its clobbers are named.
        unsafe {
            asm!("syscall", inlateout("rax") SYS_ARCH_PRCTL => result,
                in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XTILEDATA,
                lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        result == 0
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Tile registers that are ready for use.
pub(crate) struct Tiles(std::marker::PhantomData<*mut ()>);

impl Drop for Tiles {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the registers were configured by this thread.
        unsafe {
            asm!("tilerelease", options(nostack, nomem),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _);
        }
    }
}

/// What [`Tiles::multiply`] works on: up to two tiles of rows and two of columns.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    /// Tiles of 16 rows by 32 bfloat16 values, `steps` of them one behind the other, for each tile of
    /// rows.
    pub(crate) rows: [*const u8; 2],
    /// Tiles of 16 pairs of values by 16 columns, likewise.
    pub(crate) columns: [*const u8; 2],
    /// Where the sums lie: a row of floats for each row, the second tile of columns behind the first.
    pub(crate) sums: *mut f32,
    /// Bytes from one row of sums to the next.
    pub(crate) stride: usize,
    /// Tiles along the sum.
    pub(crate) steps: usize,
    /// Whether the sums begin here, whatever is in their place.
    pub(crate) fresh: bool,
}

impl Tiles {
    /// Asks for two tiles' sums ahead of [`Tiles::multiply`], to be written; the address may be
    /// anything.
    #[inline(always)]
    pub(crate) fn expect(&self, sums: *mut f32, stride: usize, rows: usize) {
        for row in 0..rows {
            let at = sums.wrapping_byte_add(row * stride);
            // SAFETY: a hint, which changes nothing and cannot fail.
            unsafe {
                asm!("prefetchw [{0}]", "prefetchw [{0} + 64]", in(reg) at,
                    options(nostack, readonly, preserves_flags));
            }
        }
    }

    /// `sums[i, j] += sum_k rows[i, k] * columns[k, j]` for one or two tiles of rows and of columns
    /// (`shape`). Every sum is added up in the same order whatever the others are.
    ///
    /// # Safety
    /// The pointers lead to as many tiles and rows of sums as `shape` and `steps` say.
    #[inline(always)]
    pub(crate) unsafe fn multiply(&self, shape: (usize, usize), o: Operands) {
        if o.steps == 0 {
            return;
        }
        let lower = o.sums.wrapping_byte_add(ROWS * o.stride);
        let fresh = usize::from(o.fresh);
        // SAFETY: the caller's promise; all registers that are written are named.
        unsafe {
            match shape {
                (2, 2) => asm!(
                    "test {fresh}, {fresh}",
                    "jnz 3f",
                    "tileloadd tmm0, [{c0} + {sc}*1]",
                    "tileloadd tmm1, [{c0} + {sc}*1 + 64]",
                    "tileloadd tmm2, [{c1} + {sc}*1]",
                    "tileloadd tmm3, [{c1} + {sc}*1 + 64]",
                    "jmp 2f",
                    "3:",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm6, [{b0} + {s}*1]",
                    "tileloadd tmm4, [{a0} + {s}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{b1} + {s}*1]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{a1} + {s}*1]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {a0}, 1024",
                    "add {a1}, 1024",
                    "add {b0}, 1024",
                    "add {b1}, 1024",
                    "dec {n}",
                    "jnz 2b",
                    "tilestored [{c0} + {sc}*1], tmm0",
                    "tilestored [{c0} + {sc}*1 + 64], tmm1",
                    "tilestored [{c1} + {sc}*1], tmm2",
                    "tilestored [{c1} + {sc}*1 + 64], tmm3",
                    a0 = inout(reg) o.rows[0] => _, b0 = inout(reg) o.columns[0] => _,
                    a1 = inout(reg) o.rows[1] => _, c1 = in(reg) lower,
                    b1 = inout(reg) o.columns[1] => _,
                    c0 = in(reg) o.sums, sc = in(reg) o.stride, fresh = in(reg) fresh,
                    s = in(reg) 64usize, n = inout(reg) o.steps => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                ),
                (1, 2) => asm!(
                    "test {fresh}, {fresh}",
                    "jnz 3f",
                    "tileloadd tmm0, [{c0} + {sc}*1]",
                    "tileloadd tmm1, [{c0} + {sc}*1 + 64]",
                    "jmp 2f",
                    "3:",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "2:",
                    "tileloadd tmm6, [{b0} + {s}*1]",
                    "tileloadd tmm4, [{a0} + {s}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{b1} + {s}*1]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "add {a0}, 1024",
                    "add {b0}, 1024",
                    "add {b1}, 1024",
                    "dec {n}",
                    "jnz 2b",
                    "tilestored [{c0} + {sc}*1], tmm0",
                    "tilestored [{c0} + {sc}*1 + 64], tmm1",
                    a0 = inout(reg) o.rows[0] => _, b0 = inout(reg) o.columns[0] => _,
                    b1 = inout(reg) o.columns[1] => _,
                    c0 = in(reg) o.sums, sc = in(reg) o.stride, fresh = in(reg) fresh,
                    s = in(reg) 64usize, n = inout(reg) o.steps => _,
                    out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                ),
                (2, 1) => asm!(
                    "test {fresh}, {fresh}",
                    "jnz 3f",
                    "tileloadd tmm0, [{c0} + {sc}*1]",
                    "tileloadd tmm2, [{c1} + {sc}*1]",
                    "jmp 2f",
                    "3:",
                    "tilezero tmm0",
                    "tilezero tmm2",
                    "2:",
                    "tileloadd tmm6, [{b0} + {s}*1]",
                    "tileloadd tmm4, [{a0} + {s}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm5, [{a1} + {s}*1]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "add {a0}, 1024",
                    "add {a1}, 1024",
                    "add {b0}, 1024",
                    "dec {n}",
                    "jnz 2b",
                    "tilestored [{c0} + {sc}*1], tmm0",
                    "tilestored [{c1} + {sc}*1], tmm2",
                    a0 = inout(reg) o.rows[0] => _, b0 = inout(reg) o.columns[0] => _,
                    a1 = inout(reg) o.rows[1] => _, c1 = in(reg) lower,
                    c0 = in(reg) o.sums, sc = in(reg) o.stride, fresh = in(reg) fresh,
                    s = in(reg) 64usize, n = inout(reg) o.steps => _,
                    out("tmm0") _, out("tmm2") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
                    options(nostack),
                ),
                _ => asm!(
                    "test {fresh}, {fresh}",
                    "jnz 3f",
                    "tileloadd tmm0, [{c0} + {sc}*1]",
                    "jmp 2f",
                    "3:",
                    "tilezero tmm0",
                    "2:",
                    "tileloadd tmm6, [{b0} + {s}*1]",
                    "tileloadd tmm4, [{a0} + {s}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "add {a0}, 1024",
                    "add {b0}, 1024",
                    "dec {n}",
                    "jnz 2b",
                    "tilestored [{c0} + {sc}*1], tmm0",
                    a0 = inout(reg) o.rows[0] => _, b0 = inout(reg) o.columns[0] => _,
                    c0 = in(reg) o.sums, sc = in(reg) o.stride, fresh = in(reg) fresh,
                    s = in(reg) 64usize, n = inout(reg) o.steps => _,
                    out("tmm0") _, out("tmm4") _, out("tmm6") _,
                    options(nostack),
                ),
            }
        }
    }
}
