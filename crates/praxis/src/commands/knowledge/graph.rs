//! `praxis knowledge graph`: builds the graph of a base, and asks it. Left out: what a graph is
//! (`praxis_knowledge`).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use praxis_core::{CallContext, Caller, Money, Span, TraceSink};
use praxis_knowledge::{
    GraphAnswer, GraphFormat, GraphOptions, GraphProgress, GraphReport, GraphStats, GraphTriple,
};
use serde_json::json;

use crate::app::App;
use crate::cli::{Asker, Format, Global, Graph};
use crate::commands::call::excerpt;
use crate::ui::{self, BOLD, DIM, Failure, GREEN};

/// Characters of a quote that are shown.
const SHOWN: usize = 80;

/// Lines of each table of the statistics.
const MOST_LINES: usize = 12;

/// Builds, shows, finds ways, counts, exports or merges.
///
/// # Errors
/// An unknown base or entity, a base without a graph, a model that is not there or does not answer, or a file
/// that cannot be written.
pub async fn run(app: &App, args: Graph, global: &Global) -> Result<(), Failure> {
    match args {
        Graph::Build { base, limit, retry } => {
            build(app, base.as_deref(), limit, retry, global).await
        }
        Graph::Show {
            entity,
            base,
            limit,
            asker,
        } => {
            let base = only(app, base.as_deref())?;
            let clearance = asker.caller().clearance;
            let answer = app
                .knowledge
                .graph(&base, entity.as_deref(), limit, &clearance);
            let answer = answer.await?;
            if global.json {
                ui::out_json(&json!({ "base": base, "graph": answer }));
            } else {
                show(&answer, entity.is_some());
            }
            Ok(())
        }
        Graph::Path {
            from,
            to,
            base,
            depth,
            asker,
        } => path(app, (&from, &to), base.as_deref(), depth, &asker, global).await,
        Graph::Stats { base, asker } => {
            let base = only(app, base.as_deref())?;
            let stats = app
                .knowledge
                .graph_stats(&base, &asker.caller().clearance)
                .await?;
            if global.json {
                ui::out_json(&json!({ "base": base, "stats": stats }));
            } else {
                count(&base, &stats);
            }
            Ok(())
        }
        Graph::Export {
            base,
            format,
            out,
            asker,
        } => export(app, base.as_deref(), format, out.as_deref(), &asker).await,
        Graph::Merge {
            one,
            other,
            base,
            undo,
        } => merge(app, (&one, &other), base.as_deref(), undo, global).await,
    }
}

/// The base that is meant: the named one, or the only one.
fn only(app: &App, base: Option<&str>) -> Result<String, Failure> {
    let mut bases = crate::commands::ingest::selected(app, base)?;
    match bases.len() {
        1 => Ok(bases.remove(0)),
        _ => Err(Failure::message("there are several knowledge bases")
            .with_help(format!("name one: {}", bases.join(", ")))),
    }
}

/// A sink that adds up what models cost, and passes all spans on.
struct Meter {
    inner: Arc<dyn TraceSink>,
    cost: Mutex<Money>,
}

impl TraceSink for Meter {
    fn record(&self, span: Span) {
        let mut cost = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        *cost = *cost + span.cost;
        drop(cost);
        self.inner.record(span);
    }
}

async fn build(
    app: &App,
    base: Option<&str>,
    limit: Option<usize>,
    retry: bool,
    global: &Global,
) -> Result<(), Failure> {
    let base = only(app, base)?;
    let started = Instant::now();
    let meter = Arc::new(Meter {
        inner: app.sink(),
        cost: Mutex::default(),
    });
    let cx = CallContext::new(meter.clone())
        .with_caller(Caller::full())
        .with_cancel(crate::commands::cancel_on_ctrl_c());
    let options = GraphOptions {
        default_model: app.gateway.config().chat_default().to_owned(),
        limit,
        retry,
    };
    let group = ui::progress_group();
    let bar = ui::count_bar(&group, &base, 0);
    let progress = |progress: GraphProgress| {
        bar.set_length(progress.chunks);
        bar.set_position(progress.done);
    };
    let report = app
        .knowledge
        .build_graph(&base, &options, &progress, &cx)
        .await;
    bar.finish_and_clear();
    let report = report?;
    let cost = *meter.cost.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = started.elapsed().as_secs_f64();
    if global.json {
        ui::out_json(&json!({
            "base": base, "report": report, "cost_usd": cost.0 as f64 / 1e6, "seconds": seconds,
            "trace": cx.trace_id(),
        }));
    } else {
        print(&base, &report, cost, seconds);
    }
    Ok(())
}

fn print(base: &str, report: &GraphReport, cost: Money, seconds: f64) {
    ui::out(format!(
        "{} {base}: {} chunks read by {}, {} triples, {} dropped; {} pairs of names are one entity; {} tokens \
         read, {} written, {cost}, {seconds:.1} s",
        ui::paint(GREEN, "ok"),
        report.extracted,
        report.model,
        report.triples,
        report.dropped,
        report.aliases,
        report.usage.input_tokens,
        report.usage.output_tokens,
    ));
    if report.failed > 0 {
        ui::warn(format!(
            "{} answers could not be read; `praxis traces show` tells them, --retry asks again",
            report.failed
        ));
    }
    for refused in &report.refused {
        ui::warn(format!(
            "{}: the model has no answer for a passage of it: {}",
            ui::paint(BOLD, &refused.uri),
            refused.reason
        ));
    }
    if report.unanswered > 0 {
        ui::warn(format!(
            "{} chunks were not answered in time; build again to ask them again",
            report.unanswered
        ));
    }
    if report.left > 0 {
        ui::note(format!(
            "{} chunks are left; build again to go on",
            report.left
        ));
    }
}

fn show(answer: &GraphAnswer, named: bool) {
    if answer.entities.is_empty() {
        ui::note("the graph is empty: run `praxis knowledge graph build`");
        return;
    }
    let entities: Vec<Vec<String>> = answer
        .entities
        .iter()
        .map(|e| {
            vec![
                e.name.clone(),
                e.kind.clone(),
                e.chunks.to_string(),
                e.triples.to_string(),
                e.aliases.join(", "),
            ]
        })
        .collect();
    ui::out(ui::table(
        &["entity", "type", "chunks", "triples", "also"],
        &entities,
    ));
    if !named {
        return;
    }
    ui::out("");
    triples(&answer.triples);
    if answer.more > 0 {
        ui::note(format!("{} triples more; -n shows them", answer.more));
    }
}

fn triples(triples: &[GraphTriple]) {
    let rows: Vec<Vec<String>> = triples
        .iter()
        .map(|t| {
            let first = t.provenance.first();
            vec![
                t.subject.clone(),
                t.relation.clone(),
                t.object.clone(),
                first.map(|p| p.uri.clone()).unwrap_or_default(),
                first.map(|p| excerpt(&p.quote, SHOWN)).unwrap_or_default(),
            ]
        })
        .collect();
    ui::out(ui::table(
        &["subject", "relation", "object", "document", "quote"],
        &rows,
    ));
}

async fn path(
    app: &App,
    (from, to): (&str, &str),
    base: Option<&str>,
    depth: usize,
    asker: &Asker,
    global: &Global,
) -> Result<(), Failure> {
    let base = only(app, base)?;
    let clearance = asker.caller().clearance;
    let way = app
        .knowledge
        .graph_path(&base, (from, to), depth, &clearance)
        .await?;
    if global.json {
        ui::out_json(&json!({ "base": base, "path": way }));
        return Ok(());
    }
    match way {
        None => ui::note(format!(
            "no way of at most {depth} triples; --depth looks further"
        )),
        Some(way) if way.is_empty() => ui::note("they are one entity"),
        Some(way) => triples(&way),
    }
    Ok(())
}

fn count(base: &str, stats: &GraphStats) {
    ui::out(format!(
        "{}: {} entities, {} triples, from {} chunks",
        ui::paint(BOLD, base),
        stats.size.entities,
        stats.size.triples,
        stats.size.chunks
    ));
    for (what, counts) in [
        ("type", &stats.size.types),
        ("relation", &stats.size.relations),
    ] {
        if counts.is_empty() {
            continue;
        }
        let rows: Vec<Vec<String>> = counts
            .iter()
            .take(MOST_LINES)
            .map(|(term, count)| vec![term.clone(), count.to_string()])
            .collect();
        ui::out(format!("\n{}", ui::table(&[what, "number"], &rows)));
        if counts.len() > MOST_LINES {
            ui::note(ui::paint(
                DIM,
                format_args!("{} more", counts.len() - MOST_LINES),
            ));
        }
    }
    for of in &stats.extractions {
        ui::out(format!(
            "\nread by {}: {} chunks, {} answers of no use, {} triples dropped, {} tokens read, {} written",
            of.model,
            of.chunks,
            of.failed,
            of.dropped,
            of.usage.input_tokens,
            of.usage.output_tokens
        ));
    }
}

async fn export(
    app: &App,
    base: Option<&str>,
    format: Format,
    out: Option<&Path>,
    asker: &Asker,
) -> Result<(), Failure> {
    let base = only(app, base)?;
    let format = match format {
        Format::Jsonl => GraphFormat::Jsonl,
        Format::Graphml => GraphFormat::GraphMl,
        Format::Dot => GraphFormat::Dot,
    };
    let clearance = asker.caller().clearance;
    let text = app
        .knowledge
        .graph_export(&base, format, &clearance)
        .await?;
    match out {
        None => ui::out_piece(&text),
        Some(path) => {
            std::fs::write(path, &text)
                .map_err(|e| Failure::message(format!("cannot write `{}`: {e}", path.display())))?;
            ui::note(format!("written to {}", path.display()));
        }
    }
    Ok(())
}

async fn merge(
    app: &App,
    (one, other): (&str, &str),
    base: Option<&str>,
    undo: bool,
    global: &Global,
) -> Result<(), Failure> {
    let base = only(app, base)?;
    let changed = app
        .knowledge
        .merge_entities(&base, (one, other), undo)
        .await?;
    if global.json {
        ui::out_json(&json!({ "base": base, "changed": changed }));
        return Ok(());
    }
    let told = match (undo, changed) {
        (false, true) => format!("`{one}` and `{other}` are one entity from now on"),
        (false, false) => format!("`{one}` and `{other}` were merged already"),
        (true, true) => format!("`{one}` and `{other}` are no longer merged by hand"),
        (true, false) => format!("`{one}` and `{other}` were not merged by hand"),
    };
    ui::out(format!("{} {base}: {told}", ui::paint(GREEN, "ok")));
    Ok(())
}
