//! What needs no service: arithmetic, units and dates, which are there without a file, and the kinds of tool files
//! that work on this machine: a folder, drafts of e-mails, programs.

mod calculate;
mod convert;
mod date;
pub(crate) mod files;
pub(crate) mod mail;
pub(crate) mod shell;
mod workspace;

use std::sync::Arc;

use praxis_core::{Function, Problem};

/// The folder of names of what is there without a file.
pub(crate) const NAMESPACE: &str = "praxis";

/// The functions that are there without a file: pure, and safe for anybody.
pub(crate) fn functions() -> [Result<Arc<dyn Function>, Problem>; 3] {
    [
        calculate::function(),
        convert::function(),
        date::function(jiff::Timestamp::now),
    ]
}

/// Their names.
pub(crate) fn names() -> Vec<String> {
    [calculate::NAME, convert::NAME, date::NAME]
        .map(str::to_owned)
        .to_vec()
}
