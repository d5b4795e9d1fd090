//! `praxis ingest`: brings the knowledge bases up to date with their documents.

use std::collections::BTreeSet;
use std::sync::Mutex;

use praxis_core::suggest::nearest;
use praxis_core::{CallContext, CallError, Clearance, VECTOR_STORE};
use praxis_knowledge::{ContextReport, IngestEvent, IngestReport, Knowledge};
use serde_json::json;

use super::watch::{self, Voice};
use crate::app::App;
use crate::cli::{Global, Ingest};
use crate::ui::{self, BOLD, Failure, GREEN};

/// Ingests, shows progress, and reports each file and each source that could not be read.
///
/// # Errors
/// An unknown base, a missing embedder, or a store that cannot be written; and a base of which no source could be
/// looked at, after all of them were ingested. Any other bad document or source is a warning, unless `--strict` makes
/// it a failure.
pub async fn run(app: &App, args: Ingest, global: &Global) -> Result<(), Failure> {
    let cancel = super::cancel_on_ctrl_c();
    let bases = selected(app, args.base.as_deref())?;
    if args.watch {
        let voice = if global.json {
            Voice::Json
        } else {
            Voice::Terminal
        };
        return Ok(watch::run(watch::watched(app, &bases), voice, cancel).await?);
    }
    let mut reports = Vec::new();
    for base in bases {
        let cx = app.context().with_cancel(cancel.clone());
        let report = one(&app.knowledge, &base, None, &cx).await?;
        if !global.json {
            print(&base, &report);
        }
        reports.push((base, report));
    }
    if global.json {
        let bases = reports.iter();
        let bases = bases.map(|(base, report)| json!({ "base": base, "report": report }));
        ui::out_json(&json!({ "bases": bases.collect::<Vec<_>>() }));
    }
    outcome(&reports, args.strict)
}

/// What ingests came to as a whole. Who runs them by the clock sees nothing but the exit code.
fn outcome(reports: &[(String, IngestReport)], strict: bool) -> Result<(), Failure> {
    let those = |is_bad: fn(&IngestReport) -> bool| -> Vec<String> {
        let bad = reports.iter().filter(|(_, report)| is_bad(report));
        bad.map(|(base, _)| format!("`{base}`")).collect()
    };
    let unheard = those(IngestReport::is_unheard);
    if !unheard.is_empty() {
        let message = format!("no source of {} could be looked at", unheard.join(", "));
        return Err(Failure::message(message).with_help(
            "what was read before is found as it was; mend what the warnings tell, and ingest again",
        ));
    }
    let partly = those(|report| !(report.problems.is_empty() && report.failed.is_empty()));
    if strict && !partly.is_empty() {
        let message = format!("{} could not be read as a whole", partly.join(", "));
        return Err(Failure::message(message)
            .with_help("all else was ingested; without --strict these are warnings"));
    }
    Ok(())
}

/// What is said while an ingest of a base waits.
pub(super) fn waiting(base: &str) -> String {
    format!("{base}: waits for another process that is at work on it; Ctrl-C stops this one")
}

/// Ingests a base, or some of its sources, and shows progress.
pub(super) async fn one(
    knowledge: &Knowledge,
    base: &str,
    only: Option<&BTreeSet<String>>,
    cx: &CallContext,
) -> Result<IngestReport, CallError> {
    let group = ui::progress_group();
    let bar = Mutex::new(ui::count_bar(&group, base, 0));
    let progress = |event: IngestEvent| {
        let Ok(bar) = bar.lock() else { return };
        match event {
            IngestEvent::Waiting => bar.suspend(|| ui::note(waiting(base))),
            IngestEvent::Listed { source, seen } if !source.is_empty() => {
                bar.set_message(format!("{source}: {seen}"));
            }
            IngestEvent::Listed { .. } => {}
            IngestEvent::Planned { files } => bar.set_length(files as u64),
            IngestEvent::Started { uri } => bar.set_message(uri),
            IngestEvent::Contexts { uri, done, chunks } => {
                bar.set_message(format!("{uri}: context of chunk {done} of {chunks}"));
            }
            IngestEvent::Finished { .. } => bar.inc(1),
        }
    };
    let report = knowledge.ingest_sources(base, only, &progress, cx).await;
    if let Ok(bar) = bar.lock() {
        bar.finish_and_clear();
    }
    report
}

/// The bases that a command is about: the named one, or all.
///
/// # Errors
/// A name that no base has, with the nearest; or an application without any.
pub fn selected(app: &App, name: Option<&str>) -> Result<Vec<String>, Failure> {
    let vector_store = name.filter(|name| name.starts_with(VECTOR_STORE));
    if let Some(id) = vector_store {
        let known = app.knowledge.names(&Clearance::Full);
        return match known.iter().any(|name| name == id) {
            true => Ok(vec![id.to_owned()]),
            false => Err(Failure::message(format!("no vector store `{id}`"))
                .with_help("`GET /v1/vector_stores` of the server lists them")),
        };
    }
    let all: Vec<String> = app
        .project
        .bases
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    if all.is_empty() {
        return Err(
            Failure::message("this application has no knowledge base").with_help(
                "add one: a file knowledge/docs.toml with `[source]` and `paths = [\".\"]`",
            ),
        );
    }
    match name {
        None => Ok(all),
        Some(name) if all.iter().any(|n| n == name) => Ok(vec![name.to_owned()]),
        Some(name) => {
            let failure = Failure::message(format!("no knowledge base `{name}`"));
            Err(match nearest(name, all.iter().map(String::as_str)) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure.with_help(format!("there are: {}", all.join(", "))),
            })
        }
    }
}

/// Prints what an ingest did, and what it could not do.
pub(super) fn print(base: &str, report: &IngestReport) {
    print_problems(base, report);
    ui::out(summary(base, report));
}

/// Prints what an ingest could not do.
pub(super) fn print_problems(base: &str, report: &IngestReport) {
    for problem in &report.problems {
        let source = match problem.source.as_str() {
            "" => base.to_owned(),
            name => format!("{base}, {name}"),
        };
        ui::warn(format!("{}: {}", ui::paint(BOLD, source), problem.reason));
        if let Some(hint) = &problem.hint {
            ui::hint(hint);
        }
    }
    for failed in &report.failed {
        ui::warn(format!(
            "{}: {}",
            ui::paint(BOLD, &failed.uri),
            failed.reason
        ));
        if let Some(hint) = &failed.hint {
            ui::hint(hint);
        }
    }
    if let Some(contexts) = &report.contexts {
        print_contexts(base, contexts);
    }
    for warning in &report.warnings {
        ui::warn(format!(
            "{}: {}",
            ui::paint(BOLD, &warning.uri),
            warning.reason
        ));
    }
}

/// Prints what chat models could not write about chunks.
fn print_contexts(base: &str, contexts: &ContextReport) {
    if contexts.missing > 0 {
        let reason = contexts
            .reason
            .as_deref()
            .unwrap_or("the model did not answer");
        ui::warn(format!(
            "{}: no context yet for {}: {reason}",
            ui::paint(BOLD, base),
            ui::count(contexts.missing, "chunk")
        ));
        let fix = format!(
            "they are found by their text alone; `praxis ingest {base}` asks again for what is missing"
        );
        ui::hint(fix);
    }
    if contexts.unusable > 0 {
        ui::warn(format!(
            "{}: no context for {}: the model's answers could not be used; `praxis traces show` tells them",
            ui::paint(BOLD, base),
            ui::count(contexts.unusable, "chunk")
        ));
    }
}

/// What an ingest did, in a line.
pub(super) fn summary(base: &str, report: &IngestReport) -> String {
    let described = match report.described {
        0 => String::new(),
        some => format!(" ({some} with new metadata)"),
    };
    let contexts = match &report.contexts {
        None => String::new(),
        Some(contexts) => format!(
            ", {} written ({} known; {} tokens read, {} written)",
            ui::count(contexts.written, "context"),
            contexts.known,
            contexts.usage.input_tokens,
            contexts.usage.output_tokens
        ),
    };
    let outdated = match report.outdated {
        0 => String::new(),
        some => format!(
            "; read again because an older version of Praxis had read them: {}",
            ui::count(some, "document")
        ),
    };
    format!(
        "{} {base}: {} added, {} updated, {} unchanged{described}, {} removed, {} failed; {}{contexts} in {:.1} s{outdated}",
        ui::paint(GREEN, "ok"),
        report.added,
        report.updated,
        report.unchanged,
        report.removed,
        report.failed.len(),
        ui::count(report.chunks, "chunk"),
        report.seconds,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ingest_fails_where_nothing_was_heard_and_when_strict_where_anything_is_missing() {
        let report = |sources: usize, unheard: usize, problems: usize| IngestReport {
            sources,
            unheard: vec![String::new(); unheard],
            problems: vec![
                praxis_knowledge::SourceProblem {
                    source: String::new(),
                    reason: "down".to_owned(),
                    hint: None,
                };
                problems
            ],
            ..IngestReport::default()
        };
        for (of, fails, fails_when_strict) in [
            (vec![report(2, 0, 0)], false, false),
            (vec![report(2, 1, 1)], false, true),
            (vec![report(2, 0, 1)], false, true),
            (vec![report(2, 2, 2)], true, true),
            (vec![report(1, 0, 0), report(1, 1, 1)], true, true),
            (vec![report(0, 0, 0)], false, false),
        ] {
            let of: Vec<_> = of.into_iter().map(|r| ("docs".to_owned(), r)).collect();
            assert_eq!(outcome(&of, false).is_err(), fails, "{of:?}");
            assert_eq!(outcome(&of, true).is_err(), fails_when_strict, "{of:?}");
        }
    }
}
