//! Handlers, a module for each resource.

pub(crate) mod approvals;
pub(crate) mod audio;
pub(crate) mod batches;
pub(crate) mod bias;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod conversations;
pub(crate) mod embeddings;
pub(crate) mod extras;
pub(crate) mod feedback;
pub(crate) mod files;
mod form;
pub(crate) mod functions;
#[cfg(test)]
mod guarded;
pub(crate) mod health;
pub(crate) mod knowledge;
pub(crate) mod later;
mod messages;
pub(crate) mod models;
pub(crate) mod moderations;
pub(crate) mod paging;
pub(crate) mod preview;
pub(crate) mod responses;
mod tools;
pub(crate) mod traces;
pub(crate) mod uploads;
pub(crate) mod usage;
pub(crate) mod vector_stores;
