//! The events of a streamed answer: each a `GenerateContentResponse` (Gemini API reference, "Generating content"). No
//! word ends the stream: an answer is whole when it said why it ended.

use std::collections::VecDeque;

use praxis_core::chat::FinishReason;
use praxis_core::tool::{CALL, MAX_TOOL_CALLS};
use praxis_core::{ModelError, ToolCallDelta, Usage, ids};

use super::events::{Candidate, Event, FunctionCall, Logprobs};
use super::{contents, failure};
use crate::wire::{Fault, Flow, Piece, Read};

/// The most characters of what the API says about an end.
const LONGEST_MESSAGE: usize = 300;

/// Ends without an answer that could be used: asked again the model may do better.
const UNUSABLE: [&str; 5] = [
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE",
    "TOO_MANY_TOOL_CALLS",
    "UNEXPECTED_TOOL_CALL",
];

/// The state of one answer.
pub(super) struct Reader {
    /// The model's name, for messages.
    name: String,
    finish: Option<FinishReason>,
    /// Calls so far.
    calls: usize,
    usage: Option<Usage>,
}

impl Reader {
    /// Nothing came yet.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            finish: None,
            calls: 0,
            usage: None,
        }
    }

    /// A call, which comes whole.
    fn call(&mut self, call: FunctionCall, signature: Option<String>) -> Option<Piece> {
        let name = call.name.filter(|name| !name.is_empty())?;
        if self.calls >= MAX_TOOL_CALLS {
            return None;
        }
        let id = call.id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| ids::generate(CALL));
        if let Some(signature) = signature {
            contents::remember(&id, signature);
        }
        let arguments = call.args.filter(|args| !args.is_null());
        let delta = ToolCallDelta {
            index: self.calls,
            id: Some(id),
            name: Some(name),
            arguments: arguments.map_or_else(|| "{}".to_owned(), |args| args.to_string()),
        };
        self.calls += 1;
        Some(Piece::ToolCall(delta))
    }

    fn parts(&mut self, candidate: &mut Candidate, pieces: &mut VecDeque<Piece>) {
        let mut logprobs = candidate.logprobs_result.take().map(Logprobs::tokens);
        let content = candidate.content.take();
        for part in content
            .and_then(|content| content.parts)
            .unwrap_or_default()
        {
            let text = part.text.filter(|text| !text.is_empty());
            if let Some(call) = part.function_call {
                pieces.extend(self.call(call, part.thought_signature));
            } else if let Some(text) = text {
                pieces.push_back(match part.thought {
                    Some(true) => Piece::Reasoning(text),
                    _ => Piece::Delta {
                        text,
                        logprobs: logprobs.take().unwrap_or_default(),
                    },
                });
            }
        }
        if let Some(logprobs) = logprobs.filter(|logprobs| !logprobs.is_empty()) {
            pieces.push_back(Piece::Delta {
                text: String::new(),
                logprobs,
            });
        }
    }
}

impl Read for Reader {
    fn event(&mut self, _: &str, data: &str, pieces: &mut VecDeque<Piece>) -> Result<Flow, Fault> {
        let event: Event = serde_json::from_str(data)?;
        if event.error.is_some_and(|error| !error.is_null()) {
            return Err(Fault::Said(failure::of_body(&self.name, None, data)));
        }
        // Each event counts what came so far.
        if let Some(usage) = event.usage_metadata {
            self.usage = Some(usage.into());
        }
        // Requests ask for one candidate; none comes where the prompt is refused.
        let Some(mut candidate) = event.candidates.unwrap_or_default().into_iter().next() else {
            let blocked = event.prompt_feedback.and_then(|said| said.block_reason);
            if blocked.is_some_and(|reason| !reason.is_empty()) {
                self.finish = Some(FinishReason::ContentFilter);
            }
            return Ok(Flow::More);
        };
        self.parts(&mut candidate, pieces);
        if let Some(reason) = candidate.finish_reason.as_deref() {
            if UNUSABLE.contains(&reason) {
                let said = candidate.finish_message.unwrap_or_default();
                let said: String = said.chars().take(LONGEST_MESSAGE).collect();
                let message = format!("`{}` ended with {reason}: {said}", self.name);
                let message = message.trim_end_matches([':', ' ']).to_owned();
                return Err(Fault::Said(ModelError::Unavailable(message)));
            }
            self.finish = finish_reason(reason).or(self.finish);
        }
        Ok(Flow::More)
    }

    fn done(&mut self) -> Option<Piece> {
        Some(Piece::Done {
            finish_reason: match self.finish? {
                FinishReason::Stop if self.calls > 0 => FinishReason::ToolCalls,
                other => other,
            },
            usage: self.usage,
        })
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// Why it ended. Each reason but two is a filter's, or one that the provider does not explain: it withheld the rest.
fn finish_reason(reason: &str) -> Option<FinishReason> {
    match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => None,
        "STOP" => Some(FinishReason::Stop),
        "MAX_TOKENS" => Some(FinishReason::Length),
        _ => Some(FinishReason::ContentFilter),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The pieces of events, with the end.
    fn read(events: &[Value]) -> Result<Vec<Piece>, Fault> {
        let (mut reader, mut pieces) = (Reader::new("m"), VecDeque::new());
        for event in events {
            reader.event("", &event.to_string(), &mut pieces)?;
        }
        pieces.extend(reader.done());
        Ok(pieces.into())
    }

    fn candidate(parts: Value, finish: Value) -> Value {
        json!({ "candidates": [{ "content": { "parts": parts, "role": "model" }, "finishReason": finish }] })
    }

    fn done(finish_reason: FinishReason) -> Piece {
        Piece::Done {
            finish_reason,
            usage: None,
        }
    }

    #[test]
    fn thoughts_text_and_calls_are_told_apart() {
        let parts = json!([
            { "text": "Hm.", "thought": true },
            { "text": "" },
            { "text": "Let me see." },
            { "functionCall": { "name": "now" } },
            { "functionCall": { "name": "", "args": {} } },
            { "functionCall": { "id": "f2", "name": "weather", "args": { "city": "Paris" } } },
            { "inlineData": { "mimeType": "image/png", "data": "AAAA" } },
        ]);
        let pieces = read(&[candidate(parts, json!("STOP"))]).unwrap();
        assert_eq!(pieces.len(), 5, "{pieces:?}");
        assert_eq!(pieces[0], Piece::Reasoning("Hm.".to_owned()));
        let text = Piece::Delta {
            text: "Let me see.".to_owned(),
            logprobs: Vec::new(),
        };
        assert_eq!(pieces[1], text);
        match &pieces[2] {
            Piece::ToolCall(call) => {
                assert!(call.id.as_ref().is_some_and(|id| id.starts_with(CALL)));
                assert_eq!((call.index, call.arguments.as_str()), (0, "{}"));
            }
            other => panic!("{other:?}"),
        }
        let call = ToolCallDelta {
            index: 1,
            id: Some("f2".to_owned()),
            name: Some("weather".to_owned()),
            arguments: "{\"city\":\"Paris\"}".to_owned(),
        };
        assert_eq!(pieces[3], Piece::ToolCall(call));
        assert_eq!(pieces[4], done(FinishReason::ToolCalls));
    }

    #[test]
    fn each_end_has_its_reason() {
        for (reason, expected) in [
            ("STOP", FinishReason::Stop),
            ("MAX_TOKENS", FinishReason::Length),
            ("SAFETY", FinishReason::ContentFilter),
            ("RECITATION", FinishReason::ContentFilter),
            ("IMAGE_SAFETY", FinishReason::ContentFilter),
            ("OTHER", FinishReason::ContentFilter),
        ] {
            let pieces = read(&[candidate(json!(null), json!(reason))]).unwrap();
            assert_eq!(pieces, [done(expected)], "{reason}");
        }
        let blocked = json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" } });
        let pieces = read(&[blocked]).unwrap();
        assert_eq!(pieces, [done(FinishReason::ContentFilter)]);
        for open in [json!(null), json!(""), json!("FINISH_REASON_UNSPECIFIED")] {
            assert!(read(&[candidate(json!([]), open)]).unwrap().is_empty());
        }
        let empty = [json!({}), json!({ "candidates": null })];
        assert!(read(&empty).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for reason in UNUSABLE {
            match read(&[candidate(json!(null), json!(reason))]) {
                Err(Fault::Said(ModelError::Unavailable(message))) => {
                    assert_eq!(message, format!("`m` ended with {reason}"));
                }
                other => panic!("{other:?}"),
            }
        }
        let error =
            json!({ "error": { "code": 503, "message": "overloaded", "status": "UNAVAILABLE" } });
        match read(&[error]) {
            Err(Fault::Said(error)) => assert_eq!(error.code().as_str(), "upstream_error"),
            other => panic!("{other:?}"),
        }
        let garbled = Reader::new("m").event("", "{", &mut VecDeque::new());
        assert!(matches!(garbled, Err(Fault::Garbled(_))));
    }

    #[test]
    fn logprobs_come_with_the_text() {
        let mut event = candidate(json!([{ "text": "The end" }]), json!("STOP"));
        event["candidates"][0]["logprobsResult"] = json!({
            "chosenCandidates": [
                { "token": "The", "tokenId": 7, "logProbability": -0.5 },
                { "token": " end" },
            ],
            "topCandidates": [{ "candidates": [
                { "token": "The", "logProbability": -0.5 },
                { "token": "An", "logProbability": -1.5 },
            ] }],
        });
        event["usageMetadata"] = json!({
            "promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 2, "thoughtsTokenCount": 5,
        });
        let pieces = read(&[event]).unwrap();
        let [Piece::Delta { logprobs, .. }, Piece::Done { usage, .. }] = pieces.as_slice() else {
            panic!("{pieces:?}");
        };
        let seen: Vec<_> = logprobs
            .iter()
            .map(|l| (l.logprob, l.top_logprobs.len()))
            .collect();
        assert_eq!(seen, [(-0.5, 2), (0.0, 0)]);
        let expected = Usage {
            input_tokens: 10,
            cached_tokens: 4,
            output_tokens: 7,
            reasoning_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(*usage, Some(expected));
    }
}
