//! `praxis mcp`: the application as a server of the Model Context Protocol over standard input and output, for desktop
//! clients that start it. Nothing but the protocol is written to standard output. Left out: what is offered, which is
//! `praxis_api::mcp`'s, as at `/mcp` of `praxis serve`.

use praxis_api::AppInfo;
use praxis_api::mcp::{Server, serve_stdio};
use praxis_core::CallContext;

use crate::app::App;
use crate::cli::Mcp;
use crate::ui::Failure;

/// Serves the client that started it, until that closes standard input.
///
/// # Errors
/// A client that does not begin as the protocol says.
pub async fn run(app: &App, args: Mcp) -> Result<(), Failure> {
    let info = &app.project.config.app;
    let info = AppInfo {
        title: info.title.clone().unwrap_or_else(|| app.project.name()),
        description: info.description.clone().unwrap_or_default(),
        suggestions: Vec::new(),
    };
    let server = Server::new(&info, &app.library, &app.knowledge, &app.store);
    let (sink, caller) = (app.sink(), args.asker.caller());
    // Each request is a call of its own, with a trace of its own.
    let context = move || CallContext::new(sink.clone()).with_caller(caller.clone());
    Ok(serve_stdio(server, context).await?)
}
