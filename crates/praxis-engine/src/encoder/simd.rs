//! Functions compiled twice: for every processor, and for those with AVX2 and FMA, chosen at run
//! time. The bodies are plain loops that the compiler vectorizes.
//!
//! NEON belongs to every 64-bit ARM processor and needs no choice.

/// Whether the processor has AVX2 and FMA. The standard library remembers the answer.
#[inline]
pub(crate) fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Defines a function whose body is compiled for both kinds of processors.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $kind),*) {
            #[inline(always)]
            fn plain($($arg: $kind),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $kind),*) {
                plain($($arg),*);
            }

            #[cfg(target_arch = "x86_64")]
            if $crate::encoder::simd::has_avx2() {
                // SAFETY: the processor has AVX2 and FMA, as just checked.
                unsafe { avx2($($arg),*) };
                return;
            }
            plain($($arg),*);
        }
    };
}

pub(crate) use vectorized;
