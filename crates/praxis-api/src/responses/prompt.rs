//! What a model reads of items: messages, with the calls of tools and what they gave. What earlier turns thought is left
//! out, as no model wants it back. Left out too: reading files (`attached`), and making the messages fit the model's
//! window (`trim`).

use praxis_core::message::ImageDetail;
use praxis_core::{Message, Part, Role, ToolCall};
use praxis_function::summary;

use super::attached::GONE;
use super::interpreter::{self, told_again};
use super::item::{CallOutput, CodeRun, Content, Detail, FileSearch, Given, Item, Said, Speaker};
use super::search::{self, Source, told};

/// A conversation on its way to a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Prompt {
    /// What it reads.
    pub messages: Vec<Message>,
    /// Files that it reads of, in the order of their marks.
    pub sources: Vec<Source>,
}

/// Lays out items, oldest first, behind the instructions. The passages of an earlier search take about `room` tokens.
///
/// # Errors
/// A call without a result, or a result without its call.
pub(crate) fn prompt(
    instructions: Option<&str>,
    items: &[Item],
    room: usize,
) -> Result<Prompt, String> {
    let mut prompt = Prompt::default();
    prompt.messages.extend(instructions.map(Message::system));
    // Calls that nothing came of so far.
    let mut open: Vec<&str> = Vec::new();
    for item in items {
        match item {
            Item::Message(said) => prompt.messages.push(message(said)),
            Item::FunctionCall(call) => {
                open.push(&call.call_id);
                prompt.call(ToolCall {
                    id: call.call_id.clone(),
                    name: call.name.clone(),
                    arguments: call.arguments.clone(),
                });
            }
            Item::FunctionCallOutput(output) => {
                let known = open.iter().position(|id| *id == output.call_id);
                let Some(known) = known else {
                    let id = &output.call_id;
                    return Err(format!("no call of the id `{id}` comes before its output"));
                };
                open.remove(known);
                prompt.messages.push(result(output));
            }
            Item::Compaction(one) => prompt
                .messages
                .extend(one.summary.as_deref().map(summary::told)),
            Item::Reasoning(_) => {}
            Item::FileSearchCall(search) => prompt.search(search, room),
            Item::CodeInterpreterCall(run) => prompt.ran(run, room),
        }
    }
    match open.first() {
        None => Ok(prompt),
        Some(id) => Err(format!("the call `{id}` has no `function_call_output`")),
    }
}

impl Prompt {
    /// Adds a call to what the model said last.
    fn call(&mut self, call: ToolCall) {
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.tool_calls.push(call),
            _ => self.messages.push(Message {
                tool_calls: vec![call],
                ..Message::of_parts(Role::Assistant, Vec::new())
            }),
        }
    }

    /// Adds an earlier search, if it is known what it found.
    fn search(&mut self, search: &FileSearch, room: usize) {
        let Some(found) = &search.results else {
            return;
        };
        let id = search.call_id.as_ref().unwrap_or(&search.id);
        self.call(ToolCall {
            id: id.clone(),
            name: search::TOOL.to_owned(),
            arguments: serde_json::json!({ "queries": search.queries }).to_string(),
        });
        let text = told(found, self.sources.len() + 1, room);
        self.messages.push(Message::tool(id, text));
        self.sources.extend(search::sources(found));
    }
}

impl Prompt {
    /// Adds an earlier run of code, if it is known what came of it.
    fn ran(&mut self, run: &CodeRun, room: usize) {
        let (Some(code), Some(text)) = (&run.code, told_again(run, room)) else {
            return;
        };
        let id = run.call_id.as_ref().unwrap_or(&run.id);
        self.call(ToolCall {
            id: id.clone(),
            name: interpreter::TOOL.to_owned(),
            arguments: serde_json::json!({ "code": code }).to_string(),
        });
        self.messages.push(Message::tool(id, text));
    }
}

pub(super) fn message(said: &Said) -> Message {
    let role = match said.role {
        Speaker::User => Role::User,
        Speaker::Assistant => Role::Assistant,
        Speaker::System | Speaker::Developer => Role::System,
    };
    Message::of_parts(role, said.content.iter().map(part).collect())
}

fn result(output: &CallOutput) -> Message {
    match &output.output {
        Given::Text(text) => Message::tool(&output.call_id, text),
        Given::Parts(parts) => Message {
            tool_call_id: Some(output.call_id.clone()),
            ..Message::of_parts(Role::Tool, parts.iter().map(part).collect())
        },
    }
}

fn part(content: &Content) -> Part {
    match content {
        Content::InputText { text } => Part::Text(text.clone()),
        Content::InputImage {
            image_url: Some(url),
            detail,
            ..
        } => Part::image(url.as_str()).detailed(match detail {
            // Who does not say is not told from who says this.
            Detail::Auto => None,
            Detail::Low => Some(ImageDetail::Low),
            Detail::High => Some(ImageDetail::High),
            Detail::Original => Some(ImageDetail::Original),
        }),
        // A file that is still one was not there to be read.
        Content::InputImage { .. } | Content::InputFile(_) => Part::Text(GONE.to_owned()),
        Content::OutputText(output) => Part::Text(output.text.clone()),
        Content::Refusal { refusal } => Part::Text(refusal.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::item::{
        Attached, Call, Compacted, Detail, Found, OutputText, Status, Thought,
    };

    fn said(role: Speaker, text: &str) -> Item {
        let content = match role {
            Speaker::Assistant => Content::OutputText(OutputText {
                text: text.to_owned(),
                ..OutputText::default()
            }),
            _ => Content::InputText {
                text: text.to_owned(),
            },
        };
        Item::Message(Said {
            id: "msg".to_owned(),
            status: Status::Completed,
            role,
            content: vec![content],
        })
    }

    fn call(id: &str) -> Item {
        Item::FunctionCall(Call {
            id: format!("fc_{id}"),
            status: Status::Completed,
            call_id: id.to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        })
    }

    fn output(id: &str, output: Given) -> Item {
        Item::FunctionCallOutput(CallOutput {
            id: format!("fco_{id}"),
            status: Status::Completed,
            call_id: id.to_owned(),
            output,
        })
    }

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    fn search(id: &str, files: Option<&[&str]>) -> Item {
        let found = |file: &&str| Found {
            file_id: (*file).to_owned(),
            filename: format!("{file}.md"),
            score: 0.5,
            attributes: serde_json::Map::new(),
            text: format!("Of {file}."),
        };
        Item::FileSearchCall(FileSearch {
            id: format!("fs_{id}"),
            queries: vec!["q".to_owned()],
            results: files.map(|files| files.iter().map(found).collect()),
            call_id: Some(id.to_owned()),
            ..FileSearch::default()
        })
    }

    fn tool_call(id: &str, name: &str, arguments: &str) -> ToolCall {
        ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    fn wants(text: &str, calls: Vec<ToolCall>) -> Message {
        let content = match text {
            "" => Vec::new(),
            text => vec![Part::Text(text.to_owned())],
        };
        Message {
            tool_calls: calls,
            ..Message::of_parts(Role::Assistant, content)
        }
    }

    #[test]
    fn calls_join_what_the_model_said_and_thoughts_go() {
        let items = [
            said(Speaker::Developer, "Be kind."),
            said(Speaker::User, "Hi"),
            Item::Reasoning(Thought::default()),
            said(Speaker::Assistant, "Let me see."),
            call("a"),
            call("b"),
            output("b", text("2")),
            output("a", text("1")),
            call("c"),
            output(
                "c",
                Given::Parts(vec![Content::InputImage {
                    image_url: Some("https://a/b.png".to_owned()),
                    file_id: None,
                    detail: Detail::Auto,
                }]),
            ),
        ];
        let found = prompt(Some("Be short."), &items, 100).unwrap();
        let plain = |id: &str| tool_call(id, "f", "{}");
        assert_eq!(
            found.messages,
            [
                Message::system("Be short."),
                Message::system("Be kind."),
                Message::user("Hi"),
                wants("Let me see.", vec![plain("a"), plain("b")]),
                Message::tool("b", "2"),
                Message::tool("a", "1"),
                wants("", vec![plain("c")]),
                Message {
                    tool_call_id: Some("c".to_owned()),
                    ..Message::of_parts(Role::Tool, vec![Part::image("https://a/b.png")])
                },
            ]
        );
        assert!(found.sources.is_empty());
    }

    #[test]
    fn what_was_said_before_is_told_in_short_and_a_file_that_is_gone_is_told_to_be() {
        let sealed = |summary: Option<&str>| {
            Item::Compaction(Compacted {
                summary: summary.map(str::to_owned),
                ..Compacted::default()
            })
        };
        let with_file = Item::Message(Said {
            id: "msg".to_owned(),
            status: Status::Completed,
            role: Speaker::User,
            content: vec![Content::InputFile(Attached::default())],
        });
        let items = [sealed(Some("Ada likes otters.")), sealed(None), with_file];
        let found = prompt(None, &items, 100).unwrap().messages;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].role, Role::System);
        assert!(found[0].text().ends_with(" Ada likes otters."));
        assert_eq!(found[1], Message::user(GONE));
    }

    #[test]
    fn marks_of_earlier_searches_count_on() {
        let items = [
            search("s1", Some(&["x", "y"])),
            said(Speaker::Assistant, "So it is [2]."),
            search("lost", None),
            search("s2", Some(&["z"])),
        ];
        let found = prompt(None, &items, 100).unwrap();
        let asked = r#"{"queries":["q"]}"#;
        assert_eq!(
            found.messages[0],
            wants("", vec![tool_call("s1", search::TOOL, asked)])
        );
        assert!(found.messages[1].text().contains("[2]"));
        assert_eq!(
            found.messages[2],
            wants("So it is [2].", vec![tool_call("s2", search::TOOL, asked)])
        );
        assert!(found.messages[3].text().contains("[3]"));
        let files: Vec<&str> = found.sources.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(files, ["x", "y", "z"]);
    }

    #[test]
    fn a_call_has_one_result_and_a_result_has_a_call() {
        for (items, wrong) in [
            (vec![call("a")], "`a` has no"),
            (vec![output("a", text("1"))], "no call of the id `a`"),
            (
                vec![output("a", text("1")), call("a")],
                "no call of the id `a`",
            ),
            (
                vec![call("a"), output("a", text("1")), output("a", text("2"))],
                "no call of the id `a`",
            ),
        ] {
            let error = prompt(None, &items, 100).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
