//! `praxis knowledge`: what the bases hold, whether their indexes are whole, and what a file would become.
//! Left out: learning how a base is best searched (`tune`), moving it to another embedder (`reembed`), and its
//! graph (`graph`).

mod graph;
mod reembed;
mod tune;

use std::path::Path;

use praxis_knowledge::{BaseConfig, Counting, Preview, RebuildReport, preview_file};
use serde_json::json;

use crate::app::App;
use crate::cli::{Asker, Global, Knowledge};
use crate::ui::{self, BOLD, DIM, Failure, GREEN, RED, YELLOW};

/// Characters of a chunk that are shown, unless all are asked for.
const SHOWN: usize = 220;

/// Previews, lists, rebuilds, checks or tunes.
///
/// # Errors
/// An unknown base, an index that fails its check, or labels that nothing can be learned from.
pub async fn run(app: &App, args: Knowledge, global: &Global) -> Result<(), Failure> {
    match args {
        Knowledge::Preview { file, base, full } => {
            preview(app, &file, base.as_deref(), full, global).await
        }
        Knowledge::Documents { base, asker } => {
            documents(app, base.as_deref(), &asker, global).await
        }
        Knowledge::Rebuild { base } => rebuild(app, base.as_deref(), global).await,
        Knowledge::Check { base } => check(app, base.as_deref(), global).await,
        Knowledge::Reembed { base, to } => {
            reembed::run(app, base.as_deref(), to.as_deref(), global).await
        }
        Knowledge::Tune { base, data, write } => tune::run(app, &base, &data, write, global).await,
        Knowledge::Graph(args) => graph::run(app, args, global).await,
    }
}

async fn preview(
    app: &App,
    file: &Path,
    base: Option<&str>,
    full: bool,
    global: &Global,
) -> Result<(), Failure> {
    let only = match app.project.bases.as_slice() {
        [(only, _)] => Some(only.as_str()),
        _ => None,
    };
    let base = match base {
        Some(named) => super::ingest::selected(app, Some(named))?.pop(),
        None => only.map(str::to_owned),
    };
    match base {
        Some(base) => {
            let preview = app.knowledge.preview(&base, file).await?;
            show(&preview, full, global);
            Ok(())
        }
        None => preview_alone(file, full, global),
    }
}

/// Previews a file without an application, with the default settings.
///
/// # Errors
/// A file that cannot be read.
pub fn preview_alone(file: &Path, full: bool, global: &Global) -> Result<(), Failure> {
    let preview = preview_file(file, &BaseConfig::default(), &Counting::approximate())?;
    show(&preview, full, global);
    Ok(())
}

fn show(preview: &Preview, full: bool, global: &Global) {
    if global.json {
        ui::out_json(&json!({ "preview": preview }));
        return;
    }
    ui::out(format!(
        "{}  {}",
        ui::paint(BOLD, &preview.title),
        ui::paint(
            DIM,
            format_args!(
                "{}, {}, {}, {} of up to {} tokens by {}",
                preview.format,
                ui::count(preview.characters, "character"),
                ui::count(preview.blocks, "block"),
                ui::count(preview.chunks.len(), "chunk"),
                preview.max_tokens,
                preview.strategy
            )
        )
    ));
    for note in &preview.notes {
        ui::warn(note);
    }
    for (number, chunk) in (1..).zip(&preview.chunks) {
        let mut place = chunk.headings.join(" › ");
        if let Some(page) = chunk.page {
            let gap = if place.is_empty() { "" } else { ", " };
            place.push_str(&format!("{gap}page {page}"));
        }
        ui::out(format!(
            "\n{number:>3}. {}  {}",
            ui::paint(BOLD, place),
            ui::paint(
                DIM,
                format_args!(
                    "{}, characters {}..{}",
                    ui::count(chunk.tokens, "token"),
                    chunk.start,
                    chunk.end
                )
            )
        ));
        let text = if full {
            chunk.text.clone()
        } else {
            super::call::excerpt(&chunk.text, SHOWN)
        };
        for line in text.lines() {
            ui::out(format!("     {line}"));
        }
    }
    if preview.approximate {
        ui::note(
            "tokens are counted by rule of thumb; with the embedder on this machine, chunks may end elsewhere",
        );
    }
}

async fn documents(
    app: &App,
    base: Option<&str>,
    asker: &Asker,
    global: &Global,
) -> Result<(), Failure> {
    let clearance = asker.caller().clearance;
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for base in super::ingest::selected(app, base)? {
        for document in app.knowledge.documents(&base, &clearance).await? {
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

/// Rebuilds. Vectors that another process has open are left as they are, which is a warning, as a document that cannot be
/// read is one for `praxis ingest`.
async fn rebuild(app: &App, base: Option<&str>, global: &Global) -> Result<(), Failure> {
    let mut done = Vec::new();
    for base in super::ingest::selected(app, base)? {
        let RebuildReport {
            chunks,
            vectors_elsewhere,
        } = app.knowledge.rebuild(&base).await?;
        if !global.json {
            let how = if vectors_elsewhere {
                " by their words"
            } else {
                ""
            };
            ui::out(format!(
                "{} {base}: {} indexed{how}",
                ui::paint(GREEN, "ok"),
                ui::count(chunks, "chunk")
            ));
            if vectors_elsewhere {
                ui::warn(format!(
                    "{}: the index of vectors was left as it is: another process, such as `praxis serve`, has it open",
                    ui::paint(BOLD, &base)
                ));
                again_without_others("rebuild", &base);
            }
        }
        done.push(json!({
            "base": base,
            "chunks": chunks,
            "vectors_elsewhere": vectors_elsewhere,
        }));
    }
    if global.json {
        ui::out_json(&json!({ "bases": done }));
    }
    Ok(())
}

/// Checks. Vectors that another process has open are not looked at, which is no failure: a check beside a server must be
/// able to pass. So must one beside an ingest: it waits for the end of what that writes.
async fn check(app: &App, base: Option<&str>, global: &Global) -> Result<(), Failure> {
    let mut reports = Vec::new();
    let mut broken = Vec::new();
    for base in super::ingest::selected(app, base)? {
        let waiting = || ui::note(super::ingest::waiting(&base));
        let report = app.knowledge.check_telling(&base, &waiting).await?;
        if !report.is_clean() {
            broken.push(base.clone());
        }
        if !global.json {
            let mark = if !report.is_clean() {
                ui::paint(RED, "broken")
            } else if report.vectors_elsewhere {
                ui::paint(YELLOW, "ok in part")
            } else {
                ui::paint(GREEN, "ok")
            };
            ui::out(format!("{mark} {} {report}", ui::paint(BOLD, &base)));
            if report.vectors_elsewhere {
                again_without_others("check", &base);
            }
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

/// Says how a command gets at the vectors that another process has open.
fn again_without_others(command: &str, base: &str) {
    let fix = format!(
        "for the vectors too, stop that process and run `praxis knowledge {command} {base}` again"
    );
    ui::hint(fix);
}
