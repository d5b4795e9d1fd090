//! The tokens of a Whisper model: text, and what steers it. A transcript's tokens are text below
//! `<|endoftext|>` and times from `<|0.00|>` on, 20 ms apart; between them are languages, tasks and marks.

use std::path::Path;

use praxis_core::speech::SpeechTask;
use tokenizers::Tokenizer;

use super::config::{Config, read_text};
use super::linear::EngineError;

/// The most bytes of `tokenizer.json`.
const MAX_TOKENIZER: u64 = 64 << 20;
/// Times of a window, 0 to 30 seconds.
const TIMES: usize = 1501;
/// Seconds between two times.
pub(super) const TIME_STEP: f64 = 0.02;

/// A model's tokens.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    /// The end of a text; text tokens are below.
    pub(super) end: u32,
    /// Where a transcript begins.
    pub(super) start: u32,
    /// The text before follows.
    pub(super) previous: u32,
    /// Nothing is said.
    pub(super) no_speech: u32,
    /// Text without times follows.
    pub(super) no_times: u32,
    /// The first time, 0 seconds; all from there on are times.
    pub(super) first_time: u32,
    /// Codes of languages and their tokens.
    pub(super) languages: Vec<(String, u32)>,
    transcribe: u32,
    translate: u32,
    /// Tokens that never are in a transcript.
    pub(super) suppressed: Vec<u32>,
    /// Tokens that no transcript begins with.
    pub(super) suppressed_first: Vec<u32>,
}

impl Tokens {
    /// Reads the tokens of a model with so many from its folder.
    ///
    /// # Errors
    /// [`EngineError`] where a token that Whisper needs is missing.
    pub(super) fn from_folder(
        folder: &Path,
        config: &Config,
        vocabulary: usize,
    ) -> Result<Self, EngineError> {
        let path = folder.join("tokenizer.json");
        let text = read_text(&path, MAX_TOKENIZER)?;
        let tokenizer = Tokenizer::from_bytes(text)
            .map_err(|error| EngineError::damaged(&path, error.to_string()))?;
        let optional = |name: &str| tokenizer.token_to_id(&format!("<|{name}|>"));
        let one = |name: &str| {
            optional(name).ok_or_else(|| {
                EngineError::damaged(&path, format!("the token `<|{name}|>` is missing"))
            })
        };
        let (end, start, no_times) = (
            one("endoftext")?,
            one("startoftranscript")?,
            one("notimestamps")?,
        );
        let (transcribe, translate) = (one("transcribe")?, one("translate")?);
        let previous = one("startofprev")?;
        let no_speech = optional("nospeech").map_or_else(|| one("nocaptions"), Ok)?;
        let first_time = no_times + 1;
        let languages = config.lang_ids.iter().filter_map(|id| {
            let token = tokenizer.id_to_token(*id)?;
            let code = token.strip_prefix("<|")?.strip_suffix("|>")?;
            Some((code.to_owned(), *id))
        });
        let languages: Vec<_> = languages.collect();
        if languages.is_empty() {
            let problem = "no languages are named: only multilingual models are run";
            return Err(EngineError::unsupported(
                &folder.join("config.json"),
                problem,
            ));
        }
        let known = usize::try_from(first_time).unwrap_or(usize::MAX);
        if known.checked_add(TIMES) != Some(vocabulary) || end > first_time {
            let problem = format!("its times begin at token {first_time} of {vocabulary}");
            return Err(EngineError::damaged(&path, problem));
        }
        let mut suppressed = config.suppress_ids.clone();
        suppressed.extend([start, transcribe, translate, previous, no_speech]);
        suppressed.extend(optional("startoflm"));
        suppressed.retain(|id| *id < first_time && *id != end);
        suppressed.sort_unstable();
        suppressed.dedup();
        Ok(Self {
            end,
            start,
            previous,
            no_speech,
            no_times,
            first_time,
            languages,
            transcribe,
            translate,
            suppressed,
            suppressed_first: config.suppress_ids_begin.clone(),
            tokenizer,
        })
    }

    /// The token of a language.
    pub(super) fn language(&self, code: &str) -> Option<u32> {
        let found = self.languages.iter().find(|(known, _)| known == code);
        found.map(|(_, id)| *id)
    }

    /// What a transcript in a language begins with.
    pub(super) fn beginning(&self, language: u32, task: SpeechTask) -> [u32; 3] {
        let task = match task {
            SpeechTask::Transcribe => self.transcribe,
            SpeechTask::Translate => self.translate,
        };
        [self.start, language, task]
    }

    /// Whether a token is a time.
    pub(super) fn is_time(&self, token: u32) -> bool {
        token >= self.first_time
    }

    /// The time that a token is, in steps of 20 ms.
    pub(super) fn time(&self, token: u32) -> Option<usize> {
        let steps = token.checked_sub(self.first_time)?;
        usize::try_from(steps).ok()
    }

    /// The tokens of a text.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let encoded = self.tokenizer.encode(text, false);
        let ids = encoded.map(|encoded| encoded.get_ids().to_vec());
        // A text may write out marks; they would steer.
        let mut ids = ids.unwrap_or_default();
        ids.retain(|id| *id < self.end);
        ids
    }

    /// The text of tokens, without times and marks. Bytes that are no whole characters become U+FFFD.
    pub(super) fn decode(&self, tokens: &[u32]) -> String {
        let text: Vec<u32> = tokens.iter().copied().filter(|id| *id < self.end).collect();
        self.tokenizer.decode(&text, true).unwrap_or_default()
    }
}
