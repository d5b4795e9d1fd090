//! What stands between a function of a tool and all who call it: the policy of its file, a person's approval, limits,
//! what is known of content from outside, and the log.
//!
//! [`Guarded`] holds one function to its policy; `approved` makes calls that waited. Left out: where approvals, limits
//! and the log are kept (`praxis_core::Approvals`), and who may approve (the API and the command line).

mod approved;
mod config;
mod excerpt;
mod frame;
mod guarded;
mod hidden;
mod policy;
mod rules;
mod told;

pub(crate) use approved::{APPROVED, approved};
pub use config::PolicyConfig;
pub(crate) use guarded::Guarded;
