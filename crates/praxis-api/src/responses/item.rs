//! Items (OpenAI API reference, "Responses"): what was said, called and found, as it is kept and, but for what is shown
//! on demand only, as it is answered. Left out: reading them from requests.

use praxis_core::TokenLogprob;
use praxis_store::StoredItem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The logarithm of a probability that is none.
const IMPOSSIBLE: f32 = -9999.0;

/// An item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Item {
    /// What somebody said.
    Message(Said),
    /// A call of a function of the client's.
    FunctionCall(Call),
    /// What it gave.
    FunctionCallOutput(CallOutput),
    /// What was said before, in short.
    Compaction(Compacted),
    /// What the model thought.
    Reasoning(Thought),
    /// A search of vector stores.
    FileSearchCall(FileSearch),
    /// Code that the model had run.
    CodeInterpreterCall(CodeRun),
}

/// How far an item is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It is being made.
    InProgress,
    /// Of a search: it runs.
    Searching,
    /// Of code: it runs.
    Interpreting,
    /// It is whole.
    #[default]
    Completed,
    /// It was cut off.
    Incomplete,
    /// It came to nothing.
    Failed,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Speaker {
    /// The person, or the program that calls.
    User,
    /// The model.
    Assistant,
    /// The application.
    System,
    /// The application, too.
    Developer,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub id: String,
    pub status: Status,
    pub role: Speaker,
    pub content: Vec<Content>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Content {
    /// Text of all but the model.
    InputText {
        /// It.
        text: String,
    },
    /// An image.
    InputImage {
        /// Where it is, or all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_url: Option<String>,
        /// The file that it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_id: Option<String>,
        /// How closely it is to be looked at; models are not told.
        detail: Detail,
    },
    /// A file.
    InputFile(Attached),
    /// Text of the model.
    OutputText(OutputText),
    /// Words in which a model refused.
    Refusal {
        /// They.
        refusal: String,
    },
}

/// A file that comes with a message: one that was sent before, or all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatFile")]
pub(crate) struct Attached {
    /// The id of a file that was sent to `/v1/files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// What it is called. Its ending tells the format where the first bytes do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// All of it, in base64 or as a `data:` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
}

/// How closely an image is to be looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Detail {
    Low,
    High,
    #[default]
    Auto,
    Original,
}

/// Text of the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutputText {
    pub text: String,
    pub annotations: Vec<Annotation>,
    /// Of its tokens; shown on demand.
    pub logprobs: Vec<Logprob>,
}

/// What a place of a text refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Annotation {
    /// A file of a vector store.
    FileCitation {
        /// The file.
        file_id: String,
        /// What it is called.
        filename: String,
        /// The character of the text at which the mark begins.
        index: usize,
    },
    /// A passage of a document.
    UrlCitation {
        /// Where the document is shown.
        url: String,
        /// Its title.
        title: String,
        /// The first character of the mark.
        start_index: usize,
        /// The character behind the last.
        end_index: usize,
    },
}

/// A token with its natural-log probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Logprob {
    pub token: String,
    pub logprob: f32,
    pub bytes: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<Vec<Logprob>>,
}

/// A call of a function of the client's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub id: String,
    pub status: Status,
    pub call_id: String,
    pub name: String,
    pub arguments: String,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CallOutput {
    pub id: String,
    pub status: Status,
    pub call_id: String,
    pub output: Given,
}

/// What a function gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Given {
    Text(String),
    Parts(Vec<Content>),
}

/// What was said before, in short, which clients see sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compacted {
    pub id: String,
    /// What stands for it with clients.
    pub encrypted_content: String,
    /// It; never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// What the model thought before it answered: as it did, or as a summary where one was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Thought {
    pub id: String,
    pub status: Status,
    pub summary: Vec<Summary>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Aloud>,
}

/// A part of a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Summary {
    SummaryText { text: String },
}

/// A part of what was thought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Aloud {
    ReasoningText { text: String },
}

/// A search of vector stores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileSearch {
    pub id: String,
    pub status: Status,
    pub queries: Vec<String>,
    /// Shown on demand; none of one that came to nothing.
    #[serde(default)]
    pub results: Option<Vec<Found>>,
    /// Id of the model's call; never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
}

/// A passage that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub file_id: String,
    pub filename: String,
    pub score: f32,
    #[serde(default)]
    pub attributes: Map<String, Value>,
    pub text: String,
}

/// Code that the model had run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CodeRun {
    pub id: String,
    pub status: Status,
    /// Where it ran; empty as long as that is not known.
    pub container_id: String,
    /// None as long as it is being written.
    pub code: Option<String>,
    /// Shown on demand; none of code that did not run.
    #[serde(default)]
    pub outputs: Option<Vec<Output>>,
    /// Id of the model's call; never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
}

/// What came of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Output {
    /// What it printed, and the value of its last line.
    Logs {
        /// All of it.
        logs: String,
    },
    /// A picture.
    Image {
        /// The picture itself, as a `data:` URL.
        url: String,
    },
}

/// What is shown on demand only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Include {
    /// What searches found.
    pub results: bool,
    /// What came of code.
    pub outputs: bool,
    /// Log probabilities of tokens.
    pub logprobs: bool,
}

impl Item {
    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Message(one) => &one.id,
            Self::FunctionCall(one) => &one.id,
            Self::FunctionCallOutput(one) => &one.id,
            Self::Compaction(one) => &one.id,
            Self::Reasoning(one) => &one.id,
            Self::FileSearchCall(one) => &one.id,
            Self::CodeInterpreterCall(one) => &one.id,
        }
    }

    /// As it is answered.
    pub fn shown(&self, include: Include) -> Value {
        let mut item = self.clone();
        match &mut item {
            Self::Compaction(one) => one.summary = None,
            Self::FileSearchCall(search) => {
                search.call_id = None;
                search.results = search.results.take().filter(|_| include.results);
            }
            Self::CodeInterpreterCall(run) => {
                run.call_id = None;
                run.outputs = run.outputs.take().filter(|_| include.outputs);
            }
            Self::Message(said) if !include.logprobs => {
                for part in &mut said.content {
                    if let Content::OutputText(text) = part {
                        text.logprobs.clear();
                    }
                }
            }
            _ => {}
        }
        json!(item)
    }

    /// As it is kept.
    pub fn stored(&self) -> StoredItem {
        StoredItem {
            id: self.id().to_owned(),
            body: json!(self),
        }
    }

    /// Notes that nobody goes on with it.
    pub fn broken_off(&mut self) {
        let status = match self {
            Self::Message(one) => &mut one.status,
            Self::FunctionCall(one) => &mut one.status,
            Self::FunctionCallOutput(one) => &mut one.status,
            Self::Compaction(_) => return,
            Self::Reasoning(one) => &mut one.status,
            Self::FileSearchCall(one) => &mut one.status,
            Self::CodeInterpreterCall(one) => &mut one.status,
        };
        let is_open = matches!(
            status,
            Status::InProgress | Status::Searching | Status::Interpreting
        );
        if is_open {
            *status = Status::Incomplete;
        }
    }
}

/// Items as they are kept.
pub(crate) fn stored(items: &[Item]) -> Vec<StoredItem> {
    items.iter().map(Item::stored).collect()
}

#[cfg(test)]
impl Said {
    /// A text that is not the model's.
    pub fn text(id: String, role: Speaker, text: String) -> Self {
        Self {
            id,
            status: Status::Completed,
            role,
            content: vec![Content::InputText { text }],
        }
    }
}

impl From<TokenLogprob> for Logprob {
    fn from(of: TokenLogprob) -> Self {
        let alternative = |of: TokenLogprob| Self {
            token: of.token,
            logprob: finite(of.logprob),
            bytes: of.bytes.unwrap_or_default(),
            top_logprobs: None,
        };
        Self {
            token: of.token,
            logprob: finite(of.logprob),
            bytes: of.bytes.unwrap_or_default(),
            top_logprobs: Some(of.top_logprobs.into_iter().map(alternative).collect()),
        }
    }
}

/// A number that JSON has a word for.
fn finite(logprob: f32) -> f32 {
    match logprob.is_finite() {
        true => logprob,
        false => IMPOSSIBLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Item {
        Item::FileSearchCall(FileSearch {
            id: "fs_1".to_owned(),
            queries: vec!["otters".to_owned()],
            results: Some(vec![Found {
                file_id: "file-1".to_owned(),
                filename: "otter.md".to_owned(),
                score: 0.5,
                attributes: Map::new(),
                text: "An otter eats fish.".to_owned(),
            }]),
            call_id: Some("call_1".to_owned()),
            ..FileSearch::default()
        })
    }

    fn compaction() -> Item {
        Item::Compaction(Compacted {
            id: "cmp_1".to_owned(),
            encrypted_content: "eA==".to_owned(),
            summary: Some("Ada likes otters.".to_owned()),
        })
    }

    fn message() -> Item {
        let token = |token: &str, logprob, top_logprobs| TokenLogprob {
            token: token.to_owned(),
            logprob,
            bytes: None,
            top_logprobs,
        };
        let alternative = token("No", f32::NEG_INFINITY, Vec::new());
        Item::Message(Said {
            id: "msg_1".to_owned(),
            status: Status::Completed,
            role: Speaker::Assistant,
            content: vec![Content::OutputText(OutputText {
                text: "Yes".to_owned(),
                annotations: vec![Annotation::FileCitation {
                    file_id: "file-1".to_owned(),
                    filename: "otter.md".to_owned(),
                    index: 3,
                }],
                logprobs: vec![token("Yes", -0.5, vec![alternative]).into()],
            })],
        })
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_is_shown_is_what_was_asked_for() {
        let all = Include {
            results: true,
            outputs: true,
            logprobs: true,
        };
        let run = Item::CodeInterpreterCall(CodeRun {
            id: "ci_1".to_owned(),
            container_id: "cntr_1".to_owned(),
            code: Some("1 + 1".to_owned()),
            outputs: Some(vec![Output::Logs {
                logs: "2".to_owned(),
            }]),
            call_id: Some("call_2".to_owned()),
            ..CodeRun::default()
        });
        let sealed = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "eA=="});
        for (item, shown, whole) in [
            (
                run,
                json!({"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "container_id": "cntr_1",
                    "code": "1 + 1", "outputs": null}),
                json!({"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "container_id": "cntr_1",
                    "code": "1 + 1", "outputs": [{"type": "logs", "logs": "2"}]}),
            ),
            (compaction(), sealed.clone(), sealed),
            (
                search(),
                json!({"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["otters"],
                    "results": null}),
                json!({"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["otters"],
                    "results": [{"file_id": "file-1", "filename": "otter.md", "score": 0.5, "attributes": {},
                        "text": "An otter eats fish."}]}),
            ),
            (
                message(),
                json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [
                    {"type": "output_text", "text": "Yes", "annotations": [
                        {"type": "file_citation", "file_id": "file-1", "filename": "otter.md", "index": 3}],
                        "logprobs": []}]}),
                json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [
                    {"type": "output_text", "text": "Yes", "annotations": [
                        {"type": "file_citation", "file_id": "file-1", "filename": "otter.md", "index": 3}],
                        "logprobs": [{"token": "Yes", "logprob": -0.5, "bytes": [], "top_logprobs": [
                            {"token": "No", "logprob": -9999.0, "bytes": []}]}]}]}),
            ),
        ] {
            assert_eq!(item.shown(Include::default()), shown);
            assert_eq!(item.shown(all), whole);
            let kept = item.stored();
            assert_eq!(kept.id, item.id());
            assert_eq!(serde_json::from_value::<Item>(kept.body).unwrap(), item);
        }
    }

    #[test]
    fn what_was_being_made_is_cut_off_and_what_is_whole_stays() {
        for (status, then) in [
            (Status::InProgress, Status::Incomplete),
            (Status::Searching, Status::Incomplete),
            (Status::Completed, Status::Completed),
            (Status::Failed, Status::Failed),
        ] {
            let mut item = Item::FileSearchCall(FileSearch {
                status,
                ..FileSearch::default()
            });
            item.broken_off();
            assert_eq!(item.shown(Include::default())["status"], json!(then));
        }
    }
}
