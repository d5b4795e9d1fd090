//! `praxis embed`, `similar`, `classify`, `cluster`, `recommend`: embeddings as a tool, on texts of a
//! file or of the command line. They need no application; in one, its embedder is the default.

mod classify;
mod cluster;
mod embed;
mod items;
mod similar;

pub use classify::run as classify;
pub use cluster::run as cluster;
pub use embed::run as embed;
pub use similar::{recommend, similar};

use std::sync::Arc;

use praxis_core::{EmbedKind, Embedder};
use praxis_gateway::Gateway;
use praxis_hub::Cache;
use praxis_tool::Toolbox;

use self::items::Item;
use crate::app::{self, Project};
use crate::cli::Global;
use crate::config::AppConfig;
use crate::ui::{self, Failure};

/// Texts that are embedded in one call.
const BATCH: usize = 64;

/// The embedder of a name, or the application's, or the default of an application that says nothing.
pub(super) fn embedder(model: Option<&str>, global: &Global) -> Result<Arc<dyn Embedder>, Failure> {
    let project = match app::find_root(global.app.as_deref()) {
        Ok(root) => Project::load(root)?,
        Err(failure) if global.app.is_some() => return Err(failure),
        Err(_) => Project {
            root: ".".into(),
            config: AppConfig::default(),
            bases: Vec::new(),
            toolbox: Toolbox::default(),
            tools: Vec::new(),
            warnings: Vec::new(),
            moderator: Arc::default(),
        },
    };
    let cache = Cache::open(None).map_err(|e| Failure::message(e.to_string()))?;
    let gateway = Gateway::new(project.config.gateway().rooted(&project.root), cache)
        .map_err(|e| Failure::message(e.to_string()))?;
    gateway
        .embedder(model)
        .map_err(|e| Failure::message(e.to_string()))
}

/// The vectors of some texts, with a bar where there are many.
pub(super) async fn vectors(
    embedder: &dyn Embedder,
    kind: EmbedKind,
    texts: Vec<String>,
) -> Result<Vec<Vec<f32>>, Failure> {
    let progress = ui::count_bar(&ui::progress_group(), "texts", texts.len() as u64);
    let mut made = Vec::with_capacity(texts.len());
    let mut texts = texts.into_iter();
    loop {
        let batch: Vec<String> = texts.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            progress.finish_and_clear();
            return Ok(made);
        }
        let count = batch.len() as u64;
        let batch = embedder.embed(kind, batch).await;
        made.extend(batch.map_err(|e| Failure::message(e.to_string()))?);
        progress.inc(count);
    }
}

fn texts(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| item.text.clone()).collect()
}
