//! Text in pictures. A [`Recognizer`] makes lines of pixels; [`Ocr`] says whether this build and this machine have
//! one, and how to get it where they have not. Left out: where pictures come from (`picture`,
//! `pdf::scans`) and what paragraphs their lines make (`pdf::recognized`).

#[cfg(feature = "ocr")]
pub(in crate::load) mod hocr;
#[cfg(feature = "ocr")]
mod pixels;
#[cfg(feature = "ocr")]
mod tesseract;

#[cfg(feature = "ocr")]
use std::sync::Arc;

use crate::config::OcrConfig;
#[cfg(feature = "ocr")]
pub(crate) use pixels::{MAX_PIXELS, Pixels};

/// Whether text in pictures is recognized, and how.
#[derive(Clone)]
pub(crate) enum Ocr {
    /// By this.
    #[cfg(feature = "ocr")]
    Ready(Reader),
    /// Not, for want of something.
    Missing(Missing),
}

/// Why text in pictures is not recognized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What is missing; nothing where recognition was not asked for.
    pub reason: Option<String>,
    /// How to have the text all the same.
    pub fix: String,
}

impl Default for Missing {
    /// Nothing is missing: nobody asked.
    fn default() -> Self {
        Self {
            reason: None,
            fix: "have it recognized (`enabled = true` under [ocr] of the base), or run OCR on it first, for example \
                  `ocrmypdf --force-ocr IN.pdf OUT.pdf`"
                .to_owned(),
        }
    }
}

impl Ocr {
    /// What this build and this machine have for these settings. Blocks for some hundredths of a second: the
    /// engine is asked for its languages.
    pub fn new(config: &OcrConfig) -> Self {
        if !config.enabled {
            return Self::off();
        }
        #[cfg(feature = "ocr")]
        {
            match tesseract::Tesseract::new(config) {
                Ok(engine) => Self::Ready(Reader {
                    recognizer: Arc::new(engine),
                    config: config.clone(),
                }),
                Err(missing) => Self::Missing(missing),
            }
        }
        #[cfg(not(feature = "ocr"))]
        {
            Self::Missing(Missing {
                reason: Some("this build of Praxis has no OCR (feature `ocr`)".to_owned()),
                fix: "build Praxis with `--features ocr`, or run OCR on it first, for example \
                      `ocrmypdf --force-ocr IN.pdf OUT.pdf`"
                    .to_owned(),
            })
        }
    }

    /// Recognition that nobody asked for.
    pub fn off() -> Self {
        Self::Missing(Missing::default())
    }

    /// What recognition makes of documents, for the comparison of settings; nothing where there is none.
    pub fn settings(&self) -> Option<serde_json::Value> {
        match self {
            #[cfg(feature = "ocr")]
            Self::Ready(reader) => Some(serde_json::json!({
                "languages": reader.config.languages,
                "dpi": reader.config.dpi,
                "max_pages": reader.config.max_pages,
                "min_confidence": reader.config.min_confidence,
                "revision": 1,
            })),
            Self::Missing(_) => None,
        }
    }
}

/// A place in a picture, in pixels from its upper left corner.
#[cfg(feature = "ocr")]
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Place {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// A word, or some characters of a language without spaces.
#[cfg(feature = "ocr")]
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Word {
    pub text: String,
    /// How sure the engine is of it, in 0..=100.
    pub confidence: f32,
    pub place: Place,
}

/// A line of words in reading order.
#[cfg(feature = "ocr")]
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Line {
    pub words: Vec<Word>,
    /// Where it stands, in pixels from the upper edge.
    pub baseline: f64,
    /// Whether its text stands upright.
    pub upright: bool,
}

/// A column, a heading, a caption: lines that belong together, in reading order.
#[cfg(feature = "ocr")]
pub(crate) type Area = Vec<Line>;

/// Why a picture has no text.
#[cfg(feature = "ocr")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecognizeError {
    /// It is no text, or too much of it.
    #[error("took longer than {0} seconds to recognize")]
    TooSlow(u64),
    /// The engine does not work.
    #[error("cannot be recognized: {0}")]
    Failed(String),
}

#[cfg(feature = "ocr")]
impl RecognizeError {
    /// Whether time ran out.
    pub fn is_slow(&self) -> bool {
        matches!(self, Self::TooSlow(_))
    }
}

/// Makes text of pictures.
///
/// The same pixels give the same areas, in the order that a person reads. A picture without text gives none. A call
/// ends in bounded time whatever the picture shows, and costs nothing after it has ended.
#[cfg(feature = "ocr")]
pub(crate) trait Recognizer: Send + Sync {
    /// The areas of a picture.
    ///
    /// # Errors
    /// [`RecognizeError`].
    fn recognize(&self, pixels: &Pixels) -> Result<Vec<Area>, RecognizeError>;
}

/// A recognizer with its settings.
#[cfg(feature = "ocr")]
#[derive(Clone)]
pub(crate) struct Reader {
    recognizer: Arc<dyn Recognizer>,
    pub config: OcrConfig,
}

#[cfg(feature = "ocr")]
impl Reader {
    /// The areas of a picture, without the words that the engine is not sure of. One that lies on its side or on its
    /// head should be turned before.
    ///
    /// # Errors
    /// [`RecognizeError`].
    pub fn read(&self, pixels: &Pixels) -> Result<Vec<Area>, RecognizeError> {
        let mut areas = self.recognizer.recognize(pixels)?;
        for line in areas.iter_mut().flatten() {
            line.words.retain(|word| {
                word.confidence >= self.config.min_confidence
                    && word.text.chars().any(|c| !c.is_whitespace())
            });
        }
        for area in &mut areas {
            area.retain(|line| !line.words.is_empty());
        }
        areas.retain(|area| area.iter().flat_map(|line| &line.words).any(says_something));
        Ok(areas)
    }

    /// A reader of another recognizer.
    #[cfg(test)]
    pub fn of(recognizer: Arc<dyn Recognizer>, config: OcrConfig) -> Self {
        Self { recognizer, config }
    }
}

/// Whether there is a letter or a digit in a word: of drawings, dots and rules are what is recognized.
#[cfg(feature = "ocr")]
fn says_something(word: &Word) -> bool {
    word.text.chars().any(char::is_alphanumeric)
}

#[cfg(all(test, feature = "ocr"))]
mod tests;
