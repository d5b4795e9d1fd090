//! `praxis knowledge`: what the bases hold, and whether their indexes are whole.

use serde_json::json;

use crate::app::App;
use crate::cli::{Global, Knowledge};
use crate::ui::{self, BOLD, Failure, GREEN, RED};

/// Lists, rebuilds or checks.
///
/// # Errors
/// An unknown base, or an index that fails its check.
pub async fn run(app: &App, args: Knowledge, global: &Global) -> Result<(), Failure> {
    match args {
        Knowledge::Documents { base } => documents(app, base.as_deref(), global).await,
        Knowledge::Rebuild { base } => rebuild(app, base.as_deref(), global).await,
        Knowledge::Check { base } => check(app, base.as_deref(), global).await,
    }
}

async fn documents(app: &App, base: Option<&str>, global: &Global) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for base in super::ingest::selected(app, base)? {
        for document in app.knowledge.documents(&base).await? {
            let state = match &document.error {
                Some(error) => ui::paint(RED, super::call::excerpt(error, 60)),
                None => ui::paint(GREEN, "ok"),
            };
            rows.push(vec![
                base.clone(),
                document.uri.clone(),
                document.title.clone(),
                document.chunks.to_string(),
                ui::bytes(document.size),
                state,
            ]);
            all.push(json!({ "base": base, "document": document }));
        }
    }
    if global.json {
        ui::out_json(&json!({ "documents": all }));
    } else if rows.is_empty() {
        ui::note("no documents yet; put files into the source folder and run `praxis ingest`");
    } else {
        ui::out(ui::table(
            &["base", "document", "title", "chunks", "size", "state"],
            &rows,
        ));
    }
    Ok(())
}

async fn rebuild(app: &App, base: Option<&str>, global: &Global) -> Result<(), Failure> {
    let mut done = Vec::new();
    for base in super::ingest::selected(app, base)? {
        let chunks = app.knowledge.rebuild(&base).await?;
        if !global.json {
            ui::out(format!(
                "{} {base}: {chunks} chunks indexed",
                ui::paint(GREEN, "ok")
            ));
        }
        done.push(json!({ "base": base, "chunks": chunks }));
    }
    if global.json {
        ui::out_json(&json!({ "bases": done }));
    }
    Ok(())
}

async fn check(app: &App, base: Option<&str>, global: &Global) -> Result<(), Failure> {
    let mut reports = Vec::new();
    let mut broken = Vec::new();
    for base in super::ingest::selected(app, base)? {
        let report = app.knowledge.check(&base).await?;
        if !report.is_clean() {
            broken.push(base.clone());
        }
        if !global.json {
            let mark = if report.is_clean() {
                ui::paint(GREEN, "ok")
            } else {
                ui::paint(RED, "broken")
            };
            ui::out(format!("{mark} {} {report}", ui::paint(BOLD, &base)));
        }
        reports.push(json!({ "base": base, "report": report }));
    }
    if global.json {
        ui::out_json(&json!({ "bases": reports }));
    }
    match broken.first() {
        None => Ok(()),
        Some(base) => Err(
            Failure::message(format!("the index of `{base}` is not whole"))
                .with_help(format!("praxis knowledge rebuild {base}")),
        ),
    }
}
