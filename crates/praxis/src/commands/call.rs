//! `praxis call`: one function, once. The answer streams to a terminal as it is written.

use std::path::Path;

use praxis_core::approval::ApprovalState;
use praxis_core::{CallError, CallEvent, Citation, ErrorCode, Passage};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::app::App;
use crate::cli::{Call, Global};
use crate::ui::{self, DIM, Failure};

/// Calls and prints the answer and its sources.
///
/// # Errors
/// Bad input, or the call's own error.
pub async fn run(app: &App, args: Call, global: &Global) -> Result<(), Failure> {
    let function = app.library.function(&args.function)?;
    let input = input(&args, &function.signature().input_schema)?;
    let (events, received) = mpsc::channel(64);
    let mut cx = app
        .context()
        .with_caller(args.asker.caller())
        .with_cancel(super::cancel_on_ctrl_c())
        .with_events(events);
    let state = state(&args)?;
    if !state.is_empty() {
        cx = cx.with_data("state", Value::Object(state));
    }
    let trace = cx.trace_id().clone();
    let stream = !global.json;
    let printer = tokio::spawn(print(received, stream));
    let output = function.call(input, &cx).await;
    drop(cx);
    let printed = printer.await.unwrap_or_default();
    let output = output.map_err(|error| {
        if stream {
            printed.end_line();
        }
        for_people(error)
    })?;
    if global.json {
        let mut shown = json!({ "output": output, "trace_id": trace });
        if let Some(reasoning) = printed.reasoning {
            shown["reasoning"] = json!(reasoning);
        }
        if let Some(confidence) = printed.confidence {
            shown["confidence"] = json!(confidence);
        }
        ui::out_json(&shown);
        return Ok(());
    }
    if printed.text.is_empty() {
        ui::out(plain(&output));
    } else {
        ui::out("");
    }
    print_citations(&printed.citations);
    if let Some(confidence) = printed.confidence {
        let percent = (confidence * 100.0).round();
        ui::note(ui::paint(
            DIM,
            format_args!("\n{percent} % of the samples agree"),
        ));
    }
    ui::note(ui::paint(
        DIM,
        format_args!("\ntrace {trace}  (praxis traces show {trace})"),
    ));
    Ok(())
}

/// What has been printed while the call ran.
#[derive(Default)]
pub struct Printed {
    /// The streamed text.
    pub text: String,
    /// The answer's citations.
    pub citations: Vec<Citation>,
    /// How the model came to the answer, where its technique says.
    pub reasoning: Option<String>,
    /// Share of the samples that agree with the answer.
    pub confidence: Option<f32>,
    /// Whether reasoning was the last to be printed.
    thought: bool,
}

impl Printed {
    /// Ends the line of what was streamed, for what has to stand on one of its own.
    fn end_line(&self) {
        if self.thought || !self.text.is_empty() {
            ui::out("");
        }
    }
}

/// The error with what a person does about it here: that a call waits is told in words for a model.
fn for_people(mut error: CallError) -> CallError {
    let detail = |key: &str| error.details.as_ref()?.get(key)?.as_str();
    let waits = detail("state") == Some(ApprovalState::Pending.as_str());
    let id = detail("approval").filter(|_| waits && error.code == ErrorCode::ApprovalNeeded);
    if let Some(id) = id {
        let fix = format!("`praxis approvals approve {id}`, then the same command again");
        error.hint = Some(fix);
    }
    error
}

/// Prints deltas as they come, if `stream`, and collects the rest.
pub async fn print(mut events: mpsc::Receiver<CallEvent>, stream: bool) -> Printed {
    let mut printed = Printed::default();
    while let Some(event) = events.recv().await {
        match event {
            CallEvent::Delta { text, .. } => {
                if stream {
                    // Reasoning and answer are apart, as they are in the output.
                    if std::mem::take(&mut printed.thought) {
                        ui::out_piece("\n\n");
                    }
                    ui::out_piece(&text);
                }
                printed.text.push_str(&text);
            }
            CallEvent::Reasoning { text } => {
                if stream {
                    ui::out_piece(&ui::paint(DIM, &text));
                }
                printed.thought |= !text.trim().is_empty();
            }
            CallEvent::ToolCalled(call) => {
                if stream {
                    let said = format!("{}({})", call.name, call.arguments);
                    ui::note(&said);
                }
            }
            CallEvent::Cited { citations, .. } => printed.citations = citations,
            CallEvent::Concluded {
                reasoning,
                confidence,
            } => {
                printed.reasoning = reasoning;
                printed.confidence = confidence;
            }
            CallEvent::Retrieved(_)
            | CallEvent::Partial(_)
            | CallEvent::ToolAnswered { .. }
            | CallEvent::Finished { .. } => {}
        }
    }
    printed
}

/// Prints where each citation points: document, headings, page, characters, and how it begins.
pub fn print_citations(citations: &[Citation]) {
    if citations.is_empty() {
        return;
    }
    ui::out("");
    for Citation { number, passage } in citations {
        ui::out(format!(
            "[{number}] {} {}",
            ui::paint(ui::BOLD, place(passage)),
            ui::paint(
                DIM,
                format_args!("(characters {}–{})", passage.start, passage.end)
            )
        ));
        ui::out(format!(
            "    {}",
            ui::paint(DIM, excerpt(&passage.text, 160))
        ));
    }
}

/// Where a passage stands: document, headings, page.
pub fn place(passage: &Passage) -> String {
    let mut place = passage.uri.clone();
    for heading in &passage.headings {
        place.push_str(" › ");
        place.push_str(heading);
    }
    if let Some(page) = passage.page {
        place.push_str(&format!(", page {page}"));
    }
    place
}

/// The first characters of a text on one line.
pub fn excerpt(text: &str, characters: usize) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(characters) {
        words.truncate(cut);
        words.push('…');
    }
    words
}

fn plain(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        Value::Object(map) if map.get("answer").is_some_and(Value::is_string) => {
            map["answer"].as_str().unwrap_or_default().to_owned()
        }
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

fn input(args: &Call, schema: &Value) -> Result<Value, Failure> {
    let mut input = match &args.input {
        Some(path) => read_object(path)?,
        None => Map::new(),
    };
    for pair in &args.inputs {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::message(format!("`{pair}` is not KEY=VALUE"))
                .with_help(format!("write for example question=\"{pair}\"")));
        };
        input.insert(
            key.to_owned(),
            coerce(value, &schema["properties"][key], key)?,
        );
    }
    Ok(Value::Object(input))
}

/// `--state`: each value as JSON where it is some, else as the text that it is.
fn state(args: &Call) -> Result<Map<String, Value>, Failure> {
    let pair = |pair: &String| {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::message(format!("`--state {pair}` is not KEY=VALUE"))
                .with_help("write for example --state user=Ann")
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok((key.to_owned(), value))
    };
    args.state.iter().map(pair).collect()
}

fn read_object(path: &Path) -> Result<Map<String, Value>, Failure> {
    let text = super::text_of(path)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(
            Failure::message(format!("`{}` holds no JSON object", path.display()))
                .with_help("write the input as {\"question\": \"...\"}"),
        ),
        Err(e) => Err(Failure::message(format!(
            "`{}` is not JSON: {e}",
            path.display()
        ))),
    }
}

/// A command-line value as its schema wants it: text stays text, all else is read as JSON.
fn coerce(value: &str, schema: &Value, key: &str) -> Result<Value, Failure> {
    let wants = |kind: &str| match &schema["type"] {
        Value::String(t) => t == kind,
        Value::Array(types) => types.iter().any(|t| t == kind),
        _ => false,
    };
    if wants("string")
        || !["number", "integer", "boolean", "array", "object"]
            .into_iter()
            .any(wants)
    {
        return Ok(Value::String(value.to_owned()));
    }
    serde_json::from_str(value).map_err(|_| {
        let kind = &schema["type"];
        Failure::message(format!("input `{key}` must be {kind}, not `{value}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_schema() {
        for (value, schema, expected) in [
            ("12", json!({"type": "string"}), Some(json!("12"))),
            ("12", json!({"type": "integer"}), Some(json!(12))),
            (
                "true",
                json!({"type": ["boolean", "null"]}),
                Some(json!(true)),
            ),
            ("[1]", json!({"type": "array"}), Some(json!([1]))),
            ("many", json!({"type": "integer"}), None),
            ("x", Value::Null, Some(json!("x"))),
        ] {
            assert_eq!(
                coerce(value, &schema, "k").ok(),
                expected,
                "{value} as {schema}"
            );
        }
    }

    #[test]
    fn a_person_is_told_how_to_approve() {
        let told = |code: ErrorCode, details: Value| {
            let error = CallError::new(code, "it waits").with_hint("tell the user so");
            for_people(error.with_details(details)).hint.unwrap()
        };
        let pending = json!({ "approval": "approval-1", "state": "pending" });
        assert_eq!(
            told(ErrorCode::ApprovalNeeded, pending.clone()),
            "`praxis approvals approve approval-1`, then the same command again"
        );
        let begun = json!({ "approval": "approval-1", "state": "consumed" });
        for (code, details) in [
            (ErrorCode::Denied, pending),
            (ErrorCode::ApprovalNeeded, begun),
            (ErrorCode::ApprovalNeeded, json!({})),
        ] {
            assert_eq!(told(code, details), "tell the user so");
        }
    }

    #[test]
    fn an_excerpt_is_one_line_and_cut_between_characters() {
        assert_eq!(excerpt("一二\n三四", 3), "一二 …");
        assert_eq!(excerpt("ab", 3), "ab");
    }
}
