//! Files to documents: a module a format, and [`Format`] to tell which one a file is of.
//!
//! Every loader takes bytes it cannot trust. [`load_file`] runs it on a thread of its own with a
//! large stack, so that a panic or a runaway in a parser costs this file and no other.

mod code;
mod docx;
mod epub;
mod format;
pub(crate) mod grid;
mod guard;
mod html;
mod mail;
mod markdown;
mod notebook;
pub(crate) mod ocr;
mod package;
mod pdf;
mod picture;
mod pptx;
mod records;
mod sheet;
mod table;
mod text;
mod xml;

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use praxis_core::Attribute;
use praxis_core::metadata::MAX_TEXT;
use praxis_sources::is_lfs_pointer;

use crate::document::LoadedDocument;
pub use format::{EXTENSIONS, Format};
use ocr::{Missing, Ocr};

/// Why a file did not become a document, sorted by what its owner can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Mend the path or its permissions.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Nothing is wrong, but there is nothing to find either.
    #[error("holds no text")]
    Empty,
    /// Raise the limit, or split the file.
    #[error("is {size} bytes large, over the limit of {limit}")]
    TooLarge {
        /// Bytes of the file, or of what it unpacks to.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Convert it to a format that is read.
    #[error("is of an unknown format: {0}")]
    Unsupported(String),
    /// Get the file again, or repair it in the program that made it.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// Remove the password.
    #[error("is encrypted")]
    Encrypted,
    /// Have Git LFS bring the file.
    #[error("is a pointer of Git LFS, which stands for a file that was not brought here")]
    Pointer,
    /// Have its text recognized.
    #[error("has no text that can be read: {reason}")]
    NoText {
        /// Why.
        reason: String,
        /// The fix.
        fix: String,
    },
    /// Convert it by another program.
    #[error("took longer than {0:?} to read")]
    TooSlow(Duration),
    /// Wait, or end the process, and exclude the files that took too long.
    #[error(
        "was not read, because {running} {kind} that took too long are still being worked on in the background"
    )]
    Busy {
        /// Which files these are.
        kind: String,
        /// How many.
        running: usize,
    },
}

impl LoadError {
    /// The fix.
    pub fn hint(&self) -> &str {
        match self {
            Self::Unreadable(_) => "check that the file exists and may be read",
            Self::Empty => "fill it, delete it, or exclude it",
            Self::TooLarge { .. } => "split it, or raise `max_file_bytes` of its source",
            Self::Unsupported(_) => {
                "save it in a format that is read, such as PDF, DOCX, XLSX, HTML or text, or exclude it"
            }
            Self::Damaged(_) => {
                "get the file again, or open and save it in the program that made it"
            }
            Self::Encrypted => "save it without a password",
            Self::Pointer => {
                "run `git lfs pull` in its repository, or exclude it; `praxis ingest` then reads the file itself"
            }
            Self::NoText { fix, .. } => fix,
            Self::TooSlow(_) => "save it as text or DOCX, or split it",
            Self::Busy { .. } => {
                "try it again in a minute; if that does not help, exclude the files that took too long and start Praxis anew"
            }
        }
    }
}

/// Bounds of one file.
#[derive(Debug, Clone, Copy)]
pub struct LoadLimits {
    /// The most bytes of a file, and of the text that it unpacks to.
    pub max_bytes: u64,
    /// The longest time that parsing may take.
    pub timeout: Duration,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            timeout: Duration::from_secs(120),
        }
    }
}

/// How files are read.
#[derive(Clone)]
pub struct Loading {
    /// Bounds of each file.
    pub(crate) limits: LoadLimits,
    /// Whether text in pictures is recognized.
    pub(crate) ocr: Ocr,
    pulse: Pulse,
}

impl Loading {
    pub(crate) fn new(limits: LoadLimits, ocr: Ocr) -> Self {
        Self {
            limits,
            ocr,
            pulse: Pulse::default(),
        }
    }

    /// Ends the work on a file that nobody waits for any more: to be called at each step that may take a while.
    ///
    /// # Errors
    /// [`LoadError::TooSlow`].
    fn go_on(&self) -> Result<(), LoadError> {
        if self.pulse.is_awaited() {
            Ok(())
        } else {
            Err(LoadError::TooSlow(self.limits.timeout))
        }
    }

    /// The same with other bounds.
    fn within(&self, limits: LoadLimits) -> Self {
        Self {
            limits,
            ..self.clone()
        }
    }
}

impl From<LoadLimits> for Loading {
    /// Nothing is recognized.
    fn from(limits: LoadLimits) -> Self {
        Self::new(limits, Ocr::off())
    }
}

impl Missing {
    /// The error of a file that has pictures and no text.
    fn no_text(&self, what: String) -> LoadError {
        LoadError::NoText {
            reason: match &self.reason {
                Some(reason) => format!("{what}, and {reason}"),
                None => what,
            },
            fix: self.fix.clone(),
        }
    }
}

/// Signs of life. Parsing has one time-out for all of a file; recognition has one for each page, and says after each
/// that it goes on, at most as often as `max_pages` allows. A parser asks in turn whether anybody still waits for it.
#[derive(Clone, Default)]
struct Pulse(Option<Life>);

#[derive(Clone)]
struct Life {
    signs: mpsc::Sender<Sign>,
    /// The state of the thread (`guard`).
    state: Arc<AtomicU8>,
}

impl Pulse {
    fn new(signs: mpsc::Sender<Sign>, state: Arc<AtomicU8>) -> Self {
        Self(Some(Life { signs, state }))
    }

    /// Whether anybody waits for the document: one without a guard is always waited for.
    fn is_awaited(&self) -> bool {
        let life = self.0.as_ref();
        life.is_none_or(|life| life.state.load(Ordering::Relaxed) != guard::ABANDONED)
    }

    /// A page is done.
    #[cfg_attr(
        not(feature = "ocr"),
        allow(dead_code, reason = "only recognition has a time-out for each page")
    )]
    fn beat(&self) {
        if let Some(life) = &self.0 {
            let _ = life.signs.send(Sign::Alive);
        }
    }
}

/// What a loader says to whoever waits for it.
enum Sign {
    Alive,
    Done(Result<LoadedDocument, LoadError>),
}

/// Loads a file. Blocks; panics of parsers are caught.
///
/// # Errors
/// [`LoadError`], with a [`LoadError::hint`].
pub fn load_file(path: &Path, how: impl Into<Loading>) -> Result<LoadedDocument, LoadError> {
    let how = how.into();
    let limits = how.limits;
    let size = std::fs::metadata(path)
        .map_err(|e| LoadError::Unreadable(e.to_string()))?
        .len();
    if size > limits.max_bytes {
        return Err(LoadError::TooLarge {
            size,
            limit: limits.max_bytes,
        });
    }
    let bytes = std::fs::read(path).map_err(|e| LoadError::Unreadable(e.to_string()))?;
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    load_guarded(name, bytes, how)
}

/// Loads a document from its bytes, as [`load_file`] does.
///
/// # Errors
/// [`LoadError`], with a [`LoadError::hint`].
pub fn load_guarded(
    name: String,
    bytes: Vec<u8>,
    how: Loading,
) -> Result<LoadedDocument, LoadError> {
    let kind = guard::kind(&name);
    guard::guarded(&kind, how.limits.timeout, move |pulse| {
        load_nested(&name, &bytes, &Loading { pulse, ..how }, 0)
    })
}

/// Loads a document from its bytes; `name` gives the format and the title of last resort. Parsers
/// may panic on hostile input: [`load_file`] contains that.
///
/// # Errors
/// [`LoadError`].
pub fn load_bytes(
    name: &str,
    bytes: &[u8],
    how: impl Into<Loading>,
) -> Result<LoadedDocument, LoadError> {
    load_nested(name, bytes, &how.into(), 0)
}

/// Loads a document that is inside of so many others.
fn load_nested(
    name: &str,
    bytes: &[u8],
    how: &Loading,
    depth: usize,
) -> Result<LoadedDocument, LoadError> {
    let limits = how.limits;
    let stem = Path::new(name)
        .file_stem()
        .map_or(name.into(), |s| s.to_string_lossy());
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(LoadError::Empty);
    }
    let size = bytes.len() as u64;
    if size > limits.max_bytes {
        return Err(LoadError::TooLarge {
            size,
            limit: limits.max_bytes,
        });
    }
    // Whatever it is called: it stands where the file should be.
    if is_lfs_pointer(bytes) {
        return Err(LoadError::Pointer);
    }
    let with_text = |declared, load: &dyn Fn(&str) -> Result<LoadedDocument, LoadError>| {
        let decoded = text::decode(bytes, declared)?;
        let mut document = load(&decoded.text)?;
        document.notes.extend(decoded.note);
        Ok(document)
    };
    let format = Format::of(name, bytes, limits)?;
    let mut document = match format {
        Format::Markdown => with_text(None, &|t| Ok(markdown::load(t, &stem)))?,
        Format::Html => with_text(html::declared(bytes), &|t| Ok(html::load(t, &stem)))?,
        Format::Text => with_text(None, &|t| Ok(text::load(t, &stem)))?,
        Format::Code => with_text(None, &|t| Ok(code::load(t, name)))?,
        Format::Json => with_text(None, &|t| records::load(t, &stem, limits))?,
        Format::JsonLines => with_text(None, &|t| records::load_lines(t, &stem, limits))?,
        Format::Notebook => with_text(None, &|t| notebook::load(t, &stem))?,
        Format::Csv => with_text(None, &|t| sheet::load_delimited(t, &stem, limits))?,
        Format::Pdf => pdf::load(bytes, &stem, how)?,
        Format::Picture => picture::load(bytes, &stem, how)?,
        Format::Docx => docx::load(bytes, &stem, limits)?,
        Format::Pptx => pptx::load(bytes, &stem, limits)?,
        Format::Xlsx => sheet::load_xlsx(bytes, &stem, limits)?,
        Format::Xls => sheet::load_xls(bytes, &stem, limits)?,
        Format::Ods => sheet::load_ods(bytes, &stem, limits)?,
        Format::Epub => epub::load(bytes, &stem, limits)?,
        Format::Mail => mail::load(bytes, &stem, how, depth)?,
        Format::Mailbox => mail::load_mbox(bytes, &stem, how, depth)?,
    };
    document.format = Some(format);
    let said = [("format", format.name()), ("title", document.title.trim())];
    for (key, text) in said {
        if !text.is_empty() {
            let text = text.chars().take(MAX_TEXT).collect();
            let key = key.to_owned();
            document.metadata.insert(key, Attribute::Text(text));
        }
    }
    if document.blocks.is_empty() {
        Err(LoadError::Empty)
    } else {
        Ok(document)
    }
}

/// The first notes of many that are alike, and how many more there are.
fn few(notes: impl Iterator<Item = String>) -> Vec<String> {
    const SHOWN: usize = 8;
    let mut notes: Vec<String> = notes.collect();
    let more = notes.len().saturating_sub(SHOWN);
    if more > 0 {
        notes.truncate(SHOWN);
        notes.push(format!("and {more} more of this kind"));
    }
    notes
}

#[cfg(test)]
mod tests;
