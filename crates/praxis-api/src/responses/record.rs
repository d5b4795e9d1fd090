//! A response as it is answered and kept. Left out: its making (`run`).

use praxis_core::{ErrorCode, Usage};
use praxis_store::{ResponseStatus, StoredResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::event::Event;
use super::item::{Include, Item};
use super::turn::{End, Turn};
use crate::error::ApiError;

/// How long responses, and conversations that nobody uses, are kept, in seconds.
pub(crate) const KEPT: i64 = 30 * 86_400;

/// A response, as far as it is made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    pub id: String,
    pub status: ResponseStatus,
    /// Seconds since the epoch.
    pub created: i64,
    /// Seconds since the epoch.
    pub ended: Option<i64>,
    pub background: bool,
    /// Whether its events are kept.
    pub streamed: bool,
    pub previous: Option<String>,
    pub conversation: Option<String>,
    /// What the answer repeats of the request.
    pub echo: Map<String, Value>,
    pub outcome: Outcome,
    pub output: Vec<Item>,
}

/// What came of a response beside its items.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outcome {
    pub error: Option<Failure>,
    pub incomplete: Option<Cut>,
    pub usage: Option<Usage>,
    /// What OpenAI has no words for.
    pub praxis: Map<String, Value>,
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// One of OpenAI's codes for it.
    pub code: String,
    pub message: String,
}

/// Why a response was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cut {
    MaxOutputTokens,
    ContentFilter,
}

impl Failure {
    /// What went wrong through no fault of the client.
    pub fn of_server(message: &str) -> Self {
        Self {
            code: "server_error".to_owned(),
            message: message.to_owned(),
        }
    }
}

impl From<&ApiError> for Failure {
    fn from(error: &ApiError) -> Self {
        let code = match error.code() {
            ErrorCode::RateLimited | ErrorCode::QuotaExceeded => "rate_limit_exceeded",
            ErrorCode::InvalidRequest
            | ErrorCode::ContextLengthExceeded
            | ErrorCode::NotFound
            | ErrorCode::Forbidden
            | ErrorCode::ApprovalNeeded
            | ErrorCode::Denied
            | ErrorCode::TooLarge
            | ErrorCode::BudgetExceeded
            | ErrorCode::OutputInvalid
            | ErrorCode::OutOfScope
            | ErrorCode::ContentBlocked => "invalid_prompt",
            _ => "server_error",
        };
        Self {
            code: code.to_owned(),
            message: error.message().to_owned(),
        }
    }
}

impl Response {
    /// Takes what a turn made. It does not end it.
    fn take(&mut self, turn: Turn, now: i64) {
        self.ended = Some(now);
        self.outcome.usage = Some(turn.usage());
        let (output, praxis) = turn.into_parts();
        self.output = output;
        self.outcome.praxis.extend(praxis);
    }

    /// Ends it with an answer.
    pub fn complete(&mut self, end: End, turn: Turn, now: i64) {
        self.take(turn, now);
        (self.status, self.outcome.incomplete) = match end {
            End::Whole => (ResponseStatus::Completed, None),
            End::TooLong => (ResponseStatus::Incomplete, Some(Cut::MaxOutputTokens)),
            End::Filtered => (ResponseStatus::Incomplete, Some(Cut::ContentFilter)),
        };
    }

    /// Ends it with an error.
    pub fn fail(&mut self, failure: Failure, turn: Turn, now: i64) {
        self.take(turn, now);
        self.status = ResponseStatus::Failed;
        self.outcome.error = Some(failure);
    }

    /// As it is answered.
    pub fn shown(&self, include: Include) -> Value {
        let completed = self
            .ended
            .filter(|_| self.status == ResponseStatus::Completed);
        let mut shown = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": self.status.as_str(),
            "background": self.background,
            "completed_at": completed,
            "error": self.outcome.error,
            "incomplete_details": self.outcome.incomplete.map(|why| json!({ "reason": why })),
            "previous_response_id": self.previous,
            "conversation": self.conversation.as_ref().map(|id| json!({ "id": id })),
            "output": self.output.iter().map(|item| item.shown(include)).collect::<Vec<_>>(),
        });
        if let Value::Object(fields) = &mut shown {
            fields.extend(self.echo.clone());
            fields.extend(self.outcome.usage.map(|u| ("usage".to_owned(), usage(u))));
            let praxis = Value::Object(self.outcome.praxis.clone());
            fields.insert("praxis".to_owned(), praxis);
        }
        shown
    }

    /// The event that says what has become of it, with its state.
    pub fn told(&self, kind: &'static str, include: Include) -> Event {
        Event::of_response(kind, self.shown(include))
    }

    /// The last event of its stream.
    pub fn last_word(&self, include: Include) -> Event {
        match self.status {
            ResponseStatus::Completed => self.told("response.completed", include),
            ResponseStatus::Incomplete => self.told("response.incomplete", include),
            ResponseStatus::Failed => self.told("response.failed", include),
            ResponseStatus::Cancelled => Event::error("cancelled", "the response was cancelled"),
            ResponseStatus::Queued | ResponseStatus::InProgress => {
                Event::error("server_error", "the response has not ended")
            }
        }
    }

    /// As it is kept, without its items.
    pub fn stored(&self) -> StoredResponse {
        StoredResponse {
            id: self.id.clone(),
            previous: self.previous.clone(),
            conversation: self.conversation.clone(),
            status: self.status,
            background: self.background,
            streamed: self.streamed,
            created: self.created,
            ended: self.ended,
            expires: self.created.saturating_add(KEPT),
            body: Value::Object(self.echo.clone()),
            outcome: json!(self.outcome),
        }
    }

    /// A response as it was kept.
    ///
    /// # Errors
    /// What of it is damaged.
    pub fn read(kept: StoredResponse, output: Vec<Value>) -> Result<Self, serde_json::Error> {
        let items = output.into_iter().map(serde_json::from_value);
        Ok(Self {
            output: items.collect::<Result<_, _>>()?,
            outcome: serde_json::from_value(kept.outcome)?,
            echo: serde_json::from_value(kept.body)?,
            id: kept.id,
            status: kept.status,
            created: kept.created,
            ended: kept.ended,
            background: kept.background,
            streamed: kept.streamed,
            previous: kept.previous,
            conversation: kept.conversation,
        })
    }
}

/// Tokens as OpenAI's API tells them of responses.
pub(crate) fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "forced_tokens": usage.forced_tokens,
        },
        "total_tokens": usage.input_tokens + usage.output_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::turn::Manner;

    fn response() -> Response {
        let mut echo = Map::new();
        echo.insert("model".to_owned(), json!("m"));
        Response {
            id: "resp_1".to_owned(),
            status: ResponseStatus::InProgress,
            created: 10,
            ended: None,
            background: false,
            streamed: false,
            previous: None,
            conversation: Some("conv_1".to_owned()),
            echo,
            outcome: Outcome::default(),
            output: Vec::new(),
        }
    }

    fn turn() -> Turn {
        let mut turn = Turn::new(Manner::default(), Vec::new());
        turn.spend(Usage {
            input_tokens: 3,
            output_tokens: 4,
            ..Usage::default()
        });
        turn.end();
        turn.note("refused", json!(true));
        turn
    }

    #[test]
    fn each_end_is_told_as_openai_has_it() {
        for (end, status, reason, completed) in [
            (End::Whole, "completed", Value::Null, json!(20)),
            (
                End::TooLong,
                "incomplete",
                json!("max_output_tokens"),
                Value::Null,
            ),
            (
                End::Filtered,
                "incomplete",
                json!("content_filter"),
                Value::Null,
            ),
        ] {
            let mut ended = response();
            ended.complete(end, turn(), 20);
            let shown = ended.shown(Include::default());
            assert_eq!(shown["status"], status);
            assert_eq!(shown["completed_at"], completed);
            assert_eq!(shown["incomplete_details"]["reason"], reason);
            assert_eq!(shown["usage"]["total_tokens"], 7);
            assert_eq!(shown["conversation"], json!({ "id": "conv_1" }));
            assert_eq!(shown["model"], "m");
            assert_eq!(shown["praxis"]["refused"], true);
            assert_eq!(shown["output"][0]["type"], "message");
            let kind = ended.last_word(Include::default()).kind;
            assert_eq!(kind, format!("response.{status}"));
            let kept = ended.output.iter().map(|item| item.stored().body).collect();
            assert_eq!(Response::read(ended.stored(), kept).unwrap(), ended);
        }
        // What is not there yet is not shown.
        assert_eq!(response().shown(Include::default()).get("usage"), None);
    }

    #[test]
    fn errors_have_codes_that_openai_knows() {
        for (code, told) in [
            (ErrorCode::RateLimited, "rate_limit_exceeded"),
            (ErrorCode::QuotaExceeded, "rate_limit_exceeded"),
            (ErrorCode::ContextLengthExceeded, "invalid_prompt"),
            (ErrorCode::Upstream, "server_error"),
            (ErrorCode::Internal, "server_error"),
        ] {
            let failure = Failure::from(&ApiError::new(code, "why"));
            assert_eq!(
                (failure.code.as_str(), failure.message.as_str()),
                (told, "why")
            );
            let mut failed = response();
            failed.fail(failure, turn(), 20);
            let shown = failed.shown(Include::default());
            assert_eq!(shown["error"]["code"], told);
            assert_eq!(failed.last_word(Include::default()).kind, "response.failed");
        }
    }
}
