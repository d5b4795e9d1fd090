//! The arithmetic that decoders and encoders share: matrices and their products, vector
//! instructions, the small functions of a transformer. It knows numbers and files of them; what
//! they mean is the models' business.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(not(target_arch = "x86_64"))]
#[path = "amx_absent.rs"]
pub(crate) mod amx;
pub(crate) mod bulk;
pub(crate) mod line;
pub(crate) mod linear;
pub(crate) mod low_rank;
pub(crate) mod math;
mod packed;
mod shared;
pub(crate) mod simd;

pub(crate) use linear::Rounded;
pub(crate) use shared::Disjoint;
