//! JSON and JSON Lines: each object of a list, or of a line, a record that reads as text. Left out:
//! nulls, and the places in lists, which say nothing to a reader.
//!
//! Values go from the parser to the text one by one: a tree of them would be many times the file.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{LoadError, LoadLimits, few, text};
use crate::document::{BlockKind, Builder, LoadedDocument};

/// Fields that are the title of a record.
const TITLES: &[&str] = &["title", "name", "subject", "headline"];

/// Fields that are text to be read, not a property.
const TEXTS: &[&str] = &[
    "text",
    "content",
    "contents",
    "body",
    "passage",
    "markdown",
    "abstract",
    "page_content",
];

/// Characters of a field's path that are shown.
const MAX_PATH: usize = 120;

/// The document of a JSON text; one that is broken is read as it stands.
///
/// # Errors
/// [`LoadError::TooLarge`] for much more text than the limit.
pub(super) fn load(
    source: &str,
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    let mut sink = Sink::new(limits);
    match read(source, Place::Top, &mut sink) {
        Ok(()) => Ok(sink.finish(name)),
        Err(_) if sink.full => Err(sink.too_large()),
        Err(error) => {
            let first = source.lines().find(|l| !l.trim().is_empty());
            if first.is_some_and(|l| read(l, Place::Item, &mut Sink::new(limits)).is_ok()) {
                return load_lines(source, name, limits);
            }
            let mut builder = Builder::default();
            builder.push(BlockKind::Code, source, None);
            let mut document = builder.finish(None, name);
            document
                .notes
                .push(format!("it is no JSON ({error}): read as plain text"));
            Ok(document)
        }
    }
}

/// The document of a file with a JSON value on each line.
///
/// # Errors
/// [`LoadError::Damaged`] if no line holds one, [`LoadError::TooLarge`] for much more text than the
/// limit.
pub(super) fn load_lines(
    source: &str,
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    let mut sink = Sink::new(limits);
    let (mut read_lines, mut broken) = (0usize, Vec::new());
    for (number, line) in (1usize..).zip(source.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        match read(line, Place::Item, &mut sink) {
            Ok(()) => read_lines += 1,
            Err(_) if sink.full => return Err(sink.too_large()),
            Err(_) => {
                // What was read of it before the mistake is not kept.
                sink.record = Record::default();
                broken.push(number);
            }
        }
    }
    if read_lines == 0 {
        return Err(LoadError::Damaged(
            "no line of it holds a JSON value".to_owned(),
        ));
    }
    let mut document = sink.finish(name);
    document.notes = few(broken.iter().map(|n| format!("line {n} is no JSON")));
    Ok(document)
}

fn read(source: &str, place: Place, sink: &mut Sink) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_str(source);
    let path = String::new();
    Node { sink, path, place }.deserialize(&mut reader)?;
    reader.end()?;
    sink.end_record();
    Ok(())
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// It is the whole file.
    Top,
    /// It is one of a list of records.
    Item,
    /// It is a field of the whole file.
    Field,
    /// It is in a list that is a field of the whole file: an object is a record.
    Element,
    /// It is somewhere in a record.
    Inside,
}

#[derive(Default)]
struct Record {
    title: Option<String>,
    texts: Vec<String>,
    fields: Vec<(String, String)>,
}

/// Records on their way to blocks.
struct Sink {
    builder: Builder,
    record: Record,
    /// Records begun that are one of many.
    items: usize,
    numbered: bool,
    left: u64,
    limit: u64,
    full: bool,
}

impl Sink {
    fn new(limits: LoadLimits) -> Self {
        Self {
            builder: Builder::default(),
            record: Record::default(),
            items: 0,
            numbered: false,
            // Paths are repeated for each field.
            left: limits.max_bytes.saturating_mul(2),
            limit: limits.max_bytes,
            full: false,
        }
    }

    fn too_large(&self) -> LoadError {
        LoadError::TooLarge {
            size: self.limit.saturating_mul(2).saturating_add(1),
            limit: self.limit,
        }
    }

    fn begin_item(&mut self) {
        self.end_record();
        self.items += 1;
        self.numbered = true;
    }

    fn end_record(&mut self) {
        let record = std::mem::take(&mut self.record);
        let numbered = std::mem::take(&mut self.numbered);
        if record.title.is_none() && record.texts.is_empty() && record.fields.is_empty() {
            return;
        }
        match record.title {
            Some(title) => self.builder.push(BlockKind::Heading(1), &title, None),
            None if numbered => {
                let title = format!("Record {}", self.items);
                self.builder.push(BlockKind::Heading(1), &title, None);
            }
            None => {}
        }
        for text in record.texts {
            text::paragraphs(&text, &mut self.builder);
        }
        let fields: Vec<String> = record
            .fields
            .into_iter()
            .map(|(path, value)| match path.as_str() {
                "" => value,
                path => format!("{path}: {value}"),
            })
            .collect();
        self.builder
            .push(BlockKind::Paragraph, &fields.join("\n"), None);
    }

    /// Adds a value; false where there is no room for it.
    fn field(&mut self, path: &str, value: &str) -> bool {
        let value = value.trim();
        if value.is_empty() {
            return true;
        }
        let size = (path.len() + value.len() + 4) as u64;
        let Some(left) = self.left.checked_sub(size) else {
            self.full = true;
            return false;
        };
        self.left = left;
        let record = &mut self.record;
        if TITLES.contains(&path) && record.title.is_none() {
            let title: String = value.split_whitespace().collect::<Vec<_>>().join(" ");
            record.title = Some(title);
        } else if TEXTS.contains(&path) {
            record.texts.push(value.to_owned());
        } else {
            match record.fields.last_mut() {
                Some((last, values)) if last == path && !path.is_empty() => {
                    values.push_str(", ");
                    values.push_str(value);
                }
                _ => record.fields.push((path.to_owned(), value.to_owned())),
            }
        }
        true
    }

    fn finish(mut self, name: &str) -> LoadedDocument {
        self.end_record();
        let title = (self.items > 0).then(|| name.to_owned());
        self.builder.finish(title, name)
    }
}

/// A value, and where it stands.
struct Node<'s> {
    sink: &'s mut Sink,
    path: String,
    place: Place,
}

impl Node<'_> {
    fn scalar<E: Error>(self, text: &str) -> Result<(), E> {
        if self.place == Place::Item {
            self.sink.begin_item();
        }
        if self.sink.field(&self.path, text) {
            Ok(())
        } else {
            Err(E::custom("too large"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(if value { "true" } else { "false" })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(&value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(&value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let place = match self.place {
            Place::Top => Place::Item,
            Place::Field => Place::Element,
            Place::Item | Place::Element | Place::Inside => Place::Inside,
        };
        if self.place == Place::Item {
            self.sink.begin_item();
        }
        loop {
            let (sink, path) = (&mut *self.sink, self.path.clone());
            if list
                .next_element_seed(Node { sink, path, place })?
                .is_none()
            {
                break;
            }
        }
        if self.place == Place::Field && self.sink.numbered {
            self.sink.end_record();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let record = matches!(self.place, Place::Item | Place::Element);
        if record {
            self.sink.begin_item();
        }
        let place = match self.place {
            Place::Top => Place::Field,
            _ => Place::Inside,
        };
        let prefix = match self.path.as_str() {
            path if record || path.is_empty() => String::new(),
            path => format!("{path}."),
        };
        while let Some(key) = map.next_key::<String>()? {
            let mut path = format!("{prefix}{key}");
            if let Some((at, _)) = path.char_indices().nth(MAX_PATH) {
                path.truncate(at);
            }
            let sink = &mut *self.sink;
            map.next_value_seed(Node { sink, path, place })?;
        }
        Ok(())
    }
}
