//! Audio as Whisper hears it: one channel of 16,000 samples a second, read piece by piece, so that hours of it
//! take no more memory than a second. `decoder` reads sound files, `resampler` changes their rate.
//!
//! The resampler is our own: one polyphase filter is all that is needed here, in a hundred lines, where `rubato`
//! would bring asynchronous rates, FFT resampling and their dependencies.

mod decoder;
mod resampler;

use std::sync::Arc;

use praxis_core::ModelError;
use praxis_core::speech::Audio;

use decoder::Decoder;
use resampler::Resampler;

/// Samples a second that models are trained on.
pub(super) const RATE: u32 = 16_000;

/// Rates of audio that is taken.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// Samples of memory that are taken at once.
const PIECE: usize = 1 << 14;

/// What is wrong with audio. Give another file.
#[derive(Debug, thiserror::Error)]
pub(super) enum AudioError {
    /// It is not there, or the disk fails.
    #[error("the audio cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// No format that is known.
    #[error(
        "the audio is of no format that is known here; send WAV, FLAC, MP3, AAC or ALAC in MP4 (M4A), or Vorbis in Ogg or WebM"
    )]
    Format,
    /// A format that is known, and a codec that is not.
    #[error(
        "the audio is coded in a way that is not known here ({0}); send WAV, FLAC, MP3, AAC in MP4 (M4A), or Vorbis in Ogg or WebM"
    )]
    Codec(String),
    /// It is cut or damaged.
    #[error("the audio is damaged: {0}")]
    Broken(String),
    /// Too slow or too fast.
    #[error("the audio has {0} samples a second; between {low} and {high} are taken", low = RATES.start(), high = RATES.end())]
    Rate(u32),
    /// Hardly anything.
    #[error("the audio is shorter than {0} seconds")]
    Short(f64),
    /// Too much.
    #[error("the audio is longer than {0} seconds, the most that is taken; cut it into pieces")]
    Long(u64),
    /// The caller has gone away.
    #[error("the call was cancelled")]
    Cancelled,
}

impl From<AudioError> for ModelError {
    fn from(error: AudioError) -> Self {
        match error {
            AudioError::Cancelled => Self::Cancelled,
            error => Self::InvalidRequest(error.to_string()),
        }
    }
}

/// Where samples come from, at their own rate.
enum Source {
    File(Box<Decoder>),
    Memory { samples: Arc<[f32]>, at: usize },
}

/// The samples of some audio, in order.
pub(super) struct Samples {
    source: Source,
    rate: u32,
    /// `None` where the rate is right.
    resampler: Option<Resampler>,
    /// Samples at their own rate.
    piece: Vec<f32>,
    ended: bool,
}

impl Samples {
    /// Opens audio at its beginning.
    ///
    /// # Errors
    /// What is no audio that is known.
    pub(super) fn open(audio: &Audio) -> Result<Self, AudioError> {
        let (source, rate) = match audio {
            Audio::File(path) => {
                let decoder = Decoder::open(path)?;
                let rate = decoder.rate();
                (Source::File(Box::new(decoder)), rate)
            }
            Audio::Samples { rate, samples } => {
                let samples = Arc::clone(samples);
                (Source::Memory { samples, at: 0 }, *rate)
            }
        };
        if !RATES.contains(&rate) {
            return Err(AudioError::Rate(rate));
        }
        Ok(Self {
            source,
            rate,
            resampler: (rate != RATE).then(|| Resampler::new(rate, RATE)),
            piece: Vec::new(),
            ended: false,
        })
    }

    /// Appends some more samples; whether there may be more yet.
    ///
    /// # Errors
    /// Audio that is damaged from here on.
    pub(super) fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        if self.ended {
            return Ok(false);
        }
        self.piece.clear();
        let more = match &mut self.source {
            Source::File(decoder) => {
                let more = decoder.read(&mut self.piece)?;
                if decoder.rate() != self.rate {
                    return Err(AudioError::Broken("its sample rate changes".to_owned()));
                }
                more
            }
            Source::Memory { samples, at } => {
                let rest = samples.get(*at..).unwrap_or_default();
                let piece = rest.get(..PIECE).unwrap_or(rest);
                self.piece.extend(piece);
                *at += piece.len();
                !piece.is_empty()
            }
        };
        for sample in &mut self.piece {
            // Floats in files may be anything.
            *sample = if sample.is_finite() {
                sample.clamp(-1.0, 1.0)
            } else {
                0.0
            };
        }
        match &mut self.resampler {
            None => out.append(&mut self.piece),
            Some(resampler) => {
                resampler.push(&self.piece, out);
                if !more {
                    resampler.finish(out);
                }
            }
        }
        self.ended = !more;
        Ok(more)
    }
}

#[cfg(test)]
mod tests;
