//! Records, such as rows of a database and lines of a file, as documents: which fields are name, text and title,
//! and where their text is kept between a listing and its reading. Left out: where records come from.

pub(crate) mod jsonl;
mod mysql;
pub(crate) mod sql;
mod template;

use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Mutex;

use serde_json::{Map, Value};

use crate::{Content, Entry, Listing, Locator, Place, SourceError, hash};
pub(crate) use template::Template;

/// Characters of a title or of a name that are kept.
const MAX_NAME: usize = 300;

/// Whether all records have the same fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fields {
    /// As rows of one query have: one that is not there is a mistake in the configuration.
    #[default]
    Same,
    /// As lines of a file: one that is not there is empty.
    Varied,
}

/// Which fields of a record are what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    /// Whether all records have them.
    pub fields: Fields,
    /// The field that names it.
    pub id: Option<String>,
    /// The field with its text.
    pub text: Option<String>,
    /// Its text, written with its fields.
    pub template: Option<Template>,
    /// The field with its title.
    pub title: Option<String>,
    /// The field with the time of its last change.
    pub modified: Option<String>,
}

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Records.
    pub rows: usize,
    /// Bytes of one.
    pub record: u64,
    /// Bytes of all.
    pub all: u64,
}

/// A record's text in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    offset: u64,
    length: u64,
    name: String,
    title: Option<String>,
}

/// Texts of the last listing, in a file without a name that goes with the process: what is read later is what was
/// listed, whatever happens to the records meanwhile.
#[derive(Default)]
pub(crate) struct Spool(Mutex<Option<std::fs::File>>);

impl Spool {
    /// The content of an entry.
    pub fn read(&self, entry: &Entry) -> Result<Content, SourceError> {
        let gone = || SourceError::Gone(entry.uri.clone());
        let Locator::Spool(span) = &entry.locator else {
            return Err(gone());
        };
        let mut slot = self.0.lock().map_err(|_| gone())?;
        let file = slot.as_mut().ok_or_else(gone)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(span.offset))
            .and_then(|_| file.take(span.length).read_to_end(&mut bytes))
            .map_err(SourceError::unavailable)?;
        if bytes.len() as u64 != span.length {
            return Err(gone());
        }
        Ok(Content {
            name: span.name.clone(),
            bytes,
            title: span.title.clone(),
        })
    }

    fn keep(&self, file: std::fs::File) {
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(file);
        }
    }
}

/// A listing of records in the making.
pub(crate) struct Collector {
    mapping: Mapping,
    limits: Limits,
    file: std::io::BufWriter<std::fs::File>,
    length: u64,
    seen: HashSet<String>,
    entries: Vec<Entry>,
    notes: Vec<String>,
    complete: bool,
}

impl Collector {
    pub fn new(mapping: Mapping, limits: Limits, place: &Place) -> Result<Self, SourceError> {
        let file = tempfile::tempfile_in(place.state()?).map_err(SourceError::unavailable)?;
        Ok(Self {
            mapping,
            limits,
            file: std::io::BufWriter::new(file),
            length: 0,
            seen: HashSet::new(),
            entries: Vec::new(),
            notes: Vec::new(),
            complete: true,
        })
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A record that could not be read, so that nobody knows which document it was.
    pub fn skip(&mut self, note: String) {
        self.complete = false;
        self.notes.push(note);
    }

    /// Adds a record called `PREFIX` and its id, or `fallback`. False where there is no room for more.
    pub fn add(
        &mut self,
        prefix: &str,
        fallback: Option<String>,
        record: &Map<String, Value>,
    ) -> Result<bool, SourceError> {
        if self.entries.len() >= self.limits.rows {
            self.skip(format!(
                "there are more than {} records: raise `max_rows`; nothing is removed until then",
                self.limits.rows
            ));
            return Ok(false);
        }
        let named = match &self.mapping.id {
            Some(field) => self.field(record, "id", field)?,
            None => None,
        };
        let id = named
            .map(plain)
            .filter(|id| !id.trim().is_empty())
            .or(fallback);
        let Some(id) = id else {
            self.skip(format!(
                "a record of `{prefix}` has no id; nothing is removed until it has one"
            ));
            return Ok(true);
        };
        let uri = format!("{prefix}{}", cut(&id));
        if !self.seen.insert(uri.clone()) {
            self.notes.push(format!(
                "`{uri}` is there more than once: the first is read"
            ));
            return Ok(true);
        }
        let title = match &self.mapping.title {
            Some(field) => self
                .field(record, "title", field)?
                .map(plain)
                .map(|t| cut(t.trim())),
            None => None,
        };
        let modified = match &self.mapping.modified {
            Some(field) => self.field(record, "modified", field)?.map_or(0, time),
            None => 0,
        };
        let (ending, text) = match (&self.mapping.template, &self.mapping.text) {
            (Some(template), _) => ("md", {
                let filled = template.fill(record, self.mapping.fields);
                filled.map_err(|field| missing("template", &field, record))?
            }),
            (None, Some(field)) => (
                "md",
                self.field(record, "text", field)?
                    .map(plain)
                    .unwrap_or_default(),
            ),
            (None, None) => ("json", serde_json::to_string(record).unwrap_or_default()),
        };
        let title = title.filter(|t| !t.is_empty());
        let size = text.len() as u64;
        if self.length.saturating_add(size) > self.limits.all {
            self.skip(format!(
                "the records hold more than {} bytes: raise `max_bytes`; nothing is removed until then",
                self.limits.all
            ));
            return Ok(false);
        }
        let version =
            hash(format!("{ending}\0{}\0{text}", title.as_deref().unwrap_or_default()).as_bytes());
        let mut span = Span {
            offset: self.length,
            length: 0,
            name: format!("{}.{ending}", cut(&id).replace('/', "-")),
            title,
        };
        // What is too large is listed, so that it is reported; it is not read.
        if size <= self.limits.record {
            self.file
                .write_all(text.as_bytes())
                .map_err(SourceError::unavailable)?;
            self.length += size;
            span.length = size;
        }
        self.entries.push(Entry {
            uri,
            version: Some(version),
            size,
            modified,
            locator: Locator::Spool(span),
        });
        Ok(true)
    }

    /// The listing; its texts go into `spool`.
    pub fn finish(self, spool: &Spool) -> Result<Listing, SourceError> {
        let file = self.file.into_inner().map_err(SourceError::unavailable)?;
        spool.keep(file);
        Ok(Listing::new(self.entries, self.complete, self.notes))
    }

    /// A field that the configuration names, unless it is null.
    fn field<'r>(
        &self,
        record: &'r Map<String, Value>,
        key: &str,
        field: &str,
    ) -> Result<Option<&'r Value>, SourceError> {
        match template::find(record, field) {
            None if self.mapping.fields == Fields::Same => Err(missing(key, field, record)),
            None | Some(Value::Null) => Ok(None),
            found => Ok(found),
        }
    }
}

fn missing(key: &str, field: &str, record: &Map<String, Value>) -> SourceError {
    let fields: Vec<&str> = record.keys().map(String::as_str).take(40).collect();
    let near = praxis_core::suggest::nearest(field, fields.iter().copied());
    SourceError::settings(
        format!("`{key}` names `{field}`, which a record does not have"),
        match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", fields.join(", ")),
        },
    )
}

/// A value as text.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_NAME)
        .collect()
}

/// A time in nanoseconds since the epoch; 0 where it is none.
fn time(value: &Value) -> i64 {
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;
    let nanoseconds = match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            // Milliseconds since 1970 are a thousand times as many as seconds.
            let seconds = if number.abs() > 1e11 {
                number / 1e3
            } else {
                number
            };
            Some((seconds * 1e9) as i128)
        }
        Value::String(text) => {
            let text = text.trim();
            text.parse::<jiff::Timestamp>()
                .ok()
                .map(|t| t.as_nanosecond())
                .or_else(|| {
                    let local: DateTime = text.parse().ok()?;
                    let zoned = local.to_zoned(TimeZone::UTC).ok()?;
                    Some(zoned.timestamp().as_nanosecond())
                })
        }
        _ => None,
    };
    nanoseconds
        .and_then(|n| i64::try_from(n).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
