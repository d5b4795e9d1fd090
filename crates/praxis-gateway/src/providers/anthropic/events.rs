//! The events of a streamed answer, and what is counted in them (Claude documentation, "Streaming messages"). Unknown
//! ones are `Other`, unknown fields are ignored, absent ones tolerated.

use praxis_core::Usage;
use praxis_core::chat::FinishReason;
use serde::Deserialize;
use serde_json::Value;

/// More tokens than any request has: so that sums stay sums, whatever a server says.
const MOST_TOKENS: u64 = 1 << 40;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event {
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        #[serde(default)]
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        #[serde(default)]
        index: u64,
        delta: Delta,
    },
    ContentBlockStop {
        #[serde(default)]
        index: u64,
    },
    MessageDelta {
        #[serde(default)]
        delta: Ending,
        #[serde(default)]
        usage: Option<Counts>,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub usage: Option<Counts>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
        #[serde(default)]
        signature: Option<String>,
    },
    RedactedThinking {
        #[serde(default)]
        data: String,
    },
    ToolUse {
        #[serde(default)]
        id: String,
        #[serde(default)]
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
pub(super) enum Delta {
    #[serde(rename = "text_delta")]
    Text {
        #[serde(default)]
        text: String,
    },
    #[serde(rename = "thinking_delta")]
    Thinking {
        #[serde(default)]
        thinking: String,
    },
    #[serde(rename = "signature_delta")]
    Signature {
        #[serde(default)]
        signature: String,
    },
    #[serde(rename = "input_json_delta")]
    InputJson {
        #[serde(default)]
        partial_json: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize, Default)]
pub(super) struct Ending {
    #[serde(default)]
    pub stop_reason: Option<String>,
}

/// Tokens so far.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    /// Those of the prompt that have to do with no cache.
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<Details>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Details {
    thinking_tokens: Option<u64>,
}

impl Counts {
    /// Goes on to what is counted now: each count includes those before.
    pub(super) fn add(&mut self, more: Option<Counts>) {
        let more = more.unwrap_or_default();
        let thought =
            |counts: &Counts| counts.output_tokens_details.and_then(|d| d.thinking_tokens);
        let thinking_tokens = thought(self).max(thought(&more));
        *self = Counts {
            input_tokens: self.input_tokens.max(more.input_tokens),
            cache_read_input_tokens: self
                .cache_read_input_tokens
                .max(more.cache_read_input_tokens),
            cache_creation_input_tokens: self
                .cache_creation_input_tokens
                .max(more.cache_creation_input_tokens),
            output_tokens: self.output_tokens.max(more.output_tokens),
            output_tokens_details: Some(Details { thinking_tokens }),
        };
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.input_tokens.or(self.output_tokens)?;
        let count = |tokens: Option<u64>| tokens.unwrap_or_default().min(MOST_TOKENS);
        let cached_tokens = count(self.cache_read_input_tokens);
        let cache_write_tokens = count(self.cache_creation_input_tokens);
        let thought = self.output_tokens_details.and_then(|d| d.thinking_tokens);
        Some(Usage {
            input_tokens: count(self.input_tokens) + cached_tokens + cache_write_tokens,
            cached_tokens,
            cache_write_tokens,
            output_tokens: count(self.output_tokens),
            reasoning_tokens: count(thought),
            ..Usage::default()
        })
    }
}

/// Why the model stopped (Claude documentation, "Handling stop reasons"). A turn that pauses ends here: nobody here
/// goes on with it.
pub(super) fn finish_reason(text: &str) -> FinishReason {
    match text {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "refusal" => FinishReason::ContentFilter,
        "tool_use" => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> Option<Counts> {
        Some(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn tokens_of_the_cache_are_tokens_of_the_prompt() {
        let mut all = Counts::default();
        assert_eq!(all.usage(), None);
        all.add(None);
        all.add(counts(
            r#"{"input_tokens":20,"cache_read_input_tokens":300,"cache_creation_input_tokens":40,"output_tokens":1}"#,
        ));
        all.add(counts(
            r#"{"output_tokens":90,"output_tokens_details":{"thinking_tokens":60},"service_tier":"standard"}"#,
        ));
        let expected = Usage {
            input_tokens: 360,
            cached_tokens: 300,
            cache_write_tokens: 40,
            output_tokens: 90,
            reasoning_tokens: 60,
            ..Usage::default()
        };
        assert_eq!(all.usage(), Some(expected));
        // What is counted again is not counted twice, and no count is too large to be added to others.
        all.add(counts(
            r#"{"input_tokens":20,"output_tokens":18446744073709551615}"#,
        ));
        let usage = all.usage().unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (360, MOST_TOKENS)
        );
    }

    #[test]
    fn what_is_unknown_is_passed_over() {
        let is = |json: &str| serde_json::from_str::<Event>(json).unwrap();
        assert!(matches!(is(r#"{"type":"ping"}"#), Event::Other));
        assert!(matches!(is(r#"{"type":"new","delta":7}"#), Event::Other));
        assert!(matches!(
            is(r#"{"type":"message_stop","x":1}"#),
            Event::MessageStop
        ));
        for block in [
            r#"{"type":"server_tool_use","id":7}"#,
            r#"{"type":"fallback"}"#,
        ] {
            let start =
                format!(r#"{{"type":"content_block_start","index":1,"content_block":{block}}}"#);
            let Event::ContentBlockStart { content_block, .. } = is(&start) else {
                panic!("{start}");
            };
            assert!(matches!(content_block, Block::Other));
        }
        let delta =
            r#"{"type":"content_block_delta","delta":{"type":"citations_delta","citation":{}}}"#;
        let Event::ContentBlockDelta { index, delta } = is(delta) else {
            panic!("{delta}");
        };
        assert!(index == 0 && matches!(delta, Delta::Other));
    }

    #[test]
    fn each_reason_to_stop_has_its_meaning() {
        for (text, reason) in [
            ("end_turn", FinishReason::Stop),
            ("stop_sequence", FinishReason::Stop),
            ("pause_turn", FinishReason::Stop),
            ("max_tokens", FinishReason::Length),
            ("model_context_window_exceeded", FinishReason::Length),
            ("tool_use", FinishReason::ToolCalls),
            ("refusal", FinishReason::ContentFilter),
            ("new", FinishReason::Stop),
        ] {
            assert_eq!(finish_reason(text), reason, "{text}");
        }
    }
}
