//! The spectrogram of a whole piece of audio, read window by window. Whisper's spectra have a floor that lies
//! 80 dB below the loudest band of all, so the audio is read once before anything is written: to know that floor, how
//! long it is, and that it can be read to its end. Of short audio the spectra are kept, long audio is read again, so
//! that memory is bounded for hours of it.

use praxis_core::speech::Audio;

use super::audio::{AudioError, RATE, Samples};
use super::mel::{HOP, Mel, WINDOW};

/// Frames of the model's window: 30 seconds.
pub(super) const WINDOW_FRAMES: usize = 3000;
/// Frames of a second.
pub(super) const PER_SECOND: usize = RATE as usize / HOP;

/// The most frames that are kept from the first reading: five minutes.
const KEPT: usize = 300 * PER_SECOND;
/// The shortest audio in which something can be said, in seconds.
const SHORTEST: f64 = 0.1;
/// Decades of power below the loudest band that are heard.
const DEPTH: f32 = 8.0;

/// Spectra of some audio.
pub(super) struct Spectrogram {
    mel: Mel,
    /// Logarithms of bands, frame by frame, from frame `first` on.
    frames: Vec<f32>,
    first: usize,
    /// Where more frames come from; `None` where all are here.
    source: Option<Frames>,
    content: usize,
    floor: f32,
    seconds: f64,
}

impl Spectrogram {
    /// Reads audio of at most `most` seconds to its end. `stopped` is asked now and then.
    ///
    /// # Errors
    /// Audio that is not readable, too short or too long; and `Cancelled`.
    pub(super) fn open(
        audio: &Audio,
        bands: usize,
        most: u64,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Self, AudioError> {
        let mel = Mel::new(bands);
        let mut source = Frames::open(audio)?;
        let (mut frames, mut block) = (Vec::new(), Vec::new());
        let (mut content, mut loudest) = (0, f32::NEG_INFINITY);
        while source.next(&mel, &mut block)? {
            if stopped() {
                return Err(AudioError::Cancelled);
            }
            loudest = block.iter().fold(loudest, |max, x| max.max(*x));
            content += block.len() / bands;
            if content as u64 > most.saturating_mul(PER_SECOND as u64) {
                return Err(AudioError::Long(most));
            }
            if content <= KEPT {
                frames.append(&mut block);
            } else {
                frames = Vec::new();
            }
        }
        let seconds = source.samples as f64 / f64::from(RATE);
        if seconds < SHORTEST {
            return Err(AudioError::Short(SHORTEST));
        }
        let source = match content {
            ..=KEPT => None,
            _ => Some(Frames::open(audio)?),
        };
        Ok(Self {
            mel,
            frames,
            first: 0,
            source,
            content,
            floor: loudest - DEPTH,
            seconds,
        })
    }

    /// Frames of the audio, whole ones.
    pub(super) fn content(&self) -> usize {
        self.content
    }

    /// How long the audio is.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Bands of a frame.
    pub(super) fn bands(&self) -> usize {
        self.mel.bands()
    }

    /// Replaces `out` by the window that begins at a frame, as the model sees it: frame by frame, zeros behind the
    /// audio's last. Says how many of the frames are of the audio. Windows are asked for in their order.
    ///
    /// # Errors
    /// A file that changed since it was opened.
    pub(super) fn window(&mut self, seek: usize, out: &mut Vec<f32>) -> Result<usize, AudioError> {
        let bands = self.bands();
        let count = WINDOW_FRAMES.min(self.content.saturating_sub(seek));
        self.fetch(seek, seek + count)?;
        let changed = || AudioError::Broken("it changed while it was read".to_owned());
        let from = seek.checked_sub(self.first).ok_or_else(changed)? * bands;
        let frames = self.frames.get(from..from + count * bands);
        out.clear();
        let heard = frames.ok_or_else(changed)?.iter();
        out.extend(heard.map(|x| (x.max(self.floor) + 4.0) / 4.0));
        out.resize(WINDOW_FRAMES * bands, 0.0);
        Ok(count)
    }

    /// Reads on until a frame is there, and forgets those before another.
    fn fetch(&mut self, from: usize, to: usize) -> Result<(), AudioError> {
        let bands = self.bands();
        let mut block = Vec::new();
        while let Some(source) = &mut self.source {
            let gone = from
                .saturating_sub(self.first)
                .min(self.frames.len() / bands);
            self.frames.drain(..gone * bands);
            self.first += gone;
            if self.first + self.frames.len() / bands >= to {
                break;
            }
            if source.next(&self.mel, &mut block)? {
                self.frames.append(&mut block);
            } else {
                self.source = None;
            }
        }
        Ok(())
    }
}

/// Samples that are read at once, in frames.
const BLOCK: usize = 1000;

/// The frames of some audio, in order. The first is centred on the first sample: what lies before that is the
/// audio's beginning in a mirror. Behind its end is silence.
struct Frames {
    source: Samples,
    /// Samples from the next frame on; the mirror is among them.
    buffer: Vec<f32>,
    /// Whether the mirror was put before them.
    mirrored: bool,
    ended: bool,
    /// Samples that were read.
    samples: u64,
    /// Frames that were given.
    given: u64,
}

impl Frames {
    fn open(audio: &Audio) -> Result<Self, AudioError> {
        Ok(Self {
            source: Samples::open(audio)?,
            buffer: Vec::new(),
            mirrored: false,
            ended: false,
            samples: 0,
            given: 0,
        })
    }

    /// Replaces `out` by the next frames; `false` where there are no more.
    fn next(&mut self, mel: &Mel, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        let half = WINDOW / 2;
        while !self.ended && self.buffer.len() < BLOCK * HOP + WINDOW {
            let before = self.buffer.len();
            let more = self.source.read(&mut self.buffer)?;
            self.samples += (self.buffer.len() - before) as u64;
            self.ended = !more;
            if !self.mirrored && (self.ended || self.buffer.len() > half) {
                self.mirrored = true;
                self.buffer.resize(self.buffer.len().max(half + 1), 0.0);
                let mirror: Vec<f32> = self
                    .buffer
                    .iter()
                    .skip(1)
                    .take(half)
                    .rev()
                    .copied()
                    .collect();
                self.buffer.splice(..0, mirror);
            }
        }
        let whole = self.samples / HOP as u64;
        if self.ended {
            self.buffer.resize(self.buffer.len() + WINDOW, 0.0);
        }
        mel.frames(&self.buffer, out);
        let count = (out.len() / mel.bands()) as u64;
        let wanted = count.min(whole.saturating_sub(self.given));
        let wanted = usize::try_from(wanted).unwrap_or_default();
        out.truncate(wanted * mel.bands());
        self.given += wanted as u64;
        self.buffer.drain(..(wanted * HOP).min(self.buffer.len()));
        Ok(wanted > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state >> 8) / f64::from(1u32 << 23) - 1.0) as f32
        };
        (0..count)
            .map(|i| next() * ((i % 48_000) as f32 / 96_000.0))
            .collect()
    }

    fn open(samples: &[f32]) -> Spectrogram {
        let audio = Audio::Samples {
            rate: RATE,
            samples: samples.into(),
        };
        Spectrogram::open(&audio, 80, 3_600, &|| false).unwrap()
    }

    /// All frames by their definition, of all samples at once.
    fn whole(samples: &[f32]) -> Vec<f32> {
        let half = WINDOW / 2;
        let mut padded: Vec<f32> = samples[1..=half].iter().rev().copied().collect();
        padded.extend(samples);
        padded.resize(padded.len() + WINDOW, 0.0);
        let mut out = Vec::new();
        Mel::new(80).frames(&padded, &mut out);
        out.truncate(samples.len() / HOP * 80);
        let floor = out.iter().fold(f32::MIN, |max, x| max.max(*x)) - 8.0;
        out.iter().map(|x| (x.max(floor) + 4.0) / 4.0).collect()
    }

    #[test]
    fn windows_are_parts_of_the_whole_whether_frames_are_kept_or_read_again() {
        // A little more than a window, and more than what is kept.
        for seconds in [1, 31, 310] {
            let samples = noise(seconds * 16_000 + 77);
            let (mut ours, whole) = (open(&samples), whole(&samples));
            assert_eq!(ours.content(), seconds * 100);
            assert!((ours.seconds() - (seconds as f64 + 77.0 / 16_000.0)).abs() < 1e-9);
            let (mut seek, mut out) = (0, Vec::new());
            while seek < ours.content() {
                let count = ours.window(seek, &mut out).unwrap();
                assert_eq!(out.len(), WINDOW_FRAMES * 80);
                assert_eq!(
                    out[..count * 80],
                    whole[seek * 80..(seek + count) * 80],
                    "{seek}"
                );
                assert!(out[count * 80..].iter().all(|x| *x == 0.0));
                assert_eq!(count, WINDOW_FRAMES.min(ours.content() - seek));
                seek += 2_345;
            }
        }
    }

    #[test]
    fn audio_has_bounds() {
        let open = |samples: usize, most: u64| {
            let audio = Audio::Samples {
                rate: RATE,
                samples: vec![0.1; samples].into(),
            };
            Spectrogram::open(&audio, 80, most, &|| false).err()
        };
        assert!(matches!(open(0, 60), Some(AudioError::Short(_))));
        assert!(matches!(open(1_599, 60), Some(AudioError::Short(_))));
        assert!(open(1_600, 60).is_none());
        assert!(open(16_000 * 60, 60).is_none());
        assert!(matches!(open(16_000 * 61, 60), Some(AudioError::Long(60))));
        let audio = Audio::Samples {
            rate: RATE,
            samples: vec![0.1; 16_000].into(),
        };
        let stopped = Spectrogram::open(&audio, 80, 60, &|| true).err();
        assert!(matches!(stopped, Some(AudioError::Cancelled)));
    }
}
