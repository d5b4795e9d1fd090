//! Speech to text by Whisper models (Radford et al. 2022) in the folders that CTranslate2's converter writes, behind the
//! port [`Transcriber`].
//!
//! [`SpeechEngine`] is the way in. `audio`, `mel` and `spectrogram` make spectra of sound; `ct2`, `config` and `tokens`
//! read files; `encoder`, `sound` and `decoder` compute; `rules` and `search` find the text of a window, `window` and
//! `transcription` that of all windows, `words` the times of words; `worker` is the thread that does it. What they take
//! of the rest of the engine comes through `linear`.
//!
//! Left out: telling speakers apart, and finding speech before it is listened to.

mod audio;
mod config;
mod ct2;
mod decoder;
mod encoder;
mod fft;
mod linear;
mod mel;
mod model;
mod rules;
mod search;
mod sound;
mod spectrogram;
#[cfg(test)]
mod tests;
mod tokens;
mod transcription;
mod window;
mod words;
mod worker;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::speech::{Transcriber, TranscriptStream, TranscriptionRequest};
use praxis_core::{ModelError, Places};
use tokio_util::sync::CancellationToken;

use linear::EngineError;
use model::Model;
use spectrogram::Spectrogram;
use transcription::{Transcription, Wanted};
use window::Settings;
use worker::{Job, Worker};

/// Transcripts that are made at once, and such as are about to be; more are refused, and so are more of one caller than
/// places are free.
const JOBS: usize = 16;
/// Texts that may be followed at once.
const BEAMS: std::ops::RangeInclusive<usize> = 1..=16;
/// The longest audio, unless the options say otherwise: six hours.
const MAX_SECONDS: u64 = 6 * 3600;
/// The most bytes of a text before a transcript. The model reads the last 223 tokens of it.
const MAX_PROMPT: usize = 16 << 10;

/// How a speech model is run. `None` leaves it to the engine.
#[derive(Debug, Clone, Default)]
pub struct SpeechOptions {
    /// Name of the model, the first half of its identity.
    pub name: String,
    /// Revision of its weights, e.g. the start of a SHA-256: the second half.
    pub revision: String,
    /// Threads that compute; `None`: those that all encoders share, one for each processor.
    pub threads: Option<usize>,
    /// The longest audio that is taken, in seconds; `None`: six hours.
    pub max_seconds: Option<u64>,
}

/// A speech model that is ready to listen. Clones share the weights and the thread that computes.
#[derive(Clone)]
pub struct SpeechEngine {
    shared: Arc<Shared>,
}

struct Shared {
    identity: String,
    model: Arc<Model>,
    max_seconds: u64,
    room: Places,
    worker: Worker,
}

impl SpeechEngine {
    /// Loads a folder with `model.bin`, `config.json` and `tokenizer.json`. Takes a part of a second: call it off the
    /// async runtime.
    ///
    /// # Errors
    /// [`EngineError`] where a file is missing, damaged, or of a model that is not run here.
    pub fn load(folder: &Path, options: SpeechOptions) -> Result<Self, EngineError> {
        let model = Arc::new(Model::load(folder)?);
        let worker = Worker::start(Arc::clone(&model), options.threads)?;
        Ok(Self {
            shared: Arc::new(Shared {
                identity: format!("{}@{}", options.name, options.revision),
                model,
                max_seconds: options.max_seconds.unwrap_or(MAX_SECONDS),
                room: Places::new(JOBS),
                worker,
            }),
        })
    }
}

impl Shared {
    /// What a request wants, checked.
    fn wanted(&self, request: &TranscriptionRequest) -> Result<Wanted, ModelError> {
        let invalid = |message: String| Err(ModelError::InvalidRequest(message));
        let language = match &request.language {
            None => None,
            Some(code) => match self.model.tokens.language(code) {
                Some(token) => Some(token),
                None => {
                    return invalid(format!(
                        "`language` is `{code}`, which the model does not know"
                    ));
                }
            },
        };
        if !(0.0..=1.0).contains(&request.temperature) {
            return invalid("`temperature` must be between 0 and 1".to_owned());
        }
        let mut settings = Settings::default();
        if request.temperature > 0.0 {
            settings.temperatures = vec![request.temperature];
        }
        if let Some(beams) = request.beams {
            if !BEAMS.contains(&beams) {
                let (low, high) = (BEAMS.start(), BEAMS.end());
                return invalid(format!("`beams` must be between {low} and {high}"));
            }
            settings.beams = beams;
        }
        let prompt = request.prompt.as_deref().unwrap_or_default().trim();
        if prompt.len() > MAX_PROMPT {
            return invalid(format!("`prompt` is longer than {MAX_PROMPT} bytes"));
        }
        let prompt = match prompt {
            "" => Vec::new(),
            // As in the middle of a text.
            prompt => self.model.tokens.encode(&format!(" {prompt}")),
        };
        Ok(Wanted {
            task: request.task,
            language,
            prompt,
            words: request.words,
            settings,
        })
    }
}

#[async_trait]
impl Transcriber for SpeechEngine {
    fn identity(&self) -> String {
        self.shared.identity.clone()
    }

    async fn transcribe(
        &self,
        request: TranscriptionRequest,
        cancel: CancellationToken,
    ) -> Result<TranscriptStream, ModelError> {
        let shared = &self.shared;
        let wanted = shared.wanted(&request)?;
        let place = shared.room.take(request.caller.as_deref());
        let place = place.map_err(|none| ModelError::RateLimited {
            message: none.told("transcripts"),
            retry_after: None,
        })?;
        let stop = cancel.child_token();
        let guard = stop.clone().drop_guard();
        let (asked, bands, most) = (stop.clone(), shared.model.shape.bands, shared.max_seconds);
        let spectra = tokio::task::spawn_blocking(move || {
            Spectrogram::open(&request.audio, bands, most, &|| asked.is_cancelled())
        });
        let spectra = spectra
            .await
            .map_err(|error| ModelError::Internal(format!("reading audio failed: {error}")))??;
        let (send, receive) = tokio::sync::mpsc::unbounded_channel();
        let transcription = Transcription::new(spectra, wanted);
        shared
            .worker
            .give(Job::new(transcription, send, stop, place))?;
        // The guard goes with the stream: who drops it stops the work.
        let stream = futures::stream::unfold((receive, guard), |(mut receive, guard)| async move {
            let chunk = receive.recv().await?;
            Some((chunk, (receive, guard)))
        });
        Ok(stream.boxed())
    }
}
