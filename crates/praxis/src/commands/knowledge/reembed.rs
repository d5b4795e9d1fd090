//! `praxis knowledge reembed`: moves a base to another embedder while it serves, and writes the embedder's
//! name into the base's file.

use praxis_core::{EmbedKind, VECTOR_STORE};
use praxis_knowledge::ReembedReport;
use toml_edit::value;

use crate::app::App;
use crate::cli::Global;
use crate::config::toml_file;
use crate::ui::{self, BOLD, DIM, Failure, GREEN};

/// Moves the base; prints what came of it.
///
/// # Errors
/// An unknown base or embedder, one that is not there, or a move that was stopped.
pub async fn run(
    app: &App,
    base: Option<&str>,
    to: Option<&str>,
    global: &Global,
) -> Result<(), Failure> {
    let bases = crate::commands::ingest::selected(app, base)?;
    let [base] = &bases[..] else {
        return Err(Failure::message("there are several knowledge bases")
            .with_help(format!("name one: {}", bases.join(", "))));
    };
    let configured = app.project.bases.iter().find(|(name, _)| name == base);
    let configured = configured.and_then(|(_, config)| config.embedder.clone());
    let target = to
        .map(str::to_owned)
        .or(configured)
        .unwrap_or_else(|| app.gateway.config().embedding_default().to_owned());
    // A model that is not there is found out before anything is written.
    let embedder = app.gateway.embedder(Some(&target))?;
    embedder
        .embed(EmbedKind::Query, vec!["ready".to_owned()])
        .await?;
    let group = ui::progress_group();
    let bar = ui::count_bar(&group, base, 0);
    let cancel = crate::commands::cancel_on_ctrl_c();
    let report = app
        .knowledge
        .reembed(
            base,
            &target,
            &|progress| {
                bar.set_length(progress.chunks);
                bar.set_position(progress.done);
            },
            &cancel,
        )
        .await?;
    bar.finish_and_clear();
    // A vector store has no file.
    let written = to.is_some() && !base.starts_with(VECTOR_STORE);
    if written {
        let file = app
            .project
            .root
            .join("knowledge")
            .join(format!("{base}.toml"));
        toml_file::edit(&file, |document| {
            document.insert("embedder", value(&target));
            Ok(())
        })?;
    }
    if global.json {
        ui::out_json(&serde_json::json!({ "base": base, "report": report }));
    } else {
        print(base, &target, written, &report);
    }
    Ok(())
}

fn print(base: &str, target: &str, written: bool, report: &ReembedReport) {
    if report.from == report.to {
        ui::note(format!("{base} has the vectors of `{target}` already"));
        return;
    }
    ui::out(format!(
        "{} {base}: {} embedded with {target}",
        ui::paint(GREEN, "ok"),
        ui::count(report.embedded, "chunk")
    ));
    if report.cut > 0 {
        ui::warn(format!(
            "{} chunks are longer than {target} reads; lower `segment.max_tokens` and ingest anew",
            report.cut
        ));
    }
    for refused in &report.refused {
        let what = match &refused.chunk {
            Some(chunk) => format!("its chunk {chunk}"),
            None => "what stands for all of it".to_owned(),
        };
        ui::warn(format!(
            "{}: {target} refuses {what}, which begins with {:?}: {}",
            ui::paint(BOLD, &refused.uri),
            refused.begins,
            refused.reason
        ));
    }
    if !report.refused.is_empty() {
        ui::hint(
            "they are found by their words alone; change the documents, or lower `max_tokens` under [segment] of the \
             base: the next ingest tries them again",
        );
    }
    if written {
        let file = format!("written to knowledge/{base}.toml: embedder = \"{target}\"");
        ui::note(ui::paint(DIM, file));
    }
}
