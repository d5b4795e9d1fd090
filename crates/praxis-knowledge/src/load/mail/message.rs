//! One message: head, text, attachments. Left out: how a mailbox is cut into messages.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mail_parser::{Address, Encoding, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::body;
use praxis_core::Metadata;
use serde_json::{Map, Value};

use crate::document::{BlockKind, Builder, LoadedDocument};
use crate::load::{LoadError, LoadLimits, Loading, few, html, load_nested, text};
use crate::metadata::from_file;

/// Attachments of a message that are read.
const MAX_ATTACHMENTS: usize = 100;

/// Addresses of a header that are shown.
const MAX_ADDRESSES: usize = 20;

/// Who wrote a message, and when.
fn about(message: &Message<'_>) -> Metadata {
    let mut about = Map::new();
    let author = message.from().and_then(Address::first);
    if let Some(author) = author.and_then(|a| a.name().or(a.address())) {
        about.insert("author".to_owned(), Value::from(author));
    }
    if let Some(date) = message.date() {
        about.insert("date".to_owned(), Value::from(date.to_rfc3339()));
    }
    // What a mail program wrote badly is nothing that its reader could mend.
    from_file(&about, "head", &mut Vec::new())
}

/// Messages on their way to a document.
pub(super) struct Reader {
    builder: Builder,
    notes: Vec<String>,
    how: Loading,
    /// Bytes of text that may still come: attachments unpack.
    left: u64,
    depth: usize,
    /// Author and date of the last message.
    about: Metadata,
}

impl Reader {
    /// For messages inside of so many others.
    pub fn new(how: &Loading, depth: usize) -> Self {
        Self {
            builder: Builder::default(),
            notes: Vec::new(),
            how: how.clone(),
            left: how.limits.max_bytes,
            depth,
            about: Metadata::new(),
        }
    }

    /// Notes what could not be read.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The document of one message, with its author and date.
    pub fn finish_one(mut self, name: &str) -> LoadedDocument {
        let about = std::mem::take(&mut self.about);
        let mut document = self.finish(None, name);
        document.metadata = about;
        document
    }

    /// The document of all that was read.
    pub fn finish(self, title: Option<String>, name: &str) -> LoadedDocument {
        let mut document = self.builder.finish(title, name);
        document.notes = few(self.notes.into_iter());
        document
    }

    /// Adds a message.
    ///
    /// # Errors
    /// [`LoadError::Damaged`] for what has no head of a message.
    pub fn message(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        // Version 0.11 has an assertion, in debug builds, that some broken messages do not keep.
        let message = catch_unwind(|| MessageParser::default().parse(bytes))
            .map_err(|_| LoadError::Damaged("its parts do not fit together".to_owned()))?
            .filter(|m| {
                m.from().is_some()
                    || m.to().is_some()
                    || m.subject().is_some()
                    || m.date().is_some()
                    || m.content_type().is_some()
            })
            .ok_or_else(|| {
                LoadError::Damaged("it does not begin with the head of a message".to_owned())
            })?;
        self.about = about(&message);
        let subject = message.subject().map(str::trim).unwrap_or_default();
        let subject = if subject.is_empty() {
            "(no subject)"
        } else {
            subject
        };
        self.push(BlockKind::Heading(1), subject)?;
        self.push(BlockKind::Paragraph, &head(&message))?;
        self.bodies(&message)?;
        let mut others = 0usize;
        for part in message.attachments() {
            if others < MAX_ATTACHMENTS {
                others += 1;
                self.attachment(part)?;
            } else {
                self.note(format!("only {MAX_ATTACHMENTS} attachments are read"));
                break;
            }
        }
        Ok(())
    }

    fn push(&mut self, kind: BlockKind, text: &str) -> Result<(), LoadError> {
        self.builder.push(kind, text, None);
        self.check()
    }

    /// Whether the text is within its bound.
    fn check(&self) -> Result<(), LoadError> {
        let size = self.builder.size() as u64;
        if size > self.left {
            return Err(LoadError::TooLarge {
                size,
                limit: self.how.limits.max_bytes,
            });
        }
        Ok(())
    }

    fn bodies(&mut self, message: &Message<'_>) -> Result<(), LoadError> {
        let plain: Vec<&MessagePart<'_>> = message.text_bodies().collect();
        let empty = |part: &&MessagePart<'_>| {
            part.text_contents()
                .is_none_or(|text| text.trim().is_empty())
        };
        let pages: Vec<&MessagePart<'_>> = message.html_bodies().collect();
        for part in if plain.iter().all(empty) {
            pages
        } else {
            plain
        } {
            match &part.body {
                PartType::Html(page) => {
                    let page = written(message, part, page);
                    let document = html::load_mail(&page);
                    self.builder.append(&document, 1, None);
                }
                PartType::Text(text) => body::add(&written(message, part, text), &mut self.builder),
                _ => {}
            }
            self.check()?;
        }
        Ok(())
    }

    fn attachment(&mut self, part: &MessagePart<'_>) -> Result<(), LoadError> {
        let (kind, subtype) = part
            .content_type()
            .map_or(("", ""), |t| (t.ctype(), t.subtype().unwrap_or_default()));
        let kind = kind.to_ascii_lowercase();
        let silent = matches!(kind.as_str(), "image" | "audio" | "video")
            || subtype.to_ascii_lowercase().ends_with("-signature");
        if silent || part.is_empty() {
            return Ok(());
        }
        let name = match (part.attachment_name(), &part.body) {
            (_, PartType::Message(_)) => "message.eml".to_owned(),
            (Some(name), _) => name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned(),
            (None, PartType::Html(_)) => "attachment.html".to_owned(),
            (None, PartType::Text(_)) => "attachment.txt".to_owned(),
            (None, _) => "attachment".to_owned(),
        };
        let limits = LoadLimits {
            max_bytes: self.left.saturating_sub(self.builder.size() as u64),
            ..self.how.limits
        };
        let bytes: Cow<'_, [u8]> = match &part.body {
            PartType::Message(inner) => Cow::Borrowed(whole(inner)),
            _ => Cow::Borrowed(part.contents()),
        };
        let depth = self.depth + 1;
        // A parser that gives up costs this attachment only.
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            load_nested(&name, &bytes, &self.how.within(limits), depth)
        }));
        match loaded {
            Ok(Ok(document)) => {
                self.push(BlockKind::Heading(2), &format!("Attachment: {name}"))?;
                let notes = document.notes.iter().map(|note| format!("{name}: {note}"));
                self.notes.extend(notes);
                self.builder.append(&document, 2, None);
                self.check()?;
            }
            Ok(Err(LoadError::Empty)) => {}
            Ok(Err(error)) => self.note(format!("attachment `{name}` {error}")),
            Err(_) => self.note(format!("attachment `{name}` cannot be read")),
        }
        Ok(())
    }
}

/// The bytes of a message inside of another, whose bytes are those of both.
fn whole<'a>(inner: &'a Message<'_>) -> &'a [u8] {
    let root = inner.root_part();
    let (begin, end) = (root.raw_header_offset(), root.raw_end_offset());
    inner
        .raw_message
        .get(begin as usize..end as usize)
        .unwrap_or_default()
}

/// Who wrote to whom, and when.
fn head(message: &Message<'_>) -> String {
    let mut lines = Vec::new();
    for (label, addresses) in [
        ("From", message.from()),
        ("To", message.to()),
        ("Cc", message.cc()),
    ] {
        lines.extend(
            addresses
                .map(people)
                .filter(|p| !p.is_empty())
                .map(|people| format!("{label}: {people}")),
        );
    }
    lines.extend(
        message
            .date()
            .filter(|date| date.is_valid())
            .map(|date| format!("Date: {}", date.to_rfc3339().replacen('T', " ", 1))),
    );
    lines.join("\n")
}

fn people(addresses: &Address<'_>) -> String {
    let shown = addresses
        .iter()
        .take(MAX_ADDRESSES)
        .map(|one| match (one.name(), one.address()) {
            (Some(name), Some(address)) if name != address => format!("{name} <{address}>"),
            (_, Some(one)) | (Some(one), None) => one.to_owned(),
            (None, None) => String::new(),
        })
        .filter(|one| !one.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    match addresses.iter().count().saturating_sub(MAX_ADDRESSES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The text of a part; where it names no encoding and is not in UTF-8, in the encoding that it looks to
/// be in.
fn written<'a>(message: &Message<'_>, part: &MessagePart<'_>, text: &'a str) -> Cow<'a, str> {
    let named = part
        .content_type()
        .is_some_and(|t| t.has_attribute("charset"));
    if named || part.encoding != Encoding::None || !text.contains('\u{fffd}') {
        return Cow::Borrowed(text);
    }
    let (begin, end) = (part.raw_body_offset(), part.raw_end_offset());
    let raw = message.raw_message.get(begin as usize..end as usize);
    raw.and_then(|raw| text::decode(raw, None).ok())
        .map_or(Cow::Borrowed(text), |decoded| {
            Cow::Owned(decoded.text.into_owned())
        })
}
