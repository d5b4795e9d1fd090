//! From rendered text with marks to messages: roles, parts, and the place of the history.
//!
//! The rules are those of the reference implementation, its treatment of white space included: text
//! that is only white space between two marks is dropped, all other is kept as it is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::values::{LITERAL, MARK};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Model,
    /// A tool's result.
    Tool,
}

impl Role {
    /// The role of that name; `assistant`, as other formats call it, is the model.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "system" => Some(Role::System),
            "user" => Some(Role::User),
            "model" | "assistant" => Some(Role::Model),
            "tool" => Some(Role::Tool),
            _ => None,
        }
    }
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, a recording, or what else has an address.
    Media {
        /// What and where.
        media: Media,
    },
    /// A place that a later stage may fill; `purpose` says with what.
    Pending {
        /// `pending: true` and the `purpose`.
        metadata: Map<String, Value>,
    },
}

/// Where media are, and of what type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Address; a `data:` URL holds the content itself.
    pub url: String,
    /// MIME type.
    #[serde(
        rename = "contentType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub content_type: Option<String>,
}

impl Part {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text { text: text.into() }
    }

    /// The purpose of a pending part.
    pub fn purpose(&self) -> Option<&str> {
        match self {
            Part::Pending { metadata } => metadata.get("purpose")?.as_str(),
            _ => None,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Vec<Part>,
    /// Further data; `purpose: history` where the message comes from the conversation so far.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// What a helper put into the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    Role(Role, Map<String, Value>),
    History,
    Media(Media),
    Section(String),
}

const PURPOSE: &str = "purpose";
const HISTORY: &str = "history";

/// The messages of a rendered template.
pub(super) fn from_rendered(rendered: &str, marks: &[Mark], history: &[Message]) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    let mut current = empty(Role::User);
    // What stands between two marks of role or history.
    let mut piece: Vec<Part> = Vec::new();
    let mut text = String::new();
    let mut rest = rendered;
    loop {
        let at = rest.find(MARK).unwrap_or(rest.len());
        text.push_str(&rest[..at]);
        let Some(after) = rest[at..].strip_prefix(MARK) else {
            break;
        };
        if let Some(after) = after.strip_prefix(LITERAL) {
            text.push(MARK);
            rest = after;
            continue;
        }
        let (number, after) = after.split_once(';').unwrap_or((after, ""));
        rest = after;
        match number.parse::<usize>().ok().and_then(|n| marks.get(n)) {
            None => {}
            Some(Mark::Media(media)) => {
                end_text(&mut text, &mut piece);
                piece.push(Part::Media {
                    media: media.clone(),
                });
            }
            Some(Mark::Section(purpose)) => {
                end_text(&mut text, &mut piece);
                let metadata = [("pending", json!(true)), (PURPOSE, json!(purpose))];
                piece.push(Part::Pending {
                    metadata: metadata
                        .map(|(k, v)| (k.to_owned(), v))
                        .into_iter()
                        .collect(),
                });
            }
            Some(Mark::Role(role, metadata)) => {
                end_text(&mut text, &mut piece);
                current.content.append(&mut piece);
                if !current.content.is_empty() {
                    all.push(std::mem::replace(&mut current, empty(*role)));
                }
                current.role = *role;
                current.metadata.extend(metadata.clone());
            }
            Some(Mark::History) => {
                end_text(&mut text, &mut piece);
                current.content.append(&mut piece);
                // After the history the model speaks, unless the template names a role.
                all.push(std::mem::replace(&mut current, empty(Role::Model)));
                all.extend(history.iter().cloned().map(|mut message| {
                    message.metadata.insert(PURPOSE.to_owned(), json!(HISTORY));
                    message
                }));
            }
        }
    }
    end_text(&mut text, &mut piece);
    current.content.append(&mut piece);
    all.push(current);
    all.retain(|message| !message.content.is_empty());
    with_history(all, history)
}

fn empty(role: Role) -> Message {
    Message {
        role,
        content: Vec::new(),
        metadata: Map::new(),
    }
}

fn end_text(text: &mut String, parts: &mut Vec<Part>) {
    let text = std::mem::take(text);
    if !text.trim().is_empty() {
        parts.push(Part::Text { text });
    }
}

/// Puts the history, unless the template placed it, before the last message of the user, or last.
fn with_history(mut all: Vec<Message>, history: &[Message]) -> Vec<Message> {
    let placed = all
        .iter()
        .any(|m| m.metadata.get(PURPOSE).and_then(Value::as_str) == Some(HISTORY));
    if !placed {
        let at = match all.last() {
            Some(last) if last.role == Role::User => all.len() - 1,
            _ => all.len(),
        };
        all.splice(at..at, history.iter().cloned());
    }
    all
}
