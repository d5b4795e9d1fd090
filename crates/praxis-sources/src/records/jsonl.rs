//! Files with a document on each line. Left out: files of records that are one document together, which folders
//! read.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{Collector, Fields, Limits, Mapping, Spool, Template};
use crate::config::JsonlConfig;
use crate::folder::walk;
use crate::{Content, Entry, Listing, Locator, Place, Run, Source, SourceError};

/// Lines between two looks at whether somebody stopped it.
const CHECK_EVERY: usize = 1000;

/// Files of records.
pub(crate) struct Jsonl {
    config: JsonlConfig,
    mapping: Mapping,
    place: Place,
    spool: Arc<Spool>,
}

impl Jsonl {
    /// # Errors
    /// A template that is none.
    pub fn new(config: JsonlConfig, place: Place) -> Result<Self, SourceError> {
        let template = config.template.as_deref().map(Template::parse).transpose();
        let mapping = Mapping {
            fields: Fields::Varied,
            id: config.id.clone(),
            text: config.text.clone(),
            template: template.map_err(|e| SourceError::settings(e, "mend `template`"))?,
            title: config.title.clone(),
            modified: config.modified.clone(),
        };
        Ok(Self {
            config,
            mapping,
            place,
            spool: Arc::default(),
        })
    }
}

#[async_trait]
impl Source for Jsonl {
    async fn list(&self, run: &Run<'_>) -> Result<Listing, SourceError> {
        let reading = Reading {
            config: self.config.clone(),
            mapping: self.mapping.clone(),
            place: self.place.clone(),
            cancel: run.cancel.clone(),
        };
        let spool = Arc::clone(&self.spool);
        let listing = tokio::task::spawn_blocking(move || reading.list(&spool))
            .await
            .map_err(SourceError::unavailable)??;
        (run.progress)(listing.entries.len());
        Ok(listing)
    }

    async fn fetch(&self, entry: &Entry) -> Result<Content, SourceError> {
        self.spool.read(entry)
    }
}

/// One pass over the files, on a thread that may wait for the disk.
struct Reading {
    config: JsonlConfig,
    mapping: Mapping,
    place: Place,
    cancel: CancellationToken,
}

impl Reading {
    fn list(&self, spool: &Spool) -> Result<Listing, SourceError> {
        let limits = Limits {
            rows: self.config.max_rows,
            record: self.config.max_file_bytes,
            all: self.config.max_bytes,
        };
        let files = walk(&self.place.dir, &self.config.paths, &self.config.exclude)?;
        let mut collector = Collector::new(self.mapping.clone(), limits, &self.place)?;
        let mut empty = files.empty;
        for note in files.notes {
            collector.skip(note);
        }
        for file in files.entries {
            let Locator::File(path) = file.locator else {
                continue;
            };
            let before = (collector.len(), collector.notes.len());
            match self.read(&file.uri, path, &mut collector) {
                // An export that has begun and written nothing looks the same as one without records.
                Ok(true) if (collector.len(), collector.notes.len()) == before => {
                    empty.push(file.uri);
                }
                Ok(true) => {}
                Ok(false) => break,
                Err(SourceError::Unavailable(error)) => {
                    collector.skip(format!("{}: {error}", file.uri));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Listing {
            empty,
            ..collector.finish(spool)?
        })
    }

    /// Reads a file. False where there is no room for more.
    fn read(
        &self,
        uri: &str,
        path: PathBuf,
        collector: &mut Collector,
    ) -> Result<bool, SourceError> {
        let file = std::fs::File::open(path).map_err(SourceError::unavailable)?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let prefix = format!("{uri}#");
        // Escapes may make a line several times as long as its text.
        let longest = self
            .config
            .max_file_bytes
            .saturating_mul(8)
            .saturating_add(1 << 16);
        let mut line = Vec::new();
        for number in 1usize.. {
            if number % CHECK_EVERY == 0 && self.cancel.is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            line.clear();
            let read = reader
                .by_ref()
                .take(longest)
                .read_until(b'\n', &mut line)
                .map_err(SourceError::unavailable)?;
            if read == 0 {
                break;
            }
            let whole = line.ends_with(b"\n");
            if !whole && read as u64 == longest {
                collector.skip(format!(
                    "{uri}: line {number} is longer than {longest} bytes"
                ));
                skip_line(&mut reader).map_err(SourceError::unavailable)?;
                continue;
            }
            let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
            if text.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Map<String, Value>>(text) {
                Ok(record) => {
                    // A line's number names what has no id.
                    let fallback = self.mapping.id.is_none().then(|| number.to_string());
                    if !collector.add(&prefix, fallback, &record)? {
                        return Ok(false);
                    }
                }
                Err(error) => {
                    collector.skip(format!("{uri}: line {number} is no JSON object: {error}"));
                }
            }
        }
        Ok(true)
    }
}

/// Passes over the rest of a line, however long.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|b| *b == b'\n');
        let used = end.map_or(buffer.len(), |e| e + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}
