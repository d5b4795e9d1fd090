//! The arithmetic that decoders and encoders share: matrices and their products, vector
//! instructions, the small functions of a transformer. It knows numbers and files of them; what
//! they mean is the models' business.

pub(crate) mod amx;
pub(crate) mod bulk;
mod floats;
pub(crate) mod line;
pub(crate) mod linear;
pub(crate) mod low_rank;
pub(crate) mod math;
mod packed;
mod pages;
mod rotated;
mod shared;
pub(crate) mod simd;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod testing;
pub(crate) mod unit;

pub(crate) use linear::Rounded;
pub(crate) use shared::Disjoint;
