//! The port to models that write down what is said: audio in, segments of text with their times out, one
//! stream. A caller that wants the whole transcript folds it ([`collect`]). The vocabulary is that of OpenAI's
//! audio API, and of the Whisper models behind it.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::ModelError;

/// What is listened to.
#[derive(Debug, Clone)]
pub enum Audio {
    /// A sound file, as it was recorded. It has to stay there until the stream has ended.
    File(PathBuf),
    /// One channel of samples between -1 and 1.
    Samples {
        /// Samples a second.
        rate: u32,
        /// The samples.
        samples: Arc<[f32]>,
    },
}

/// What is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpeechTask {
    /// What is said, in its language.
    #[default]
    Transcribe,
    /// What is said, in English.
    Translate,
}

impl SpeechTask {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            SpeechTask::Transcribe => "transcribe",
            SpeechTask::Translate => "translate",
        }
    }
}

/// What a model is asked to write down.
#[derive(Debug, Clone)]
pub struct TranscriptionRequest {
    /// What is listened to.
    pub audio: Audio,
    /// What is written.
    pub task: SpeechTask,
    /// The language that is spoken, a code of [`LANGUAGES`]; `None`: the model finds out.
    pub language: Option<String>,
    /// Text that would stand before the transcript: names and spellings, or the end of what came before.
    pub prompt: Option<String>,
    /// How freely words are chosen, between 0 and 1; 0: as likely as can be, and more freely only where that fails.
    pub temperature: f32,
    /// How many ways of writing it are followed at once, between 1 and 16; `None`: the model's default.
    pub beams: Option<usize>,
    /// Whether the times of single words are wanted.
    pub words: bool,
    /// Who asks, so that no caller takes all places of the local engine: the name of a key. `None`: nobody who is to be
    /// told from others. It comes from who sent a request, never from what was sent.
    pub caller: Option<String>,
}

impl TranscriptionRequest {
    /// A request that leaves all else to the model.
    pub fn new(audio: Audio) -> Self {
        Self {
            audio,
            task: SpeechTask::Transcribe,
            language: None,
            prompt: None,
            temperature: 0.0,
            beams: None,
            words: false,
            caller: None,
        }
    }
}

/// A word and when it is said, in seconds from the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranscriptWord {
    /// The word with the punctuation at it; a space before it where its script has spaces.
    pub word: String,
    /// When it begins.
    pub start: f64,
    /// When it ends.
    pub end: f64,
    /// How sure the model is of it, between 0 and 1.
    pub probability: f32,
}

/// A piece of a transcript, mostly a sentence, with OpenAI's names for what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranscriptSegment {
    /// Its number, from 0.
    pub id: usize,
    /// Where the piece of audio begins that it was read from, in hundredths of a second.
    pub seek: usize,
    /// When it begins, in seconds.
    pub start: f64,
    /// When it ends.
    pub end: f64,
    /// Its text; begins with a space where its script has spaces.
    pub text: String,
    /// The tokens of the text, those of times among them.
    pub tokens: Vec<u32>,
    /// How freely they were chosen in the end.
    pub temperature: f32,
    /// The mean of ln p of its piece's tokens.
    pub avg_logprob: f32,
    /// How much its piece's text can be compressed: more than 2.4 is repetition.
    pub compression_ratio: f32,
    /// How likely nothing is said in its piece.
    pub no_speech_prob: f32,
    /// Its words, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<TranscriptWord>,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum TranscriptChunk {
    /// The audio could be read; always the first chunk.
    Begun {
        /// The language that is spoken, a code of [`LANGUAGES`].
        language: String,
        /// How long the audio is, in seconds.
        duration: f64,
    },
    /// The next piece of text.
    Segment(TranscriptSegment),
    /// The end; always the last chunk of a stream that did not fail.
    Done,
}

/// A stream of chunks that ends with [`TranscriptChunk::Done`] or with an error.
pub type TranscriptStream = BoxStream<'static, Result<TranscriptChunk, ModelError>>;

/// A model that writes down what is said. Contract: `transcribe` returns once the request is accepted; dropping the
/// stream, or cancelling the token, stops the work and frees its slot. Audio that cannot be read, or is too long, is
/// [`ModelError::InvalidRequest`], before the first chunk where that can be known.
#[async_trait]
pub trait Transcriber: Send + Sync {
    /// Identity of the model and its weights, e.g. `whisper-base@d01c3014`.
    fn identity(&self) -> String;

    /// Starts a transcript.
    async fn transcribe(
        &self,
        request: TranscriptionRequest,
        cancel: CancellationToken,
    ) -> Result<TranscriptStream, ModelError>;
}

/// A whole transcript: the fold of a [`TranscriptStream`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The language that is spoken.
    pub language: String,
    /// How long the audio is, in seconds.
    pub duration: f64,
    /// Its pieces, in order.
    pub segments: Vec<TranscriptSegment>,
}

impl Transcript {
    /// The text of all segments.
    pub fn text(&self) -> String {
        let text: String = self.segments.iter().map(|s| s.text.as_str()).collect();
        text.trim().to_owned()
    }
}

/// Folds a stream into a whole transcript.
///
/// # Errors
/// The stream's error, or [`ModelError::Broken`] where it ends without [`TranscriptChunk::Done`].
pub async fn collect(mut stream: TranscriptStream) -> Result<Transcript, ModelError> {
    let mut transcript = Transcript {
        language: String::new(),
        duration: 0.0,
        segments: Vec::new(),
    };
    while let Some(chunk) = stream.next().await {
        match chunk? {
            TranscriptChunk::Begun { language, duration } => {
                transcript.language = language;
                transcript.duration = duration;
            }
            TranscriptChunk::Segment(segment) => transcript.segments.push(segment),
            TranscriptChunk::Done => return Ok(transcript),
        }
    }
    Err(ModelError::Broken(
        "the transcript's stream ended without an end".into(),
    ))
}

/// The languages that Whisper models know: their codes, and what OpenAI's API calls them.
pub const LANGUAGES: &[(&str, &str)] = &[
    ("en", "english"),
    ("zh", "chinese"),
    ("de", "german"),
    ("es", "spanish"),
    ("ru", "russian"),
    ("ko", "korean"),
    ("fr", "french"),
    ("ja", "japanese"),
    ("pt", "portuguese"),
    ("tr", "turkish"),
    ("pl", "polish"),
    ("ca", "catalan"),
    ("nl", "dutch"),
    ("ar", "arabic"),
    ("sv", "swedish"),
    ("it", "italian"),
    ("id", "indonesian"),
    ("hi", "hindi"),
    ("fi", "finnish"),
    ("vi", "vietnamese"),
    ("he", "hebrew"),
    ("uk", "ukrainian"),
    ("el", "greek"),
    ("ms", "malay"),
    ("cs", "czech"),
    ("ro", "romanian"),
    ("da", "danish"),
    ("hu", "hungarian"),
    ("ta", "tamil"),
    ("no", "norwegian"),
    ("th", "thai"),
    ("ur", "urdu"),
    ("hr", "croatian"),
    ("bg", "bulgarian"),
    ("lt", "lithuanian"),
    ("la", "latin"),
    ("mi", "maori"),
    ("ml", "malayalam"),
    ("cy", "welsh"),
    ("sk", "slovak"),
    ("te", "telugu"),
    ("fa", "persian"),
    ("lv", "latvian"),
    ("bn", "bengali"),
    ("sr", "serbian"),
    ("az", "azerbaijani"),
    ("sl", "slovenian"),
    ("kn", "kannada"),
    ("et", "estonian"),
    ("mk", "macedonian"),
    ("br", "breton"),
    ("eu", "basque"),
    ("is", "icelandic"),
    ("hy", "armenian"),
    ("ne", "nepali"),
    ("mn", "mongolian"),
    ("bs", "bosnian"),
    ("kk", "kazakh"),
    ("sq", "albanian"),
    ("sw", "swahili"),
    ("gl", "galician"),
    ("mr", "marathi"),
    ("pa", "punjabi"),
    ("si", "sinhala"),
    ("km", "khmer"),
    ("sn", "shona"),
    ("yo", "yoruba"),
    ("so", "somali"),
    ("af", "afrikaans"),
    ("oc", "occitan"),
    ("ka", "georgian"),
    ("be", "belarusian"),
    ("tg", "tajik"),
    ("sd", "sindhi"),
    ("gu", "gujarati"),
    ("am", "amharic"),
    ("yi", "yiddish"),
    ("lo", "lao"),
    ("uz", "uzbek"),
    ("fo", "faroese"),
    ("ht", "haitian creole"),
    ("ps", "pashto"),
    ("tk", "turkmen"),
    ("nn", "nynorsk"),
    ("mt", "maltese"),
    ("sa", "sanskrit"),
    ("lb", "luxembourgish"),
    ("my", "myanmar"),
    ("bo", "tibetan"),
    ("tl", "tagalog"),
    ("mg", "malagasy"),
    ("as", "assamese"),
    ("tt", "tatar"),
    ("haw", "hawaiian"),
    ("ln", "lingala"),
    ("ha", "hausa"),
    ("ba", "bashkir"),
    ("jw", "javanese"),
    ("su", "sundanese"),
    ("yue", "cantonese"),
];

/// What a language is called; the code itself where nobody knows it.
pub fn language_name(code: &str) -> &str {
    let found = LANGUAGES.iter().find(|(known, _)| *known == code);
    found.map_or(code, |(_, name)| name)
}

/// The code of a language that is given by its code or its name.
pub fn language_code(given: &str) -> Option<&'static str> {
    let given = given.trim().to_ascii_lowercase();
    let found = LANGUAGES
        .iter()
        .find(|(code, name)| *code == given || *name == given);
    found.map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(id: usize, text: &str) -> TranscriptSegment {
        TranscriptSegment {
            id,
            seek: 0,
            start: 0.0,
            end: 1.0,
            text: text.to_owned(),
            tokens: Vec::new(),
            temperature: 0.0,
            avg_logprob: -0.2,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_stream_folds_to_a_transcript_only_where_it_ends() {
        let begun = TranscriptChunk::Begun {
            language: "en".into(),
            duration: 3.0,
        };
        let pieces = [" One.", " Two."].map(|text| TranscriptChunk::Segment(segment(0, text)));
        let mut chunks = vec![begun];
        chunks.extend(pieces);
        let cut = futures::stream::iter(chunks.clone()).map(Ok).boxed();
        assert!(matches!(collect(cut).await, Err(ModelError::Broken(_))));
        chunks.push(TranscriptChunk::Done);
        let whole = futures::stream::iter(chunks).map(Ok).boxed();
        let transcript = collect(whole).await.unwrap();
        assert_eq!(transcript.text(), "One. Two.");
        assert_eq!(
            (transcript.language.as_str(), transcript.duration),
            ("en", 3.0)
        );
    }

    #[test]
    fn languages_are_known_by_code_and_by_name() {
        for (given, code) in [
            ("en", Some("en")),
            ("English", Some("en")),
            (" zh ", Some("zh")),
            ("haitian creole", Some("ht")),
            ("klingon", None),
            ("", None),
        ] {
            assert_eq!(language_code(given), code, "{given:?}");
        }
        assert_eq!(language_name("zh"), "chinese");
        assert_eq!(language_name("xx"), "xx");
    }
}
