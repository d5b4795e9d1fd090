//! The input of a batch: a request on each line, as JSON. Lines are read one at a time, from the start or from a place
//! that is known, and nothing of a file is taken on trust. Left out: what comes of a request.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use praxis_store::BatchError;
use serde_json::{Map, Value};

/// How much an input may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of the file.
    pub bytes: u64,
    /// Requests.
    pub lines: u64,
    /// Bytes of a line.
    pub line: usize,
}

/// OpenAI's own bounds, and for a line the bound of any other request.
pub(super) const BOUNDS: Bounds = Bounds {
    bytes: 200 << 20,
    lines: 50_000,
    line: crate::MAX_BODY,
};

/// Bytes of a `custom_id`.
const MAX_ID: usize = 512;

/// Errors that are told of one input.
const MAX_ERRORS: usize = 100;

/// What some programs begin a file of UTF-8 with.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Where a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number, from 1.
    pub line: u64,
    /// Bytes before it.
    pub offset: u64,
}

/// Where a file begins.
pub(super) const START: Place = Place { line: 1, offset: 0 };

/// A line as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Raw {
    /// Where it begins.
    pub place: Place,
    /// Its bytes, without its end.
    pub bytes: Vec<u8>,
}

/// The lines of an input that are not blank.
struct Lines<R> {
    reader: R,
    at: Place,
    /// The most bytes of a line. Of a longer one, one byte more is read, and all behind it is nonsense.
    most: usize,
}

impl<R: BufRead> Lines<R> {
    fn read(&mut self) -> io::Result<Option<Raw>> {
        loop {
            let place = self.at;
            let most = u64::try_from(self.most).unwrap_or(u64::MAX);
            let mut bytes = Vec::new();
            let mut line = self.reader.by_ref().take(most.saturating_add(1));
            let read = line.read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(None);
            }
            self.at = Place {
                line: place.line + 1,
                offset: place.offset + u64::try_from(read).unwrap_or(u64::MAX),
            };
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            if place == START && bytes.starts_with(MARK) {
                bytes.drain(..MARK.len());
            }
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(Raw { place, bytes }));
            }
        }
    }
}

fn open(path: &Path, at: Place) -> io::Result<Lines<BufReader<File>>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at.offset))?;
    Ok(Lines {
        reader: BufReader::new(file),
        at,
        most: BOUNDS.line,
    })
}

/// The first line from a place on that is none of `skipped`, and the place behind it.
pub(super) fn next_from(
    path: &Path,
    at: Place,
    skipped: &HashSet<u64>,
) -> io::Result<Option<(Raw, Place)>> {
    let mut lines = open(path, at)?;
    while let Some(raw) = lines.read()? {
        if !skipped.contains(&raw.place.line) {
            return Ok(Some((raw, lines.at)));
        }
    }
    Ok(None)
}

/// Numbers and `custom_id`s of up to `limit` lines from a place on that are none of `skipped`, and the place behind
/// them.
pub(super) fn names_from(
    path: &Path,
    at: Place,
    skipped: &HashSet<u64>,
    endpoint: &str,
    limit: usize,
) -> io::Result<(Vec<(u64, String)>, Place)> {
    let mut lines = open(path, at)?;
    let mut names = Vec::new();
    while names.len() < limit
        && let Some(raw) = lines.read()?
    {
        if !skipped.contains(&raw.place.line) {
            let name = parse(&raw.bytes, endpoint).map(|line| line.custom_id);
            names.push((raw.place.line, name.unwrap_or_default()));
        }
    }
    Ok((names, lines.at))
}

/// A request.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// What the client calls it.
    pub custom_id: String,
    /// Its body.
    pub body: Map<String, Value>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    code: &'static str,
    param: Option<&'static str>,
    message: String,
}

impl Fault {
    fn new(code: &'static str, param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self {
            code,
            param,
            message: message.into(),
        }
    }

    /// The same of a line.
    pub fn of(self, line: Option<u64>) -> BatchError {
        BatchError {
            code: self.code.to_owned(),
            line,
            message: self.message,
            param: self.param.map(str::to_owned),
        }
    }
}

/// Reads a line as a request to an endpoint.
///
/// # Errors
/// What is wrong with it, with OpenAI's code where there is one.
pub(super) fn parse(bytes: &[u8], endpoint: &str) -> Result<Line, Fault> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("the line is no JSON: {error}");
        Fault::new("invalid_json_line", None, message)
    })?;
    let Value::Object(mut line) = value else {
        let message = "the line is no JSON object";
        return Err(Fault::new("invalid_json_line", None, message));
    };
    let custom_id = text(&mut line, "custom_id")?;
    if custom_id.is_empty() || custom_id.len() > MAX_ID {
        let message = format!("`custom_id` must have 1 to {MAX_ID} bytes");
        return Err(Fault::new("invalid_value", Some("custom_id"), message));
    }
    if text(&mut line, "method")? != "POST" {
        let message = "`method` must be `POST`";
        return Err(Fault::new("invalid_method", Some("method"), message));
    }
    if text(&mut line, "url")? != endpoint {
        let message = format!("`url` must be the batch's endpoint, `{endpoint}`");
        return Err(Fault::new("invalid_url", Some("url"), message));
    }
    let body = match line.remove("body") {
        Some(Value::Object(body)) => body,
        None => return Err(missing("body")),
        Some(_) => {
            let message = "`body` must be a JSON object";
            return Err(Fault::new("invalid_value", Some("body"), message));
        }
    };
    if body.get("stream").is_some_and(|stream| stream == true) {
        let message = "`stream` must not be `true`: the answers of a batch come in a file";
        return Err(Fault::new("invalid_value", Some("body.stream"), message));
    }
    Ok(Line { custom_id, body })
}

fn text(line: &mut Map<String, Value>, field: &'static str) -> Result<String, Fault> {
    match line.remove(field) {
        Some(Value::String(text)) => Ok(text),
        None => Err(missing(field)),
        Some(_) => {
            let message = format!("`{field}` must be a string");
            Err(Fault::new("invalid_value", Some(field), message))
        }
    }
}

fn missing(field: &'static str) -> Fault {
    let message = format!("`{field}` is missing");
    Fault::new("missing_required_parameter", Some(field), message)
}

/// What is known of an input that is good.
#[derive(Debug, PartialEq)]
pub(super) struct Checked {
    /// Its requests.
    pub total: u64,
    /// The model, where all of them name the same.
    pub model: Option<String>,
}

/// Reads an input to its end.
///
/// # Errors
/// A file that cannot be read; within, what is wrong with its lines, as far as it is told.
pub(super) fn check_file(
    path: &Path,
    endpoint: &str,
) -> io::Result<Result<Checked, Vec<BatchError>>> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    check(BufReader::new(file), bytes, endpoint, BOUNDS)
}

fn check(
    reader: impl BufRead,
    bytes: u64,
    endpoint: &str,
    bounds: Bounds,
) -> io::Result<Result<Checked, Vec<BatchError>>> {
    if bytes > bounds.bytes {
        let message = format!("the input has more than {} bytes", bounds.bytes);
        let fault = Fault::new("file_too_large", Some("input_file_id"), message);
        return Ok(Err(vec![fault.of(None)]));
    }
    let mut lines = Lines {
        reader,
        at: START,
        most: bounds.line,
    };
    let (mut total, mut errors) = (0, Vec::new());
    let (mut seen, mut models) = (HashSet::new(), HashSet::new());
    while errors.len() < MAX_ERRORS
        && let Some(raw) = lines.read()?
    {
        let at = Some(raw.place.line);
        total += 1;
        if total > bounds.lines {
            let message = format!("the input has more than {} requests", bounds.lines);
            errors.push(Fault::new("too_many_requests", None, message).of(at));
            break;
        }
        if raw.bytes.len() > bounds.line {
            let message = format!("the line has more than {} bytes", bounds.line);
            errors.push(Fault::new("line_too_long", None, message).of(at));
            break;
        }
        match parse(&raw.bytes, endpoint) {
            Err(fault) => errors.push(fault.of(at)),
            Ok(line) => {
                // Two are enough to know that they differ.
                if models.len() < 2 {
                    let model = line.body.get("model").and_then(Value::as_str);
                    models.insert(model.map(str::to_owned));
                }
                if !seen.insert(line.custom_id) {
                    let message = "another line has the same `custom_id`";
                    let fault = Fault::new("duplicate_custom_id", Some("custom_id"), message);
                    errors.push(fault.of(at));
                }
            }
        }
    }
    if total == 0 {
        let message = "the input has no requests";
        let fault = Fault::new("empty_file", Some("input_file_id"), message);
        errors.push(fault.of(None));
    }
    let model = match models.len() {
        1 => models.into_iter().next().flatten(),
        _ => None,
    };
    Ok(match errors.is_empty() {
        true => Ok(Checked { total, model }),
        false => Err(errors),
    })
}

#[cfg(test)]
mod tests;
