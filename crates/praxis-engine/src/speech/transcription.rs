//! A transcript in the making: window after window, each steered by the text before it, each beginning where the one
//! before stopped to be sure.

use praxis_core::speech::{SpeechTask, TranscriptSegment};

use super::audio::AudioError;
use super::decoder::Memory;
use super::model::Model;
use super::sound::Heard;
use super::spectrogram::{PER_SECOND, Spectrogram};
use super::window::{Settings, Writer, cut};
use super::words;

/// Windows one after the other that may move on by less than a second: then a window is passed as a whole.
const SLOW: usize = 10;

/// What a transcript is made of, and how far it is.
pub(super) struct Transcription {
    spectra: Spectrogram,
    settings: Settings,
    task: SpeechTask,
    /// The language's token; found in the first window where it was not given.
    language: Option<u32>,
    /// Tokens that steer the next window, oldest first.
    before: Vec<u32>,
    /// The frame that the next window begins with.
    seek: usize,
    /// What is heard of the first window, where it had to be listened to before.
    first: Option<Vec<Heard>>,
    /// Windows one after the other that moved on a little only.
    slow: usize,
    /// Segments that were given.
    given: usize,
    words: bool,
    /// When the last word was said, in seconds.
    spoken: f64,
    spectrum: Vec<f32>,
}

/// What a transcript is asked for.
pub(super) struct Wanted {
    pub(super) task: SpeechTask,
    pub(super) language: Option<u32>,
    /// Tokens of the text before.
    pub(super) prompt: Vec<u32>,
    pub(super) words: bool,
    pub(super) settings: Settings,
}

impl Transcription {
    pub(super) fn new(spectra: Spectrogram, wanted: Wanted) -> Self {
        Self {
            spectra,
            settings: wanted.settings,
            task: wanted.task,
            language: wanted.language,
            before: wanted.prompt,
            seek: 0,
            first: None,
            slow: 0,
            given: 0,
            words: wanted.words,
            spoken: 0.0,
            spectrum: Vec::new(),
        }
    }

    /// How long the audio is, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.spectra.seconds()
    }

    /// The language, which is found in the first window where it was not given.
    ///
    /// # Errors
    /// Audio that is no longer there.
    pub(super) fn language<'m>(
        &mut self,
        model: &'m Model,
        memory: &mut Memory,
    ) -> Result<&'m str, AudioError> {
        let token = match self.language {
            Some(token) => token,
            None => {
                let heard = self.hear(model)?.1;
                let token = spoken(model, &heard, memory);
                self.first = Some(heard);
                self.language = Some(token);
                token
            }
        };
        let known = model.tokens.languages.iter().find(|(_, id)| *id == token);
        Ok(known.map_or("en", |(code, _)| code))
    }

    /// What is heard of the window that begins at `seek`, and how many of its frames are of the audio.
    fn hear(&mut self, model: &Model) -> Result<(usize, Vec<Heard>), AudioError> {
        let mut spectrum = std::mem::take(&mut self.spectrum);
        let frames = self.spectra.window(self.seek, &mut spectrum)?;
        let rows = model.encoder.encode(&spectrum);
        self.spectrum = spectrum;
        Ok((frames, model.decoder.hear(&rows)))
    }

    /// Writes the next window; `None` where there is none any more.
    ///
    /// # Errors
    /// Audio that is no longer there.
    pub(super) fn next(
        &mut self,
        model: &Model,
        memory: &mut Memory,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<TranscriptSegment>>, AudioError> {
        if self.seek >= self.spectra.content() {
            return Ok(None);
        }
        let language = match self.language {
            Some(language) => language,
            None => {
                self.language(model, memory)?;
                self.language.unwrap_or_default()
            }
        };
        let (frames, heard) = match self.first.take() {
            Some(heard) => {
                let left = self.spectra.content() - self.seek;
                (left.min(super::spectrogram::WINDOW_FRAMES), heard)
            }
            None => self.hear(model)?,
        };
        let beginning = model.tokens.beginning(language, self.task);
        let prompt = self.prompt(model, &beginning);
        let written = Writer {
            model,
            heard: &heard,
            prompt: &prompt,
            settings: &self.settings,
            stopped,
            seed: self.seek as u64,
        }
        .write(memory);
        if stopped() {
            return Err(AudioError::Cancelled);
        }
        let seek = self.seek;
        if written.is_silence(&self.settings) {
            self.seek += frames;
            return Ok(Some(Vec::new()));
        }
        let cut = cut(&model.tokens, &written.tokens, frames);
        let offset = seek as f64 / PER_SECOND as f64;
        let pieces = cut.pieces.into_iter().map(|piece| TranscriptSegment {
            id: 0,
            seek,
            start: offset + piece.start,
            end: offset + piece.end,
            text: model.tokens.decode(&piece.tokens),
            tokens: piece.tokens,
            temperature: written.temperature,
            avg_logprob: written.logprob as f32,
            compression_ratio: written.ratio,
            no_speech_prob: written.no_speech,
            words: Vec::new(),
        });
        let mut segments: Vec<TranscriptSegment> = pieces.collect();
        let mut by = cut.frames;
        if self.words {
            let said = self.time_words(model, &heard, &beginning, &mut segments, frames, memory);
            if let Some(said) = said.filter(|said| !cut.whole && *said > offset) {
                let frame = (said * PER_SECOND as f64).round() as usize;
                by = frame.saturating_sub(seek);
            }
        }
        self.move_on(by, frames);
        // A model may go on where the audio has ended.
        let seconds = self.spectra.seconds();
        for segment in &mut segments {
            segment.end = segment.end.min(seconds);
        }
        segments.retain(|one| one.start < one.end && !one.text.trim().is_empty());
        for segment in &mut segments {
            self.before.extend_from_slice(&segment.tokens);
            segment.id = self.given;
            self.given += 1;
        }
        if self.settings.alone || written.temperature > self.settings.reset {
            self.before.clear();
        }
        Ok(Some(segments))
    }

    /// Gives segments of a window their words; says when the last of them ends.
    fn time_words(
        &mut self,
        model: &Model,
        heard: &[Heard],
        beginning: &[u32],
        segments: &mut [TranscriptSegment],
        frames: usize,
        memory: &mut Memory,
    ) -> Option<f64> {
        let tokens = segments.iter().flat_map(|segment| &segment.tokens);
        let text: Vec<u32> = tokens
            .copied()
            .filter(|id| *id < model.tokens.end)
            .collect();
        let language = model.tokens.languages.iter();
        let mut language = language
            .filter(|(_, id)| beginning.contains(id))
            .map(|(code, _)| code.as_str());
        let language = language.next_back().unwrap_or_default();
        let timed = words::align(model, heard, beginning, &text, (language, frames), memory);
        let offset = self.seek as f64 / PER_SECOND as f64;
        words::place(segments, &timed, &model.tokens, offset, &mut self.spoken);
        let words = segments
            .iter()
            .rev()
            .find_map(|segment| segment.words.last());
        words.map(|word| word.end)
    }

    /// The tokens before a window's text: the end of what came before, and what it begins with.
    fn prompt(&mut self, model: &Model, beginning: &[u32]) -> Vec<u32> {
        let most = model.shape.positions / 2 - 1;
        let old = self.before.len().saturating_sub(most);
        self.before.drain(..old);
        let mut prompt = Vec::with_capacity(self.before.len() + beginning.len() + 1);
        if !self.before.is_empty() {
            prompt.push(model.tokens.previous);
            prompt.extend_from_slice(&self.before);
        }
        prompt.extend_from_slice(beginning);
        prompt
    }

    /// Moves on by so many of a window's frames; by all of them where it would come to nothing.
    fn move_on(&mut self, by: usize, frames: usize) {
        self.slow = if by < PER_SECOND { self.slow + 1 } else { 0 };
        let stuck = by == 0 || self.slow > SLOW;
        self.seek += if stuck { frames.max(1) } else { by };
        if stuck {
            self.slow = 0;
        }
    }
}

/// The token of the language that is spoken in a window.
fn spoken(model: &Model, heard: &[Heard], memory: &mut Memory) -> u32 {
    let tokens = &model.tokens;
    let mut store = model.decoder.store();
    let row = super::decoder::Row {
        token: tokens.start,
        position: 0,
        reads: &[0],
    };
    let x = model.decoder.read(&[row], heard, &mut store, memory, None);
    let mut logits = Vec::new();
    model.decoder.logits(&x, memory, &mut logits);
    let logit = |id: u32| {
        usize::try_from(id)
            .ok()
            .and_then(|i| logits.get(i))
            .copied()
    };
    let scored = tokens
        .languages
        .iter()
        .map(|(_, id)| (*id, logit(*id).unwrap_or(f32::MIN)));
    let best = scored.reduce(|best, other| if other.1 > best.1 { other } else { best });
    best.map_or(tokens.start, |(id, _)| id)
}
