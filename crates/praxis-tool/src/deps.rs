//! What tools reach the world through. Left out: what only one kind of tools needs, which its file says.

use std::path::PathBuf;
use std::sync::Arc;

use praxis_core::{Approvals, ChatGateway, Embedder};

/// What tools reach the world through. Cloning is cheap.
#[derive(Clone)]
pub struct ToolDeps {
    /// Chat models, for tools that ask one.
    pub chat: Arc<dyn ChatGateway>,
    /// The application's embedder.
    pub embedder: Arc<dyn Embedder>,
    /// Where calls are approved by a person.
    pub approvals: Arc<dyn Approvals>,
    /// The application's folder: relative paths in tool files are below it.
    pub root: PathBuf,
    /// Where tools keep caches and sessions, `.praxis/tools`; it is made when it is needed.
    pub state: PathBuf,
}
