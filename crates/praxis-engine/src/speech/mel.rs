//! Log-mel spectra as Whisper was trained with (`whisper/audio.py` of <https://github.com/openai/whisper>): windows
//! of 400 samples under a periodic Hann window, 160 samples apart, power, mel bands after Slaney (1998), logarithm
//! to base 10. What depends on all of the audio, the floor and the scale, is [`super::spectrogram`]'s.

use std::f64::consts::TAU;

use rayon::prelude::*;

use super::audio::RATE;
use super::fft::{BINS, Fft, SIZE, Scratch};

/// Samples between two frames.
pub(super) const HOP: usize = 160;
/// Samples of a frame.
pub(super) const WINDOW: usize = SIZE;

/// Frames that a thread takes at once.
const AT_ONCE: usize = 64;

/// What makes frames of samples.
pub(super) struct Mel {
    fft: Fft,
    window: [f64; SIZE],
    bands: Vec<Band>,
}

/// A band: the first frequency in it, and what each is multiplied by.
struct Band {
    first: usize,
    weights: Vec<f64>,
}

impl Mel {
    /// For so many bands.
    pub(super) fn new(bands: usize) -> Self {
        Self {
            fft: Fft::new(),
            window: std::array::from_fn(|i| 0.5 - 0.5 * (TAU * i as f64 / SIZE as f64).cos()),
            bands: bands_of(bands),
        }
    }

    /// Number of bands.
    pub(super) fn bands(&self) -> usize {
        self.bands.len()
    }

    /// Replaces `out` by the logarithms of all bands for all frames that lie in the samples, frame by frame.
    pub(super) fn frames(&self, samples: &[f32], out: &mut Vec<f32>) {
        let count = samples.len().checked_sub(WINDOW).map_or(0, |n| n / HOP + 1);
        let bands = self.bands.len();
        out.clear();
        out.resize(count * bands, 0.0);
        out.par_chunks_mut(AT_ONCE * bands)
            .enumerate()
            .for_each(|(part, out)| {
                let (mut scratch, mut power) = (Scratch::default(), [0.0; BINS]);
                let from = samples.get(part * AT_ONCE * HOP..).unwrap_or_default();
                for (samples, out) in from
                    .windows(WINDOW)
                    .step_by(HOP)
                    .zip(out.chunks_exact_mut(bands))
                {
                    self.frame(samples, &mut scratch, &mut power, out);
                }
            });
    }

    fn frame(
        &self,
        samples: &[f32],
        scratch: &mut Scratch,
        power: &mut [f64; BINS],
        out: &mut [f32],
    ) {
        let mut x = [0.0; SIZE];
        for ((x, sample), window) in x.iter_mut().zip(samples).zip(&self.window) {
            *x = f64::from(*sample) * window;
        }
        self.fft.power(&x, scratch, power);
        for (out, band) in out.iter_mut().zip(&self.bands) {
            let power = power.iter().skip(band.first).zip(&band.weights);
            let sum: f64 = power.map(|(power, weight)| power * weight).sum();
            *out = sum.max(1e-10).log10() as f32;
        }
    }
}

/// The frequency of a place on Slaney's scale: linear up to 1 kHz, logarithmic from there.
fn hertz(mel: f64) -> f64 {
    const LINEAR: f64 = 200.0 / 3.0;
    const BREAK: f64 = 1000.0;
    let step = 6.4f64.ln() / 27.0;
    let place = BREAK / LINEAR;
    if mel < place {
        LINEAR * mel
    } else {
        BREAK * (step * (mel - place)).exp()
    }
}

/// The place of a frequency above 1 kHz.
fn mel(hertz: f64) -> f64 {
    15.0 + 27.0 * (hertz / 1000.0).ln() / 6.4f64.ln()
}

/// Triangles that overlap by half, of the same area each.
fn bands_of(count: usize) -> Vec<Band> {
    let nyquist = f64::from(RATE) / 2.0;
    let edge = |i: usize| hertz(mel(nyquist) * i as f64 / (count + 1) as f64);
    let weights = |i: usize| {
        let (low, middle, high) = (edge(i), edge(i + 1), edge(i + 2));
        (0..BINS).map(move |bin| {
            let frequency = bin as f64 * f64::from(RATE) / SIZE as f64;
            let (up, down) = (
                (frequency - low) / (middle - low),
                (high - frequency) / (high - middle),
            );
            up.min(down).max(0.0) * 2.0 / (high - low)
        })
    };
    (0..count)
        .map(|i| {
            let all: Vec<f64> = weights(i).collect();
            let first = all.iter().position(|w| *w > 0.0).unwrap_or_default();
            let end = all
                .iter()
                .rposition(|w| *w > 0.0)
                .map_or(0, |last| last + 1);
            Band {
                first,
                weights: all.get(first..end).unwrap_or_default().to_vec(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `whisper/assets/mel_filters.npz`, `mel_80`: band, frequency, weight.
    #[test]
    fn bands_are_those_that_whisper_was_trained_with() {
        let bands = bands_of(80);
        for (band, bin, weight) in MEL_80 {
            let band = &bands[band];
            let ours = bin
                .checked_sub(band.first)
                .and_then(|i| band.weights.get(i));
            let ours = ours.copied().unwrap_or_default();
            assert!((ours - weight).abs() < 1e-8, "{bin}: {ours} for {weight}");
        }
        let sum: f64 = bands.iter().flat_map(|band| &band.weights).sum();
        assert!((sum - MEL_80_SUM).abs() < 1e-5, "{sum}");
    }

    /// What numpy computes of the same samples, by the definition.
    #[test]
    fn frames_agree_with_numpy() {
        let sample = |i: usize| {
            let t = i as f64 / 16_000.0;
            (0.4 * (TAU * 440.0 * t).sin() + 0.1 * (TAU * (1_000.0 + 900.0 * t) * t).cos()) as f32
        };
        let samples: Vec<f32> = (0..16_000).map(sample).collect();
        let mut out = Vec::new();
        let mel = Mel::new(80);
        mel.frames(&samples, &mut out);
        assert_eq!(out.len(), 98 * 80);
        for (frame, band, value) in NUMPY {
            let ours = out[frame * 80 + band];
            assert!(
                (ours - value).abs() < 1e-4,
                "{frame} {band}: {ours} for {value}"
            );
        }
        // Frames are the same whatever is computed with them.
        let mut later = Vec::new();
        mel.frames(&samples[HOP * 70..], &mut later);
        assert_eq!(later, out[70 * 80..]);
    }

    const MEL_80_SUM: f64 = 1.999024092387117;

    const MEL_80: [(usize, usize, f64); 18] = [
        (0, 1, 0.0248625949),
        (0, 1, 0.0248625949),
        (9, 9, 0.0179173965),
        (9, 10, 0.0069451970),
        (24, 23, 0.0189354885),
        (24, 24, 0.0059271064),
        (25, 24, 0.0208740104),
        (25, 25, 0.0040404256),
        (40, 42, 0.0054111048),
        (40, 43, 0.0147355665),
        (60, 90, 0.0014345343),
        (60, 93, 0.0065910928),
        (70, 132, 0.0008483415),
        (70, 137, 0.0040797289),
        (79, 186, 0.0003667417),
        (79, 193, 0.0031413133),
        (79, 200, 0.0000000000),
        (5, 90, 0.0000000000),
    ];

    const NUMPY: [(usize, usize, f32); 16] = [
        (0, 0, -9.786401),
        (0, 10, 1.201126),
        (0, 12, 0.980222),
        (0, 24, -1.760823),
        (0, 40, -8.005611),
        (0, 79, -10.0),
        (1, 11, 1.558994),
        (49, 11, 1.558994),
        (49, 30, -8.205515),
        (49, 33, -7.60644),
        (49, 60, -10.0),
        (97, 0, -10.0),
        (97, 12, 0.980273),
        (97, 36, -10.0),
        (97, 42, -9.133002),
        (97, 79, -10.0),
    ];
}
