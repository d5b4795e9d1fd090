//! Messages as the API has them (Claude API reference, "Create a Message"; Claude documentation, "Handle tool calls"):
//! turns of the user and of the model in alternation, each a list of blocks. Left out: system messages in between,
//! which all stand before the first turn here.

use praxis_core::{ChatRequest, Message, ModelError, Part, Role, ToolCall};
use serde_json::{Value, json};

use super::content::{refused, said};
use super::thread::{Thread, is_thought};

/// Who speaks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Model,
}

/// What one of both said without being interrupted. Never empty.
#[derive(Debug)]
pub(super) struct Turn {
    speaker: Speaker,
    content: Vec<Value>,
}

impl Turn {
    pub(super) fn into_json(self) -> Value {
        let role = match self.speaker {
            Speaker::User => "user",
            Speaker::Model => "assistant",
        };
        json!({ "role": role, "content": self.content })
    }

    /// Its last block that can be marked for a cache.
    pub(super) fn last_block(&mut self) -> Option<&mut Value> {
        self.content.iter_mut().rfind(|block| !is_thought(block))
    }
}

/// The system prompt, where there is one.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for media in it.
pub(super) fn system(name: &str, messages: &[Message]) -> Result<Option<String>, ModelError> {
    let mut texts = Vec::new();
    for message in messages.iter().filter(|m| m.role == Role::System) {
        if message.has_media() {
            return Err(refused(name, "takes text only in system messages"));
        }
        let text = message.text();
        if !text.trim().is_empty() {
            texts.push(text);
        }
    }
    Ok((!texts.is_empty()).then(|| texts.join("\n\n")))
}

/// The turns of a conversation.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for media that the API has no word for.
pub(super) fn turns(
    name: &str,
    model: &str,
    request: &ChatRequest,
) -> Result<Vec<Turn>, ModelError> {
    let mut thread = Thread::of(name, model, request);
    let mut turns: Vec<Turn> = Vec::new();
    for message in &request.messages {
        let (speaker, blocks) = match message.role {
            Role::System => continue,
            Role::User => (Speaker::User, said(name, message)?),
            Role::Tool => (Speaker::User, vec![result(name, message)?]),
            Role::Assistant => (
                Speaker::Model,
                answer(name, message, thread.kept(message).as_deref())?,
            ),
        };
        thread.add(message);
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some(last) if last.speaker == speaker => last.content.extend(blocks),
            _ => turns.push(Turn {
                speaker,
                content: blocks,
            }),
        }
    }
    for turn in &mut turns {
        // The API wants results before all else; each kind stays in its order.
        turn.content.sort_by_key(|block| !is_result(block));
    }
    Ok(turns)
}

/// Whether what the model said since the user spoke last begins with what it thought, if it said something: calls and
/// their results are one turn for it.
pub(super) fn begins_with_thought(turns: &[Turn]) -> bool {
    let asks = |turn: &Turn| turn.speaker == Speaker::User && !turn.content.iter().any(is_result);
    let from = turns.iter().rposition(asks).map_or(0, |at| at + 1);
    let mut since = turns.iter().skip(from);
    let answer = since.find(|turn| turn.speaker == Speaker::Model);
    answer.is_none_or(|turn| turn.content.first().is_some_and(is_thought))
}

fn is_result(block: &Value) -> bool {
    block["type"] == "tool_result"
}

/// What a tool gave.
fn result(name: &str, message: &Message) -> Result<Value, ModelError> {
    let call = message.tool_call_id.as_deref().unwrap_or_default();
    let mut result = json!({ "type": "tool_result", "tool_use_id": id(call) });
    let content = said(name, message)?;
    if !content.is_empty() {
        result["content"] = content.into();
    }
    Ok(result)
}

/// A message of the model, with what it thought if that is remembered.
fn answer(name: &str, message: &Message, kept: Option<&[Value]>) -> Result<Vec<Value>, ModelError> {
    let calls = message.tool_calls.iter().map(call);
    let kept = kept.unwrap_or_default();
    if is_of(kept, message) {
        // As it came, to the order of its blocks.
        let mut calls = calls;
        let again = kept
            .iter()
            .filter_map(|block| match block["type"].as_str() {
                Some("tool_use") => calls.next(),
                Some("text") if text_of(block).trim().is_empty() => None,
                _ => Some(block.clone()),
            });
        return Ok(again.collect());
    }
    let thoughts = kept.iter().filter(|block| is_thought(block)).cloned();
    let mut blocks: Vec<Value> = thoughts.collect();
    blocks.extend(said(name, message)?);
    blocks.extend(calls);
    Ok(blocks)
}

/// Whether a message still says what the remembered answer said.
fn is_of(kept: &[Value], message: &Message) -> bool {
    let texts: String = kept.iter().map(text_of).collect();
    let mut rest = texts.as_str();
    let same = message.content.iter().all(|part| match part {
        Part::Text(text) => match rest.strip_prefix(text.as_str()) {
            Some(more) => {
                rest = more;
                true
            }
            None => false,
        },
        Part::Media { .. } => false,
    });
    let ids = kept.iter().filter(|block| block["type"] == "tool_use");
    let called = ids.map(|block| block["id"].as_str().unwrap_or_default());
    let calls = message.tool_calls.iter().map(|call| call.id.as_str());
    !kept.is_empty() && same && rest.is_empty() && called.eq(calls)
}

/// The text of a block that is one.
fn text_of(block: &Value) -> &str {
    match block["type"].as_str() {
        Some("text") => block["text"].as_str().unwrap_or_default(),
        _ => "",
    }
}

/// A call that the model made. What it wrote and is no object goes back under the name that the documentation
/// proposes ("Fine-grained tool streaming"): the model sees its mistake.
fn call(call: &ToolCall) -> Value {
    let input = match call.parsed() {
        Ok(input @ Value::Object(_)) => input,
        _ => json!({ "INVALID_JSON": call.arguments }),
    };
    json!({ "type": "tool_use", "id": id(&call.id), "name": call.name, "input": input })
}

/// An id of which the API takes each character: other providers' ids have more.
fn id(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    id.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calling(text: &str, calls: &[(&str, &str)]) -> Message {
        let calls = calls.iter().map(|(id, arguments)| ToolCall {
            id: (*id).to_owned(),
            name: "f".to_owned(),
            arguments: (*arguments).to_owned(),
        });
        Message {
            tool_calls: calls.collect(),
            ..Message::assistant(text)
        }
    }

    fn sent(messages: Vec<Message>) -> Result<Value, ModelError> {
        let request = ChatRequest {
            messages,
            ..ChatRequest::default()
        };
        let turns = turns("m", "claude", &request)?;
        Ok(turns.into_iter().map(Turn::into_json).collect())
    }

    #[test]
    fn turns_alternate_and_results_come_first() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let result =
            |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": [text("4")]});
        let used = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "f", "input": input});
        let user = |content: Value| json!({"role": "user", "content": content});
        let model = |content: Value| json!({"role": "assistant", "content": content});
        for (messages, expected) in [
            (
                vec![Message::user("a"), Message::system("s"), Message::user("b")],
                json!([user(json!([text("a"), text("b")]))]),
            ),
            (
                vec![
                    Message::user("a"),
                    Message::assistant(" \n"),
                    Message::user(""),
                ],
                json!([user(json!([text("a")]))]),
            ),
            (
                vec![
                    Message::user("a"),
                    calling("", &[("x", "{\"n\":1}"), ("y.1:2", "")]),
                    Message::user("and?"),
                    Message::tool("x", "4"),
                    Message::tool("y.1:2", "4"),
                ],
                json!([
                    user(json!([text("a")])),
                    model(json!([
                        used("x", json!({"n": 1})),
                        used("y_1_2", json!({}))
                    ])),
                    user(json!([result("x"), result("y_1_2"), text("and?")])),
                ]),
            ),
            (
                vec![
                    calling("so", &[("x", "{\"n\""), ("y", "[1]")]),
                    Message::tool("x", ""),
                ],
                json!([
                    model(json!([
                        text("so"),
                        used("x", json!({"INVALID_JSON": "{\"n\""})),
                        used("y", json!({"INVALID_JSON": "[1]"})),
                    ])),
                    user(json!([{"type": "tool_result", "tool_use_id": "x"}])),
                ]),
            ),
        ] {
            assert_eq!(sent(messages).unwrap(), expected);
        }
    }

    #[test]
    fn system_messages_are_one_prompt() {
        let messages = [
            Message::system("a"),
            Message::user("u"),
            Message::system(" "),
            Message::system("b"),
        ];
        assert_eq!(system("m", &messages).unwrap().as_deref(), Some("a\n\nb"));
        assert_eq!(system("m", &messages[1..3]).unwrap(), None);
        let image = Message::of_parts(Role::System, vec![Part::image("https://a/b.png")]);
        assert!(system("m", &[image]).is_err());
    }

    #[test]
    fn an_answer_goes_back_as_it_came_while_it_says_the_same() {
        let thought = |text: &str| json!({"type": "thinking", "thinking": text, "signature": "s"});
        let text = |text: &str| json!({"type": "text", "text": text});
        let used = json!({"type": "tool_use", "id": "x", "name": "f", "input": {}});
        let kept = [
            thought("1"),
            text("a"),
            text("\n"),
            thought("2"),
            text("b"),
            json!({"type": "tool_use", "id": "x"}),
        ];
        let message = calling("a\nb", &[("x", "{}")]);
        let again = answer("m", &message, Some(&kept)).unwrap();
        let expected = [
            thought("1"),
            text("a"),
            thought("2"),
            text("b"),
            used.clone(),
        ];
        assert_eq!(again, expected);
        let changed = calling("b", &[("x", "{}")]);
        let again = answer("m", &changed, Some(&kept)).unwrap();
        assert_eq!(again, [thought("1"), thought("2"), text("b"), used.clone()]);
        let again = answer("m", &message, None).unwrap();
        assert_eq!(again, [text("a\nb"), used]);
    }

    #[test]
    fn a_turn_of_the_model_reaches_from_the_users_last_question() {
        let turn = |speaker, kind: &str| Turn {
            speaker,
            content: vec![json!({ "type": kind })],
        };
        let (user, model) = (Speaker::User, Speaker::Model);
        for (turns, begins) in [
            (vec![turn(user, "text")], true),
            (vec![turn(model, "tool_use"), turn(user, "text")], true),
            (vec![turn(user, "text"), turn(model, "tool_use")], false),
            (
                vec![
                    turn(user, "text"),
                    turn(model, "thinking"),
                    turn(user, "tool_result"),
                    turn(model, "tool_use"),
                    turn(user, "tool_result"),
                ],
                true,
            ),
            (
                vec![
                    turn(user, "text"),
                    turn(model, "tool_use"),
                    turn(user, "tool_result"),
                    turn(model, "thinking"),
                ],
                false,
            ),
        ] {
            assert_eq!(begins_with_thought(&turns), begins, "{turns:?}");
        }
    }
}
