//! The protocol over standard input and output, for a program on the same machine that starts this one. Left out: who
//! it asks for, which whoever starts it says.

use std::sync::Arc;

use praxis_core::taint::Taint;
use praxis_core::{CallContext, CallError, ErrorCode};
use praxis_store::Scope;
use rmcp::ServiceExt;
use rmcp::model::Extensions;
use rmcp::service::ServerInitializeError;

use super::handler::{Contexts, Handler};
use super::server::Server;

/// Serves one client over standard input and output until it closes them. Nothing else may write to standard output.
/// `context` gives the context of each request.
///
/// # Errors
/// A client that does not begin as the protocol says.
pub async fn serve_stdio(
    server: Server,
    context: impl Fn() -> CallContext + Send + Sync + 'static,
) -> Result<(), CallError> {
    // One client: what a request of it has read, all that follow know of.
    let taint = Taint::default();
    let contexts: Contexts =
        Arc::new(move |_: &Extensions, _: Scope| Ok(context().with_taint(taint.clone())));
    let handler = Handler::new(Arc::new(server), contexts);
    let running = match handler.serve(rmcp::transport::stdio()).await {
        Ok(running) => running,
        // Whoever only looked whether the program starts has closed its input again.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => {
            let message = format!("the client did not begin a session: {error}");
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("`praxis mcp` is started by a client of the Model Context Protocol"));
        }
    };
    running.waiting().await.map_err(CallError::failure)?;
    Ok(())
}
