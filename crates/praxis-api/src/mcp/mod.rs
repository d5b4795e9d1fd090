//! The application as a server of the Model Context Protocol: its functions are tools, its documents are resources, its
//! prompt files are prompts. Over HTTP at `/mcp`, and over standard input and output for programs on the same machine.
//!
//! The protocol is the `rmcp` crate's (revisions 2024-11-05 to 2026-07-28). [`Server`] is what is offered; it is made
//! of the application and can be given more. `handler` answers requests, `http` and `sessions` say who may ask and how
//! long a session lasts. Left out: being a client of other servers (`praxis-tool`).

mod asking;
mod call;
mod completion;
mod content;
mod documents;
mod handler;
mod http;
mod page;
mod prompt;
mod server;
mod sessions;
mod stdio;
mod taints;
mod telling;
mod tool;
mod watch;

pub use self::asking::Halt;
pub use self::call::Call;
pub(crate) use self::http::router;
pub use self::server::{Listed, Server, ServerPrompt, ServerResources, ServerTool};
pub use self::stdio::serve_stdio;

#[cfg(test)]
pub(crate) mod tests;
