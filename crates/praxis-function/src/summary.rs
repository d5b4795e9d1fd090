//! Conversations in short: how a model is asked for a summary, and how it is told of one later. Left out: whom to ask,
//! and how much of a conversation is summarized at a time.

use praxis_core::tokens::cut;
use praxis_core::{ChatRequest, Message, Role, Sampling};

/// What the model is to do.
const INSTRUCTIONS: &str = "Summarize the conversation in a few sentences, in its language. Keep names, \
                            numbers and decisions. Write only the summary.";

/// What a summary begins with where a model reads it.
const BEFORE: &str = "What was said before, in short:";

/// Tokens of an answer that go to the marks around it.
const MARKS: usize = 24;

/// The fewest tokens of a summary.
const LEAST: u32 = 16;

/// A conversation as a text: who speaks and what, and what is called, of each message at most about `most` tokens. Images
/// and files that are no texts are left out.
pub fn transcript(messages: &[Message], most: usize) -> String {
    let mut text = String::new();
    for message in messages {
        let who = match message.role {
            Role::Assistant => "Assistant",
            Role::Tool => "Tool",
            Role::System | Role::User => "User",
        };
        let said = message.text();
        if !said.is_empty() || message.tool_calls.is_empty() {
            text.push_str(&format!("{who}: {}\n", cut(&said, most)));
        }
        for call in &message.tool_calls {
            let arguments = cut(&call.arguments, most);
            text.push_str(&format!("{who} calls {}: {arguments}\n", call.name));
        }
    }
    text
}

/// The question for a summary of a transcript by a model, of at most about `tokens` tokens.
pub fn question(model: &str, transcript: String, tokens: usize) -> ChatRequest {
    let most = u32::try_from(tokens.saturating_sub(MARKS)).unwrap_or(256);
    ChatRequest {
        model: model.to_owned(),
        messages: vec![Message::system(INSTRUCTIONS), Message::user(transcript)],
        sampling: Sampling {
            temperature: Some(0.0),
            max_tokens: Some(most.max(LEAST)),
            ..Sampling::default()
        },
        ..ChatRequest::default()
    }
}

/// How a model is told of a summary.
pub fn told(summary: &str) -> Message {
    Message::system(format!("{BEFORE} {summary}"))
}

#[cfg(test)]
mod tests {
    use praxis_core::ToolCall;

    use super::*;

    #[test]
    fn a_conversation_is_put_to_the_model_by_who_speaks() {
        let mut calls = Message::of_parts(Role::Assistant, Vec::new());
        calls.tool_calls = vec![ToolCall {
            id: "c".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        }];
        let messages = [
            Message::user("My name is Ada."),
            Message::assistant("Hello Ada."),
            calls,
            Message::tool("c", "word word word"),
        ];
        let text = transcript(&messages, 2);
        assert_eq!(
            text,
            "User: My name \nAssistant: Hello Ad\nAssistant calls f: {}\nTool: word wor\n"
        );
        let whole = transcript(&messages[..1], usize::MAX);
        assert_eq!(whole, "User: My name is Ada.\n");
        for (tokens, most) in [(0, 16), (100, 76), (usize::MAX, 256)] {
            let asked = question("m", text.clone(), tokens);
            assert_eq!(asked.sampling.max_tokens, Some(most));
            assert_eq!((asked.model.as_str(), asked.messages.len()), ("m", 2));
            assert_eq!(asked.messages[1], Message::user(text.as_str()));
        }
        assert_eq!(told("Ada.").text(), "What was said before, in short: Ada.");
    }
}
