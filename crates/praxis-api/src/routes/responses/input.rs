//! Items as clients send them (OpenAI API reference, "Create a model response", `input`), on their way to those that are
//! kept. Left out: items that they refer to by their ids, or by what stands for them, and what is in files.

use praxis_core::ids;
use serde::Deserialize;
use serde_json::Value;

use crate::responses::item::{
    Annotation, Attached, Call, CallOutput, CodeRun, Content, Detail, FileSearch, Found, Given,
    Item, Output, OutputText, Said, Speaker, Status, Summary, Thought,
};

/// Characters of an id, at most.
const MAX_ID: usize = 128;

/// Why no file is taken from an address.
const FETCHED: &str = "files are not fetched: this server opens no address that a client names. Send all of the file \
                       as `file_data`, or send it to `/v1/files` and name it by `file_id`";

/// Types of items that there are.
const TYPES: &str = "`message`, `function_call`, `function_call_output`, `reasoning`, `file_search_call`, \
     `code_interpreter_call`, `compaction` and `item_reference`";

/// An item as it came.
#[derive(Deserialize)]
pub(super) struct InItem {
    /// Messages and references may come without.
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    role: Option<Speaker>,
    content: Option<InContent>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    output: Option<InContent>,
    summary: Option<Vec<InPart>>,
    encrypted_content: Option<String>,
    queries: Option<Vec<String>>,
    results: Option<Vec<Found>>,
    container_id: Option<String>,
    code: Option<String>,
    outputs: Option<Vec<Output>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "must be a string or an array of content parts")]
enum InContent {
    Text(String),
    Parts(Vec<InPart>),
}

#[derive(Deserialize)]
struct InPart {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    detail: Option<Detail>,
    file_id: Option<String>,
    file_data: Option<String>,
    file_url: Option<String>,
    filename: Option<String>,
    /// Those that are none are passed over.
    annotations: Option<Vec<Value>>,
}

/// What an item comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    /// Itself.
    Item(Item),
    /// The item of that id.
    Reference(String),
    /// The item that this content is of.
    Sealed(String),
}

/// Where in an item something is wrong, and what.
pub(super) type Wrong = (String, String);

fn wrong<T>(place: &str, what: impl Into<String>) -> Result<T, Wrong> {
    Err((place.to_owned(), what.into()))
}

fn needed<T>(value: Option<T>, name: &str, kind: &str) -> Result<T, Wrong> {
    match value {
        Some(value) => Ok(value),
        None => wrong(
            &format!(".{name}"),
            format!("an item of type `{kind}` needs `{name}`"),
        ),
    }
}

impl InItem {
    /// What it comes to.
    ///
    /// # Errors
    /// Where in it something is wrong, and what.
    pub(super) fn entry(self) -> Result<Entry, Wrong> {
        let kind = match (&self.kind, &self.role) {
            (Some(kind), _) => kind.clone(),
            (None, Some(_)) => "message".to_owned(),
            (None, None) => "item_reference".to_owned(),
        };
        let item = match kind.as_str() {
            "message" => Item::Message(self.message()?),
            "function_call" => Item::FunctionCall(Call {
                id: own_or_new(self.id, "fc_")?,
                status: Status::Completed,
                call_id: needed(self.call_id, "call_id", &kind)?,
                name: needed(self.name, "name", &kind)?,
                arguments: self.arguments.unwrap_or_default(),
            }),
            "function_call_output" => Item::FunctionCallOutput(CallOutput {
                id: own_or_new(self.id, "fco_")?,
                status: Status::Completed,
                call_id: needed(self.call_id, "call_id", &kind)?,
                output: given(needed(self.output, "output", &kind)?)?,
            }),
            "reasoning" => Item::Reasoning(Thought {
                id: own_or_new(self.id, "rs_")?,
                summary: self
                    .summary
                    .unwrap_or_default()
                    .into_iter()
                    .map(InPart::summary)
                    .collect(),
                ..Thought::default()
            }),
            "file_search_call" => Item::FileSearchCall(FileSearch {
                id: own_or_new(self.id, "fs_")?,
                queries: self.queries.unwrap_or_default(),
                results: self.results,
                ..FileSearch::default()
            }),
            "code_interpreter_call" => Item::CodeInterpreterCall(CodeRun {
                id: own_or_new(self.id, "ci_")?,
                container_id: self.container_id.unwrap_or_default(),
                code: self.code,
                outputs: self.outputs,
                ..CodeRun::default()
            }),
            "item_reference" => {
                return Ok(Entry::Reference(needed(self.id, "id", &kind)?));
            }
            "compaction" => {
                let content = needed(self.encrypted_content, "encrypted_content", &kind)?;
                return Ok(Entry::Sealed(content));
            }
            other => {
                let message =
                    format!("items of type `{other}` are not supported; there are {TYPES}");
                return wrong(".type", message);
            }
        };
        Ok(Entry::Item(item))
    }

    fn message(self) -> Result<Said, Wrong> {
        let role = needed(self.role, "role", "message")?;
        let content = match needed(self.content, "content", "message")? {
            InContent::Text(text) if role == Speaker::Assistant => vec![output_text(text, None)],
            InContent::Text(text) => vec![Content::InputText { text }],
            InContent::Parts(parts) => parts_of(parts, "content", role)?,
        };
        Ok(Said {
            id: own_or_new(self.id, "msg_")?,
            status: Status::Completed,
            role,
            content,
        })
    }
}

impl InPart {
    fn part(self, role: Speaker) -> Result<Content, Wrong> {
        let is_models = role == Speaker::Assistant;
        match self.kind.as_str() {
            "input_text" | "output_text" | "text" if is_models => {
                let text = needed(self.text, "text", &self.kind)?;
                Ok(output_text(text, self.annotations))
            }
            "refusal" if is_models => Ok(Content::Refusal {
                refusal: needed(self.refusal, "refusal", &self.kind)?,
            }),
            "input_text" | "text" => Ok(Content::InputText {
                text: needed(self.text, "text", &self.kind)?,
            }),
            "input_image" if !is_models => match (self.image_url, self.file_id) {
                (None, None) => wrong(
                    ".image_url",
                    "an image needs `image_url`, an address or a `data:` URL, or `file_id`",
                ),
                (Some(_), Some(_)) => {
                    wrong(".file_id", "an image has either `image_url` or `file_id`")
                }
                (image_url, file_id) => Ok(Content::InputImage {
                    image_url,
                    file_id,
                    detail: self.detail.unwrap_or_default(),
                }),
            },
            "input_file" if !is_models && self.file_url.is_some() => wrong(".file_url", FETCHED),
            "input_file" if !is_models => {
                let file = Attached {
                    file_id: self.file_id,
                    filename: self.filename,
                    file_data: self.file_data,
                };
                match file.problem() {
                    Some(what) => wrong("", what),
                    None => Ok(Content::InputFile(file)),
                }
            }
            other => wrong(
                ".type",
                match is_models {
                    true => format!("the assistant says `output_text` or `refusal`, not `{other}`"),
                    false => format!(
                        "content of type `{other}` is not supported; there are `input_text`, `input_image` and \
                         `input_file`"
                    ),
                },
            ),
        }
    }

    fn summary(self) -> Summary {
        Summary::SummaryText {
            text: self.text.unwrap_or_default(),
        }
    }
}

fn parts_of(parts: Vec<InPart>, name: &str, role: Speaker) -> Result<Vec<Content>, Wrong> {
    let parts = parts.into_iter().enumerate();
    let read = |(i, part): (usize, InPart)| {
        part.part(role)
            .map_err(|(place, what)| (format!(".{name}[{i}]{place}"), what))
    };
    parts.map(read).collect()
}

fn output_text(text: String, annotations: Option<Vec<Value>>) -> Content {
    let annotations = annotations.unwrap_or_default().into_iter();
    Content::OutputText(OutputText {
        text,
        annotations: annotations
            .filter_map(|one| serde_json::from_value::<Annotation>(one).ok())
            .collect(),
        logprobs: Vec::new(),
    })
}

fn given(output: InContent) -> Result<Given, Wrong> {
    Ok(match output {
        InContent::Text(text) => Given::Text(text),
        InContent::Parts(parts) => Given::Parts(parts_of(parts, "output", Speaker::User)?),
    })
}

/// The id that an item came with, or a new one.
fn own_or_new(id: Option<String>, prefix: &str) -> Result<String, Wrong> {
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        return Ok(ids::generate(prefix));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match id.len() <= MAX_ID && id.chars().all(fits) {
        true => Ok(id),
        false => wrong(
            ".id",
            format!("an id has at most {MAX_ID} letters, digits, `_` and `-`"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::responses::item::Include;

    fn read(value: Value) -> Result<Entry, Wrong> {
        serde_json::from_value::<InItem>(value).unwrap().entry()
    }

    fn shown(value: Value) -> Value {
        match read(value).unwrap() {
            Entry::Item(item) => {
                let include = Include {
                    results: true,
                    outputs: true,
                    logprobs: true,
                };
                item.shown(include)
            }
            Entry::Reference(id) => json!({ "reference": id }),
            Entry::Sealed(content) => json!({ "sealed": content }),
        }
    }

    #[test]
    fn items_are_read_as_clients_send_them() {
        let said = |role: &str, content: Value| json!({ "type": "message", "id": "x", "status": "completed", "role": role, "content": content });
        let input = |text: &str| json!({ "type": "input_text", "text": text });
        let output = |text: &str| json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
        for (sent, wanted) in [
            (
                json!({ "role": "user", "content": "Hi", "id": "x" }),
                said("user", json!([input("Hi")])),
            ),
            (
                json!({ "type": "message", "role": "developer", "content": [input("Hi")], "id": "x" }),
                said("developer", json!([input("Hi")])),
            ),
            (
                json!({ "role": "assistant", "content": "Hi", "id": "x", "phase": null }),
                said("assistant", json!([output("Hi")])),
            ),
            // As an answer is sent back.
            (
                said(
                    "assistant",
                    json!([{ "type": "output_text", "text": "Hi", "annotations": [{ "type": "odd" }] },
                    { "type": "refusal", "refusal": "No." }]),
                ),
                said(
                    "assistant",
                    json!([output("Hi"), { "type": "refusal", "refusal": "No." }]),
                ),
            ),
            (
                json!({ "role": "user", "id": "x", "content": [{ "type": "input_image", "image_url": "https://a/b.png", "detail": "low" }] }),
                said(
                    "user",
                    json!([{ "type": "input_image", "image_url": "https://a/b.png", "detail": "low" }]),
                ),
            ),
            (
                json!({ "role": "user", "id": "x", "content": [{ "type": "input_image", "file_id": "file-1", "image_url": null }] }),
                said(
                    "user",
                    json!([{ "type": "input_image", "file_id": "file-1", "detail": "auto" }]),
                ),
            ),
            (
                json!({ "role": "user", "id": "x", "content": [
                    { "type": "input_file", "file_id": "file-1", "file_url": null },
                    { "type": "input_file", "filename": "a.md", "file_data": "eA==" },
                ] }),
                said(
                    "user",
                    json!([
                        { "type": "input_file", "file_id": "file-1" },
                        { "type": "input_file", "filename": "a.md", "file_data": "eA==" },
                    ]),
                ),
            ),
            (
                json!({ "type": "function_call", "id": "x", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed" }),
                json!({ "type": "function_call", "id": "x", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}" }),
            ),
            (
                json!({ "type": "function_call_output", "id": "x", "call_id": "c", "output": "4" }),
                json!({ "type": "function_call_output", "id": "x", "status": "completed", "call_id": "c", "output": "4" }),
            ),
            (
                json!({ "type": "function_call_output", "id": "x", "call_id": "c", "output": [input("4")] }),
                json!({ "type": "function_call_output", "id": "x", "status": "completed", "call_id": "c", "output": [input("4")] }),
            ),
            (
                json!({ "type": "reasoning", "id": "x", "summary": [{ "type": "summary_text", "text": "Hm" }],
                    "content": null, "encrypted_content": "gAAA" }),
                json!({ "type": "reasoning", "id": "x", "status": "completed", "summary": [{ "type": "summary_text", "text": "Hm" }] }),
            ),
            (
                json!({ "type": "file_search_call", "id": "x", "status": "completed", "queries": ["q"], "results": null }),
                json!({ "type": "file_search_call", "id": "x", "status": "completed", "queries": ["q"], "results": null }),
            ),
            (
                json!({ "type": "code_interpreter_call", "id": "x", "status": "completed", "container_id": "c",
                    "code": "1", "outputs": [{ "type": "logs", "logs": "1" }] }),
                json!({ "type": "code_interpreter_call", "id": "x", "status": "completed", "container_id": "c",
                    "code": "1", "outputs": [{ "type": "logs", "logs": "1" }] }),
            ),
            (
                json!({ "type": "item_reference", "id": "x" }),
                json!({ "reference": "x" }),
            ),
            (json!({ "id": "x" }), json!({ "reference": "x" })),
            (
                json!({ "type": "compaction", "id": null, "encrypted_content": "eA==" }),
                json!({ "sealed": "eA==" }),
            ),
        ] {
            assert_eq!(shown(sent), wanted);
        }
        let new = shown(json!({ "role": "user", "content": "Hi" }));
        assert!(new["id"].as_str().unwrap().starts_with("msg_"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (sent, place) in [
            (json!({ "role": "user" }), ".content"),
            (json!({ "type": "message", "content": "x" }), ".role"),
            (json!({}), ".id"),
            (json!({ "type": "computer_call", "id": "x" }), ".type"),
            (json!({ "type": "function_call", "name": "f" }), ".call_id"),
            (
                json!({ "type": "function_call_output", "call_id": "c" }),
                ".output",
            ),
            (
                json!({ "role": "user", "content": "x", "id": "a b" }),
                ".id",
            ),
            (
                json!({ "role": "user", "content": [{ "type": "input_text", "text": "x" }, { "type": "input_file" }] }),
                ".content[1]",
            ),
            (
                json!({ "role": "user", "content": [{ "type": "input_file", "file_url": "https://a/b.pdf" }] }),
                ".content[0].file_url",
            ),
            (
                json!({ "role": "assistant", "content": [{ "type": "input_file", "file_id": "f" }] }),
                ".content[0].type",
            ),
            (
                json!({ "role": "user", "content": [{ "type": "input_image" }] }),
                ".content[0].image_url",
            ),
            (json!({ "type": "compaction" }), ".encrypted_content"),
            (
                json!({ "role": "user", "content": [{ "type": "output_text", "text": "x" }] }),
                ".content[0].type",
            ),
            (
                json!({ "role": "assistant", "content": [{ "type": "input_image", "image_url": "x" }] }),
                ".content[0].type",
            ),
            (
                json!({ "type": "function_call_output", "call_id": "c", "output": [{ "type": "input_text" }] }),
                ".output[0].text",
            ),
        ] {
            assert_eq!(read(sent).unwrap_err().0, place);
        }
    }
}
