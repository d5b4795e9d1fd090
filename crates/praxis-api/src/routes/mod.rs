//! Handlers, a module for each resource.

pub(crate) mod chat;
pub(crate) mod embeddings;
pub(crate) mod files;
mod form;
pub(crate) mod functions;
pub(crate) mod health;
pub(crate) mod knowledge;
mod messages;
pub(crate) mod models;
mod paging;
pub(crate) mod preview;
mod tools;
pub(crate) mod traces;
pub(crate) mod usage;
pub(crate) mod vector_stores;
