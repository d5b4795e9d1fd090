//! Tells an unfit processor in words, where an illegal instruction would otherwise end the program.

/// The instruction sets that this build uses and this processor lacks, or `None` if it has all.
///
/// The build enables them at compile time, so `is_x86_feature_detected!` would answer without
/// looking: CPUID is asked directly (Intel SDM vol. 2A, CPUID leaves 1 and 7).
#[cfg(target_arch = "x86_64")]
pub fn missing_features() -> Option<String> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let basic = __cpuid(1);
    let extended = if __cpuid(0).eax >= 7 {
        __cpuid_count(7, 0).ebx
    } else {
        0
    };
    let missing: Vec<&str> = [
        ("AVX", basic.ecx & (1 << 28)),
        ("FMA", basic.ecx & (1 << 12)),
        ("F16C", basic.ecx & (1 << 29)),
        ("AVX2", extended & (1 << 5)),
    ]
    .into_iter()
    .filter_map(|(name, bit)| (bit == 0).then_some(name))
    .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// Other architectures need nothing beyond their baseline.
#[cfg(not(target_arch = "x86_64"))]
pub fn missing_features() -> Option<String> {
    None
}
