//! Errors that cross crate borders, sorted by what the caller can do, and the one table of stable
//! codes with their HTTP status.

use std::time::Duration;

use crate::function::CallError;

/// A stable error code: what clients may match on. See `docs/errors.md` (generated).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request does not fit its schema.
    InvalidRequest,
    /// The prompt is longer than the model's context window.
    ContextLengthExceeded,
    /// No model, function or document of that name.
    NotFound,
    /// The model's files are not on this machine.
    ModelNotPulled,
    /// The key of the request, or of what it uses, opens nothing.
    Unauthorized,
    /// The caller may see it, and not change it.
    Forbidden,
    /// A person has to let the call through first.
    ApprovalNeeded,
    /// A policy or a person does not let the call through.
    Denied,
    /// A file or a body is larger than it may be.
    TooLarge,
    /// Too many requests, here or at the provider.
    RateLimited,
    /// The work took longer than it may.
    Timeout,
    /// The call needs more than its budget.
    BudgetExceeded,
    /// A limit of the caller's has no room, and will not have it soon.
    QuotaExceeded,
    /// The provider or the engine failed.
    Upstream,
    /// The provider refused the key that this server has for it.
    UpstreamUnauthorized,
    /// A request with the same `Idempotency-Key` runs.
    IdempotencyConflict,
    /// Another request had this `Idempotency-Key`.
    IdempotencyMismatch,
    /// A guard lets an input or an answer not through.
    ContentBlocked,
    /// The model's output did not keep what the function promises, however often it was asked.
    OutputInvalid,
    /// The function is not for such a question, and its output has no place to say so.
    OutOfScope,
    /// The caller went away or cancelled.
    Cancelled,
    /// No room is left on a disk of this machine.
    StorageFull,
    /// A defect of Praxis.
    Internal,
}

/// All codes, for the generated table.
pub const ERROR_CODES: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::ContextLengthExceeded,
    ErrorCode::NotFound,
    ErrorCode::ModelNotPulled,
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::ApprovalNeeded,
    ErrorCode::Denied,
    ErrorCode::TooLarge,
    ErrorCode::RateLimited,
    ErrorCode::Timeout,
    ErrorCode::BudgetExceeded,
    ErrorCode::QuotaExceeded,
    ErrorCode::Upstream,
    ErrorCode::UpstreamUnauthorized,
    ErrorCode::IdempotencyConflict,
    ErrorCode::IdempotencyMismatch,
    ErrorCode::ContentBlocked,
    ErrorCode::OutputInvalid,
    ErrorCode::OutOfScope,
    ErrorCode::Cancelled,
    ErrorCode::StorageFull,
    ErrorCode::Internal,
];

impl ErrorCode {
    /// Code, HTTP status, OpenAI error type, and what to do: the one table.
    fn row(self) -> (&'static str, u16, &'static str, &'static str) {
        match self {
            ErrorCode::InvalidRequest => (
                "invalid_request",
                400,
                "invalid_request_error",
                "Correct the named field and send the request again.",
            ),
            ErrorCode::ContextLengthExceeded => (
                "context_length_exceeded",
                400,
                "invalid_request_error",
                "Shorten the prompt, retrieve fewer passages, or use a model with a longer context.",
            ),
            ErrorCode::NotFound => (
                "not_found",
                404,
                "invalid_request_error",
                "Check the name; `GET /v1/models` lists models and functions.",
            ),
            ErrorCode::ModelNotPulled => (
                "model_not_pulled",
                503,
                "server_error",
                "Run the `praxis models pull` command that the message names.",
            ),
            ErrorCode::Unauthorized => (
                "unauthorized",
                401,
                "authentication_error",
                "Check the API key that the request came with: it is wrong, revoked or has expired. Where a tool says it, \
                 check the key that the tool is used with.",
            ),
            ErrorCode::Forbidden => (
                "forbidden",
                403,
                "invalid_request_error",
                "Use the key that made it, or one that may read everything.",
            ),
            ErrorCode::ApprovalNeeded => (
                "approval_needed",
                403,
                "invalid_request_error",
                "Have the approval of `details` decided on (`praxis approvals approve ID`), then make the same call again.",
            ),
            ErrorCode::Denied => (
                "denied",
                403,
                "invalid_request_error",
                "Do not repeat it: change the arguments, or `[policy]` of the tool's file.",
            ),
            ErrorCode::TooLarge => (
                "too_large",
                413,
                "invalid_request_error",
                "Send less, or raise the limit under `[files]` in `praxis.toml` that the message names.",
            ),
            ErrorCode::RateLimited => (
                "rate_limited",
                429,
                "rate_limit_error",
                "Wait as `Retry-After` says and send the request again.",
            ),
            ErrorCode::Timeout => (
                "timeout",
                504,
                "server_error",
                "Send the request again, or raise the model's `timeout`.",
            ),
            ErrorCode::BudgetExceeded => (
                "budget_exceeded",
                422,
                "invalid_request_error",
                "Ask for less, or raise the budget that the message names.",
            ),
            ErrorCode::QuotaExceeded => (
                "quota_exceeded",
                429,
                "insufficient_quota",
                "Ask for less, wait for the next day or month of the limit that the message names, or have it raised.",
            ),
            ErrorCode::Upstream => (
                "upstream_error",
                502,
                "server_error",
                "Send the request again; name a `fallback` in `praxis.toml` to survive outages.",
            ),
            ErrorCode::UpstreamUnauthorized => (
                "upstream_unauthorized",
                502,
                "server_error",
                "Whoever runs the server: check the key and the account at the provider; the environment variable is that \
                 which `praxis.toml` names for it. The client's own key is good.",
            ),
            ErrorCode::IdempotencyConflict => (
                "idempotency_conflict",
                409,
                "invalid_request_error",
                "Wait as `Retry-After` says and send the request again: it gets the answer of the first one.",
            ),
            ErrorCode::IdempotencyMismatch => (
                "idempotency_mismatch",
                422,
                "invalid_request_error",
                "Send another request with another `Idempotency-Key`, and the same one with the same body, byte for byte.",
            ),
            ErrorCode::ContentBlocked => (
                "content_blocked",
                422,
                "invalid_request_error",
                "Look at `details`, which says what was found: leave it out of the request, or change `praxis.guard` of \
                 the function or `[guard]` in `praxis.toml`.",
            ),
            ErrorCode::OutputInvalid => (
                "output_invalid",
                422,
                "invalid_request_error",
                "Look at `details`, which has the best attempt; simplify the schema or the checks, or use a larger model.",
            ),
            ErrorCode::OutOfScope => (
                "out_of_scope",
                422,
                "invalid_request_error",
                "Ask what the function is for; `details` has the words in which it declines.",
            ),
            ErrorCode::Cancelled => (
                "cancelled",
                499,
                "server_error",
                "Nothing: the caller stopped the call.",
            ),
            ErrorCode::StorageFull => (
                "storage_full",
                507,
                "server_error",
                "Free room on the disk of the folder `.praxis`, then do it again: what was acknowledged is kept.",
            ),
            ErrorCode::Internal => (
                "internal_error",
                500,
                "server_error",
                "Report it with the request id: this is a defect of Praxis.",
            ),
        }
    }

    /// The stable text.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that carries it.
    pub fn http_status(self) -> u16 {
        self.row().1
    }

    /// OpenAI's `error.type`.
    pub fn openai_type(self) -> &'static str {
        self.row().2
    }

    /// What the caller can do.
    pub fn remedy(self) -> &'static str {
        self.row().3
    }
}

/// What can go wrong between a request and a model's answer.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Fix the request.
    #[error("{0}")]
    InvalidRequest(String),
    /// The prompt does not fit; fix the request.
    #[error("the prompt has {prompt_tokens} tokens, the model's context window {context_length}")]
    ContextLengthExceeded {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens that the window holds.
        context_length: usize,
    },
    /// The model reads nothing but text; fix the request.
    #[error(
        "the model `{model}` reads text only, and a message holds an image or other media; send text, or \
         name a model of an endpoint that reads them"
    )]
    TextOnly {
        /// The model's name.
        model: String,
    },
    /// No such model; fix the request or `praxis.toml`.
    #[error("{0}")]
    NotFound(String),
    /// The files are not here; pull them.
    #[error("model `{model}` is not on this machine; run `praxis models pull {model}`")]
    NotPulled {
        /// The model's name in the catalogue.
        model: String,
    },
    /// The provider refused the key that is configured for it, or its account is without money: nothing that the caller
    /// of a server can mend.
    #[error("{0}")]
    Unauthorized(String),
    /// Retry after a while.
    #[error("{message}")]
    RateLimited {
        /// What the provider said.
        message: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// Retry or fall back.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Retry or fall back: connection refused, 5xx, reset.
    #[error("{0}")]
    Unavailable(String),
    /// The answer broke after it began: it cannot be retried without repeating text.
    #[error("{0}")]
    Broken(String),
    /// The caller stopped it.
    #[error("the call was cancelled")]
    Cancelled,
    /// The caller may not: a limit has no room for it, or a guard does not let it through. The error says what can be
    /// done.
    #[error("{0}")]
    Limited(Box<CallError>),
    /// A defect here.
    #[error("{0}")]
    Internal(String),
}

impl ModelError {
    /// Whether the same request may succeed when sent again, or elsewhere.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. } | Self::Timeout(_) | Self::Unavailable(_)
        )
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidRequest(_) | Self::TextOnly { .. } => ErrorCode::InvalidRequest,
            Self::ContextLengthExceeded { .. } => ErrorCode::ContextLengthExceeded,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::NotPulled { .. } => ErrorCode::ModelNotPulled,
            Self::Unauthorized(_) => ErrorCode::UpstreamUnauthorized,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Timeout(_) => ErrorCode::Timeout,
            Self::Unavailable(_) | Self::Broken(_) => ErrorCode::Upstream,
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Limited(error) => error.code,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }
}
