//! `praxis search`: passages as retrieval sees them, with scores.

use praxis_core::{CallContext, Passage, Retriever};
use serde_json::json;

use super::call::{excerpt, place};
use crate::app::App;
use crate::cli::{Global, Search};
use crate::ui::{self, BOLD, DIM, Failure};

/// Searches and prints the passages.
///
/// # Errors
/// An unknown base, or a missing embedder.
pub async fn run(app: &App, args: Search, global: &Global) -> Result<(), Failure> {
    let cx = CallContext::new(app.sink()).with_cancel(super::cancel_on_ctrl_c());
    let bases = super::ingest::selected(app, args.base.as_deref())?;
    let mut found = Vec::new();
    let mut threshold = 0.0;
    for base in &bases {
        let retrieval = app
            .knowledge
            .search(base, &args.query, args.limit, &cx)
            .await?;
        threshold = retrieval.threshold;
        found.extend(retrieval.passages.into_iter().map(|p| (base.clone(), p)));
    }
    if bases.len() > 1 {
        found.sort_by(|(_, a), (_, b)| b.relevance.total_cmp(&a.relevance));
        found.truncate(args.limit);
    }
    if global.json {
        let passages: Vec<_> = found
            .iter()
            .map(|(base, passage)| json!({ "base": base, "passage": passage }))
            .collect();
        ui::out_json(&json!({ "passages": passages, "threshold": threshold }));
        return Ok(());
    }
    if found.is_empty() {
        ui::note("nothing found; `praxis knowledge documents` shows what is there");
    }
    for (i, (_, passage)) in found.iter().enumerate() {
        print(i + 1, passage);
    }
    Ok(())
}

fn print(rank: usize, passage: &Passage) {
    ui::out(format!(
        "{rank:>2}. {}  {}",
        ui::paint(BOLD, place(passage)),
        ui::paint(
            DIM,
            format_args!(
                "score {:.3}, relevance {:.2}",
                passage.score, passage.relevance
            )
        )
    ));
    ui::out(format!("    {}", excerpt(&passage.text, 220)));
}
