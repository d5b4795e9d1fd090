//! `POST /v1/responses/compact` (OpenAI API reference, "Compact a response"): a conversation made shorter, to go on from
//! with its `output` as input or with its id as `previous_response_id`. It is kept as a response is. Left out: how it is
//! made shorter (`crate::responses::compact`).

use axum::Json;
use axum::extract::State;
use praxis_core::SpanKind;
use praxis_core::chat::ServiceTier;
use praxis_store::{ResponseStatus, Scope};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::read_items;
use super::request::Input;
use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::responses::attached::Reader;
use crate::responses::compact::Summarizer;
use crate::responses::item::Include;
use crate::responses::record::{Outcome, Response, usage};
use crate::routes::extras::priority;
use crate::routes::models::FUNCTION_PREFIX;
use crate::state::ApiState;

/// The name of its span.
const SPAN: &str = "praxis/compaction";

/// A request. Fields that are not listed change nothing.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "CompactRequest")]
pub(crate) struct Compact {
    model: Option<String>,
    input: Option<Input>,
    previous_response_id: Option<String>,
    instructions: Option<String>,
    prompt_cache_key: Option<String>,
    service_tier: Option<ServiceTier>,
}

/// Makes a conversation shorter.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    JsonBody(request): JsonBody<Compact>,
) -> Result<Json<Value>, ApiError> {
    let Some(model) = request.model else {
        return Err(ApiError::invalid("model", "`model` is missing"));
    };
    if model.starts_with(FUNCTION_PREFIX) {
        let message = "a summary is written by a model: name one, not a function";
        return Err(ApiError::invalid("model", message));
    }
    let reads_files = paying.is_for(Scope::Files).is_ok();
    let cx = state.context(caller, paying);
    // A client that goes away ends the call.
    let _guard = cx.cancel().clone().drop_guard();
    let before = match &request.previous_response_id {
        Some(id) => state.responses.before(id, cx.caller()).await?,
        None => Vec::new(),
    };
    let sent = request.input.map(Input::items).unwrap_or_default();
    let input = read_items(&state, sent, "input", cx.caller()).await?;
    let past = before.len();
    let items = [before, input].concat();
    if items.is_empty() {
        return Err(ApiError::invalid("input", "`input` is missing"));
    }
    let mut read = items.clone();
    Reader::new(&state, cx.caller(), reads_files, None)
        .lay_in(&mut read, past)
        .await?;
    let about = json!({
        "model": model,
        "previous_response_id": request.previous_response_id,
        "items": items.len(),
    });
    let (span, inner) = cx.span(SpanKind::Function, SPAN, about);
    let instructions = request.instructions.as_deref();
    let summarizer = Summarizer {
        chat: &*state.chat,
        model: &model,
        instructions: instructions.filter(|text| !text.is_empty()),
        cache_key: request.prompt_cache_key.as_deref(),
        priority: priority(request.service_tier),
        cx: &inner,
    };
    let (output, used) = match summarizer.compact(&items, &read).await {
        Ok(done) => done,
        Err(error) => {
            span.fail(&error.message());
            return Err(error);
        }
    };
    span.finish(json!({ "items": output.len() }));
    let now = state.responses.now();
    let mut outcome = Outcome {
        usage: Some(used),
        ..Outcome::default()
    };
    let trace = json!(cx.trace_id());
    outcome.praxis.insert("trace_id".to_owned(), trace);
    let response = Response {
        id: format!("resp_{}", cx.trace_id()),
        status: ResponseStatus::Completed,
        created: now,
        ended: Some(now),
        background: false,
        streamed: false,
        // What came before is what it stands for.
        previous: None,
        conversation: None,
        echo: echo(&model),
        outcome,
        output,
    };
    let put = state.responses.put(&response, &[], true, cx.caller());
    put.await?;
    Ok(Json(shown(&response)))
}

/// A compaction as it is answered.
fn shown(response: &Response) -> Value {
    let items = response.output.iter();
    let output: Vec<Value> = items.map(|item| item.shown(Include::default())).collect();
    json!({
        "id": response.id,
        "object": "response.compaction",
        "created_at": response.created,
        "output": output,
        "usage": usage(response.outcome.usage.unwrap_or_default()),
        "praxis": response.outcome.praxis,
    })
}

/// What the response says of its request when it is read later.
fn echo(model: &str) -> Map<String, Value> {
    let echo = json!({
        "model": model,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "parallel_tool_calls": true,
        "store": true,
        "temperature": null,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
    });
    match echo {
        Value::Object(echo) => echo,
        _ => Map::new(),
    }
}
