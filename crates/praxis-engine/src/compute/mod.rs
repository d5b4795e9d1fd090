//! The arithmetic that decoders and encoders share: matrices and their products, vector
//! instructions, the small functions of a transformer. It knows numbers and files of them; what
//! they mean is the models' business.

mod floats;
pub(crate) mod linear;
pub(crate) mod math;
mod packed;
mod pages;
mod shared;
pub(crate) mod simd;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod testing;

pub(crate) use packed::Activations;
pub(crate) use shared::Disjoint;
