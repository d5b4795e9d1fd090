//! The events of a streamed answer as they are on the wire. Unknown fields are ignored, absent ones tolerated.

use praxis_core::Usage;
use praxis_core::chat::TokenLogprob;
use serde::Deserialize;
use serde_json::Value;

/// An event of a streamed answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    #[serde(default)]
    pub candidates: Option<Vec<Candidate>>,
    #[serde(default)]
    pub prompt_feedback: Option<Feedback>,
    #[serde(default)]
    pub usage_metadata: Option<WireUsage>,
    #[serde(default)]
    pub error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feedback {
    #[serde(default)]
    pub block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    #[serde(default)]
    pub content: Option<Content>,
    #[serde(default)]
    pub finish_reason: Option<String>,
    #[serde(default)]
    pub finish_message: Option<String>,
    #[serde(default)]
    pub logprobs_result: Option<Logprobs>,
}

#[derive(Deserialize)]
pub(super) struct Content {
    #[serde(default)]
    pub parts: Option<Vec<WirePart>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WirePart {
    #[serde(default)]
    pub text: Option<String>,
    /// Whether the text is what the model thinks.
    #[serde(default)]
    pub thought: Option<bool>,
    #[serde(default)]
    pub function_call: Option<FunctionCall>,
    #[serde(default)]
    pub thought_signature: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct FunctionCall {
    /// Older models have none.
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub args: Option<Value>,
}

/// Tokens and their likeliest alternatives, position by position.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Logprobs {
    chosen_candidates: Vec<Token>,
    top_candidates: Vec<Top>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top {
    candidates: Vec<Token>,
}

/// A token; a probability of 1 has the logarithm 0, which is left out on the wire.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Token {
    token: String,
    log_probability: f32,
}

impl From<Token> for TokenLogprob {
    fn from(wire: Token) -> Self {
        Self {
            token: wire.token,
            logprob: wire.log_probability,
            bytes: None,
            top_logprobs: Vec::new(),
        }
    }
}

impl Logprobs {
    pub(super) fn tokens(self) -> Vec<TokenLogprob> {
        let mut tops = self.top_candidates.into_iter();
        let token = |chosen: Token| {
            let top = tops.next().unwrap_or_default().candidates;
            TokenLogprob {
                top_logprobs: top.into_iter().map(TokenLogprob::from).collect(),
                ..chosen.into()
            }
        };
        self.chosen_candidates.into_iter().map(token).collect()
    }
}

/// Tokens of a request ("UsageMetadata"). Those of thoughts are not among those of the candidates.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireUsage {
    prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Usage {
            input_tokens: wire.prompt_token_count,
            cached_tokens: wire.cached_content_token_count,
            output_tokens: wire
                .candidates_token_count
                .saturating_add(wire.thoughts_token_count),
            reasoning_tokens: wire.thoughts_token_count,
            ..Usage::default()
        }
    }
}
