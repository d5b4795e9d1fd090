//! Calls as a list, and each as the tree of its steps.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use praxis_api::{Admitted, ApiState};
use praxis_core::trace::{Span, SpanStatus};
use praxis_core::{CallError, ErrorCode, Money, Usage};
use praxis_store::{Feedback, Thumb};

use super::{Frame, count, failed, lang, render};

/// Traces on the list.
const TRACES: usize = 100;

/// Steps deeper than this are drawn as deep as this.
const DEEPEST: usize = 3;

#[derive(Template)]
#[template(path = "traces.html")]
struct ListPage {
    frame: Frame,
    traces: Vec<SpanView>,
}

#[derive(Template)]
#[template(path = "trace.html")]
struct TracePage {
    frame: Frame,
    id: String,
    heading: String,
    lang: &'static str,
    spans: Vec<SpanView>,
    feedback: Vec<FeedbackView>,
}

/// What somebody said of the call.
struct FeedbackView {
    given: String,
    /// A thumb, a score, who says it: as far as there are any.
    facts: String,
    comment: String,
    lang: &'static str,
}

struct SpanView {
    id: String,
    depth: usize,
    kind: &'static str,
    name: String,
    started: String,
    facts: String,
    /// Where the step lies in the whole call, in percent: its start, and its length.
    place: (String, String),
    status: &'static str,
    error: String,
    question: String,
    lang: &'static str,
    input: String,
    output: String,
}

/// Recent calls that the caller may see.
pub(crate) async fn list(State(state): State<ApiState>, Admitted(caller): Admitted) -> Response {
    match state.store.traces(TRACES, &caller).await {
        Ok(spans) => render(&ListPage {
            frame: Frame::new(&state, "traces", "Traces"),
            traces: spans.iter().map(|s| view(s, s, 0)).collect(),
        }),
        Err(error) => failed(&state, &CallError::failure(&error)),
    }
}

/// One call as a tree.
pub(crate) async fn show(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Response {
    let spans = match state.store.spans_of(&id, &caller).await {
        Ok(spans) => spans,
        Err(error) => return failed(&state, &CallError::failure(&error)),
    };
    let feedback = match spans.first() {
        Some(span) => state.store.feedback_of(&span.trace_id).await,
        None => Ok(Vec::new()),
    };
    let feedback = match feedback {
        Ok(feedback) => feedback,
        Err(error) => return failed(&state, &CallError::failure(&error)),
    };
    let mut ordered = Vec::new();
    for root in spans.iter().filter(|s| s.parent_id.is_none()) {
        descend(root, root, &spans, 0, &mut ordered);
    }
    let Some(first) = ordered.first() else {
        let error = CallError::new(ErrorCode::NotFound, format!("no trace `{id}`"))
            .with_hint("A call that still runs has none yet: reload the page when it has ended.");
        return failed(&state, &error);
    };
    let heading = if first.question.is_empty() {
        first.name.clone()
    } else {
        first.question.clone()
    };
    render(&TracePage {
        frame: Frame::new(&state, "traces", "Trace"),
        lang: lang(&heading),
        heading,
        id,
        spans: ordered,
        feedback: feedback.into_iter().map(said).collect(),
    })
}

fn said(feedback: Feedback) -> FeedbackView {
    let thumb = feedback.thumb.map(|thumb| match thumb {
        Thumb::Up => "👍 good".to_owned(),
        Thumb::Down => "👎 not good".to_owned(),
    });
    let score = feedback.score.map(|score| format!("score {score}"));
    let by = feedback.by.map(|by| format!("by {by}"));
    let key = feedback.key.map(|key| format!("with the key {key}"));
    let facts: Vec<String> = [thumb, score, by, key].into_iter().flatten().collect();
    let comment = feedback.comment.unwrap_or_default();
    FeedbackView {
        given: instant(feedback.created_ms),
        facts: facts.join(" · "),
        lang: lang(&comment),
        comment,
    }
}

fn descend(span: &Span, root: &Span, all: &[Span], depth: usize, out: &mut Vec<SpanView>) {
    out.push(view(span, root, depth.min(DEEPEST)));
    for child in all
        .iter()
        .filter(|s| s.parent_id.as_ref() == Some(&span.span_id))
    {
        descend(child, root, all, depth + 1, out);
    }
}

fn view(span: &Span, root: &Span, depth: usize) -> SpanView {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    let question = span
        .input
        .get("input")
        .and_then(|i| i.as_object()?.values().next()?.as_str())
        .unwrap_or_default();
    let (status, error) = match &span.status {
        SpanStatus::Ok => ("ok", ""),
        SpanStatus::Cancelled => ("cancelled", ""),
        SpanStatus::Error(message) => ("failed", message.as_str()),
    };
    let whole = (root.duration_us as f64).max(1.0);
    let start = ((span.started_ms - root.started_ms) as f64 * 1e5 / whole).clamp(0.0, 99.5);
    let length = (span.duration_us as f64 * 100.0 / whole).clamp(0.5, 100.0 - start);
    SpanView {
        id: span.trace_id.to_string(),
        depth,
        kind: span.kind.as_str(),
        name: span.name.clone(),
        started: instant(span.started_ms),
        facts: facts(span),
        place: (format!("{start:.1}"), format!("{length:.1}")),
        status,
        error: error.to_owned(),
        question: question.to_owned(),
        lang: lang(question),
        input: text(&span.input),
        output: text(&span.output),
    }
}

/// A point in time as RFC 3339 writes it; a script shows it in the reader's own time.
fn instant(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// Time, tokens and cost, as far as there are any.
fn facts(span: &Span) -> String {
    let mut facts = vec![duration(span.duration_us)];
    let caller = span.caller.as_ref().and_then(|caller| caller.name.as_ref());
    facts.extend(caller.map(|name| format!("by {name}")));
    if let Some(first) = span.first_token_us {
        facts.push(format!("first token after {}", duration(first)));
    }
    if span.usage != Usage::default() {
        facts.push(format!(
            "{} read, {} written",
            count(span.usage.input_tokens, "token"),
            span.usage.output_tokens
        ));
    }
    if span.cost != Money::default() {
        facts.push(span.cost.to_string());
    }
    facts.join(" · ")
}

fn duration(us: i64) -> String {
    let ms = us as f64 / 1e3;
    if ms >= 1e3 {
        format!("{:.1} s", ms / 1e3)
    } else {
        format!("{ms:.0} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_tells_what_was_said_and_by_whom() {
        let feedback = Feedback {
            id: "feedback-1".to_owned(),
            trace_id: praxis_core::TraceId::from_string("t"),
            thumb: Some(Thumb::Down),
            score: Some(0.25),
            comment: None,
            by: Some("ada".to_owned()),
            key: None,
            created_ms: 1_800_000_000_000,
        };
        let view = said(feedback);
        assert_eq!(view.facts, "👎 not good · score 0.25 · by ada");
        assert_eq!(view.given, "2027-01-15T08:00:00Z");
        assert!(view.comment.is_empty());
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(instant(1_800_000_000_000), "2027-01-15T08:00:00Z");
        let read = [400, 12_345, 999_499, 1_234_567].map(duration);
        assert_eq!(read, ["0 ms", "12 ms", "999 ms", "1.2 s"]);
    }
}
