//! The instructions of the unit. They are not in stable Rust, so they are written out (Intel's
//! Architecture Instruction Set Extensions reference, chapter 3).

use std::arch::asm;
use std::sync::OnceLock;

use super::{Operands, ROWS};
use crate::compute::simd::Avx512;

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

/// [`Tiles::multiply`] for one shape. What a shape has beside its first tiles of rows (`a0`) and
/// columns (`b0`) comes in: how its sums are loaded, set to zero and stored, the steps along them, and
/// the further operands.
macro_rules! product {
    (
        $o:ident, load $load:tt zero $zero:tt step $step:tt store $store:tt
        $(with $($operand:tt)+)?
    ) => {
        product!(@ $o, $load $zero $step $store [$($($operand)+)?])
    };
    (
        @ $o:ident, [$($load:literal)+] [$($zero:literal)+] [$($step:literal)*] [$($store:literal)+]
        [$($operand:tt)*]
    ) => {
        asm!(
            "test {fresh}, {fresh}",
            "jnz 3f",
            $($load,)+
            "jmp 2f",
            "3:",
            $($zero,)+
            "2:",
            "tileloadd tmm6, [{b0} + {s}*1]",
            "tileloadd tmm4, [{a0} + {s}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            $($step,)*
            "add {a0}, 1024",
            "add {b0}, 1024",
            "dec {n}",
            "jnz 2b",
            $($store,)+
            a0 = inout(reg) $o.rows[0] => _,
            b0 = inout(reg) $o.columns[0] => _,
            c0 = in(reg) $o.sums,
            sc = in(reg) $o.stride,
            s = in(reg) 64usize,
            n = inout(reg) $o.steps => _,
            fresh = in(reg) usize::from($o.fresh),
            $($operand)*
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
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
        // SAFETY: the caller's promise; all registers that are written are named.
        unsafe {
            match shape {
                (2, 2) => product!(
                    o,
                    load [
                        "tileloadd tmm0, [{c0} + {sc}*1]"
                        "tileloadd tmm1, [{c0} + {sc}*1 + 64]"
                        "tileloadd tmm2, [{c1} + {sc}*1]"
                        "tileloadd tmm3, [{c1} + {sc}*1 + 64]"
                    ]
                    zero ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"]
                    step [
                        "tileloadd tmm7, [{b1} + {s}*1]"
                        "tdpbf16ps tmm1, tmm4, tmm7"
                        "tileloadd tmm5, [{a1} + {s}*1]"
                        "tdpbf16ps tmm2, tmm5, tmm6"
                        "tdpbf16ps tmm3, tmm5, tmm7"
                        "add {a1}, 1024"
                        "add {b1}, 1024"
                    ]
                    store [
                        "tilestored [{c0} + {sc}*1], tmm0"
                        "tilestored [{c0} + {sc}*1 + 64], tmm1"
                        "tilestored [{c1} + {sc}*1], tmm2"
                        "tilestored [{c1} + {sc}*1 + 64], tmm3"
                    ]
                    with
                    a1 = inout(reg) o.rows[1] => _,
                    b1 = inout(reg) o.columns[1] => _,
                    c1 = in(reg) lower,
                ),
                (1, 2) => product!(
                    o,
                    load [
                        "tileloadd tmm0, [{c0} + {sc}*1]"
                        "tileloadd tmm1, [{c0} + {sc}*1 + 64]"
                    ]
                    zero ["tilezero tmm0" "tilezero tmm1"]
                    step [
                        "tileloadd tmm7, [{b1} + {s}*1]"
                        "tdpbf16ps tmm1, tmm4, tmm7"
                        "add {b1}, 1024"
                    ]
                    store [
                        "tilestored [{c0} + {sc}*1], tmm0"
                        "tilestored [{c0} + {sc}*1 + 64], tmm1"
                    ]
                    with
                    b1 = inout(reg) o.columns[1] => _,
                ),
                (2, 1) => product!(
                    o,
                    load [
                        "tileloadd tmm0, [{c0} + {sc}*1]"
                        "tileloadd tmm2, [{c1} + {sc}*1]"
                    ]
                    zero ["tilezero tmm0" "tilezero tmm2"]
                    step [
                        "tileloadd tmm5, [{a1} + {s}*1]"
                        "tdpbf16ps tmm2, tmm5, tmm6"
                        "add {a1}, 1024"
                    ]
                    store [
                        "tilestored [{c0} + {sc}*1], tmm0"
                        "tilestored [{c1} + {sc}*1], tmm2"
                    ]
                    with
                    a1 = inout(reg) o.rows[1] => _,
                    c1 = in(reg) lower,
                ),
                _ => product!(
                    o,
                    load ["tileloadd tmm0, [{c0} + {sc}*1]"]
                    zero ["tilezero tmm0"]
                    step []
                    store ["tilestored [{c0} + {sc}*1], tmm0"]
                ),
            }
        }
    }
}
