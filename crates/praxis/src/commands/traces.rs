//! `praxis traces`: what calls did, as a list and as a tree.

use praxis_core::{Caller, Span, SpanStatus};
use serde_json::json;

use super::call::excerpt;
use crate::app::App;
use crate::cli::{Global, Traces};
use crate::ui::{self, BOLD, DIM, Failure, RED};

/// Lists or shows.
///
/// # Errors
/// An id that fits no trace, or several.
pub async fn run(app: &App, args: Traces, global: &Global) -> Result<(), Failure> {
    match args {
        Traces::List { limit } => list(app, limit, global).await,
        Traces::Show { id } => show(app, id, global).await,
    }
}

async fn list(app: &App, limit: usize, global: &Global) -> Result<(), Failure> {
    let roots = app.store.traces(limit, &Caller::full()).await?;
    if global.json {
        ui::out_json(&json!({ "traces": roots }));
        return Ok(());
    }
    if roots.is_empty() {
        ui::note("no calls yet; try `praxis call`");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = roots
        .iter()
        .map(|span| {
            vec![
                span.trace_id.to_string(),
                when(span.started_ms),
                span.name.clone(),
                duration(span.duration_us),
                format!("{}+{}", span.usage.input_tokens, span.usage.output_tokens),
                span.cost.to_string(),
                status(&span.status),
                excerpt(&text_of(&span.input), 48),
            ]
        })
        .collect();
    ui::out(ui::table(
        &[
            "trace", "started", "name", "time", "tokens", "cost", "status", "input",
        ],
        &rows,
    ));
    Ok(())
}

async fn show(app: &App, id: Option<String>, global: &Global) -> Result<(), Failure> {
    let id = match id {
        Some(id) => id,
        None => app
            .store
            .traces(1, &Caller::full())
            .await?
            .first()
            .map(|span| span.trace_id.to_string())
            .ok_or_else(|| Failure::message("no calls yet").with_help("try `praxis call`"))?,
    };
    let spans = app.store.spans_of(&id, &Caller::full()).await?;
    if spans.is_empty() {
        return Err(Failure::message(format!("no trace `{id}`"))
            .with_help("`praxis traces list` shows their ids"));
    }
    if global.json {
        ui::out_json(&json!({ "spans": spans }));
        return Ok(());
    }
    let roots: Vec<&Span> = spans
        .iter()
        .filter(|s| {
            !spans
                .iter()
                .any(|p| Some(&p.span_id) == s.parent_id.as_ref())
        })
        .collect();
    for root in roots {
        tree(root, &spans, 0);
    }
    Ok(())
}

fn tree(span: &Span, all: &[Span], depth: usize) {
    let pad = "  ".repeat(depth);
    let first = span
        .first_token_us
        .map(|us| format!(", first token {}", duration(us)));
    ui::out(format!(
        "{pad}{} {}  {}{}  {}",
        ui::paint(BOLD, span.kind.as_str()),
        span.name,
        duration(span.duration_us),
        first.unwrap_or_default(),
        status(&span.status),
    ));
    if span.usage != praxis_core::Usage::default() {
        ui::out(format!(
            "{pad}  {}",
            ui::paint(
                DIM,
                format_args!(
                    "tokens {} in ({} cached), {} out, {}",
                    span.usage.input_tokens,
                    span.usage.cached_tokens,
                    span.usage.output_tokens,
                    span.cost
                )
            )
        ));
    }
    if let Some(words) = tools_given(span) {
        ui::out(format!("{pad}  {}", ui::paint(DIM, words)));
    }
    for (name, value) in [("in ", &span.input), ("out", &span.output)] {
        if !value.is_null() {
            ui::out(format!(
                "{pad}  {} {}",
                ui::paint(DIM, name),
                excerpt(&text_of(value), 600)
            ));
        }
    }
    for child in all
        .iter()
        .filter(|s| s.parent_id.as_ref() == Some(&span.span_id))
    {
        tree(child, all, depth + 1);
    }
}

/// What the step in which tools were chosen says of their cost.
fn tools_given(span: &Span) -> Option<String> {
    let number = |key: &str| span.output.get(key)?.as_u64();
    let (given, of) = (span.output.get("given")?.as_array()?.len(), number("of")?);
    let (tokens, left_out) = (number("tokens")?, number("left_out_tokens")?);
    Some(format!(
        "{given} of {of} tools, about {tokens} tokens; {left_out} tokens left out"
    ))
}

fn text_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn status(status: &SpanStatus) -> String {
    match status {
        SpanStatus::Ok => "ok".to_owned(),
        SpanStatus::Cancelled => "cancelled".to_owned(),
        SpanStatus::Error(message) => ui::paint(RED, excerpt(message, 60)),
    }
}

/// A time as a person reads it.
pub fn when(started_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(started_ms).map_or_else(
        |_| started_ms.to_string(),
        |t| {
            t.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

/// A duration as a person reads it.
pub fn duration(us: i64) -> String {
    let ms = us as f64 / 1e3;
    if ms >= 1000.0 {
        format!("{:.2} s", ms / 1e3)
    } else {
        format!("{ms:.1} ms")
    }
}
