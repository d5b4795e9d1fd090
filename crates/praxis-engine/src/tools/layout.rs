//! A conversation with tools as chat templates take it: values for templates that know tools, and plain
//! messages for those that do not.

use std::collections::HashMap;

use praxis_core::{Message, Role, ToolCall, ToolSpec};
use serde::Serialize;
use serde_json::{Value, json};

use super::{CLOSE, OPEN, head, spaced_json};

/// A message as a template sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TemplateMessage {
    pub(crate) role: &'static str,
    pub(crate) content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_call_id: Option<String>,
    /// The tool whose result it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

impl TemplateMessage {
    fn plain(role: Role, content: String) -> Self {
        Self {
            role: role.as_str(),
            content,
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
        }
    }
}

/// Whether a template lays out tools in the form that calls are read in.
pub(crate) fn knows_tools(template: &str) -> bool {
    template.contains("tools") && template.contains(OPEN)
}

/// The tools as templates know them.
pub(crate) fn values(tools: &[ToolSpec]) -> Vec<Value> {
    let value = |tool: &ToolSpec| json!({ "type": "function", "function": tool });
    tools.iter().map(value).collect()
}

/// Messages for a template that knows tools, calls and results.
pub(crate) fn native(messages: &[Message]) -> Vec<TemplateMessage> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        for call in &message.tool_calls {
            names.insert(&call.id, &call.name);
        }
        let id = message.tool_call_id.as_deref();
        all.push(TemplateMessage {
            role: message.role.as_str(),
            content: message.text().into_owned(),
            tool_calls: message.tool_calls.iter().map(call_value).collect(),
            tool_call_id: id.map(str::to_owned),
            name: id.and_then(|id| names.get(id)).map(|n| (*n).to_owned()),
        });
    }
    all
}

fn call_value(call: &ToolCall) -> Value {
    // Templates write arguments as JSON; a text that is none goes in as it is.
    let arguments = call.parsed().unwrap_or_else(|_| json!(call.arguments));
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": arguments },
    })
}

/// Messages for a template that knows of no tools: the system message tells of them, calls are text of
/// the model, and results are told by the user.
pub(crate) fn plain(messages: &[Message], tools: &[ToolSpec]) -> Vec<TemplateMessage> {
    let mut all: Vec<TemplateMessage> = Vec::with_capacity(messages.len() + 1);
    let mut told = false;
    for message in messages {
        let text = message.text();
        if message.role == Role::Tool {
            // What a tool gave cannot end its own mark: these are no control tokens here.
            let text = text.replace("tool_response>", "tool_response >");
            let result = format!("<tool_response>\n{text}\n</tool_response>");
            match all.last_mut() {
                // Templates want turns to alternate.
                Some(last) if told => {
                    last.content.push('\n');
                    last.content.push_str(&result);
                }
                _ => all.push(TemplateMessage::plain(Role::User, result)),
            }
            told = true;
            continue;
        }
        told = false;
        let mut content = text.into_owned();
        for call in &message.tool_calls {
            if !content.is_empty() {
                content.push('\n');
            }
            content.push_str(&written(call));
        }
        all.push(TemplateMessage::plain(message.role, content));
    }
    if !tools.is_empty() {
        let told = instructions(tools);
        match all.first_mut().filter(|m| m.role == Role::System.as_str()) {
            Some(system) => {
                system.content.push_str("\n\n");
                system.content.push_str(&told);
            }
            None => all.insert(0, TemplateMessage::plain(Role::System, told)),
        }
    }
    all
}

fn written(call: &ToolCall) -> String {
    let value = call.parsed().unwrap_or_else(|_| json!(call.arguments));
    let arguments = spaced_json(&value).unwrap_or_default();
    format!("{OPEN}\n{}{arguments}}}\n{CLOSE}", head(&call.name))
}

fn instructions(tools: &[ToolSpec]) -> String {
    let mut text = String::from(
        "You can call tools. Each line between <tools> and </tools> describes one as JSON:\n<tools>\n",
    );
    for value in values(tools) {
        text.push_str(&spaced_json(&value).unwrap_or_default());
        text.push('\n');
    }
    text.push_str(&format!(
        "</tools>\n\nTo call one, write its name and its arguments as JSON between these marks:\n\
         {OPEN}\n{{\"name\": \"...\", \"arguments\": {{...}}}}\n{CLOSE}\n\
         You then get what it gave. Call a tool only if it helps; otherwise just answer."
    ));
    text
}

#[cfg(test)]
mod tests {
    use praxis_core::tool::no_parameters;

    use super::super::reader::{CallReader, Read};
    use super::super::tests::spec;
    use super::*;

    fn conversation() -> Vec<Message> {
        let call = |id: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: "add".to_owned(),
            arguments: arguments.to_owned(),
        };
        let mut wants = Message::assistant("Let me see.");
        wants.tool_calls = vec![call("1", "{\"a\":1}"), call("2", "not json")];
        vec![
            Message::user("1 + 1?"),
            wants,
            Message::tool("1", "2"),
            Message::tool("2", "error"),
            Message::assistant("2"),
        ]
    }

    #[test]
    fn a_template_that_knows_tools_gets_values() {
        let all = native(&conversation());
        assert_eq!(
            all[1].tool_calls[0]["function"],
            json!({"name": "add", "arguments": {"a": 1}})
        );
        assert_eq!(
            all[1].tool_calls[1]["function"]["arguments"],
            json!("not json")
        );
        assert_eq!(
            (
                all[2].role,
                all[2].tool_call_id.as_deref(),
                all[2].name.as_deref()
            ),
            ("tool", Some("1"), Some("add"))
        );
    }

    #[test]
    fn another_one_gets_text_with_alternating_turns() {
        let tools = [spec("add", no_parameters())];
        let all = plain(&conversation(), &tools);
        let roles: Vec<&str> = all.iter().map(|m| m.role).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user", "assistant"]);
        assert!(
            all[0].content.contains("\"name\": \"add\""),
            "{}",
            all[0].content
        );
        assert_eq!(
            all[3].content,
            "<tool_response>\n2\n</tool_response>\n<tool_response>\nerror\n</tool_response>"
        );
        // What is shown of a call is what calls are read from.
        let mut reader = CallReader::new(Vec::new());
        let read = reader.push(&all[2].content);
        let Read::Call(call) = &read[1] else {
            panic!("{read:?}");
        };
        assert_eq!(call.arguments, "{\"a\": 1}");
        // A system message stays the first, and there is none without need.
        let with_system = plain(&[Message::system("S"), Message::user("u")], &tools);
        assert!(
            with_system[0]
                .content
                .starts_with("S\n\nYou can call tools.")
        );
        assert_eq!(plain(&[Message::user("u")], &[]).len(), 1);
    }
}
