//! Tools: functions from outside. A file `tools/NAME.KIND.toml` makes functions of a service, a database, a program
//! or a folder, and every prompt, every client of the API and every MCP client calls them like any other function.
//!
//! [`Toolbox`] reads the files, a module each makes the functions of one kind, and `safety` stands between a
//! function and all who call it. `work` checks what a caller gives. Left out: who calls tools (`praxis-function`, the
//! API, the command line), and what a model is told of them (the gateway).

mod builtin;
mod deps;
mod disk;
pub mod egress;
mod http;
mod keep;
mod mcp;
mod mend;
mod openapi;
mod python;
mod safety;
pub mod sandbox;
mod search;
mod select;
pub mod sql;
mod text;
mod toolbox;
mod trim;
mod vectors;
mod web;
mod work;

pub use deps::ToolDeps;
pub use mcp::{login as mcp_login, logout as mcp_logout};
pub use python::{Proposal, Proposals, Tried};
pub use select::Selector;
pub use toolbox::{Loaded, Names, Toolbox};
